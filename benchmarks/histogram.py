"""Matching a picture's histogram to a domain's: against scikit-image, and against OpenCV's bare look-up as the floor.

    python benchmarks/histogram.py --peer-python VENV/bin/python [--rounds 5]

A picture of 2457x1996 pixels, 12 bits in 16. Ours applies the table of two average histograms
(`imaging.histogram.match`, background kept; the table is made once for a domain). The peer,
`skimage.exposure.match_histograms`, takes one reference picture and finds both histograms each time, which is what it
has; its environment needs scikit-image (python -m venv VENV && VENV/bin/pip install scikit-image). The floor is
`cv2.LUT` with a table of 65,536 entries. They work in turn in one run, in processes of their own, one thread each.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from measuring import Worker, in_turn, machine, median, serve, spread

ROWS, COLUMNS = 2457, 1996


def pictures(small: bool) -> tuple[np.ndarray, np.ndarray]:
    """A picture and a reference, uint16 levels 0 to 4095, a third of each black."""
    rows, columns = (ROWS // 8, COLUMNS // 8) if small else (ROWS, COLUMNS)
    made = []
    for seed, shape in ((0, 2.0), (1, 3.0)):
        picture = np.random.default_rng(seed).gamma(shape, 400.0, (rows, columns)).clip(1, 4095).astype(np.uint16)
        picture[:, columns * 2 // 3 :] = 0
        made.append(picture)
    return made[0], made[1]


def ours(picture: np.ndarray, reference: np.ndarray) -> Callable[[], object]:
    import cv2

    from mammo_tf.imaging.histogram import average_cdf, match, matching_lut

    cv2.setNumThreads(1)
    table = matching_lut(average_cdf([picture], background=0), average_cdf([reference], background=0))
    return lambda: match(picture, table, background=0)


def floor(picture: np.ndarray, reference: np.ndarray) -> Callable[[], object]:
    import cv2

    cv2.setNumThreads(1)
    table = np.arange(65536, dtype=np.uint16)[::-1].copy()
    return lambda: cv2.LUT(picture, table)


def peer(picture: np.ndarray, reference: np.ndarray) -> Callable[[], object]:
    from skimage.exposure import match_histograms

    return lambda: match_histograms(picture, reference)


SIDES = {"ours": ours, "floor": floor, "scikit-image": peer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-python", default=sys.executable, help="with scikit-image; none leaves the peer out")
    parser.add_argument("--quick", action="store_true", help="a small picture, one round: only whether it runs")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        work = SIDES[options.side](*pictures(options.quick))

        def answer(request: dict[str, object]) -> dict[str, object]:
            begun = time.perf_counter()
            for _ in range(5):
                work()
            return {"seconds": (time.perf_counter() - begun) / 5, "processor": 0.0, "peak": 0.0}

        serve(answer)
        return
    print(machine("numpy", "opencv-python-headless"))
    workers = {}
    for side in SIDES:
        python = options.peer_python if side == "scikit-image" else sys.executable
        if python != "none":
            command = [python, __file__, "--side", side, *(["--quick"] if options.quick else [])]
            workers[side] = Worker(side, command)
    found = in_turn(workers, 1 if options.quick else options.rounds, {})
    times = {name: answers["seconds"] for name, answers in found.items()}
    for worker in workers.values():
        worker.close()
    for name, seconds in times.items():
        print(f"{name:14} {1000 * median(seconds):8.1f} ms ({spread([1000 * one for one in seconds])})")
    for name in ("scikit-image", "floor"):
        if name in times:
            print(f"{name} / ours: {median(times[name]) / median(times['ours']):.2f}")


if __name__ == "__main__":
    main()

"""Contrast by scale of one picture: ours against exact Gaussian blurs of picture and mask at full size.

    python benchmarks/bands.py [--rounds 5] [--served]

A picture of 2457x1996 pixels, floats in [0, 1]; the breast is half an ellipse at its left edge, 55 % of it; five
scales. `ours` is `imaging.bands.apply_gains`; `exact` blurs picture times mask and mask by `cv2.GaussianBlur` to four
standard deviations, divides, and adds up the bands; `whole` is ours where all of the picture is breast. `one blur` is
`cv2.sepFilter2D` with seven taps over the whole picture, for comparison with other machines. `harmonising` is curve,
bands and periphery at the standard scales in mm (pixels of 0.07 mm); `statistics` is what a picture adds to the bands'
of a domain, `along the skin` to the periphery's. They work in turn in one run, in processes of their own, one thread
each. `--served` compares the three steps in the graph with VGG16 512x1 at full width, pictures of 1152x896, two
threads. Then: how far statistics are from those of the exact blurs, for noise whose amplitude falls as 1 /
frequency^power.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
from measuring import Worker, in_turn, machine, median, serve, spread

from mammo_tf.imaging.band_steps import ContrastBands
from mammo_tf.imaging.bands import SCALES, SCALES_MM, apply_gains, bands
from mammo_tf.imaging.bands import spreads as of_one_picture
from mammo_tf.imaging.intensity_steps import HistogramLookup
from mammo_tf.imaging.periphery import SCALES_MM as WINDOWS_MM
from mammo_tf.imaging.periphery import profile
from mammo_tf.imaging.periphery_steps import Periphery

ROWS, COLUMNS = 2457, 1996
GAINS = (1.25, 0.9, 1.3, 0.8, 1.1)
POWERS = (0.0, 1.0, 1.5, 2.0)
SPACING_MM = 0.07
STEPS = (
    HistogramLookup(tuple((4095 * np.linspace(0, 1, 4096) ** 1.3).tolist())),
    ContrastBands(tuple(scale / SPACING_MM for scale in SCALES_MM), GAINS),
    Periphery(tuple(scale / SPACING_MM for scale in WINDOWS_MM), (tuple(np.linspace(-0.2, 0.1, 7).tolist()),) * 2),
)
SERVED, OF_SERVED = (1152, 896), ("graph", "network")


def picture(rows: int, columns: int, power: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Noise that falls off as tissue does, float32 in [0, 1], and the breast's mask."""
    noise = np.fft.rfft2(np.random.default_rng(0).normal(size=(rows, columns)))
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    frequency[0, 0] = 1 / max(rows, columns)
    made = np.fft.irfft2(noise / frequency**power, (rows, columns))
    down, across = np.mgrid[:rows, :columns]
    mask = ((down - rows / 2) / (0.468 * rows)) ** 2 + (across / (0.75 * columns)) ** 2 < 1
    return np.clip(0.5 + 0.12 * made / made.std(), 0, 1).astype(np.float32), mask


def exact_bands(image: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """Bands and residue by Gaussians at full size."""
    weights = mask.astype(np.float32)
    inside = image * weights
    steps = [inside]
    for scale in SCALES:
        size = (2 * int(4 * scale + 0.5) + 1,) * 2
        blurs = [cv2.GaussianBlur(part, size, scale, borderType=cv2.BORDER_CONSTANT) for part in (inside, weights)]
        steps.append(cv2.divide(blurs[0], cv2.max(blurs[1], 1e-30)) * weights)
    return [*(finer - coarser for finer, coarser in zip(steps, steps[1:], strict=False)), steps[-1]]


def exact(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    found = exact_bands(image, mask)
    return np.clip(sum(gain * band for gain, band in zip((*GAINS, 1.0), found, strict=True)), 0, 1)


def served(name: str, small: bool) -> Callable[[], object]:
    """The steps in the graph, or the network behind them."""
    import tensorflow as tf

    from mammo_tf.data.graph_preprocessing import intensity
    from mammo_tf.imaging import Preprocessing
    from mammo_tf.imaging.harmonising import with_harmonising
    from mammo_tf.models import End2End

    rows, columns = (160, 128) if small else SERVED
    image, mask = picture(rows, columns)
    plain = Preprocessing.preset("default", (rows, columns), channels=3)
    if name == "graph":
        how = with_harmonising(plain, STEPS)
        carried = tf.function(lambda values, breasts: intensity(how, values, breasts))
        values, breasts = tf.constant(image[None]), tf.constant(mask[None])
        return lambda: carried(values, breasts)
    network = tf.function(End2End(width=1 / 8 if small else 1.0).build((rows, columns, 3)))
    shown = tf.constant(plain.intensity(image, mask)[None])
    return lambda: network(shown, training=False)


def side(name: str, small: bool) -> Callable[[], object]:
    """The work that is timed."""
    if name in OF_SERVED:
        return served(name, small)
    cv2.setNumThreads(1)
    image, mask = picture(ROWS // 8, COLUMNS // 8) if small else picture(ROWS, COLUMNS)
    kernel = cv2.getGaussianKernel(7, SCALES[0], cv2.CV_32F)
    return {
        "ours": lambda: apply_gains(image, mask, SCALES, GAINS),
        "whole": lambda: apply_gains(image, np.ones_like(mask), SCALES, GAINS),
        "exact": lambda: exact(image, mask),
        "harmonising": lambda: STEPS[2].intensity(STEPS[1].intensity(STEPS[0].intensity(image), mask), mask),
        "along the skin": lambda: [profile(image, mask, window) for window in STEPS[2].scales],
        "statistics": lambda: of_one_picture(image, mask, STEPS[1].scales),
        "one blur": lambda: cv2.sepFilter2D(image, -1, kernel, kernel),
    }[name]


def spreads(found: list[np.ndarray], mask: np.ndarray) -> np.ndarray:
    """Of each band half the range from the 16th to the 84th percentile, seven pixels inside, and the deviation."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    eroded = cv2.erode(mask.astype(np.uint8), disc, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    ranges = [np.diff(np.percentile(band[eroded], (16, 84)))[0] / 2 for band in found[:-1]]
    return np.array([ranges, [band[mask].std() for band in found[:-1]]])


def report_errors(small: bool) -> None:
    rows, columns = (ROWS // 8, COLUMNS // 8) if small else (ROWS // 3, COLUMNS // 3)
    for power in POWERS[2:3] if small else POWERS:
        image, mask = picture(rows, columns, power)
        mask[rows // 3] = True
        mask[rows // 4 : rows // 4 + 9, 30:41] = False
        found, expected = bands(image, mask), exact_bands(image, mask)
        robust, plain = 100 * (spreads(found, mask) / spreads(expected, mask) - 1)
        apart = [100 * np.std((one - two)[mask]) / np.std(two[mask]) for one, two in zip(found, expected, strict=True)]
        for word, values in (("robust", robust), ("plain", plain), ("bands themselves", apart[:-1])):
            told = " ".join(f"{value:6.2f}" for value in values)
            print(f"noise 1 / frequency^{power:g}, {word:16} off by % {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--served", action="store_true", help="next to a network: its share of an answer")
    parser.add_argument("--quick", action="store_true", help="a small picture, one round: only whether it runs")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        work = side(options.side, options.quick)
        work()

        def answer(request: dict[str, object]) -> dict[str, object]:
            begun, before = time.perf_counter(), time.process_time()
            for _ in range(3):
                work()
            seconds, processor = time.perf_counter() - begun, time.process_time() - before
            return {"seconds": seconds / 3, "processor": processor / 3, "peak": 0.0}

        serve(answer)
        return
    print(machine("numpy", "opencv-python-headless"))
    quick = ["--quick"] if options.quick else []
    names = (
        "ours",
        "whole",
        "exact",
        "harmonising",
        "statistics",
        "along the skin",
        "one blur",
        *(OF_SERVED if options.served else ()),
    )
    workers = {name: Worker(name, [sys.executable, __file__, "--side", name, *quick]) for name in names}
    found = in_turn(workers, 1 if options.quick else options.rounds, {})
    for worker in workers.values():
        worker.close()
    for name, times in found.items():
        wall, processor = ([1000 * one for one in times[key]] for key in ("seconds", "processor"))
        clock, spent = (f"{median(one):8.1f} ({spread(one)})" for one in (wall, processor))
        print(f"{name:15} {clock} ms, processor {spent}")
    for key in ("seconds", "processor"):
        ratio = median(found["exact"][key]) / median(found["ours"][key])
        print(f"exact / ours, {key}: {ratio:.1f}")
    if options.served:
        steps, network = (median(found[name]["processor"]) for name in OF_SERVED)
        print(f"share of the steps of a served answer, processor: {steps / (steps + network):.3f}")
    report_errors(options.quick)


if __name__ == "__main__":
    main()

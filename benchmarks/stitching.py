"""Time and peak memory of cutting a picture of 4096x3328 into tiles of 512x512 and stitching the tiles' maps.

    python benchmarks/stitching.py [--size 4096x3328] [--branches 3] [--rounds 5]

A picture of 16 bits is cut as the stream cuts it (`imaging.tiles`, one warp a tile), each tile is its own map, and
`training.tasks.pieces.Pieces` puts the maps together: 2x2 tiles without overlap, and 8x7 with an overlap of a quarter;
each of a network without branches and of one with, whose maps of every branch are kept until the picture's branch is
chosen. Memory is the peak of the process less what it held with its libraries loaded, before the picture was made; each
way is a process of its own, and they work in turn. The map must be the picture itself, but for what resampling takes.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import cv2
import numpy as np
from measuring import Worker, in_turn, machine, median, peak_mib, processor_seconds, serve, spread

GOAL_MIB = 1536
CUTS = {"2x2": ((2, 2), 0.0), "8x7": ((8, 7), 0.25)}
APART = 0.02  # of the median pixel; the picture is smooth


def smooth(size: tuple[int, int]) -> np.ndarray:
    """A picture without fine structure, uint16."""
    coarse = np.random.default_rng(0).integers(0, 65536, (9, 8)).astype(np.uint16)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR)


def work(cut: str, branches: int, size: tuple[int, int], tile: int) -> None:
    """The worker's side."""
    from mammo_tf.imaging.tiles import Tiling, tile_matrices
    from mammo_tf.imaging.warp import affine
    from mammo_tf.training.tasks.pieces import Pieces

    cv2.setNumThreads(1)
    before = peak_mib()
    picture = smooth(size)
    tiling = Tiling(tile, tile, *CUTS[cut])
    matrices = tile_matrices((0.0, float(size[0]), 0.0, float(size[1])), tiling)

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        start, busy = time.perf_counter(), processor_seconds()
        pieces = Pieces(size)
        for matrix in matrices:
            seen = affine(picture, matrix, fill="nearest", size=tiling.size).astype(np.float32) / 65535
            named = {"mask": seen}
            if branches > 1:
                masks = np.stack([seen * 0, *[seen] * (branches - 1)])
                named |= {"masks": masks, "distance": np.array([1.0, *[0.0] * (branches - 1)])}
            pieces.add(matrix, named)
        whole = pieces.whole().probability
        seconds, processor = time.perf_counter() - start, processor_seconds() - busy
        peak = peak_mib() - before
        apart = float(np.median(np.abs(whole - picture / np.float32(65535))))
        return {"seconds": seconds, "processor": processor, "peak": peak, "apart": apart}

    serve(answer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="4096x3328", metavar="ROWSxCOLUMNS")
    parser.add_argument("--branches", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows, columns = (256, 208) if options.quick else map(int, options.size.split("x"))
    tile, rounds = (64, 1) if options.quick else (512, options.rounds)
    if options.work:
        work(options.work[0], int(options.work[1]), (rows, columns), tile)
        return 0
    told = ["--quick"] if options.quick else ["--size", options.size]
    workers = {
        f"{cut}, {branches} branch{'es' * (branches > 1)}": Worker(
            cut, [sys.executable, __file__, *told, "--work", cut, str(branches)]
        )
        for cut in CUTS
        for branches in (1, options.branches)
    }
    print(machine("numpy", "opencv-python-headless"))
    print(f"{rows}x{columns} to tiles of {tile}x{tile} and back")
    for name, worker in workers.items():
        apart = worker.ask()["apart"]
        if apart > APART:
            raise SystemExit(f"{name}: the map is another picture, {apart:.3f} apart")
    found = in_turn(workers, rounds, {})
    for worker in workers.values():
        worker.close()
    print(f"{'':16} {'s':>7} {'cpu s':>7} {'peak MiB over the interpreter':>30}   rounds")
    for name, values in found.items():
        print(f"{name:16} {median(values['seconds']):7.3f} {median(values['processor']):7.3f} "
              f"{max(values['peak']):15.0f} (goal {GOAL_MIB})   {spread(values['seconds'])}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())

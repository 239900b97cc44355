"""Patches per second: from records in tiles against a loop over decoded pictures.

    python benchmarks/patches.py [--pictures 12] [--patches 400] [--rounds 3]

The peer is what a script does that keeps no records: it reads each picture's PNG file with OpenCV, cuts 1024x1024
pixels and resizes them to 512x512, in as many threads as there are cores. Ours is the training stream over records in
tiles of 512 pixels (`--tile 512`), as `mammo-tf run` has it: patches drawn by the plan, warped, batched. A second row
is the same stream over records that hold each picture whole, a last one the loop over pictures that all lie decoded in
memory (27 MB each), which no archive fits into. All sides see the same 16-bit pictures of 4096x3328 pixels, from the
page cache, in turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import machine

ROWS, COLUMNS, PATCH, QUICKER = 4096, 3328, 1024, 8  # --quick makes all three an eighth


def write_pictures(folder: Path, count: int, height: int, width: int) -> list[dict[str, object]]:
    """Breast-like pictures with texture, so that PNG files have a usual size."""
    folder.mkdir(parents=True)
    rows = []
    y, x = np.mgrid[:height, :width]
    inside = (((y - height / 2) / (0.42 * height)) ** 2 + (x / (0.7 * width)) ** 2) < 1
    for number in range(count):
        generator = np.random.default_rng(number)
        coarse = cv2.resize(
            generator.random((64, 52)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        noise = generator.normal(0, 0.01, (height, width)).astype(np.float32)
        picture = np.where(inside, 0.25 + 0.4 * coarse + noise, 0)
        cv2.imwrite(str(folder / f"{number}.png"), (np.clip(picture, 0, 1) * 4095).astype(np.uint16) * 16)
        rows.append({"image_id": str(number), "patient_id": str(number), "laterality": "L", "view": "CC",
                     "label": "normal", "path": f"{number}.png", "split": "train"})  # fmt: skip
    return rows


def ours(records: Any, plan: Any, patches: int) -> float:
    """Patches per second of the stream, its start (two batches) left out."""
    from mammo_tf.data import training_stream

    batches = iter(training_stream(records, plan, 16))
    for _ in range(2):
        next(batches)
    begun = time.perf_counter()
    for _ in range(patches // 16):
        next(batches)["image"].numpy()
    return patches // 16 * 16 / (time.perf_counter() - begun)


def read(folder: Path, number: int) -> np.ndarray:
    """A picture from its file."""
    return cv2.imread(str(folder / f"{number}.png"), cv2.IMREAD_UNCHANGED)


def peer(picture_of: Callable[[int], np.ndarray], places: list[tuple[int, int, int]], side: int) -> float:
    """Patches per second of the loop over pictures."""

    def one(place: tuple[int, int, int]) -> np.ndarray:
        number, top, left = place
        picture = picture_of(number)
        patch = picture[top : top + side, left : left + side]
        return cv2.resize(patch, (side // 2, side // 2), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 65535

    begun = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for _ in pool.map(one, places):
            pass
    return len(places) / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--patches", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="three pictures, one short round: only whether it runs")
    options = parser.parse_args()
    if options.quick:
        options.pictures, options.patches, options.rounds = 3, 32, 1
    print(machine("numpy", "tensorflow", "opencv-python-headless"))
    from mammo_tf.data import ImagePatches
    from mammo_tf.data.patch_sources import PatchGeometry, patch_sources
    from mammo_tf.imaging import Preprocessing
    from mammo_tf.records import open_records, prepare
    from mammo_tf.study import make_manifest

    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shrink = QUICKER if options.quick else 1
        rows, columns, side = ROWS // shrink, COLUMNS // shrink, PATCH // shrink
        manifest = make_manifest(write_pictures(folder / "pictures", options.pictures, rows, columns))
        steps = Preprocessing.preset("native", (rows, columns), mean=0.0, channels=1)
        plans = {}
        for name, tile in (("in tiles", 512 // shrink), ("whole", None)):
            prepare(manifest, folder / "pictures", folder / name, steps, tile=tile)
            records = open_records(folder / name)
            everyone = np.arange(len(records))
            sources = patch_sources(records, everyone, np.zeros_like(everyone), PatchGeometry(pixels=side))
            plans[name] = records, ImagePatches(sources, (side // 2, side // 2), samples=options.patches + 64)
        generator = np.random.default_rng(0)
        tops, lefts = (
            generator.integers(rows - side, size=options.patches),
            generator.integers(columns - side, size=options.patches),
        )
        places = [
            (number % options.pictures, top, left) for number, (top, left) in enumerate(zip(tops, lefts, strict=True))
        ]
        held = [read(folder / "pictures", number) for number in range(options.pictures)]
        found: dict[str, list[float]] = {"in tiles": [], "whole": [], "loop over PNG files": [], "loop over memory": []}
        for _ in range(options.rounds):
            for name, (records, plan) in plans.items():
                found[name].append(ours(records, plan, options.patches))
            some = places[: max(options.patches // 8, 16)]
            found["loop over PNG files"].append(peer(partial(read, folder / "pictures"), some, side))
            found["loop over memory"].append(peer(held.__getitem__, places, side))
        base = statistics.median(found["loop over PNG files"])
        for name, rates in found.items():
            middle = statistics.median(rates)
            print(
                f"{name:22} {middle:8.1f} patches/s ({min(rates):.1f} to {max(rates):.1f}), {middle / base:6.2f} times"
            )


if __name__ == "__main__":
    main()

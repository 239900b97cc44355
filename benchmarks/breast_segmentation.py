"""Breast and pectoral muscle against the expert masks of twelve films, beside a plain threshold.

    MAMMO_TF_REAL_DATA=FOLDER python benchmarks/breast_segmentation.py

IoU of the breast with the pectoral muscle, Dice of the muscle alone (0 where none was found), milliseconds on the film
enlarged to 4096 rows. The plain threshold is 20 of 255 and the largest part.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mammo_tf.imaging.breast import largest_part, segment, side_agrees
from mammo_tf.imaging.pectoral import pectoral

BACKGROUND, MUSCLE = 64, 255


def films(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, picture and label, uint8 `[rows, columns]` each."""
    for path in sorted((folder / "ddsm_tissue" / "images").glob("*.png")):
        label = folder / "ddsm_tissue" / "labels" / f"{path.stem}_LI.png"
        yield path.stem, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), cv2.imread(str(label), cv2.IMREAD_GRAYSCALE)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth)


def dice(mask: np.ndarray | None, truth: np.ndarray) -> float:
    if mask is None:
        return 0.0
    return 2 * np.count_nonzero(mask & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))


def measure(folder: Path) -> list[tuple[str, float, float, float, bool | None, float]]:
    """Per film: name, IoU, IoU of the threshold, Dice of the muscle, right breast hung as one, milliseconds."""
    table = []
    for name, picture, label in films(folder):
        mask = segment(picture)
        large = cv2.resize(picture, (picture.shape[1] * 4096 // picture.shape[0], 4096))
        start = time.perf_counter()
        segment(large)
        milliseconds = 1000 * (time.perf_counter() - start)
        plain = iou(largest_part(picture > 20), label > BACKGROUND)
        muscle = dice(pectoral(picture, mask), label == MUSCLE)
        row = (name, iou(mask, label > BACKGROUND), plain, muscle, side_agrees(mask, "R"), milliseconds)
        table.append(row)
    return table


def main() -> int:
    if "MAMMO_TF_REAL_DATA" not in os.environ:
        print("MAMMO_TF_REAL_DATA names no folder", file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    table = measure(Path(os.environ["MAMMO_TF_REAL_DATA"]))
    print(f"{'film':24} {'IoU':>6} {'plain':>6} {'muscle':>6} {'hung':>5} {'ms':>5}")
    for name, breast, plain, muscle, hung, milliseconds in table:
        print(f"{name:24} {breast:6.3f} {plain:6.3f} {muscle:6.3f} {hung!s:>5} {milliseconds:5.0f}")
    for what, which in (("mean", np.mean), ("worst", np.min)):
        breast, plain, muscle = (which([row[column] for row in table]) for column in (1, 2, 3))
        print(f"{what:24} {breast:6.3f} {plain:6.3f} {muscle:6.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Brightness along the skin: what sharpening and peripheral equalisation leave there, and its way between domains.

A vendor's filters see the black beside the breast, so they draw a rim along the skin, bright or dark, and even out the
breast's rounding. Curve and contrast by scale, which look at nothing but the breast, cannot undo that. Here depth is
told by the *surroundings* of a pixel: the share of breast in a Gaussian window, 0.5 at a straight skin line, near 1
deep inside, what lies beyond the picture's edge not counted. The statistic of a domain is how bright pictures are in
each part of depth; what a domain lacks against another is added. A wide window first, then a narrow one.

Surroundings are taken on a grid of cells of whole pixels, `CELLS` of them to a standard deviation, the definition for
NumPy and for the graph (`data/graph_periphery.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import erf, exp, sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.bands import checked

SCALES = (16.0, 4.0)  # of the windows in pixels, where their spacing is not known; the wide one first
SCALES_MM = (9.6, 2.4)
CELLS = 4  # at least, to a standard deviation
SMALLEST, LARGEST = 1.0, 500.0  # scales in pixels
TRUNCATED = 4  # standard deviations
ENDS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5)  # depth at which parts end, in standard deviations of the window
MIDDLES = (0.125, 0.375, 0.625, 0.875, 1.25, 1.75, 2.25)
DEEP = 3.0  # where nothing is added


def share(depth: float) -> float:
    """Of breast in the window of a pixel so many standard deviations inside a straight skin line."""
    return (1 + erf(depth / sqrt(2))) / 2


KNOTS = (*map(share, MIDDLES), share(DEEP))  # of surroundings, at which what is added is told


@dataclass(frozen=True)
class PeripheryStatistics:
    """Brightness along the skin of a domain.

    Attributes:
        scales: standard deviations of the windows in pixels, the widest first.
        levels: for each window the median over pictures of the mean grey value in each part, `[windows, parts]`.
        images: how many.

    Raises:
        MammoError: `scales_wrong`; `statistics_wrong` for numbers that no pictures can have.
    """

    scales: tuple[float, ...]
    levels: tuple[tuple[float, ...], ...]
    images: int

    def __post_init__(self) -> None:
        check_scales(self.scales)
        values = np.asarray(self.levels, np.float64) if len({*map(len, self.levels)}) == 1 else np.zeros(0)
        if values.shape != (len(self.scales), len(ENDS)) or not ((values >= 0) & (values <= 1)).all():
            sentence = f"brightness along the skin is not {len(self.scales)} times {len(ENDS)} numbers from 0 to 1"
            raise MammoError("statistics_wrong", sentence, "Make the statistics again")


def check_scales(scales: Sequence[float]) -> None:
    """Refuses windows that fall out of what is computed.

    Raises:
        MammoError: `scales_wrong`.
    """
    falling = all(one > two for one, two in zip(scales, scales[1:], strict=False))
    if not scales or not falling or not all(SMALLEST <= scale <= LARGEST for scale in scales):
        told = ", ".join(f"{scale:g}" for scale in scales) or "none"
        remedy = f"Give standard deviations in pixels, each below the one before, {LARGEST:g} to {SMALLEST:g}"
        raise MammoError("scales_wrong", f"the windows along the skin are {told}", remedy)


def cell_of(scale: float) -> int:
    """Pixels of a cell's side."""
    return max(1, int(scale / CELLS))


@lru_cache
def kernel_of(scale: float) -> tuple[float, ...]:
    """The Gaussian window over cells: an odd number of weights of sum 1, along rows and columns."""
    spread = scale / cell_of(scale)
    radius = int(TRUNCATED * spread + 0.5)
    weights = [exp(-(place**2) / (2 * spread**2)) for place in range(-radius, radius + 1)]
    return tuple(weight / sum(weights) for weight in weights)


def surroundings(mask: NDArray[np.bool_], scale: float) -> NDArray[np.float32]:
    """The share of breast in the window around each cell.

    Args:
        mask: bool `[rows, columns]`.
        scale: standard deviation of the window in pixels.

    Returns:
        float32 `[ceil(rows / cell), ceil(columns / cell)]`; a last cell that the picture fills in part counts in part.
    """
    cell, kernel = cell_of(scale), np.asarray(kernel_of(scale), np.float32)
    found = cv2.sepFilter2D(_cells(mask, cell), -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    rows, columns = (_of_the_picture(size, cell, kernel) for size in mask.shape)
    return np.asarray(found / (rows[:, None] * columns[None]), np.float32)


def _cells(mask: NDArray[np.bool_], cell: int) -> NDArray[np.float32]:
    """Means over cells, zeros beyond the picture's edge."""
    if cell == 1:
        return mask.astype(np.float32)
    below, beside = (-size % cell for size in mask.shape)
    wide = cv2.copyMakeBorder(mask.view(np.uint8), 0, below, 0, beside, cv2.BORDER_CONSTANT, value=0)
    size = (wide.shape[1] // cell, wide.shape[0] // cell)
    return np.asarray(cv2.resize(wide.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _of_the_picture(size: int, cell: int, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of the window around each cell is of the picture, along one side of it."""
    whole = np.ones(-(-size // cell), np.float32)
    whole[-1] = 1 - (-size % cell) / cell
    return np.convolve(np.pad(whole, len(kernel) // 2), kernel, "valid").astype(np.float32)


def _pixels(cells: NDArray[np.float32], cell: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Bilinear between the middles of cells, the outer ones reaching to the picture's edge."""
    if cell == 1:
        return cells
    size = (cells.shape[1] * cell, cells.shape[0] * cell)
    return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)[: shape[0], : shape[1]])


def profile(image: NDArray[Any], mask: NDArray[np.bool_], scale: float) -> list[float]:
    """The mean grey value of a picture in each part of depth; nan where it has none.

    Args:
        image: floats in [0, 1] `[rows, columns]`.
        mask: bool `[rows, columns]`.
        scale: of the window.

    Raises:
        MammoError: `mask_empty`, `mask_wrong`, `pixels_wrong`.
    """
    values, inside = checked(image, mask)
    if not inside.any():
        raise MammoError("mask_empty", "the mask is empty", "Leave the image out")
    depth = _pixels(surroundings(inside, scale), cell_of(scale), values.shape)[inside]
    part = np.digitize(depth, [share(end) for end in ENDS])
    counts = np.bincount(part, minlength=len(ENDS) + 1)[:-1]
    sums = np.bincount(part, values[inside].astype(np.float64), len(ENDS) + 1)[:-1]
    return [float(total / count) if count else float("nan") for total, count in zip(sums, counts, strict=True)]


def levels_of(
    images: Iterable[NDArray[Any]], masks: Iterable[NDArray[np.bool_]], scale: float
) -> tuple[float, ...] | None:
    """The median over pictures of `profile`; None where no picture has one of the parts: breasts are too small.

    Raises:
        MammoError: those of `profile`.
    """
    found = np.asarray([profile(image, mask, scale) for image, mask in zip(images, masks, strict=True)])
    return None if np.isnan(found).all(axis=0).any() else tuple(np.nanmedian(found, axis=0).tolist())


def add_levels(
    image: NDArray[Any], mask: NDArray[np.bool_], scales: Sequence[float], added: Sequence[Sequence[float]]
) -> NDArray[np.float32]:
    """A picture with so much added in each part of depth, straight between their middles, nothing deep inside.

    Args:
        image: floats in [0, 1] `[rows, columns]`.
        mask: bool `[rows, columns]`.
        scales: of the windows.
        added: for each window a number for each part.

    Returns:
        float32 `[rows, columns]`, clipped to [0, 1], 0 outside the mask.

    Raises:
        MammoError: `pixels_wrong`, `mask_wrong`.
    """
    values, inside = checked(image, mask)
    total: Any = values
    for scale, levels in zip(scales, added, strict=True):
        moved = np.interp(surroundings(inside, scale), KNOTS, (*levels, 0.0)).astype(np.float32)
        total = cv2.add(total, _pixels(moved, cell_of(scale), values.shape))
    total = cv2.threshold(cv2.threshold(total, 1.0, 0.0, cv2.THRESH_TRUNC)[1], 0.0, 0.0, cv2.THRESH_TOZERO)[1]
    return np.asarray(cv2.copyTo(total, inside.view(np.uint8)), np.float32)

"""Percent density by the steepest fall of the morphological area curve, the 34th feature of OpenBreast.

Formula and answers: `tests/golden/openbreast/README.md`, row 34.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError

LEVELS = 25
PIXEL_MM = (0.005, 5.0)  # least and most that the size of a mammogram's pixel may be: film at 0.04, phantoms up to 1.2
SKIN_MM = 8.0  # dense tissue is not looked for so near to the edge of the breast
LEAST_AREA_MM2 = 16.0
SMOOTHING = np.exp(-0.5 * (2.5 * np.arange(-2, 3) / 2) ** 2)


class Density(NamedTuple):
    """Dense tissue: its mask bool `[rows, columns]`, and its share of the breast in [0, 1]."""

    mask: NDArray[np.bool_]
    share: float


def check_pixel_size(spacing_mm: float | Sequence[float]) -> None:
    """Refuses sizes that no mammogram's pixel has: eroding by millimetres would take gigabytes, or do nothing.

    Args:
        spacing_mm: size of a pixel, or (row, column).

    Raises:
        MammoError: `spacing_wrong`.
    """
    least, most = PIXEL_MM
    sizes = np.atleast_1d(np.asarray(spacing_mm, np.float64))
    if not ((sizes >= least) & (sizes <= most)).all():
        told = " x ".join(f"{size:g}" for size in sizes)
        sentence = f"a pixel of {told} mm is none of a mammogram: from {least:g} to {most:g} mm is possible"
        raise MammoError("spacing_wrong", sentence, "Correct the size of a pixel")


def percent_density(
    pixels: NDArray[Any],
    mask: NDArray[np.bool_],
    spacing_mm: float,
    ordered: NDArray[np.float64] | None = None,
) -> Density:
    """Dense tissue in a breast.

    Args:
        pixels: numbers `[rows, columns]`, bright is dense.
        mask: bool `[rows, columns]`, the breast.
        spacing_mm: size of a pixel.
        ordered: the pixels of the mask in rising order, if they are at hand.

    Raises:
        MammoError: `spacing_wrong`.
    """
    check_pixel_size(spacing_mm)
    box = _with_rim(mask)
    near, inside = pixels[box], mask[box]
    values = np.sort(near[inside].astype(np.float64)) if ordered is None else ordered
    levels = np.linspace(values[0], values[-1], LEVELS)
    area = len(values) - np.searchsorted(values, levels, side="left")
    falls = np.convolve(np.diff(area), SMOOTHING, mode="same")
    dense = (near >= levels[int(np.argmin(falls)) + 1]) & inside
    dense &= _inner(inside, int(np.floor(2 * SKIN_MM / spacing_mm + 0.5)))
    dense = _without_small_parts(dense, np.floor(LEAST_AREA_MM2 / spacing_mm**2 + 0.5))
    whole = np.zeros_like(mask)
    whole[box] = dense
    return Density(whole, float(np.count_nonzero(dense) / np.count_nonzero(inside)))


def _with_rim(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Box of the mask with one pixel around it, where there is one: what erosion sees outside is then as outside."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2), slice(max(0, int(columns[0]) - 1), int(columns[-1]) + 2)


def _inner(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """The mask eroded by a square, for an even side from -(side/2 - 1) to side/2; outside counts as set."""
    if side < 2:
        return mask
    kernel = np.ones((side, side), np.uint8)
    anchor = ((side - 1) // 2, (side - 1) // 2)
    eroded = cv2.erode(mask.astype(np.uint8), kernel, anchor=anchor, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(eroded, np.bool_)


def _without_small_parts(mask: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    """Only the 8-connected parts of `least` pixels or more."""
    _, parts, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    kept = facts[:, cv2.CC_STAT_AREA] >= least
    kept[0] = False
    return np.asarray(kept[parts], np.bool_)

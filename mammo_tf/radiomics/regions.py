"""Where OpenBreast takes its features: inner breast, windows on a grid, largest square; and at which scale.

Answers and quirks: `tests/golden/openbreast/README.md`, "Versions". The retro-areolar region is not made here; its
features come from `features` with a mask of it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.radiomics.resampling import bicubic, nearest

INNER = 31


def inner_breast(mask: NDArray[np.bool_], side: int = INNER) -> NDArray[np.bool_]:
    """The mask eroded by a square of `side` pixels (odd), outside the picture counting as set.

    Args:
        mask: bool `[rows, columns]`.
        side: 31 in the public extractor, at 0.07 mm a pixel.
    """
    square = np.ones((side, side), np.uint8)
    eroded = cv2.erode(mask.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(eroded, np.bool_)


def standardised(pixels: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The picture less the mean inside the mask, over the standard deviation (n - 1) there."""
    inside = pixels[mask]
    return np.asarray((pixels - inside.mean()) / inside.std(ddof=1), np.float64)


def scaled(
    pixels: NDArray[np.float64], mask: NDArray[np.bool_], scale: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Picture and mask at another scale: bicubic, cut off at the old range, and nearest neighbour."""
    return np.clip(bicubic(pixels, scale), pixels.min(), pixels.max()), nearest(mask, scale)


def window_centres(mask: NDArray[np.bool_], spacing: int, side: int) -> NDArray[np.int64]:
    """Centres of the windows of a grid whose four corners lie in the mask; failing that, one at the mask's centroid.

    Args:
        mask: bool `[rows, columns]`, with a pixel at least.
        spacing: pixels between centres.
        side: of a window, odd.

    Returns:
        int64 `[windows, 2]`, x and y counted from 1, column after column.

    Raises:
        MammoError: `mask_empty`; `pixels_wrong` for a picture smaller than a window.
    """
    rows, columns = mask.shape
    reach = side // 2
    if side > min(rows, columns):
        raise MammoError("pixels_wrong", f"a window of {side} pixels does not fit into {rows}x{columns}")
    if not mask.any():
        raise MammoError("mask_empty", f"the mask of {rows}x{columns} is empty", "Leave the view out")
    x, y = np.meshgrid(np.arange(1, columns + 1, spacing), np.arange(1, rows + 1, spacing), indexing="ij")
    centres = np.stack([x.ravel(), y.ravel()], axis=1)
    fits = (centres > reach).all(axis=1) & (centres + reach <= [columns, rows]).all(axis=1)
    centres = centres[fits]
    corners = [mask[centres[:, 1] - 1 + dy, centres[:, 0] - 1 + dx] for dx in (-reach, reach) for dy in (-reach, reach)]
    valid = centres[np.logical_and.reduce(corners)] if len(centres) else centres
    if len(valid):
        return valid.astype(np.int64)
    middle = np.floor(np.argwhere(mask).mean(axis=0)[::-1] + 1.5)
    return np.clip(middle, 1 + reach, np.array([columns, rows]) - reach).astype(np.int64)[None]


def window(pixels: NDArray[np.float64], centre: NDArray[np.int64], side: int) -> NDArray[np.float64]:
    """The window of `side` (odd) pixels around a centre counted from 1."""
    x, y = centre - 1
    reach = side // 2
    return pixels[y - reach : y + reach + 1, x - reach : x + reach + 1]


def largest_square(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest square inside a mask, the leftmost among equals, one pixel longer than found, as in the public code.

    Where that pixel would lie outside the picture, it is left out; the public code enlarges the picture there.
    """
    fits, too_large = 0, min(mask.shape) + 1
    while too_large - fits > 1:
        side = (fits + too_large) // 2
        fits, too_large = (side, too_large) if _corners(mask, side).any() else (fits, side)
    found = np.zeros_like(mask)
    if fits:
        column, row = np.argwhere(_corners(mask, fits).T)[0]
        found[row : row + fits + 1, column : column + fits + 1] = True
    return found


def _corners(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """The upper left corners of squares of `side` pixels that lie in the mask."""
    square = np.ones((side, side), np.uint8)
    inside = cv2.erode(mask.astype(np.uint8), square, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(inside, np.bool_)

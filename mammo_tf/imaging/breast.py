"""Where the breast is in a picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def segment(pixels: NDArray[Any]) -> NDArray[np.bool_]:
    """The breast, pectoral muscle included.

    Args:
        pixels: `[rows, columns]`, bright is dense; floats in [0, 1], uint16 or uint8.

    Returns:
        bool `[rows, columns]`.
    """
    return segment_by_threshold(pixels, 0.08)


def segment_by_threshold(pixels: NDArray[Any], fraction: float = 0.05) -> NDArray[np.bool_]:
    """The largest part above a fraction of the picture's maximum, its holes filled.

    What the published patch sampling used (`golden/end2end`, `segment_breast`): fast, and misled by lettering.

    Args:
        pixels: `[rows, columns]`, any numbers from 0 up.
        fraction: of the maximum, compared on 255 levels with fractions cut off.

    Returns:
        bool `[rows, columns]`; all False for a black picture.
    """
    peak = pixels.max()
    if not peak > 0:
        return np.zeros(pixels.shape, np.bool_)
    eight_bit = (pixels.astype(np.float32) / np.float32(peak) * 255).astype(np.uint8)
    bright = (eight_bit > int(255 * fraction)).astype(np.uint8)
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(bright), [largest], 0, 1, -1).view(np.bool_)


def box(mask: NDArray[np.bool_], margin: float = 0.0) -> tuple[int, int, int, int]:
    """The smallest box around a mask, widened.

    Args:
        mask: bool `[rows, columns]`.
        margin: fraction of the box's height and width added on each side, cut off at the picture's edge.

    Returns:
        (top, bottom, left, right) to slice with; the whole picture where the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return (0, mask.shape[0], 0, mask.shape[1])
    return (
        *widened(int(rows[0]), int(rows[-1]) + 1, margin, mask.shape[0]),
        *widened(int(columns[0]), int(columns[-1]) + 1, margin, mask.shape[1]),
    )


def widened(start: int, stop: int, margin: float, size: int) -> tuple[int, int]:
    """A range widened on both sides by `margin` of its length (rounded half to even), kept within 0..size."""
    extra = int(np.rint((stop - start) * margin))
    return max(0, start - extra), min(size, stop + extra)

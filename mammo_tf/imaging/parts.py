"""Parts of a mask: the largest connected one, and what is left of them where a disc does not fit."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a mask, the first of equals; empty stays empty."""
    bits = mask.astype(np.uint8)
    outlines, nesting = cv2.findContours(bits, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines or np.count_nonzero(nesting[0, :, 3] < 0) == 1:  # the others are outlines of holes
        return mask.copy()
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(bits)
    return np.asarray(parts == 1 + np.argmax(statistics[1:, cv2.CC_STAT_AREA]))


def opened(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Opening with a disc; the picture continues beyond its edge as in a mirror, so tissue at the edge stays.

    The disc is OpenCV's ellipse, and the result that of OpenCV's opening: but whole masks are laid over one another,
    shifted by a row or a few columns of the disc, which takes a sixth of the time.

    Args:
        mask: bool `[rows, columns]`.
        radius: of the disc in pixels, rounded, 1 at least.
    """
    size = max(1, round(radius))
    pad = 2 * size + 1  # farther than a disc and a disc reach, so lines may run on into their neighbours there
    wide: NDArray[np.uint8] = np.asarray(
        cv2.copyMakeBorder(mask.astype(np.uint8), pad, pad, pad, pad, cv2.BORDER_REFLECT), np.uint8
    )
    left = _over_a_disc(np.bitwise_and, wide.ravel(), wide.shape[1], size)
    found = _over_a_disc(np.bitwise_or, left, wide.shape[1], size).reshape(wide.shape)
    return found[pad:-pad, pad:-pad].astype(np.bool_)


def _over_a_disc(combine: np.ufunc, pixels: NDArray[np.uint8], columns: int, size: int) -> NDArray[np.uint8]:
    """Each pixel combined with all in the disc around it, where that does not reach beyond the edge.

    Args:
        combine: `np.bitwise_and` erodes, `np.bitwise_or` dilates.
        pixels: uint8 `[rows x columns]`, line by line.
        columns: of the picture.
        size: radius of the disc.
    """
    found = run = pixels
    reach = 0  # how many columns to either side of its pixel `run` combines
    for down, half in reversed(list(enumerate(_half_widths(size)))):
        while reach < half:
            further = min(half - reach, 2 * reach + 1)
            run, reach = _combined(combine, run, run, further), reach + further
        found = _combined(combine, found, run, down * columns)
    return found


def _combined(combine: np.ufunc, first: NDArray[np.uint8], second: NDArray[np.uint8], shift: int) -> NDArray[np.uint8]:
    """A line of pixels with another that is shifted forwards and backwards; what is beyond its ends is left out."""
    found, stop = first.copy(), len(first) - shift
    combine(found[shift:], second[:stop], out=found[shift:])
    combine(found[:stop], second[shift:], out=found[:stop])
    return found


@lru_cache
def _half_widths(size: int) -> tuple[int, ...]:
    """Of OpenCV's ellipse from its middle row downwards: how far each row reaches to either side."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1))
    return tuple(int(count) // 2 for count in np.count_nonzero(disc[size:], axis=1))

"""One scale for every picture: p in [0, 1], bright is dense, held as round(65535 p) in 16 bits."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError

WHITE = 65535


def as_uint16(pixels: NDArray[Any]) -> NDArray[np.uint16]:
    """round(65535 p) as uint16; 8-bit pictures x 257.

    Args:
        pixels: `[rows, columns]`; floats in [0, 1], uint16 or uint8.

    Raises:
        MammoError: `pixels_wrong`.
    """
    pixels = np.asarray(pixels)
    check_pixels(pixels)
    if pixels.dtype == np.uint16:
        return pixels
    if pixels.dtype == np.uint8:
        return pixels * np.uint16(257)
    wide = np.ascontiguousarray(pixels if pixels.dtype in (np.float32, np.float64) else pixels.astype(np.float32))
    return rounded(wide, WHITE)


def rounded(values: NDArray[Any], factor: float) -> NDArray[np.uint16]:
    """Products, computed in float64, rounded half to even and clipped to uint16, in one pass.

    Args:
        values: float32 or float64 `[rows, columns]`, contiguous; below 2**31 / `factor`.
        factor: what they are multiplied by.
    """
    # OpenCV's stub knows no scalar factor, and OpenCV takes a single float64 pixel for a scalar: it gives four.
    product = cv2.multiply(values, float(factor), dtype=cv2.CV_16U)  # type: ignore[call-overload]
    return np.asarray(product[: len(values)])


def as_shares(picture: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The way back, float32 in [0, 1], whole multiples of 1/65535; `as_uint16` gives the same levels again."""
    return np.asarray(np.divide(picture, np.float32(WHITE), dtype=np.float32))


def white_of(pixels: NDArray[Any]) -> float:
    """The value of white in a picture of this type: 1, 65535 or 255."""
    return {"u1": 255.0, "u2": float(WHITE)}.get(pixels.dtype.str[1:], 1.0)


def check_pixels(pixels: NDArray[Any]) -> None:
    """Refuses what is not a picture.

    Raises:
        MammoError: `pixels_wrong` for another shape than `[rows, columns]`, another type than floats, uint16 or uint8,
            values outside [0, 1] or not finite.
    """
    if pixels.ndim != 2 or pixels.size == 0:
        raise MammoError("pixels_wrong", f"a picture has shape {pixels.shape}, not [rows, columns]")
    if pixels.dtype in (np.uint8, np.uint16):
        return
    if not np.issubdtype(pixels.dtype, np.floating):
        remedy = "Give floats in [0, 1], uint16 or uint8"
        raise MammoError("pixels_wrong", f"a picture is of type {pixels.dtype}", remedy)
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):
        raise MammoError("pixels_wrong", f"grey values run from {low:g} to {high:g}, not within [0, 1]")

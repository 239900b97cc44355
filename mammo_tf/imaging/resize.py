"""Resizing of 16-bit pictures: `cubic` as the published models had it, `area` for large reductions.

`cubic` is OpenCV's bicubic kernel (a = -0.75) with four taps an axis and no smoothing before a reduction: what the
legacy models were trained on (`golden/end2end`). Reduced 3.7 times, from 4096 x 3328 to 1152 x 896, it looks at four of
every 13 pixels and turns quantum noise and specks into a lottery; `area` is the mean over the pixels that an output
pixel covers, so the preset `default` uses it. An axis that grows under `area` is interpolated linearly.

Pixel centres: output index `i` lies at `(i + 0.5) * size_in / size_out - 0.5` of the input.
The only TensorFlow twin of this file is `mammo_tf/data/graph_preprocessing.py`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

METHODS = ("cubic", "area")


def resize(picture: NDArray[np.uint16], rows: int, columns: int, method: str) -> NDArray[np.uint16]:
    """The picture at another size; results are rounded half to even and clipped to the integer type.

    Args:
        picture: uint16 `[rows, columns]`.
        rows, columns: size of the result, 1 or more each.
        method: one of `METHODS`. The size that the picture has already: no resampling.

    Returns:
        uint16 `[rows, columns]`.
    """
    if picture.shape == (rows, columns):
        return picture
    if method == "cubic":
        return _opencv(picture, rows, columns, cv2.INTER_CUBIC)
    shrinks = (rows <= picture.shape[0], columns <= picture.shape[1])
    if all(shrinks):
        return _opencv(picture, rows, columns, cv2.INTER_AREA)
    if not any(shrinks):
        return _opencv(picture, rows, columns, cv2.INTER_LINEAR)
    first, second = (cv2.INTER_AREA, cv2.INTER_LINEAR) if shrinks[0] else (cv2.INTER_LINEAR, cv2.INTER_AREA)
    tall = _opencv(picture.astype(np.float32), rows, picture.shape[1], first)
    both = _opencv(tall, rows, columns, second)
    return np.clip(np.rint(both), 0, 65535).astype(np.uint16)


def resize_mask(mask: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.bool_]:
    """A mask at another size: the input pixel nearest to each output pixel's centre decides.

    Args:
        mask: bool `[rows, columns]`.
        rows, columns: size of the result.
    """
    row_index = _nearest(mask.shape[0], rows)
    column_index = _nearest(mask.shape[1], columns)
    return mask[row_index[:, None], column_index[None, :]]


def _nearest(size_in: int, size_out: int) -> NDArray[np.intp]:
    return np.minimum(((np.arange(size_out) + 0.5) * size_in / size_out).astype(np.intp), size_in - 1)


def _opencv(picture: NDArray[Any], rows: int, columns: int, interpolation: int) -> NDArray[Any]:
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (columns, rows), interpolation=interpolation))

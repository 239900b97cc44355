"""Resizing of 16-bit pictures: `cubic` as the published models had it, `area` for large reductions.

`cubic` is OpenCV's bicubic kernel (a = -0.75) with four taps an axis and no smoothing before a reduction: what the
legacy models were trained on (`golden/end2end`). Reduced 3.7 times, from 4096 x 3328 to 1152 x 896, it looks at four of
every 13 pixels and turns quantum noise and specks into a lottery; `area` is the mean over the pixels that an output
pixel covers, so the preset `default` uses it. An axis that grows under `area` is interpolated linearly.

Pixel centres: output index `i` lies at `(i + 0.5) * size_in / size_out - 0.5` of the input.
Everything is computed in float64 and rounded once, so the only TensorFlow twin of this file,
`mammo_tf/data/graph_preprocessing.py`, gives the same levels (OpenCV differs by one of 65535 levels in a
pixel of a thousand, which no twin can follow).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from mammo_tf.imaging.levels import rounded

METHODS = ("cubic", "area")
TIE = 2.0**20  # values are settled to a millionth of a level first, so that halves are halves in any order of adding
ROWS_AT_ONCE = 256  # of the picture: what becomes of them stays in the processor's cache
NEGLIGIBLE = 1e-3  # an overlap of so small a share of a pixel does not count, as in OpenCV


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
    down = _weights(picture.shape[0], rows, method)
    across = _weights(picture.shape[1], columns, method) * TIE  # a power of two changes no other bit
    small = np.empty((rows, columns), np.uint16)
    step = max(1, ROWS_AT_ONCE * rows // picture.shape[0])
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        weights, first, last = _part(down, start, stop)
        narrow = weights @ picture[first:last].astype(np.float64)
        settled = np.rint(across @ cv2.transpose(narrow))
        small[start:stop] = cv2.transpose(rounded(settled, 1 / TIE))
    return small


def _part(weights: sparse.csr_array, start: int, stop: int) -> tuple[sparse.csr_array, int, int]:
    """Rows of a matrix without the columns that are empty before and behind, and where these begin and end."""
    ends = weights.indptr[start : stop + 1]
    places = weights.indices[ends[0] : ends[-1]]
    first, last = int(places.min()), int(places.max()) + 1
    entries = (weights.data[ends[0] : ends[-1]], places - first, ends - ends[0])
    return sparse.csr_array(entries, shape=(stop - start, last - first)), first, last


def _weights(size_in: int, size_out: int, method: str) -> sparse.csr_array:
    """The matrix that resamples one axis, float64 `[size_out, size_in]`, a few entries a row."""
    index, weight = (_cubic_taps if method == "cubic" else _area_taps)(size_in, size_out)
    place = np.repeat(np.arange(size_out), index.shape[1])
    entries = (weight.ravel(), (place, np.clip(index, 0, size_in - 1).ravel()))
    return sparse.csr_array(entries, shape=(size_out, size_in))


def _cubic_taps(size_in: int, size_out: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """OpenCV's bicubic kernel, a = -0.75: places and weights `[size_out, 4]`; the edge's pixel is repeated."""
    a = -0.75
    place = (np.arange(size_out) + 0.5) * (size_in / size_out) - 0.5
    first = np.floor(place)
    x = place - first
    before = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    left = ((a + 2) * x - (a + 3)) * x * x + 1
    right = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1
    weight = np.stack([before, left, right, 1 - before - left - right], axis=1)
    return first.astype(np.int64)[:, None] + np.arange(-1, 3), weight


def _area_taps(size_in: int, size_out: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The share of each input pixel in an output pixel, or linear interpolation where the axis grows."""
    ratio = size_in / size_out
    output = np.arange(size_out, dtype=np.float64)[:, None]
    taps = np.arange(int(np.ceil(ratio)) + 1, dtype=np.float64)[None]
    if ratio >= 1:
        index = np.floor(output * ratio) + taps
        overlap = np.minimum((output + 1) * ratio, index + 1) - np.maximum(output * ratio, index)
        return index.astype(np.int64), np.where(overlap > NEGLIGIBLE, overlap, 0.0) / ratio
    place = (output + 0.5) * ratio - 0.5
    index = np.floor(place) + taps
    return index.astype(np.int64), np.maximum(0.0, 1.0 - np.abs(place - index))


def resize_mask(mask: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.bool_]:
    """A mask at another size: the input pixel nearest to each output pixel's centre decides.

    Args:
        mask: bool `[rows, columns]`.
        rows, columns: size of the result.
    """
    row_index = _nearest(mask.shape[0], rows)
    column_index = _nearest(mask.shape[1], columns)
    return mask.take(row_index, 0).take(column_index, 1)


def _nearest(size_in: int, size_out: int) -> NDArray[np.intp]:
    return np.minimum(((np.arange(size_out) + 0.5) * size_in / size_out).astype(np.intp), size_in - 1)

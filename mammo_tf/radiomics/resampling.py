"""Bicubic resizing as MATLAB's `imresize` does it, in which OpenBreast's formulae are written.

It is another kernel than OpenCV's (a = -1/2, widened when the picture shrinks), so it has a place of its own next to
`imaging.resize`.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

WHOLE = (slice(None), slice(None))


def bicubic(
    picture: NDArray[Any],
    scale: float | tuple[int, int],
    antialias: bool = True,
    levels: int | None = None,
    part: tuple[slice, slice] = WHOLE,
) -> NDArray[np.float64]:
    """A picture at another scale or size.

    Args:
        picture: `[rows, columns]`.
        scale: of the result, whose size is rounded up; or the result's (rows, columns), from which each axis takes a
            scale of its own, as MATLAB does.
        antialias: widen the kernel by 1/scale when shrinking.
        levels: round to integers 0..levels-1 after each axis, as MATLAB does with integer pictures.
        part: rows and columns of the result that are wanted; only what reaches into them is looked at.

    Returns:
        float64 `[ceil(rows x scale), ceil(columns x scale)]`, or that part of it.
    """
    shape = picture.shape
    if isinstance(scale, tuple):
        sizes, scales = scale, (scale[0] / shape[0], scale[1] / shape[1])
    else:
        sizes, scales = (ceil(shape[0] * scale), ceil(shape[1] * scale)), (scale, scale)
    weights = [_weights(shape[axis], sizes[axis], scales[axis], antialias)[part[axis]] for axis in (0, 1)]
    # a part of the rows needs all that reaches into them, and nothing else
    reach = [slice(int(one.indices.min()), int(one.indices.max()) + 1) for one in weights]
    result = np.ascontiguousarray(picture[reach[0], reach[1]], np.float64)
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):
        one = weights[axis][:, reach[axis]]
        result = one @ result if axis == 0 else (one @ result.T).T
        if levels is not None:
            np.floor(np.add(result, 0.5, out=result), out=result)
            np.clip(result, 0, levels - 1, out=result)
    return result


def nearest(mask: NDArray[np.bool_], scale: float) -> NDArray[np.bool_]:
    """A mask at another scale: the pixel floor((k - 0.5) / scale) + 1, counted from 1, decides."""
    rows, columns = (
        np.minimum(((np.arange(ceil(size * scale)) + 0.5) / scale).astype(np.intp), size - 1) for size in mask.shape
    )
    return mask[rows[:, None], columns[None]]


def _weights(size: int, result: int, scale: float, antialias: bool) -> sparse.csr_array:
    """The matrix of one axis, float64 `[result, size]`; edges are mirrored about the half point."""
    stretch = min(scale, 1.0) if antialias else 1.0
    width = 4.0 / stretch
    centre = (np.arange(1, result + 1)) / scale + 0.5 * (1 - 1 / scale)
    first = np.floor(centre - width / 2)
    place = first[:, None] + np.arange(ceil(width) + 2)
    weight = stretch * _cubic(stretch * (centre[:, None] - place))
    weight /= weight.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(size), np.arange(size)[::-1]])
    index = mirrored[(place.astype(np.int64) - 1) % (2 * size)]
    kept = weight != 0
    rows = np.broadcast_to(np.arange(result)[:, None], place.shape)
    return sparse.csr_array((weight[kept], (rows[kept], index[kept])), shape=(result, size))


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -1/2."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))

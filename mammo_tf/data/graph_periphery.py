"""Brightness along the skin in the graph: the TensorFlow twin of `imaging.periphery.add_levels`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from mammo_tf.imaging.periphery import KNOTS, cell_of, kernel_of

Tensor = Any


@tf.autograph.experimental.do_not_convert  # nothing here needs it
def add_levels(values: Tensor, masks: Tensor, scales: Sequence[float], added: Sequence[Sequence[float]]) -> Tensor:
    """Pictures with so much added in each part of depth.

    Args:
        values: float32 `[batch, rows, columns]` in [0, 1].
        masks: bool `[batch, rows, columns]`.
        scales, added: as there.

    Returns:
        float32 `[batch, rows, columns]`, clipped to [0, 1], 0 outside the masks.
    """
    total, inside = tf.cast(values, tf.float32), tf.cast(masks, tf.float32)
    rows, columns = tf.unstack(tf.shape(inside)[1:])
    for scale, levels in zip(scales, added, strict=True):
        cell = cell_of(scale)
        moved = _between(_surroundings(inside, scale, cell), (*levels, 0.0))
        if cell > 1:
            size = tf.shape(moved)[1:3] * cell
            moved = tf.image.resize(moved[..., None], size, "bilinear")[:, :rows, :columns, 0]
        total += moved
    return tf.where(masks, tf.clip_by_value(total, 0.0, 1.0), 0.0)


def _surroundings(inside: Tensor, scale: float, cell: int) -> Tensor:
    kernel = kernel_of(scale)
    found, whole = (_blurred(_cells(part, cell), kernel) for part in (inside, tf.ones_like(inside[:1])))
    return found / whole


def _cells(values: Tensor, cell: int) -> Tensor:
    if cell == 1:
        return values
    shape = tf.shape(values)
    rows, columns = (-(-shape[axis] // cell) for axis in (1, 2))
    wide = tf.pad(values, [[0, 0], [0, rows * cell - shape[1]], [0, columns * cell - shape[2]]])
    return tf.reduce_mean(tf.reshape(wide, [shape[0], rows, cell, columns, cell]), axis=(2, 4))


def _blurred(values: Tensor, kernel: Sequence[float]) -> Tensor:
    """The kernel along rows and along columns, zeros beyond the edge; sums of shifted pictures, exact on any device."""
    radius = len(kernel) // 2
    for axis in (1, 2):
        size = tf.shape(values)[axis]
        wide = tf.pad(values, [[radius, radius] if number == axis else [0, 0] for number in range(3)])
        parts = [_part(wide, axis, tap, size) * weight for tap, weight in enumerate(kernel)]
        values = tf.add_n(parts)
    return values


def _part(values: Tensor, axis: int, start: int, size: Tensor) -> Tensor:
    part = slice(start, start + size)
    return values[:, part] if axis == 1 else values[:, :, part]


def _between(shares: Tensor, levels: Sequence[float]) -> Tensor:
    """Straight lines between the levels at `KNOTS`, level beyond them."""
    total: Tensor = tf.fill(tf.shape(shares), tf.constant(levels[0], tf.float32))
    for low, high, here, there in zip(KNOTS, KNOTS[1:], levels, levels[1:], strict=False):
        total += (tf.clip_by_value(shares, low, high) - low) * ((there - here) / (high - low))
    return total

"""Resizing in the graph: the TensorFlow twin of `imaging.resize`.

Gathers the taps of each output row, weighs and adds them, and does the same for columns: what two banded matrix
products would do, without the zeros. It is computed in float64, as the NumPy twin does: the levels of both are then the
same.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mammo_tf.imaging.levels import WHITE
from mammo_tf.imaging.resize import NEGLIGIBLE, TIE

Tensor = Any


def nearest(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`[rows, columns]` of anything: the input pixel nearest to each output pixel's centre, as `resize_mask`."""

    def places(size_in: Tensor, size_out: Tensor) -> Tensor:
        centres = (tf.range(tf.cast(size_out, tf.float64), dtype=tf.float64) + 0.5) * tf.cast(size_in, tf.float64)
        return tf.minimum(tf.cast(centres / tf.cast(size_out, tf.float64), tf.int32), size_in - 1)

    height, width = tf.unstack(tf.shape(values))
    return tf.gather(tf.gather(values, places(height, rows)), places(width, columns), axis=1)


def scaled(values: Tensor, rows: Tensor, columns: Tensor, method: str, levels: int) -> Tensor:
    """Levels 0..65535 resized at `levels` + 1 whole levels, back on 0..65535; untouched where the size is right."""

    def resampled() -> Tensor:
        unit = WHITE // levels
        whole = tf.cast(tf.round(values / unit), tf.float64)
        down = _along_rows(whole, rows, method)
        across = tf.transpose(_along_rows(tf.transpose(down), columns, method))
        settled = tf.round(across * TIE) / TIE
        return tf.cast(tf.clip_by_value(tf.round(settled), 0.0, float(levels)), tf.float32) * unit

    right = tf.reduce_all(tf.shape(values) == tf.stack([rows, columns]))
    return tf.cond(right, lambda: tf.identity(values), resampled)


def _along_rows(values: Tensor, size: Tensor, method: str) -> Tensor:
    """The first axis of float64 `[rows, columns]` resampled to `size`: taps gathered, weighed, added one by one."""
    index, weight = (_cubic_taps if method == "cubic" else _area_taps)(tf.shape(values)[0], size)
    columns = tf.shape(values)[1]

    def add(tap: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        return tap + 1, total + tf.gather(values, index[:, tap]) * weight[:, tap, None]

    start = (tf.constant(0), tf.zeros(tf.stack([size, columns]), tf.float64))
    shapes = (tf.TensorShape([]), tf.TensorShape([None, None]))
    return tf.while_loop(lambda tap, _: tap < tf.shape(index)[1], add, start, shapes)[1]


def _cubic_taps(size_in: Tensor, size_out: Tensor) -> tuple[Tensor, Tensor]:
    """OpenCV's bicubic kernel, a = -0.75: int32 and float64 `[size_out, 4]`; the edge's pixel is repeated."""
    a = -0.75
    ratio = tf.cast(size_in, tf.float64) / tf.cast(size_out, tf.float64)
    place = (tf.range(tf.cast(size_out, tf.float64), dtype=tf.float64) + 0.5) * ratio - 0.5
    first = tf.floor(place)
    x = place - first
    before = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    left = ((a + 2) * x - (a + 3)) * x * x + 1
    right = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1
    weight = tf.stack([before, left, right, 1 - before - left - right], axis=1)
    index = tf.cast(first, tf.int32)[:, None] + tf.range(-1, 3)
    return tf.clip_by_value(index, 0, size_in - 1), weight


def _area_taps(size_in: Tensor, size_out: Tensor) -> tuple[Tensor, Tensor]:
    """The share of each input pixel in an output pixel, or linear interpolation where the axis grows.

    As in OpenCV, an overlap of a thousandth of a pixel or less does not count.
    """
    ratio = tf.cast(size_in, tf.float64) / tf.cast(size_out, tf.float64)
    output = tf.range(tf.cast(size_out, tf.float64), dtype=tf.float64)[:, None]
    taps = tf.range(tf.cast(tf.math.ceil(ratio), tf.float64) + 1, dtype=tf.float64)[None]
    place = (output + 0.5) * ratio - 0.5
    shrinks = ratio >= 1.0
    index = tf.where(shrinks, tf.floor(output * ratio), tf.floor(place)) + taps
    overlap = tf.minimum((output + 1) * ratio, index + 1) - tf.maximum(output * ratio, index)
    area = tf.where(overlap > NEGLIGIBLE, overlap, tf.zeros_like(overlap)) / ratio
    linear = tf.nn.relu(1.0 - tf.abs(place - index))
    index = tf.clip_by_value(tf.cast(index, tf.int32), 0, size_in - 1)
    return index, tf.where(shrinks, area, linear)

"""Contrast by scale in the graph: the TensorFlow twin of `imaging.bands.apply_gains`.

The same levels and kernels of `imaging.blur_plan`, on whole pictures of a size that is known only when it runs. Sums of
shifted pictures, which are exact in float32 on every device, where convolutions need not be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from mammo_tf.imaging.bands import blur_weights
from mammo_tf.imaging.blur_plan import TINY, plan

Tensor = Any


@tf.autograph.experimental.do_not_convert  # nothing here needs it, and it takes most of the time of tracing
def apply_gains(values: Tensor, masks: Tensor, scales: Sequence[float], gains: Sequence[float]) -> Tensor:
    """Residue + sum of gain x band, clipped to [0, 1].

    Args:
        values: float32 `[batch, rows, columns]` in [0, 1]; what lies outside the masks does not matter.
        masks: bool `[batch, rows, columns]`.
        scales: standard deviations of the blurs in pixels, rising.
        gains: from 0 up, one for each scale.

    Returns:
        float32 `[batch, rows, columns]`, 0 outside the masks.

    Raises:
        MammoError: `scales_wrong`, `gains_wrong`.
    """
    own, *weights = blur_weights(scales, gains)
    blurs = [(blur, weight) for blur, weight in zip(plan(tuple(scales)), weights, strict=True) if weight]
    depth = max((blur.level for blur, _ in blurs), default=0)
    values = tf.where(masks, tf.cast(values, tf.float32), 0.0)
    rows, columns = tf.unstack(tf.shape(values)[1:])
    margin = 2 * 2**depth
    framed = [[0, 0], *([margin, margin + tf.math.floormod(-size, 2**depth)] for size in (rows, columns))]
    levels = [tf.pad(tf.concat([values, tf.cast(masks, tf.float32)], 0), framed)]  # pictures, then masks
    for _ in range(depth):
        levels.append(down(levels[-1]))
    total: Tensor = 0.0
    for number in range(depth, -1, -1):
        if number < depth:
            above = tf.split(levels[number + 1], 2)[1]
            total = _quotient(up(tf.concat([total * above, above], 0)))
        for blur, weight in blurs:
            if blur.level == number:
                total += _quotient(_blurred(levels[number], blur.kernel)) * weight
    values *= own
    if blurs:
        values += total[:, margin : margin + rows, margin : margin + columns]
    return tf.where(masks, tf.clip_by_value(values, 0.0, 1.0), 0.0)


def _quotient(both: Tensor) -> Tensor:
    """The first half of a batch divided by the second, which is of masks."""
    values, masks = tf.split(both, 2)
    return values / tf.maximum(masks, TINY)


def _blurred(values: Tensor, kernel: Sequence[float]) -> Tensor:
    """The kernel along rows and along columns of `[batch, rows, columns]`, zeros beyond the edge."""
    radius = len(kernel) // 2
    for axis in (1, 2):
        wide = _padded(values, axis, radius)
        parts = [values * kernel[radius]]
        for tap in range(radius):
            other = 2 * radius - tap
            parts.append((_part(wide, axis, tap, -other) + _part(wide, axis, other, -tap)) * kernel[tap])
        values = tf.add_n(parts)
    return values


def down(values: Tensor) -> Tensor:
    """Float32 `[batch, rows, columns]` of even sizes to half of them, as `cv2.pyrDown`; zeros beyond the edge."""
    for axis in (1, 2):
        shape = tf.unstack(tf.shape(values))
        shape[axis : axis + 1] = [shape[axis] // 2, 2]
        even, odd = tf.unstack(tf.reshape(values, tf.stack(shape)), axis=axis + 1)
        before = _part(_padded(odd, axis, 1), axis, 0, -2)
        beside = _padded(even, axis, 1)
        beside = _part(beside, axis, 0, -2) + _part(beside, axis, 2, 0)
        values = even * 0.375 + (before + odd) * 0.25 + beside * 0.0625
    return values


def up(values: Tensor) -> Tensor:
    """Float32 `[batch, rows, columns]` to twice the size, as `cv2.pyrUp`; zeros beyond the edge."""
    for axis in (1, 2):
        wide = _padded(values, axis, 1)
        before, after = _part(wide, axis, 0, -2), _part(wide, axis, 2, 0)
        both = tf.stack([values * 0.75 + (before + after) * 0.125, (values + after) * 0.5], axis=axis + 1)
        shape = tf.unstack(tf.shape(values))
        shape[axis] *= 2
        values = tf.reshape(both, tf.stack(shape))
    return values


def _padded(values: Tensor, axis: int, width: int) -> Tensor:
    return tf.pad(values, [[width, width] if number == axis else [0, 0] for number in range(3)])


def _part(values: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """From `start` on, without the last `-stop`."""
    part = slice(start, stop or None)
    return values[:, part] if axis == 1 else values[:, :, part]

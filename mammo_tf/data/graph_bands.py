"""Contrast by scale in the graph: the TensorFlow twin of `imaging.bands.apply_gains`.

The same levels and kernels of `imaging.blur_plan`, on whole pictures of any size known only when it runs. Sums of shifted
pictures alone, which every loader of SavedModels has.
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
    shape = tf.shape(values)
    values = tf.where(masks, tf.cast(values, tf.float32), 0.0)
    unit = 2**depth
    framed = [[0, 0], *([2 * unit, 2 * unit + tf.math.floormod(-shape[axis], unit)] for axis in (1, 2))]
    levels = [tuple(tf.pad(part, framed) for part in (values, tf.cast(masks, tf.float32)))]
    for _ in range(depth):
        levels.append(tuple(_down(part) for part in levels[-1]))
    total: Tensor = None
    for number in range(depth, -1, -1):
        picture, mask = levels[number]
        if total is not None:
            above = levels[number + 1][1]
            total = _up(total * above) / tf.maximum(_up(above), TINY)
        elif number == 0 or not blurs:
            total = tf.zeros_like(picture)
        for blur, weight in blurs:
            if blur.level == number:
                quotient = _blurred(picture, blur.kernel) / tf.maximum(_blurred(mask, blur.kernel), TINY)
                total = quotient * weight if total is None else total + quotient * weight
    total = total[:, 2 * unit : 2 * unit + shape[1], 2 * unit : 2 * unit + shape[2]] + values * own
    return tf.where(masks, tf.clip_by_value(total, 0.0, 1.0), 0.0)


def _blurred(values: Tensor, kernel: Sequence[float]) -> Tensor:
    """The kernel along rows and along columns of `[batch, rows, columns]`, zeros beyond the edge."""
    radius = len(kernel) // 2
    for axis in (1, 2):
        wide = _padded(values, axis, radius, radius)
        size = tf.shape(values)[axis]

        def shifted(tap: int, wide: Tensor = wide, axis: int = axis, size: Tensor = size) -> Tensor:
            return wide[:, tap : tap + size] if axis == 1 else wide[:, :, tap : tap + size]

        parts = [values * kernel[radius]]
        parts += [(shifted(tap) + shifted(2 * radius - tap)) * kernel[tap] for tap in range(radius)]
        values = tf.add_n(parts)
    return values


def _down(values: Tensor) -> Tensor:
    """As `cv2.pyrDown`, of even sizes."""
    for axis in (1, 2):
        wide = _padded(values, axis, 2, 2)
        size = tf.shape(values)[axis]
        first, second, third, fourth, fifth = (
            wide[:, tap : tap + size : 2] if axis == 1 else wide[:, :, tap : tap + size : 2] for tap in range(5)
        )
        values = third * 0.375 + (second + fourth) * 0.25 + (first + fifth) * 0.0625
    return values


def _up(values: Tensor) -> Tensor:
    """As `cv2.pyrUp`."""
    for axis in (1, 2):
        wide = _padded(values, axis, 1, 1)
        before, after = (wide[:, :-2], wide[:, 2:]) if axis == 1 else (wide[:, :, :-2], wide[:, :, 2:])
        both = tf.stack([values * 0.75 + (before + after) * 0.125, (values + after) * 0.5], axis=axis + 1)
        shape = tf.shape(values)
        values = tf.reshape(both, [shape[0], shape[1] * (3 - axis), shape[2] * axis])
    return values


def _padded(values: Tensor, axis: int, before: int, after: int) -> Tensor:
    return tf.pad(values, [[before, after] if number == axis else [0, 0] for number in range(3)])

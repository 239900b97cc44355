"""How far pictures lie from a training domain, in the graph: the TensorFlow twin of `imaging.domain_distance`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mammo_tf.data.graph_bands import down, up
from mammo_tf.imaging.domain_distance import COVERED, LEAST, OCTAVES, TINY, DomainDistance

Tensor = Any


@tf.autograph.experimental.do_not_convert
def distances(domain: DomainDistance, pictures: Tensor) -> Tensor:
    """Mahalanobis' distance of each picture, float32 `[batch]`.

    Args:
        domain: what it is measured by.
        pictures: float32 `[batch, rows, columns]` in [0, 1], black outside the breast.
    """
    inside = pictures > 0
    pictures = tf.where(inside, pictures, 0.0)
    counts = tf.cast(tf.maximum(tf.math.count_nonzero(inside, [1, 2]), 1), tf.float64)
    shares = [
        tf.cast(tf.math.count_nonzero(inside & (pictures <= tf.constant(level, tf.float32)), [1, 2]), tf.float64)
        for level in domain.levels
    ]
    parts = [share / counts for share in shares] + [
        tf.math.log(tf.maximum(tf.cast(size, tf.float64), tf.constant(LEAST, tf.float64)))
        for size in _band_sizes(pictures, tf.cast(inside, tf.float32))
    ]
    apart = tf.stack(parts, axis=1) - tf.constant(domain.mean, tf.float64)
    squares = tf.reduce_sum(tf.matmul(apart, tf.constant(domain.precision, tf.float64)) * apart, axis=1)
    return tf.cast(tf.sqrt(tf.maximum(squares, tf.constant(0.0, tf.float64))), tf.float32)


def _band_sizes(pictures: Tensor, weights: Tensor) -> list[Tensor]:
    unit = 2**OCTAVES
    margin = 2 * unit
    rows, columns = tf.unstack(tf.shape(pictures)[1:])
    frame = [[0, 0], *([margin, margin + tf.math.floormod(-size, unit)] for size in (rows, columns))]
    both = tf.pad(tf.concat([pictures, weights], 0), frame)
    sizes = []
    for _ in range(OCTAVES):
        below = down(both)
        level, weight = tf.split(both, 2)
        rough, lighter = tf.split(up(below), 2)
        band = tf.abs(level / tf.maximum(weight, TINY) - rough / tf.maximum(lighter, TINY))
        covered = weight >= COVERED
        sums = tf.reduce_sum(tf.where(covered, band, 0.0), [1, 2])
        sizes.append(sums / tf.cast(tf.maximum(tf.math.count_nonzero(covered, [1, 2]), 1), tf.float32))
        both = below
    return sizes

"""Where the breast is, in the graph: the TensorFlow twin of `imaging.breast.segment`.

The same steps on the same reduced picture with the same constants; structuring elements and kernels are OpenCV's own.
Parts are told apart by spreading the largest index along the runs of rows and columns until nothing changes, which
takes about a dozen rounds for a breast. Plain operations alone, which every loader of SavedModels has.

OpenCV and TensorFlow round blurred values differently, so that single pixels of an outline may differ;
`benchmarks/breast_in_graph.py` measures how many.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.data.graph_resize import nearest, scaled
from mammo_tf.imaging import breast
from mammo_tf.imaging.levels import WHITE

Tensor = Any
OTSU_LEAST = 1.1920929e-07  # of the pixels: FLT_EPSILON of OpenCV


@tf.autograph.experimental.do_not_convert  # nothing here needs it, and it takes most of the time of tracing
def segment(values: Tensor) -> Tensor:
    """The breast, pectoral muscle included.

    Args:
        values: float32 `[rows, columns]`, whole levels 0..65535, bright is dense.

    Returns:
        bool `[rows, columns]`, one part without holes; all False where nothing stands out.
    """
    size = tf.shape(values)
    small = _blurred(_reduced(values))
    white = _percentile(tf.reshape(small, [-1]), 99)
    white = tf.where(white > 0, white, tf.reduce_max(small))
    rows, columns = tf.unstack(tf.shape(small))
    stored = nearest(values, rows, columns) / tf.constant(WHITE, tf.float32)
    nothing = tf.zeros(tf.shape(small), tf.bool)
    mask = tf.cond(white > 0, lambda: _inside(small / white, stored / white), lambda: nothing)
    large = tf.image.resize(tf.cast(mask, tf.float32)[..., None], size)[..., 0]
    return large > 127.4 / 255  # OpenCV rounds to 8 bits before it compares


def box(mask: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(top, bottom, left, right) of a mask that is not empty, as `imaging.breast.box`: int32 `[]` each."""
    height, width = tf.unstack(tf.shape(mask))
    top, bottom = widened(tf.where(tf.reduce_any(mask, 1)), margin, height)
    left, right = widened(tf.where(tf.reduce_any(mask, 0)), margin, width)
    return top, bottom, left, right


def widened(places: Tensor, margin: float, size: Tensor) -> tuple[Tensor, Tensor]:
    """From the first to one past the last of some places `[n, 1]`, as `imaging.breast.widened`: int32 `[]` each."""
    start, stop = tf.cast(places[0, 0], tf.int32), tf.cast(places[-1, 0], tf.int32) + 1
    extra = tf.cast(tf.round(tf.cast(stop - start, tf.float64) * margin), tf.int32)
    return tf.maximum(0, start - extra), tf.minimum(size, stop + extra)


def _inside(view: Tensor, stored: Tensor) -> Tensor:
    top, bottom, left, right = _field(view)
    nothing = tf.zeros(tf.shape(view), tf.bool)
    empty = tf.logical_or(bottom <= top, right <= left)
    return tf.cond(empty, lambda: nothing, lambda: _within(view, stored, top, bottom, left, right))


def _within(view: Tensor, stored: Tensor, top: Tensor, bottom: Tensor, left: Tensor, right: Tensor) -> Tensor:
    inner = view[top:bottom, left:right]
    background, white = _background_level(inner), _percentile(tf.reshape(inner, [-1]), 99)
    span = white - background
    dark = stored[top:bottom, left:right]
    dark = tf.boolean_mask(dark, dark < background + breast.RISE * span)
    commonest = tf.reduce_max(tf.concat([[0], tf.unique_with_counts(dark)[2]], 0))
    flat = tf.cast(commonest, tf.float32) > breast.FLAT * tf.cast(tf.size(dark), tf.float32)
    threshold = background + tf.where(flat, breast.RISE_FLAT, breast.RISE) * span

    def outlined() -> Tensor:
        upper, lower = _through_the_dark(view[:, left:right], top, bottom, threshold)
        first, last = _through_the_dark(tf.transpose(view[upper:lower]), left, right, threshold)
        bright = _largest_part(_opened(view[upper:lower, first:last] > threshold, breast.BRIDGE * breast.ROWS))
        part = _largest_part(_opened(_filled(bright), breast.SMOOTH * breast.ROWS))
        return _placed(part, upper, first, tf.shape(view))

    whole = tf.ones(tf.stack([bottom - top, right - left]), tf.bool)
    fills = background > breast.LIGHT_BACKGROUND * white
    return tf.cond(fills, lambda: _placed(whole, top, left, tf.shape(view)), outlined)


def _placed(part: Tensor, top: Tensor, left: Tensor, shape: Tensor) -> Tensor:
    height, width = tf.unstack(tf.shape(part))
    return tf.pad(part, [[top, shape[0] - top - height], [left, shape[1] - left - width]])


# Pieces, each as its namesake in `imaging.breast`


def _reduced(values: Tensor) -> Tensor:
    height, width = tf.unstack(tf.shape(values))
    step = tf.maximum(1, height // (2 * breast.ROWS))
    columns = tf.cast(tf.round(tf.cast(width * breast.ROWS, tf.float64) / tf.cast(height, tf.float64)), tf.int32)
    thinned = tf.ensure_shape(values[::step, ::step], [None, None])
    size = tf.stack([breast.ROWS, tf.maximum(1, columns)])
    small = tf.cond(
        tf.reduce_all(tf.shape(thinned) >= size),
        lambda: scaled(thinned, size[0], size[1], "area", WHITE),
        lambda: tf.round(tf.transpose(_grown(tf.transpose(_grown(thinned, size[0])), size[1]))),
    )
    return small / tf.constant(WHITE, tf.float32)


def _grown(values: Tensor, size_out: Tensor) -> Tensor:
    """The first axis at another size as OpenCV's `INTER_AREA` has it where a picture grows along one axis or both."""
    size_in = tf.shape(values)[0]
    ratio = tf.cast(size_in, tf.float64) / tf.cast(size_out, tf.float64)
    place = tf.range(tf.cast(size_out, tf.float64), dtype=tf.float64)
    first = tf.floor(place * ratio)
    share = tf.maximum(0.0, tf.cast(place + 1 - (first + 1) / ratio, tf.float32))
    share = (share - tf.floor(share))[:, None]
    index = tf.cast(first, tf.int32)
    following = tf.gather(values, tf.minimum(index + 1, size_in - 1))
    return tf.gather(values, index) * (1 - share) + following * share


def _blurred(view: Tensor, sigma: float = 1.5) -> Tensor:
    radius = round(4 * sigma)
    kernel = tf.constant(cv2.getGaussianKernel(2 * radius + 1, sigma, cv2.CV_32F)[:, 0])

    def along(values: Tensor) -> Tensor:
        size = tf.shape(values)[0]
        turn = tf.maximum(1, 2 * size - 2)
        index = tf.math.floormod(tf.range(-radius, size + radius), turn)
        wide = tf.gather(values, tf.minimum(index, turn - index) % size)
        return tf.add_n([wide[tap : tap + size] * kernel[tap] for tap in range(2 * radius + 1)])

    return tf.transpose(along(tf.transpose(along(view))))


def _percentile(values: Tensor, percent: float) -> Tensor:
    """Over the last axis, interpolated linearly as NumPy does; two values are picked in a tenth of a sort's time."""
    last = tf.shape(values)[-1] - 1
    place = tf.cast(last, tf.float64) * (percent / 100)
    below = tf.floor(place)
    first = tf.cast(below, tf.int32)
    low = tf.raw_ops.NthElement(input=values, n=first)
    high = tf.raw_ops.NthElement(input=values, n=tf.minimum(first + 1, last))
    return low + (high - low) * tf.cast(place - below, values.dtype)


def _field(view: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    top, left = tf.constant(0), tf.constant(0)
    bottom, right = tf.unstack(tf.shape(view))
    for _ in range(2):
        left, right = _lively(tf.transpose(view[top:bottom]))
        top, bottom = _lively(view[:, left:right])
    return top, bottom, left, right


def _lively(view: Tensor) -> tuple[Tensor, Tensor]:
    """The range of rows that change along their length."""

    def ends() -> tuple[Tensor, Tensor]:
        index = tf.where(_percentile(view, 98) - _percentile(view, 2) > breast.STEADY)
        none = tf.equal(tf.size(index), 0)
        return tf.cond(none, lambda: (0, 0), lambda: widened(index, 0.0, tf.shape(view)[0]))

    return tf.cond(tf.equal(tf.size(view), 0), lambda: (0, 0), ends)


def _through_the_dark(view: Tensor, start: Tensor, stop: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    bright = _percentile(view, 50) > threshold
    place = tf.range(tf.shape(view)[0])
    before = tf.reduce_max(tf.where(bright & (place < start), place + 1, 0))
    return before, tf.reduce_min(tf.where(bright & (place >= stop), place, tf.shape(view)[0]))


def _background_level(view: Tensor) -> Tensor:
    levels = tf.cast(tf.clip_by_value(view, 0.0, 1.0) * 255, tf.int32)
    counts = tf.cast(tf.math.bincount(tf.reshape(levels, [-1]), minlength=256, maxlength=256), tf.float64)
    level = tf.range(256, dtype=tf.float64)
    share = counts / tf.reduce_sum(counts)
    below, weighed = tf.cumsum(share), tf.cumsum(share * level)
    above = 1 - below
    means = tf.math.divide_no_nan(weighed, below) - tf.math.divide_no_nan(weighed[-1] - weighed, above)
    usable = tf.minimum(below, above) >= OTSU_LEAST
    threshold = tf.argmax(tf.where(usable, below * above * means**2, 0), output_type=tf.int32)
    kernel = cv2.getGaussianKernel(9, 1.0, cv2.CV_64F)[:, 0]
    wide = tf.pad(tf.where(tf.range(256) <= threshold, counts, 0), [[4, 4]])
    smooth = tf.add_n([wide[tap : tap + 256] * kernel[tap] for tap in range(9)])
    return tf.cast(tf.argmax(smooth), tf.float32) / 255


def _opened(mask: Tensor, radius: float) -> Tensor:
    """The picture continues beyond its edge as in a mirror."""
    size = max(1, round(radius))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1)).astype(bool)

    def mirrored(values: Tensor, axis: int) -> Tensor:
        length = tf.shape(values)[axis]
        index = tf.math.floormod(tf.range(-2 * size, length + 2 * size), 2 * length)
        return tf.gather(values, tf.minimum(index, 2 * length - 1 - index), axis=axis)

    return _count(_count(~mirrored(mirrored(mask, 0), 1), disc) == 0, disc) > 0


def _count(mask: Tensor, disc: NDArray[np.bool_]) -> Tensor:
    """How many pixels of the mask lie under a structuring element, int32, where it lies within the picture.

    Each row of the element is one run, whose count is the difference of two running sums: a fifth of the time of a
    convolution with thirty-one rows.
    """
    height, width = tf.unstack(tf.shape(mask) - tf.constant(disc.shape) + 1)
    sums = tf.pad(tf.cumsum(tf.cast(mask, tf.int32), axis=1), [[0, 0], [1, 0]])
    runs = [(row, *np.flatnonzero(line)[[0, -1]].tolist()) for row, line in enumerate(disc)]
    return tf.add_n(
        [
            sums[row : row + height, last + 1 : last + 1 + width] - sums[row : row + height, first : first + width]
            for row, first, last in runs
        ]
    )


def _parts(mask: Tensor, corners: bool) -> Tensor:
    """A number above 0 for each connected part, int32 `[rows, columns]`, 0 outside.

    Args:
        mask: bool `[rows, columns]`.
        corners: whether pixels that touch at a corner are connected.
    """
    size = tf.size(mask)
    first = tf.where(mask, tf.reshape(tf.range(1, size + 1), tf.shape(mask)), 0)

    def runs(values: Tensor) -> Tensor:
        """A number for each stretch of a row that is wholly inside or outside."""
        ends = tf.pad(values[:, 1:] != values[:, :-1], [[0, 0], [1, 0]], constant_values=True)
        return tf.reshape(tf.cumsum(tf.cast(tf.reshape(ends, [-1]), tf.int32)) - 1, tf.shape(values))

    across, down = runs(mask), runs(tf.transpose(mask))

    def spread(numbers: Tensor, along: Tensor) -> Tensor:
        return tf.gather(tf.math.unsorted_segment_max(numbers, along, size), along)

    def again(numbers: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        found = tf.transpose(spread(tf.transpose(spread(numbers, across)), down))
        if corners:
            pooled = tf.nn.max_pool2d(tf.cast(found, tf.float32)[None, ..., None], 3, 1, "SAME")[0, ..., 0]
            found = tf.where(mask, tf.cast(pooled, tf.int32), 0)  # exact: fewer than 2^24 pixels
        return found, tf.reduce_any(found != numbers)

    shapes = (tf.TensorShape([None, None]), tf.TensorShape([]))
    return tf.while_loop(lambda _, changed: changed, again, (first, tf.constant(True)), shapes)[0]


def _largest_part(mask: Tensor) -> Tensor:
    parts = _parts(mask, corners=True)
    counts = tf.math.bincount(tf.reshape(parts, [-1]), minlength=2)
    largest = 1 + tf.argmax(counts[1:], output_type=tf.int32)
    return mask & (parts == largest)


def _filled(mask: Tensor) -> Tensor:
    """Without holes."""
    outside = _parts(tf.pad(~mask, [[1, 1], [1, 1]], constant_values=True), corners=False)
    return (outside != outside[0, 0])[1:-1, 1:-1]

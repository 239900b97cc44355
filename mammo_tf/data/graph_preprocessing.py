"""The TensorFlow twin of `imaging.Preprocessing`: the same steps in-graph, for streams and export.

Pictures may have any size at run time, so everything that depends on it is computed in the graph. Resizing gathers
the taps of each output row, weighs and adds them, and does the same for columns: what two banded matrix products would
do, without the zeros. It is computed in float64, as the NumPy twin does: the levels of both are then the same.

`tests/data/test_graph_preprocessing.py` holds the twins equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.imaging import geometry_steps, intensity_steps
from mammo_tf.imaging.levels import WHITE
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.resize import NEGLIGIBLE, TIE

Tensor = Any


def preprocess(preprocessing: Preprocessing, picture: Tensor) -> Tensor:
    """Both halves of one stored picture.

    Args:
        preprocessing: without steps that segment the breast: `preprocessing.for_graph()`.
        picture: uint16 `[rows, columns]`, round(65535 p), of any size.

    Returns:
        float32 `[rows, columns, channels]`, of static shape where `preprocessing.size` is known.

    Raises:
        MammoError: `step_not_in_graph`.
    """
    return intensity(preprocessing, geometry(preprocessing, picture)[None])[0]


def geometry(preprocessing: Preprocessing, picture: Tensor) -> Tensor:
    """The first half of one stored picture.

    Args:
        preprocessing, picture: as for `preprocess`.

    Returns:
        float32 `[rows, columns]` in [0, 1].

    Raises:
        MammoError: `step_not_in_graph`.
    """
    values = tf.cast(tf.ensure_shape(picture, [None, None]), tf.float32)
    for step in preprocessing.geometry_steps:
        values = _twin(GEOMETRY, step)(step, values)
    if preprocessing.size is not None:
        values = tf.ensure_shape(values, preprocessing.size)
    return values / tf.constant(WHITE, tf.float32)


def intensity(preprocessing: Preprocessing, pictures: Tensor) -> Tensor:
    """The second half of a batch of prepared pictures.

    Args:
        preprocessing: any.
        pictures: float32 `[batch, rows, columns]` in [0, 1].

    Returns:
        float32 `[batch, rows, columns, channels]`.
    """
    values = tf.cast(tf.ensure_shape(pictures, [None, None, None]), tf.float32)
    for step in preprocessing.intensity_steps:
        values = _twin(INTENSITY, step)(step, values)
    return values


def _twin(twins: dict[type, Callable[[Any, Tensor], Tensor]], step: Any) -> Callable[[Any, Tensor], Tensor]:
    if type(step) not in twins:
        raise MammoError(
            "step_not_in_graph",
            f"preprocessing step {step.name!r} cannot run in a graph",
            "Use Preprocessing.for_graph(), which crops by a threshold",
        )
    return twins[type(step)]


# Geometry: float32 [rows, columns] of whole levels 0..65535


def _threshold_box(step: geometry_steps.ThresholdBox, values: Tensor) -> Tensor:
    counts = tf.cast(values > int(step.level * WHITE), tf.int32)
    height, width = tf.unstack(tf.shape(values))
    share = tf.constant(step.share, tf.float64)
    rows = tf.where(tf.cast(tf.reduce_sum(counts, 1), tf.float64) > share * tf.cast(width, tf.float64))
    columns = tf.where(tf.cast(tf.reduce_sum(counts, 0), tf.float64) > share * tf.cast(height, tf.float64))

    def cut() -> Tensor:
        top, bottom = _widened(rows, step.margin, height)
        left, right = _widened(columns, step.margin, width)
        return values[top:bottom, left:right]

    return tf.cond(tf.logical_and(tf.size(rows) > 0, tf.size(columns) > 0), cut, lambda: values)


def _widened(places: Tensor, margin: float, size: Tensor) -> tuple[Tensor, Tensor]:
    start, stop = tf.cast(places[0, 0], tf.int32), tf.cast(places[-1, 0], tf.int32) + 1
    extra = tf.cast(tf.round(tf.cast(stop - start, tf.float64) * margin), tf.int32)
    return tf.maximum(0, start - extra), tf.minimum(size, stop + extra)


def _top_bits(step: geometry_steps.TopBits, values: Tensor) -> Tensor:
    return tf.floor(values / 256) * 257


def _resize(step: geometry_steps.Resize, values: Tensor) -> Tensor:
    return _scaled(values, tf.constant(step.rows), tf.constant(step.columns), step.method, step.levels)


def _resize_height(step: geometry_steps.ResizeHeight, values: Tensor) -> Tensor:
    height, width = (tf.cast(size, tf.float64) for size in tf.unstack(tf.shape(values)))
    columns = tf.maximum(1, tf.cast(step.rows / height * width, tf.int32))
    return _scaled(values, tf.constant(step.rows), columns, step.method, WHITE)


def _fit(step: geometry_steps.Fit, values: Tensor) -> Tensor:
    height, width = (tf.cast(size, tf.float64) for size in tf.unstack(tf.shape(values)))
    factor = tf.minimum(step.rows / height, step.columns / width)
    rows = tf.clip_by_value(tf.cast(tf.round(height * factor), tf.int32), 1, step.rows)
    columns = tf.clip_by_value(tf.cast(tf.round(width * factor), tf.int32), 1, step.columns)
    small = _scaled(values, rows, columns, step.method, WHITE)
    sums = tf.reduce_sum(tf.cast(small, tf.float64), axis=0)
    half = columns // 2
    wall_right = tf.reduce_sum(sums[columns - half :]) > tf.reduce_sum(sums[:half])
    left = tf.where(wall_right, step.columns - columns, 0)
    padding = [[0, step.rows - rows], [left, step.columns - columns - left]]
    return tf.pad(small, padding)


def _scaled(values: Tensor, rows: Tensor, columns: Tensor, method: str, levels: int) -> Tensor:
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


# Intensity: float32 [batch, rows, columns]


def _histogram_lookup(step: intensity_steps.HistogramLookup, values: Tensor) -> Tensor:
    top = len(step.table) - 1
    index = tf.cast(tf.round(values * tf.constant(top, tf.float32)), tf.int32)
    return tf.gather(tf.constant(step.outputs), tf.clip_by_value(index, 0, top))


def _scale(step: intensity_steps.Scale, values: Tensor) -> Tensor:
    return values * tf.constant(step.levels * step.factor, tf.float32)


def _maximum_scale(step: intensity_steps.MaximumScale, values: Tensor) -> Tensor:
    peak = tf.reduce_max(values, axis=[1, 2], keepdims=True)
    return tf.where(peak > 0, values * tf.math.divide_no_nan(tf.constant(step.levels, tf.float32), peak), values)


def _equalize(step: intensity_steps.Equalize, values: Tensor) -> Tensor:
    whole = tf.cast(tf.clip_by_value(values, 0.0, 255.0), tf.int32)
    return tf.map_fn(_equalized, whole, fn_output_signature=tf.float32)


def _equalized(picture: Tensor) -> Tensor:
    """`cv2.equalizeHist`: the darkest level in use goes to 0, the rest by cumulative counts."""
    counts = tf.math.bincount(tf.reshape(picture, [-1]), minlength=256, maxlength=256)
    darkest = tf.reduce_min(picture)
    rest = tf.size(picture) - counts[darkest]
    above = tf.cumsum(tf.where(tf.range(256) > darkest, counts, 0))
    table = tf.round(tf.cast(above, tf.float32) * (255.0 / tf.cast(tf.maximum(rest, 1), tf.float32)))
    return tf.where(rest > 0, tf.gather(table, picture), tf.cast(picture, tf.float32))


def _subtract_mean(step: intensity_steps.SubtractMean, values: Tensor) -> Tensor:
    return values - tf.constant(step.mean, tf.float32)


def _channels(step: intensity_steps.Channels, values: Tensor) -> Tensor:
    return tf.repeat(values[..., None], step.channels, axis=-1)


GEOMETRY: dict[type, Callable[[Any, Tensor], Tensor]] = {
    geometry_steps.ThresholdBox: _threshold_box,
    geometry_steps.TopBits: _top_bits,
    geometry_steps.Resize: _resize,
    geometry_steps.ResizeHeight: _resize_height,
    geometry_steps.Fit: _fit,
}
INTENSITY: dict[type, Callable[[Any, Tensor], Tensor]] = {
    intensity_steps.HistogramLookup: _histogram_lookup,
    intensity_steps.Scale: _scale,
    intensity_steps.MaximumScale: _maximum_scale,
    intensity_steps.Equalize: _equalize,
    intensity_steps.SubtractMean: _subtract_mean,
    intensity_steps.Channels: _channels,
}

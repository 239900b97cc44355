"""The TensorFlow twin of `imaging.Preprocessing`: the same steps in-graph, for streams and export.

Pictures may have any size at run time, so everything that depends on it is computed in the graph (`graph_resize`,
`graph_breast`).

`tests/data/test_graph_preprocessing.py` holds the twins equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from mammo_tf.data import graph_bands, graph_breast, graph_periphery
from mammo_tf.data.graph_breast import widened
from mammo_tf.data.graph_checks import held
from mammo_tf.data.graph_resize import nearest, scaled
from mammo_tf.imaging import band_steps, geometry_steps, intensity_steps, periphery_steps
from mammo_tf.imaging.levels import WHITE
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.steps import breast_misshapen, breast_missing, needs_breast

Tensor = Any


def preprocess(preprocessing: Preprocessing, picture: Tensor) -> Tensor:
    """Both halves of one stored picture.

    Args:
        preprocessing: any.
        picture: uint16 `[rows, columns]`, round(65535 p), of any size.

    Returns:
        float32 `[rows, columns, channels]`, of static shape where `preprocessing.size` is known.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, where a step looks for the breast and nothing stands out.
    """
    prepared = geometry(preprocessing, picture)
    breasts = None if prepared.breast_mask is None else prepared.breast_mask[None]
    return intensity(preprocessing, prepared.picture[None], breasts)[0]


class GeometryResult(NamedTuple):
    """Float32 `[rows, columns]` in [0, 1]; the breast, bool `[rows, columns]`, or None where no step looked for it."""

    picture: Tensor
    breast_mask: Tensor | None


def geometry(preprocessing: Preprocessing, picture: Tensor) -> GeometryResult:
    """The first half of one stored picture.

    Args:
        preprocessing, picture: as for `preprocess`.

    Returns:
        Picture and breast mask.

    Raises:
        tf.errors.InvalidArgumentError: as `preprocess`.
    """
    view = View(tf.cast(tf.ensure_shape(picture, [None, None]), tf.float32), None)
    for step in preprocessing.geometry_steps:
        view = GEOMETRY[type(step)](step, view)
    if preprocessing.size is not None:
        view = View(*(None if part is None else tf.ensure_shape(part, preprocessing.size) for part in view))
    return GeometryResult(view.values / tf.constant(WHITE, tf.float32), view.mask)


def intensity(preprocessing: Preprocessing, pictures: Tensor, breasts: Tensor | None = None) -> Tensor:
    """The second half of a batch of prepared pictures.

    Args:
        preprocessing: any.
        pictures: float32 `[batch, rows, columns]` in [0, 1].
        breasts: bool `[batch, rows, columns]`, where the breast is; looked at where the preprocessing `needs_breast`. A
            picture without any is black behind a step that needs it.

    Returns:
        float32 `[batch, rows, columns, channels]`.

    Raises:
        MammoError: `breast_missing` without breasts that a step needs; `breast_wrong` for breasts of another shape.
    """
    values = tf.cast(tf.ensure_shape(pictures, [None, None, None]), tf.float32)
    masks = _breasts_of(values, breasts) if preprocessing.needs_breast else None
    for step in preprocessing.intensity_steps:
        given = (masks,) if needs_breast(step) else ()
        values = INTENSITY[type(step)](step, values, *given)
    return values


def _breasts_of(values: Tensor, breasts: Tensor | None) -> Tensor:
    if breasts is None:
        raise breast_missing()
    masks = tf.cast(breasts, tf.bool)
    if not masks.shape.is_compatible_with(values.shape):
        raise breast_misshapen(masks.shape, values.shape)
    right = tf.reduce_all(tf.equal(tf.shape(masks), tf.shape(values)))
    return held(masks, right, "breast masks of another shape than their pictures")


# Geometry


class View(NamedTuple):
    """A picture on its way through the geometry half.

    Attributes:
        values: float32 `[rows, columns]`, whole levels 0..65535.
        mask: bool `[rows, columns]`, the breast; None as long as nobody looked for it.
    """

    values: Tensor
    mask: Tensor | None


def _cut(view: View, top: Tensor, bottom: Tensor, left: Tensor, right: Tensor) -> View:
    return View(*(None if part is None else part[top:bottom, left:right] for part in view))


def _scaled(view: View, rows: Tensor, columns: Tensor, method: str, levels: int = WHITE) -> View:
    mask = None if view.mask is None else nearest(view.mask, rows, columns)
    return View(scaled(view.values, rows, columns, method, levels), mask)


def _found(view: View) -> Tensor:
    mask = graph_breast.segment(view.values) if view.mask is None else view.mask
    return held(mask, tf.reduce_any(mask), "no breast stands out in a picture; leave it out")


def _mask_breast(step: geometry_steps.MaskBreast, view: View) -> View:
    mask = _found(view)
    return View(tf.where(mask, view.values, 0), mask)


def _find_breast(step: geometry_steps.FindBreast, view: View) -> View:
    mask = _found(view)
    with tf.control_dependencies([mask]):
        return View(tf.identity(view.values), mask)


def _crop_breast(step: geometry_steps.CropBreast, view: View) -> View:
    mask = _found(view)
    return _cut(View(view.values, mask), *graph_breast.box(mask, step.margin))


def _threshold_box(step: geometry_steps.ThresholdBox, view: View) -> View:
    counts = tf.cast(view.values > int(step.level * WHITE), tf.int32)
    height, width = tf.unstack(tf.shape(view.values))
    share = tf.constant(step.share, tf.float64)
    rows = tf.where(tf.cast(tf.reduce_sum(counts, 1), tf.float64) > share * tf.cast(width, tf.float64))
    columns = tf.where(tf.cast(tf.reduce_sum(counts, 0), tf.float64) > share * tf.cast(height, tf.float64))
    top, bottom, left, right = tf.cond(
        tf.logical_and(tf.size(rows) > 0, tf.size(columns) > 0),
        lambda: (*widened(rows, step.margin, height), *widened(columns, step.margin, width)),
        lambda: (0, height, 0, width),
    )
    return _cut(view, top, bottom, left, right)


def _top_bits(step: geometry_steps.TopBits, view: View) -> View:
    return view._replace(values=tf.floor(view.values / 256) * 257)


def _resize(step: geometry_steps.Resize, view: View) -> View:
    return _scaled(view, tf.constant(step.rows), tf.constant(step.columns), step.method, step.levels)


def _resize_height(step: geometry_steps.ResizeHeight, view: View) -> View:
    height, width = (tf.cast(size, tf.float64) for size in tf.unstack(tf.shape(view.values)))
    columns = tf.maximum(1, tf.cast(step.rows / height * width, tf.int32))
    return _scaled(view, tf.constant(step.rows), columns, step.method)


def _fit(step: geometry_steps.Fit, view: View) -> View:
    height, width = (tf.cast(size, tf.float64) for size in tf.unstack(tf.shape(view.values)))
    factor = tf.minimum(step.rows / height, step.columns / width)
    rows = tf.clip_by_value(tf.cast(tf.round(height * factor), tf.int32), 1, step.rows)
    columns = tf.clip_by_value(tf.cast(tf.round(width * factor), tf.int32), 1, step.columns)
    small = _scaled(view, rows, columns, step.method)
    sums = tf.reduce_sum(tf.cast(small.values, tf.float64), axis=0)
    half = columns // 2
    wall_right = tf.reduce_sum(sums[columns - half :]) > tf.reduce_sum(sums[:half])
    left = tf.where(wall_right, step.columns - columns, 0)
    padding = [[0, step.rows - rows], [left, step.columns - columns - left]]
    return View(*(None if part is None else tf.pad(part, padding) for part in small))


def _patch(step: geometry_steps.Patch, view: View) -> View:
    values = view.values
    if step.pixels is not None:
        right = tf.reduce_all(tf.equal(tf.shape(values), step.pixels))
        told = f"the model looks at patches of {step.pixels}x{step.pixels} pixels, and a picture has another size"
        values = held(values, right, told)
    return _scaled(view._replace(values=values), tf.constant(step.rows), tf.constant(step.columns), "area")


def _place(step: geometry_steps.Place, view: View) -> View:
    rows, columns = tf.unstack(tf.shape(view.values))
    fits = tf.logical_and(rows <= step.rows, columns <= step.columns)
    told = "a picture is larger than the canvas"
    padding = [[0, step.rows - rows], [0, step.columns - columns]]
    return View(*(None if part is None else tf.pad(held(part, fits, told), padding) for part in view))


# Intensity: float32 [batch, rows, columns], and bool of the same shape for a step that needs the breast


def _histogram_lookup(step: intensity_steps.HistogramLookup, values: Tensor) -> Tensor:
    top = len(step.table) - 1
    index = tf.cast(tf.round(values * tf.constant(top, tf.float32)), tf.int32)
    return tf.gather(tf.constant(step.outputs), tf.clip_by_value(index, 0, top))


def _histogram_match(step: intensity_steps.HistogramMatch, values: Tensor) -> Tensor:
    top = len(step.cdf) - 1
    knots, levels = (tf.constant(part) for part in step.knots)
    index = tf.cast(tf.clip_by_value(tf.round(values * tf.constant(top, tf.float32)), 0, top), tf.int32)

    def matched(picture: Tensor) -> Tensor:
        counts = tf.math.bincount(tf.reshape(picture, [-1]), minlength=top + 1, maxlength=top + 1)
        counts = tf.cast(tf.concat([[0], counts[1:]], 0) if step.keep_black else counts, tf.float64)
        shares = tf.math.divide_no_nan(tf.cumsum(counts), tf.reduce_sum(counts))
        upper = tf.clip_by_value(tf.searchsorted(knots, shares, side="left"), 1, tf.size(knots) - 1)
        low, high = tf.gather(knots, upper - 1), tf.gather(knots, upper)
        way = tf.clip_by_value((shares - low) / (high - low), 0.0, 1.0)
        table = tf.gather(levels, upper - 1) + way * (tf.gather(levels, upper) - tf.gather(levels, upper - 1))
        table = tf.cast(table / top, tf.float32)
        table = tf.concat([[0.0], table[1:]], 0) if step.keep_black else table
        empty = tf.reduce_sum(counts) == 0
        return tf.where(empty, tf.zeros_like(picture, tf.float32), tf.gather(table, picture))

    return tf.map_fn(matched, index, fn_output_signature=tf.float32)


def _contrast_bands(step: band_steps.ContrastBands, values: Tensor, breasts: Tensor) -> Tensor:
    return graph_bands.apply_gains(values, breasts, step.scales, step.gains)


def _periphery(step: periphery_steps.Periphery, values: Tensor, breasts: Tensor) -> Tensor:
    return graph_periphery.add_levels(values, breasts, step.scales, step.added)


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


GEOMETRY: dict[type, Callable[[Any, View], View]] = {
    geometry_steps.MaskBreast: _mask_breast,
    geometry_steps.CropBreast: _crop_breast,
    geometry_steps.FindBreast: _find_breast,
    geometry_steps.Patch: _patch,
    geometry_steps.Place: _place,
    geometry_steps.ThresholdBox: _threshold_box,
    geometry_steps.TopBits: _top_bits,
    geometry_steps.Resize: _resize,
    geometry_steps.ResizeHeight: _resize_height,
    geometry_steps.Fit: _fit,
}
INTENSITY: dict[type, Callable[..., Tensor]] = {
    band_steps.ContrastBands: _contrast_bands,
    periphery_steps.Periphery: _periphery,
    intensity_steps.HistogramLookup: _histogram_lookup,
    intensity_steps.HistogramMatch: _histogram_match,
    intensity_steps.Scale: _scale,
    intensity_steps.MaximumScale: _maximum_scale,
    intensity_steps.Equalize: _equalize,
    intensity_steps.SubtractMean: _subtract_mean,
    intensity_steps.Channels: _channels,
}

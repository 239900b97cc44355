"""The steps that a `Preprocessing` is a list of: small frozen dataclasses, registered under a name.

A step of the *geometry* half changes a `View` (picture, breast mask, affine map); one of the *intensity* half changes
float32 values `[rows, columns]` that start in [0, 1], 1 being white. Parameters are JSON values, so a step
is data. To add one: write it here, and its twin in `mammo_tf/data/graph_preprocessing.py` (a test asks for it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging import breast
from mammo_tf.imaging.levels import WHITE
from mammo_tf.imaging.resize import METHODS, resize, resize_mask

GEOMETRY: dict[str, type[GeometryStep]] = {}
INTENSITY: dict[str, type[IntensityStep]] = {}


@dataclass(frozen=True)
class View:
    """A picture on its way through the geometry half.

    Attributes:
        picture: uint16 `[rows, columns]`, round(65535 p).
        breast_mask: bool `[rows, columns]`, or None as long as nobody looked for the breast.
        affine: float64 `[2, 3]`, maps (x, y, 1) of this picture to (x, y) of the stored one; whole numbers are
            pixel centres, (0, 0) is the centre of the top left pixel.
    """

    picture: NDArray[np.uint16]
    breast_mask: NDArray[np.bool_] | None
    affine: NDArray[np.float64]


class GeometryStep(Protocol):
    """A step that runs once per stored picture."""

    def geometry(self, view: View) -> View: ...


class IntensityStep(Protocol):
    """A step that runs on prepared values."""

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]: ...


Step = TypeVar("Step")


def geometry_step(name: str) -> Callable[[type[Step]], type[Step]]:
    """Registers a step of the geometry half under the name that JSON uses."""
    return _register(GEOMETRY, name)


def intensity_step(name: str) -> Callable[[type[Step]], type[Step]]:
    """Registers a step of the intensity half under the name that JSON uses."""
    return _register(INTENSITY, name)


def _register(registry: dict[str, Any], name: str) -> Callable[[type[Step]], type[Step]]:
    def keep(step: type[Step]) -> type[Step]:
        step.name = name  # type: ignore[attr-defined]  # a class attribute, not a field: fields are parameters
        registry[name] = step
        return step

    return keep


def _check(right: bool, step: Any, rule: str) -> None:
    if not right:
        raise MammoError("step_parameter_wrong", f"preprocessing step {step.name!r}: {rule}, got {step}")


def _compose(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine map that applies `inner` first, then `outer`; float64 `[2, 3]` each."""
    return np.hstack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2:] + outer[:, 2:]])


def _cut(view: View, top: int, bottom: int, left: int, right: int) -> View:
    mask = view.breast_mask
    return View(
        view.picture[top:bottom, left:right],
        None if mask is None else mask[top:bottom, left:right],
        _compose(view.affine, np.array([[1.0, 0.0, left], [0.0, 1.0, top]])),
    )


def _scaled(view: View, rows: int, columns: int, method: str, levels: int) -> View:
    """The view resized at `levels` + 1 whole grey levels (65535 or 255), back on the 16-bit scale."""
    height, width = view.picture.shape
    unit = WHITE // levels
    picture = view.picture if unit == 1 else np.rint(view.picture / unit).astype(np.uint16)
    picture = np.minimum(resize(picture, rows, columns, method), levels) * np.uint16(unit)
    mask = None if view.breast_mask is None else resize_mask(view.breast_mask, rows, columns)
    across, down = width / columns, height / rows
    back = np.array([[across, 0.0, 0.5 * across - 0.5], [0.0, down, 0.5 * down - 0.5]])
    return View(picture, mask, _compose(view.affine, back))


def _found(view: View) -> NDArray[np.bool_]:
    mask = breast.segment(view.picture) if view.breast_mask is None else view.breast_mask
    if not mask.any():
        raise MammoError("breast_not_found", "no breast stands out in the picture", "Leave it out, or do not crop")
    return mask


@geometry_step("mask_breast")
@dataclass(frozen=True)
class MaskBreast:
    """Everything outside the breast becomes 0: lettering, plate edges, film background. No step of the graph.

    Raises `breast_not_found` when it runs on a picture in which nothing stands out.
    """

    def geometry(self, view: View) -> View:
        mask = _found(view)
        inside = np.ascontiguousarray(mask).view(np.uint8)
        picture = cv2.bitwise_and(view.picture, view.picture, mask=inside)
        return replace(view, picture=np.asarray(picture), breast_mask=mask)


@geometry_step("crop_breast")
@dataclass(frozen=True)
class CropBreast:
    """The box around the breast with a margin. No step of the graph.

    Raises `breast_not_found` when it runs on a picture in which nothing stands out.

    Attributes:
        margin: fraction of the box's height and width that is added on each side, cut off at the picture's edge.
    """

    margin: float = 0.02

    def __post_init__(self) -> None:
        _check(0 <= self.margin <= 1, self, "margin is a fraction from 0 to 1")

    def geometry(self, view: View) -> View:
        mask = _found(view)
        return _cut(replace(view, breast_mask=mask), *breast.box(mask, self.margin))


@geometry_step("threshold_box")
@dataclass(frozen=True)
class ThresholdBox:
    """The box from the first to the last row and column that hold enough bright pixels: the crop of the graph.

    A pixel counts where p > `level`. A row belongs where more than `share` of its pixels count, a column likewise;
    where none does, the picture stays whole.

    Attributes:
        level: of white, 0 to 1, compared on the 65535 scale.
        share: of a row's or column's pixels, 0 to 1.
        margin: fraction of the box's height and width added on each side (rounded half to even to pixels).
    """

    level: float = 0.05
    share: float = 0.02
    margin: float = 0.02

    def __post_init__(self) -> None:
        _check(0 <= self.level < 1, self, "level lies from 0 to below 1")
        _check(0 <= self.share < 1, self, "share lies from 0 to below 1")
        _check(0 <= self.margin <= 1, self, "margin is a fraction from 0 to 1")

    def geometry(self, view: View) -> View:
        counts = view.picture > int(self.level * WHITE)
        height, width = counts.shape
        rows = np.flatnonzero(np.count_nonzero(counts, axis=1) > self.share * width)
        columns = np.flatnonzero(np.count_nonzero(counts, axis=0) > self.share * height)
        if rows.size == 0 or columns.size == 0:
            return view
        top, bottom = breast.widened(int(rows[0]), int(rows[-1]) + 1, self.margin, height)
        left, right = breast.widened(int(columns[0]), int(columns[-1]) + 1, self.margin, width)
        return _cut(view, top, bottom, left, right)


@geometry_step("top_bits")
@dataclass(frozen=True)
class TopBits:
    """Only the top 8 of 16 bits are kept, as a reader of 8-bit pictures sees a 16-bit file; 255 levels come out."""

    def geometry(self, view: View) -> View:
        return replace(view, picture=(view.picture >> np.uint16(8)) * np.uint16(257))


@geometry_step("resize")
@dataclass(frozen=True)
class Resize:
    """To exactly this size; the aspect is not kept. A picture of that size already is not resampled.

    Attributes:
        rows, columns: size of the result.
        method: `cubic` or `area`, see `mammo_tf/imaging/resize.py`.
        levels: white while resizing, 65535 or 255: results are rounded to whole levels of that scale.
    """

    rows: int
    columns: int
    method: str = "cubic"
    levels: int = WHITE

    def __post_init__(self) -> None:
        _check(self.rows >= 1 and self.columns >= 1, self, "rows and columns are 1 or more")
        _check(self.method in METHODS, self, f"method is one of {', '.join(METHODS)}")
        _check(self.levels in (255, WHITE), self, "levels is 255 or 65535")

    def geometry(self, view: View) -> View:
        if view.picture.shape == (self.rows, self.columns):
            return view
        return _scaled(view, self.rows, self.columns, self.method, self.levels)


@geometry_step("resize_height")
@dataclass(frozen=True)
class ResizeHeight:
    """To this many rows with the aspect kept: columns = int(rows / height * width), at least 1."""

    rows: int
    method: str = "cubic"

    def __post_init__(self) -> None:
        _check(self.rows >= 1, self, "rows is 1 or more")
        _check(self.method in METHODS, self, f"method is one of {', '.join(METHODS)}")

    def geometry(self, view: View) -> View:
        height, width = view.picture.shape
        columns = max(1, int(self.rows / height * width))
        return _scaled(view, self.rows, columns, self.method, WHITE)


@geometry_step("fit")
@dataclass(frozen=True)
class Fit:
    """Into this size with the aspect kept; what is missing is filled with 0.

    Columns are added on the side away from the chest wall, which is taken to be the half with the larger sum of
    grey values (left if equal, so that padding then lies on the right); rows are added at the bottom.
    """

    rows: int
    columns: int
    method: str = "area"

    def __post_init__(self) -> None:
        _check(self.rows >= 1 and self.columns >= 1, self, "rows and columns are 1 or more")
        _check(self.method in METHODS, self, f"method is one of {', '.join(METHODS)}")

    def geometry(self, view: View) -> View:
        height, width = view.picture.shape
        factor = min(self.rows / height, self.columns / width)
        rows = min(self.rows, max(1, int(np.rint(height * factor))))
        columns = min(self.columns, max(1, int(np.rint(width * factor))))
        small = _scaled(view, rows, columns, self.method, WHITE)
        half = columns // 2
        sums = small.picture.sum(axis=0, dtype=np.int64)
        wall_right = sums[columns - half :].sum() > sums[:half].sum()
        left = self.columns - columns if wall_right else 0
        picture = np.zeros((self.rows, self.columns), np.uint16)
        picture[:rows, left : left + columns] = small.picture
        mask = None
        if small.breast_mask is not None:
            mask = np.zeros(picture.shape, np.bool_)
            mask[:rows, left : left + columns] = small.breast_mask
        return View(picture, mask, _compose(small.affine, np.array([[1.0, 0.0, -left], [0.0, 1.0, 0.0]])))


@intensity_step("histogram_lookup")
@dataclass(frozen=True)
class HistogramLookup:
    """p -> table[round(p (len(table) - 1))] / levels: histogram matching to another domain.

    Attributes:
        table: output level for each input level, in whole or broken levels 0 to `levels`; usually 4096 entries from
            `histogram.matching_lut`.
        levels: white of the output, 4095 for 12 bits.
        keep_black: p that falls into level 0 stays 0, as background does.
    """

    table: tuple[float, ...]
    levels: int = 4095
    keep_black: bool = False

    def __post_init__(self) -> None:
        values = np.asarray(self.table, np.float64)
        if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
            raise MammoError("step_parameter_wrong", "step 'histogram_lookup': the table is no list of numbers")
        if self.levels < 1 or values.min() < 0 or values.max() > self.levels:
            raise MammoError("step_parameter_wrong", f"step 'histogram_lookup': entries leave 0..{self.levels}")

    @property
    def outputs(self) -> NDArray[np.float32]:
        """float32 `[len(table)]` in [0, 1]: what each input level becomes."""
        outputs = (np.asarray(self.table, np.float64) / self.levels).astype(np.float32)
        if self.keep_black:
            outputs[0] = 0.0
        return outputs

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        index = np.rint(values * np.float32(len(self.table) - 1)).astype(np.int32)
        return self.outputs[np.clip(index, 0, len(self.table) - 1)]


@intensity_step("scale")
@dataclass(frozen=True)
class Scale:
    """p -> p * levels * factor.

    Attributes:
        levels: white of the scale on which `factor` is meant: 255, 4095 or 65535.
        factor: 0.003891 for 16-bit pictures of the legacy models (the rounded 255/65535).
    """

    levels: int
    factor: float = 1.0

    def __post_init__(self) -> None:
        _check(self.levels >= 1, self, "levels is 1 or more")
        _check(np.isfinite(self.factor), self, "factor is finite")

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values * np.float32(self.levels * self.factor)


@intensity_step("maximum_scale")
@dataclass(frozen=True)
class MaximumScale:
    """Each picture's own maximum becomes `levels`; a black picture stays black."""

    levels: float

    def __post_init__(self) -> None:
        _check(np.isfinite(self.levels) and self.levels > 0, self, "levels is above 0")

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        peak = values.max()
        return values * (np.float32(self.levels) / peak) if peak > 0 else values


@intensity_step("equalize")
@dataclass(frozen=True)
class Equalize:
    """Histogram equalisation of each picture over 256 levels, as OpenCV does it; fractions are cut off first.

    Takes and gives 8-bit levels, 0 to 255: a `scale` or `maximum_scale` with levels 255 comes before it.
    """

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return cv2.equalizeHist(np.clip(values, 0, 255).astype(np.uint8)).astype(np.float32)


@intensity_step("mean")
@dataclass(frozen=True)
class SubtractMean:
    """Minus one number, on the scale that the step before leaves (52.18: DDSM whole images on 0 to 255)."""

    mean: float

    def __post_init__(self) -> None:
        _check(np.isfinite(self.mean), self, "mean is finite")

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values - np.float32(self.mean)


@intensity_step("channels")
@dataclass(frozen=True)
class Channels:
    """The last step: 1 channel, or 3 equal ones. Adds the axis `[rows, columns, channels]`."""

    channels: int = 3

    def __post_init__(self) -> None:
        _check(self.channels in (1, 3), self, "channels is 1 or 3")

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.repeat(values[..., None], self.channels, axis=-1)

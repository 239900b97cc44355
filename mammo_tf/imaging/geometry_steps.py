"""Steps from the stored to the prepared picture: mask, crop, resize. Registered in `steps.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging import breast
from mammo_tf.imaging.levels import WHITE
from mammo_tf.imaging.resize import METHODS, resize, resize_mask
from mammo_tf.imaging.steps import View, check_parameter, geometry_step


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
    """Everything outside the breast becomes 0: lettering, plate edges, film background.

    Raises `breast_not_found` when it runs on a picture in which nothing stands out.
    """

    def geometry(self, view: View) -> View:
        mask = _found(view)
        inside = np.ascontiguousarray(mask).view(np.uint8)
        picture = cv2.copyTo(view.picture, inside)  # what is not copied is 0
        return replace(view, picture=np.asarray(picture), breast_mask=mask)


@geometry_step("find_breast")
@dataclass(frozen=True)
class FindBreast:
    """Looks for the breast and leaves the picture as it is.

    Raises `breast_not_found` when it runs on a picture in which nothing stands out.
    """

    def geometry(self, view: View) -> View:
        return replace(view, breast_mask=_found(view))


@geometry_step("crop_breast")
@dataclass(frozen=True)
class CropBreast:
    """The box around the breast with a margin.

    Raises `breast_not_found` when it runs on a picture in which nothing stands out.

    Attributes:
        margin: fraction of the box's height and width that is added on each side, cut off at the picture's edge.
    """

    margin: float = 0.02

    def __post_init__(self) -> None:
        check_parameter(0 <= self.margin <= 1, self, "margin is a fraction from 0 to 1")

    def geometry(self, view: View) -> View:
        mask = _found(view)
        return _cut(replace(view, breast_mask=mask), *breast.box(mask, self.margin))


@geometry_step("threshold_box")
@dataclass(frozen=True)
class ThresholdBox:
    """The box from the first to the last row and column that hold enough bright pixels.

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
        check_parameter(0 <= self.level < 1, self, "level lies from 0 to below 1")
        check_parameter(0 <= self.share < 1, self, "share lies from 0 to below 1")
        check_parameter(0 <= self.margin <= 1, self, "margin is a fraction from 0 to 1")

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
        check_parameter(self.rows >= 1 and self.columns >= 1, self, "rows and columns are 1 or more")
        check_parameter(self.method in METHODS, self, f"method is one of {', '.join(METHODS)}")
        check_parameter(self.levels in (255, WHITE), self, "levels is 255 or 65535")

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
        check_parameter(self.rows >= 1, self, "rows is 1 or more")
        check_parameter(self.method in METHODS, self, f"method is one of {', '.join(METHODS)}")

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
        check_parameter(self.rows >= 1 and self.columns >= 1, self, "rows and columns are 1 or more")
        check_parameter(self.method in METHODS, self, f"method is one of {', '.join(METHODS)}")

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


@geometry_step("patch")
@dataclass(frozen=True)
class Patch:
    """A picture that is a patch itself, to what a patch model sees: as `resize` by area.

    Raises `not_a_patch` when it runs on a picture of another size than a patch has.

    Attributes:
        rows, columns: of the result.
        pixels: side of a patch before; None where patches have a size in mm, and so any in pixels.
    """

    rows: int
    columns: int
    pixels: int | None = None

    def __post_init__(self) -> None:
        check_parameter(self.rows >= 1 and self.columns >= 1, self, "rows and columns are 1 or more")
        check_parameter(self.pixels is None or self.pixels >= 1, self, "pixels is 1 or more")

    def geometry(self, view: View) -> View:
        rows, columns = view.picture.shape
        if self.pixels is not None and (rows, columns) != (self.pixels, self.pixels):
            raise MammoError(
                "not_a_patch", f"a picture of {rows}x{columns} pixels, and the model looks at patches of "
                f"{self.pixels}x{self.pixels}", "Cut patches first, or measure whole images with mammo-tf run",
            )  # fmt: skip
        return Resize(self.rows, self.columns, "area").geometry(view)


@geometry_step("place")
@dataclass(frozen=True)
class Place:
    """Onto a canvas of this size, pixel by pixel: the picture at the top left, 0 below it and right of it.

    Raises `picture_too_large` when it runs on a picture that the canvas does not hold.
    """

    rows: int
    columns: int

    def __post_init__(self) -> None:
        check_parameter(self.rows >= 1 and self.columns >= 1, self, "rows and columns are 1 or more")

    def geometry(self, view: View) -> View:
        rows, columns = view.picture.shape
        if rows > self.rows or columns > self.columns:
            raise MammoError(
                "picture_too_large", f"a picture of {rows}x{columns} pixels is larger than {self.rows}x{self.columns}",
                "Prepare with the size of the largest picture",
            )  # fmt: skip
        picture = np.zeros((self.rows, self.columns), np.uint16)
        picture[:rows, :columns] = view.picture
        mask = None
        if view.breast_mask is not None:
            mask = np.zeros(picture.shape, np.bool_)
            mask[:rows, :columns] = view.breast_mask
        return View(picture, mask, view.affine)

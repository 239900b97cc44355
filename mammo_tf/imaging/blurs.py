"""Gaussian blurs of a picture that look at nothing outside a mask, blur(m x) / blur(m), on the pyramid of `blur_plan`.

Only what a picture needs is computed: around the mask, in tiles that stay in the processor's cache, and without the
mask's blurs where a tile lies inside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.blur_plan import TINY, plan

TILE = (128, 256)  # rows and columns, both even
ONE_IN_BITS = np.float32(1).view(np.uint32)

Tile = tuple[int, int, int, int]  # top, bottom, left, right


def combined(
    image: NDArray[np.float32],
    mask: NDArray[np.bool_],
    scales: Sequence[float],
    weights: Sequence[float],
    clip: bool = False,
) -> NDArray[np.float32]:
    """A weighted sum of a picture and its blurs.

    Args:
        image: float32 `[rows, columns]`; what lies outside the mask does not matter.
        mask: bool `[rows, columns]`.
        scales: as for `plan`.
        weights: of the picture, then of each blur.
        clip: whether the sum is clipped to [0, 1].

    Returns:
        float32 `[rows, columns]`, 0 outside the mask.

    Raises:
        MammoError: `scales_wrong`; `pixels_wrong` for values inside the mask that are not within [0, 1] or not numbers.
    """
    blurs = [(blur, weight) for blur, weight in zip(plan(tuple(scales)), weights[1:], strict=True) if weight]
    depth = max((blur.level for blur, _ in blurs), default=0)
    picture = _Picture(np.ascontiguousarray(image), np.ascontiguousarray(mask))
    frame = Frame.around(picture.mask, depth)
    levels = _pyramid(picture, frame, depth)
    above: _Level | None = None
    for number in range(depth, 0, -1):
        mine = [(blur.weights, weight) for blur, weight in blurs if blur.level == number]
        level, found = levels[number - 1], np.zeros_like(levels[number - 1].values)
        for tile in _tiles(*found.shape):
            window = level.window(tile, _halo(mine))
            if window is not None:
                total = _sum(window, mine, above, tile)
                found[tile[0] : tile[1], tile[2] : tile[3]] = window.weighed(total)
        above = _Level(found, level.weights)
    mine = [(blur.weights, weight) for blur, weight in blurs if blur.level == 0]
    result = np.zeros(image.shape, np.float32)
    for tile in _tiles(frame.rows, frame.columns):
        window = picture.window(frame.in_picture(tile), _halo(mine))
        if window is not None:
            _check(window.centre)
            total = _sum(window, mine, above, tile, weights[0])
            if clip:
                cv2.threshold(total, 1.0, 0.0, cv2.THRESH_TRUNC, dst=total)
                cv2.threshold(total, 0.0, 0.0, cv2.THRESH_TOZERO, dst=total)
            picture.put(total, result, frame.in_picture(tile))
    return result


class Frame(NamedTuple):
    """The part of the picture that is worked on: a box around the mask and a margin, at whole pixels of every level.

    Attributes:
        top, left: of the frame in pixels of the picture; the margin may lie beyond its edge.
        rows, columns: of the frame.
    """

    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def around(cls, mask: NDArray[np.bool_], depth: int) -> Frame:
        """The frame for levels 0 to `depth`, so wide that what OpenCV takes for lying beyond its edge never counts."""
        left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
        unit = 2**depth
        first = [(place // unit - 2) * unit for place in (top, left)]
        last = [(-(-place // unit) + 2) * unit for place in (top + height, left + width)]
        return cls(first[0], first[1], last[0] - first[0], last[1] - first[1])

    def in_picture(self, tile: Tile) -> Tile:
        """A tile of the frame in pixels of the picture."""
        return tile[0] + self.top, tile[1] + self.top, tile[2] + self.left, tile[3] + self.left


def _tiles(rows: int, columns: int) -> Iterator[Tile]:
    for top in range(0, rows, TILE[0]):
        for left in range(0, columns, TILE[1]):
            yield top, min(top + TILE[0], rows), left, min(left + TILE[1], columns)


class _Window(NamedTuple):
    """A tile with a rim.

    Attributes:
        values: float32, of the picture times the mask.
        weights: float32, of the mask; None where all of it is 1.
        halo: width of the rim.
    """

    values: NDArray[np.float32]
    weights: NDArray[np.float32] | None
    halo: int

    def inner(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """An array of the window's size without the rim."""
        return values[self.halo : values.shape[0] - self.halo, self.halo : values.shape[1] - self.halo]

    @property
    def centre(self) -> NDArray[np.float32]:
        return self.inner(self.values)

    def weighed(self, total: NDArray[np.float32]) -> NDArray[np.float32]:
        """A tile times the mask."""
        return total if self.weights is None else total * self.inner(self.weights)

    def blurred(self, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
        """The normalised blur in the tile."""
        found = self.inner(_blurred(self.values, kernel))
        return found if self.weights is None else _divided(found, self.inner(_blurred(self.weights, kernel)))


class _Level(NamedTuple):
    """A level of the frame: float32 arrays of one size, of something times the mask, and of the mask."""

    values: NDArray[np.float32]
    weights: NDArray[np.float32]

    def window(self, tile: Tile, halo: int) -> _Window | None:
        """None where nothing of the mask is in it."""
        top, bottom, left, right = tile[0] - halo, tile[1] + halo, tile[2] - halo, tile[3] + halo
        place = np.s_[max(top, 0) : bottom, max(left, 0) : right]
        weights = self.weights[place]
        low, high = cv2.minMaxLoc(weights)[:2]
        if high < 2 * TINY:
            return None
        whole = weights.shape == (bottom - top, right - left)
        if whole and low == 1:
            return _Window(self.values[place], None, halo)
        values = self.values[place]
        if not whole:
            lacking = [max(-top, 0), max(bottom - self.weights.shape[0], 0)]
            lacking += [max(-left, 0), max(right - self.weights.shape[1], 0)]
            values, weights = (
                cv2.copyMakeBorder(one, *lacking, cv2.BORDER_CONSTANT, value=beyond)  # type: ignore[call-overload]
                for one, beyond in ((values, 0.0), (weights, TINY))
            )
        return _Window(values, weights, halo)


class _Picture(NamedTuple):
    """Level 0, whose product with the mask is only made where it is needed."""

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]

    def window(self, tile: Tile, halo: int) -> _Window | None:
        """The same as of a level; with zeros beyond the picture's edge."""
        top, bottom, left, right = tile[0] - halo, tile[1] + halo, tile[2] - halo, tile[3] + halo
        rows = slice(max(top, 0), max(0, min(bottom, self.mask.shape[0])))
        columns = slice(max(left, 0), max(0, min(right, self.mask.shape[1])))
        inside = self.mask[rows, columns].view(np.uint8)
        count = cv2.countNonZero(inside) if inside.size else 0
        if count == 0:
            return None
        if count == (bottom - top) * (right - left):
            return _Window(self.image[rows, columns], None, halo)
        values, weights = np.zeros((2, bottom - top, right - left), np.float32)
        place = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        cv2.copyTo(self.image[rows, columns], inside, values[place])
        weights[place] = inside
        return _Window(values, weights, halo)

    def put(self, total: NDArray[np.float32], result: NDArray[np.float32], tile: Tile) -> None:
        """Writes a tile where the mask is."""
        top, left = max(tile[0], 0), max(tile[2], 0)
        place = np.s_[top : max(tile[1], 0), left : max(tile[3], 0)]
        inside = self.mask[place].view(np.uint8)
        if inside.size:
            found = total[top - tile[0] :, left - tile[2] :][: inside.shape[0], : inside.shape[1]]
            cv2.copyTo(found, inside, result[place])


def _pyramid(picture: _Picture, frame: Frame, depth: int) -> list[_Level]:
    """Levels 1 to `depth` of the frame."""
    if depth == 0:
        return []
    values, weights = np.zeros((2, frame.rows // 2, frame.columns // 2), np.float32)
    for tile in _tiles(frame.rows, frame.columns):
        window = picture.window(frame.in_picture(tile), 2)
        if window is not None:
            place = np.s_[tile[0] // 2 : tile[1] // 2, tile[2] // 2 : tile[3] // 2]
            values[place] = _down(window.values)[1:-1, 1:-1]
            weights[place] = 1.0 if window.weights is None else _down(window.weights)[1:-1, 1:-1]
    levels = [_Level(values, np.asarray(cv2.max(weights, TINY)))]  # type: ignore[call-overload]  # a scalar
    while len(levels) < depth:
        levels.append(_Level(_down(levels[-1].values), _down(levels[-1].weights)))
    return levels


def _halo(kernels: Sequence[tuple[NDArray[np.float32], float]]) -> int:
    """How far around a tile the blurs look, or the way up from the next level."""
    return max([4] + [len(kernel) // 2 for kernel, _ in kernels])


def _sum(
    window: _Window,
    kernels: Sequence[tuple[NDArray[np.float32], float]],
    above: _Level | None,
    tile: Tile,
    own: float = 0.0,
) -> NDArray[np.float32]:
    """A tile of a level: `own` times its values, the weighted blurs of it, and what comes up from the level above."""
    parts = [(window.blurred(kernel), weight) for kernel, weight in kernels]
    parts += [(window.centre, own)] if own or not parts else []
    total = np.multiply(parts[0][0], np.float32(parts[0][1]))
    for part, weight in parts[1:]:
        cv2.scaleAdd(part, weight, total, dst=total)
    if above is not None:
        top, bottom, left, right = (place // 2 for place in tile)
        place = np.s_[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1]
        first = np.s_[2 * min(top, 1) :, 2 * min(left, 1) :]
        found = _up(above.values[place])[first]
        if window.weights is not None:
            found = _divided(found, _up(above.weights[place])[first])
        cv2.add(total, found[: total.shape[0], : total.shape[1]], dst=total)
    return total


def _blurred(values: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.sepFilter2D(values, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT))


def _down(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.pyrDown(values), np.float32)


def _up(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.pyrUp(values), np.float32)


def _divided(values: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The quotient; not to be looked at where nothing of the mask is near."""
    return np.asarray(cv2.divide(values, weights))


def _check(values: NDArray[np.float32]) -> None:
    if values.view(np.uint32).max() <= ONE_IN_BITS:  # one pass; negative numbers and NaN are above it
        return
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise MammoError("pixels_wrong", f"grey values run from {low:g} to {high:g}, not within [0, 1]")

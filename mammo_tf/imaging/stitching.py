"""Tiles of a picture back to one map: each where it was cut from, blended where tiles share pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.warp import affine, invert, map_points


class Stitcher:
    """Puts the maps of tiles together to that of the whole picture.

    A pixel of the picture takes a tile's value, between the tile's pixels by bilinear interpolation. Where several
    tiles lie it takes their mean, each weighted by the distance to its own nearest edges along both axes, so that a
    tile fades out where it ends and no seam is left. A pixel in no tile is 0. Memory holds two float32 maps of the
    picture.

    Args:
        size: rows and columns of the picture.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._sums = np.zeros(size, np.float32)
        self._weights = np.zeros(size, np.float32)

    def add(self, tile: NDArray[np.floating], matrix: NDArray[np.floating]) -> None:
        """Adds one tile.

        Args:
            tile: `[rows, columns]`, any numbers.
            matrix: `[2, 3]`, maps (x, y, 1) of the tile to (x, y) of the picture; scales and shifts only.

        Raises:
            MammoError: `tile_turned` for a map that turns or mirrors.
        """
        matrix = np.asarray(matrix, np.float64)
        if matrix[0, 1] or matrix[1, 0] or min(matrix[0, 0], matrix[1, 1]) <= 0:
            raise MammoError("tile_turned", "a tile that is turned or mirrored cannot be stitched")
        rows, columns = tile.shape
        left, top = map_points(matrix, np.array([-0.5, -0.5]))
        right, bottom = map_points(matrix, np.array([columns - 0.5, rows - 0.5]))
        y0, y1 = _inside(top, bottom, self.size[0])
        x0, x1 = _inside(left, right, self.size[1])
        if y1 <= y0 or x1 <= x0:
            return
        back = invert(matrix)
        back = back @ np.array([[1.0, 0.0, x0], [0.0, 1.0, y0], [0.0, 0.0, 1.0]])
        values = affine(np.asarray(tile, np.float32), back, fill="nearest", size=(y1 - y0, x1 - x0))
        down = _to_edge(np.arange(y0, y1), top, bottom)
        across = _to_edge(np.arange(x0, x1), left, right)
        weights = (down[:, None] * across).astype(np.float32)
        place = np.s_[y0:y1, x0:x1]
        self._sums[place] += weights * values
        self._weights[place] += weights

    def result(self) -> NDArray[np.float32]:
        """The map of the whole picture, float32 `[rows, columns]`."""
        return np.divide(self._sums, self._weights, out=np.zeros_like(self._sums), where=self._weights > 0)


def _inside(low: float, high: float, count: int) -> tuple[int, int]:
    """The first pixel whose centre lies from `low` on, and the first from `high` on, cut off at the picture."""
    first, last = (int(np.ceil(edge - 1e-6)) for edge in (low, high))
    return max(first, 0), min(last, count)


def _to_edge(places: NDArray[np.int64], low: float, high: float) -> NDArray[np.float64]:
    """Distance of each pixel to the nearer end, as a share of half the length; above 0."""
    return np.maximum(np.minimum(places - low, high - places) * 2 / (high - low), 1e-4)

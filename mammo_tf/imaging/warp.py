"""Augmentation as one matrix and one warp: rotation, shear, shift, zoom, flips.

The matrix is rotation . shift . shear . zoom about the point (rows/2 + 0.5, columns/2 + 0.5) in (row, column), as the
published training code composed it (`golden/end2end`, "Augmentation"), followed by the flips.
Here points are (x, y) in pixels, x to the right, y down, (0, 0) at the centre of the top left pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError

INTERPOLATIONS = {"linear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}


@dataclass(frozen=True)
class AffineDraw:
    """Parameters of one warp; the defaults leave a picture as it is.

    Attributes:
        rotation: degrees; above 0 turns the picture clockwise as it is looked at.
        shear: radians, of columns over rows.
        shift_rows, shift_columns: of the content, as fractions of height and width; above 0 is down and right.
        zoom_rows, zoom_columns: what output coordinates are multiplied by: above 1 the picture shows smaller.
        flip_left_right, flip_up_down: after everything else.
    """

    rotation: float = 0.0
    shear: float = 0.0
    shift_rows: float = 0.0
    shift_columns: float = 0.0
    zoom_rows: float = 1.0
    zoom_columns: float = 1.0
    flip_left_right: bool = False
    flip_up_down: bool = False

    def matrix(self, rows: int, columns: int) -> NDArray[np.float64]:
        """float64 `[2, 3]` that maps (x, y, 1) of the warped picture to (x, y) of the given one.

        Args:
            rows, columns: size of both pictures.
        """
        angle = radians(self.rotation)
        rotation = np.array([[cos(angle), -sin(angle), 0], [sin(angle), cos(angle), 0], [0, 0, 1]])
        shift = np.array([[1, 0, -self.shift_rows * rows], [0, 1, -self.shift_columns * columns], [0, 0, 1]])
        shear = np.array([[1, -sin(self.shear), 0], [0, cos(self.shear), 0], [0, 0, 1]])
        zoom = np.diag([self.zoom_rows, self.zoom_columns, 1.0])
        middle = np.array([[1, 0, rows / 2 + 0.5], [0, 1, columns / 2 + 0.5], [0, 0, 1]])
        flip = np.eye(3)
        if self.flip_up_down:
            flip[0] = [-1, 0, rows - 1]
        if self.flip_left_right:
            flip[1] = [0, -1, columns - 1]
        by_row = middle @ rotation @ shift @ shear @ zoom @ np.linalg.inv(middle) @ flip
        swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
        return np.asarray((swap @ by_row @ swap)[:2], np.float64)


def random_affine(
    generator: np.random.Generator,
    rotation: float = 10.0,
    shift: float = 0.05,
    zoom: float = 0.1,
    shear: float = 0.0,
    horizontal_flip: bool = True,
    vertical_flip: bool = False,
) -> AffineDraw:
    """Draws one warp; the defaults are METHODS C, Table 7.

    Args:
        generator: where the numbers come from; eight are drawn whatever the settings.
        rotation: uniform in ± this many degrees.
        shift: uniform in ± this fraction of height and of width.
        zoom: uniform in 1 ± this, each axis for itself.
        shear: uniform in ± this many radians.
        horizontal_flip, vertical_flip: flipped with probability 0.5.
    """
    draws = generator.uniform(-1.0, 1.0, 6)
    flips = generator.uniform(0.0, 1.0, 2) < 0.5
    return AffineDraw(
        rotation=rotation * draws[0],
        shear=shear * draws[1],
        shift_rows=shift * draws[2],
        shift_columns=shift * draws[3],
        zoom_rows=1.0 + zoom * draws[4],
        zoom_columns=1.0 + zoom * draws[5],
        flip_left_right=bool(flips[0]) and horizontal_flip,
        flip_up_down=bool(flips[1]) and vertical_flip,
    )


def affine(
    picture: NDArray[Any],
    matrix: NDArray[np.floating[Any]],
    interpolation: str = "linear",
    fill: str | float = "nearest",
    size: tuple[int, int] | None = None,
) -> NDArray[Any]:
    """One warp. How many threads OpenCV uses is the caller's affair (`cv2.setNumThreads`).

    Args:
        picture: `[rows, columns]` or `[rows, columns, channels]`, bool, uint8, uint16 or float32.
        matrix: `[2, 3]`, maps (x, y, 1) of the result to (x, y) of `picture`.
        interpolation: `linear`, or `nearest` (masks take the same matrix and `nearest`; bool does so by itself).
        fill: what lies beyond the edge: `nearest` (the edge's pixel) or a number.
        size: rows and columns of the result; those of `picture` by default.

    Returns:
        The same type as `picture`.

    Raises:
        MammoError: `interpolation_unknown`, `fill_unknown`, `matrix_wrong`.
    """
    if interpolation not in INTERPOLATIONS:
        raise MammoError("interpolation_unknown", f"no interpolation {interpolation!r}", "Choose linear or nearest")
    if isinstance(fill, str) and fill != "nearest":
        raise MammoError("fill_unknown", f"no fill {fill!r}", "Choose nearest or a number")
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (2, 3) or not np.isfinite(matrix).all():
        raise MammoError("matrix_wrong", f"an affine map of shape {matrix.shape} is not 2 x 3 finite numbers")
    rows, columns = size or picture.shape[:2]
    source = picture.view(np.uint8) if picture.dtype == np.bool_ else picture
    method = cv2.INTER_NEAREST if picture.dtype == np.bool_ else INTERPOLATIONS[interpolation]
    warped = cv2.warpAffine(
        np.ascontiguousarray(source),
        matrix,
        (columns, rows),
        flags=method | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE if fill == "nearest" else cv2.BORDER_CONSTANT,
        borderValue=(0.0 if isinstance(fill, str) else float(fill),) * 4,
    )
    warped = np.asarray(warped).reshape(rows, columns, *picture.shape[2:])
    return warped.view(np.bool_) if picture.dtype == np.bool_ else warped


def shift_channels(picture: NDArray[np.float32], shifts: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Adds a number to each channel, clipped to the picture's own minimum and maximum (`golden/end2end`).

    Args:
        picture: `[rows, columns, channels]`.
        shifts: `[channels]`, in the picture's unit.
    """
    shifted = picture + np.asarray(shifts, picture.dtype)
    return np.clip(shifted, picture.min(), picture.max())


def map_points(matrix: NDArray[np.floating[Any]], points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Points through an affine map.

    Args:
        matrix: `[2, 3]`; from prepared to stored as preprocessing gives it, or `invert(...)` of that.
        points: `[..., 2]`, (x, y).
    """
    matrix = np.asarray(matrix, np.float64)
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The affine map back, float64 `[2, 3]`."""
    return np.asarray(cv2.invertAffineTransform(np.asarray(matrix, np.float64)), np.float64)

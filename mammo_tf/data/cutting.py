"""Pieces of pictures, as plans ask for them: read, cut and warped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.plans import Plan
from mammo_tf.errors import MammoError
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.warp import affine
from mammo_tf.records import Records
from mammo_tf.records.behind import behind

IDENTITY = np.eye(2, 3)


def as_cut(records: Records, plan: Plan, preprocessing: Preprocessing) -> tuple[Records, Preprocessing]:
    """What a plan's pieces are cut of, and the steps that are left for them.

    Patches and tiles are cut of pictures behind `Preprocessing.whole_steps`; whole pictures run these themselves.
    """
    ahead = preprocessing.whole_steps
    return (behind(records, ahead), preprocessing.for_pieces()) if ahead and plan.cuts else (records, preprocessing)


def cut(
    records: Records,
    position: int,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    interpolation: str = "linear",
    fill: str | float = 0.0,
) -> NDArray[np.uint16]:
    """The piece of a picture that a plan asks for, uint16 `size`; of records in tiles only what it touches is read.

    Args:
        records: prepared images.
        position: which one.
        matrix: `[2, 3]`, maps (x, y, 1) of the piece to (x, y) of the picture.
        size: rows and columns of the piece.
        interpolation, fill: as for `imaging.warp.affine`.
    """
    if records.size == size and np.array_equal(matrix, IDENTITY):
        return records.picture(position)
    box = touched(matrix, size, records.size)
    moved = matrix - [[0, 0, box[2]], [0, 0, box[0]]]
    return affine(records.region(position, box), moved, interpolation, fill, size)


def check_breasts(records: Records, needed: bool) -> None:
    """Refuses records without breast masks where they are needed.

    Raises:
        MammoError: `breast_missing`.
    """
    if needed and not records.preprocessing.finds_breast:
        raise MammoError(
            "breast_missing",
            f"{records.folder} was prepared without looking for the breast, which a step or an augmentation needs",
            "Prepare again with preset default or native",
        )  # fmt: skip


def cut_breast(
    records: Records, position: int, matrix: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Where the breast is in a piece of a picture, bool `size`, to the nearest pixel; False beyond the picture.

    Args:
        records, position, matrix, size: as for `cut`.

    Raises:
        MammoError: as `Records.breast`.
    """
    mask = records.breast(position)
    if mask.shape == size and np.array_equal(matrix, IDENTITY):
        return mask
    return affine(mask, matrix, fill=0, size=size)


def touched(
    matrix: NDArray[np.float64], size: tuple[int, int], picture_size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The region of a picture (top, bottom, left, right) that a warp looks at; one pixel where it looks beside it.

    A region ends inside the picture only where nothing of what lies behind is looked at, so warping it gives what
    warping the picture gives, its edge included.

    Args:
        matrix: `[2, 3]`, maps (x, y, 1) of the result to (x, y) of the picture.
        size: rows and columns of the result.
        picture_size: of the picture.
    """
    corners = np.array([[x, y, 1.0] for x in (0, size[1] - 1) for y in (0, size[0] - 1)])
    places = corners @ matrix.T
    (left, top), (right, bottom) = np.floor(places.min(axis=0)) - 1, np.ceil(places.max(axis=0)) + 2
    top, bottom = np.clip([top, bottom], 0, picture_size[0])
    left, right = np.clip([left, right], 0, picture_size[1])
    top, left = min(top, picture_size[0] - 1), min(left, picture_size[1] - 1)
    return int(top), int(max(bottom, top + 1)), int(left), int(max(right, left + 1))

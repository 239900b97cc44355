"""What a picture says of its own side and view: to question what a table or a header tells, never to overrule it.

The side is the side of the picture at which the chest wall lies, by convention the left one for a left breast. Of the
view two things tell: an MLO view is wide where the breast begins at the top, and bright in the corner of chest wall and
top, where the pectoral muscle lies. Between two limits the picture does not tell. The limits were chosen on the
phantom and on half the women of one collection; `benchmarks/off_the_picture.py` measures them on others. Black and
white that are exchanged are told by `reading.grey_scale.inverted_doubt`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.breast import SIDES, chest_wall_side, reduced

ROWS = 256
TOP = 1 / 20  # of the breast's rows: where its width at the top is looked at
CORNER = 1 / 5  # of the breast's rows: the triangle of chest wall and top
LEAST = 0.02  # of a share, below which its logarithm does not matter
MLO_FROM, CC_TO = -0.9, -2.4  # of log(width at the top) + log(brightness of the corner): between them nothing is told
VIEWS = ("CC", "MLO")
OTHER_SIDE = "the chest wall lies where that of the other breast lies: mirrored, or the wrong laterality?"
OTHER_VIEW = "it looks like the other one of CC and MLO: the wrong view?"


class Seen(NamedTuple):
    """What a picture says of itself.

    Attributes:
        laterality: L or R by where the chest wall lies; "" where that is not clear.
        view: CC or MLO; "" where that is not clear.
        score: what the view was told by, the higher the more like MLO; -inf without a breast.
    """

    laterality: str = ""
    view: str = ""
    score: float = -math.inf


def seen(pixels: NDArray[Any], breast: NDArray[np.bool_]) -> Seen:
    """Side and view as the picture shows them.

    Args:
        pixels: `[rows, columns]`, bright is dense; floats in [0, 1], uint16 or uint8.
        breast: bool `[rows, columns]`, as `breast.segment` finds it.

    Raises:
        MammoError: `pixels_wrong`.
    """
    picture = reduced(pixels, min(ROWS, pixels.shape[0]))
    size = (picture.shape[1], picture.shape[0])
    mask = cv2.resize(np.ascontiguousarray(breast).view(np.uint8), size, interpolation=cv2.INTER_NEAREST).view(np.bool_)
    side = chest_wall_side(mask)
    if side is None:
        return Seen()
    if side == "right":
        picture, mask = picture[:, ::-1], mask[:, ::-1]
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    place = (slice(top, top + height), slice(left, left + width))
    score = _like_mlo(picture[place], mask[place])
    view = "MLO" if score >= MLO_FROM else "CC" if score <= CC_TO else ""
    return Seen(next(letter for letter, where in SIDES.items() if where == side), view, score)


def _like_mlo(picture: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """How much the box of a breast, its chest wall at the left, looks like an MLO view."""
    rows, columns = mask.shape
    wide = float(mask[: max(1, round(TOP * rows))].sum(axis=1).mean()) / columns
    usual = float(np.median(picture[mask]))
    side = max(2, round(CORNER * rows))
    triangle = np.tri(side, dtype=np.bool_)[::-1, : min(side, columns)]
    corner = picture[:side, : min(side, columns)]
    bright = float(corner[triangle[: len(corner)]].mean()) / max(usual, 1e-6)
    return math.log(max(wide, LEAST)) + math.log(max(bright, LEAST))


def questions(found: Seen, laterality: str, view: str) -> tuple[str, ...]:
    """What the picture speaks against, of what is told of it: `OTHER_SIDE`, `OTHER_VIEW`.

    Args:
        found: as `seen` gives it.
        laterality, view: as told; what is not L or R, CC or MLO, is not questioned.
    """
    side = found.laterality and laterality in SIDES and found.laterality != laterality
    other = found.view and view in VIEWS and found.view != view
    return (*((OTHER_SIDE,) if side else ()), *((OTHER_VIEW,) if other else ()))


def question_lines(warnings: Iterable[Collection[str]]) -> list[str]:
    """Lines for the end of a command about what pictures speak against.

    Args:
        warnings: of each picture.
    """
    told = Counter(word for one in warnings for word in {OTHER_SIDE, OTHER_VIEW}.intersection(one))
    sides, views = told[OTHER_SIDE], told[OTHER_VIEW]
    lines = []
    if sides:
        hang = "1 picture does not hang as its" if sides == 1 else f"{sides} pictures do not hang as their"
        lines.append(f"{hang} laterality says (chest wall at the other side): mirrored, or the wrong side?")
    if views:
        look = "1 picture looks" if views == 1 else f"{views} pictures look"
        lines.append(f"{look} like MLO where CC is told, or the other way round: the wrong view?")
    return lines

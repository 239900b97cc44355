"""Regions that were drawn with the VGG Image Annotator (VIA), from its table in CSV, in pixels of the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.json_text import parsed_json
from mammo_tf.reading.collection_tables import FETCH, rows_of

CORNERS = 36  # of an ellipse
_COLUMNS = ("#filename", "region_shape_attributes")
Shape = Mapping[str, Any]  # what `Finding` takes: a box, a circle or a contour


def read_regions(path: Path) -> dict[str, list[Shape]]:
    """The shapes by the name of their picture, as `picture_name` writes it.

    Polygons and lines are contours, ellipses contours of `CORNERS` points; fewer than three points are the box around
    their pixels. A file without a region has none.

    Raises:
        MammoError: `table_broken` for a region that cannot be read; those of `rows_of`.
    """
    found: dict[str, list[Shape]] = {}
    for where, cells in rows_of(path, _COLUMNS):
        try:
            told = parsed_json(cells["region_shape_attributes"] or "{}")
            shape = _shape(told) if told else None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            sentence = f"{where}: region_shape_attributes cannot be read: {error}"
            raise MammoError("table_broken", sentence, FETCH) from None
        if shape is not None:
            found.setdefault(picture_name(cells["#filename"]), []).append(shape)
    return found


def picture_name(name: str) -> str:
    """A picture's name in small letters, without blanks and suffix: `p1_l_dm_mlo` of `P1_L_DM_MLO .jpg`."""
    return Path("".join(name.split()).lower()).stem


def _shape(told: Mapping[str, Any]) -> Shape:
    kind = told["name"]
    if kind in ("polygon", "polyline"):
        return _outline(
            [(_number(x), _number(y)) for x, y in zip(told["all_points_x"], told["all_points_y"], strict=True)]
        )
    if kind == "point":
        return _outline([(_number(told["cx"]), _number(told["cy"]))])
    if kind == "circle":
        return {"circle": (_number(told["cx"]), _number(told["cy"]), _number(told["r"]))}
    if kind == "ellipse":
        centre, turned = (_number(told["cx"]), _number(told["cy"])), _number(told.get("theta", 0))
        return {"contour": _ellipse(centre, (_number(told["rx"]), _number(told["ry"])), turned)}
    if kind == "rect":
        x, y = _number(told["x"]), _number(told["y"])
        return {"box": (x, y, x + _number(told["width"]), y + _number(told["height"]))}
    raise ValueError(f"the shape {kind!r} is unknown")


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number


def _outline(points: list[tuple[float, float]]) -> Shape:
    if len(points) > 2:
        return {"contour": tuple(points)}
    columns, lines = ([math.floor(point[axis]) for point in points] for axis in (0, 1))
    return {"box": (min(columns), min(lines), max(columns) + 1, max(lines) + 1)}


def _ellipse(centre: tuple[float, float], radii: tuple[float, float], turned: float) -> tuple[tuple[float, float], ...]:
    """Its outline; `turned` in radians, clockwise as y grows downwards."""
    cosine, sine = math.cos(turned), math.sin(turned)
    angles = (2 * math.pi * number / CORNERS for number in range(CORNERS))
    places = ((radii[0] * math.cos(angle), radii[1] * math.sin(angle)) for angle in angles)
    return tuple((centre[0] + x * cosine - y * sine, centre[1] + x * sine + y * cosine) for x, y in places)

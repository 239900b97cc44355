"""Findings: what was seen where, in pixels of the image as stored."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.json_text import parsed_json

FINDING_LABELS = ("normal", "benign", "high_risk", "malignant")
FARTHEST = 1_000_000  # pixels
SHAPES = ("box", "circle", "contour", "mask")


@dataclass(frozen=True)
class Finding:
    """One finding of one image; at most one of the four shapes is given.

    Args:
        kind: what it is (`mass`, `calcification`, `distortion`, ...), free text of the collection.
        label: normal, benign, high_risk or malignant.
        box: x0, y0, x1, y1; the end is one past the last pixel.
        circle: x, y, radius.
        contour: corners of a polygon, each x, y.
        mask: path of a mask picture, relative to the data root.
        frame: of a volume, the frame that it was seen in, in true order, counted from 1.

    Coordinates are pixels of the image as stored: origin at the top left, x to the right, y downwards.
    """

    kind: str
    label: str
    box: tuple[float, float, float, float] | None = None
    circle: tuple[float, float, float] | None = None
    contour: tuple[tuple[float, float], ...] | None = None
    mask: str | None = None
    frame: int | None = None

    def bounds(self) -> tuple[float, float, float, float] | None:
        """The box around the finding as x0, y0, x1, y1; None where its place is not told in numbers."""
        if self.box is not None:
            return self.box
        if self.circle is not None:
            x, y, radius = self.circle
            return (x - radius, y - radius, x + radius, y + radius)
        if self.contour:
            columns, rows = [point[0] for point in self.contour], [point[1] for point in self.contour]
            return (min(columns), min(rows), max(columns), max(rows))
        return None


def findings_to_json(findings: Iterable[Finding]) -> str:
    """The text of the manifest's column `findings`; no finding is the empty text."""
    rows: list[dict[str, Any]] = []
    for finding in findings:
        row: dict[str, Any] = {"kind": finding.kind, "label": finding.label}
        row |= {shape: getattr(finding, shape) for shape in SHAPES if getattr(finding, shape) is not None}
        rows.append(row if finding.frame is None else row | {"frame": finding.frame})
    return json.dumps(rows) if rows else ""


def findings_from_json(text: str) -> tuple[Finding, ...]:
    """Reads the manifest's column `findings`.

    Raises:
        MammoError: `findings_broken` if the text is not the JSON that `findings_to_json` writes.
    """
    if not text.strip():
        return ()
    try:
        return tuple(_finding(row) for row in _list(parsed_json(text, _once), "findings are", "a list, [...]"))
    except (ValueError, TypeError, OverflowError) as error:
        raise MammoError(
            "findings_broken", f"findings {text[:80]!r} cannot be read: {error}", "See docs/manifest.md for the form"
        ) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object none of whose keys stands there twice."""
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key stands there twice")
    return row


def _list(value: Any, what: str, form: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{what} {form}")
    return value


def _numbers(value: Any, what: str, count: int) -> tuple[float, ...]:
    """Numbers as JSON has them: a text of digits, or true, is none."""
    form = f"{count} numbers in a list"
    if len(_list(value, what, form)) != count or any(type(one) not in (int, float) for one in value):
        raise ValueError(f"{what} {form}")
    return tuple(map(float, value))


def _finding(row: Any) -> Finding:
    if not isinstance(row, dict):
        raise ValueError("a finding is {...}")
    missing = [key for key in ("kind", "label") if key not in row]
    if missing:
        raise ValueError(f"a finding has a {missing[0]}")
    unknown = set(row) - {"kind", "label", "frame", *SHAPES}
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}")
    shapes = {shape: row[shape] for shape in SHAPES if row.get(shape) is not None}
    if len(shapes) > 1:
        raise ValueError(f"more than one shape: {', '.join(shapes)}")
    if row["label"] not in FINDING_LABELS:
        raise ValueError(f"label {row['label']!r} is not one of {', '.join(FINDING_LABELS)}")
    if not isinstance(row["kind"], str):
        raise ValueError("a kind is a text")
    mask = shapes.get("mask", "masks/a.png")
    if not isinstance(mask, str) or not mask.strip():
        raise ValueError("a mask is a path")
    for shape, length in (("box", 4), ("circle", 3)):
        if shape in shapes:
            shapes[shape] = _numbers(shapes[shape], f"a {shape} has", length)
    if "contour" in shapes:
        corners = _list(shapes["contour"], "a contour has", "its corners in a list")
        shapes["contour"] = tuple(_numbers(corner, "a corner has", 2) for corner in corners)
        if len(shapes["contour"]) < 3:
            raise ValueError("a contour has three corners or more")
    numbers = [
        *shapes.get("box", ()),
        *shapes.get("circle", ()),
        *(n for point in shapes.get("contour", ()) for n in point),
    ]
    if any(abs(number) > FARTHEST or number != number for number in numbers):
        raise ValueError(f"a coordinate is not a number up to {FARTHEST}")
    x0, y0, x1, y1 = shapes.get("box", (0, 0, 1, 1))
    if not (x0 < x1 and y0 < y1):
        raise ValueError("a box is x0, y0, x1, y1 and ends one past its last pixel, so x1 > x0 and y1 > y0")
    if shapes.get("circle", (0, 0, 1))[2] <= 0:
        raise ValueError("a circle is x, y and a radius above 0")
    frame = row.get("frame")
    if frame is not None and (type(frame) is not int or frame < 1):
        raise ValueError("a frame is a whole number from 1 on")
    return Finding(kind=str(row["kind"]), label=str(row["label"]), frame=frame, **shapes)

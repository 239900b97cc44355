"""DDSM's text files: what `.ics` says of a case, and `.OVERLAY` of the abnormalities of a film.

Heath et al. 2001, "The Digital Database for Screening Mammography". Both are lines of words. An outline is a chain: the
column and the row of its first pixel, then a step from pixel to pixel for each number, until `#`.

| 7 0 1 |
| 6   2 |  0 is one row up, 2 one column to the right
| 5 4 3 |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.collection_tables import is_count, possible_age

FETCH = "Fetch it again"
LARGEST_BYTES = 10_000_000
STEPS = ((0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1))  # columns, rows
PATHOLOGIES = ("MALIGNANT", "BENIGN", "BENIGN_WITHOUT_CALLBACK", "UNPROVEN")
_FILMS = ("LEFT_CC", "LEFT_MLO", "RIGHT_CC", "RIGHT_MLO")
_FILM = re.compile(
    r"(LEFT|RIGHT)_(CC|MLO)\s+LINES\s+(\d{1,6})\s+PIXELS_PER_LINE\s+(\d{1,6})\s+BITS_PER_PIXEL\s+(\d{1,2})"
    r"\s+RESOLUTION\s+(\d{1,6}(?:\.\d*)?)"
    r"\s+(NON_OVERLAY|OVERLAY)"
)
Points = tuple[tuple[float, float], ...]


class Film(NamedTuple):
    """A film of a case; `resolution_um` is the distance of pixels in micrometres."""

    side: str
    view: str
    rows: int
    columns: int
    bits: int
    resolution_um: float
    has_overlay: bool


class Case(NamedTuple):
    """A case by its .ics file; "" is unknown."""

    name: str
    age: str
    density: str
    digitizer: str
    films: tuple[Film, ...]


class Abnormality(NamedTuple):
    """An abnormality of a film; `outline` is its boundary, corners alone."""

    kinds: tuple[str, ...]
    assessment: str
    pathology: str
    outline: Points


def read_ics(path: Path) -> Case:
    """A case.

    Raises:
        MammoError: `ics_broken`.
    """
    found: dict[str, str] = {}
    films = []
    for line in _lines(path, "ics_broken"):
        word, _, rest = line.partition(" ")
        film = _FILM.match(line)
        if film is None and word in _FILMS:
            raise MammoError("ics_broken", f"{path} describes the film {word} in a way that is not known", FETCH)
        if film:
            side, view, rows, columns, bits, resolution, overlay = film.groups()
            films.append(
                Film(side[0], view, int(rows), int(columns), int(bits), float(resolution), overlay == "OVERLAY")
            )
        else:
            found.setdefault(word, rest.strip())
    if not films or not found.get("filename"):
        raise MammoError("ics_broken", f"{path} names no case or no film", FETCH)
    density = found.get("DENSITY", "")
    age = found.get("PATIENT_AGE", "")
    return Case(
        found["filename"].upper(), possible_age(age),
        "ABCD"[int(density) - 1] if density in ("1", "2", "3", "4") else "", found.get("DIGITIZER", ""), tuple(films),
    )  # fmt: skip


def read_overlay(path: Path) -> tuple[Abnormality, ...]:
    """The abnormalities of a film.

    Raises:
        MammoError: `overlay_broken`, also where it holds less than it says.
    """
    lines = _lines(path, "overlay_broken")
    starts = [number for number, line in enumerate(lines) if line.split()[0] == "ABNORMALITY"]
    total = next((line.split()[-1] for line in lines if line.startswith("TOTAL_ABNORMALITIES")), "")
    if str(len(starts)) != total:
        raise MammoError(
            "overlay_broken", f"{path} has {len(starts)} abnormalities and says {total or 'nothing'}", FETCH
        )
    ends = [*starts, len(lines)][1:]
    return tuple(_abnormality(lines[start:end], path) for start, end in zip(starts, ends, strict=True))


def _abnormality(lines: Sequence[str], path: Path) -> Abnormality:
    told: dict[str, str] = {}
    kinds = []
    boundary: list[str] | None = None
    for line in lines:
        word, *rest = line.split()
        if word == "LESION_TYPE" and rest:
            kinds.append(rest[0].lower())
        elif word in ("BOUNDARY", "CORE"):
            if word == "BOUNDARY":
                boundary = list(rest)
            elif boundary is not None and "#" not in boundary:
                boundary.append("")  # it ended without its mark
        elif boundary is not None and word.lstrip("-").isdecimal() or word == "#":
            if boundary is not None and "#" not in boundary:
                boundary += [word, *rest]
        else:
            told.setdefault(word, " ".join(rest))
    pathology = told.get("PATHOLOGY", "")
    if pathology not in PATHOLOGIES or boundary is None:
        what = "no boundary" if boundary is None else f"the pathology {pathology[:40]!r}"
        raise MammoError("overlay_broken", f"{path} has an abnormality with {what}", FETCH)
    return Abnormality(tuple(dict.fromkeys(kinds)), told.get("ASSESSMENT", ""), pathology, _corners(boundary, path))


def _corners(chain: Sequence[str], path: Path) -> Points:
    """The corners of a chain, which starts with a column and a row and ends with `#`."""
    numbers = chain[: chain.index("#")] if "#" in chain else []
    if len(numbers) < 5 or not all(map(is_count, numbers)) or set(numbers[2:]) - set("01234567"):
        raise MammoError(
            "overlay_broken", f"{path} has a boundary that is not a column, a row and steps until #", FETCH
        )
    x, y = int(numbers[0]), int(numbers[1])
    found = [(float(x), float(y))]
    for step, following in zip(numbers[2:], [*numbers[3:], ""], strict=True):
        across, down = STEPS[int(step)]
        x, y = x + across, y + down
        if step != following:
            found.append((float(x), float(y)))
    if len(found) < 3:
        raise MammoError("overlay_broken", f"{path} has a boundary that is a line", FETCH)
    return tuple(found[:-1]) if len(found) > 3 and found[-1] == found[0] else tuple(found)


def _lines(path: Path, code: str) -> list[str]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise MammoError(code, f"{path} has more than {LARGEST_BYTES} bytes", FETCH)
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise MammoError(code, f"{path} cannot be read as text: {error}", FETCH) from None
    return [line.strip() for line in text.splitlines() if line.strip()]

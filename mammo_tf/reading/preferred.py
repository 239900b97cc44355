"""Which of several two-dimensional pictures of one exam, side and view counts; `RULE` says it in words.

Archives hold a view more than once: the mammogram and the picture computed from its tomosynthesis, raw and processed,
an export at half the size, an exposure that was repeated. Counted twice, a woman weighs more than others, and a view
has two scores of which nobody knows which is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.listed_pictures import PICTURES
from mammo_tf.study import Reject

RULE = (
    "of one exam, side, view and modifiers one picture: a digital mammogram (FFDM) before one computed from "
    "tomosynthesis (S2D) before a scanned film (FILM), processed before raw, the larger matrix, the latest, the first "
    "path"
)
NOT_PREFERRED = "not_preferred"
LEFT_OUT = "left out with it:"
_TOLD = ("label", "findings")
_KINDS = ("FFDM", "S2D", "FILM")
# Dates and times of a picture, the exposure's first.
_TAKEN = (("AcquisitionDate", "AcquisitionTime"), ("ContentDate", "ContentTime"), ("SeriesDate", "SeriesTime"))


class Listed(NamedTuple):
    """A picture that could be a row: the file, its manifest row, and the facts of its header."""

    file: Path
    row: dict[str, Any]
    facts: Facts


class _Step(NamedTuple):
    """A step of the rule: its name, and a number for each rival, of which the smallest is preferred."""

    words: str
    keys: list[Any]


def not_preferred(listed: Sequence[Listed]) -> dict[str, Reject]:
    """The rejects of all pictures that another one is preferred to, by path; the order of `listed` does not matter.

    No picture is a rival of one in another study, of a volume, of a part of a large breast (Partial View), or of one
    that was let in against another judgement; one without a study, side or view, as one without a header, has none.
    """
    groups: dict[tuple[Any, ...], list[Listed]] = {}
    for one in listed:
        key = _rivals_key(one)
        if key is not None:
            groups.setdefault(key, []).append(one)
    return {reject.path: reject for rivals in groups.values() if len(rivals) > 1 for reject in _rejects(rivals)}


def _rivals_key(one: Listed) -> tuple[Any, ...] | None:
    row, facts = one.row, one.facts
    whole = facts.frames == 1 and not facts.partial and row["modality"] in _KINDS
    if not (whole and facts.exam_id and row["laterality"] and row["view"]):
        return None
    modifiers = tuple(sorted(facts.modifiers))
    exam = (facts.exam_id, row["exam_id"], row["patient_id"])
    return (*exam, row["laterality"], row["view"], modifiers, facts.accepted)


def _rejects(rivals: Sequence[Listed]) -> Iterable[Reject]:
    rivals = sorted(rivals, key=lambda one: one.row["path"])
    steps = [
        _Step("the kind of picture", [_KINDS.index(one.row["modality"]) for one in rivals]),
        _Step("processed before raw", [one.facts.for_processing for one in rivals]),
        _Step("the larger matrix", [-one.facts.rows * one.facts.columns for one in rivals]),
    ]
    places = list(range(len(rivals)))
    lost: dict[int, str] = {}
    for step in steps:
        places = _still_in(places, step, lost)
    if len(places) > 1:
        taken = {place: when_taken(rivals[place].file) for place in places}
        latest = max(taken.values())
        places = _still_in(places, _Step("the latest", [taken.get(at) != latest for at in range(len(rivals))]), lost)
    first = places[0]
    lost |= dict.fromkeys(places[1:], "the first path, as nothing else tells them apart")
    for place, why in lost.items():
        told = " and ".join(name for name in _TOLD if rivals[place].row.get(name))
        lost_too = f"; {LEFT_OUT} {told} that the table gives it" if told else ""
        reason = f"{rivals[first].row['path']} is preferred for this exam, side and view: {why}{lost_too}"
        yield Reject(rivals[place].row["path"], NOT_PREFERRED, reason, "--keep-all keeps both")


def _still_in(places: list[int], step: _Step, lost: dict[int, str]) -> list[int]:
    """The places whose key is the smallest; the others are lost by this step."""
    best = min(step.keys[place] for place in places)
    lost |= {place: step.words for place in places if step.keys[place] != best}
    return [place for place in places if step.keys[place] == best]


def repacks_of(found: Iterable[tuple[Path, Facts, bool]]) -> dict[Path, Path]:
    """Pictures without a header that are called like a DICOM file of their folder, but for the ending, and that file.

    Args:
        found: each file with its facts, and whether a table names it; one that a table names is no re-pack.
    """
    files = sorted(found, key=lambda one: one[0])
    named = {_without_ending(path): path for path, facts, _ in files if facts.modality}
    pictures = [path for path, facts, is_told in files if not facts.modality and not is_told]
    return {path: named[_without_ending(path)] for path in pictures if _without_ending(path) in named}


def _without_ending(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() in PICTURES else path  # 1.2.840 has no ending


def when_taken(path: Path) -> str:
    """Date and time of a picture as digits that sort, "" where the header tells none; compared, and never written."""
    try:
        with refusals(path), open_dicom(path) as file:
            for date, time in _TAKEN:
                day, moment = file.header.text(date), file.header.text(time)
                if len(day) == 8 and day.isdecimal():
                    whole, _, fraction = moment.partition(".")
                    return f"{day}{whole:0<6}.{fraction}"
    except MammoError:
        return ""
    return ""

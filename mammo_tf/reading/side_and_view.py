"""Side and view of a picture, from wherever a header says them, and which element it was.

View Position holds side and view together in old exports (`LCC`, `R-MLO`). Some makers leave it empty and write the
view into (0018,1400), Acquisition Device Processing Description, or into a description of the series: such free text
counts where no element of the standard tells, with a warning, and where it tells something else, that is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading import codes
from mammo_tf.reading.data_set import DataSet, per_frame_groups
from mammo_tf.reading.object_kind import code
from mammo_tf.reading.vendor_words import SIDES, Piece, Said, in_text, understood

REMEDY = "Give laterality and view in a table"
PROCESSING = "AcquisitionDeviceProcessingDescription"
TEXTS = ("SeriesDescription", "ProtocolName", "ViewName")
_SHORT = {PROCESSING: "(0018,1400)"}
_CODE_STRING = re.compile(r"[A-Z0-9 _+/-]{1,16}", re.IGNORECASE)


class SideAndView(NamedTuple):
    """Side (L, R) and view (CC, MLO, ...) of a picture, and which elements said so."""

    laterality: str
    view: str
    evidence: str


class _Element(NamedTuple):
    """An element of a header that says something: its name, what stands there, what that means."""

    name: str
    written: str
    said: Said

    def __str__(self) -> str:
        return f"{self.name} {self.written}"


def side_and_view(header: DataSet, laterality: str | None, view: str | None, warnings: list[str]) -> SideAndView:
    """Side, view and the evidence for them.

    Args:
        header: of the file.
        laterality, view: what a table says; counts.
        warnings: what is doubtful is added.

    Raises:
        MammoError: `laterality_missing`, `laterality_both`, `laterality_contradictory`, `view_missing`,
            `view_contradictory`, each with the elements that say so.
    """
    position = _position(header)
    texts = _texts(header)
    sides = [one for one in (*_sides(header), *position) if one.said.side]
    views = [one for one in (*position, *_coded(header)) if one.said.view]
    side, why_side = _laterality(header, sides, [one for one in texts if one.said.side], laterality, warnings)
    word, why_view = _view(header, views, [one for one in texts if one.said.view], view, warnings)
    return SideAndView(side, word, f"laterality: {why_side}; view: {why_view}")


def _sides(header: DataSet) -> list[_Element]:
    """The elements of the standard that say a side."""
    frames = (*header.sequence("SharedFunctionalGroupsSequence"), *per_frame_groups(header))
    anatomy = [item for group in frames for item in group.sequence("FrameAnatomySequence")]
    words = [(name, word) for name in ("ImageLaterality", "Laterality") for word in header.texts(name)]
    framed = dict.fromkeys(word for item in anatomy for word in item.texts("FrameLaterality"))
    words += [("FrameLaterality", word) for word in framed]
    known = [(name, word.upper()) for name, word in words if word.upper() in SIDES]
    return [_Element(name, word, Said(side=SIDES[word])) for name, word in known]


def _position(header: DataSet) -> list[_Element]:
    words = header.texts("ViewPosition")
    return [_Element("ViewPosition", word.upper(), understood(word)) for word in words if understood(word).view]


def _coded(header: DataSet) -> list[_Element]:
    items = header.sequence("ViewCodeSequence")
    found = [(item.text("CodeValue"), codes.VIEW_OF_CODE.get(code(item), "")) for item in items]
    return [
        _Element("ViewCodeSequence", f"{value} {word}", Said(view=word))
        for value, word in found
        if word in codes.VIEW_WORDS
    ]


def _texts(header: DataSet) -> list[_Element]:
    """What free text says; (0018,1400) names a processing, and counts where exactly side or view stand there."""
    exact = header.text(PROCESSING)
    found = [(_SHORT[PROCESSING], Piece(understood(exact), exact.upper()))]
    found += [(name, in_text(" ".join(header.texts(name)))) for name in TEXTS]
    return [_Element(name, f"'{piece.written}'", piece.said) for name, piece in found if piece.said != Said()]


def _laterality(
    header: DataSet, told: Sequence[_Element], texts: Sequence[_Element], given: str | None, warnings: list[str]
) -> tuple[str, str]:
    """The side and the evidence for it."""
    said = sorted({one.said.side for one in told})
    if given:
        return given, _against_table("laterality", told, [one.said.side == given for one in told], warnings)
    if len(said) > 1:
        sentence = f"the header says laterality {' and '.join(said)} ({_listed(told)})"
        raise MammoError("laterality_contradictory", sentence, REMEDY)
    if said == ["B"]:
        raise MammoError("laterality_both", f"the picture shows both breasts ({_listed(told)})", "Leave it out")
    if said:
        if all(one.said.view for one in told):
            warnings.append(f"the laterality stands next to the view, and nowhere else ({_listed(told)})")
        _doubt("laterality", told, [one for one in texts if one.said.side != said[0]], warnings)
        return said[0], _listed(told)
    if not texts:
        words = [header.text("ImageLaterality"), header.text("Laterality")]
        raise MammoError("laterality_missing", f"the header has no laterality{_unknown(words)}", REMEDY)
    _agreed("laterality", texts, {one.said.side for one in texts})
    where = "next to the view and nowhere else" if all(one.said.view for one in texts) else "and nowhere else"
    warnings.append(f"the laterality stands in free text, {where} ({_listed(texts)})")
    return texts[0].said.side, _listed(texts)


def _view(
    header: DataSet, told: Sequence[_Element], texts: Sequence[_Element], given: str | None, warnings: list[str]
) -> tuple[str, str]:
    """The view and the evidence for it."""
    said = list(dict.fromkeys(one.said.view for one in told))
    if given:
        return given, _against_table("view", told, [one.said.view == given for one in told], warnings)
    if len(said) > 1:
        sentence = f"the header says view {' and '.join(said)} ({_listed(told)})"
        raise MammoError("view_contradictory", sentence, REMEDY)
    if said:
        _doubt("view", told, [one for one in texts if one.said.view != said[0]], warnings)
        return said[0], _listed(told)
    if not texts:
        items = header.sequence("ViewCodeSequence")[:1]
        words = [header.text("ViewPosition"), *(item.text("CodeValue") for item in items)]
        raise MammoError("view_missing", f"the header has no view that is known{_unknown(words)}", REMEDY)
    _agreed("view", texts, {one.said.view for one in texts})
    warnings.append(f"the view stands in free text, and nowhere else ({_listed(texts)})")
    return texts[0].said.view, _listed(texts)


def _against_table(what: str, told: Sequence[_Element], agree: Sequence[bool], warnings: list[str]) -> str:
    """The evidence where a table counts, with a warning where the header says something else."""
    if all(agree):
        return ", ".join(["the table", *map(str, told)])
    against = _listed([one for one, same in zip(told, agree, strict=True) if not same])
    warnings.append(f"the {what} given is not that of the header ({against})")
    return f"the table, against {against}"


def _agreed(what: str, texts: Sequence[_Element], said: set[str]) -> None:
    if len(said) > 1:
        sentence = f"free text says {what} {' and '.join(sorted(said))} ({_listed(texts)})"
        raise MammoError(f"{what}_contradictory", sentence, REMEDY)


def _doubt(what: str, told: Sequence[_Element], others: Sequence[_Element], warnings: list[str]) -> None:
    if others:
        warnings.append(f"free text says another {what}: {_listed(others)} against {_listed(told)}, which counts")


def _listed(elements: Sequence[_Element]) -> str:
    return ", ".join(dict.fromkeys(map(str, elements)))


def _unknown(words: Sequence[str]) -> str:
    """Words that were not understood, for a sentence; one that is no code may be a name, and is not repeated."""
    found = dict.fromkeys(word for word in words if word)
    shown = [repr(word) if _CODE_STRING.fullmatch(word) else "a text that is no code" for word in found]
    return f", but {' and '.join(shown)}" if shown else ""

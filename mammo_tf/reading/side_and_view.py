"""Side and view of a picture, from wherever a header says them.

View Position holds side and view together in old exports (`LCC`, `R-MLO`). Some makers leave it empty and write the
view into (0018,1400), Acquisition Device Processing Description: that counts where nothing else tells.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading import codes
from mammo_tf.reading.data_set import DataSet, per_frame_groups
from mammo_tf.reading.object_kind import code

REMEDY = "Give laterality and view in a table"
_SIDES = {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R", "B": "B", "BOTH": "B"}
_VIEW = "|".join(sorted(codes.VIEW_WORDS, key=len, reverse=True))
_JOINED = re.compile(rf"(?P<side>L|R|LEFT|RIGHT)(?P<gap>[ _-]*)(?P<view>{_VIEW})")
_BEHIND = re.compile(rf"(?P<view>{_VIEW})(?P<gap>[ _-]+)(?P<side>L|R|LEFT|RIGHT)")
_CODE_STRING = re.compile(r"[A-Z0-9 _+/-]{1,16}", re.IGNORECASE)
# LAT is a lateral view, of which side and direction are not told; it is not the left axillary tail.
_NOT_JOINED = ("AT",)


class Said(NamedTuple):
    """A side (L, R) and a view that a word says; "" for what it does not say."""

    side: str = ""
    view: str = ""


def understood(word: str) -> Said:
    """What a word says: exactly a view (`MLO`), or a side and a view (`LCC`, `R-MLO`, `CC_L`); nothing else counts."""
    word = word.upper()
    if word in codes.VIEW_WORDS:
        return Said(view=word)
    match = _JOINED.fullmatch(word) or _BEHIND.fullmatch(word)
    if match is None or (match["view"] in _NOT_JOINED and not match["gap"]):
        return Said()
    return Said(_SIDES[match["side"]], match["view"])


def laterality_of(header: DataSet, given: str | None, warnings: list[str]) -> str:
    """L or R.

    Args:
        header: of the file.
        given: what a table says; counts.
        warnings: what is doubtful is added.

    Raises:
        MammoError: `laterality_missing`, `laterality_both`, `laterality_contradictory`.
    """
    frames = (*header.sequence("SharedFunctionalGroupsSequence"), *per_frame_groups(header))
    anatomy = [item for group in frames for item in group.sequence("FrameAnatomySequence")]
    words = [header.text("ImageLaterality"), header.text("Laterality")]
    words += [item.text("FrameLaterality") for item in anatomy]
    said = {_SIDES[word.upper()] for word in words if word.upper() in _SIDES}
    beside = {one.side for one in _words(header) if one.side}
    if not said and len(beside) == 1 and not given:
        warnings.append("the laterality stands next to the view, and nowhere else")
    both = sorted(said | beside)
    if given:
        if both and both != [given]:
            warnings.append("the laterality given is not that of the header")
        return given
    if len(both) > 1:
        raise MammoError("laterality_contradictory", f"the header says laterality {' and '.join(both)}", REMEDY)
    if both == ["B"]:
        raise MammoError("laterality_both", "the picture shows both breasts", "Leave it out")
    if not both:
        unknown = _unknown(dict.fromkeys(word for word in words if word))
        raise MammoError("laterality_missing", f"the header has no laterality{unknown}", REMEDY)
    return both[0]


def view_of(header: DataSet, given: str | None, warnings: list[str]) -> str:
    """CC, MLO or another of `codes.VIEW_WORDS`; arguments as for `laterality_of`.

    Raises:
        MammoError: `view_missing`, `view_contradictory`.
    """
    items = header.sequence("ViewCodeSequence")[:1]
    coded = [codes.VIEW_OF_CODE.get(code(item), "") for item in items]
    said = list(dict.fromkeys(word for word in (understood(header.text("ViewPosition")).view, *coded) if word))
    said = [word for word in said if word in codes.VIEW_WORDS]
    if not said:
        said = [one.view for one in _words(header) if one.view]
    if given:
        if said and said != [given]:
            warnings.append("the view given is not that of the header")
        return given
    if len(said) > 1:
        raise MammoError("view_contradictory", f"the header says view {' and '.join(said)}", REMEDY)
    if not said:
        found = [header.text("ViewPosition"), *(item.text("CodeValue") for item in items)]
        unknown = _unknown(dict.fromkeys(word for word in found if word))
        raise MammoError("view_missing", f"the header has no view that is known{unknown}", REMEDY)
    return said[0]


def _words(header: DataSet) -> list[Said]:
    """What View Position says, else what stands in (0018,1400)."""
    found = [understood(header.text(keyword)) for keyword in ("ViewPosition", "AcquisitionDeviceProcessingDescription")]
    return [one for one in found if one.view][:1]


def _unknown(words: dict[str, None]) -> str:
    """Words that were not understood, for a sentence; one that is no code may be a name, and is not repeated."""
    shown = [repr(word) if _CODE_STRING.fullmatch(word) else "a text that is no code" for word in words]
    return f", but {' and '.join(shown)}" if shown else ""

"""Side, view and kind of a picture in free text, as makers and hospitals write it into a header.

Series Description, Protocol Name and View Name are free text: `L CC`, `RMLO`, `ROUTINE3D_VOL_0000_LCC`, `V-Preview
RCC`, `L MLO Tomosynthesis Projection`, `R MLO C-View`. What is taken from them is a piece that is a code (a side, a
view, the name of a maker's synthetic picture); nothing else of them leaves this room, as the rest may be a name.

Sources of the spellings: headers quoted in public code (medcognetics/dicom-utils, tests of its types; scripts that
choose series of Hologic and GE archives by their description), the makers' product names (C-View, Intelligent 2D:
Hologic; V-Preview: GE; S-View: Fujifilm; Insight 2D: Siemens).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mammo_tf.reading import codes

SIDES = {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R", "B": "B", "BOTH": "B"}
_SIDE_WORDS = {"L": "L", "LT": "L", "LEFT": "L", "R": "R", "RT": "R", "RIGHT": "R"}
_VIEW = "|".join(sorted(codes.VIEW_WORDS, key=len, reverse=True))
_JOINED = re.compile(rf"(?P<side>L|R|LEFT|RIGHT)(?P<gap>[ _-]*)(?P<view>{_VIEW})")
_BEHIND = re.compile(rf"(?P<view>{_VIEW})(?P<gap>[ _-]+)(?P<side>L|R|LEFT|RIGHT)")
# LAT is a lateral view, of which side and direction are not told; it is not the left axillary tail.
_NOT_JOINED = ("AT",)
# In a sentence AT, CV, FB, ISO and SIO are words of other meanings; ML and LM alone are millilitres and light metres.
_VIEWS_IN_TEXT = ("CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM")
_ALONE_IN_TEXT = ("CC", "MLO", "LMO", "XCCL", "XCCM")
_BETWEEN = re.compile(r"[^0-9A-Za-z]+")
_SYNTHETIC = re.compile(
    r"(?<![A-Z0-9])([CS][ -]?VIEW|V[ -]?PREVIEW|INSIGHT[ -]?2D|INTELLIGENT[ -]?2D|SYNTH(?:ETIC|ESI[SZ]ED)?[ -]?2D"
    r"|SYNTH(?:ETIC|ESI[SZ]ED) (?:VIEW|MAMMO(?:GRAM|GRAPHY)?)|GENERATED[ -]2D)(?![A-Z0-9])"
)
_PROJECTION = re.compile(r"(?<![A-Z0-9])TOMO(?:S[IY]NTHESIS)?[ -]?PROJ(?:ECTIONS?)?(?![A-Z0-9])")
# View modifiers, as words of the ACR's labels and in full; of `codes.REFUSED_MODIFIERS`, and specimens.
_MODIFIERS = {
    "magnification": re.compile(r"MAG|MAGNIFICATION|MAGNIFIED"),
    "spot": re.compile(r"SPOT"),
    "implant_displaced": re.compile(rf"(?:L|R)?(?:{_VIEW})ID|EKLUND"),
    "tangential": re.compile(r"TAN|TANGENTIAL"),
    codes.SPECIMEN: re.compile(r"[LR]?SPEC|SPECIMEN"),
}


class Said(NamedTuple):
    """A side (L, R) and a view that a word says; "" for what it does not say."""

    side: str = ""
    view: str = ""


class Piece(NamedTuple):
    """What a text says, and the piece of it that says so, which holds nothing but codes."""

    said: Said
    written: str


NOTHING = Piece(Said(), "")


def understood(word: str) -> Said:
    """What a word says: exactly a view (`MLO`), or a side and a view (`LCC`, `R-MLO`, `CC_L`); nothing else counts."""
    word = word.upper()
    if word in codes.VIEW_WORDS:
        return Said(view=word)
    match = _JOINED.fullmatch(word) or _BEHIND.fullmatch(word)
    if match is None or (match["view"] in _NOT_JOINED and not match["gap"]):
        return Said()
    return Said(SIDES[match["side"]], match["view"])


def in_text(text: str) -> Piece:
    """What a free text says of side and view.

    A view counts with a side at it (`LCC`, `L CC`, `CC LEFT`, `Rt MLO`), or where it stands alone and is no other word
    either (`CC` behind a number is a volume); a side without a view only as a word (`left`). Where a text says two
    views or two sides, as one of a whole exam does, it says nothing of them.
    """
    tokens = [token for token in _BETWEEN.split(text.upper()) if token]
    pieces = [*_joined(tokens), *_pairs(tokens)]
    if not pieces:
        pieces = [
            Piece(Said(view=token), token)
            for place, token in enumerate(tokens)
            if token in _ALONE_IN_TEXT and not (place and tokens[place - 1].isdecimal())
        ]
        pieces += [Piece(Said(side=token[0]), token) for token in tokens if token in ("LEFT", "RIGHT")]
    sides = {piece.said.side for piece in pieces} - {""}
    views = {piece.said.view for piece in pieces} - {""}
    said = Said(sides.pop() if len(sides) == 1 else "", views.pop() if len(views) == 1 else "")
    if said == Said():
        return NOTHING
    whole = next((piece for piece in pieces if piece.said == said), None)
    return whole or Piece(said, " ".join(dict.fromkeys(piece.written for piece in pieces if _shares(piece.said, said))))


def _shares(one: Said, said: Said) -> bool:
    return bool((one.side and one.side == said.side) or (one.view and one.view == said.view))


def _joined(tokens: list[str]) -> list[Piece]:
    found = [(understood(token), token) for token in tokens]
    return [Piece(said, token) for said, token in found if said.side and said.view in _VIEWS_IN_TEXT]


def _pairs(tokens: list[str]) -> list[Piece]:
    """Neighbours of which the first is a side and the second a view; where there are none, the other way round."""
    neighbours = list(zip(tokens, tokens[1:], strict=False))
    return [_pair(side, view, f"{side} {view}") for side, view in neighbours if _is_pair(side, view)] or [
        _pair(side, view, f"{view} {side}") for view, side in neighbours if _is_pair(side, view)
    ]


def _is_pair(side: str, view: str) -> bool:
    return side in _SIDE_WORDS and view in _VIEWS_IN_TEXT


def _pair(side: str, view: str, written: str) -> Piece:
    return Piece(Said(_SIDE_WORDS[side], view), written)


def modifiers_in(text: str) -> dict[str, str]:
    """The refused view modifiers, and `specimen`, that words of a text name (`MAG`, `SPOT`, `CC ID`), with the word."""
    tokens = [token for token in _BETWEEN.split(text.upper()) if token]
    pairs = [first + second for first, second in zip(tokens, tokens[1:], strict=False) if second == "ID"]
    found = (
        (word, token) for word, pattern in _MODIFIERS.items() for token in (*tokens, *pairs) if pattern.fullmatch(token)
    )
    return dict(found)


def synthetic_name(text: str) -> str:
    """The name of a synthetic picture in a free text (`C-VIEW`, `V-PREVIEW`), in capitals; "" where there is none."""
    return _named(_SYNTHETIC, text)


def projection_name(text: str) -> str:
    """Where a free text speaks of a projection of a tomosynthesis, those words in capitals; else ""."""
    return _named(_PROJECTION, text)


def _named(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text.upper().replace("_", " "))
    return match.group() if match else ""

"""When two names may be one: spreadsheets change blanks, case, leading zeros and a `.0` behind numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_NUMBER = re.compile(r"0*(\d+)(?:\.0+)?")


def spelled_alike(names: Iterable[str]) -> list[str]:
    """Names as they compare: without case, blanks and signs that are not seen; numbers without leading zeros and `.0`.

    Spreadsheets change all of these, and file systems and web pages how a letter is stored (an umlaut as one sign or
    two, a hyphen that does not break), so names that differ in nothing else may well be one patient's.
    """
    plain = (_seen("".join(str(name).split())).casefold() for name in names)
    return [number[1] if (number := _NUMBER.fullmatch(name)) else name for name in plain]


def _seen(name: str) -> str:
    """What is seen of a name, each sign as the plainest that looks so."""
    if name.isascii():
        return name
    kinds = ((sign, unicodedata.category(sign)) for sign in unicodedata.normalize("NFKC", name))
    return "".join("-" if kind == "Pd" else sign for sign, kind in kinds if kind not in ("Cf", "Cc"))


def one_spelling(names: Iterable[str]) -> list[str]:
    """Each name as it is spelled where it first stands."""
    listed = [str(name) for name in names]
    first: dict[str, str] = {}
    return [first.setdefault(key, name) for key, name in zip(spelled_alike(listed), listed, strict=True)]

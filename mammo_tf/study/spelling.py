"""When two names may be one: spreadsheets change blanks, case, leading zeros and a `.0` behind numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"0*(\d+)(?:\.0+)?")


def spelled_alike(names: Iterable[str]) -> list[str]:
    """Names as they compare: without case and blanks; numbers without leading zeros and a `.0` behind them.

    Spreadsheets change all of these, so names that differ in nothing else may well be one patient's.
    """
    plain = ("".join(str(name).split()).casefold() for name in names)
    return [number[1] if (number := _NUMBER.fullmatch(name)) else name for name in plain]


def one_spelling(names: Iterable[str]) -> list[str]:
    """Each name as it is spelled where it first stands."""
    listed = [str(name) for name in names]
    first: dict[str, str] = {}
    return [first.setdefault(key, name) for key, name in zip(spelled_alike(listed), listed, strict=True)]

"""JSON that others may have written, read within limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

DEEPEST = 100  # levels
LONGEST = 300  # digits of a whole number: a float64 holds it
TOO_DEEP = f"nested more than {DEEPEST} levels deep"


def parsed_json(text: str, members: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """JSON of a text that others may have written.

    Args:
        text: one JSON value.
        members: makes something else than a dictionary of the members of an object.

    Raises:
        ValueError: of what is no JSON, is nested more than `DEEPEST` levels deep, or holds a whole number of more
            than `LONGEST` digits.
    """
    try:
        value = json.loads(text, parse_int=_whole_number, object_pairs_hook=members)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    level = [value]
    for _ in range(DEEPEST):
        level = [item for one in level if isinstance(one, dict | list) for item in _members(one)]
    if level:
        raise ValueError(TOO_DEEP)
    return value


def _members(one: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return one.values() if isinstance(one, dict) else one


def _whole_number(digits: str) -> int:
    if len(digits) > LONGEST:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)

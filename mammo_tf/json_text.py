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
    return check_depth(value)


def raw_json(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at a place of a text, and where it ends; errors as `parsed_json`."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    return check_depth(value), end


def check_depth(value: Any) -> Any:
    """The value itself.

    Raises:
        ValueError: where it is nested more than `DEEPEST` levels deep.
    """
    level = [value]
    for _ in range(DEEPEST):
        level = [item for one in level if isinstance(one, dict | list) for item in _members(one)]
        if not level:
            return value
    raise ValueError(TOO_DEEP)


def _members(one: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return one.values() if isinstance(one, dict) else one


def _whole_number(digits: str) -> int:
    if len(digits) > LONGEST:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


_DECODER = json.JSONDecoder(parse_int=_whole_number)

"""Judgements that a table, or a caller, tells not to refuse a picture: the column `accepted`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammo_tf.study.refusals import accepted_cell

ACCEPTED = "accepted"  # the column that holds codes, with blanks between


def accepted_of(row: Mapping[Any, Any] | None) -> tuple[str, ...]:
    """The codes that the column `accepted` of a row names.

    Raises:
        MammoError: `code_unknown`, `code_not_acceptable`.
    """
    value = None if row is None else row.get(ACCEPTED)
    if value is None or value != value:  # NaN differs from itself
        return ()
    return tuple(accepted_cell(str(value)).split())


def with_accepted(told: Mapping[str, str], codes: Sequence[str]) -> dict[str, str]:
    """What a table says of a file, and codes that are accepted of every file."""
    both = " ".join((*accepted_of(told), *codes))
    return {**told, ACCEPTED: accepted_cell(both)} if both else dict(told)

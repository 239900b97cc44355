"""Judgements that a table, or a caller, tells not to refuse a picture: the column `accepted`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mammo_tf.reading.facts import Facts
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


def accepted_cells(codes: Sequence[str]) -> dict[str, str]:
    """The column `accepted` of a row whose picture was let in; no column where it was not."""
    return {ACCEPTED: accepted_cell(" ".join(codes))} if codes else {}


def let_in(facts: Facts, code: str) -> Facts:
    """Facts of a picture that a table's judgement would have refused, and that was accepted."""
    if code in facts.accepted:
        return facts
    return replace(facts, accepted=(*facts.accepted, code), warnings=(*facts.warnings, f"accepted: {code}"))


def with_accepted(told: Mapping[str, str], codes: Sequence[str]) -> dict[str, str]:
    """What a table says of a file, and codes that are accepted of every file."""
    both = " ".join((*accepted_of(told), *codes))
    return {**told, ACCEPTED: accepted_cell(both)} if both else dict(told)

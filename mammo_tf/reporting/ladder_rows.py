"""The rungs of `ladder.json` as page and figures look at them: numbered, and with a sign of what they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.reporting.palette import NEGATIVE, SERIES

FORMAT = 1
AGAIN = "Run mammo-tf adapt again"


@dataclass(frozen=True)
class Need:
    """What a rung asks of a site, and how it is drawn.

    Attributes:
        title: heading of the group.
        colour: of the palette.
        marker: Matplotlib's; groups are told apart without colour too.
    """

    title: str
    colour: str
    marker: str


NEEDS = {  # the cheapest first
    "nothing": Need("Needs nothing", NEGATIVE, "o"),
    "unlabelled pictures": Need("Needs unlabelled pictures", SERIES[0], "s"),
    "labels": Need("Needs labels", SERIES[1], "D"),
}


@dataclass(frozen=True)
class LadderRow:
    """A rung that applies.

    Attributes:
        place: its number in order of cost, from 1; rungs that do not apply are counted.
        title, needs: of the rung.
        chosen: whether it is the choice.
        test: numbers of test, as the file holds them.
        same_scores: whether its scores are those of the first rung, and the threshold alone is another.
    """

    place: int
    title: str
    needs: str
    chosen: bool
    test: Mapping[str, Any]
    same_scores: bool


def ladder_rows(ladder: Mapping[str, Any]) -> tuple[LadderRow, ...]:
    """The rungs that apply, in order of cost.

    Args:
        ladder: content of `ladder.json`.

    Raises:
        MammoError: `ladder_broken` for another format, a rung that needs something unknown, or a choice that is not
            among the rungs that apply.
    """
    if ladder.get("format") != FORMAT:
        raise MammoError("ladder_broken", f"the ladder is of format {ladder.get('format')!r}, not {FORMAT}", AGAIN)
    rungs: Sequence[Mapping[str, Any]] = ladder["rungs"]
    if unknown := [rung["needs"] for rung in rungs if rung["needs"] not in NEEDS]:
        raise MammoError("ladder_broken", f"a rung needs {unknown[0]!r}, which is not known", AGAIN)
    first = rungs[0].get("predictions", "") if rungs else ""
    rows = tuple(
        LadderRow(
            place, rung["title"], rung["needs"], rung["name"] == ladder["choice"]["rung"], rung["test"],
            place > 1 and rung["predictions"] == first,
        )
        for place, rung in enumerate(rungs, 1)
        if not rung["why_not"]
    )  # fmt: skip
    if not any(row.chosen for row in rows):
        raise MammoError("ladder_broken", f"the choice {ladder['choice']['rung']!r} is not a rung that applies", AGAIN)
    return rows


def places_text(places: Sequence[int]) -> str:
    """Numbers in words, those in a row as a range: `1–4, 7`."""
    parts: list[list[int]] = []
    for place in sorted(places):
        if parts and place == parts[-1][-1] + 1:
            parts[-1].append(place)
        else:
            parts.append([place])
    return ", ".join(f"{part[0]}–{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts)

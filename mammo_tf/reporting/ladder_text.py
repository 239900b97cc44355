"""A ladder for the terminal: the answer, and a table of its rungs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from mammo_tf.evaluation.number_text import TABLE_DIFFERENCE, TABLE_PLAIN, Form, number_text, value_text
from mammo_tf.reporting.short_names import middle_out, short_names

WIDTH = 120  # letters of a line, at most
SHORTEST_NAME = 12
GAP = "  "
CHOSEN, OTHER, NONE = "* ", "  ", "-"
HEADING_LETTERS = 24
MEASURE = Form(between="-", missing="-")
HEADINGS = ("needs", "against untouched", "sens/spec")
FOOTNOTE = "* is the choice. Numbers are of test patients; sensitivity and specificity are at the rung's own threshold."


def ladder_lines(ladder: Mapping[str, Any]) -> list[str]:
    """The answer, and a row for each rung in order of cost: measure and difference on test with 95 % intervals.

    Args:
        ladder: content of `ladder.json`.

    Returns:
        Lines of 120 letters or fewer.
    """
    heading = ("rung", HEADINGS[0], middle_out(ladder["measure_title"], HEADING_LETTERS), *HEADINGS[1:])
    climbed = [rung for rung in ladder["rungs"] if not rung["why_not"]]
    cells = [_cells(rung) for rung in climbed]
    widths = [max(map(len, column)) for column in zip(heading[1:], *cells, strict=True)]
    longest = max(len(rung["title"]) for rung in ladder["rungs"])
    room = WIDTH - len(OTHER) - sum(widths) - len(GAP) * len(widths)
    name = max(SHORTEST_NAME, min(room, max(longest, len(heading[0]))))
    titles = dict(zip([rung["name"] for rung in ladder["rungs"]], _names(ladder["rungs"], name), strict=True))
    table = iter(cells)
    lines = [*textwrap.wrap(ladder["answer"], WIDTH), "", _line(OTHER, heading, (name, *widths))]
    for rung in ladder["rungs"]:
        title = titles[rung["name"]]
        if rung["why_not"]:
            lines += _absent(title, rung["why_not"], name)
            continue
        mark = CHOSEN if rung["name"] == ladder["choice"]["rung"] else OTHER
        lines.append(_line(mark, (title, *next(table)), (name, *widths)))
    return [*lines, FOOTNOTE]


def _cells(rung: Mapping[str, Any]) -> tuple[str, ...]:
    """What stands behind the name of a rung that applies."""
    test = rung["test"]
    difference = number_text(test["against_untouched"], TABLE_DIFFERENCE) or NONE
    return rung["needs"], number_text(test["measure"], MEASURE), difference, _point(test["at_own"])


def _point(point: Mapping[str, Any] | None) -> str:
    """Sensitivity and specificity, such as `0.805/0.798`."""
    if point is None:
        return NONE
    values = [(point[rate] or {}).get("value") for rate in ("sensitivity", "specificity")]
    return "/".join(NONE if value is None else value_text(value, TABLE_PLAIN) for value in values)


def _names(rungs: Sequence[Mapping[str, Any]], length: int) -> list[str]:
    """Titles that fit their column, told apart."""
    return short_names([" ".join(rung["title"].split()) for rung in rungs], length)


def _line(mark: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    return (mark + GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))).rstrip()


def _absent(title: str, why: str, name: int) -> list[str]:
    """Why a rung does not apply, on as many lines as that takes."""
    ahead = f"{OTHER}{title.ljust(name)}{GAP}"
    return textwrap.wrap(
        f"does not apply: {why}", WIDTH, initial_indent=ahead, subsequent_indent=" " * len(ahead),
        drop_whitespace=True, break_on_hyphens=False,
    )  # fmt: skip

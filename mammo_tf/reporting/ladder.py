"""The page of a ladder: which is the cheapest adaptation that makes a model work at a new site, and is that proven?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.number_text import LEGEND, REPORT, REPORT_DIFFERENCE, Form, number_text, threshold_text
from mammo_tf.evaluation.titles import title_of
from mammo_tf.files import write_text
from mammo_tf.reporting.ladder_budget import budget_figure
from mammo_tf.reporting.ladder_forest import ladder_forest
from mammo_tf.reporting.ladder_points import TITLES as TITLES_OF_POINTS
from mammo_tf.reporting.ladder_points import point_limits, points_figure
from mammo_tf.reporting.ladder_rows import AGAIN, NEEDS, LadderRow, ladder_rows
from mammo_tf.reporting.page import environment
from mammo_tf.reporting.palette import VARIABLES, inline_svg
from mammo_tf.reporting.scores import PLURALS
from mammo_tf.reporting.tables import Cell, cell

WAYS = {  # how a threshold of its own comes about
    "carried": "the model's own",
    "matched": "calls as large a share of the site as the model's own calls of the reference",
    "labels": "chosen on labelled patients of the site",
    "training": "chosen on labelled training patients",
    "validation": "chosen on validation",
    "intercept": "stands for the same probability, its intercept refitted to labelled training patients",
    "intercept and slope": "stands for the same probability, refitted to labelled training patients",
}
TITLES = {  # of the numbers, in the order of the page
    "against_untouched": "Difference from untouched",
    "against_below": "Difference from the rung below",
    "against_best": "Difference from the best, where the choice was made",
    "distance": "Distance from the intended point",
    "before": "Subgroup, before",
    "after": "Subgroup, after",
    "difference": "Subgroup, difference",
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SHAPES = {"o": "circle", "s": "square", "D": "diamond"}


class Reasons:
    """What is held against numbers of a table, or why they do not exist: each told once below it, by a letter."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def letter(self, why: str) -> str:
        """The letter of a reason, the same each time within a table."""
        count = len(self._letters)
        return self._letters.setdefault(why, LETTERS[count % 26] * (1 + count // 26))

    def take(self) -> list[tuple[str, str]]:
        """Letters and reasons since the last call."""
        taken, self._letters = [(letter, why) for why, letter in self._letters.items()], {}
        return taken


def write_ladder_page(ladder: Mapping[str, Any], path: Path) -> None:
    """Writes a ladder as one HTML file without any reference to the outside; whole or not there.

    Same input, same bytes.

    Args:
        ladder: content of `ladder.json`.
        path: of the page.

    Raises:
        MammoError: `ladder_broken`; what a disk may answer.
    """
    write_text(path, render_ladder(ladder))


def render_ladder(ladder: Mapping[str, Any]) -> str:
    """The HTML text of a ladder; errors as `write_ladder_page`."""
    try:
        return _rendered(ladder)
    except (jinja2.UndefinedError, KeyError) as error:
        raise MammoError("ladder_broken", f"the ladder lacks something: {error}", AGAIN) from error


def _rendered(ladder: Mapping[str, Any]) -> str:
    rows = ladder_rows(ladder)
    places = {rung["name"]: place for place, rung in enumerate(ladder["rungs"], 1)}
    first, rest = _sentences(ladder["answer"])
    made = environment()
    made.filters |= {
        "cell": _cell, "difference": lambda number: _cell(number, REPORT_DIFFERENCE), "duration": duration,
        "threshold": threshold_text, "sentence": sentence, "way": lambda way: WAYS.get(way, way),
    }  # fmt: skip
    return made.get_template("ladder.html").render(
        ladder=ladder,
        reasons=Reasons(),
        first=first,
        rest=rest,
        cases=PLURALS.get(ladder["level"], f"{ladder['level']}s"),
        rows=rows,
        places=places,
        titles={rung["name"]: rung["title"] for rung in ladder["rungs"]},
        chosen=next(rung for rung in ladder["rungs"] if rung["name"] == ladder["choice"]["rung"]),
        same_scores={row.place for row in rows if row.same_scores},
        signs={name: (SHAPES[need.marker], VARIABLES[need.colour]) for name, need in NEEDS.items()},
        forests=_forests(ladder, rows),
        points=_points(ladder, rows),
        budget=_budget(ladder),
        groups=list(dict.fromkeys(row["title"] for row in ladder["subgroups"])),
        shown_ways=[(way, words) for way, words in WAYS.items() if way in _own_ways(rows)],
        ways=_ways(ladder),
    )


def _cell(number: Mapping[str, Any] | None, form: Form = REPORT) -> Cell:
    """A number as a cell; a dash for None, which needs no reason."""
    return Cell(None, form.missing) if number is None else cell(number, "not told", form)


def _sentences(answer: str) -> tuple[str, str]:
    """The first sentence, and what follows it."""
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z“\"])", answer.strip(), maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def sentence(text: str) -> str:
    """A text with a capital in front and a full stop behind."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) or not text else '.'}"


def duration(seconds: float) -> str:
    """`12 s`, `4 min`, `1.5 h`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def _forests(ladder: Mapping[str, Any], rows: Sequence[LadderRow]) -> tuple[Markup, Markup]:
    """The measure of every rung, and its difference from the untouched model."""
    made = []
    title = ladder["measure_title"]
    for name, about, form, line in (
        ("measure", f"{title} on test", LEGEND, rows[0].test["measure"]["value"]),
        ("against_untouched", f"Difference of {title} from untouched", REPORT_DIFFERENCE, 0.0),
    ):
        numbers = [row.test[name] for row in rows]
        said = "; ".join(
            f"{row.place} {row.title}{', chosen' if row.chosen else ''}: {number_text(number, form) or 'none'}"
            for row, number in zip(rows, numbers, strict=True)
        )
        figure = ladder_forest(rows, numbers, about, form, line)
        made.append(inline_svg(figure, f"forest-{name.replace('_', '-')}", f"{about}. {said}"))
    return made[0], made[1]


def _points(ladder: Mapping[str, Any], rows: Sequence[LadderRow]) -> dict[str, Markup]:
    """The operating points at the carried threshold and at the rungs' own; those that there are."""
    intended, tolerance = ladder["intended"], ladder["choice"]["tolerance"]
    limits = point_limits(rows, intended, tolerance)
    made = {}
    for which, words in TITLES_OF_POINTS.items():
        given = [row for row in rows if row.test[which] is not None]
        if limits is None or not given:
            continue
        said = "; ".join(
            f"{row.place} {row.title}: {number_text(row.test[which]['sensitivity'], LEGEND) or 'none'}, "
            f"{number_text(row.test[which]['specificity'], LEGEND) or 'none'}"
            for row in given
        )
        figure = points_figure(given, which, limits, intended, tolerance)
        name = which.replace("_", "-")
        made[which] = inline_svg(figure, name, f"{words}: sensitivity and specificity. {said}")
    return made


def _own_ways(rows: Sequence[LadderRow]) -> set[str]:
    """How the thresholds of the rungs come about."""
    return {row.test["at_own"]["way"] for row in rows if row.test["at_own"] is not None}


def _budget(ladder: Mapping[str, Any]) -> Markup | None:
    budget = ladder["label_budget"]
    if budget is None or not budget["points"]:
        return None
    said = "; ".join(
        f"{point['labelled_patients']} labelled patients: {number_text(point['measure'], LEGEND)}"
        for point in budget["points"]
    )
    figure = budget_figure(budget, ladder["measure_title"], ladder["rungs"][0]["test"]["measure"])
    return inline_svg(figure, "budget", f"{ladder['measure_title']} against labelled patients. {said}")


def _ways(ladder: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Title of a number and how it was made, each way once, with all the numbers of cases that it was made on."""
    cases: dict[tuple[str, str], set[int]] = {}
    for name, number in _numbers(ladder, ""):
        title = TITLES.get(name) or (ladder["measure_title"] if name == "measure" else title_of(name))
        if number.get("how"):
            cases.setdefault((title, number["how"]), set()).add(number["n"])
    return [(title, f"{how}; n {', '.join(map(str, sorted(found)))}") for (title, how), found in cases.items()]


def _numbers(part: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All numbers of a ladder with the keys that they stand at."""
    if isinstance(part, Mapping):
        if {"value", "low", "high"} <= set(part):
            yield name, part
            return
        for key, value in part.items():
            yield from _numbers(value, key)
    elif isinstance(part, list):
        for value in part:
            yield from _numbers(value, name)

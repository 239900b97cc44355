"""The forest of rungs: groups, the choice, what has no number, names that Matplotlib would take for formulae."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.number_text import LEGEND, REPORT_DIFFERENCE
from mammo_tf.reporting.ladder_forest import ladder_forest
from mammo_tf.reporting.ladder_rows import ladder_rows
from mammo_tf.reporting.palette import SERIES, svg_text

sys.path.insert(0, str(Path(__file__).parents[1]))
from ladder_example import make_ladder, missing  # noqa: E402 - it lies above this file


def words_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def drawn(figure: Figure, marker: str) -> list[tuple[float, str]]:
    """Value and colour of the points of one sign."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() == marker]
    return [(float(line.get_xdata()[0]), line.get_color()) for line in lines]  # type: ignore[index,arg-type,misc]


def test_rungs_stand_in_groups_in_order_of_cost_and_the_choice_is_marked() -> None:
    rows = ladder_rows(make_ladder())
    figure = ladder_forest(rows, [row.test["measure"] for row in rows], "AUC", LEGEND, 0.7412)
    said = words_of(figure)
    names = [text for text in said if text[0].isdigit() and "  " in text]
    assert [int(name.split()[0]) for name in names] == [1, 2, 5, 6, 3, 4, 8, 9, 10, 11, 12, 13, 14]
    assert [text for text in said if text.startswith("Needs")] == [
        "Needs nothing", "Needs unlabelled pictures", "Needs labels",
    ]  # fmt: skip
    assert drawn(figure, "s") == [(value, SERIES[0]) for value in (0.7412, 0.7809, 0.8306)]
    assert len(drawn(figure, "o")) == 1
    assert len(drawn(figure, "D")) == 9
    (band,) = figure.axes[0].patches
    bold = [text for text in figure.axes[0].texts if text.get_weight() == "bold"]
    assert [text.get_text() for text in bold] == ["6  Harmonised", "0.831"]
    assert band.get_y() < bold[0].get_position()[1] < band.get_y() + band.get_height()  # type: ignore[attr-defined]


def test_differences_that_there_are_not_are_told_in_words() -> None:
    rows = ladder_rows(make_ladder())
    numbers: list[Any] = [row.test["against_untouched"] for row in rows]
    numbers[-1] = missing("one class only")
    figure = ladder_forest(rows, numbers, "Difference", REPORT_DIFFERENCE, 0.0)
    said = words_of(figure)
    assert said.count("same scores") == 3
    assert said.count("—") == said.count("none") == 1
    low, high = figure.axes[0].get_xlim()
    assert low < -0.029 and high > 0.151, "every interval is within"


def test_names_of_dollars_and_a_forest_of_one_are_drawn() -> None:
    ladder = make_ladder()
    ladder["rungs"] = [ladder["rungs"][0] | {"title": "$a_$ <b>"}]
    ladder["choice"]["rung"] = "untouched"
    rows = ladder_rows(ladder)
    assert "$a_$ &lt;b&gt;" in svg_text(ladder_forest(rows, [None], "$x_$", LEGEND, None))
    with pytest.raises(MammoError) as caught:
        ladder_forest([], [], "AUC", LEGEND, None)
    assert caught.value.code == "nothing_to_draw"

"""What labels buy: means, draws, intervals, and a mean that there is not."""

from __future__ import annotations

import sys
from pathlib import Path

from mammo_tf.reporting.ladder_budget import budget_figure
from mammo_tf.reporting.palette import svg_text

sys.path.insert(0, str(Path(__file__).parents[1]))
from ladder_example import make_ladder, missing  # noqa: E402 - it lies above this file


def test_means_draws_and_the_untouched_model_are_drawn() -> None:
    ladder = make_ladder()
    budget = ladder["label_budget"]
    budget["points"][1] |= {"measure": missing("a draw has one class"), "draws": [None, 0.7, 0.71]}
    figure = budget_figure(budget, "AUC $a_$", ladder["rungs"][0]["test"]["measure"])
    (axes,) = figure.axes
    means = [line for line in axes.lines if line.get_marker() == "D"]
    assert [float(line.get_xdata()[0]) for line in means] == [10, 40, 59]  # type: ignore[index,arg-type]
    rings = [list(line.get_ydata()) for line in axes.lines if line.get_marker() == "o" and len(line.get_ydata())]  # type: ignore[arg-type]
    assert rings == [[one for one in point["draws"] if one is not None] for point in budget["points"]]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["10", "20", "40", "59"]
    assert [0.7412, 0.7412] in [list(line.get_ydata()) for line in axes.lines]  # type: ignore[arg-type]
    assert "59 labelled patients: 0.814 (0.772–0.853)" in svg_text(figure)

"""What labels buy: the measure against the number of labelled patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from mammo_tf.evaluation.number_text import LEGEND, number_text, value_text
from mammo_tf.reporting.palette import INK, MUTED, PAPER, TIP, WIDTH, colour_of, drawing

AXIS = replace(LEGEND, digits=2)


def budget_figure(budget: Mapping[str, Any], title: str, untouched: Mapping[str, Any]) -> Figure:
    """Points with 95 % intervals over a logarithmic axis of patients; each draw of patients as a small ring.

    Args:
        budget: `label_budget` of `ladder.json`.
        title: of the measure.
        untouched: the measure of the untouched model, drawn as a line across.
    """
    points = [point for point in budget["points"] if point["measure"]["value"] is not None]
    patients = [point["labelled_patients"] for point in budget["points"]]
    colour = colour_of(1)  # of what needs labels
    with drawing(WIDTH * 0.72) as figure:
        axes = figure.add_subplot()
        if untouched["value"] is not None:
            axes.axhline(untouched["value"], color=MUTED, linewidth=1, linestyle=(0, (5, 1.6)), label="untouched")
        for point in budget["points"]:
            count = point["labelled_patients"]
            draws = [one for one in point["draws"] if one is not None]
            axes.plot([count] * len(draws), draws, "o", markersize=4, markerfacecolor=PAPER, color=MUTED, zorder=3)
        for point in points:
            count, number = point["labelled_patients"], point["measure"]
            if number["low"] is not None and number["high"] is not None:
                axes.plot([count] * 2, [number["low"], number["high"]], color=colour, linewidth=1.8)
            tip = f"{TIP}{count} labelled patients: {number_text(number, LEGEND)}"
            axes.plot([count], [number["value"]], "D", markersize=5.5, color=colour, gid=tip, zorder=4)
        axes.plot(
            [point["labelled_patients"] for point in points], [point["measure"]["value"] for point in points],
            color=colour, linewidth=1, alpha=0.6, label="mean of the draws",
        )  # fmt: skip
        axes.plot([], [], "o", markersize=4, markerfacecolor="none", color=MUTED, label="a draw of patients")
        axes.set_xscale("log", base=2)
        axes.set_xticks(patients, [str(count) for count in patients])
        axes.minorticks_off()
        axes.set_xlabel("Labelled patients (logarithmic)")
        axes.set_ylabel(title, parse_math=False, color=INK)
        axes.yaxis.set_major_formatter(lambda value, _: value_text(value, AXIS))
        figure.legend(loc="outside lower left", ncols=3, handlelength=1.8, columnspacing=0.9)
    return figure

"""Parallel coordinates of a search: a line a trial, an axis a field, the objective at the foot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mammo_tf.errors import MammoError
from mammo_tf.reporting.palette import INK, MUTED, PAPER, TIP, WIDTH, colour_of, drawing
from mammo_tf.reporting.short_names import middle_out

ROW, EDGE = 0.62, 0.3  # inches
NAME_LETTERS, TICK_LETTERS = 48, 22
FAINTEST = 0.12  # opacity of the worst trial; the best is drawn apart


def parallel_figure(
    axes_of_fields: Sequence[Mapping[str, Any]], trials: Sequence[Mapping[str, Any]], best: str
) -> Figure:
    """Axes lie one below the other, as names of fields are long; trials run down through them.

    Args:
        axes_of_fields: `name`, and `ticks`: pairs of a place from 0 to 1 and its label. The last is the objective's.
        trials: `name`, `places`: axis -> place, for those that the trial has; and `rank`, 0 for the best. A trial
            without a field has a gap there.
        best: name of the best trial.

    Raises:
        MammoError: `nothing_to_draw` without a trial.
    """
    if not trials:
        raise MammoError("nothing_to_draw", "no trial has a score")
    names = [str(axis["name"]) for axis in axes_of_fields]
    with drawing(ROW * len(names) + EDGE, WIDTH * 1.25) as figure:
        axes = figure.add_subplot()
        axes.set(xlim=(-0.02, 1.02), ylim=(len(names) - 0.55, -0.55), xticks=[], yticks=[])
        axes.grid(visible=False)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        for trial in sorted(trials, key=lambda one: -one["rank"]):  # the best lies on top
            _line(axes, names, trial, len(trials), trial["name"] == best)
        for row, axis in enumerate(axes_of_fields):
            _axis(axes, row, axis, row + 1 == len(names))
    return figure


def _line(axes: Axes, names: Sequence[str], trial: Mapping[str, Any], count: int, best: bool) -> None:
    places = np.array([trial["places"].get(name, np.nan) for name in names], np.float64)
    rows = np.arange(len(names))
    share = 1 - trial["rank"] / max(1, count - 1)
    style: dict[str, Any] = {"color": colour_of(0), "linewidth": 1.0, "alpha": FAINTEST + 0.6 * share**2}
    if best:
        style = {"color": colour_of(1), "linewidth": 2.2, "zorder": 4}
    tip = f"{TIP}{trial['tip']}"
    axes.plot(places, rows, gid=tip, solid_joinstyle="round", **style)
    alone = np.isfinite(places)
    axes.plot(places[alone], rows[alone], "o", markersize=2.6 if not best else 4.2, gid=tip, **style)


def _axis(axes: Axes, row: int, axis: Mapping[str, Any], last: bool) -> None:
    """The name above its axis, the labels of its places below."""
    axes.plot([0, 1], [row, row], color=MUTED, linewidth=0.8, zorder=1)
    box = {"facecolor": PAPER, "linewidth": 0, "pad": 0.8, "alpha": 0.85}
    weight = "bold" if last else "normal"
    name = middle_out(str(axis["name"]), NAME_LETTERS)
    axes.text(
        0, row - 0.16, name, ha="left", va="bottom", color=INK, weight=weight, parse_math=False, bbox=box, zorder=5
    )
    for place, label in axis["ticks"]:
        side = "left" if place < 0.02 else "right" if place > 0.98 else "center"
        axes.plot([place, place], [row - 0.05, row + 0.05], color=MUTED, linewidth=0.8, zorder=2)
        axes.text(
            place, row + 0.12, middle_out(str(label), TICK_LETTERS), ha=side, va="top", color=MUTED, fontsize=7.5,
            parse_math=False, bbox=box, zorder=5,
        )  # fmt: skip

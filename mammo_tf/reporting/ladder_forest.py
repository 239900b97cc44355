"""A number of every rung with its interval, one below the other, grouped by what the rungs need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.number_text import Form, number_text, value_text
from mammo_tf.reporting.ladder_rows import NEEDS, LadderRow
from mammo_tf.reporting.palette import INK, MUTED, PAPER, RULE, TIP, drawing
from mammo_tf.reporting.short_names import short_names

ROW, HEADING, EDGE = 0.37, 0.36, 0.5  # inches
NAME_LETTERS = 48
SAME_SCORES = "same scores"
Numbers = Sequence[Mapping[str, Any] | None]


def ladder_forest(rows: Sequence[LadderRow], numbers: Numbers, label: str, form: Form, line: float | None) -> Figure:
    """Intervals of the rungs within the groups of `NEEDS`, in order of cost; the chosen rung has a band behind it.

    Args:
        rows: rungs that apply.
        numbers: of each; None where there is nothing to say, which a rung of the same scores says in words.
        label: of the axis.
        form: how values are written.
        line: where a line is drawn through all rows; None draws none.

    Raises:
        MammoError: `nothing_to_draw` without a rung.
    """
    if not rows:
        raise MammoError("nothing_to_draw", "a forest of rungs needs one at least")
    groups = {name: [row for row in rows if row.needs == name] for name in NEEDS}
    groups = {name: group for name, group in groups.items() if group}
    height = ROW * len(rows) + HEADING * len(groups)
    names = short_names([row.title for row in rows], NAME_LETTERS)
    shown = {row.place: (name, number) for row, name, number in zip(rows, names, numbers, strict=True)}
    with drawing(height + EDGE) as figure:
        axes = figure.add_subplot()
        axes.set(xlim=_limits(numbers, line), ylim=(height, 0), yticks=[])
        axes.set_xlabel(label, parse_math=False)
        if line is not None:
            axes.axvline(line, color=MUTED, linewidth=0.9)
        top = 0.0
        for name, group in groups.items():
            _text(axes, 0, top + HEADING - 0.12, NEEDS[name].title, color=MUTED, style="italic")
            top += HEADING
            for row in group:
                _row(axes, top, row, *shown[row.place], form)
                top += ROW
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
        axes.xaxis.set_major_formatter(lambda value, _: value_text(value, replace(form, digits=2)))
    return figure


def _limits(numbers: Numbers, line: float | None) -> tuple[float, float]:
    """From the lowest end to the highest, and a little room."""
    ends = [number[end] for number in numbers if number for end in ("low", "value", "high") if number[end] is not None]
    ends += [] if line is None else [line]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = max(0.06 * (high - low), 0.005)
    return low - room, high + room


def _row(axes: Axes, top: float, row: LadderRow, name: str, number: Mapping[str, Any] | None, form: Form) -> None:
    """The name and the value on a line, the interval below them."""
    need = NEEDS[row.needs]
    if row.chosen:
        axes.axhspan(top + 0.01, top + ROW - 0.01, color=RULE, alpha=0.55, linewidth=0)
    weight = "bold" if row.chosen else "normal"
    _text(axes, 0, top + 0.13, f"{row.place}  {name}", color=INK, weight=weight, boxed=not row.chosen)
    if number is None or number["value"] is None:
        missing = SAME_SCORES if row.same_scores else "—" if number is None else "none"
        _text(axes, 1, top + 0.13, missing, color=MUTED, boxed=not row.chosen)
        return
    value, low, high, height = number["value"], number["low"], number["high"], top + 0.27
    if low is not None and high is not None:
        axes.plot([low, high], [height, height], color=need.colour, linewidth=1.8, solid_capstyle="butt")
    tip = f"{TIP}{row.place} {row.title}: {number_text(number, form)}"
    axes.plot([value], [height], need.marker, markersize=5, color=need.colour, gid=tip)
    _text(axes, 1, top + 0.13, value_text(value, form), color=INK, weight=weight, boxed=not row.chosen)


def _text(axes: Axes, side: int, height: float, text: str, boxed: bool = True, **style: Any) -> None:
    """Words at the left (0) or right (1) edge; the grid does not run through them where they are boxed."""
    if boxed:
        style["bbox"] = {"facecolor": PAPER, "linewidth": 0, "pad": 1.0}
    axes.text(
        side, height, text, transform=axes.get_yaxis_transform(), ha="right" if side else "left", va="center",
        parse_math=False, **style,
    )  # fmt: skip

"""Which fields mattered in a search: a bar a field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mammo_tf.errors import MammoError
from mammo_tf.reporting.palette import INK, MUTED, PAPER, TIP, colour_of, drawing
from mammo_tf.reporting.short_names import middle_out

ROW, EDGE, NAME_LETTERS = 0.44, 0.6, 48


def importance_figure(fields: Sequence[Mapping[str, Any]]) -> Figure:
    """Bars of permutation importance, each field's name above its bar, and the spread over repeats as a line.

    Args:
        fields: `field`, `value`, `low`, `high`, the largest first.

    Raises:
        MammoError: `nothing_to_draw` without a field.
    """
    if not fields:
        raise MammoError("nothing_to_draw", "no importance was computed")
    with drawing(ROW * len(fields) + EDGE) as figure:
        axes = figure.add_subplot()
        for row, one in enumerate(fields):
            tip = f"{TIP}{one['field']}: {one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
            axes.barh(row, one["value"], height=0.3, color=colour_of(0), gid=tip)
            axes.plot([one["low"], one["high"]], [row, row], color=MUTED, linewidth=1.4)
            axes.text(
                0, row - 0.22, middle_out(one["field"], NAME_LETTERS), transform=axes.get_yaxis_transform(), ha="left",
                va="bottom", color=INK, parse_math=False, bbox={"facecolor": PAPER, "linewidth": 0, "pad": 1.0},
            )  # fmt: skip
        axes.axvline(0, color=MUTED, linewidth=0.9)
        axes.set(yticks=[], ylim=(len(fields) - 0.5, -0.75))
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
        axes.set_xlabel("Predicted share of variance lost when shuffled")
    return figure

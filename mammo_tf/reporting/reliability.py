"""Predicted against observed: the reliability diagram, before and after calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import reliability
from mammo_tf.reporting.palette import MUTED, RULE, TIP, WIDTH, colour_of, dash_of, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reliability_figure(labels: ArrayLike, probabilities: Mapping[str, ArrayLike], bins: int = 10) -> Figure:
    """Share of positives in bins of predicted probability, with the line of perfect agreement; cases a bin below.

    Args:
        labels: 0 or 1, `[n]`.
        probabilities: name -> `[n]` in [0, 1]: such as the scores as they are, and calibrated.
        bins: of equal width, `(a, b]`; empty ones are left out.

    Raises:
        MammoError: `nothing_to_draw` without probabilities; as `evaluation.reliability`.
    """
    if not probabilities:
        raise MammoError("nothing_to_draw", "a reliability diagram needs probabilities")
    with drawing(WIDTH * 1.15 + 0.19 * len(probabilities)) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        above.plot([0, 1], [0, 1], color=RULE, linewidth=1)
        most = 0
        for number, (name, values) in enumerate(probabilities.items()):
            found = reliability(labels, values, bins)
            style = {"color": colour_of(number), "linestyle": dash_of(number)}
            above.plot(
                found.predicted, found.observed, marker="o", markersize=4, label=f"{name}  ECE {found.ece:.3f}", **style
            )  # fmt: skip
            for predicted, observed, count in zip(found.predicted, found.observed, found.counts, strict=True):
                text = f"{name}: predicted {predicted:.2f}, observed {observed:.2f}, {count} cases"
                above.plot([predicted], [observed], "o", markersize=10, alpha=0.0, gid=TIP + text)
            counts = np.zeros(bins)
            counts[found.bins] = found.counts
            most = max(most, int(counts.max()))
            below.stairs(counts, np.linspace(0, 1, bins + 1), linewidth=1.4, **style)
        above.set(xlim=(-0.01, 1.01), ylim=(-0.03, 1.03), ylabel="Share of positives")
        below.set(xlabel="Predicted probability", ylabel="Cases", ylim=(0, most * 1.1), yticks=[0, most])
        below.tick_params(colors=MUTED)
        figure.align_ylabels()
        figure.legend(*above.get_legend_handles_labels(), loc="outside lower left", handlelength=2.6)
    return figure

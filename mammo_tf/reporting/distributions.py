"""Cumulative distributions of scores: of a reference, and of a site before and after its scores are matched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.number_text import threshold_text
from mammo_tf.reporting.palette import INK, TIP, WIDTH, colour_of, dash_of, drawing
from mammo_tf.reporting.short_names import middle_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 400  # of a curve
TITLE_LETTERS = 60


def distributions_figure(panels: Mapping[str, Mapping[str, ArrayLike]], threshold: float | None = None) -> Figure:
    """A panel a machine: the share of scores at or below each score, a curve a sample, and the threshold.

    Args:
        panels: title -> name of a sample -> scores, finite numbers, `[n]`; samples of one name look alike everywhere.
        threshold: of the reference.

    Raises:
        MammoError: `nothing_to_draw` without scores.
    """
    if not panels or not all(len(np.atleast_1d(scores)) for samples in panels.values() for scores in samples.values()):
        raise MammoError("nothing_to_draw", "distributions need scores")
    with drawing(0.6 + 2.3 * len(panels), WIDTH * 1.25) as figure:
        rows = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
        for axes, (title, samples) in zip(rows, panels.items(), strict=True):
            for number, (name, scores) in enumerate(samples.items()):
                _curve(axes, name, np.sort(np.asarray(scores, np.float64)), threshold, number)
            if threshold is not None:
                axes.axvline(threshold, color=INK, linewidth=0.9, label=f"threshold {threshold_text(threshold)}")
            axes.set_title(middle_out(title, TITLE_LETTERS), parse_math=False)
            axes.set(ylim=(-0.01, 1.01), ylabel="Share at or below")
            axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        rows[-1].set(xlabel="Score")
        figure.legend(*rows[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, handlelength=2.6)
    return figure


def _curve(axes: Axes, name: str, scores: Any, threshold: float | None, number: int) -> None:
    """Steps of a sample, at `POINTS` of its scores at most, with the share that the threshold calls as a tip."""
    chosen = np.unique(np.linspace(0, len(scores) - 1, min(POINTS, len(scores))).round().astype(int))
    shares = np.searchsorted(scores, scores[chosen], side="right") / len(scores)
    style: dict[str, Any] = {"color": colour_of(number), "linestyle": dash_of(number), "label": name}
    if not number:  # what lies on it is seen too
        style |= {"linewidth": 4, "alpha": 0.4}
    axes.plot(np.append(scores[:1], scores[chosen]), np.append(0.0, shares), drawstyle="steps-post", **style)
    if threshold is not None:
        below = float((scores < threshold).mean())
        text = f"{name}: {1 - below:.1%} of {len(scores)} scores reach the threshold"
        axes.plot([threshold], [below], "o", markersize=5, color=style["color"], gid=TIP + text)

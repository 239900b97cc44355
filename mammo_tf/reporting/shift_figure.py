"""Cumulative distributions of a site, of the reference, and of the mixture of its classes nearest to the site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mammo_tf.reporting.palette import MUTED, WIDTH, colour_of, dash_of, drawing
from mammo_tf.reporting.short_names import middle_out

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME_LETTERS = 40


def shift_figure(
    score: ArrayLike,
    reference: ArrayLike,
    site: ArrayLike,
    mixture: ArrayLike | None = None,
    names: Sequence[str] = ("the reference", "the site"),
    share: float | None = None,
) -> Figure:
    """Shares of scores at or below each score above; below, how far the site lies from the reference and from the
    mixture.

    Args:
        score: points, not falling, `[points]`.
        reference, site: cumulative distributions at the points.
        mixture: of the reference's classes, the nearest to the site; None draws none.
        names: of reference and site.
        share: of positive patients in the mixture.
    """
    points = np.asarray(score, np.float64)
    called = [middle_out(name, NAME_LETTERS) for name in names]
    curves = {called[0]: np.asarray(reference, np.float64), called[1]: np.asarray(site, np.float64)}
    if mixture is not None:
        told = "" if share is None else f", {share:.1%} positive"
        curves[f"nearest mixture of {called[0]}{told}"] = np.asarray(mixture, np.float64)
    with drawing(4.4, WIDTH * 1.25) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for number, (name, curve) in enumerate(curves.items()):
            wide = {"linewidth": 4, "alpha": 0.4} if not number else {}  # what lies on it is seen too
            style = {"color": colour_of(number), "linestyle": dash_of(number)}
            upper.plot(points, curve, label=name, **style, **wide)
            if number != 1:
                lower.plot(points, curves[called[1]] - curve, **style, **wide)
        lower.axhline(0, color=MUTED, linewidth=0.8)
        upper.set_title("Scores at or below", parse_math=False)
        upper.set(ylim=(-0.01, 1.01), ylabel="Share of patients")
        lower.set_title(f"{called[1]} minus each of the others", parse_math=False)
        lower.set(xlabel="Score", ylabel="Difference")
        for axes in (upper, lower):
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
        legend = figure.legend(*upper.get_legend_handles_labels(), loc="outside lower left", handlelength=2.6)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure

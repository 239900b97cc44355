"""Clusters found against false ones: the free-response curve of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mammo_tf.evaluation.froc import AT, RATES, FrocCurve, froc_curve, sensitivity_at
from mammo_tf.reporting.palette import TIP, WIDTH, colour_of, drawing
from mammo_tf.reporting.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN = 1.08  # of the largest rate that is shown
POINTS = 601  # of the step


def froc_figure(model: Scores) -> Figure | None:
    """Sensitivity by cluster against false clusters an image: the step over rates, a dot for each threshold.

    Bars are the intervals of `metrics.json` at `froc.RATES`.

    Args:
        model: at the level of images.

    Returns:
        None where clusters were not counted, or none is true.
    """
    curve = froc_curve(model.counts) if model.counts else None
    if curve is None or not curve.clusters:
        return None
    end = MARGIN * max(RATES[-1], float(curve.false_per_image.min()))
    rates = np.linspace(0, end, POINTS)
    with drawing(WIDTH * 0.8 + 0.19) as figure:
        axes = figure.add_subplot()
        steps = sensitivity_at(curve.sensitivity, curve.false_per_image, rates)
        label = f"{curve.clusters} true clusters, {curve.images} images"
        axes.plot(rates, steps, drawstyle="steps-post", color=colour_of(0), label=label)
        _intervals(axes, model)
        _thresholds(axes, curve, end)
        axes.set(xlim=(-0.01 * end, end), ylim=(-0.02, 1.02))
        axes.set(xlabel="False clusters an image", ylabel="Sensitivity by cluster")
        figure.legend(loc="outside lower left", handlelength=2.0)
    return figure


def _intervals(axes: Axes, model: Scores) -> None:
    numbers = [(rate, model.numbers.get(AT.format(rate), {})) for rate in RATES]
    known = [(rate, number["low"], number["high"]) for rate, number in numbers if number.get("low") is not None]
    if known:
        x, low, high = zip(*known, strict=True)
        label = "95 % interval, patients resampled"
        axes.vlines(x, low, high, color=colour_of(0), alpha=0.3, linewidth=5, label=label)


def _thresholds(axes: Axes, curve: FrocCurve, end: float) -> None:
    for cut, share, false in zip(curve.thresholds, curve.sensitivity, curve.false_per_image, strict=True):
        if false <= end:
            text = f"{TIP}threshold {cut:.2f}: sensitivity {share:.2f}, {false:.2f} false clusters an image"
            axes.plot([false], [share], "o", markersize=4, color=colour_of(0), gid=text, clip_on=False)

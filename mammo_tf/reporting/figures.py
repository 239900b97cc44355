"""Figures of scores: ROC curves with bands, histograms, paired differences; and the files that `evaluate` leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, curve
from mammo_tf.evaluation.bands import Band, roc_band
from mammo_tf.evaluation.number_text import (
    LEGEND,
    REPORT_DIFFERENCE,
    Form,
    ends_text,
    number_text,
    threshold_text,
    value_text,
)
from mammo_tf.reporting.froc import froc_figure
from mammo_tf.reporting.palette import (
    INK,
    MUTED,
    NEGATIVE,
    PAPER,
    POSITIVE,
    RULE,
    TIP,
    WIDTH,
    colour_of,
    dash_of,
    drawing,
    save_figure,
)
from mammo_tf.reporting.scores import PLURALS, Scores, scores_at
from mammo_tf.reporting.short_names import short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 24
LEGEND_LETTERS, FOREST_LETTERS = 38, 44
AXIS = replace(REPORT_DIFFERENCE, digits=2)
TIP_FORM = Form(digits=2, between="–")
LINE_POINTS = 600  # a curve is drawn at no more points than this
BAND_REPLICATES = 1000


def roc_figure(
    models: Sequence[Scores],
    numbers: Sequence[int] | None = None,
    bands: bool = True,
    behind: Sequence[Scores] = (),
) -> Figure:
    """ROC curves with bands over patients, and each model's point at its fixed threshold.

    Args:
        models: at one level; those of one class are named in the legend and have no curve.
        numbers: which series of the palette each is; 0, 1, ... by default.
        bands: whether to draw 95 % bands (`roc_band`, patients resampled).
        behind: further models, drawn as thin grey lines without a name.

    Raises:
        MammoError: `nothing_to_draw` without a model.
    """
    if not models:
        raise MammoError("nothing_to_draw", "a ROC figure needs a model at least")
    numbers = range(len(models)) if numbers is None else numbers
    with drawing(WIDTH * 0.9 + 0.19 * len(models)) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
        for other in behind:
            if other.both_classes:
                axes.plot(*_roc_points(other), color=MUTED, linewidth=0.7, alpha=0.45)
        names = short_names([model.name for model in models], LEGEND_LETTERS)
        for model, number, name in zip(models, numbers, names, strict=True):
            label = f"{name}  {number_text(model.numbers.get('auc', {}), LEGEND)}"
            style: dict[str, Any] = {"color": colour_of(number), "linestyle": dash_of(number)}
            if not model.both_classes:
                axes.plot([], [], label=f"{name}  one class only, no curve", **style)
                continue
            axes.plot(*_roc_points(model), label=label, **style)
            band = roc_band(model.labels, model.scores, model.patients, replicates=BAND_REPLICATES if bands else 0)
            if bands and np.isfinite(band.low).all():
                axes.fill_between(
                    band.rates, band.low, band.high, color=style["color"], alpha=0.16, linewidth=0, label="_band"
                )
            _tips(axes, model.name, band)
            _operating_point(axes, model, style["color"])
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="1 − specificity", ylabel="Sensitivity")
        axes.set_aspect("equal")
        figure.legend(loc="outside lower left", handlelength=2.6, labelspacing=0.35)
    return figure


def _roc_points(model: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the curve, at most `LINE_POINTS` of them."""
    points = curve(model.labels, model.scores)
    rates, hits = 1 - points.specificity, points.sensitivity
    turns = np.ones(len(rates), bool)
    turns[1:-1] = (np.diff(rates)[:-1] * np.diff(hits)[1:]) != (np.diff(rates)[1:] * np.diff(hits)[:-1])
    rates, hits = rates[turns], hits[turns]
    chosen = np.unique(np.linspace(0, len(rates) - 1, min(LINE_POINTS, len(rates))).round().astype(int))
    return rates[chosen], hits[chosen]


def _tips(axes: Axes, name: str, band: Band) -> None:
    """Unseen points along the curve that tell their values."""
    for place in range(0, len(band.rates), 5):
        text = f"{name}: sensitivity {band.sensitivity[place]:.2f}"
        if np.isfinite(band.low[place]):
            text += f" ({ends_text({'low': band.low[place], 'high': band.high[place]}, TIP_FORM)})"
        text += f" at specificity {1 - band.rates[place]:.2f}"
        axes.plot(
            [band.rates[place]], [band.sensitivity[place]], "o", markersize=10, alpha=0.0, color=INK, gid=TIP + text
        )


def _operating_point(axes: Axes, model: Scores, colour: str) -> None:
    sensitivity, specificity = model.number("sensitivity"), model.number("specificity")
    if sensitivity is None or specificity is None:
        return
    text = f"{model.name}: sensitivity {sensitivity:.3f}, specificity {specificity:.3f} at the fixed threshold"
    axes.plot([1 - specificity], [sensitivity], "o", markersize=5, color=colour, gid=TIP + text, zorder=5)


def histogram_figure(model: Scores) -> Figure:
    """Scores of the negatives and of the positives, each as shares of its class, with the fixed threshold.

    Raises:
        MammoError: `nothing_to_draw` without a case.
    """
    if not len(model.scores):
        raise MammoError("nothing_to_draw", f"{model.name} has no scores")
    edges = _edges(model.scores)
    with drawing(WIDTH * 0.9 + 0.19) as figure:
        axes = figure.add_subplot()
        for value, name, colour in ((0, "negative", NEGATIVE), (1, "positive", POSITIVE)):
            scores = model.scores[model.labels == value]
            shares = np.histogram(scores, edges)[0] / max(len(scores), 1)
            bars = axes.bar(edges[:-1], shares, np.diff(edges), align="edge", color=colour, alpha=0.3, linewidth=0)
            for bar, share, low, high in zip(bars, shares, edges[:-1], edges[1:], strict=True):
                bar.set_gid(f"{TIP}{share:.0%} of the {name} score {low:.3g} to {high:.3g}")
            dash = "-" if value else (0, (4, 1.5))
            axes.stairs(shares, edges, color=colour, linewidth=1.4, linestyle=dash, label=f"{name}, {len(scores)}")
        threshold = model.number("threshold")
        if threshold is not None:
            axes.axvline(threshold, color=INK, linewidth=0.9, label=f"threshold {threshold_text(threshold)}")
        low, high = edges[0], edges[-1]
        if threshold is not None and np.isfinite(threshold):
            low, high = min(low, threshold), max(high, threshold)
        axes.set_xlim(low - 0.01 * (high - low), high + 0.01 * (high - low))
        axes.set(xlabel="Score", ylabel="Share of the class", ylim=(0, None))
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        figure.legend(loc="outside lower left", ncols=3, handlelength=1.8, columnspacing=1.4)
    return figure


def _edges(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Borders of the bins: 0 to 1 for probabilities that fill it, else the range that there is."""
    low, high = float(scores.min()), float(scores.max())
    if low >= 0 and high <= 1 and high - low > 0.25:
        low, high = 0.0, 1.0
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def forest_figure(names: Sequence[str], differences: Sequence[Mapping[str, Any]]) -> Figure:
    """Paired differences of AUC with their intervals, one below the other, and the line of no difference.

    Args:
        names: of the comparisons.
        differences: `auc_difference` of each, as `comparison.json` holds it.

    Raises:
        MammoError: `nothing_to_draw` without a comparison.
    """
    if not names:
        raise MammoError("nothing_to_draw", "a forest plot needs a comparison at least")
    ends = [end for number in differences for end in (number.get("low"), number.get("high")) if end is not None]
    ends += [number["value"] for number in differences if number.get("value") is not None]
    reach = max([0.02, *(abs(end) for end in ends)]) * 1.08
    with drawing(0.75 + 0.5 * len(names)) as figure:
        axes = figure.add_subplot()
        axes.axvline(0, color=MUTED, linewidth=0.9)
        titles = short_names(names, FOREST_LETTERS)
        for row, (name, title, number) in enumerate(zip(names, titles, differences, strict=True)):
            _forest_row(axes, -row, name, title, number, reach)
        axes.set(xlim=(-reach, reach), ylim=(0.72 - len(names), 0.72), yticks=[], xlabel="Difference of AUC")
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(lambda value, _: value_text(value, AXIS))
    return figure


def _forest_row(axes: Axes, height: float, name: str, title: str, number: Mapping[str, Any], reach: float) -> None:
    behind = {"facecolor": PAPER, "linewidth": 0, "pad": 1.5}
    axes.text(-reach, height + 0.32, title, ha="left", va="center", color=INK, bbox=behind)
    if number.get("value") is None:
        axes.text(reach, height + 0.32, "none", ha="right", va="center", color=MUTED, bbox=behind)
        return
    value, low, high = number["value"], number.get("low"), number.get("high")
    if low is not None and high is not None:
        axes.plot([low, high], [height, height], color=colour_of(0), linewidth=2, solid_capstyle="butt")
    tip = f"{TIP}{name}: {number_text(number, REPORT_DIFFERENCE)}"
    axes.plot([value], [height], "s", markersize=6, color=colour_of(0), gid=tip)
    axes.text(
        reach, height + 0.32, value_text(value, REPORT_DIFFERENCE), ha="right", va="center", color=INK, bbox=behind
    )


def write_figures(
    table: pd.DataFrame,
    metrics: Metrics,
    folder: str | Path,
    others: Mapping[str, tuple[pd.DataFrame, Metrics]] | None = None,
) -> tuple[Path, ...]:
    """ROC curve with band and histogram of every split and level, as SVG and PNG.

    Args:
        table: predictions, as `read_predictions` gives them.
        metrics: as `compute_metrics` gives them.
        folder: made where missing; `roc_<split>_<level>.svg`, `histogram_<split>_<level>.svg` and their PNG.
        others: name -> predictions and metrics of further models, whose curves are drawn with those of the first.

    Returns:
        The files written. A split of one class has no ROC curve.

    Raises:
        MammoError: `split_missing`, and what a disk may answer.
    """
    written: list[Path] = []
    for split, levels in metrics.items():
        for level in levels:
            scores = scores_at(f"{split}, per {level}", table, metrics, split, level)
            if scores is None:
                continue
            part = f"{split}_{level}".replace("/", "_")
            about = f"{split}, {len(scores.labels)} {PLURALS[level]}"
            if scores.both_classes:
                name = Path(folder) / f"roc_{part}"
                models = [scores, *_others_at(others or {}, split, level)]
                written += save_figure(roc_figure(models), name, f"ROC curve with 95 % band over patients: {about}")
            for one in MODEL_FIGURES:
                figure = one.draw(scores)
                if figure is not None:
                    written += save_figure(figure, Path(folder) / f"{one.name}_{part}", f"{one.title}: {about}")
    return tuple(written)


def _others_at(others: Mapping[str, tuple[pd.DataFrame, Metrics]], split: str, level: str) -> list[Scores]:
    """The scores of further models at a split and level that they have too."""
    found = [
        scores_at(name, table, metrics, split, level) for name, (table, metrics) in others.items() if split in metrics
    ]
    return [scores for scores in found if scores is not None]


@dataclass(frozen=True)
class ModelFigure:
    """A figure of one model at one level, for the report and for `evaluate -o`; the ROC curve is drawn anyway.

    Attributes:
        name: of its files.
        title: what it shows.
        caption: below it in the report.
        draw: the figure of these scores; None where they do not allow one.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Scores], Figure | None]


# a further figure is a function, in a file of its own, and a line here
MODEL_FIGURES = (
    ModelFigure(
        "histogram", "Scores of the two classes", "Scores of positive and negative cases, as shares of their class.",
        histogram_figure,
    ),
    ModelFigure(
        "froc", "Free-response curve",
        "Share of the true clusters that are found, against false clusters an image. A dot is a threshold of the "
        "probability; the line is the best threshold with so many false clusters or fewer.",
        froc_figure,
    ),
)  # fmt: skip

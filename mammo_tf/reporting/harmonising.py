"""A harmonising as a figure: its curve, its ratios band by band, what it adds along the skin; before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.imaging.periphery import DEEP, MIDDLES
from mammo_tf.reporting.palette import MUTED, RULE, TIP, WIDTH, colour_of, dash_of, drawing, save_figure

SHOWN_ROWS = 480  # of a picture, at most
TICKS = (0.25, 0.5, 0.8, 1, 1.25, 2, 4)
WHITE_AT = 99.9  # percentile of the brightest picture


def harmonising_figure(harmonising: Harmonising, pictures: Mapping[str, NDArray[np.float32]]) -> Figure:
    """The curve, the ratios and what is added along the skin, the pictures below, all on one grey scale.

    Args:
        harmonising: what is shown.
        pictures: name -> float32 `[rows, columns]` in [0, 1]; three go well side by side.
    """
    names = list(pictures)
    span = max(1, len(names))
    plots = ["curve", "ratios", *([] if harmonising.periphery is None else ["skin"])]
    layout: list[Any] = [[plot for plot in plots for _ in range(span)]]
    layout += [[name for name in names for _ in plots]] if names else []
    heights = [3.0, *([3.6] if names else [])]
    with drawing(sum(heights) + 0.2, WIDTH * len(plots)) as figure:
        axes = figure.subplot_mosaic(layout, height_ratios=heights)
        _curve(axes["curve"], harmonising)
        _ratios(axes["ratios"], harmonising)
        if harmonising.periphery is not None:
            _skin(axes["skin"], harmonising)
        white = max([float(np.percentile(picture, WHITE_AT)) for picture in pictures.values()], default=1.0) or 1.0
        for name, picture in pictures.items():
            _picture(axes[name], name, picture, white)
    return figure


def save_harmonising_figure(
    harmonising: Harmonising, pictures: Mapping[str, NDArray[np.float32]], path: str | Path
) -> tuple[Path, Path]:
    """Writes `harmonising_figure` as .svg and .png; returns both paths."""
    ratios = ", ".join(
        f"{ratio:.2f} at {scale}"
        for ratio, scale in zip(harmonising.robust_ratios, harmonising.scale_words, strict=True)
    )
    about = f"Harmonising of {harmonising.target.words} to {harmonising.source.words}: ratios {ratios}"
    return save_figure(harmonising_figure(harmonising, pictures), Path(path), about)


def _curve(axes: Axes, harmonising: Harmonising) -> None:
    outputs = harmonising.curve.outputs
    levels = np.linspace(0, 1, len(outputs))
    cdf = np.asarray(harmonising.target.histogram.cdf)
    seen = (cdf > 0.001) & (cdf < 0.999)
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
    axes.plot(levels, outputs, color=colour_of(0), alpha=0.3, linewidth=1)
    axes.plot(levels[seen], outputs[seen], color=colour_of(0), linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="Grey level of the target", ylabel="Grey level that it becomes")
    axes.set_title(f"Curve: moves pixels by {harmonising.curve_shift:.3f}")


def _ratios(axes: Axes, harmonising: Harmonising) -> None:
    places = np.arange(len(harmonising.scale_words))
    axes.axhspan(0.8, 1.25, color=RULE, alpha=0.5, linewidth=0)
    for value in (0.5, 2):
        axes.axhline(value, color=MUTED, linewidth=0.6, linestyle=(0, (3, 3)))
    every = [*harmonising.robust_ratios, *harmonising.plain_ratios]
    for number, (name, ratios) in enumerate(
        (("robust, applied", harmonising.robust_ratios), ("plain", harmonising.plain_ratios))
    ):
        axes.plot(
            places, ratios, marker="os"[number], markersize=5, label=name, color=colour_of(number),
            linestyle=dash_of(number),
        )  # fmt: skip
        for place, ratio, scale in zip(places, ratios, harmonising.scale_words, strict=True):
            axes.plot([place], [ratio], "o", markersize=10, alpha=0.0, gid=f"{TIP}{name}, {scale}: {ratio:.2f}")
    low, high = min([0.45, *(one * 0.9 for one in every)]), max([2.2, *(one * 1.1 for one in every)])
    axes.set(yscale="log", ylim=(low, high), ylabel="Contrast of source by target")
    ticks = [one for one in TICKS if low <= one <= high]
    axes.set_yticks(ticks, [f"{one:g}" for one in ticks])
    axes.minorticks_off()
    unit = harmonising.scale_words[0].partition(" ")[2]
    axes.set_xticks(places, [words.partition(" ")[0] for words in harmonising.scale_words])
    axes.set_xlabel(f"Scale below which a band lies, {unit}")
    axes.set_title("Contrast by scale")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.15), ncols=2, handlelength=2.6, borderaxespad=0)


def _skin(axes: Axes, harmonising: Harmonising) -> None:
    """What each window adds against the depth behind the skin."""
    step = harmonising.periphery
    assert step is not None
    spacing = harmonising.target.bands.spacing_mm if harmonising.in_mm else None
    axes.axhline(0, color=RULE, linewidth=1)
    for number, (scale, added) in enumerate(zip(step.scales, step.added, strict=True)):
        depths = np.array([*MIDDLES, DEEP]) * scale * (spacing or 1)
        axes.plot(
            depths, [*added, 0.0], marker="os"[number % 2], markersize=5, color=colour_of(number),
            linestyle=dash_of(number), label=f"window {harmonising.window_words[number]}",
        )  # fmt: skip
    reach = max(0.05, 1.1 * max(abs(one) for added in step.added for one in added))
    axes.set(ylim=(-reach, reach), ylabel="Grey level that is added", xlabel=f"Depth, {'mm' if spacing else 'pixels'}")
    axes.set_title("Along the skin")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.15), ncols=2, handlelength=2.6, borderaxespad=0)


def _picture(axes: Axes, name: str, picture: NDArray[np.float32], white: float) -> None:
    rows, columns = picture.shape
    if rows > SHOWN_ROWS:
        size = (max(1, round(columns * SHOWN_ROWS / rows)), SHOWN_ROWS)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=white, interpolation="antialiased")
    axes.set_title(name)
    axes.set_axis_off()

"""Figures 1 to 3: samples of each domain, the average cumulative histograms, which blocks are fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray

from mammo_tf.experiments.ffdm_to_dbt.policies import PROBABILITY
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.records import Records
from mammo_tf.reporting.palette import MUTED, POSITIVE, WIDTH, colour_of, dash_of, drawing

CLASSES = ("normal", "benign", "malignant")


def samples_figure(domains: Sequence[tuple[str, Records, Preprocessing]]) -> Figure:
    """A row a domain, a column a class: the first test image of the class in its view from above, findings outlined.

    Args:
        domains: title, records, and what the network is given of them.
    """
    with drawing(1.3 * len(domains) + 0.3, WIDTH) as figure:
        panels = figure.subplots(len(domains), len(CLASSES), squeeze=False)
        for row, (title, records, steps) in enumerate(domains):
            for column, label in enumerate(CLASSES):
                panel = panels[row][column]
                panel.set(xticks=[], yticks=[])
                panel.grid(visible=False)
                if row == 0:
                    panel.set_title(label)
                if column == 0:
                    panel.set_ylabel(title)
                chosen = records.rows[(records.rows["split"] == "test") & (records.rows["label"] == label)]
                if len(chosen):
                    _sample(panel, records, int(chosen.index[0]), steps)
    return figure


def _sample(panel: object, records: Records, position: int, steps: Preprocessing) -> None:
    marks = records.marks(position)
    shown = steps.intensity(records.picture(position) / np.float32(65535), marks.breast_mask)[..., 0]
    inside = shown if marks.breast_mask is None else shown[marks.breast_mask]
    panel.imshow(shown, cmap="gray", vmin=float(shown.min()), vmax=float(np.percentile(inside, 99.8)))  # type: ignore[attr-defined]
    for mask in marks.finding_masks:
        for outline in cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
            panel.add_patch(Polygon(outline[:, 0], fill=False, edgecolor=POSITIVE, linewidth=0.8))  # type: ignore[attr-defined]


def cdf_figure(cdfs: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Average cumulative histograms over the grey levels.

    Args:
        cdfs: title -> float64 `[levels]`.
    """
    with drawing(0.75 * WIDTH) as figure:
        panel = figure.subplots()
        for number, (title, cdf) in enumerate(cdfs.items()):
            panel.plot(np.arange(len(cdf)), cdf, color=colour_of(number), linestyle=dash_of(number), label=title)
        panel.set(xlabel="Grey level", ylabel="Share of the breast's pixels", ylim=(0, 1.01))
        panel.legend(loc="lower right")
    return figure


def policy_figure(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean probability of fine-tuning each block over the test patches, with its standard deviation over them.

    Args:
        tables: title -> table as `policies.write_policies` leaves it.
    """
    with drawing(0.7 * WIDTH, 1.5 * WIDTH) as figure:
        panel = figure.subplots()
        wide = 0.8 / len(tables)
        names: list[str] = []
        for number, (title, table) in enumerate(tables.items()):
            columns = [name for name in map(str, table) if name.startswith(PROBABILITY)]
            names = [name.removeprefix(PROBABILITY).replace("_", " ") for name in columns]
            means, deviations = table[columns].mean(), table[columns].std(ddof=0)
            places = np.arange(len(columns)) + (number - (len(tables) - 1) / 2) * wide
            panel.bar(places, means, wide * 0.92, color=colour_of(number), label=title)
            panel.errorbar(places, means, deviations, fmt="none", ecolor=MUTED, elinewidth=0.8, capsize=1.5)
        panel.axhline(0.5, color=MUTED, linewidth=0.6, linestyle=":")
        panel.set(xticks=np.arange(len(names)), xticklabels=names, ylim=(0, 1), ylabel="Probability of fine-tuning")
        panel.grid(visible=False, axis="x")
        figure.legend(*panel.get_legend_handles_labels(), loc="outside upper right", ncols=len(tables))
    return figure


def read_policies(path: Path) -> pd.DataFrame:
    """The table that `policies.write_policies` left."""
    return pd.read_csv(path)

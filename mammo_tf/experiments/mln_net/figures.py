"""Figures of what is there: overlays (5, 6), curves of training, Dice by machine, pairs of curves (8), looks (9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mammo_tf.experiments.mln_net.overlays import Line, chosen_pictures, line_of, overlay_figure
from mammo_tf.experiments.mln_net.rows import AUGMENTATION_ROWS, CURVE_ROWS, EVERY_ROW, MODALITY
from mammo_tf.experiments.mln_net.rows.mln_net_pairs import PAIRS, key
from mammo_tf.experiments.mln_net.sizes import TARGETS
from mammo_tf.experiments.mln_net.study import CLUSTERS
from mammo_tf.records import open_records
from mammo_tf.reporting.losses import read_log
from mammo_tf.reporting.palette import MUTED, WIDTH, colour_of, dash_of, drawing, save_figure
from mammo_tf.training.tasks import Segmentation

OVERLAID = ("unet", "swin_unet", "basenet_s", "sadn", "mln_net")  # without any of them the first five that are there
PICTURES = 2  # of each machine in an overlay
LOOKS = {
    "swin_unet": "none", "swin_unet_flipped": "flips", "swin_unet_conventional": "conventional",
    "basenet_s": "source domain",
}  # Figure 9  # fmt: skip
Seeds = Mapping[str, Mapping[str, Any]]  # seed -> numbers of a row on a machine, as `tables.row_numbers`
Rows = Mapping[str, Mapping[str, Seeds]]  # key of a row -> machine -> seeds, of one source

TITLES = {row.key: row.title for row in EVERY_ROW}


def write_figures(folder: Path, seeds: Sequence[int], tables: Mapping[str, Any]) -> None:
    """Draws into `figures/` what is there, SVG and PNG.

    Args:
        folder: of the experiment.
        seeds: which are shown.
        tables: content of `tables.json`.
    """
    out = folder / "figures"
    for source, rows in tables["rows"].items():
        for seed in seeds:
            _of_seed(folder / f"seed_{seed}", out / f"seed_{seed}", source, rows)
        said = {one: tables["published"][one].get(MODALITY[source], {}).get("dsc") for one in rows}
        words = f"Dice of every row trained on {source}, by machine"
        save_figure(dice_figure(rows, source, said), out / f"dice_{source}", words)
        if any(row.key in rows for row in CURVE_ROWS):
            words = f"Dice by number and choice of Bezier curves, trained on {source}"
            save_figure(pairs_figure(rows, source), out / f"pairs_{source}", words)
        if any(row.key in rows for row in AUGMENTATION_ROWS):
            chosen = {one: rows[one] for one in LOOKS if one in rows}
            words = f"Dice of Swin-Unet by augmentation, trained on {source}"
            save_figure(dice_figure(chosen, source, {}, LOOKS), out / f"augmentation_{source}", words)


def _of_seed(place: Path, out: Path, source: str, rows: Rows) -> None:
    runs = {title: place / source / one for one, title in TITLES.items()}
    logs = {title: read_log(run / "log.csv") for title, run in runs.items() if (run / "metrics.json").is_file()}
    if logs:
        save_figure(training_figure(logs), out / f"training_{source}", f"Loss and Dice while training on {source}")
    lines = overlay_lines(place, source, overlaid(rows))
    if lines:
        save_figure(overlay_figure(lines), out / f"overlays_{source}", f"Clusters and calls, trained on {source}")


def overlaid(rows: Rows) -> list[str]:
    """Keys of the rows whose calls are shown."""
    return [one for one in OVERLAID if one in rows] or list(rows)[: len(OVERLAID)]


def overlay_lines(place: Path, source: str, rows: Sequence[str]) -> list[Line]:
    """Pictures of the machines that are not the source, with calls; machines without records are left out.

    Args:
        place: folder of a seed.
        source: machine that was trained on.
        rows: keys of the rows whose calls are shown.
    """
    task, lines = Segmentation(findings=CLUSTERS), []
    for machine in TARGETS[source]:
        folder = place / "prepared" / machine
        folders = {TITLES[one]: place / source / one / f"on_{machine}" for one in rows}
        if (folder / "index.json").is_file() and any(one.is_dir() for one in folders.values()):
            records = open_records(folder)
            for position in chosen_pictures(records, task, PICTURES):
                lines.append(line_of(records, position, task, machine, folders))
    return lines


def training_figure(logs: Mapping[str, pd.DataFrame]) -> Figure:
    """Loss of training and Dice of validation by epoch, a line a row.

    Args:
        logs: title -> as `reporting.losses.read_log` gives it.
    """
    with drawing(1.2 * WIDTH + 0.07 * len(logs), 1.3 * WIDTH) as figure:
        panels = figure.subplots(2, 1, sharex=True)
        for panel, name, words in zip(panels, ("loss", "val_dice"), ("Loss", "Dice, validation"), strict=True):
            for number, (title, log) in enumerate(logs.items()):
                values = log.get(name, pd.Series(np.nan, log.index))
                panel.plot(
                    np.arange(1, len(log) + 1), values, color=colour_of(number), linestyle=dash_of(number),
                    marker="o", markersize=2, label=title,
                )  # fmt: skip
            panel.set_ylabel(words)
            panel.grid(visible=False, axis="x")
        last = max(map(len, logs.values()))
        panels[1].set(xlabel="Epoch", xlim=(0.4, last + 0.6), ylim=(-0.02, 1.02))
        panels[1].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        figure.align_ylabels()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, handlelength=2.6)
    return figure


def machines(rows: Rows, source: str) -> list[str]:
    """Machines that something was measured on, the source itself last."""
    return [one for one in (*TARGETS[source], source) if any(one in targets for targets in rows.values())]


def _dice(seeds: Seeds) -> Iterator[tuple[str, float, float, float]]:
    """Seed, its Dice and the interval's ends in %; seeds without a number are left out."""
    for seed, one in seeds.items():
        value, low, high = (one["dsc"][name] for name in ("value", "low", "high"))
        if value is not None:
            yield seed, 100 * value, 100 * (value if low is None else low), 100 * (value if high is None else high)


def dice_figure(
    rows: Rows, source: str, published: Mapping[str, float | None], titles: Mapping[str, str] = TITLES
) -> Figure:
    """Dice of every row, a panel a machine: a dot and its interval a seed, hollow what the paper has.

    Rows stand in the order of the paper's numbers, best above, those without one below; else as they come.

    Args:
        rows: what was measured.
        source: machine that was trained on.
        published: key of a row -> Dice in % of the paper on the other modality.
        titles: of the rows.
    """
    order = sorted(rows, key=lambda one: -(published.get(one) or -1.0))
    shown = machines(rows, source)
    seeds = sorted({seed for targets in rows.values() for one in targets.values() for seed in one}, key=int)
    with drawing(0.9 + 0.26 * len(order), 1.5 + 1.55 * len(shown)) as figure:
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for panel, machine in zip(panels, shown, strict=True):
            panel.set_title(machine if machine != source else f"{machine}, itself")
            panel.set(xlabel="Dice, %", xlim=(-3, 103), ylim=(len(order) - 0.5, -0.5))
            _dots(panel, [rows[one].get(machine, {}) for one in order], seeds)
            if machine == TARGETS[source][0]:
                places = {place: published[one] for place, one in enumerate(order) if published.get(one) is not None}
                panel.plot(list(places.values()), list(places), "D", color=MUTED, fillstyle="none", markersize=4.5)
        panels[0].set_yticks(range(len(order)), [titles[one] for one in order])
        figure.legend(
            handles=_marks(seeds, any(published.values())), loc="outside lower left", ncols=6, handlelength=1.2
        )
    return figure


def _dots(panel: Axes, rows: Sequence[Seeds], seeds: Sequence[str]) -> None:
    for row, measured in enumerate(rows):
        for seed, value, low, high in _dice(measured):
            place = seeds.index(seed)
            at = row + 0.6 * ((place + 0.5) / len(seeds) - 0.5)
            panel.plot([low, high], [at, at], color=colour_of(place), linewidth=0.9)
            panel.plot([value], [at], "o", color=colour_of(place), markersize=3)


def _marks(seeds: Sequence[str], paper: bool) -> list[Line2D]:
    marks = [
        Line2D([], [], color=colour_of(place), marker="o", markersize=3, label=f"seed {seed}")
        for place, seed in enumerate(seeds)
    ]
    hollow = Line2D([], [], color=MUTED, marker="D", fillstyle="none", linestyle="none", label="paper")
    return [*marks, hollow] if paper else marks


def pairs_figure(rows: Rows, source: str) -> Figure:
    """Dice by the number of pairs of Bezier curves, a panel a machine, a line a choice (Figure 8).

    A dot is a seed, a line goes through the means over seeds; MLN-net itself has the one pair a = 0.3.

    Args:
        rows: what was measured.
        source: machine that was trained on.
    """
    shown = machines(rows, source)
    series = {choice.capitalize(): {count: key(choice, count) for count in PAIRS[choice]} for choice in PAIRS}
    series["MLN-net, a = 0.3"] = {1: "mln_net"}
    with drawing(0.62 * WIDTH, 0.5 + 1.55 * len(shown)) as figure:
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for panel, machine in zip(panels, shown, strict=True):
            for number, (title, keys) in enumerate(series.items()):
                _choice(
                    panel, {count: rows.get(one, {}).get(machine, {}) for count, one in keys.items()}, number, title
                )
            panel.set_title(machine if machine != source else f"{machine}, itself")
            panel.set(xlabel="Pairs of curves", xlim=(0.6, 3.4), xticks=(1, 2, 3))
            panel.grid(visible=False, axis="x")
        panels[0].set_ylabel("Dice, %")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, handlelength=2.6)
    return figure


def _choice(panel: Axes, counts: Mapping[int, Seeds], number: int, title: str) -> None:
    found = {count: [value for _, value, _, _ in _dice(seeds)] for count, seeds in counts.items()}
    means = {count: float(np.mean(values)) for count, values in found.items() if values}
    panel.plot(
        list(means), list(means.values()), color=colour_of(number), linestyle=dash_of(number), marker="s",
        markersize=3.5, label=title,
    )  # fmt: skip
    for count, values in found.items():
        panel.plot([count] * len(values), values, "o", color=colour_of(number), markersize=2.5, alpha=0.6)

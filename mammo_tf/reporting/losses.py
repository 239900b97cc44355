"""Loss curves of a training: `log.csv` to a figure with the stages marked and the rate below."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mammo_tf.errors import MammoError
from mammo_tf.reporting.palette import INK, MUTED, TIP, WIDTH, colour_of, drawing

Stages = dict[tuple[int, str], pd.DataFrame]  # number from 1 and name -> its epochs
LETTERS = 50  # that fit above the panels
TRAINING, VALIDATION, RATE = colour_of(0), colour_of(1), colour_of(2)


def read_log(path: str | Path) -> pd.DataFrame:
    """Reads `log.csv`: text column `stage` (empty where there is none), the rest float64, missing is nan.

    Raises:
        MammoError: `file_missing`, `csv_broken`, `column_missing` without `loss`, `log_empty`.
    """
    path = Path(path)
    if not path.is_file():
        raise MammoError("file_missing", f"the log {path} is not there")
    try:
        log = pd.read_csv(path, encoding="utf-8-sig", dtype={"stage": "str"}, keep_default_na=True)
    except (ValueError, UnicodeDecodeError) as error:
        raise MammoError("csv_broken", f"{path} cannot be read as CSV: {error}") from error
    if "loss" not in log:
        raise MammoError("column_missing", f"{path} has no column 'loss'")
    if log.empty:
        raise MammoError("log_empty", f"{path} has no epoch")
    numbers = log.drop(columns="stage", errors="ignore").apply(pd.to_numeric, errors="coerce").astype(np.float64)
    return numbers.assign(stage=log["stage"].fillna("") if "stage" in log else "")


def loss_figure(log: pd.DataFrame) -> Figure:
    """Loss, AUC (accuracy in a stage that has no AUC) and learning rate over the epochs of all stages.

    A line begins and ends with its stage, since a stage starts from a new optimiser and may have another loss.

    Args:
        log: as `read_log` gives it.
    """
    stages = _stages(log)
    measured = any(name in log and log[name].notna().any() for name in ("auc", "val_auc", "accuracy", "val_accuracy"))
    with drawing(WIDTH * (1.12 if measured else 0.85)) as figure:
        shares = [3.0, 2.0, 1.2] if measured else [3.0, 1.2]
        panels = figure.subplots(len(shares), 1, sharex=True, height_ratios=shares)
        _lines(panels[0], log, stages, dict.fromkeys(stages, "loss"))
        _penalty(panels[0], stages)
        panels[0].set_ylabel("Loss")
        if measured:
            kinds = {stage: _measure(part) for stage, part in stages.items()}
            _lines(panels[1], log, stages, kinds)
            panels[1].set_ylabel(" / ".join(sorted({{"auc": "AUC"}.get(kind, "Accuracy") for kind in kinds.values()})))
        _rates(panels[-1], stages)
        numbered = _mark_stages(panels, stages)
        panels[-1].set(xlabel="Epoch, stages one after another", xlim=(0.4, len(log) + 0.6))
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
        panels[-1].grid(visible=False, axis="x")
        figure.align_ylabels()
        for panel in panels:
            panel.grid(visible=False, axis="x")
        handles, labels = panels[0].get_legend_handles_labels()
        spare = max(0, len(numbered) - len(labels))  # lines to the left, stages to the right
        labels += [""] * spare + numbered
        handles += [Line2D([], [], linestyle="none") for _ in range(spare + len(numbered))]
        figure.legend(handles, labels, loc="outside lower left", ncols=2, handlelength=2.6)
    return figure


def _stages(log: pd.DataFrame) -> Stages:
    """Runs of rows of the same stage, in order, with `at`: the number of the epoch among all, from 1."""
    numbered = log.assign(at=np.arange(1, len(log) + 1))
    runs = (numbered["stage"] != numbered["stage"].shift()).cumsum()
    return {(int(number), str(part["stage"].iloc[0])): part for number, part in numbered.groupby(runs, sort=False)}


def _measure(part: pd.DataFrame) -> str:
    has_auc = any(name in part and part[name].notna().any() for name in ("auc", "val_auc"))
    return "auc" if has_auc else "accuracy"


def _lines(axes: Axes, log: pd.DataFrame, stages: Stages, kinds: dict[tuple[int, str], str]) -> None:
    """Training and validation lines of one quantity, stage by stage."""
    for prefix, name, colour, dash in (
        ("", "training", TRAINING, "-"),
        ("val_", "validation", VALIDATION, (0, (5, 1.6))),
    ):
        named = False
        for stage, part in stages.items():
            column = prefix + kinds[stage]
            if column not in log or not part[column].notna().any():
                continue
            axes.plot(
                part["at"], part[column], color=colour, linestyle=dash, marker="o", markersize=2.4,
                label=f"_{name}" if named else name,
            )  # fmt: skip
            named = True
            for row in part.loc[part[column].notna()].to_dict("records"):
                text = f"{stage[1]}, epoch {row['at']}: {name} {kinds[stage]} {row[column]:.4g}"
                axes.plot([row["at"]], [row[column]], "o", markersize=8, alpha=0.0, color=INK, gid=TIP + text)


def _penalty(axes: Axes, stages: Stages) -> None:
    """What the weight penalty has of both losses, where there is one."""
    named = False
    for part in stages.values():
        if "penalty" in part and (part["penalty"] > 0).any():
            axes.plot(
                part["at"], part["penalty"], color=MUTED, linestyle=":", linewidth=1.2,
                label="_penalty" if named else "weight penalty in both",
            )  # fmt: skip
            named = True


def _rates(axes: Axes, stages: Stages) -> None:
    """The learning rate as steps on a logarithmic scale, each new value written next to its step."""
    axes.set_ylabel("Rate")
    values: list[float] = []
    for stage, part in stages.items():
        if "rate" not in part or not (part["rate"] > 0).any():
            continue
        at, rates = part["at"].to_numpy(), part["rate"].to_numpy()
        axes.stairs(rates, np.append(at - 0.5, at[-1] + 0.5), color=RATE, linewidth=1.5, baseline=None)
        changes = np.flatnonzero(np.append(True, np.diff(rates) != 0))
        for place in changes:
            text = f"{stage[1]}, from epoch {at[place]}: rate {rates[place]:.2g}"
            axes.plot([at[place]], [rates[place]], "o", markersize=4, color=RATE, gid=TIP + text)
        values += [float(rate) for rate in rates if rate > 0]
    if not values:
        axes.text(0.5, 0.5, "not in the log", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        axes.set_yticks([])
        return
    axes.set_yscale("log")
    axes.set_ylim(min(values) / 2.5, max(values) * 2.5)
    axes.minorticks_off()


def _mark_stages(panels: np.ndarray, stages: Stages) -> list[str]:
    """A line between stages through all panels, and above them the stages' names, or numbers where one does not fit.

    Returns:
        What the numbers mean, `1  head`; empty where the names stand above.
    """
    total = sum(len(part) for part in stages.values())
    fits = all(len(name) <= LETTERS * len(part) / total for (_, name), part in stages.items())
    for place, ((number, name), part) in enumerate(stages.items()):
        start = part["at"].iloc[0] - 0.5
        if place:
            for axes in panels:
                axes.axvline(start, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
        panels[0].text(
            start + 0.006 * total, 1.02, name if fits else str(number), transform=panels[0].get_xaxis_transform(),
            va="bottom", ha="left", color=MUTED, gid=f"{TIP}{name}: {len(part)} epochs",
        )  # fmt: skip
    return [] if fits else [f"{number}  {name}" for number, name in stages]

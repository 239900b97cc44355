"""Anyone's predictions to metrics, comparison and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import (
    Metrics,
    OperatingRule,
    Resampling,
    compare,
    compute_metrics,
    read_predictions,
    subgroup_metrics,
)
from mammo_tf.evaluation.intervals import OVER_PATIENTS
from mammo_tf.evaluation.levels import DEFAULT_AGGREGATES
from mammo_tf.evaluation.number_text import number_line
from mammo_tf.evaluation.numbers import Levels, Numbers
from mammo_tf.evaluation.operating import G_MEAN
from mammo_tf.files import write_json
from mammo_tf.reporting import write_figures

IN_SUBGROUPS = ("auc", "sensitivity", "specificity")  # shown; the file has all
NAME_WIDTH = 24


@dataclass(frozen=True)
class Evaluated:
    """What `evaluate_files` found.

    Attributes:
        metrics: of the first file, as `compute_metrics`.
        comparison: second minus first, as `compare`; empty where it was not asked for.
        subgroups: column -> as `subgroup_metrics`; empty where it was not asked for.
    """

    metrics: Metrics
    comparison: Metrics
    subgroups: Mapping[str, Mapping[str, Mapping[str, Numbers]]]


def evaluate_files(
    first: str | Path,
    second: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    join: str = "image_id",
    folder: str | Path | None = None,
    resampling: Resampling = OVER_PATIENTS,
    rule: OperatingRule = G_MEAN,
    threshold_split: str = "validation",
    by: Sequence[str] = (),
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    calibration: str | None = None,
    validation: str | Path | None = None,
) -> Evaluated:
    """Metrics of the first file, and the paired comparison with the second if there is one.

    Args:
        first, second: predictions; `columns` tells what their columns are called.
        join: column that tells which rows are the same case.
        folder: where `metrics.json`, `comparison.json`, `subgroups.json` and `figures/` go; None writes nothing.
        resampling, rule, threshold_split, aggregates, calibration: as for `compute_metrics`.
        validation: predictions of the first file's model on validation images, where they lie in a file apart; all
            its rows count as `threshold_split`.
        by: columns of the first file whose values are looked at one by one, per breast where the laterality is known,
            else per image.

    Raises:
        MammoError: as `read_predictions`, `compute_metrics`, `compare` and `subgroup_metrics`; `patient_split` where
            someone is both in the threshold split and in one that it is used on.
    """
    table = read_predictions(first, columns)
    if validation is not None:
        apart = read_predictions(validation, columns).assign(split=threshold_split)
        if Path(validation).resolve() == Path(first).resolve():
            raise MammoError(
                "threshold_on_test", f"--validation is {first} itself", "Name predictions of other patients"
            )
        table = pd.concat([table[table["split"] != threshold_split], apart], ignore_index=True)
    _check_apart(table, threshold_split)
    metrics = compute_metrics(table, threshold_split, aggregates, resampling, rule, calibration)
    level = "breast" if any("breast" in levels for levels in metrics.values()) else "image"
    subgroups = {
        column: subgroup_metrics(table, column, level, aggregates, resampling, rule, threshold_split) for column in by
    }
    comparison = Metrics()
    if second is not None:
        comparison = compare(table, read_predictions(second, columns), join, aggregates, resampling)
    if folder is not None:
        write_json(Path(folder) / "metrics.json", metrics.to_json())
        for name, found in (("comparison.json", comparison), ("subgroups.json", subgroups)):
            (Path(folder) / name).unlink(missing_ok=True)  # of an earlier call
            if found:
                write_json(Path(folder) / name, found.to_json() if isinstance(found, Metrics) else found)
        write_figures(table, metrics, Path(folder) / "figures")
    return Evaluated(metrics, comparison, subgroups)


def _check_apart(table: pd.DataFrame, threshold_split: str) -> None:
    """Nobody on whom a threshold is chosen is measured with it.

    Raises:
        MammoError: `patient_split`.
    """
    chosen = table["split"] == threshold_split
    both = set(table.loc[chosen, "patient_id"]) & set(table.loc[~chosen & (table["split"] != "train"), "patient_id"])
    if both:
        sentence = f"patient {min(both)!r} is in {threshold_split}, where thresholds are chosen, and in another split"
        raise MammoError("patient_split", sentence, "Leave the patient out of one of them")


def subgroup_lines(subgroups: Mapping[str, Mapping[str, Mapping[str, Numbers]]]) -> list[str]:
    """The numbers of every value of every column as lines of a table."""
    return [
        f"{split:11s}{column} {value:20s} {name:{NAME_WIDTH}s}{number_line(number)}"
        for column, splits in subgroups.items()
        for split, values in splits.items()
        for value, numbers in values.items()
        for name, number in numbers.items()
        if name in IN_SUBGROUPS
    ]


def number_lines(metrics: Mapping[str, Levels]) -> list[str]:
    """The numbers as lines of a table, in the order of the file; one that does not exist says why."""
    rows = [
        (split, level, name, number)
        for split, levels in metrics.items()
        for level, numbers in levels.items()
        for name, number in numbers.items()
    ]
    width = max([NAME_WIDTH, *(len(name) + 1 for _, _, name, _ in rows)])
    return [f"{split:11s}{level:8s} {name:{width}s}{number_line(number)}" for split, level, name, number in rows]

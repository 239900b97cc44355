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
from mammo_tf.evaluation.calibration import check_method
from mammo_tf.evaluation.comparison import overlap_notes
from mammo_tf.evaluation.copies import check_rows_apart
from mammo_tf.evaluation.identities import check_patients_apart, fitted_together, patient_notes
from mammo_tf.evaluation.intervals import OVER_PATIENTS
from mammo_tf.evaluation.levels import DEFAULT_AGGREGATES
from mammo_tf.evaluation.metrics import TEST_SPLITS
from mammo_tf.evaluation.numbers import Numbers
from mammo_tf.evaluation.operating import G_MEAN
from mammo_tf.evaluation.suspicions import score_notes
from mammo_tf.files import write_json
from mammo_tf.reporting.figures import write_figures


@dataclass(frozen=True)
class Evaluated:
    """What `evaluate_files` found.

    Attributes:
        metrics: of the first file, as `compute_metrics`.
        comparison: second minus first, as `compare`; empty where it was not asked for.
        subgroups: column -> as `subgroup_metrics`; empty where it was not asked for.
        notes: what a reader must know, one line each.
    """

    metrics: Metrics
    comparison: Metrics
    subgroups: Mapping[str, Mapping[str, Mapping[str, Numbers]]]
    notes: tuple[str, ...]


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
    other_columns: Mapping[str, str] | None = None,
    threshold: float | None = None,
    prevalence: float | None = None,
    pool_exams: bool = False,
) -> Evaluated:
    """Metrics of the first file, and the paired comparison with the second if there is one.

    Args:
        first, second: predictions; `columns` tells what their columns are called.
        join: column that tells which rows are the same case.
        folder: where `metrics.json`, `comparison.json` and `other_metrics.json` (of the second file), `subgroups.json`
            and `figures/` go; None writes nothing.
        resampling, rule, threshold_split, aggregates, calibration: as for `compute_metrics`.
        validation: predictions of the first file's model on validation images, where they lie in a file apart; all
            its rows count as `threshold_split`.
        by: columns of the first file whose values are looked at one by one, per breast where the laterality is known,
            else per image.
        other_columns: what the second file's columns are called, where they have other names.
        threshold, prevalence, pool_exams: as for `compute_metrics`.

    Raises:
        MammoError: as `read_predictions`, `compute_metrics`, `compare` and `subgroup_metrics`; `patient_split` where
            someone is both in the threshold split and in one that it is used on; `threshold_on_test` where the same
            rows are in both under other names; `split_missing` for a calibration without rows to fit it on.
    """
    table, notes = _read_all(first, validation, columns, threshold_split)
    if threshold is None or calibration is not None:
        check_patients_apart(table, threshold_split)
        notes += check_rows_apart(table, threshold_split)
    without = threshold is None and not (table["split"] == threshold_split).any()
    if calibration is not None:
        check_method(calibration)
    if calibration is not None and not (table["split"] == threshold_split).any():
        raise MammoError(
            "split_missing", f"no row is called {threshold_split!r}, to fit {calibration} on", _choose(table)
        )
    metrics = compute_metrics(
        table, threshold_split, aggregates, resampling, rule, calibration, threshold, prevalence, pool_exams
    )
    level = "breast" if any("breast" in levels for levels in metrics.values()) else "image"
    subgroups = {
        column: subgroup_metrics(table, column, level, aggregates, resampling, rule, threshold_split, threshold)
        for column in by
    }
    comparison, other = Metrics(), None
    if second is not None:
        other = read_predictions(second, columns if other_columns is None else other_columns)
        comparison = compare(table, other, join, aggregates, resampling, pool_exams)
        notes += overlap_notes(table, other, join)
    notes = [
        *patient_notes(table, threshold_split, pool_exams),
        *([f"no row is called {threshold_split!r}, so there is no threshold. {_choose(table)}"] if without else []),
        *notes,
        *score_notes(table, metrics),
    ]
    if folder is not None:
        others = {}
        if other is not None:
            theirs = compute_metrics(
                other, threshold_split, aggregates, resampling, rule, None, threshold, prevalence, pool_exams
            )
            others = {Path(str(second)).name: (other, theirs)}
        write_json(Path(folder) / "metrics.json", metrics.to_json())
        further = [found for _, found in others.values()] or [Metrics()]
        for name, found in (
            ("comparison.json", comparison), ("subgroups.json", subgroups), ("other_metrics.json", further[0]),
        ):  # fmt: skip
            (Path(folder) / name).unlink(missing_ok=True)  # of an earlier call
            if found:
                write_json(Path(folder) / name, found.to_json() if isinstance(found, Metrics) else found)
        write_figures(table, metrics, Path(folder) / "figures", others)
    return Evaluated(metrics, comparison, subgroups, tuple(notes))


def _read_all(
    first: str | Path, validation: str | Path | None, columns: Mapping[str, str] | None, threshold_split: str
) -> tuple[pd.DataFrame, list[str]]:
    """The first file, with the validation predictions as its threshold split where they lie apart; and notes."""
    table = read_predictions(first, columns)
    if validation is None:
        return table, []
    if Path(validation).resolve() == Path(first).resolve():
        raise MammoError("threshold_on_test", f"--validation is {first} itself", "Name predictions of other patients")
    apart = read_predictions(validation, columns).assign(split=threshold_split)
    return fitted_together(table[table["split"] != threshold_split], apart, validation)


def _choose(table: pd.DataFrame) -> str:
    """How to come by a threshold, with the splits that are there."""
    splits = [str(split) for split in dict.fromkeys(table["split"])]
    fit = [split for split in splits if split.casefold() not in (*TEST_SPLITS, "train", "training", "")]
    ways = "--validation FILE.csv gives validation predictions, --threshold VALUE a threshold"
    if fit:
        ways = f"--threshold-split {fit[0]} chooses it there, {ways}"
    return f"The file has {', '.join(map(repr, splits))}: {ways}"

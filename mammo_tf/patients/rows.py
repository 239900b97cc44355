"""The rows of a patient model's table: classifiers, and the plain maximum and mean of the view scores to be beaten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import (
    Calibration,
    Metrics,
    OperatingRule,
    Resampling,
    adjusted,
    calibrate,
    compare,
    compute_metrics,
    write_predictions,
)
from mammo_tf.evaluation.metrics import numbers_at, threshold_of
from mammo_tf.evaluation.number_text import SIX_DIGITS, number_text, threshold_text
from mammo_tf.evaluation.numbers import Numbers
from mammo_tf.evaluation.predictions import COLUMNS
from mammo_tf.evaluation.rates import ELSEWHERE
from mammo_tf.evaluation.suspicions import score_notes
from mammo_tf.patients.table import PatientTable
from mammo_tf.reporting.figures import roc_figure
from mammo_tf.reporting.palette import save_figure
from mammo_tf.reporting.reliability import reliability_figure
from mammo_tf.reporting.scores import scores_at
from mammo_tf.reporting.tables import answer

PLAIN = ("maximum", "mean")  # of the four view scores
AS_RUN = "threshold chosen ON TEST, as run: too good"


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: of the classifier or of the aggregate.
        predictions: one line a patient, all splits, in the package's contract; `probability` where calibrated.
        metrics: `{split: {"patient": {metric: number}}}`; nothing is aggregated, since a line is a patient.
        calibration: fitted on validation; None where that is not possible.
        why_not: why there is none.
    """

    name: str
    predictions: pd.DataFrame
    metrics: Metrics
    calibration: Calibration | None
    why_not: str = ""

    @property
    def threshold(self) -> float | None:
        """The operating point, chosen on validation; None where there is none."""
        return next(iter(self.metrics.values()))["patient"]["threshold"]["value"]


def plain_scores(table: PatientTable) -> dict[str, NDArray[np.float64]]:
    """Maximum and mean of each patient's four view scores, missing views filled: float64 `[patients]`."""
    return {"maximum": table.view_scores.max(axis=1), "mean": table.view_scores.mean(axis=1)}


def make_row(
    name: str,
    table: PatientTable,
    scores: NDArray[np.float64],
    rule: OperatingRule,
    resampling: Resampling,
    method: str | None,
    prevalence: float | None = None,
) -> Row:
    """Scores of all patients to numbers; threshold and calibration are of the split validation.

    Args:
        name: of the row.
        table: patients of all splits.
        scores: float64 `[patients]`.
        rule, resampling: as for `compute_metrics`.
        method: of the calibration; None for none.
        prevalence: share of positives for which PPV, NPV and recall rate are given as well.

    Raises:
        MammoError: `method_unknown`, `operating_rule_wrong`.
    """
    predictions = _predictions(table, scores)
    calibration, why_not = _calibration(predictions, method)
    found = compute_metrics(
        predictions, "validation", resampling=resampling, rule=rule, calibration=method if calibration else None,
        prevalence=prevalence,
    )  # fmt: skip
    # a line is a patient, so the level image is the patient's, and nothing was aggregated on the way
    metrics = Metrics({split: {"patient": levels["image"]} for split, levels in found.items()}, {})
    if calibration is not None:
        predictions = predictions.assign(probability=calibration(scores))
    return Row(name, predictions, metrics, calibration, why_not)


def _predictions(table: PatientTable, scores: NDArray[np.float64]) -> pd.DataFrame:
    splits, patients = pd.Series(table.splits), pd.Series(table.patients)
    cases = patients if patients.is_unique else splits + " " + patients
    known: dict[str, Any] = {"image_id": cases, "patient_id": cases, "pair_id": table.pairs, "split": splits}
    known |= {"label": table.labels, "score": scores}
    if "age" in table.names:
        known["age"] = table.column("age")
    return pd.DataFrame({name: known.get(name, "") for name in COLUMNS})


def _calibration(predictions: pd.DataFrame, method: str | None) -> tuple[Calibration | None, str]:
    if method is None:
        return None, "none was asked for"
    chosen = predictions[predictions["split"] == "validation"]
    try:
        found = calibrate(chosen["label"], chosen["score"], method)
    except MammoError as error:
        if error.code == "method_unknown":
            raise
        return None, error.sentence
    rising = found.slope > 0 if method != "isotonic" else found.values[-1] > found.values[0]
    return (found, "") if rising else (None, "on validation higher scores are not more often positive")


def as_run_numbers(row: Row, rule: OperatingRule, resampling: Resampling) -> Numbers:
    """The numbers of the split test at a threshold chosen there, as the thesis did; they say so themselves."""
    cases = row.predictions[row.predictions["split"] == "test"]
    threshold = threshold_of(cases, "test", rule)
    threshold["how"] += "; a threshold chosen on test makes its rates too good"
    return numbers_at(cases, threshold, resampling, chosen_here=True)


def compared(rows: Mapping[str, Row], resampling: Resampling) -> dict[str, Metrics]:
    """Each classifier minus maximum and minus mean, paired: `{"A minus B": {split: {"patient": {metric: number}}}}`.

    They are several looks at the same patients, so each p has its q next to it.
    """
    found = {}
    for name, row in rows.items():
        for plain in PLAIN:
            if name not in PLAIN:
                levels = compare(rows[plain].predictions, row.predictions, resampling=resampling)
                patients = {split: {"patient": numbers["image"]} for split, numbers in levels.items()}
                found[f"{name} minus {plain}"] = Metrics(patients, {})
    return adjusted(found)


def write_rows(folder: Path, rows: Mapping[str, Row], calibrated: Sequence[str]) -> None:
    """`predictions_<row>.csv`, ROC curves of every split with bands, reliability diagrams of the rows `calibrated`."""
    figures = folder / "figures"
    for name, row in rows.items():
        write_predictions(row.predictions, folder / f"predictions_{name}.csv")
    for split in next(iter(rows.values())).metrics:
        drawn = [
            scores_at(name.replace("_", " "), row.predictions, row.metrics, split, "patient")
            for name, row in rows.items()
        ]
        models = [model for model in drawn if model is not None]
        about = f"{split}, {len(models[0].labels)} patients"
        if models[0].both_classes:
            save_figure(roc_figure(models), figures / f"roc_{split}", f"ROC curves with 95 % bands: {about}")
        for name in calibrated:
            part = rows[name].predictions.query("split == @split")
            given = {"as it is": part["score"].to_numpy()}
            if "probability" in part:
                given["calibrated"] = part["probability"].to_numpy()
            figure = reliability_figure(part["label"].to_numpy(np.int64), given)
            save_figure(figure, figures / f"reliability_{name}_{split}", f"Reliability of {name}: {about}")


def table_lines(rows: Mapping[str, Row], as_run: Mapping[str, Any] | None = None) -> list[str]:
    """The table: AUC with its interval to six digits, rates at the threshold of validation, calibration errors."""
    head = f"{'row':18s} {'split':11s}{'n':>6s}  {'AUC (95 %)':32s}{'sensitivity':12s} {'specificity':12s}"
    lines = [f"{head}{'threshold':10s} {'ECE > calibr.':14s} Brier > calibr."]
    for name, row in rows.items():
        for split, levels in row.metrics.items():
            lines.append(f"{name:18s} {split:11s}{_numbers_line(levels['patient'])}")
    if as_run:
        for name, numbers in as_run.items():
            lines.append(f"{name:18s} {'test':11s}{_numbers_line(numbers)}  <- {AS_RUN}")
    return lines


def prevalence_lines(name: str, row: Row) -> list[str]:
    """PPV, NPV and recall rate at the threshold on test: here, and at the prevalence that was stated."""
    numbers = row.metrics.get("test", {}).get("patient", {})
    lines = []
    for ending, where in (("", "this table's prevalence, {here}"), (ELSEWHERE, "the stated prevalence")):
        found = [numbers.get(f"{rate}{ending}") for rate in ("ppv", "npv", "recall_rate")]
        if all(one is not None for one in found):
            words = ", ".join(
                f"{title} {number_text(one)}" for title, one in zip(("PPV", "NPV", "recall rate"), found, strict=True)
            )
            here = _plain(numbers["prevalence"])
            point = threshold_text(row.threshold or 0.0)
            lines.append(f"{name} at the threshold {point} on test: {words}, at {where.format(here=here)}")
    return lines


def _numbers_line(numbers: Mapping[str, Mapping[str, Any]]) -> str:
    area = numbers["auc"]
    text = number_text(area, SIX_DIGITS)
    rates = [_plain(numbers.get(name)) for name in ("sensitivity", "specificity")]
    point = numbers.get("threshold", {}).get("value")
    rates.append("-" if point is None else threshold_text(point))
    errors = [_before_after(numbers, name) for name in ("ece", "brier")]
    return f"{area['n']:6d}  {text:32s}{rates[0]:12s} {rates[1]:12s}{rates[2]:10s} {errors[0]:14s} {errors[1]}"


def _plain(number: Mapping[str, Any] | None) -> str:
    return "-" if number is None or number["value"] is None else f"{number['value']:.4g}"


def _before_after(numbers: Mapping[str, Mapping[str, Any]], name: str) -> str:
    after = numbers.get(f"{name}_calibrated")
    before = numbers.get(name)
    if before is None or before["value"] is None:
        return "-"
    return f"{before['value']:.3f}" + (f" > {after['value']:.3f}" if after and after["value"] is not None else "")


def comparison_lines(comparison: Mapping[str, Metrics]) -> list[str]:
    """One sentence a comparison on test, or on validation where there is no test."""
    lines = []
    for name, splits in comparison.items():
        split = next((one for one in ("test", "validation") if one in splits), None)
        if split is not None:
            lines.append(f"{split}: " + answer(name.replace("_", " "), "patient", splits[split]["patient"]))
    return lines


def notes_on(kept: Row, rows: Mapping[str, Row]) -> list[str]:
    """What a reader must know of the rows, and of the one whose classifier is stored."""
    notes = [f"{name}, {note}" for name, row in rows.items() for note in score_notes(row.predictions, row.metrics)]
    notes += prevalence_lines(kept.name, kept)
    if kept.threshold is None:
        why = next(iter(kept.metrics.values()))["patient"]["threshold"].get("why", "validation has none")
        notes.append(f"the model has no threshold and decides nothing: {why}")
    if kept.calibration is None:
        notes.append(f"{kept.name} has no calibration: {kept.why_not}")
    return notes

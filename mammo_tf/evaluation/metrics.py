"""Predictions to `metrics.json`: every number with its interval, n, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.bands import curve_intervals
from mammo_tf.evaluation.calibration import check_method
from mammo_tf.evaluation.intervals import OVER_PATIENTS, Interval, Resampling
from mammo_tf.evaluation.levels import (
    DEFAULT_AGGREGATES,
    aggregates_in_force,
    at_level,
    how_words,
    measured_levels,
)
from mammo_tf.evaluation.numbers import (
    Levels,
    Metrics,
    Number,
    Numbers,
    interval_number,
    missing_number,
    plain_number,
)
from mammo_tf.evaluation.operating import G_MEAN, OperatingRule, operating_point
from mammo_tf.evaluation.probabilities import calibrated_on, probability_numbers
from mammo_tf.evaluation.rates import rate_numbers
from mammo_tf.evaluation.roc import delong

POINTS = {"sensitivity_at_90_specificity": 0.90, "sensitivity_at_95_specificity": 0.95}
POINT = "the point of this curve with specificity {:g} % or more and the largest sensitivity"
TEST_SPLITS = ("test", "tst", "testing")


def compute_metrics(
    table: pd.DataFrame,
    threshold_split: str = "validation",
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    resampling: Resampling = OVER_PATIENTS,
    rule: OperatingRule = G_MEAN,
    calibration: str | None = None,
) -> Metrics:
    """`{split: {level: {metric: {value, low, high, n, how}}}}` and the aggregates, intervals of 95 %.

    Metrics: `auc` (bootstrap over patients), `auc_delong`, `sensitivity_at_90_specificity` and `..._95_...` (points of
    the same split's curve), and where the threshold split has both classes `threshold` (chosen there by the rule, at
    the same level, then fixed) and at it every rate of `evaluation.rates`; where scores lie in [0, 1] those of
    `evaluation.probabilities`, with a calibration those of the calibrated scores too. A number that does not exist has
    the value None and says why. Where `resampling.also_cases` is set, a resampled number has `cases_resampled` as well:
    the interval that takes every image for a patient of its own, for comparison only.

    Args:
        table: as `read_predictions` or `make_predictions` gives it.
        threshold_split: where thresholds are chosen; the other splits only use them.
        aggregates: level -> how the scores of its parts are put together, see `at_level`; of a level that is not named
            the default. Exams are measured where they are named.
        resampling: how intervals are made.
        rule: how the operating point is chosen.
        calibration: "platt", "isotonic" or "temperature", fitted on the threshold split, at the same level.

    Raises:
        MammoError: `threshold_on_test`; as `at_level`; `method_unknown`; `split_wrong` for a split called "aggregates".
    """
    check_threshold_split(threshold_split)
    if calibration is not None:
        check_method(calibration)
    splits: dict[str, Levels] = {}
    for level in measured_levels(table, aggregates):
        cases = at_level(table, level.name, aggregates)
        assert cases is not None  # it is told, else it would not be measured
        words = how_words(table, level, aggregates)
        chosen = cases[cases["split"] == threshold_split]
        threshold = threshold_of(chosen, threshold_split, rule)
        calibrated = None if calibration is None else calibrated_on(chosen, calibration)
        for split, part in cases.groupby("split", sort=False):
            numbers = numbers_at(part, threshold, resampling)
            numbers |= probability_numbers(part, None, resampling)
            if calibration is not None:
                numbers |= probability_numbers(part, calibrated, resampling, f"{calibration} on {threshold_split}")
            for number in numbers.values():
                number["how"] += words
            splits.setdefault(str(split), {})[level.name] = numbers
    return Metrics(splits, aggregates_in_force(table, aggregates))


def check_threshold_split(name: str) -> None:
    """Raises `threshold_on_test` for the test split, however it is written."""
    if name.strip().casefold() in TEST_SPLITS:
        sentence = "a threshold chosen on the test split makes its sensitivity and specificity too good"
        raise MammoError("threshold_on_test", sentence, "Choose it on validation")


def threshold_of(cases: pd.DataFrame, split: str, rule: OperatingRule) -> Number:
    """The operating point of some cases as a number of `metrics.json`; None and why where there is none."""
    how = f"{rule.words}, on {split}"
    try:
        point = operating_point(cases["label"], cases["score"], rule)
    except MammoError as error:
        return missing_number(len(cases), how, error.sentence)
    if not np.isfinite(point.threshold):
        why = f"no threshold on {split} is better than calling nothing positive"
        return missing_number(len(cases), how, why)
    return plain_number(point.threshold, None, None, len(cases), how)


def numbers_at(cases: pd.DataFrame, threshold: Number, resampling: Resampling) -> Numbers:
    """The numbers of some cases: of the ROC curve, and at a fixed threshold.

    Args:
        cases: with `label`, `score`, `patient_id`, as `at_level` gives them.
        threshold: as `threshold_of` gives it; without a value there are no rates.
        resampling: how intervals are made.
    """
    labels, scores = cases["label"].to_numpy(np.int64), cases["score"].to_numpy(np.float64)
    patients = cases["patient_id"].to_numpy()
    area, points = _curve_numbers(labels, scores, patients, resampling)
    numbers: Numbers = {"auc": area}
    try:
        single = delong(labels, scores)
        numbers["auc_delong"] = plain_number(
            single.auc, single.low, single.high, len(labels), "DeLong, cases independent"
        )
    except MammoError as error:
        numbers["auc_delong"] = missing_number(len(labels), "DeLong", error.sentence)
    numbers |= points
    numbers["threshold"] = threshold.copy()
    if threshold["value"] is not None:
        numbers |= rate_numbers(labels, scores, threshold["value"], patients, resampling)
    return numbers


def _curve_numbers(
    labels: NDArray[np.int64], scores: NDArray[np.float64], patients: NDArray[Any], resampling: Resampling
) -> tuple[Number, Numbers]:
    """The AUC, and the sensitivity at each specificity of `POINTS`; all of one resampling."""
    how, positives = resampling.words(patients), int(labels.sum())
    words = [f"{how}, {POINT.format(100 * specificity)}" for specificity in POINTS.values()]

    def intervals(groups: NDArray[Any] | None) -> tuple[Interval, ...]:
        return curve_intervals(
            labels, scores, groups, tuple(POINTS.values()), resampling.replicates, resampling.seed,
            method=resampling.method, strata=resampling.strata(labels, groups),
        )  # fmt: skip

    try:
        found = intervals(patients)
    except MammoError as error:
        missing = [missing_number(positives, word, error.sentence) for word in words]
        return missing_number(len(labels), how, error.sentence), dict(zip(POINTS, missing, strict=True))
    counts = [len(labels), *[positives] * len(POINTS)]
    numbers = [interval_number(*one) for one in zip(found, counts, [how, *words], strict=True)]
    if resampling.also_cases:
        for number, one in zip(numbers, intervals(None), strict=True):
            ends = plain_number(one.value, one.low, one.high, 0, "")
            number["cases_resampled"] = {"low": ends["low"], "high": ends["high"]}
    return numbers[0], dict(zip(POINTS, numbers[1:], strict=True))

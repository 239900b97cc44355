"""Predictions to `metrics.json`: every number with its interval, n, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    resampled_column,
)
from mammo_tf.evaluation.numbers import (
    Levels,
    Metrics,
    Number,
    Numbers,
    interval_number,
    missing_number,
    plain_number,
    with_exact_ends,
)
from mammo_tf.evaluation.operating import G_MEAN, OperatingRule, operating_point
from mammo_tf.evaluation.probabilities import calibrated_on, probability_numbers
from mammo_tf.evaluation.proportions import clopper_pearson, separated_auc_low
from mammo_tf.evaluation.rates import Rate, rate_numbers, rates_elsewhere
from mammo_tf.evaluation.roc import NO_VARIANCE, DeLong, delong

POINTS = {"sensitivity_at_90_specificity": 0.90, "sensitivity_at_95_specificity": 0.95}
POINT = "the point of this curve with specificity {:g} % or more and the largest sensitivity"
CHOSEN_HERE = "threshold chosen here: too good"
FITTED_HERE = "calibration fitted here: too good"
TEST_SPLITS = ("test", "tst", "testing")


def compute_metrics(
    table: pd.DataFrame,
    threshold_split: str = "validation",
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    resampling: Resampling = OVER_PATIENTS,
    rule: OperatingRule = G_MEAN,
    calibration: str | None = None,
    threshold: float | None = None,
    prevalence: float | None = None,
    pool_exams: bool = False,
) -> Metrics:
    """`{split: {level: {metric: {value, low, high, n, how}}}}` and the aggregates, intervals of 95 %.

    Metrics: `auc` (bootstrap over patients), `auc_delong`, `sensitivity_at_90_specificity` and `..._95_...` (points of
    the same split's curve), and where the threshold split has both classes `threshold` (chosen there by the rule, at
    the same level, then fixed) and at it every rate of `evaluation.rates`; where scores lie in [0, 1] those of
    `evaluation.probabilities`, with a calibration those of the calibrated scores too. A number that does not exist has
    the value None and says why. On the threshold split itself, what was chosen there is too good, and has a `caution`.
    Where `resampling.also_cases` is set, a resampled number has `cases_resampled` as well: the interval that takes
    every image for a patient of its own, for comparison only.

    Args:
        table: as `read_predictions` or `make_predictions` gives it.
        threshold_split: where thresholds are chosen; the other splits only use them.
        aggregates: level -> how the scores of its parts are put together, see `at_level`; of a level that is not named
            the default.
        resampling: how intervals are made.
        rule: how the operating point is chosen.
        calibration: "platt", "isotonic" or "temperature", fitted on the threshold split, at the same level.
        threshold: a fixed one, for all levels; None chooses by the rule.
        prevalence: share of positives for which PPV, NPV and recall rate are given as well.
        pool_exams: measure patients although some have several exams, see `measured_levels`.

    Raises:
        MammoError: `threshold_on_test`; as `at_level`; `method_unknown`; `split_wrong` for a split called "aggregates";
            `threshold_wrong`, `prevalence_wrong`.
    """
    check_threshold_split(threshold_split)
    further = () if prevalence is None else rates_elsewhere(prevalence)
    resampling = named_units(table, resampling)
    if calibration is not None:
        check_method(calibration)
    splits: dict[str, Levels] = {}
    for level in measured_levels(table, pool_exams):
        cases = at_level(table, level.name, aggregates)
        assert cases is not None  # it is told, else it would not be measured
        words = how_words(table, level, aggregates)
        chosen = cases[cases["split"] == threshold_split]
        point = threshold_of(chosen, threshold_split, rule) if threshold is None else given_threshold(threshold)
        calibrated = None if calibration is None else calibrated_on(chosen, calibration)
        for split, part in cases.groupby("split", sort=False):
            here = split == threshold_split
            numbers = numbers_at(part, point, resampling, further, chosen_here=here and threshold is None)
            numbers |= probability_numbers(part, None, resampling)
            if calibration is not None:
                fitted = probability_numbers(part, calibrated, resampling, f"{calibration} on {threshold_split}")
                numbers |= with_caution(fitted, FITTED_HERE) if here else fitted
            for number in numbers.values():
                number["how"] += words
            splits.setdefault(str(split), {})[level.name] = numbers
    return Metrics(splits, aggregates_in_force(table, aggregates, pool_exams))


def named_units(table: pd.DataFrame, resampling: Resampling) -> Resampling:
    """A resampling that says what it draws from a table: patients, or exams or images where nobody names patients."""
    column = resampled_column(table)
    if column == "patient_id":
        return resampling
    return replace(resampling, units=f"{column.removesuffix('_id')}s (no patient is named)")


def with_caution(numbers: Numbers, caution: str) -> Numbers:
    """Numbers with something that is to be held against each of them."""
    return {name: {**number, "caution": caution} for name, number in numbers.items()}


def given_threshold(threshold: float) -> Number:
    """A threshold that was not chosen on these cases, as a number of `metrics.json`; `threshold_wrong`."""
    if not np.isfinite(threshold):
        raise MammoError("threshold_wrong", f"a threshold of {threshold} is not a finite number", "Give a score")
    return plain_number(threshold, None, None, 0, "given, not chosen here")


def check_threshold_split(name: str) -> None:
    """Raises `threshold_on_test` for the test split, however it is written."""
    if name.strip().casefold() in TEST_SPLITS:
        sentence = "a threshold chosen on the test split makes its sensitivity and specificity too good"
        raise MammoError("threshold_on_test", sentence, "Choose it on validation")


def threshold_of(cases: pd.DataFrame, split: str, rule: OperatingRule) -> Number:
    """The operating point of some cases as a number of `metrics.json`; None and why where there is none."""
    how = f"{rule.words}, on {split}"
    if cases.empty:
        return missing_number(0, how, f"no row is called {split!r}")
    try:
        point = operating_point(cases["label"], cases["score"], rule)
    except MammoError as error:
        return missing_number(len(cases), how, error.sentence)
    if not np.isfinite(point.threshold):
        why = f"no threshold on {split} is better than calling nothing positive"
        return missing_number(len(cases), how, why)
    return plain_number(point.threshold, None, None, len(cases), how)


def numbers_at(
    cases: pd.DataFrame,
    threshold: Number,
    resampling: Resampling,
    further: Sequence[Rate] = (),
    chosen_here: bool = False,
) -> Numbers:
    """The numbers of some cases: of the ROC curve, and at a fixed threshold.

    Args:
        cases: with `label`, `score`, `patient_id`, as `at_level` gives them.
        threshold: as `threshold_of` gives it; without a value there are no rates.
        resampling: how intervals are made.
        further: rates next to those of `evaluation.rates`.
        chosen_here: whether these cases chose the threshold, which makes its rates too good.
    """
    labels, scores = cases["label"].to_numpy(np.int64), cases["score"].to_numpy(np.float64)
    patients = cases["patient_id"].to_numpy()
    area, points = _curve_numbers(labels, scores, patients, resampling)
    numbers: Numbers = {"auc": area}
    try:
        single = delong(labels, scores)
        numbers["auc_delong"] = delong_number(single, len(labels))
    except MammoError as error:
        numbers["auc_delong"] = missing_number(len(labels), "DeLong", error.sentence)
    numbers |= points
    numbers["threshold"] = threshold.copy()
    if threshold["value"] is not None:
        rates = rate_numbers(labels, scores, threshold["value"], patients, resampling, further)
        numbers |= with_caution(rates, CHOSEN_HERE) if chosen_here else rates
        numbers["prevalence"].pop("caution", None)  # hangs on no threshold
    return numbers


def delong_number(found: DeLong, n: int) -> Number:
    """DeLong's interval of one AUC as a number of `metrics.json`; none where its variance is 0."""
    number = plain_number(found.auc, found.low, found.high, n, "DeLong, cases independent")
    if found.variance <= NO_VARIANCE:
        number["low"] = number["high"] = None
        number["why"] = "no interval: DeLong's variance is 0"
    return number


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
    _with_exact_ends(numbers, found, labels, patients, resampling.units)
    if resampling.also_cases:
        for number, one in zip(numbers, intervals(None), strict=True):
            ends = plain_number(one.value, one.low, one.high, 0, "")
            number["cases_resampled"] = {"low": ends["low"], "high": ends["high"]}
    return numbers[0], dict(zip(POINTS, numbers[1:], strict=True))


def _with_exact_ends(
    numbers: Sequence[Number],
    found: Sequence[Interval],
    labels: NDArray[np.int64],
    patients: NDArray[Any],
    units: str,
) -> None:
    """Exact intervals for an AUC and for points of the curve that are 0 or 1, where every resample is alike."""
    positives, negatives = (len(set(patients[labels == label])) for label in (1, 0))
    for place, (number, one) in enumerate(zip(numbers, found, strict=True)):
        if one.value not in (0, 1):
            continue
        if place:
            exact = clopper_pearson(round(one.value * positives), positives)
            with_exact_ends(number, exact, f"Clopper and Pearson's, of {positives} independent {units}")
            continue
        low = separated_auc_low(positives, negatives)
        ends = (low, 1.0) if one.value == 1 else (0.0, 1 - low)
        with_exact_ends(number, ends, f"Newcombe's, of {positives} and {negatives} independent {units}")

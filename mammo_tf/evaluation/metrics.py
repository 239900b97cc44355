"""Predictions to `metrics.json`: every number with its interval, n, and how it was made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.bands import auc_interval
from mammo_tf.evaluation.calibration import Calibration, calibrate, check_method, reliability
from mammo_tf.evaluation.intervals import OVER_PATIENTS, Interval, Resampling, share_interval
from mammo_tf.evaluation.operating import G_MEAN, OperatingRule, operating_point
from mammo_tf.evaluation.predictions import LEVELS, at_level
from mammo_tf.evaluation.roc import delong

Number = dict[str, Any]
TEST_SPLITS = ("test", "tst", "testing")


def compute_metrics(
    table: pd.DataFrame,
    threshold_split: str = "validation",
    breast: str = "mean",
    patient: str = "maximum",
    resampling: Resampling = OVER_PATIENTS,
    rule: OperatingRule = G_MEAN,
    calibration: str | None = None,
) -> dict[str, dict[str, dict[str, Number]]]:
    """`{split: {level: {metric: {value, low, high, n, how}}}}`, intervals of 95 %.

    Metrics: `auc` (bootstrap over patients), `auc_delong`, and where the threshold split has both classes `threshold`
    (chosen there by the rule, at the same level, then fixed), `sensitivity`, `specificity`, `accuracy` at it; where
    scores lie in [0, 1] `brier` and `ece` (ten equal bins, without an interval), with a calibration those of the
    calibrated scores too. A number that does not exist has the value None and says why. Where `resampling.also_cases`
    is set, a resampled number has `cases_resampled` as well: the interval that takes every image for a patient of its
    own, for comparison only.

    Args:
        table: as `read_predictions` or `make_predictions` gives it.
        threshold_split: where thresholds are chosen; the other splits only use them.
        breast, patient: aggregates, see `at_level`.
        resampling: how intervals are made.
        rule: how the operating point is chosen.
        calibration: "platt", "isotonic" or "temperature", fitted on the threshold split, at the same level.

    Raises:
        MammoError: `threshold_on_test`; as `at_level`; `method_unknown`.
    """
    check_threshold_split(threshold_split)
    if calibration is not None:
        check_method(calibration)
    metrics: dict[str, dict[str, dict[str, Number]]] = {}
    for level in LEVELS:
        cases = at_level(table, level, breast, patient)
        if cases is None:
            continue
        how_level = {"image": "", "breast": f", {breast} of a breast's views", "patient": f", {patient} of the breasts"}
        chosen = cases[cases["split"] == threshold_split]
        threshold = threshold_of(chosen, threshold_split, rule)
        calibrated = None if calibration is None else _calibrated(chosen, calibration)
        for split, part in cases.groupby("split", sort=False):
            numbers = numbers_at(part, threshold, resampling)
            numbers |= _closeness(part, None, resampling)
            if calibration is not None:
                numbers |= _closeness(part, calibrated, resampling, f"{calibration} on {threshold_split}")
            for number in numbers.values():
                number["how"] += how_level[level]
            metrics.setdefault(str(split), {})[level] = numbers
    return metrics


def _calibrated(cases: pd.DataFrame, method: str) -> Calibration | MammoError:
    """A calibration, or why there is none."""
    try:
        return calibrate(cases["label"], cases["score"], method)
    except MammoError as error:
        return error


def _closeness(
    cases: pd.DataFrame, calibrated: Calibration | MammoError | None, resampling: Resampling, method: str = ""
) -> dict[str, Number]:
    """Brier score and calibration error of scores as they are, or calibrated; nothing where they are no probabilities.

    Args:
        cases: as for `numbers_at`.
        calibrated: None for the scores as they are.
        resampling: how intervals are made.
        method: of the calibration, for the reader.
    """
    labels, scores = cases["label"].to_numpy(np.int64), cases["score"].to_numpy(np.float64)
    suffix, how = ("_calibrated", f", {method}") if method else ("", "")
    if isinstance(calibrated, MammoError):
        nothing = {**plain_number(None, None, None, len(labels), method), "why": calibrated.sentence}
        return {f"brier{suffix}": nothing, f"ece{suffix}": dict(nothing)}
    if not ((scores >= 0) & (scores <= 1)).all():
        return {}
    probabilities = scores if calibrated is None else calibrated(scores)
    patients = cases["patient_id"].to_numpy()
    squares = partial(_mean, (labels - probabilities) ** 2, labels, resampling)
    brier = number_of(partial(squares, patients), len(labels), f"{resampling.words(patients)}{how}")
    with_cases_resampled(brier, partial(squares, None), resampling)
    error = reliability(labels, probabilities).ece
    ece = plain_number(error, None, None, len(labels), f"ten bins of equal width, (a, b]{how}")
    return {f"brier{suffix}": brier, f"ece{suffix}": ece}


def check_threshold_split(name: str) -> None:
    """Raises `threshold_on_test` for the test split, however it is written."""
    if name.strip().casefold() in TEST_SPLITS:
        sentence = "a threshold chosen on the test split makes its sensitivity and specificity too good"
        raise MammoError("threshold_on_test", sentence, "Choose it on validation")


def _mean(
    values: NDArray[np.float64], labels: NDArray[np.int64], resampling: Resampling, groups: NDArray[Any] | None
) -> Interval:
    return _rate(values, np.ones(len(values)), labels, resampling, groups)


def threshold_of(cases: pd.DataFrame, split: str, rule: OperatingRule) -> Number:
    """The operating point of some cases as a number of `metrics.json`; None and why where there is none."""
    how = f"{rule.words}, on {split}"
    try:
        point = operating_point(cases["label"], cases["score"], rule)
    except MammoError as error:
        return {"value": None, "low": None, "high": None, "n": len(cases), "how": how, "why": error.sentence}
    if not np.isfinite(point.threshold):
        why = f"no threshold on {split} is better than calling nothing positive"
        return {"value": None, "low": None, "high": None, "n": len(cases), "how": how, "why": why}
    return {"value": point.threshold, "low": None, "high": None, "n": len(cases), "how": how}


def numbers_at(cases: pd.DataFrame, threshold: Number, resampling: Resampling) -> dict[str, Number]:
    """The numbers of some cases at a fixed threshold.

    Args:
        cases: with `label`, `score`, `patient_id`, as `at_level` gives them.
        threshold: as `threshold_of` gives it; without a value there are no rates.
        resampling: how intervals are made.
    """
    labels, scores = cases["label"].to_numpy(np.int64), cases["score"].to_numpy(np.float64)
    patients = cases["patient_id"].to_numpy()
    how = resampling.words(patients)

    def area(groups: NDArray[Any] | None) -> Interval:
        return auc_interval(
            labels, scores, groups, resampling.replicates, resampling.seed,
            method=resampling.method, strata=resampling.strata(labels, groups),
        )  # fmt: skip

    numbers = {"auc": number_of(partial(area, patients), len(labels), how)}
    with_cases_resampled(numbers["auc"], partial(area, None), resampling)
    try:
        single = delong(labels, scores)
        numbers["auc_delong"] = plain_number(
            single.auc, single.low, single.high, len(labels), "DeLong, cases independent"
        )
    except MammoError as error:
        numbers["auc_delong"] = {**plain_number(None, None, None, len(labels), "DeLong"), "why": error.sentence}
    numbers["threshold"] = dict(threshold)
    if threshold["value"] is None:
        return numbers
    for name, hits, counted in rates_at(labels, scores, float(threshold["value"])):
        rate = partial(_rate, hits, counted, labels, resampling)
        numbers[name] = number_of(partial(rate, patients), len(labels), f"at the fixed threshold; {how}")
        with_cases_resampled(numbers[name], partial(rate, None), resampling)
    return numbers


def _rate(
    hits: NDArray[Any],
    counted: NDArray[Any],
    labels: NDArray[np.int64],
    resampling: Resampling,
    groups: NDArray[Any] | None,
) -> Interval:
    return share_interval(
        hits, counted, groups, resampling.replicates, resampling.seed,
        method=resampling.method, strata=resampling.strata(labels, groups),
    )  # fmt: skip


def rates_at(
    labels: NDArray[np.int64], scores: NDArray[np.float64], threshold: float
) -> tuple[tuple[str, NDArray[np.bool_], NDArray[np.bool_]], ...]:
    """Sensitivity, specificity and accuracy at a threshold: name, which cases are hits, which cases count."""
    called, positives = scores >= threshold, labels == 1
    everyone = np.ones(len(labels), np.bool_)
    return (
        ("sensitivity", called, positives),
        ("specificity", ~called, ~positives),
        ("accuracy", called == positives, everyone),
    )


def number_of(compute: Callable[[], Interval], n: int, how: str) -> Number:
    """An interval as a number of `metrics.json`; None and why where there is none."""
    try:
        found = compute()
    except MammoError as error:
        return {**plain_number(None, None, None, n, how), "why": error.sentence}
    note = f"; {found.discarded} resamples of one class left out" if found.discarded else ""
    return plain_number(found.value, found.low, found.high, n, how + note)


def plain_number(value: float | None, low: float | None, high: float | None, n: int, how: str) -> Number:
    """The parts of a number of `metrics.json`; ends that are not finite are None."""
    ends = [None if end is None or not np.isfinite(end) else float(end) for end in (low, high)]
    return {"value": None if value is None else float(value), "low": ends[0], "high": ends[1], "n": n, "how": how}


def with_cases_resampled(number: Number, compute: Callable[[], Interval], resampling: Resampling) -> None:
    """Puts the interval that resamples cases as if they were patients beside a number, where that is asked for."""
    if resampling.also_cases and number["value"] is not None:
        found = compute()
        ends = plain_number(found.value, found.low, found.high, number["n"], "")
        number["cases_resampled"] = {"low": ends["low"], "high": ends["high"]}

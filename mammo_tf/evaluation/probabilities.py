"""The numbers of `metrics.json` that ask whether scores are probabilities: Brier score, calibration error, slope."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.calibration import Calibration, calibrate, reliability
from mammo_tf.evaluation.intervals import Interval, Resampling, share_interval
from mammo_tf.evaluation.numbers import (
    Number,
    Numbers,
    missing_number,
    number_of,
    plain_number,
    with_cases_resampled,
)
from mammo_tf.evaluation.recalibration import Estimate, in_the_large, recalibration_words, slope_and_intercept

TITLES = {
    "brier": "Brier score",
    "ece": "Calibration error",
    "calibration_slope": "Calibration slope",
    "calibration_intercept": "Calibration intercept",
    "calibration_in_the_large": "Calibration-in-the-large",
}
NAMES = tuple(TITLES)
CALIBRATED = "_calibrated"


def calibrated_on(cases: pd.DataFrame, method: str) -> Calibration | MammoError:
    """A calibration, or why there is none."""
    try:
        return calibrate(cases["label"], cases["score"], method)
    except MammoError as error:
        return error


def probability_numbers(
    cases: pd.DataFrame, calibrated: Calibration | MammoError | None, resampling: Resampling, method: str = ""
) -> Numbers:
    """Brier score, calibration error, slope and intercept of scores as they are, or calibrated.

    Args:
        cases: with `label`, `score`, `patient_id`, as `at_level` gives them.
        calibrated: None for the scores as they are.
        resampling: how intervals are made.
        method: of the calibration, for the reader; the names then end in `_calibrated`.

    Returns:
        Nothing where the scores are not probabilities.
    """
    labels, scores = cases["label"].to_numpy(np.int64), cases["score"].to_numpy(np.float64)
    suffix, how = (CALIBRATED, f", {method}") if method else ("", "")
    if isinstance(calibrated, MammoError):
        return {f"{name}{suffix}": missing_number(len(labels), method, calibrated.sentence) for name in NAMES}
    if not ((scores >= 0) & (scores <= 1)).all():
        return {}
    probabilities = scores if calibrated is None else calibrated(scores)
    patients = cases["patient_id"].to_numpy()
    squares = partial(_mean, (labels - probabilities) ** 2, labels, resampling)
    brier = number_of(partial(squares, patients), len(labels), f"{resampling.words(patients)}{how}")
    with_cases_resampled(brier, partial(squares, None), resampling)
    error = reliability(labels, probabilities).ece
    ece = plain_number(error, None, None, len(labels), f"ten bins of equal width, (a, b]{how}")
    numbers = {"brier": brier, "ece": ece, **_recalibration(labels, probabilities, patients, resampling, how)}
    return {f"{name}{suffix}": numbers[name] for name in NAMES}


def _recalibration(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    patients: NDArray[Any],
    resampling: Resampling,
    how: str,
) -> Numbers:
    words = recalibration_words(probabilities, len(set(patients)))
    beside = resampling.also_cases

    def number(place: int) -> Number:
        what = ("slope and intercept together", "slope and intercept together", "intercept, with the slope held at 1")
        told = f"{what[place]}, {words}{how}"

        def fitted(groups: NDArray[Any] | None) -> Estimate:
            if place == 2:
                return in_the_large(labels, probabilities, groups)
            return slope_and_intercept(labels, probabilities, groups)[place]

        try:
            found = plain_number(*fitted(patients), len(labels), told)
        except MammoError as error:
            return missing_number(len(labels), told, error.sentence)
        if beside:
            ends = plain_number(*fitted(None), len(labels), "")
            found["cases_resampled"] = {"low": ends["low"], "high": ends["high"]}
        return found

    return {name: number(place) for place, name in enumerate(NAMES[2:])}


def _mean(
    values: NDArray[np.float64], labels: NDArray[np.int64], resampling: Resampling, groups: NDArray[Any] | None
) -> Interval:
    return share_interval(
        values, np.ones(len(values)), groups, resampling.replicates, resampling.seed,
        method=resampling.method, strata=resampling.strata(labels, groups),
    )  # fmt: skip

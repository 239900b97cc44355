"""How far probabilities are from true ones, as a line on the logit: slope, intercept, calibration-in-the-large.

Labels are regressed on the logit of the scores. A slope below 1 says that scores are too extreme, above 1 that they are
too tame; calibration-in-the-large below 0 that they are too high on the whole (Steyerberg, Clinical Prediction Models,
2nd edition 2019, chapter 15; Van Calster et al., Calibration: the Achilles heel of predictive analytics, 2019).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.calibration import CLOSEST, logistic_fit, logits, separated
from mammo_tf.evaluation.intervals import group_numbers
from mammo_tf.evaluation.roc import checked


class Estimate(NamedTuple):
    """A value with its interval; the ends are nan where there are fewer than two patients."""

    value: float
    low: float
    high: float


def check_probabilities(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels of both classes and scores in [0, 1].

    Raises:
        MammoError: `one_class`, `score_outside`; as `evaluation.roc.checked`.
    """
    given = np.asarray(labels)
    if len(given) and given.min() == given.max():
        what = "positive" if given.all() else "negative"
        raise MammoError("one_class", f"all {len(given)} cases are {what}, so nothing can be fitted to them")
    truth, values = checked(labels, scores)
    if values.min() < 0 or values.max() > 1:
        raise MammoError("score_outside", "scores lie outside 0 to 1", "Give probabilities")
    return truth, values


def slope_and_intercept(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None, alpha: float = 0.05
) -> tuple[Estimate, Estimate]:
    """Logistic regression of the labels on the logit of the scores: slope and intercept, fitted together.

    Args:
        labels: 0 or 1, `[n]`.
        scores: `[n]` in [0, 1]; 0 and 1 are taken as `CLOSEST` to them, so that they have a logit.
        groups: `[n]`, the patient of each case: the interval is Wald's with the variance of sums over patients (the
            sandwich of Liang and Zeger 1986, times G / (G - 1)); None takes every case for a patient of its own.
        alpha: 1 - coverage.

    Raises:
        MammoError: as `check_probabilities`; `calibration_undefined` where all scores are equal or a threshold
            separates the classes, so that no finite slope fits best.
    """
    truth, values = check_probabilities(labels, scores)
    if values.min() == values.max():
        raise MammoError("calibration_undefined", "all scores are equal, so there is no slope")
    if separated(truth, values):
        raise MammoError("calibration_undefined", "the scores separate the classes, so no finite slope fits best")
    x = logits(values)
    slope, intercept = logistic_fit(x, truth.astype(np.float64))
    fitted = expit(slope * x + intercept)
    inputs = np.stack([x, np.ones_like(x)], axis=1)
    curvature = inputs.T @ (inputs * (fitted * (1 - fitted))[:, None])
    errors = _standard_errors(inputs * (truth - fitted)[:, None], curvature, groups)
    return _wald(slope, errors[0], alpha), _wald(intercept, errors[1], alpha)


def in_the_large(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None, alpha: float = 0.05
) -> Estimate:
    """Calibration-in-the-large: the intercept that fits best with the slope held at 1; arguments as above.

    Raises:
        MammoError: as `check_probabilities`.
    """
    from scipy.optimize import brentq  # takes a tenth of a second to load

    truth, values = check_probabilities(labels, scores)
    x = logits(values)
    reach = float(np.abs(x).max()) + abs(float(np.log(truth.mean() / (1 - truth.mean())))) + 1.0

    def residual(shift: float) -> float:
        return float((expit(x + shift) - truth).sum())

    shift = float(brentq(residual, -reach, reach, xtol=1e-12))
    fitted = expit(x + shift)
    curvature = np.array([[float((fitted * (1 - fitted)).sum())]])
    (error,) = _standard_errors((truth - fitted)[:, None], curvature, groups)
    return _wald(shift, error, alpha)


def recalibration_words(scores: NDArray[np.float64], patients: int) -> str:
    """For the reader of these numbers: what was fitted, and what happened to scores without a logit."""
    ends = int(((scores <= CLOSEST) | (scores >= 1 - CLOSEST)).sum())
    clipped = f"; {ends} scores of 0 or 1 taken as {CLOSEST:g} from them" if ends else ""
    return f"labels on the logit of the score; Wald's interval, variance over {patients} patients{clipped}"


def _standard_errors(
    gradients: NDArray[np.float64], curvature: NDArray[np.float64], groups: ArrayLike | None
) -> NDArray[np.float64]:
    """Robust to a patient's cases going together: `[parameters]`, of the gradients of the cases, `[n, parameters]`."""
    numbers = group_numbers(groups, len(gradients))
    count = int(numbers.max()) + 1
    if count < 2:
        return np.full(gradients.shape[1], np.nan)
    sums = np.stack([np.bincount(numbers, weights=column, minlength=count) for column in gradients.T], axis=1)
    inverse = np.linalg.inv(curvature)
    variance = inverse @ (sums.T @ sums) @ inverse * count / (count - 1)
    return np.asarray(np.sqrt(np.maximum(np.diag(variance), 0.0)), np.float64)


def _wald(value: float, error: float, alpha: float) -> Estimate:
    half = float(ndtri(1 - alpha / 2)) * float(error)
    return Estimate(value, value - half, value + half)

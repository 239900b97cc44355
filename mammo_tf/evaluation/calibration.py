"""Scores to probabilities, and how far they are from being that. Answers in `tests/golden/statistics`, calibration.

A calibration is fitted on validation, never on the cases it is judged by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.roc import checked

METHODS = ("platt", "isotonic", "temperature")
ROUNDING = 1e-12  # of a sum, as a share of it
CLOSEST = 1e-12  # to 0 and 1 that a probability is taken to a logit


@dataclass(frozen=True)
class Calibration:
    """A monotone map of scores in [0, 1] to probabilities; data, no code.

    Attributes:
        method: "platt", "isotonic", "temperature".
        slope, intercept: of the logit, for "platt" and "temperature" (intercept 0).
        knots, values: of the straight lines, for "isotonic".
    """

    method: str
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of scores in [0, 1], float64 of the same shape."""
        given = np.asarray(scores, np.float64)
        if self.method == "isotonic":
            return np.interp(given, self.knots, self.values)
        return np.asarray(expit(self.slope * logits(given) + self.intercept), np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which `from_json` makes the same calibration."""
        if self.method == "isotonic":
            return {"method": self.method, "knots": list(self.knots), "values": list(self.values)}
        return {"method": self.method, "slope": self.slope, "intercept": self.intercept}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Calibration:
        """The inverse of `to_json`; `calibration_wrong` for anything else."""
        try:
            known: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()
            }
            found = cls(**known)
        except TypeError as error:
            raise MammoError("calibration_wrong", f"a stored calibration cannot be read: {error}") from error
        if found.method not in METHODS:
            raise MammoError("calibration_wrong", f"calibration {found.method!r} is unknown")
        return found


def calibrate(labels: ArrayLike, scores: ArrayLike, method: str = "platt", smoothed: bool = True) -> Calibration:
    """Fits a calibration.

    Args:
        labels: 0 or 1, `[n]`.
        scores: `[n]` in [0, 1].
        method: "platt" (slope and intercept of the logit), "temperature" (slope alone), "isotonic" (rising steps with
            straight lines between, cut off outside).
        smoothed: Platt's targets (n1 + 1)/(n1 + 2) and 1/(n0 + 2) instead of 1 and 0; for "platt" only.

    Raises:
        MammoError: as `evaluation.roc.checked`; `score_outside`, `method_unknown`, `calibration_undefined` where the
            classes are separated wholly and no finite slope fits best.
    """
    check_method(method)
    truth, values = checked(labels, scores)
    if values.min() < 0 or values.max() > 1:
        raise MammoError("score_outside", "scores to calibrate lie outside 0 to 1", "Give probabilities")
    if method == "platt":
        positives = int(truth.sum())
        negatives = len(truth) - positives
        high, low = ((positives + 1) / (positives + 2), 1 / (negatives + 2)) if smoothed else (1.0, 0.0)
        if not smoothed and separated(truth, values):
            raise _undefined()
        slope, intercept = logistic_fit(logits(values), np.where(truth == 1, high, low))
        return Calibration("platt", slope, intercept)
    if method == "temperature":
        return Calibration("temperature", _inverse_temperature(logits(values), truth))
    return _isotonic(values, truth)


def check_method(method: str) -> None:
    """Raises `method_unknown` for a calibration that is none."""
    if method not in METHODS:
        raise MammoError("method_unknown", f"calibration {method!r} is unknown", f"Known are {', '.join(METHODS)}")


def logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(p / (1 - p)), 0 and 1 taken as `CLOSEST` to them."""
    return np.asarray(logit(np.clip(probabilities, CLOSEST, 1 - CLOSEST)), np.float64)


def logistic_fit(x: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of least cross entropy, to a gradient below 1e-9, with halved steps where one overshoots.

    Args:
        x: float64 `[n]`.
        target: float64 `[n]` in [0, 1].

    Raises:
        MammoError: `calibration_undefined` where no finite slope fits best.
    """
    inputs = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.array([0.0, float(logit(target.mean()))])

    def loss(some: NDArray[np.float64]) -> float:
        z = inputs @ some
        return float((np.logaddexp(0, z) - target * z).sum())

    for _ in range(200):
        p = expit(inputs @ weights)
        gradient = inputs.T @ (p - target)
        if np.abs(gradient).max() < 1e-9:
            return float(weights[0]), float(weights[1])
        curvature = inputs.T @ (inputs * (p * (1 - p))[:, None])
        try:
            step = np.linalg.solve(curvature, gradient)
        except np.linalg.LinAlgError:
            break
        size = 1.0
        highest = loss(weights) + ROUNDING * (
            1 + abs(loss(weights))
        )  # near the optimum it falls by less than it rounds
        while loss(weights - size * step) > highest and size > 1e-10:
            size /= 2
        weights = weights - size * step
    raise _undefined()


def separated(truth: NDArray[np.int64], values: NDArray[np.float64]) -> bool:
    """Whether one threshold parts the classes, in either direction, scores on it aside."""
    positive, negative = values[truth == 1], values[truth == 0]
    return bool(negative.max() <= positive.min() or positive.max() <= negative.min())


def _inverse_temperature(x: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    def slope_of_loss(beta: float) -> float:
        return float((x * (expit(beta * x) - truth)).sum())

    if not x.any():
        raise MammoError(
            "calibration_undefined",
            "all scores are 0.5, so every temperature fits",
            "Calibrate with platt, and ask why",
        )
    if (x * (2 * truth - 1) >= 0).all():
        raise _undefined()
    high = 1.0
    while slope_of_loss(high) < 0:
        high *= 2
    if slope_of_loss(0.0) >= 0:
        raise MammoError(
            "calibration_undefined",
            "no positive temperature fits: the scores rank backwards, or too many lie on the wrong side of 0.5",
            "Calibrate with platt, which shifts them too",
        )
    from scipy.optimize import brentq  # takes a tenth of a second to load

    return float(brentq(slope_of_loss, 0.0, high, xtol=1e-14, rtol=1e-14))


def _undefined() -> MammoError:
    return MammoError(
        "calibration_undefined",
        "the scores separate the classes (almost) wholly, so no finite slope fits best",
        "Calibrate with isotonic, or with smoothed targets",
    )


def _isotonic(values: NDArray[np.float64], truth: NDArray[np.int64]) -> Calibration:
    """Pooled adjacent violators, equal scores averaged first; knots are the ends of each pool."""
    scores, inverse, weights = np.unique(values, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=truth) / weights
    pools: list[list[float]] = []  # mean, weight, first, last
    for number, (mean, weight) in enumerate(zip(means, weights.astype(float), strict=True)):
        pools.append([mean, weight, number, number])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            after, before = pools.pop(), pools.pop()
            total = before[1] + after[1]
            pools.append([(before[0] * before[1] + after[0] * after[1]) / total, total, before[2], after[3]])
    knots, levels = [], []
    for mean, _, first, last in pools:
        for place in sorted({int(first), int(last)}):
            knots.append(float(scores[place]))
            levels.append(float(mean))
    return Calibration("isotonic", knots=tuple(knots), values=tuple(levels))


def prevalence_corrected(probabilities: ArrayLike, trained: float, target: float) -> NDArray[np.float64]:
    """Probabilities for a place with another share of positives: the logit shifted by the odds of the two.

    Args:
        probabilities: in [0, 1], calibrated where the share of positives is `trained`.
        trained, target: prevalences, between 0 and 1.

    Raises:
        MammoError: `prevalence_wrong`.
    """
    if not (0 < trained < 1 and 0 < target < 1):
        raise MammoError("prevalence_wrong", f"prevalences {trained} and {target} do not lie between 0 and 1")
    p = np.asarray(probabilities, np.float64)
    positive, negative = p * target / trained, (1 - p) * (1 - target) / (1 - trained)
    return np.asarray(positive / (positive + negative), np.float64)


class Reliability(NamedTuple):
    """Predicted against observed, bin by bin, empty bins left out.

    Attributes:
        bins: int64 `[n]`, numbers of the bins.
        counts: int64 `[n]`, cases.
        predicted, observed: float64 `[n]`, mean probability and share of positives.
        ece, mce: expected (weighted mean) and maximum of the absolute differences.
    """

    bins: NDArray[np.int64]
    counts: NDArray[np.int64]
    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    ece: float
    mce: float


def reliability(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10, how: str = "right_closed") -> Reliability:
    """The reliability diagram and its calibration errors.

    Args:
        labels: 0 or 1, `[n]`; one class is enough.
        probabilities: `[n]` in [0, 1].
        bins: how many.
        how: "right_closed" (equal widths, `(a, b]`, the first with 0), "left_closed" (`[a, b)`, the last with 1), or
            "equal_mass" (sorted, cut into parts of equal numbers).

    Raises:
        MammoError: `lengths_differ`, `label_wrong`, `score_outside`, `method_unknown`.
    """
    truth, p = _probable(labels, probabilities)
    edges = np.linspace(0, 1, bins + 1)
    if how == "equal_mass":
        place = np.empty(len(p), np.int64)
        for number, part in enumerate(np.array_split(np.argsort(p, kind="stable"), bins)):
            place[part] = number
    elif how in ("right_closed", "left_closed"):
        above = np.searchsorted(edges, p, side="left" if how == "right_closed" else "right")
        place = np.clip(above - 1, 0, bins - 1)
    else:
        known = "Known are right_closed, left_closed, equal_mass"
        raise MammoError("method_unknown", f"bins {how!r} are unknown", known)
    used, inverse, counts = np.unique(place, return_inverse=True, return_counts=True)
    predicted = np.bincount(inverse, weights=p) / counts
    observed = np.bincount(inverse, weights=truth) / counts
    apart = np.abs(observed - predicted)
    return Reliability(used, counts, predicted, observed, float(counts @ apart / len(p)), float(apart.max()))


def brier_score(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean of (label - probability) squared; errors as `reliability`."""
    truth, p = _probable(labels, probabilities)
    return float(((truth - p) ** 2).mean())


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean negative natural logarithm of the true class's probability; infinite for a certain error."""
    truth, p = _probable(labels, probabilities)
    with np.errstate(divide="ignore"):
        return float(-np.log(np.where(truth == 1, p, 1 - p)).mean())


def brier_skill(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """1 - Brier score over that of always saying the prevalence; nan for one class."""
    truth, _ = _probable(labels, probabilities)
    share = truth.mean()
    nothing = share * (1 - share)
    return float(1 - brier_score(labels, probabilities) / nothing) if nothing else float("nan")


def _probable(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    truth, p = np.asarray(labels), np.asarray(probabilities, np.float64)
    if truth.shape != p.shape or truth.ndim != 1 or not len(truth):
        raise MammoError("lengths_differ", f"{truth.shape} labels and {p.shape} probabilities do not belong together")
    if not np.isin(truth, (0, 1)).all():
        raise MammoError("label_wrong", "a label is neither 0 nor 1")
    if not ((p >= 0) & (p <= 1)).all():
        raise MammoError("score_outside", "probabilities lie outside 0 to 1", "Calibrate the scores first")
    return truth.astype(np.int64), p

"""ROC: AUC, DeLong's variance and paired test, thresholds. Answers in `tests/golden/statistics`.

A call is positive where score >= threshold. Labels are 0 and 1; scores are finite numbers of any scale.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from mammo_tf.errors import MammoError

NO_VARIANCE = 1e-20  # of an area: what is below is rounding


class Curve(NamedTuple):
    """Every point of the ROC curve, thresholds falling from infinity; collinear points are kept.

    Attributes:
        thresholds: float64 `[n]`, the first is infinity.
        true_positives, false_positives: int64 `[n]`, counts at score >= threshold.
        positives, negatives: numbers of cases.
    """

    thresholds: NDArray[np.float64]
    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    positives: int
    negatives: int

    @property
    def sensitivity(self) -> NDArray[np.float64]:
        """Share of positives called positive, at each threshold."""
        return self.true_positives / self.positives

    @property
    def specificity(self) -> NDArray[np.float64]:
        """Share of negatives called negative, at each threshold."""
        return (self.negatives - self.false_positives) / self.negatives


class DeLong(NamedTuple):
    """AUC with DeLong's variance and interval."""

    auc: float
    variance: float
    low: float
    high: float


class DeLongPaired(NamedTuple):
    """Difference of two correlated AUCs, first minus second; z and p are None where the variance is 0."""

    auc_a: float
    auc_b: float
    difference: float
    variance: float
    low: float
    high: float
    z: float | None
    p: float | None


class Threshold(NamedTuple):
    """An operating point."""

    threshold: float
    sensitivity: float
    specificity: float


def checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and scores as int64 and float64 `[n]`.

    Raises:
        MammoError: `lengths_differ`, `label_wrong` for a label that is not 0 or 1, `score_not_finite`, `one_class`.
    """
    truth, values = np.asarray(labels), np.asarray(scores, np.float64)
    if truth.shape != values.shape or truth.ndim != 1:
        raise MammoError("lengths_differ", f"{truth.shape} labels and {values.shape} scores do not belong together")
    if not np.isin(truth, (0, 1)).all():
        raise MammoError("label_wrong", "a label is neither 0 nor 1")
    if not np.isfinite(values).all():
        raise MammoError("score_not_finite", f"{int((~np.isfinite(values)).sum())} scores are not finite numbers")
    if not 0 < truth.sum() < len(truth):
        only = "positive" if len(truth) and truth.all() else "negative"
        what = f"all {len(truth)} cases are {only}" if len(truth) else "there are no cases"
        raise MammoError("one_class", f"{what}, so there is no AUC and no threshold", "Give cases of both classes")
    return truth.astype(np.int64), values


def average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1 on, equal numbers at the middle of theirs: float64 `[n]`.

    Args:
        values: finite numbers, `[n]`, one or more.
    """
    order = np.argsort(values, kind="stable")
    rising = values[order]
    first = np.flatnonzero(np.append(True, rising[1:] != rising[:-1]))  # of each run of equal numbers
    behind = np.append(first[1:], len(rising))
    ranks = np.empty(len(rising), np.float64)
    ranks[order] = np.repeat((first + 1 + behind) / 2, behind - first)
    return ranks


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the share of pairs (positive, negative) in the right order, ties counting one half.

    Raises:
        MammoError: as `checked`.
    """
    truth, values = checked(labels, scores)
    ranks = average_ranks(values)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    return float((ranks[truth == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def curve(labels: ArrayLike, scores: ArrayLike) -> Curve:
    """All points of the ROC curve; errors as `checked`."""
    truth, values = checked(labels, scores)
    order = np.argsort(-values, kind="stable")
    truth, values = truth[order], values[order]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    true_positives = np.concatenate([[0], np.cumsum(truth)[last]])
    false_positives = np.concatenate([[0], last + 1]) - true_positives
    thresholds = np.concatenate([[np.inf], values[last]])
    return Curve(thresholds, true_positives, false_positives, int(truth.sum()), int(len(truth) - truth.sum()))


def _components(truth: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """DeLong's V10 of the positives and V01 of the negatives, from mid-ranks (Sun and Xu 2014)."""
    positives, negatives = values[truth == 1], values[truth == 0]
    together = average_ranks(np.concatenate([positives, negatives]))
    v10 = (together[: len(positives)] - average_ranks(positives)) / len(negatives)
    v01 = 1.0 - (together[len(positives) :] - average_ranks(negatives)) / len(positives)
    return v10, v01


def placements(labels: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """For each case the share of the other class that is in the right order with it, ties one half: float64 `[n]`.

    DeLong's V10 at the positives, V01 at the negatives; the mean over either is the AUC. Errors as `checked`.
    """
    truth, values = checked(labels, scores)
    found = np.empty(len(truth))
    found[truth == 1], found[truth == 0] = _components(truth, values)
    return found


def _variance(v10: NDArray[np.float64], v01: NDArray[np.float64]) -> float:
    """Of the mean of V10; nan where a class has one case only."""
    if min(len(v10), len(v01)) < 2:
        return float("nan")
    return float(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01))


def delong(labels: ArrayLike, scores: ArrayLike, alpha: float = 0.05, logit: bool = False) -> DeLong:
    """AUC with DeLong's interval, cut off at 0 and 1.

    Args:
        labels, scores: `[n]`.
        alpha: 1 - coverage.
        logit: the interval on log(A / (1 - A)) instead, never outside 0 and 1.

    Returns:
        At AUC 0 and 1 the variance is 0 and the interval a point; with one case of a class both are nan.

    Raises:
        MammoError: as `checked`.
    """
    truth, values = checked(labels, scores)
    area = auc(truth, values)
    variance = _variance(*_components(truth, values))
    half = float(ndtri(1 - alpha / 2)) * variance**0.5
    if logit and 0 < area < 1:
        centre, half = np.log(area / (1 - area)), half / (area * (1 - area))
        low, high = 1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))
    else:
        low, high = np.clip([area - half, area + half], 0.0, 1.0)
    return DeLong(area, variance, float(low), float(high))


def delong_paired(labels: ArrayLike, a: ArrayLike, b: ArrayLike, alpha: float = 0.05) -> DeLongPaired:
    """Two scores of the same cases compared: difference of AUC (a minus b), its interval, z and two-sided p.

    Raises:
        MammoError: as `checked`.
    """
    truth, first = checked(labels, a)
    _, second = checked(labels, b)
    a10, a01 = _components(truth, first)
    b10, b01 = _components(truth, second)
    variance = _variance(a10 - b10, a01 - b01)
    area_a, area_b = auc(truth, first), auc(truth, second)
    difference = area_a - area_b
    half = float(ndtri(1 - alpha / 2)) * variance**0.5
    z = difference / variance**0.5 if variance > NO_VARIANCE else None
    p = None if z is None else float(2 * ndtr(-abs(z)))
    return DeLongPaired(area_a, area_b, difference, variance, difference - half, difference + half, z, p)


def g_mean_threshold(labels: ArrayLike, scores: ArrayLike) -> Threshold:
    """The threshold with the largest sqrt(sensitivity x specificity), compared exactly; among equals the highest.

    Collinear points of the curve are candidates too: leaving them out misses the best (`golden/statistics`).

    Raises:
        MammoError: as `checked`.
    """
    points = curve(labels, scores)
    products = points.true_positives * (points.negatives - points.false_positives)
    best = int(np.argmax(products))
    return Threshold(float(points.thresholds[best]), float(points.sensitivity[best]), float(points.specificity[best]))

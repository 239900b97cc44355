"""ROC bands, intervals of the AUC and of points of the curve over resampled patients: cases are sorted once.

The resamples are those of `intervals.bootstrap` with the same seed, so an interval made here equals the one made there;
only the work differs: cases are sorted once and a resample is a weight for each case.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.intervals import METHODS, Interval, bca_levels, group_numbers, resamples
from mammo_tf.evaluation.roc import auc, checked, placements

ROUNDING = 1e-12  # a rate that is met but for the last bit counts as met: the curve's upper end is taken there
WEIGHTS_AT_ONCE = 2_000_000  # 16 MB of float64 for each of the arrays made on the way


class Band(NamedTuple):
    """Sensitivity at a grid of false positive rates, with pointwise intervals.

    Attributes:
        rates: float64 `[n]`, false positive rates in [0, 1].
        sensitivity: float64 `[n]`, of the sample; between two points of the curve by the straight line.
        low, high: float64 `[n]`, quantiles over resamples of patients at each rate; nan where there are none.
    """

    rates: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def roc_band(
    labels: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike | None = None,
    rates: ArrayLike | None = None,
    replicates: int = 1000,
    seed: int = 0,
    alpha: float = 0.05,
) -> Band:
    """Sensitivity at fixed false positive rates (vertical averaging), resampled over patients.

    Args:
        labels: 0 or 1, `[n]`.
        scores: `[n]`, higher is more suspicious.
        groups: `[n]`, the patient of each case; None takes every case for a patient of its own.
        rates: false positive rates, 101 from 0 to 1 by default.
        replicates, seed: of the resampling; resamples of one class are left out.
        alpha: 1 - coverage, at each rate by itself: the band as a whole covers less.

    Raises:
        MammoError: as `evaluation.roc.checked`.
    """
    truth, values = checked(labels, scores)
    grid = np.linspace(0, 1, 101) if rates is None else np.asarray(rates, np.float64)
    inside = grid + ROUNDING
    whole = next(_curves(truth, values, np.ones((1, len(truth)))))
    sensitivity = np.interp(inside, *whole)
    drawn = [
        np.interp(inside, false_rates, true_rates)
        for weights in _weights(groups, len(truth), replicates, seed)
        for false_rates, true_rates in _curves(truth, values, weights)
    ]
    if len(drawn) < 2:
        nothing = np.full(len(grid), np.nan)
        return Band(grid, sensitivity, nothing, nothing.copy())
    low, high = np.quantile(np.array(drawn), [alpha / 2, 1 - alpha / 2], axis=0)
    return Band(grid, sensitivity, low, high)


def auc_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    seed: int = 0,
    alpha: float = 0.05,
    method: str = "percentile",
    strata: ArrayLike | None = None,
) -> Interval:
    """What `bootstrap(auc, labels, scores, groups, ...)` gives, in a fraction of its time; arguments as there.

    Raises:
        MammoError: as `evaluation.roc.checked`; `method_unknown`, `strata_split`.
    """
    return curve_intervals(labels, scores, groups, (), replicates, seed, alpha, method, strata)[0]


def curve_intervals(
    labels: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike | None = None,
    specificities: Sequence[float] = (),
    replicates: int = 2000,
    seed: int = 0,
    alpha: float = 0.05,
    method: str = "percentile",
    strata: ArrayLike | None = None,
) -> tuple[Interval, ...]:
    """The interval of the AUC, then of the sensitivity at each specificity, all of one resampling.

    The sensitivity is the largest among the thresholds whose specificity is the wanted one or more: a point of the
    curve, nothing between its points. Cases that tie are called together, so a tie that would cost too much specificity
    is left uncalled, its positives with it. In every resample the point is sought again.

    Args:
        labels, scores, groups, replicates, seed, alpha, method, strata: as for `bootstrap`.
        specificities: in (0, 1].

    Raises:
        MammoError: as `evaluation.roc.checked`; `method_unknown`, `strata_split`.
    """
    if method not in METHODS:
        raise MammoError("method_unknown", f"bootstrap method {method!r} is unknown", f"Known are {', '.join(METHODS)}")
    truth, values = checked(labels, scores)
    numbers = group_numbers(groups, len(truth))
    weighted = _Weighted(truth, values, numbers, specificities)
    count = int(numbers.max()) + 1
    draws = (np.bincount(draw, minlength=count) for draw in resamples(numbers, replicates, seed, strata))
    found = [row for weights in draws if (row := weighted.numbers(weights)) is not None]
    usable = np.array(found, np.float64).reshape(-1, 1 + len(specificities))
    whole = [auc(truth, values), *(weighted.numbers(np.ones(count, np.int64)) or [])[1:]]
    levels = np.array([alpha / 2, 1 - alpha / 2])
    left_out = _leave_one_out(weighted, count) if method == "bca" and specificities else usable[:0]
    intervals = []
    for place, value in enumerate(whole):
        taken, low, high = levels, np.nan, np.nan
        if method == "bca" and len(usable) > 1:
            jackknife = left_out[:, place] if place else jackknife_auc(truth, values, groups)
            taken = bca_levels(value, usable[:, place], jackknife, levels)
        if len(usable) > 1 and np.isfinite(taken).all():
            low, high = np.quantile(usable[:, place], taken)
        intervals.append(Interval(value, float(low), float(high), usable[:, place], replicates - len(usable)))
    return tuple(intervals)


def _leave_one_out(weighted: _Weighted, count: int) -> NDArray[np.float64]:
    rows = []
    for patient in range(count):
        weights = np.ones(count, np.int64)
        weights[patient] = 0
        rows.append(weighted.numbers(weights))
    return np.array([row for row in rows if row is not None], np.float64).reshape(-1, 1 + len(weighted.specificities))


class _Weighted:
    """AUC and sensitivities of any weighting of the patients.

    Scores are sorted once: how many negatives lie below a positive is then a running sum of the negatives' weights. All
    counts are integers, so the AUC is that of `auc` to the last bit but one.
    """

    def __init__(
        self,
        truth: NDArray[np.int64],
        values: NDArray[np.float64],
        numbers: NDArray[np.intp],
        specificities: Sequence[float],
    ) -> None:
        negatives, positives = values[truth == 0], values[truth == 1]
        self.negatives = numbers[truth == 0][np.argsort(negatives, kind="stable")]
        self.positives = numbers[truth == 1][np.argsort(positives, kind="stable")]
        negatives, positives = np.sort(negatives), np.sort(positives)
        self.below = np.searchsorted(negatives, positives, side="left")
        self.not_above = np.searchsorted(negatives, positives, side="right")
        self.first_above = np.concatenate([[0], np.searchsorted(positives, negatives, side="right")])
        self.running = np.zeros(len(negatives) + 1, np.int64)
        self.specificities = specificities

    def numbers(self, weights: NDArray[np.int64]) -> list[float] | None:
        """AUC, then the sensitivities, where patient i counts `weights[i]` times; None where a class is missing."""
        running = self.running
        np.cumsum(weights[self.negatives], out=running[1:])
        weight = weights[self.positives]
        positives, negatives = int(weight.sum()), int(running[-1])
        if not positives * negatives:
            return None
        area = float(weight @ (running[self.below] + running[self.not_above])) / (2 * positives * negatives)
        found = [area]
        for specificity in self.specificities:
            fewest = math.ceil((specificity - ROUNDING) * negatives)  # whole, or the search would turn all into floats
            spared = running.searchsorted(fewest)
            found.append(int(weight[self.first_above[spared] :].sum()) / positives)
        return found


def jackknife_auc(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None) -> NDArray[np.float64]:
    """AUC without each patient in turn, float64, patients of whom one class alone would be left are left out.

    Ranks are taken once: leaving a patient out takes the pairs away in which her cases are.

    Args:
        labels, scores, groups: `[n]`, as for `auc_interval`.
    """
    truth, values = checked(labels, scores)
    numbers = group_numbers(groups, len(truth))
    count = int(numbers.max()) + 1
    positive = truth == 1
    share = placements(truth, values)  # of the other class, in the right order with each case
    positives = np.bincount(numbers[positive], minlength=count)
    negatives = np.bincount(numbers[~positive], minlength=count)
    total_positives, total_negatives = int(positives.sum()), int(negatives.sum())
    pairs = np.where(positive, share * total_negatives, share * total_positives)
    lost = np.bincount(numbers, weights=pairs, minlength=count)
    for number in np.flatnonzero((positives > 0) & (negatives > 0)):
        mine = numbers == number
        above = values[mine & positive][:, None] - values[mine & ~positive][None]
        lost[number] -= (above > 0).sum() + 0.5 * (above == 0).sum()
    left = (total_positives - positives) * (total_negatives - negatives)
    whole = pairs[positive].sum()
    return np.asarray((whole - lost)[left > 0] / left[left > 0], np.float64)


def _weights(groups: ArrayLike | None, cases: int, replicates: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each case is in each resample, `[resamples, cases]`, some resamples at a time."""
    numbers = group_numbers(groups, cases)
    count = int(numbers.max()) + 1
    at_once = max(1, WEIGHTS_AT_ONCE // max(cases, 1))
    every = resamples(numbers, replicates, seed)
    while draws := list(islice(every, at_once)):
        yield np.array([np.bincount(draw, minlength=count)[numbers] for draw in draws], np.float64)


def _curves(
    truth: NDArray[np.int64], values: NDArray[np.float64], weights: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """False positive rates and sensitivities, rising from 0 to 1, of every weighting that has both classes."""
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    ordered, positive = weights[:, order], truth[order] == 1
    true_positives = np.cumsum(ordered * positive, axis=1)[:, last]
    false_positives = np.cumsum(ordered * ~positive, axis=1)[:, last]
    for hits, alarms in zip(true_positives, false_positives, strict=True):
        if hits[-1] > 0 and alarms[-1] > 0:
            yield np.concatenate([[0.0], alarms / alarms[-1]]), np.concatenate([[0.0], hits / hits[-1]])

"""Bootstrap over patients: percentile and BCa intervals of any statistic of labels and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from mammo_tf.errors import MammoError

Statistic = Callable[[NDArray[np.int64], NDArray[np.float64]], float]
METHODS = ("percentile", "bca")
ROUNDING = 1e-12  # numbers no further apart are the same
MOST_REPLICATES = 10_000_000  # more come to no end
CHUNK = 64  # resamples that are held at once


class Interval(NamedTuple):
    """A value with its interval.

    Attributes:
        value: of the sample itself.
        low, high: ends of the interval; nan where fewer than two resamples could be used.
        replicates: float64, the statistic of every resample that could be used, in order.
        discarded: resamples on which the statistic does not exist (one class only).
    """

    value: float
    low: float
    high: float
    replicates: NDArray[np.float64]
    discarded: int


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise MammoError("method_unknown", f"bootstrap method {method!r} is unknown", f"Known are {', '.join(METHODS)}")


@dataclass(frozen=True)
class Resampling:
    """How intervals are made, of 95 %.

    Attributes:
        replicates, seed: of the bootstrap over patients.
        method: "percentile" or "bca".
        stratified: positive and negative patients keep their numbers, where a class is rare.
        also_cases: the interval that resamples images next to each, as the thesis did, for comparison.
        units: what is resampled, for the reader: patients, unless nobody says who they are.

    Raises:
        MammoError: `method_unknown`, `replicates_wrong`.
    """

    replicates: int = 2000
    seed: int = 0
    method: str = "percentile"
    stratified: bool = False
    also_cases: bool = False
    units: str = "patients"

    def __post_init__(self) -> None:
        _check_method(self.method)
        if not 1 <= self.replicates <= MOST_REPLICATES:
            remedy = f"Take 1000 or more, up to {MOST_REPLICATES}"
            raise MammoError("replicates_wrong", f"{self.replicates} resamples make no interval", remedy)

    def words(self, patients: NDArray[Any]) -> str:
        """For the reader of a number."""
        within = " within each class" if self.stratified else ""
        return f"bootstrap over {len(set(patients))} {self.units}{within}, {self.replicates} resamples, {self.method}"

    def strata(self, labels: NDArray[np.int64], groups: NDArray[Any] | None) -> NDArray[np.int64] | None:
        """Whether the patient of each case has a positive case, where that is asked for."""
        if not self.stratified:
            return None
        numbers = group_numbers(groups, len(labels))
        return (np.bincount(numbers, weights=labels)[numbers] > 0).astype(np.int64)


OVER_PATIENTS = Resampling()


def bootstrap(
    statistic: Statistic,
    labels: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    method: str = "percentile",
    seed: int = 0,
    alpha: float = 0.05,
    strata: ArrayLike | None = None,
) -> Interval:
    """Resamples patients with replacement, all their cases with them, and recomputes the statistic.

    Args:
        statistic: of labels int64 `[n]` and scores float64 `[n]` or `[n, k]`; raises MammoError or gives nan where it
            does not exist.
        labels: `[n]`.
        scores: `[n]`, or `[n, k]` for a statistic of k scores of the same cases (a paired difference).
        groups: `[n]`, the patient of each case; None takes every case for a patient of its own.
        replicates: how many resamples.
        method: "percentile" (quantiles by linear interpolation) or "bca" (bias-corrected, accelerated; the jackknife
            leaves one patient out).
        seed: of the resampling.
        alpha: 1 - coverage.
        strata: `[n]`, the same for all cases of a patient; each stratum keeps its number of patients (give the
            patients' labels where a class is rare, else many resamples have one class only). None: one stratum.

    Raises:
        MammoError: `method_unknown`, `lengths_differ`, `strata_split`; what the statistic says of the sample itself.
    """
    _check_method(method)
    truth, values = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    if len(truth) != len(values):
        raise MammoError("lengths_differ", f"{len(truth)} labels and {len(values)} scores do not belong together")
    value = statistic(truth, values)
    numbers = group_numbers(groups, len(truth))
    members = [np.flatnonzero(numbers == number) for number in range(int(numbers.max()) + 1)]
    found = []
    for draw in resamples(numbers, replicates, seed, strata):
        chosen = np.concatenate([members[group] for group in draw])
        found.append(_value(statistic, truth[chosen], values[chosen]))
    drawn = np.array(found, np.float64)
    usable = drawn[np.isfinite(drawn)]
    if len(usable) < 2:
        return Interval(value, float("nan"), float("nan"), usable, len(drawn) - len(usable))
    levels = np.array([alpha / 2, 1 - alpha / 2])
    if method == "bca":
        left_out = [np.delete(np.arange(len(truth)), member) for member in members]
        jackknife = np.array([_value(statistic, truth[rest], values[rest]) for rest in left_out])
        levels = bca_levels(value, usable, jackknife[np.isfinite(jackknife)], levels)
    low, high = np.quantile(usable, levels) if np.isfinite(levels).all() else (np.nan, np.nan)
    return Interval(value, float(low), float(high), usable, len(drawn) - len(usable))


def share_interval(
    hits: ArrayLike,
    cases: ArrayLike,
    groups: ArrayLike | None = None,
    replicates: int = 2000,
    seed: int = 0,
    alpha: float = 0.05,
    method: str = "percentile",
    strata: ArrayLike | None = None,
) -> Interval:
    """The interval of a share, sum of `hits` over sum of `cases`; equals `bootstrap` of it, but for speed.

    Args:
        hits, cases: `[n]`, 0 or 1; a hit is a case (called positive, and positive, for sensitivity).
        groups, replicates, seed, alpha, method, strata: as for `bootstrap`.

    Raises:
        MammoError: `no_cases` where there is no case; `method_unknown`.
    """
    _check_method(method)
    right, counted = np.asarray(hits, np.float64), np.asarray(cases, np.float64)
    if not counted.sum():
        raise MammoError("no_cases", "there is no case of this class")
    numbers = group_numbers(groups, len(right))
    sums = np.stack([np.bincount(numbers, weights=values) for values in (right * counted, counted)])
    drawn = np.array([sums[:, draw].sum(axis=1) for draw in resamples(numbers, replicates, seed, strata)]).reshape(
        -1, 2
    )
    usable = drawn[drawn[:, 1] > 0]
    shares = usable[:, 0] / usable[:, 1]
    value = float((right * counted).sum() / counted.sum())
    if len(shares) < 2:
        return Interval(value, float("nan"), float("nan"), shares, replicates - len(shares))
    levels = np.array([alpha / 2, 1 - alpha / 2])
    if method == "bca":
        left = sums.sum(axis=1)[:, None] - sums
        levels = bca_levels(value, shares, left[0, left[1] > 0] / left[1, left[1] > 0], levels)
    low, high = np.quantile(shares, levels) if np.isfinite(levels).all() else (np.nan, np.nan)
    return Interval(value, float(low), float(high), shares, replicates - len(shares))


def group_numbers(groups: ArrayLike | None, cases: int) -> NDArray[np.intp]:
    """The patient of each case as a number from 0 on, `[cases]`; `lengths_differ` where groups are no such row."""
    if groups is None:
        return np.arange(cases)
    names = np.asarray(groups)
    if names.dtype == object:  # each name is looked up, and only those that differ are sorted
        codes, names = pd.factorize(names, use_na_sentinel=False)
        numbers = np.unique(names, return_inverse=True)[1][codes]
    else:
        numbers = np.unique(names, return_inverse=True)[1]
    if len(numbers) != cases:
        raise MammoError("lengths_differ", f"{len(numbers)} groups and {cases} labels do not belong together")
    return numbers


def resamples(
    numbers: NDArray[np.intp], replicates: int, seed: int, strata: ArrayLike | None = None
) -> Iterator[NDArray[np.intp]]:
    """The patients of each resample, as numbers; the same for the same seed, whatever is computed of them.

    Args:
        numbers: `[n]`, as `group_numbers` gives them.
        replicates, seed: how many, and which.
        strata: `[n]`, as for `bootstrap`.
    """
    count = int(numbers.max()) + 1
    generator = np.random.default_rng(seed)
    if strata is None:
        for _ in range(replicates):
            yield generator.integers(count, size=count)
        return
    names = np.unique(np.asarray(strata), return_inverse=True)[1]
    of_patient = np.zeros(count, np.intp)
    of_patient[numbers] = names
    if (of_patient[numbers] != names).any():
        raise MammoError("strata_split", "the cases of a patient lie in more than one stratum")
    parts = [np.flatnonzero(of_patient == stratum) for stratum in range(int(names.max()) + 1)]
    for _ in range(replicates):
        yield np.concatenate([part[generator.integers(len(part), size=len(part))] for part in parts])


def resampled_counts(of_patients: NDArray[np.float64], draws: Iterable[NDArray[np.intp]]) -> NDArray[np.float64]:
    """Sums over the patients of every resample, exact, float64 `[rows, resamples]`.

    Patients with the same counts are of one kind; how many of each kind a resample holds tells all its sums.

    Args:
        of_patients: whole numbers, `[rows, patients]`, such as the calls of each patient; rows of several samples that
            have as many patients share the draws.
        draws: as `resamples` gives them.
    """
    order = np.lexsort(of_patients)
    first = np.append(True, (np.diff(of_patients[:, order], axis=1) != 0).any(axis=0))  # of its kind
    kinds = np.empty(len(order), np.intp)
    kinds[order] = np.cumsum(first) - 1
    of_kinds = of_patients[:, order[first]]
    found, held = [], iter(draws)
    while chunk := [np.bincount(kinds[draw], minlength=of_kinds.shape[1]) for draw in islice(held, CHUNK)]:
        found.append(of_kinds @ np.array(chunk, np.float64).T)
    return np.concatenate(found, axis=1)


def _value(statistic: Statistic, labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    try:
        return statistic(labels, scores)
    except MammoError:
        return float("nan")


def bca_levels(
    value: float, replicates: NDArray[np.float64], jackknife: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The quantiles that BCa takes instead of `levels`; nan where all replicates lie on one side of the value.

    Formulae in `tests/golden/statistics/README.md`: ties with the value count one half. What differs by rounding alone
    counts as equal.
    """
    rounding = ROUNDING * max(1.0, abs(value))
    ties = np.abs(replicates - value) <= rounding
    share = ((replicates < value) & ~ties).sum() + 0.5 * ties.sum()
    if not 0 < share < len(replicates) or not len(jackknife):
        return np.full(len(levels), np.nan)
    bias = ndtri(share / len(replicates))
    apart = jackknife.mean() - jackknife
    spread = (apart**2).sum() ** 1.5 if np.abs(apart).max() > rounding else 0.0
    acceleration = (apart**3).sum() / (6 * spread) if spread > 0 else 0.0
    shifted = bias + ndtri(levels)
    return np.asarray(ndtr(bias + shifted / (1 - acceleration * shifted)), np.float64)

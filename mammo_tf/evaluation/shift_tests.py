"""Whether two samples of patients have one distribution of scores, and whether one is a mixture of the other's classes.

A sample is a table of distributions, a row a patient: the share of her scores between one of some points and the next.
Whatever is asked of a sample is then a mean over its rows, patients are what is drawn, and one with many images counts
as much as one with few.

The points lie at equal distances in the logit of the pooled distribution, so that the sum of squared differences over
them is the distance of Anderson and Darling (Annals of Mathematical Statistics 23, 1952, 193-212): it looks at both
tails, where a few positive patients stand, as closely as at the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from mammo_tf.evaluation.intervals import group_numbers

POINTS = 200
CHUNK = 64  # draws that are held at once
EQUAL = 1e-9  # relative: rounding of sums
NOTHING = 1e-15  # a statistic of rounding alone: one patient of a million more makes a thousand times as much
LEVELS = (0.025, 0.975)

Patients: TypeAlias = Any  # scipy.sparse.csr_array, float64 `[patients, points]`: SciPy tells no types
Curve: TypeAlias = NDArray[np.float64]


class Mixture(NamedTuple):
    """The mixture of two classes that lies nearest to a sample.

    Attributes:
        share: of the positive class, 0 to 1.
        low, high: 95 % interval, all three samples drawn again; the share itself where it was given.
        curve: its cumulative distribution, float64 `[points]`.
        p: of the hypothesis that the sample is such a mixture.
    """

    share: float
    low: float
    high: float
    curve: Curve
    p: float


def points_between(scores: ArrayLike, count: int = POINTS) -> Curve:
    """Scores of a pooled sample at equal distances in the logit of its distribution, float64 `[count]`, not falling.

    Args:
        scores: finite numbers, `[n]`, two or more.
        count: how many points.
    """
    values = np.sort(np.asarray(scores, np.float64).ravel())
    end = np.log(len(values))
    shares = 1 / (1 + np.exp(-np.linspace(-end, end, count)))
    return np.asarray(values[np.clip(np.ceil(shares * len(values)).astype(int) - 1, 0, len(values) - 1)])


def by_patient(scores: ArrayLike, patients: ArrayLike | None, points: Curve) -> Patients:
    """Of each patient the share of her scores that is above the point before and at or below each point.

    Args:
        scores: `[n]`, none above the last point.
        patients: `[n]`, whose each is; None takes every score for a patient of its own. Rows are in the order of
            `intervals.group_numbers`.
        points: as `points_between` gives them.

    Raises:
        MammoError: `lengths_differ`.
    """
    values = np.asarray(scores, np.float64).ravel()
    numbers = group_numbers(patients, len(values))
    counts = np.bincount(numbers)
    place = np.searchsorted(points, values, side="left")
    return sparse.csr_array((1 / counts[numbers], (numbers, place)), shape=(len(counts), len(points)))


def distribution(patients: Patients) -> Curve:
    """The cumulative distribution of a sample, the mean over its patients, float64 `[points]`."""
    return _sums(patients, np.ones((1, patients.shape[0])))[0] / patients.shape[0]


def no_shift_p(
    reference: Patients, site: Patients, direction: Curve | None = None, replicates: int = 999, seed: int = 0
) -> float:
    """The p value of the hypothesis that both samples are of one distribution, by permutation of patients.

    Args:
        reference, site: as `by_patient` gives them, at the same points.
        direction: `[points]`, the difference that is most to be feared, such as of the classes' distributions. The
            difference of the samples along it is then a second statistic; of both the smaller p is taken, and its own
            p is found from the same permutations, so that looking twice costs nothing of the level.
        replicates, seed: of the permutation.
    """
    generator = np.random.default_rng(seed)
    pooled, ours = sparse.csr_array(sparse.vstack([reference, site])), site.shape[0]
    count = pooled.shape[0]
    total, sums = _sums(pooled, np.ones((1, count))), [_sums(site, np.ones((1, ours)))]
    for size in _chunks(replicates):
        keys = generator.random((size, count))
        sums.append(_sums(pooled, keys < np.partition(keys, ours, axis=1)[:, ours, None]))
    of_site = np.concatenate(sums)
    apart = of_site / ours - (total - of_site) / reference.shape[0]
    statistics = [(apart**2).sum(axis=1)]
    if direction is not None:
        statistics.append(np.abs(apart @ direction))
    smallest = np.min([_ranks_from_above(values) for values in statistics], axis=0)
    return float((smallest <= smallest[0]).mean())


def fit_mixture(
    positive: Patients,
    negative: Patients,
    site: Patients,
    share: float | None = None,
    replicates: int = 999,
    seed: int = 0,
) -> Mixture:
    """The mixture of two classes nearest to a site, and whether the site is one, by bootstrap of patients.

    The share has the least sum of squared differences over the points. For its interval the patients of each class and
    of the site are drawn again. For p the site's are drawn from the fitted mixture and the classes' again from the
    classes, and the mixture is fitted again each time: p is the share of draws that lie no nearer to their mixture than
    the site to its own. What is not known of the classes is so accounted for as well.

    Args:
        positive, negative, site: as `by_patient` gives them, at the same points.
        share: of the positive class, where it is known; then nothing but p is found.
        replicates, seed: of the bootstrap.
    """
    generator = np.random.default_rng(seed)
    first, second, third = (distribution(patients)[None] for patients in (positive, negative, site))
    found, apart = _nearest(first, second, third, share)
    taken, count = float(found[0]), site.shape[0]
    distances, shares = [apart], []
    for size in _chunks(replicates):
        first_drawn, second_drawn = (_means_of_draws(one, size, generator) for one in (positive, negative))
        hits = generator.binomial(count, taken, size)
        mixed = _drawn(positive, hits, generator) + _drawn(negative, count - hits, generator)
        distances.append(_nearest(first_drawn, second_drawn, mixed / count, share)[1])
        if share is None:
            again = _means_of_draws(site, size, generator)
            shares.append(_nearest(first_drawn, second_drawn, again, None)[0])
    drawn = np.concatenate(distances)
    low, high = np.quantile(np.concatenate(shares), LEVELS) if shares else (taken, taken)
    curve = taken * first[0] + (1 - taken) * second[0]
    return Mixture(taken, float(low), float(high), curve, float(_ranks_from_above(drawn)[0] / len(drawn)))


def _nearest(
    positive: Curve, negative: Curve, site: Curve, share: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The share of each mixture nearest to each site, and the sum of squares that is left, of curves `[n, points]`."""
    classes = positive - negative
    between = site - negative
    if share is None:
        length = (classes**2).sum(axis=1)
        along = (between * classes).sum(axis=1)
        found = np.clip(np.divide(along, length, out=np.zeros_like(along), where=length > 0), 0, 1)
    else:
        found = np.full(len(site), share)
    return found, ((between - found[:, None] * classes) ** 2).sum(axis=1)


def _means_of_draws(patients: Patients, draws: int, generator: np.random.Generator) -> Curve:
    """Distributions of as many patients, drawn with replacement, float64 `[draws, points]`."""
    count = patients.shape[0]
    return _drawn(patients, np.full(draws, count), generator) / count


def _drawn(patients: Patients, sizes: NDArray[np.int64], generator: np.random.Generator) -> Curve:
    """Sums over so many patients, drawn with replacement, float64 `[len(sizes), points]`."""
    count, points = patients.shape
    draws = (generator.integers(count, size=size) for size in sizes)
    if patients.nnz == count and (patients.data == 1).all():  # each has one score: whole numbers, exact in any order
        places = patients.indices
        counts = np.array([np.bincount(places[draw], minlength=points) for draw in draws], np.float64, order="F")
        return np.cumsum(counts, axis=1)
    return _sums(patients, np.array([np.bincount(draw, minlength=count) for draw in draws]))


def _sums(patients: Patients, times: NDArray[Any]) -> Curve:
    """Cumulative sums over patients, float64 `[draws, points]`.

    Args:
        patients: as `by_patient` gives them.
        times: how often each is taken, `[draws, patients]`.
    """
    return np.asarray(np.cumsum((patients.T @ times.T).T, axis=1), np.float64)


def _ranks_from_above(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of the values are no smaller than each, `[n]`; what differs by rounding alone counts as equal."""
    rising = np.sort(values)
    least = values * (1 - EQUAL) - NOTHING
    return np.asarray(len(values) - np.searchsorted(rising, least, side="left"), np.int64)


def _chunks(replicates: int) -> Iterator[int]:
    for start in range(0, replicates, CHUNK):
        yield min(CHUNK, replicates - start)

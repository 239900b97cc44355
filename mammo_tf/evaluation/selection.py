"""How much of the best of many scores is selection: what was chosen because it came out best, on the same patients.

The best of several trials looks better than it is: its luck on the validation patients is part of why it was chosen.
With few patients that luck is large. `selection_of_best` chooses anew on resampled patients and judges each choice on
the patients that the resample left out, who had no part in it: bootstrap bias correction for the choice of a
configuration (I. Tsamardinos, E. Greasidou, G. Borboudakis: Bootstrapping the out-of-sample predictions for efficient
and accurate cross-validation, Machine Learning 2018). Efron's optimism, which judges on all patients, would tell about
0.7 of it where all trials are equal, since a resample takes the luck of the sample for truth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.intervals import group_numbers, resamples

CHUNK = 64  # resamples that are held at once
Measure = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Selection(NamedTuple):
    """What the best of several trials owes to being chosen.

    Attributes:
        best: the highest score, on all patients.
        number: whose it is, from 0 on; the first among equals.
        corrected: mean score of what each resample chose, on the patients that it left out.
        low, high: of those scores, the central 95 % of resamples.
        selection: best - corrected; may come out below 0, which means none is seen.
        by_chance: how far the best would stand above the mean of all trials if all were equally good.
        above_mean: how far it does stand above that mean.
        again: share of resamples that chose the same trial.
        trials, patients, replicates: how many; `replicates` are those that could be used.
    """

    best: float
    number: int
    corrected: float
    low: float
    high: float
    selection: float
    by_chance: float
    above_mean: float
    again: float
    trials: int
    patients: int
    replicates: int

    @property
    def words(self) -> str:
        """How it was made, for the reader of the number."""
        return (
            f"chosen anew on each of {self.replicates} resamples of {self.patients} validation patients, judged on "
            "those left out (bootstrap bias correction, Tsamardinos et al. 2018)"
        )


def selection_of_best(
    measure: Measure, groups: ArrayLike, strata: ArrayLike, replicates: int = 1000, seed: int = 0
) -> Selection:
    """How much of the best trial's score is selection.

    Args:
        measure: scores of all trials, float64 `[resamples, trials]`, of weights of the cases, float64
            `[resamples, cases]`; nan where one does not exist. See `weighted_aucs`, `weighted_means`.
        groups: `[cases]`, the patient of each case; patients are resampled with all their cases.
        strata: `[cases]`, the same for all cases of a patient: each stratum keeps its number of patients.
        replicates, seed: of the resampling.

    Raises:
        MammoError: `too_few_trials` for one trial, of which nothing was chosen; `too_few_patients` where no resample
            leaves patients of each class out; those of `resamples`.
    """
    numbers = group_numbers(groups, len(np.asarray(groups)))
    patients = int(numbers.max()) + 1
    full = measure(np.ones((1, len(numbers))))[0]
    if len(full) < 2:
        raise MammoError("too_few_trials", "of one trial nothing is chosen")
    drawn = [np.bincount(draw, minlength=patients) for draw in resamples(numbers, replicates, seed, strata)]
    inside, outside = [], []
    for first in range(0, replicates, CHUNK):
        counts = np.asarray(drawn[first : first + CHUNK], np.float64)
        inside.append(measure(counts[:, numbers]))
        outside.append(measure((counts == 0)[:, numbers].astype(np.float64)))
    scores, left_out = np.concatenate(inside), np.concatenate(outside)
    usable = np.isfinite(scores).all(axis=1) & np.isfinite(left_out).all(axis=1)
    if not usable.any():
        sentence = f"{patients} validation patients are too few: no resample leaves some of each class out"
        raise MammoError("too_few_patients", sentence)
    scores, left_out = scores[usable], left_out[usable]
    chosen = scores.argmax(axis=1)
    judged = left_out[np.arange(len(chosen)), chosen]
    noise = scores - full
    number = int(full.argmax())
    low, high = np.quantile(judged, (0.025, 0.975))
    corrected = float(judged.mean())
    return Selection(
        best=float(full[number]), number=number, corrected=corrected, low=float(low), high=float(high),
        selection=float(full[number]) - corrected,
        by_chance=float((noise.max(axis=1) - noise.mean(axis=1)).mean()),
        above_mean=float(full[number] - full.mean()), again=float((chosen == number).mean()),
        trials=len(full), patients=patients, replicates=len(chosen),
    )  # fmt: skip


def weighted_aucs(labels: ArrayLike, scores: ArrayLike) -> Measure:
    """The AUC of every trial as a measure of weights; ties count one half, nan where a class has no weight.

    Args:
        labels: `[cases]`, 0 and 1.
        scores: `[cases, trials]`.
    """
    truth, given = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    sorted_trials = []
    for column in given.T:
        order = np.argsort(column, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(column[order]) > 0])
        sorted_trials.append((order, starts))

    def measure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.empty((len(weights), len(sorted_trials)))
        for number, (order, starts) in enumerate(sorted_trials):
            weight, label = weights[:, order], truth[order]
            positive = np.add.reduceat(weight * label, starts, axis=1)
            negative = np.add.reduceat(weight * (1 - label), starts, axis=1)
            below = np.cumsum(negative, axis=1) - negative / 2
            pairs = positive.sum(axis=1) * negative.sum(axis=1)
            right = (positive * below).sum(axis=1)
            found[:, number] = np.divide(right, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
        return found

    return measure


def weighted_means(values: ArrayLike) -> Measure:
    """The mean of every trial as a measure of weights; a case without a value (nan) does not count in that trial.

    Args:
        values: `[cases, trials]`, such as the Dice of each picture.
    """
    given = np.asarray(values, np.float64)
    counted = np.isfinite(given)
    filled = np.where(counted, given, 0.0)

    def measure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total = weights @ counted.astype(np.float64)
        return np.divide(weights @ filled, total, out=np.full(total.shape, np.nan), where=total > 0)

    return measure

"""Rates at a fixed threshold: one table of what is made of the four counts. A new rate is a line of it.

What stands here appears in `metrics.json`, in the report and in `mammo-tf evaluate`, and nowhere else by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.call_counts import CallCounts, Calls, Counts, count_calls
from mammo_tf.evaluation.intervals import Interval, Resampling, bca_levels
from mammo_tf.evaluation.numbers import Number, Numbers, interval_number, missing_number, with_exact_ends
from mammo_tf.evaluation.proportions import clopper_pearson

OfCounts = Callable[[Counts, Counts, Counts, Counts], Counts]
MOST_UNDEFINED = 0.05  # of the resamples with both classes: where more have no value, an interval would be of the rest


def share(part: Counts, whole: Counts) -> Counts:
    """part / whole, nan where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) != 0)


def _matthews(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
    return share(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def _called(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
    return tp + fp


def _spared(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
    return tn + fn


def _positives(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
    return tp + fn


def _negatives(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
    return tn + fp


def _everyone(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
    return tp + fp + tn + fn


@dataclass(frozen=True)
class Rate:
    """One rate.

    Attributes:
        name: in files.
        title: for a reader.
        of: value of true positives, false positives, true negatives, false negatives, arrays of one shape; nan where
            its denominator is 0.
        cases: how many cases it is a share of, of the same counts.
        is_share: whether it is a share of them, which has an exact interval where it is 0 or 1.
        note: what a reader must know of it, behind how it was made.
        without: why there is no value, where there is none.
    """

    name: str
    title: str
    of: OfCounts
    cases: OfCounts = _everyone
    is_share: bool = True
    note: str = ""
    without: str = "its denominator is 0 here"


HERE = "at this sample's prevalence"
NO_CLASS, NOT_CALLED = "there is no case of this class", "no case is called positive"
ALL_CALLED = "no case is called negative"
ELSEWHERE = "_at_stated_prevalence"  # names of what `rates_elsewhere` makes end in it
RATES = (
    Rate("sensitivity", "Sensitivity", lambda tp, fp, tn, fn: share(tp, tp + fn), _positives, without=NO_CLASS),
    Rate("specificity", "Specificity", lambda tp, fp, tn, fn: share(tn, tn + fp), _negatives, without=NO_CLASS),
    Rate("accuracy", "Accuracy", lambda tp, fp, tn, fn: share(tp + tn, tp + fp + tn + fn)),
    Rate("ppv", "PPV", lambda tp, fp, tn, fn: share(tp, tp + fp), _called, note=HERE, without=NOT_CALLED),
    Rate("npv", "NPV", lambda tp, fp, tn, fn: share(tn, tn + fn), _spared, note=HERE, without=ALL_CALLED),
    Rate("recall_rate", "Recall rate", lambda tp, fp, tn, fn: share(tp + fp, tp + fp + tn + fn), note=HERE),
    Rate("prevalence", "Prevalence here", lambda tp, fp, tn, fn: share(tp + fn, tp + fp + tn + fn)),
    Rate("f1", "F1", lambda tp, fp, tn, fn: share(2 * tp, 2 * tp + fp + fn), _everyone, False, HERE, NO_CLASS),
    Rate(
        "matthews", "Matthews' coefficient", _matthews, _everyone, False, HERE, "labels or calls are of one kind only"
    ),
)


def rates_elsewhere(prevalence: float) -> tuple[Rate, ...]:
    """PPV, NPV and recall rate where another share of cases is positive: sensitivity and specificity are taken along.

    Args:
        prevalence: that share, between 0 and 1.

    Raises:
        MammoError: `prevalence_wrong`.
    """
    if not 0 < prevalence < 1:
        remedy = "Give a share above 0 and below 1, such as 0.005"
        raise MammoError("prevalence_wrong", f"a prevalence of {prevalence:g} does not exist", remedy)

    def shares(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> tuple[Counts, Counts]:
        return prevalence * share(tp, tp + fn), (1 - prevalence) * share(fp, tn + fp)

    def ppv(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
        hits, alarms = shares(tp, fp, tn, fn)
        return share(hits, hits + alarms)

    def npv(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
        hits, alarms = shares(tp, fp, tn, fn)
        return share(1 - prevalence - alarms, 1 - hits - alarms)

    def recall(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
        hits, alarms = shares(tp, fp, tn, fn)
        return hits + alarms

    note = f"at a prevalence of {prevalence:g}, as stated"
    return (
        Rate(f"ppv{ELSEWHERE}", "PPV", ppv, _everyone, False, note, NOT_CALLED),
        Rate(f"npv{ELSEWHERE}", "NPV", npv, _everyone, False, note, ALL_CALLED),
        Rate(f"recall_rate{ELSEWHERE}", "Recall rate", recall, _everyone, False, note, NO_CLASS),
    )


def rate_numbers(
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    threshold: float,
    patients: NDArray[Any],
    resampling: Resampling,
    further: Sequence[Rate] = (),
) -> Numbers:
    """Every rate of `RATES` at a threshold, patients resampled with all their cases; one resampling for all rates.

    An interval leaves out resamples in which the rate does not exist. Where these are more than `MOST_UNDEFINED` of
    those that hold both classes there is no interval, and the number says so.

    Args:
        labels: 0 or 1, `[n]`.
        scores: `[n]`; a case is called positive at or above the threshold.
        threshold: fixed.
        patients: `[n]`.
        resampling: how intervals are made.
        further: rates next to those of `RATES`.
    """
    return numbers_of_calls([Calls(labels, scores >= threshold, patients, resampling)], (*RATES, *further))[0]


def numbers_of_calls(samples: Sequence[Calls], rates: Sequence[Rate] = RATES) -> list[Numbers]:
    """As `rate_numbers`, of each of several samples, in their order.

    Args:
        samples: with their patients.
        rates: which.
    """
    images = [sample._replace(patients=None) for sample in samples if sample.resampling.also_cases]
    counted = count_calls([*samples, *images])
    over_cases = iter(counted[len(samples) :])
    return [
        _numbers(sample, counts, next(over_cases) if sample.resampling.also_cases else None, rates)
        for sample, counts in zip(samples, counted, strict=False)
    ]


def _numbers(sample: Calls, counts: CallCounts, over_cases: CallCounts | None, rates: Sequence[Rate]) -> Numbers:
    assert sample.patients is not None
    how = f"at the threshold; {sample.resampling.words(sample.patients)}"
    found: Numbers = {}
    for rate in rates:
        number = _number(rate, counts, how)
        if over_cases is not None and number["value"] is not None:
            beside = _number(rate, over_cases, "")
            number["cases_resampled"] = {"low": beside["low"], "high": beside["high"]}
        found[rate.name] = number
    return found


def _number(rate: Rate, counts: CallCounts, how: str) -> Number:
    """A rate with its interval."""
    whole = counts.of_patients.sum(axis=1)
    value, n = float(rate.of(*whole)), round(float(rate.cases(*whole)))
    words = f"{how}; {rate.note}" if rate.note else how
    if not np.isfinite(value):
        return missing_number(n, words, rate.without)
    replicates = np.asarray(rate.of(*counts.drawn), np.float64)
    exists = np.isfinite(replicates)
    found = _interval(rate, value, counts, replicates[exists])
    tp, fp, tn, fn = counts.drawn
    both = (tp + fn > 0) & (tn + fp > 0)
    undefined = float((both & ~exists).sum() / max(both.sum(), 1))
    number = interval_number(found, n, words, "without a value" if undefined else "of one class")
    if undefined > MOST_UNDEFINED:
        number["low"] = number["high"] = None
        number["why"] = f"no interval: {undefined:.0%} of the resamples have no value"
    elif rate.is_share and value in (0, 1):
        units = int((rate.cases(*counts.of_patients) > 0).sum())
        exact = clopper_pearson(round(value * units), units)
        with_exact_ends(number, exact, f"Clopper and Pearson's, of {units} independent {counts.units}")
    return number


def _interval(rate: Rate, value: float, counts: CallCounts, usable: Counts) -> Interval:
    left_out = counts.drawn.shape[1] - len(usable)
    if len(usable) < 2:
        return Interval(value, float("nan"), float("nan"), usable, left_out)
    levels = np.array([0.025, 0.975])
    if counts.resampling.method == "bca":
        whole = counts.of_patients.sum(axis=1)
        without = np.asarray(rate.of(*(whole[:, None] - counts.of_patients)), np.float64)
        levels = bca_levels(value, usable, without[np.isfinite(without)], levels)
    low, high = np.quantile(usable, levels) if np.isfinite(levels).all() else (np.nan, np.nan)
    return Interval(value, float(low), float(high), usable, left_out)

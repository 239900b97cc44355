"""True and false positives and negatives of samples of cases, and of every resample of their patients.

Which patients a resample draws hangs on their number and the seed alone, so samples of as many patients draw once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.evaluation.intervals import Resampling, group_numbers, resampled_counts, resamples

Counts = NDArray[np.float64]


class Calls(NamedTuple):
    """Cases that are called positive or not.

    Attributes:
        labels: 0 or 1, int64 `[n]`.
        called: bool `[n]`.
        patients: `[n]`, whose each is; None takes every case for a patient of its own.
        resampling: how intervals are made.
    """

    labels: NDArray[np.int64]
    called: NDArray[np.bool_]
    patients: NDArray[Any] | None
    resampling: Resampling


class CallCounts(NamedTuple):
    """True positives, false positives, true negatives, false negatives.

    Attributes:
        of_patients: float64 `[4, patients]`.
        drawn: float64 `[4, resamples]`.
        resampling: as they were drawn.
        units: what was drawn, for the reader.
    """

    of_patients: Counts
    drawn: Counts
    resampling: Resampling
    units: str


def count_calls(samples: Sequence[Calls]) -> list[CallCounts]:
    """The counts of each sample, in their order; numbers are those of each by itself."""
    counted = [_Sample(sample) for sample in samples]
    alike: dict[tuple[Any, ...], list[_Sample]] = {}
    for one in counted:
        alike.setdefault(one.drawn_as(), []).append(one)
    for ones in alike.values():
        sums = resampled_counts(np.concatenate([one.of_patients for one in ones]), ones[0].draws())
        for one, drawn in zip(ones, np.split(sums, len(ones)), strict=True):
            one.drawn = drawn
    return [CallCounts(one.of_patients, one.drawn, one.resampling, one.units) for one in counted]


class _Sample:
    """A sample while it is counted."""

    drawn: Counts

    def __init__(self, calls: Calls) -> None:
        labels, called, patients, self.resampling = calls
        self.units = "cases" if patients is None else self.resampling.units
        self.numbers = group_numbers(patients, len(labels))
        self.strata = self.resampling.strata(labels, patients)
        positive = labels == 1
        kinds = (positive & called, ~positive & called, ~positive & ~called, positive & ~called)
        self.of_patients = np.stack([np.bincount(self.numbers, weights=kind) for kind in kinds]).astype(np.float64)

    def drawn_as(self) -> tuple[Any, ...]:
        """Equal where the same numbers of patients are drawn."""
        strata = None if self.strata is None else (self.strata.tobytes(), self.numbers.tobytes())
        return self.of_patients.shape[1], self.resampling.replicates, self.resampling.seed, strata

    def draws(self) -> Iterator[NDArray[np.intp]]:
        """As `resamples`."""
        return resamples(self.numbers, self.resampling.replicates, self.resampling.seed, self.strata)

"""The same rows under other names: labels and scores that two parts of a table share beyond chance."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError

MOST_DECIMALS = 9
FEWER = (6, 4, 3)
APART = 0.5  # of the scores are other ones than the rest: with fewer, equal scores say nothing
COPY = 0.5  # of the rows of the smaller part: from here on it is taken for a copy
Keys: TypeAlias = tuple[NDArray[np.float64], NDArray[np.int64]]
SHIFTS = (-3, -2, -1, 1, 2, 3)  # units of the last decimal: what is in common there is chance


def copied_rows(first: pd.DataFrame, second: pd.DataFrame) -> int:
    """How many rows of two tables have label and score in common, beyond what neighbouring scores have by chance.

    Scores are compared as they are written and with fewer decimals, so that a copy with rounded scores is one too.

    Args:
        first, second: with `label` and `score`.

    Returns:
        0 where chance explains what is in common, or where scores are too coarse to tell.
    """
    written = min(_decimals(table["score"].to_numpy(np.float64)) for table in (first, second))
    for decimals in [written, *(fewer for fewer in FEWER if fewer < written)]:
        found = _beyond_chance(*(_Rows.of(table, decimals) for table in (first, second)))
        if found:
            return found
    return 0


class _Rows(NamedTuple):
    """Scores in units of a decimal, float64 `[n]`, and labels, int64 `[n]`."""

    scores: NDArray[np.float64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, table: pd.DataFrame, decimals: int) -> _Rows:
        return cls(np.rint(table["score"].to_numpy(np.float64) * 10.0**decimals), table["label"].to_numpy(np.int64))

    @property
    def too_coarse(self) -> bool:
        return not len(self.scores) or len(np.unique(self.scores)) < APART * len(self.scores)

    def keys(self) -> Keys:
        """The numbers that stand for label and score of the rows, rising, two a unit of the score; rows of each."""
        return np.unique(2 * self.scores + self.labels, return_counts=True)


def _beyond_chance(first: _Rows, second: _Rows) -> int:
    if first.too_coarse or second.too_coarse:
        return 0
    (values, rows), theirs = first.keys(), second.keys()
    found, *beside = (_in_common((values + 2 * shift, rows), theirs) for shift in (0, *SHIFTS))
    chance = float(np.mean(beside))
    return found if found - chance > 3 + 4 * chance**0.5 else 0


def _in_common(first: Keys, second: Keys) -> int:
    """How many rows of either have a row with the same key in the other; the smaller of the two numbers."""
    place = np.minimum(np.searchsorted(second[0], first[0]), len(second[0]) - 1)
    same = second[0][place] == first[0]
    return int(min(first[1][same].sum(), second[1][place[same]].sum()))


def _decimals(scores: NDArray[np.float64]) -> int:
    for decimals in range(MOST_DECIMALS):
        scaled = scores * 10.0**decimals
        if (np.abs(scaled - np.rint(scaled)) < 1e-6).all():
            return decimals
    return MOST_DECIMALS


def check_rows_apart(table: pd.DataFrame, threshold_split: str) -> list[str]:
    """Refuses thresholds chosen on the rows that are measured, whatever they are called; lines on the other splits.

    Args:
        table: as `read_predictions` gives it.
        threshold_split: where thresholds are chosen.

    Raises:
        MammoError: `threshold_on_test`.
    """
    notes = []
    parts = {str(split): part for split, part in table.groupby("split", sort=False)}
    for first, second in combinations(parts, 2):
        found = copied_rows(parts[first], parts[second])
        if not found:
            continue
        smaller = min(len(parts[first]), len(parts[second]))
        said = f"{found} rows of {first!r} have label and score of a row of {second!r}"
        if threshold_split in (first, second) and "train" not in (first, second) and found >= COPY * smaller:
            sentence = f"{said}: the threshold would be chosen on what is measured"
            raise MammoError("threshold_on_test", sentence, "Give validation predictions of other patients")
        notes.append(f"{said}: are they the same images?")
    return notes

"""A number with its interval, and all of them as `metrics.json` and `comparison.json` hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.intervals import Interval, Resampling
from mammo_tf.evaluation.levels import BY_NAME, DEFAULT_AGGREGATES, check_aggregates
from mammo_tf.files import read_json

NO_WIDTH = 1e-12  # of an interval: what is below is rounding
ALIKE = "every resample gives the same"
NOT_SPLITS = ("aggregates", "remarks")  # keys that stand next to the splits


class Ends(TypedDict):
    """Of an interval; None where there is none."""

    low: float | None
    high: float | None


class Number(TypedDict):
    """A number of `metrics.json` or `comparison.json`; a dictionary, since the file is what others read.

    Attributes:
        value: None where it does not exist; `why` then says why.
        low, high: ends of the 95 % interval; None where there is none.
        n: how many cases the number is a share of; all cases where it is not a share.
        how: how value and interval were made, for a reader. Nothing is to be parsed out of it.
        why: why there is no value, or no interval where there could have been one.
        caution: what is to be held against the value.
        cases_resampled: the interval that resamples cases as if each were a patient of its own.
        z, p: of the test of a difference.
        p_least: the smallest p that so many resamples can give.
        rarer_class: how many patients the rarer class has, where a verdict hangs on it.
        q: p, adjusted for the comparisons that were made with it.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    how: str
    why: NotRequired[str]
    caution: NotRequired[str]
    cases_resampled: NotRequired[Ends]
    z: NotRequired[float | None]
    p: NotRequired[float | None]
    p_least: NotRequired[float]
    rarer_class: NotRequired[int]
    q: NotRequired[float | None]


Numbers = dict[str, Number]  # by metric
Levels = dict[str, Numbers]  # by level


@dataclass(frozen=True)
class Metrics(Mapping[str, Levels]):
    """Content of `metrics.json` or `comparison.json`: a mapping of the splits, and what they were made with.

    Attributes:
        splits: `{split: {level: {metric: number}}}`, levels finest first.
        aggregates: level -> how the scores of its parts were put together.
        remarks: what a reader of the numbers must know, one sentence each.

    Raises:
        MammoError: `split_wrong` where a split is called like a key that stands next to the splits; as
            `check_aggregates`.
    """

    splits: dict[str, Levels] = field(default_factory=dict)
    aggregates: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_AGGREGATES))
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_aggregates(self.aggregates)
        for name in NOT_SPLITS:
            if name in self.splits:
                sentence = f"a split is called {name!r}, which is a key next to the splits of metrics.json"
                raise MammoError("split_wrong", sentence, "Give the split another name")

    def __getitem__(self, split: str) -> Levels:
        return self.splits[split]

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)

    def to_json(self) -> dict[str, Any]:
        """What the file holds."""
        remarks = {"remarks": list(self.remarks)} if self.remarks else {}
        return {**self.splits, "aggregates": dict(self.aggregates), **remarks}

    @classmethod
    def from_json(cls, stored: Any, where: str = "metrics.json") -> Metrics:
        """The inverse of `to_json`; files of earlier versions do not say how they aggregated, and took the defaults.

        Raises:
            MammoError: `metrics_wrong` for anything else, `level_unknown`, `aggregate_unknown`.
        """
        if not isinstance(stored, Mapping):
            raise _wrong(where, "is not a group of splits")
        aggregates = stored.get("aggregates", DEFAULT_AGGREGATES)
        if not isinstance(aggregates, Mapping):
            raise _wrong(where, f"has the aggregates {aggregates!r}")
        remarks = stored.get("remarks", [])
        if not isinstance(remarks, list):
            raise _wrong(where, f"has the remarks {remarks!r}")
        splits = {str(split): _levels(levels, where) for split, levels in stored.items() if split not in NOT_SPLITS}
        return cls(splits, dict(aggregates), tuple(map(str, remarks)))


def read_metrics(path: str | Path) -> Metrics:
    """Reads `metrics.json` or `comparison.json`.

    Raises:
        MammoError: `file_missing`, `json_broken`; as `Metrics.from_json`.
    """
    return Metrics.from_json(read_json(path), str(path))


def _levels(levels: Any, where: str) -> Levels:
    if not isinstance(levels, Mapping) or not all(isinstance(numbers, Mapping) for numbers in levels.values()):
        raise _wrong(where, "has a split that does not hold levels")
    for level, numbers in levels.items():
        if level not in BY_NAME:
            raise _wrong(where, f"has the level {level!r}; known are {', '.join(BY_NAME)}")
        for name, number in numbers.items():
            if not isinstance(number, Mapping) or "value" not in number:
                raise _wrong(where, f"has {name!r} without a value")
            for key in ("value", "low", "high"):
                if not isinstance(number.get(key), int | float | None):
                    raise _wrong(where, f"has {name!r} with the {key} {number[key]!r}")
    return {str(level): dict(numbers) for level, numbers in levels.items()}


def _wrong(where: str, what: str) -> MammoError:
    return MammoError("metrics_wrong", f"{where} {what}", "Evaluate again")


def plain_number(value: float | None, low: float | None, high: float | None, n: int, how: str) -> Number:
    """The parts of a number; ends that are not finite are None."""
    ends = [None if end is None or not np.isfinite(end) else float(end) for end in (low, high)]
    return {"value": None if value is None else float(value), "low": ends[0], "high": ends[1], "n": n, "how": how}


def missing_number(n: int, how: str, why: str) -> Number:
    """A number that does not exist, and why."""
    return {**plain_number(None, None, None, n, how), "why": why}


def interval_number(found: Interval, n: int, how: str, left_out: str = "of one class") -> Number:
    """An interval as a number; `how` says of how many resamples it is not, and what is wrong with them.

    One without width is none: that every resample gives the same says nothing of other patients.
    """
    note = f"; {found.discarded} resamples {left_out} left out" if found.discarded else ""
    number = plain_number(found.value, found.low, found.high, n, how + note)
    if len(found.replicates) > 1 and (np.ptp(found.replicates) <= NO_WIDTH or found.high - found.low <= NO_WIDTH):
        number["low"] = number["high"] = None
        number["why"] = f"no interval: {ALIKE}"
    return number


def with_exact_ends(number: Number, ends: tuple[float, float], words: str) -> None:
    """Gives a number whose resamples are all alike the ends of an exact interval instead.

    Args:
        number: as `interval_number` gives it; one that has an interval, or no value, is left alone.
        ends: low and high.
        words: how they were made, for the reader.
    """
    if number.get("why") == f"no interval: {ALIKE}":
        number["low"], number["high"] = ends
        number["how"] = f"{number['how']}; {ALIKE}, so the interval is {words}"
        del number["why"]


def number_of(compute: Callable[[], Interval], n: int, how: str) -> Number:
    """An interval as a number; None and why where there is none."""
    try:
        found = compute()
    except MammoError as error:
        return missing_number(n, how, error.sentence)
    return interval_number(found, n, how)


def with_cases_resampled(number: Number, compute: Callable[[], Interval], resampling: Resampling) -> None:
    """Puts the interval that resamples cases as if they were patients next to a number, where that is asked for."""
    if resampling.also_cases and number["value"] is not None:
        found = compute()
        ends = plain_number(found.value, found.low, found.high, number["n"], "")
        number["cases_resampled"] = {"low": ends["low"], "high": ends["high"]}

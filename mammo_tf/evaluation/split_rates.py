"""Rates of several splits at several levels at once: those of as many patients share their resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mammo_tf.evaluation.call_counts import Calls
from mammo_tf.evaluation.intervals import Resampling
from mammo_tf.evaluation.levels import Level, at_level
from mammo_tf.evaluation.metrics import named_units
from mammo_tf.evaluation.numbers import Number, Numbers, missing_number
from mammo_tf.evaluation.rates import RATES, numbers_of_calls
from mammo_tf.study.manifest import UNLABELLED

NAMES = ("sensitivity", "specificity", "recall_rate", "prevalence")
NO_LABEL = "no row has a label"


@dataclass(frozen=True)
class Asked:
    """A split at a level, before its rates are drawn.

    Attributes:
        split, level: which.
        point: the threshold there.
        labelled: cases with a label; None where there are none, or no threshold.
        everyone: all cases, for the recall rate, where some have no label.
        missing: of a rate that does not exist.
        words: behind how a number was made.
    """

    split: str
    level: Level
    point: Number
    labelled: Calls | None
    everyone: Calls | None
    missing: Number
    words: str


def asked_of(
    split: str,
    table: pd.DataFrame,
    level: Level,
    point: Number,
    aggregates: Mapping[str, str],
    resampling: Resampling,
    words: str,
) -> Asked:
    """What is asked of a table at a level.

    Args:
        split: what it is called.
        table: as `read_predictions` gives it.
        level: which.
        point: the threshold.
        aggregates, resampling: as for `compute_metrics`.
        words: behind how a number was made.
    """
    resampling = named_units(table, resampling)
    told, why = table[table["label"] != UNLABELLED], NO_LABEL
    found: list[Calls | None] = [None, None]
    for place, part in enumerate((told, table.assign(label=0) if len(told) < len(table) else table[:0])):
        if not len(part) or point["value"] is None:
            continue
        cases = at_level(part, level.name, aggregates)
        if cases is None:
            why = f"nothing tells its {level.plural}"
            continue
        labels, called = cases["label"].to_numpy(np.int64), cases["score"].to_numpy(np.float64) >= point["value"]
        found[place] = Calls(labels, called, cases["patient_id"].to_numpy(), resampling)
    missing = missing_number(0, f"at the threshold; {resampling.units} resampled", why)
    return Asked(split, level, point, found[0], found[1], missing, words)


def answers_to(asked: Sequence[Asked]) -> list[Numbers]:
    """The threshold and the rates of `NAMES` at it; the recall rate of all cases, the others of those with a label."""
    samples = [calls for one in asked for calls in (one.labelled, one.everyone) if calls is not None]
    rates = iter(numbers_of_calls(samples, [rate for rate in RATES if rate.name in NAMES]))
    answers = []
    for one in asked:
        numbers: Numbers = {"threshold": one.point.copy()}
        if one.point["value"] is not None:
            found = {} if one.labelled is None else next(rates)
            found |= {} if one.everyone is None else {"recall_rate": next(rates)["recall_rate"]}
            numbers |= {name: found.get(name) or one.missing.copy() for name in NAMES}
        for number in numbers.values():
            number["how"] += one.words
        answers.append(numbers)
    return answers

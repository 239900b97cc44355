"""Two models on the same cases: `comparison.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.bands import auc_interval
from mammo_tf.evaluation.intervals import OVER_PATIENTS, Interval, Resampling
from mammo_tf.evaluation.levels import (
    DEFAULT_AGGREGATES,
    aggregates_in_force,
    at_level,
    measured_levels,
    telling,
)
from mammo_tf.evaluation.numbers import (
    Levels,
    Metrics,
    Numbers,
    missing_number,
    number_of,
    plain_number,
    with_cases_resampled,
)
from mammo_tf.evaluation.roc import checked, delong_paired


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    join: str = "image_id",
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    resampling: Resampling = OVER_PATIENTS,
) -> Metrics:
    """Second minus first on the same cases: `{split: {level: {metric: {value, low, high, n, how}}}}`, and aggregates.

    `auc_difference` is resampled over patients, both scores together, with a p (twice the smaller share of resamples on
    one side of no difference, one added to each count); `auc_difference_delong` has z and p as well.

    Args:
        first, second: predictions of two models.
        join: column that tells which rows are the same image; its frames or patches are told apart as in `at_level`.
        aggregates, resampling: as for `compute_metrics`; the interval is the percentile one, whatever
            `resampling.method` says, since both scores are resampled together.

    Raises:
        MammoError: `column_missing`, `join_not_unique`, `nothing_in_common`, `labels_differ`.
    """
    both = _joined(first, second, join)
    splits: dict[str, Levels] = {}
    for level in measured_levels(both, aggregates):
        parts = [at_level(both.assign(score=both[name]), level.name, aggregates) for name in ("score", "other_score")]
        assert parts[0] is not None  # it is told, else it would not be measured
        assert parts[1] is not None
        cases = parts[0].assign(other=parts[1]["score"])
        for split, part in cases.groupby("split", sort=False):
            splits.setdefault(str(split), {})[level.name] = _differences(part, resampling)
    return Metrics(splits, aggregates_in_force(both, aggregates))


def _joined(first: pd.DataFrame, second: pd.DataFrame, join: str) -> pd.DataFrame:
    if join in ("label", "score"):
        raise MammoError("join_wrong", f"rows cannot be joined by {join!r}", "Name an identifier with --join")
    first = first.drop(columns=["other_label", "other_score"], errors="ignore")
    for table in (first, second):
        if join not in table:
            raise MammoError("column_missing", f"a table has no column {join!r} to join by", "Name another with --join")
    keys = [join, *(column for column in telling(first) if join == "image_id" and column in second)]
    for table in (first, second):
        if table[keys].duplicated().any():
            value = table.loc[table[keys].duplicated(), join].iloc[0]
            raise MammoError("join_not_unique", f"{join} {value!r} stands in more than one row of a table")
    other = second[[*keys, "label", "score"]].rename(columns={"label": "other_label", "score": "other_score"})
    both = first.merge(other, on=keys)
    if both.empty:
        raise MammoError("nothing_in_common", f"the tables have no {join} in common", "Name another with --join")
    if (both["label"] != both["other_label"]).any():
        value = both.loc[both["label"] != both["other_label"], join].iloc[0]
        raise MammoError("labels_differ", f"the tables give {join} {value!r} different labels")
    return both


def _differences(cases: pd.DataFrame, resampling: Resampling) -> Numbers:
    labels = cases["label"].to_numpy(np.int64)
    scores = cases[["score", "other"]].to_numpy(np.float64)
    patients = cases["patient_id"].to_numpy()

    def difference(groups: NDArray[Any] | None) -> Interval:
        first, second = (
            auc_interval(
                labels, scores[:, which], groups, resampling.replicates, resampling.seed,
                strata=resampling.strata(labels, groups),
            )
            for which in (0, 1)
        )  # fmt: skip
        apart = second.replicates - first.replicates  # the same patients in the same order
        low, high = np.quantile(apart, [0.025, 0.975]) if len(apart) > 1 else (np.nan, np.nan)
        return Interval(second.value - first.value, float(low), float(high), apart, first.discarded)

    how = f"paired {replace(resampling, method='percentile').words(patients)}"
    drawn: list[Interval] = []

    def over_patients() -> Interval:
        drawn.append(difference(patients))
        return drawn[-1]

    numbers: Numbers = {"auc_difference": number_of(over_patients, len(labels), how)}
    if drawn and len(drawn[0].replicates) > 1:
        numbers["auc_difference"]["p"] = _two_sided(drawn[0].replicates)
    with_cases_resampled(numbers["auc_difference"], partial(difference, None), resampling)
    try:
        checked(labels, scores[:, 0])
        pair = delong_paired(labels, scores[:, 1], scores[:, 0])
        plain = plain_number(pair.difference, pair.low, pair.high, len(labels), "paired DeLong, cases independent")
        numbers["auc_difference_delong"] = {**plain, "z": pair.z, "p": pair.p}
    except MammoError as error:
        numbers["auc_difference_delong"] = missing_number(len(labels), "DeLong", error.sentence)
    return numbers


def _two_sided(replicates: NDArray[np.float64]) -> float:
    smaller = min((replicates <= 0).sum(), (replicates >= 0).sum())
    return float(min(1.0, 2 * (smaller + 1) / (len(replicates) + 1)))

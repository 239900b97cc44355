"""Predictions to `metrics.json` and `comparison.json`: every number with its interval, n, and how it was made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.bands import auc_interval
from mammo_tf.evaluation.intervals import Interval, share_interval
from mammo_tf.evaluation.predictions import LEVELS, at_level
from mammo_tf.evaluation.roc import checked, delong, delong_paired, g_mean_threshold

Number = dict[str, Any]
REPLICATES = 2000


def compute_metrics(
    table: pd.DataFrame,
    threshold_split: str = "validation",
    breast: str = "mean",
    patient: str = "maximum",
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, dict[str, dict[str, Number]]]:
    """`{split: {level: {metric: {value, low, high, n, how}}}}`, intervals of 95 %.

    Metrics: `auc` (bootstrap over patients), `auc_delong`, and where the threshold split has both classes `threshold`
    (largest G-mean there, at the same level, then fixed), `sensitivity`, `specificity`, `accuracy` at it. A number that
    does not exist has the value None and says why.

    Args:
        table: as `read_predictions` or `make_predictions` gives it.
        threshold_split: where thresholds are chosen; the other splits only use them.
        breast, patient: aggregates, see `at_level`.
        replicates, seed: of the bootstrap.
    """
    metrics: dict[str, dict[str, dict[str, Number]]] = {}
    for level in LEVELS:
        cases = at_level(table, level, breast, patient)
        if cases is None:
            continue
        how_level = {"image": "", "breast": f", {breast} of a breast's views", "patient": f", {patient} of the breasts"}
        threshold = _threshold(cases[cases["split"] == threshold_split], threshold_split)
        for split, part in cases.groupby("split", sort=False):
            numbers = _numbers(part, threshold, replicates, seed)
            for number in numbers.values():
                number["how"] += how_level[level]
            metrics.setdefault(str(split), {})[level] = numbers
    return metrics


def _threshold(cases: pd.DataFrame, split: str) -> Number:
    how = f"largest G-mean on {split}, highest among equals"
    try:
        point = g_mean_threshold(cases["label"], cases["score"])
    except MammoError as error:
        return {"value": None, "low": None, "high": None, "n": len(cases), "how": how, "why": error.sentence}
    if not np.isfinite(point.threshold):
        why = f"no threshold on {split} calls a positive and a negative rightly"
        return {"value": None, "low": None, "high": None, "n": len(cases), "how": how, "why": why}
    return {"value": point.threshold, "low": None, "high": None, "n": len(cases), "how": how}


def _numbers(cases: pd.DataFrame, threshold: Number, replicates: int, seed: int) -> dict[str, Number]:
    labels, scores = cases["label"].to_numpy(np.int64), cases["score"].to_numpy(np.float64)
    patients = cases["patient_id"].to_numpy()
    how = f"bootstrap over {len(set(patients))} patients, {replicates} resamples, percentile"
    numbers = {"auc": _number(lambda: auc_interval(labels, scores, patients, replicates, seed), len(labels), how)}
    try:
        single = delong(labels, scores)
        numbers["auc_delong"] = _plain(single.auc, single.low, single.high, len(labels), "DeLong, cases independent")
    except MammoError as error:
        numbers["auc_delong"] = {**_plain(None, None, None, len(labels), "DeLong"), "why": error.sentence}
    numbers["threshold"] = dict(threshold)
    if threshold["value"] is None:
        return numbers
    for name, hits, counted in rates_at(labels, scores, float(threshold["value"])):
        compute = partial(share_interval, hits, counted, patients, replicates, seed)
        numbers[name] = _number(compute, len(labels), f"at the fixed threshold; {how}")
    return numbers


def rates_at(
    labels: NDArray[np.int64], scores: NDArray[np.float64], threshold: float
) -> tuple[tuple[str, NDArray[np.bool_], NDArray[np.bool_]], ...]:
    """Sensitivity, specificity and accuracy at a threshold: name, which cases are hits, which cases count."""
    called, positives = scores >= threshold, labels == 1
    everyone = np.ones(len(labels), np.bool_)
    return (
        ("sensitivity", called, positives),
        ("specificity", ~called, ~positives),
        ("accuracy", called == positives, everyone),
    )


def _number(compute: Callable[[], Interval], n: int, how: str) -> Number:
    try:
        found = compute()
    except MammoError as error:
        return {**_plain(None, None, None, n, how), "why": error.sentence}
    note = f"; {found.discarded} resamples of one class left out" if found.discarded else ""
    return _plain(found.value, found.low, found.high, n, how + note)


def _plain(value: float | None, low: float | None, high: float | None, n: int, how: str) -> Number:
    ends = [None if end is None or not np.isfinite(end) else float(end) for end in (low, high)]
    return {"value": None if value is None else float(value), "low": ends[0], "high": ends[1], "n": n, "how": how}


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    join: str = "image_id",
    breast: str = "mean",
    patient: str = "maximum",
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, dict[str, dict[str, Number]]]:
    """Second minus first on the same cases: `{split: {level: {metric: {value, low, high, n, how}}}}`.

    `auc_difference` is resampled over patients, both scores together; `auc_difference_delong` has z and p as well.

    Args:
        first, second: predictions of two models.
        join: column that tells which rows are the same image.
        breast, patient, replicates, seed: as for `compute_metrics`.

    Raises:
        MammoError: `column_missing`, `join_not_unique`, `nothing_in_common`, `labels_differ`.
    """
    both = _joined(first, second, join)
    result: dict[str, dict[str, dict[str, Number]]] = {}
    for level in LEVELS:
        parts = [at_level(both.assign(score=both[name]), level, breast, patient) for name in ("score", "other_score")]
        if parts[0] is None or parts[1] is None:
            continue
        cases = parts[0].assign(other=parts[1]["score"])
        for split, part in cases.groupby("split", sort=False):
            result.setdefault(str(split), {})[level] = _differences(part, replicates, seed)
    return result


def _joined(first: pd.DataFrame, second: pd.DataFrame, join: str) -> pd.DataFrame:
    if join in ("label", "score"):
        raise MammoError("join_wrong", f"rows cannot be joined by {join!r}", "Name an identifier with --join")
    first = first.drop(columns=["other_label", "other_score"], errors="ignore")
    for table in (first, second):
        if join not in table:
            raise MammoError("column_missing", f"a table has no column {join!r} to join by", "Name another with --join")
        if table[join].duplicated().any():
            value = table.loc[table[join].duplicated(), join].iloc[0]
            raise MammoError("join_not_unique", f"{join} {value!r} stands in more than one row of a table")
    other = second[[join, "label", "score"]].rename(columns={"label": "other_label", "score": "other_score"})
    both = first.merge(other, on=join)
    if both.empty:
        raise MammoError("nothing_in_common", f"the tables have no {join} in common", "Name another with --join")
    if (both["label"] != both["other_label"]).any():
        value = both.loc[both["label"] != both["other_label"], join].iloc[0]
        raise MammoError("labels_differ", f"the tables give {join} {value!r} different labels")
    return both


def _differences(cases: pd.DataFrame, replicates: int, seed: int) -> dict[str, Number]:
    labels = cases["label"].to_numpy(np.int64)
    scores = cases[["score", "other"]].to_numpy(np.float64)
    patients = cases["patient_id"].to_numpy()

    def difference() -> Interval:
        first, second = (auc_interval(labels, scores[:, which], patients, replicates, seed) for which in (0, 1))
        apart = second.replicates - first.replicates  # the same patients in the same order
        low, high = np.quantile(apart, [0.025, 0.975]) if len(apart) > 1 else (np.nan, np.nan)
        return Interval(second.value - first.value, float(low), float(high), apart, first.discarded)

    how = f"paired bootstrap over {len(set(patients))} patients, {replicates} resamples, percentile"
    numbers = {"auc_difference": _number(difference, len(labels), how)}
    try:
        checked(labels, scores[:, 0])
        pair = delong_paired(labels, scores[:, 1], scores[:, 0])
        plain = _plain(pair.difference, pair.low, pair.high, len(labels), "paired DeLong, cases independent")
        numbers["auc_difference_delong"] = {**plain, "z": pair.z, "p": pair.p}
    except MammoError as error:
        numbers["auc_difference_delong"] = {**_plain(None, None, None, len(labels), "DeLong"), "why": error.sentence}
    return numbers

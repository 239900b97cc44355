"""Two models on the same cases: `comparison.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from mammo_tf.evaluation.metrics import named_units
from mammo_tf.evaluation.numbers import (
    Levels,
    Metrics,
    Number,
    Numbers,
    missing_number,
    number_of,
    plain_number,
    with_cases_resampled,
)
from mammo_tf.evaluation.roc import NO_VARIANCE, checked, delong_paired
from mammo_tf.study.cells import WORDS

OTHER = "other_"
NAMES = {"patient_id": "patient", "exam_id": "exam", "breast_id": "breast", "pair_id": "pair"}  # and the word for each
VIEWED = {"laterality": "side", "view": "view"}
SPELLED_OUT = {"LEFT": "L", "RIGHT": "R"}
FEWEST = 10  # patients of the rarer class: with fewer there is no verdict on a difference
FEW = 30  # with fewer, bootstrap and DeLong must agree
LEVEL = 0.05


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    join: str = "image_id",
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    resampling: Resampling = OVER_PATIENTS,
    pool_exams: bool = False,
    levels: Sequence[str] | None = None,
) -> Metrics:
    """Second minus first on the same cases: `{split: {level: {metric: {value, low, high, n, how}}}}`, and aggregates.

    `auc_difference` is resampled over patients, both scores together, with a p (twice the smaller share of resamples on
    one side of no difference, one added to each count); `auc_difference_delong` has z and p as well.

    Args:
        first, second: predictions of two models.
        join: column that tells which rows are the same image; its frames or patches are told apart as in `at_level`.
        aggregates, resampling: as for `compute_metrics`; the interval is the percentile one, whatever
            `resampling.method` says, since both scores are resampled together.
        pool_exams: as for `measured_levels`.
        levels: names of those that are compared; None compares all that are measured.

    Raises:
        MammoError: `column_missing`, `join_not_unique`, `nothing_in_common`, `labels_differ`; `patients_differ`,
            `exams_differ`, `breasts_differ`, `pairs_differ`, `sides_differ`, `views_differ` and `splits_differ` where
            the tables disagree on whose an image is, of what, or in which split it lies.
    """
    both = _joined(first, second, join)
    resampling = named_units(both, resampling)
    splits: dict[str, Levels] = {}
    for level in measured_levels(both, pool_exams):
        if levels is not None and level.name not in levels:
            continue
        parts = [at_level(both.assign(score=both[name]), level.name, aggregates) for name in ("score", "other_score")]
        assert parts[0] is not None  # it is told, else it would not be measured
        assert parts[1] is not None
        cases = parts[0].assign(other=parts[1]["score"])
        for split, part in cases.groupby("split", sort=False):
            splits.setdefault(str(split), {})[level.name] = _differences(part, resampling)
    return Metrics(splits, aggregates_in_force(both, aggregates, pool_exams))


def _joined(first: pd.DataFrame, second: pd.DataFrame, join: str) -> pd.DataFrame:
    keys = join_keys(first, second, join)
    first = first.drop(columns=[name for name in first if str(name).startswith(OTHER)])
    told = [name for name in (*NAMES, *VIEWED, "split") if name in first and name in second]
    shared = ["label", "score", *told]
    other = second[[*keys, *(name for name in shared if name not in keys)]]
    both = first.merge(other.rename(columns={name: OTHER + name for name in shared if name not in keys}), on=keys)
    if both.empty:
        raise MammoError("nothing_in_common", f"the tables have no {join} in common", "Name another with --join")
    if (both["label"] != both["other_label"]).any():
        value = both.loc[both["label"] != both["other_label"], join].iloc[0]
        raise MammoError("labels_differ", f"the tables give {join} {value!r} different labels")
    _check_agreement(both, join)
    return both.drop(columns=[OTHER + name for name in told if name not in keys])


def join_keys(first: pd.DataFrame, second: pd.DataFrame, join: str) -> list[str]:
    """The columns that tell which rows of two tables belong together, each row once.

    Raises:
        MammoError: `join_wrong`, `column_missing`, `join_not_unique`.
    """
    if join in ("label", "score"):
        raise MammoError("join_wrong", f"rows cannot be joined by {join!r}", "Name an identifier with --join")
    for table in (first, second):
        if join not in table:
            remedy = "Name another with --join, or say which it is with --columns image=..."
            raise MammoError("column_missing", f"a table has no column {join!r} to join by", remedy)
    keys = [join, *(column for column in telling(first) if join == "image_id" and column in second)]
    for table in (first, second):
        if table[keys].duplicated().any():
            value = table.loc[table[keys].duplicated(), join].iloc[0]
            raise MammoError("join_not_unique", f"{join} {value!r} stands in more than one row of a table")
    return keys


def overlap_notes(first: pd.DataFrame, second: pd.DataFrame, join: str = "image_id") -> list[str]:
    """How much of two tables is compared where it is not all of both, and whether patients have other names.

    Args:
        first, second, join: as for `compare`.
    """
    keys = join_keys(first, second, join)
    both = len(first[keys].merge(second[keys]))
    notes = []
    if both < max(len(first), len(second)):
        lacking = f"FILE has {len(first) - both} more that OTHER lacks, OTHER {len(second) - both} that FILE lacks"
        notes.append(f"compared are {both} rows, joined by {join}: {lacking}")
    named = [set(table["patient_id"]) for table in (first, second) if "patient_id" in table]
    if len(named) == 2 and not named[0] & named[1]:
        notes.append(f"no patient_id is in both files: that rows are of the same patients is taken from {join} alone")
    return notes


def _check_agreement(both: pd.DataFrame, join: str) -> None:
    """Whose an image is, of what, and in which split it lies is told alike, or in other words throughout.

    Names that are other ones throughout, such as keyed hashes, are taken if they keep the same rows together; exams and
    breasts of two patients may be called alike. Cells are compared where both files tell something, splits where both
    tell some.
    """
    for column, word in NAMES.items():
        within = ["patient_id"] if column in ("exam_id", "breast_id") and f"{OTHER}patient_id" in both else []
        if f"{OTHER}{column}" in both and not _named_alike(both, column, within):
            _raise_difference(both, join, column, f"{word}s_differ", word)
    for column, word in VIEWED.items():
        spelled = _spelled_out(both, column) if f"{OTHER}{column}" in both else None
        if spelled is not None and not _told_alike(spelled, column):
            _raise_difference(spelled, join, column, f"{word}s_differ", word)
    if f"{OTHER}split" in both:
        told = all(len(set(both[name])) > 1 for name in ("split", f"{OTHER}split"))
        if told and (both["split"] != both[f"{OTHER}split"]).any():
            _raise_difference(both, join, "split", "splits_differ", "split")


def _named_alike(both: pd.DataFrame, column: str, within: list[str]) -> bool:
    """Whether two columns of names are equal, or name the same groups of rows and share no name."""
    told = both[(both[column] != "") & (both[OTHER + column] != "")]
    if (told[column] == told[OTHER + column]).all():
        return True
    groups = [[*within, column], [OTHER + name for name in (*within, column)]]
    counts = [len(told[names].drop_duplicates()) for names in (*groups, sum(groups, []))]
    return not set(told[column]) & set(told[OTHER + column]) and len(set(counts)) == 1


def _spelled_out(both: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table with two columns of a manifest's words spelled as the manifest does."""
    names = [column, OTHER + column]
    return both.assign(**{name: both[name].str.strip().str.upper().replace(SPELLED_OUT) for name in names})


def _told_alike(both: pd.DataFrame, column: str) -> bool:
    """Whether two columns of a manifest's words are equal, or one is in words of its own for the same."""
    told = both[(both[column] != "") & (both[OTHER + column] != "")]
    ours = told[column].isin(WORDS[column]) & told[OTHER + column].isin(WORDS[column])
    return not (ours & (told[column] != told[OTHER + column])).any() and _named_alike(told, column, [])


def _raise_difference(both: pd.DataFrame, join: str, column: str, code: str, word: str) -> None:
    apart = (both[column] != both[OTHER + column]) & (both[column] != "") & (both[OTHER + column] != "")
    row = both[apart].iloc[0]
    sentence = (
        f"{join} {row[join]!r} has the {word} {row[column]!r} in one table and {row[OTHER + column]!r} in the other"
    )
    raise MammoError(code, sentence, f"Compare files of the same images, or correct the {word} in one of them")


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

    number = number_of(over_patients, len(labels), how)
    if drawn and len(drawn[0].replicates) > 1:
        number["p"] = two_sided(drawn[0].replicates)
        number["p_least"] = 2 / (len(drawn[0].replicates) + 1)
    with_cases_resampled(number, partial(difference, None), resampling)
    paired = _delong_difference(labels, scores)
    number["rarer_class"] = min(len(set(patients[labels == label])) for label in (0, 1))
    if number["value"] is not None and (caution := _caution(number, paired)):
        number["caution"] = caution
    return {"auc_difference": number, "auc_difference_delong": paired}


def _delong_difference(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> Number:
    try:
        checked(labels, scores[:, 0])
        pair = delong_paired(labels, scores[:, 1], scores[:, 0])
    except MammoError as error:
        return missing_number(len(labels), "DeLong", error.sentence)
    plain = plain_number(pair.difference, pair.low, pair.high, len(labels), "paired DeLong, cases independent")
    if pair.variance <= NO_VARIANCE:
        plain = {**plain, "low": None, "high": None, "why": "no interval: DeLong's variance is 0"}
    return {**plain, "z": pair.z, "p": pair.p}


def few_words(patients: int) -> str:
    """Why so many patients of the rarer class allow no verdict."""
    many = "1 patient" if patients == 1 else f"{patients} patients"
    return f"the rarer class has {many}, and {FEWEST} are the least for a verdict"


def _caution(number: Number, paired: Number) -> str:
    """Why a difference is not to be called one way or the other; empty where nothing speaks against it."""
    said = []
    if number["rarer_class"] < FEWEST:
        said.append(few_words(number["rarer_class"]))
    tests = [p for p in (number.get("p"), paired.get("p")) if p is not None]
    if len(tests) == 2 and number["rarer_class"] < FEW and min(tests) < LEVEL <= max(tests):
        said.append(f"p is {tests[0]:.3f} by the bootstrap and {tests[1]:.3f} by DeLong, so neither settles it")
    return "; ".join(said)


def two_sided(replicates: NDArray[np.float64]) -> float:
    """p of no difference: twice the smaller share of resamples on one side of it, one added to each count."""
    smaller = min((replicates <= 0).sum(), (replicates >= 0).sum())
    return float(min(1.0, 2 * (smaller + 1) / (len(replicates) + 1)))

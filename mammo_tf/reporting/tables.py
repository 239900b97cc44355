"""The tables of the report: AUC and operating point, paired differences, subgroups; and the sentences next to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.bands import auc_interval
from mammo_tf.evaluation.levels import with_identity
from mammo_tf.evaluation.number_text import (
    REPORT,
    REPORT_DIFFERENCE,
    REPORT_WIDE,
    Form,
    ends_text,
    threshold_text,
    value_text,
)
from mammo_tf.evaluation.numbers import interval_number
from mammo_tf.evaluation.subgroups import OF_LESIONS, banded, ordered_values
from mammo_tf.evaluation.titles import title_of
from mammo_tf.reporting.scores import PLURALS, Numbers, Scores

RATES = ("sensitivity", "specificity", "accuracy")  # of the first table; the second has what else the files hold
FIRST = ("auc", "threshold", *RATES)
SUBGROUPS = {
    "density": "Breast density",
    "manufacturer": "Manufacturer",
    "view": "View",
    "age": "Age",
    "finding_kind": "Kind of finding, against all negative images",
    "finding_size_mm": "Size of finding, against all negative images",
}
SUBGROUP_REPLICATES = 1000
MOST_VALUES = 12  # of a subgroup column; what is rarer is left out, and counted


@dataclass(frozen=True)
class Cell:
    """A number of a table, or why there is none.

    Attributes:
        value: as it stands in the file; None where it does not exist.
        text: as shown.
        interval: shown behind it, may be empty.
        why: why there is no value or no interval, or what is to be held against it; empty where there is nothing.
    """

    value: float | None
    text: str
    interval: str = ""
    why: str = ""


def cell(number: Mapping[str, Any] | None, missing: str = "not in the file", form: Form = REPORT) -> Cell:
    """A number of `metrics.json` or `comparison.json` as a cell."""
    if number is None or number.get("value") is None:
        return Cell(None, form.missing, "", str((number or {}).get("why", missing)))
    why = "; ".join(str(number[name]) for name in ("why", "caution") if number.get(name))
    return Cell(float(number["value"]), value_text(number["value"], form), ends_text(number, form), why)


@dataclass(frozen=True)
class AucRow:
    """A model in the table of AUC.

    Attributes:
        scores: whose row it is.
        positives: how many of the cases are positive.
        auc, threshold, rates: cells.
        low, value, high: the AUC's place on the drawn scale, percent; None where it does not exist.
    """

    scores: Scores
    positives: int
    auc: Cell
    threshold: Cell
    rates: dict[str, Cell]
    drawn: tuple[float, float, float] | None


def auc_row(scores: Scores, scale_from: float) -> AucRow:
    """The row of one model at one level; the scale drawn next to it runs from `scale_from` to 1."""
    numbers = scores.numbers
    threshold = numbers.get("threshold")
    point = cell(threshold)
    if point.value is not None:
        point = Cell(point.value, threshold_text(point.value))
    why = f"no threshold: {point.why}" if point.why else "not in the file"
    rates = {rate: cell(numbers.get(rate), why) for rate in RATES}
    area = numbers.get("auc", {})
    drawn = None
    if area.get("low") is not None:
        low, value, high = (100 * (area[end] - scale_from) / (1 - scale_from) for end in ("low", "value", "high"))
        drawn = (max(low, 0.0), value, high)
    return AucRow(scores, int(scores.labels.sum()), cell(area), point, rates, drawn)


@dataclass(frozen=True)
class Further:
    """What the files hold next to the first table.

    Attributes:
        names: of the models, with the place of each among the entries.
        rows: title of a metric, and a cell for each model.
    """

    names: tuple[tuple[int, str], ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def further(models: Mapping[int, Scores]) -> Further:
    """Every metric of the files at this level that the first table does not show, in the order of the files."""
    metrics = dict.fromkeys(name for model in models.values() for name in model.numbers if name not in FIRST)
    rows = tuple(
        (title_of(metric), tuple(cell(model.numbers.get(metric), form=REPORT_WIDE) for model in models.values()))
        for metric in metrics
    )
    return Further(tuple((place, model.name) for place, model in models.items()), rows)


def scale_start(models: Sequence[Scores]) -> float:
    """Where the drawn scale of AUC begins: 0.5, or the tenth below the lowest interval."""
    lows = [model.numbers["auc"]["low"] for model in models if model.numbers.get("auc", {}).get("low") is not None]
    return min([0.5, *(float(np.floor(low * 10) / 10) for low in lows)])


def answer(name: str, level: str, numbers: Numbers) -> str:
    """One sentence: the paired difference, its interval, and whether it excludes zero."""
    number = numbers.get("auc_difference", {})
    if number.get("value") is None:
        return f"{name}: there is no paired difference per {level}, since {number.get('why', 'the file has none')}."
    sentence = f"{name}: the AUC per {level} changes by {value_text(number['value'], REPORT_DIFFERENCE)}"
    low, high = number.get("low"), number.get("high")
    if low is None or high is None:
        return f"{sentence}, without an interval, so nothing is shown."
    ends = ends_text(number, REPORT_DIFFERENCE)
    sentence += f" (95 % interval {ends}, paired, patients resampled, {number['n']} {PLURALS[level]})"
    if number.get("caution"):
        return f"{sentence}. No verdict: {number['caution']}."
    if low > 0:
        return f"{sentence}. The interval lies above zero."
    if high < 0:
        return f"{sentence}. The interval lies below zero: it became worse."
    return f"{sentence}. The interval includes zero: a difference has not been shown."


@dataclass(frozen=True)
class Subgroups:
    """AUC per image of every model within the values of one column.

    Attributes:
        title: of the column.
        values: shown values, most frequent first or A to D.
        rows: model name -> one cell and number of images for each value.
        left_out: values that are not shown, because there are too many.
    """

    title: str
    values: tuple[str, ...]
    rows: dict[str, tuple[tuple[Cell, int, int], ...]]
    left_out: int


def subgroups(tables: Mapping[str, pd.DataFrame]) -> tuple[Subgroups, ...]:
    """Tables for those columns of `SUBGROUPS` that take two values or more; ages and sizes in bands.

    Args:
        tables: model -> predictions of the split that is shown.
    """
    found = []
    for column, title in SUBGROUPS.items():
        named = {
            name: table.assign(value=banded(table[column], column)) for name, table in tables.items() if column in table
        }
        counts = Counter(value for table in named.values() for value in _counted(table, column))
        if len(counts) < 2:
            continue
        most = {value for value, _ in counts.most_common(MOST_VALUES)}
        everyone = pd.concat(list(named.values()))
        kept = [value for value in ordered_values(everyone, column) if value in most]
        rows = {name: tuple(_subgroup(named.get(name), column, value) for value in kept) for name in tables}
        found.append(Subgroups(title, tuple(kept), rows, len(counts) - len(kept)))
    return tuple(found)


def _counted(table: pd.DataFrame, column: str) -> pd.Series[str]:
    """The known values of the cases that a column is about."""
    chosen = table[table["label"] == 1] if column in OF_LESIONS else table
    return chosen.loc[chosen["value"] != "unknown", "value"]


def _subgroup(table: pd.DataFrame | None, column: str, value: str) -> tuple[Cell, int, int]:
    """The cell, the number of images and of positives among them."""
    if table is None:
        return Cell(None, "—", "", "no image"), 0, 0
    members = table["value"] == value
    if not members.any():
        return Cell(None, "—", "", "no image"), 0, 0
    part = table[members | (table["label"] == 0)] if column in OF_LESIONS else table[members]
    labels = part["label"].to_numpy(np.int64)
    try:
        patients = with_identity(part)["patient_id"].to_numpy(str)
        found = auc_interval(labels, part["score"], patients, SUBGROUP_REPLICATES)
    except MammoError:
        return Cell(None, "—", "", "one class only"), len(part), int(labels.sum())
    number = interval_number(found, len(part), "")
    return cell(number), len(part), int(labels.sum())


def ways(models: Sequence[Numbers]) -> tuple[tuple[str, str], ...]:
    """Metric and how it was made, each way once."""
    seen = {(title_of(metric), str(number.get("how", ""))) for one in models for metric, number in one.items()}
    return tuple(sorted(pair for pair in seen if pair[1]))

"""The same numbers within parts of the cases: manufacturer, density, age band, kind and size of lesion, any column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.intervals import OVER_PATIENTS, Resampling
from mammo_tf.evaluation.levels import (
    DEFAULT_AGGREGATES,
    at_level,
    case_columns,
    level_named,
    parts_of,
    with_identity,
)
from mammo_tf.evaluation.metrics import (
    check_threshold_split,
    given_threshold,
    named_units,
    numbers_at,
    threshold_of,
)
from mammo_tf.evaluation.numbers import Numbers
from mammo_tf.evaluation.operating import G_MEAN, OperatingRule

AGE_BANDS = (50, 60, 70)
SIZE_BANDS_MM = (10, 20)
OF_LESIONS = ("finding_kind", "finding_size_mm")  # negatives have none: each value is set against all of them


def subgroup_metrics(
    table: pd.DataFrame,
    column: str,
    level: str = "breast",
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    resampling: Resampling = OVER_PATIENTS,
    rule: OperatingRule = G_MEAN,
    threshold_split: str = "validation",
    threshold: float | None = None,
) -> dict[str, dict[str, Numbers]]:
    """`{split: {value: {metric: number}}}`: numbers of every value of a column, at the threshold of all cases.

    Ages are put in bands (under 50, 50-59, 60-69, 70 and over), sizes too (under 10 mm, 10-19, 20 and over). A column
    of lesions (`finding_kind`, `finding_size_mm`) splits the positives only: each part is set against all negatives.
    Subgroups are many looks at one sample: their intervals are not corrected for that.

    Args:
        table: as `read_predictions` gives it, with the column.
        column: what to split by; cases of a breast or patient take the value of their first positive image, else of
            their first image. An empty value is "unknown".
        level: as for `at_level`; a table without laterality has no breasts.
        aggregates, resampling, rule, threshold_split, threshold: as for `compute_metrics`.

    Raises:
        MammoError: `column_missing`, `level_unknown`, `threshold_on_test`.
    """
    if column not in table:
        raise MammoError("column_missing", f"the predictions have no column {column!r}", "Name one that they have")
    check_threshold_split(threshold_split)
    cases = _cases(table, column, level, aggregates)
    resampling = named_units(table, resampling)
    chosen = cases[cases["split"] == threshold_split]
    point = threshold_of(chosen, threshold_split, rule) if threshold is None else given_threshold(threshold)
    found: dict[str, dict[str, Numbers]] = {}
    for split, part in cases.groupby("split", sort=False):
        for value in ordered_values(part, column):
            members = part["value"] == value
            if column in OF_LESIONS:
                members |= part["label"] == 0
            here = split == threshold_split and threshold is None
            found.setdefault(str(split), {})[value] = numbers_at(part[members], point, resampling, chosen_here=here)
    return found


def _cases(table: pd.DataFrame, column: str, level: str, aggregates: Mapping[str, str]) -> pd.DataFrame:
    values = banded(table[column], column)
    cases = at_level(table, level, aggregates)
    if cases is None:
        unit = level_named(level)
        sentence = f"the predictions have no {unit.told_by[-1]}, so there are no {unit.plural}"
        raise MammoError("column_missing", sentence, "Use image")
    if parts_of(table, level_named(level)) is None:
        return cases.assign(value=values.to_numpy())
    rows = with_identity(table).assign(value=values).sort_values("label", ascending=False, kind="stable")
    keys = ["split", *case_columns(table, level_named(level))]
    return cases.merge(rows.drop_duplicates(keys)[[*keys, "value"]], on=keys, how="left")


def ordered_values(cases: pd.DataFrame, column: str) -> list[str]:
    """Values that occur, in their natural order, "unknown" last; of a lesion's column only those of positives."""
    chosen = cases[cases["label"] == 1] if column in OF_LESIONS else cases
    return sorted({str(value) for value in chosen["value"]}, key=_natural)


def _natural(value: str) -> tuple[int, str]:
    return (2 if value == "unknown" else 0 if value.startswith("under") else 1, value)


def banded(values: pd.Series, column: str) -> pd.Series:
    """Ages and sizes as names of bands, other values as text, empty ones as "unknown".

    Args:
        values: of the column.
        column: its name; `age` and `finding_size_mm` are banded.
    """
    if column == "age":
        return _bands(values, AGE_BANDS, "")
    if column == "finding_size_mm":
        return _bands(values, SIZE_BANDS_MM, " mm")
    text = values.fillna("").astype(str).str.strip()
    return text.where(text != "", "unknown")


def _bands(values: pd.Series, edges: Sequence[int], unit: str) -> pd.Series:
    years = values.astype("object").map(str).str.strip().str.removesuffix("Y")  # DICOM writes 061Y
    numbers = pd.to_numeric(years, errors="coerce").to_numpy(np.float64)
    names = [f"under {edges[0]}{unit}"]
    names += [f"{low}-{high - 1}{unit}" for low, high in zip(edges[:-1], edges[1:], strict=True)]
    names += [f"{edges[-1]}{unit} and over", "unknown"]
    place = np.searchsorted(np.asarray(edges, np.float64), numbers, side="right")
    place[~np.isfinite(numbers)] = len(names) - 1
    return pd.Series(np.asarray(names, object)[place], index=values.index)

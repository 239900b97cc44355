"""The same numbers within parts of the cases: manufacturer, density, age band, kind and size of lesion, any column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.intervals import OVER_PATIENTS, Resampling
from mammo_tf.evaluation.metrics import Number, check_threshold_split, numbers_at, threshold_of
from mammo_tf.evaluation.operating import G_MEAN, OperatingRule
from mammo_tf.evaluation.predictions import at_level

AGE_BANDS = (50, 60, 70)
SIZE_BANDS_MM = (10, 20)
OF_LESIONS = ("finding_kind", "finding_size_mm")  # negatives have none: each value is set against all of them


def subgroup_metrics(
    table: pd.DataFrame,
    column: str,
    level: str = "breast",
    breast: str = "mean",
    patient: str = "maximum",
    resampling: Resampling = OVER_PATIENTS,
    rule: OperatingRule = G_MEAN,
    threshold_split: str = "validation",
) -> dict[str, dict[str, dict[str, Number]]]:
    """`{split: {value: {metric: number}}}`: numbers of every value of a column, at the threshold of all cases.

    Ages are put in bands (under 50, 50-59, 60-69, 70 and over), sizes too (under 10 mm, 10-19, 20 and over). A column
    of lesions (`finding_kind`, `finding_size_mm`) splits the positives only: each part is set against all negatives.
    Subgroups are many looks at one sample: their intervals are not corrected for that.

    Args:
        table: as `read_predictions` gives it, with the column.
        column: what to split by; cases of a breast or patient take the value of their first positive image, else of
            their first image. An empty value is "unknown".
        level: "image", "breast" or "patient"; a table without laterality has no breasts.
        breast, patient, resampling, rule, threshold_split: as for `compute_metrics`.

    Raises:
        MammoError: `column_missing`, `level_unknown`, `threshold_on_test`.
    """
    if column not in table:
        raise MammoError("column_missing", f"the predictions have no column {column!r}", "Name one that they have")
    check_threshold_split(threshold_split)
    cases = _cases(table, column, level, breast, patient)
    threshold = threshold_of(cases[cases["split"] == threshold_split], threshold_split, rule)
    found: dict[str, dict[str, dict[str, Number]]] = {}
    for split, part in cases.groupby("split", sort=False):
        for value in ordered_values(part, column):
            members = part["value"] == value
            if column in OF_LESIONS:
                members |= part["label"] == 0
            found.setdefault(str(split), {})[value] = numbers_at(part[members], threshold, resampling)
    return found


def _cases(table: pd.DataFrame, column: str, level: str, breast: str, patient: str) -> pd.DataFrame:
    values = banded(table[column], column)
    images = table.assign(value=values).sort_values("label", ascending=False, kind="stable")
    cases = at_level(table, level, breast, patient)
    if cases is None:
        raise MammoError("column_missing", "the predictions have no laterality, so there are no breasts", "Use image")
    if level == "image":
        return cases.assign(value=values.to_numpy())
    case_id = images["patient_id"]
    if level == "breast":
        side = images["breast_id"] if "breast_id" in images else images["laterality"]
        case_id = case_id + " " + images.get("exam_id", "") + " " + side
    first = images.assign(case_id=case_id).drop_duplicates(["split", "case_id"])[["split", "case_id", "value"]]
    return cases.merge(first, on=["split", "case_id"], how="left")


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

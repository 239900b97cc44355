"""Before and after by subgroup: age, density, maker, view, lesion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mammo_tf.adaptation.ladder_measure import Measure
from mammo_tf.evaluation.subgroups import OF_LESIONS, banded, ordered_values
from mammo_tf.recipes.recipe import Evaluation

GROUPS = {
    "age": "Age", "density": "Density", "manufacturer": "Maker", "view": "View", "finding_kind": "Kind of lesion",
    "finding_size_mm": "Size of lesion",
}  # fmt: skip
FEWEST = 10  # patients of either class


def subgroup_rows(
    before: pd.DataFrame, after: pd.DataFrame, measure: Measure, evaluation: Evaluation
) -> list[dict[str, Any]]:
    """The measure before and after and their paired difference, for each value of each column that tells two or more.

    Many looks at one sample: intervals are not corrected for that. A group with fewer than 10 patients of a class is
    left out. `worse` is true where the interval of the difference lies below 0.

    Args:
        before, after: predictions of test by the untouched model and by the chosen rung.
        measure, evaluation: how they are compared.
    """
    rows = []
    for column, title in GROUPS.items():
        if column not in before:
            continue
        groups = banded(before[column], column)
        values = ordered_values(before.assign(value=groups), column)
        if len(values) < 2:
            continue
        for value in values:
            members = groups == value
            if column in OF_LESIONS:
                members |= before["label"] == 0
            part = before[members]
            if _fewest(part) < FEWEST:
                continue
            other = after[after["image_id"].isin(part["image_id"])]
            difference = measure.apart(part, other, evaluation)
            rows.append(
                {
                    "column": column, "title": title, "value": value, "before": measure.of(part, evaluation),
                    "after": measure.of(other, evaluation), "difference": difference, "images": len(part),
                    "positives": int(part["label"].sum()),
                    "worse": difference["high"] is not None and difference["high"] < 0,
                }
            )  # fmt: skip
    return rows


def _fewest(part: pd.DataFrame) -> int:
    """Patients of the rarer class."""
    sick = part.groupby("patient_id")["label"].max().to_numpy(np.int64)
    return int(min(sick.sum(), len(sick) - sick.sum()))

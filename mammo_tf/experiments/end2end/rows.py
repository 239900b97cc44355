"""The rows of the thesis's Tables 2 to 5, 8 and 9, what was published in each, and the numbers of one seed's runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_tf.evaluation import (
    Metrics,
    Resampling,
    adjusted,
    at_level,
    compare,
    compute_metrics,
    read_predictions,
)
from mammo_tf.evaluation.numbers import Levels
from mammo_tf.experiments.end2end.recipes import FAMILIES, TABLE_6

Published = Mapping[str, float]
Numbers = dict[str, Any]


def _published(
    auc: float, low: float, high: float, sensitivity: float, specificity: float, threshold: float
) -> Published:
    return {
        "auc": auc, "low": low, "high": high, "sensitivity": sensitivity, "specificity": specificity,
        "threshold": threshold,
    }  # fmt: skip


PUBLISHED: Mapping[str, Published] = {
    "model_1_at_source_1": _published(0.881, 0.869, 0.894, 0.791, 0.802, 0.332),  # Table 3, CBIS-DDSM
    "model_2_at_source_1": _published(0.789, 0.772, 0.806, 0.749, 0.651, 0.247),  # Table 3
    "model_1_at_source_2": _published(0.721, 0.650, 0.787, 0.510, 0.951, 0.520),  # Table 2, INbreast
    "model_2_at_source_2": _published(0.967, 0.946, 0.986, 0.870, 0.974, 0.282),  # Table 2
    "model_1": _published(0.732, 0.653, 0.810, 0.641, 0.794, 0.306),  # Table 4
    "baseline": _published(0.755, 0.686, 0.827, 0.666, 0.790, 0.256),  # Tables 4 and 9
    "radiomics": _published(0.752, 0.641, 0.863, 0.692, 0.820, 0.552),  # Tables 5 and 9
    "config_1": _published(0.802, 0.736, 0.860, 0.653, 0.833, 0.284),  # Tables 8 and 9
    "config_2": _published(0.809, 0.746, 0.864, 0.692, 0.794, 0.253),  # Tables 8 and 9
}


@dataclass(frozen=True)
class ThesisRow:
    """One row.

    Attributes:
        key: in tables.json.
        title: in tables.md.
        place: folder of its predictions, in the folder of a seed.
        published: key in `PUBLISHED`; empty where the thesis has no such row.
        classifier: of a patient model, whose predictions have a line a patient; empty for a network.
    """

    key: str
    title: str
    place: str
    published: str = ""
    classifier: str = ""

    @property
    def level(self) -> str:
        """Level of the row's own numbers: image as in the thesis, or patient."""
        return "patient" if self.classifier else "image"

    def predictions(self, folder: Path) -> pd.DataFrame:
        """Predictions of validation and test; those of a patient model have a line a patient."""
        if self.classifier:
            table = read_predictions(folder / self.place / f"predictions_{self.classifier}.csv")
            return table[table["split"].isin(("validation", "test"))].reset_index(drop=True)
        parts = [folder / self.place / f"predictions_{split}.csv" for split in ("validation", "test")]
        return pd.concat([read_predictions(path) for path in parts if path.is_file()], ignore_index=True)

    def is_there(self, folder: Path) -> bool:
        """Whether the row was run."""
        name = f"predictions_{self.classifier}.csv" if self.classifier else "predictions_test.csv"
        return (folder / self.place / name).is_file()


IN_DOMAIN = (
    ThesisRow(
        "model_1_at_source_1", "model 1 at source site 1 (its own)", "model_1_at_source_1", "model_1_at_source_1"
    ),
    ThesisRow("model_2_at_source_1", "model 2 at source site 1", "model_2_at_source_1", "model_2_at_source_1"),
    ThesisRow("model_1_at_source_2", "model 1 at source site 2", "model_1_at_source_2", "model_1_at_source_2"),
    ThesisRow(
        "model_2_at_source_2", "model 2 at source site 2 (its own)", "model_2_at_source_2", "model_2_at_source_2"
    ),
)
BASELINE = ThesisRow("baseline", "model 2 = baseline", "baseline_at_target", "baseline")


def target_rows(families: tuple[str, ...]) -> tuple[ThesisRow, ...]:
    """The rows at the target, for the families of rates that are run."""
    rows = [
        ThesisRow("model_1", "model 1", "model_1_at_target", "model_1"),
        BASELINE,
        ThesisRow(
            "radiomics_34", "baseline + radiomics, 34 features", "radiomics_34", "radiomics", "gradient_boosting"
        ),
        ThesisRow("radiomics_32", "baseline + radiomics, 32, as run", "radiomics_32", "radiomics", "gradient_boosting"),
        ThesisRow("plain_maximum", "baseline, maximum of four views", "radiomics_34", "", "maximum"),
        ThesisRow("plain_mean", "baseline, mean of four views", "radiomics_34", "", "mean"),
    ]
    for family in families:
        words = FAMILIES[family]
        for number in (1, 2):
            published = f"config_{number}" if family == TABLE_6 else ""
            place = f"config_{number}_{family}"
            rows.append(ThesisRow(place, f"configuration {number}, {words}", place, published))
        rows.append(ThesisRow(f"as_run_{family}", f"configurations 1 and 2 as run, {words}", f"as_run_{family}"))
    return tuple(rows)


def difference_pairs(families: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    """(key, first row, second row) of every paired comparison at the target, second minus first."""
    pairs = [("baseline_minus_model_1", "model_1", "baseline")]
    pairs += [(f"{key}_minus_baseline", "baseline", key) for key in ("radiomics_34", "radiomics_32")]
    pairs += [(f"{key}_minus_plain_maximum", "plain_maximum", key) for key in ("radiomics_34", "radiomics_32")]
    for family in families:
        names = (f"config_1_{family}", f"config_2_{family}", f"as_run_{family}")
        pairs += [(f"{name}_minus_baseline", "baseline", name) for name in names]
        pairs.append((f"config_2_{family}_minus_config_1_{family}", names[0], names[1]))
    return tuple(pairs)


def row_numbers(row: ThesisRow, folder: Path, resampling: Resampling) -> Levels:
    """`{level: {metric: number}}` of the split test; the threshold is the G-mean's on validation.

    Args:
        row: that was run.
        folder: of the seed.
        resampling: how intervals are made.
    """
    found = compute_metrics(row.predictions(folder), resampling=resampling)["test"]
    return {"patient": found["image"]} if row.classifier else found


def difference_numbers(first: ThesisRow, second: ThesisRow, folder: Path, resampling: Resampling) -> Levels:
    """`{level: {metric: number}}` of second minus first on test patients; at level patient where one has no images."""
    tables = [row.predictions(folder) for row in (first, second)]
    if not (first.classifier or second.classifier):
        return compare(tables[0], tables[1], resampling=resampling)["test"]
    lines = [
        table if row.classifier else _a_line_a_patient(table)
        for row, table in zip((first, second), tables, strict=True)
    ]
    return {"patient": compare(lines[0], lines[1], resampling=resampling)["test"]["image"]}


def _a_line_a_patient(table: pd.DataFrame) -> pd.DataFrame:
    cases = at_level(table, "patient")
    assert cases is not None  # only breasts may be missing
    return cases.assign(image_id=cases["patient_id"])


def seed_numbers(folder: Path, families: tuple[str, ...], resampling: Resampling) -> Numbers:
    """All numbers of one seed: `{"in_domain": {row: ...}, "rows": {row: ...}, "differences": {key: ...}}`.

    Rows that were not run (no source site, no features) are left out. The differences are several looks at the same
    patients, so each p has its q next to it.
    """
    rows = {row.key: row for row in target_rows(families) if row.is_there(folder)}
    differences = {
        key: Metrics({"test": difference_numbers(rows[first], rows[second], folder, resampling)})
        for key, first, second in difference_pairs(families)
        if first in rows and second in rows
    }
    return {
        "in_domain": {row.key: row_numbers(row, folder, resampling) for row in IN_DOMAIN if row.is_there(folder)},
        "rows": {key: row_numbers(row, folder, resampling) for key, row in rows.items()},
        "differences": {key: dict(one["test"]) for key, one in adjusted(differences).items()},
    }

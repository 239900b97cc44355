"""The seven rows of Table 2, what was published in each, and the numbers of one seed's runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.evaluation import auc, bootstrap, read_predictions
from mammo_tf.experiments.ffdm_to_dbt.recipes import DBT, FFDM

Numbers = dict[str, Any]
DRAW = "draw_"  # in front of its number


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        key: in tables.json, and the folder of its predictions.
        testing: modality of the test images.
        matched: whether their histogram was matched to that of mammograms.
        procedure: as the paper calls it.
        published: mean and standard deviation over three draws of the patches.
    """

    key: str
    testing: str
    matched: bool
    procedure: str
    published: tuple[float, float]

    @property
    def title(self) -> str:
        """Testing data as the paper writes it."""
        return self.testing if self.testing == FFDM else f"MIP{' with HM' if self.matched else ''}"


ROWS = (
    Row("base", FFDM, False, "from scratch", (0.909, 0.001)),
    Row("mip", DBT, False, "test only", (0.751, 0.001)),
    Row("mip_last_layer", DBT, False, "fine-tune (last layer)", (0.759, 0.003)),
    Row("mip_spottune", DBT, False, "SpotTune", (0.825, 0.002)),
    Row("matched", DBT, True, "test only", (0.847, 0.001)),
    Row("matched_last_layer", DBT, True, "fine-tune (last layer)", (0.837, 0.001)),
    Row("matched_spottune", DBT, True, "SpotTune", (0.830, 0.002)),
)
DIFFERENCES = (  # key, first row, second row: second minus first, on the same patches
    ("matching", "mip", "matched"),
    ("last_layer", "mip", "mip_last_layer"),
    ("spottune", "mip", "mip_spottune"),
    ("last_layer_after_matching", "matched", "matched_last_layer"),
    ("spottune_after_matching", "matched", "matched_spottune"),
    ("matching_against_spottune", "mip_spottune", "matched"),
)


def scores_of_test(folder: Path) -> pd.DataFrame:
    """A row an image of split test: `image_id`, `patient_id`, `label`, and scores of each draw (`draw_0`, ...).

    Args:
        folder: with `predictions_test.csv`.
    """
    table = read_predictions(folder / "predictions_test.csv")
    table["draw"] = DRAW + table["patch_seed"] if "patch_seed" in table else f"{DRAW}0"
    wide = table.set_index(["image_id", "draw"])["score"].unstack()  # noqa: PD010 - each pair stands there once
    return table.drop_duplicates("image_id").set_index("image_id")[["patient_id", "label"]].join(wide).reset_index()


def row_numbers(folder: Path, replicates: int) -> Numbers:
    """The AUC of each draw, their mean and standard deviation, and the mean's 95 % interval over patients.

    Args:
        folder: of the row's predictions.
        replicates: of the bootstrap.
    """
    scores = scores_of_test(folder)
    columns = _draws(scores)
    each = [auc(scores["label"], scores[column]) for column in columns]
    found = bootstrap(_mean_auc, scores["label"], scores[columns], scores["patient_id"], replicates)
    return {
        "auc": found.value, "low": found.low, "high": found.high, "draws": each, "deviation": _deviation(each),
        "patients": int(scores["patient_id"].nunique()), "images": len(scores), "positive": int(scores["label"].sum()),
    }  # fmt: skip


def difference_numbers(first: Path, second: Path, replicates: int) -> Numbers:
    """Mean over the draws of second minus first, on the images of both, with its 95 % interval over patients."""
    one, two = scores_of_test(first), scores_of_test(second)
    columns = _draws(one)
    both = one.merge(two, on="image_id", suffixes=("", "_second"))
    pairs = both[[*columns, *(f"{column}_second" for column in columns)]].to_numpy(np.float64)

    def statistic(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
        return _mean_auc(labels, scores[:, len(columns) :]) - _mean_auc(labels, scores[:, : len(columns)])

    found = bootstrap(statistic, both["label"], pairs, both["patient_id"], replicates)
    return {"difference": found.value, "low": found.low, "high": found.high, "images": len(both)}


def seed_numbers(folder: Path, replicates: int) -> Numbers:
    """All numbers of one seed: `{"rows": {row: ...}, "differences": {key: ...}}`."""
    return {
        "rows": {row.key: row_numbers(folder / row.key, replicates) for row in ROWS},
        "differences": {
            key: difference_numbers(folder / first, folder / second, replicates) for key, first, second in DIFFERENCES
        },
    }


def over_seeds(values: Mapping[str, float]) -> dict[str, float]:
    """Mean, smallest and largest of the seeds' values."""
    many = list(values.values())
    return {"mean": float(np.mean(many)), "low": min(many), "high": max(many)}


def _draws(scores: pd.DataFrame) -> list[str]:
    return [column for column in map(str, scores) if column.startswith(DRAW)]


def _mean_auc(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    return float(np.mean([auc(labels, scores[:, draw]) for draw in range(scores.shape[1])]))


def _deviation(values: list[float]) -> float | None:
    """Standard deviation with n - 1; None for a single draw."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None

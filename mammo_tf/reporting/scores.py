"""The scores of one model at one level, with the numbers that were made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import LEVELS, Metrics, at_level, auc
from mammo_tf.evaluation.froc import ClusterCounts, table_counts

Numbers = Mapping[str, Mapping[str, Any]]
PLURALS = {level.name: level.plural for level in LEVELS}
SAME_AUC = 5e-4  # half a unit of the third digit, the last one shown


@dataclass(frozen=True)
class Scores:
    """Cases of one model, one split, one level.

    Args:
        name: of the model or of the row, shown in figures.
        labels: int64 `[n]`, 0 or 1.
        scores: float64 `[n]`.
        patients: `[n]`, whom each case belongs to.
        numbers: metric -> {value, low, high, n, how}, of `metrics.json` at this split and level.
        counts: clusters of every image; empty at other levels, and where none were counted.
    """

    name: str
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    patients: NDArray[Any]
    numbers: Numbers
    counts: tuple[ClusterCounts, ...] = ()

    @property
    def both_classes(self) -> bool:
        """Whether there is a positive and a negative case, hence a ROC curve."""
        return bool(0 < self.labels.sum() < len(self.labels))

    def number(self, metric: str) -> float | None:
        """The value of a metric; None where it does not exist."""
        value = self.numbers.get(metric, {}).get("value")
        return None if value is None else float(value)

    def disagreement(self) -> str:
        """What is wrong where the metrics were not made of these scores; empty where they agree."""
        if len(self.labels) != self.numbers.get("auc", {}).get("n", len(self.labels)):
            return f"metrics.json counts {self.numbers['auc']['n']} cases, the predictions have {len(self.labels)}"
        stated = self.number("auc")
        if stated is None or not self.both_classes:
            return ""
        found = auc(self.labels, self.scores)
        if abs(found - stated) <= SAME_AUC:
            return ""
        return f"metrics.json says AUC {stated:.3f}, the predictions give {found:.3f}"


def scores_at(name: str, table: pd.DataFrame, metrics: Metrics, split: str, level: str) -> Scores | None:
    """Scores of one split and level; the aggregates are those that the metrics were made with.

    Args:
        name: shown in figures.
        table: as `read_predictions` gives it.
        metrics: as `compute_metrics` or `read_metrics` gives them.
        split, level: which part.

    Returns:
        None where there is no such level (no laterality, hence no breasts).

    Raises:
        MammoError: `split_missing` if the predictions or the metrics have no such split; as `froc.table_counts`.
    """
    if split not in metrics or not (table["split"] == split).any():
        known = ", ".join(sorted(set(metrics) & set(table["split"]))) or "none"
        raise MammoError(
            "split_missing", f"{name}: there is no split {split!r} in predictions and metrics", f"There is {known}"
        )
    numbers = metrics[split].get(level)
    if numbers is None:
        return None
    cases = at_level(table, level, metrics.aggregates)
    if cases is None:
        return None
    cases = cases[cases["split"] == split]
    counts = table_counts(table[table["split"] == split]) if level == "image" else None
    return Scores(
        name,
        cases["label"].to_numpy(np.int64),
        cases["score"].to_numpy(np.float64),
        cases["patient_id"].to_numpy(str),
        numbers,
        tuple(counts or ()),
    )

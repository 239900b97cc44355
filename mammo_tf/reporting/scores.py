"""The scores of one model at one level, with the numbers that were made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import at_level, auc

Numbers = Mapping[str, Mapping[str, Any]]
LEVELS = {"image": "images", "breast": "breasts", "patient": "patients"}
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
    """

    name: str
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    patients: NDArray[Any]
    numbers: Numbers

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


def scores_at(name: str, table: pd.DataFrame, metrics: Mapping[str, Any], split: str, level: str) -> Scores | None:
    """Scores of one split and level; the aggregates are those that the metrics say they were made with.

    Args:
        name: shown in figures.
        table: as `read_predictions` gives it.
        metrics: as `metrics.json` holds them.
        split, level: which part.

    Returns:
        None where there is no such level (no laterality, hence no breasts).

    Raises:
        MammoError: `split_missing` if the predictions or the metrics have no such split.
    """
    if split not in metrics or not (table["split"] == split).any():
        known = ", ".join(sorted(set(metrics) & set(table["split"]))) or "none"
        raise MammoError(
            "split_missing", f"{name}: there is no split {split!r} in predictions and metrics", f"There is {known}"
        )
    numbers = metrics[split].get(level)
    if numbers is None:
        return None
    cases = at_level(table[table["split"] == split], level, *_aggregates(metrics[split]))
    if cases is None:
        return None
    return Scores(
        name,
        cases["label"].to_numpy(np.int64),
        cases["score"].to_numpy(np.float64),
        cases["patient_id"].to_numpy(str),
        numbers,
    )


def _aggregates(levels: Mapping[str, Numbers]) -> tuple[str, str]:
    """The aggregate over a breast's views and over a patient's breasts, read off the `how` of the numbers."""
    found = {"breast": "mean", "patient": "maximum"}
    for level in found:
        how = str(levels.get(level, {}).get("auc", {}).get("how", ""))
        said = re.search(r", (mean|maximum) of (?:a breast's views|the breasts)$", how)
        if said:
            found[level] = said.group(1)
    return found["breast"], found["patient"]


def interval_text(number: Mapping[str, Any], digits: int = 3) -> str:
    """`0.712 (0.640–0.784)` of a number of `metrics.json`; `none` where it does not exist."""
    if number.get("value") is None:
        return "none"
    text = f"{number['value']:.{digits}f}"
    if number.get("low") is None:
        return text
    return f"{text} ({number['low']:.{digits}f}–{number['high']:.{digits}f})"

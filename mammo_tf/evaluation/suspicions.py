"""Results that are seldom what they seem: perfect, reversed, without ranks, or on another scale than probabilities."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.evaluation.number_text import threshold_text, value_text
from mammo_tf.evaluation.numbers import Metrics

REVERSED = 0.3  # AUC below which scores are more likely turned round than bad
TENFOLD = 10  # the top of scores that vendors give, and above every grade of a reader


def score_notes(table: pd.DataFrame, metrics: Metrics) -> list[str]:
    """What is odd about scores and their AUC, a line for each split and kind.

    Args:
        table: as `read_predictions` gives it.
        metrics: made of it; the finest level is looked at.
    """
    return [
        note for split, levels in metrics.items() for note in _of_split(table[table["split"] == split], split, levels)
    ]


def _of_split(part: pd.DataFrame, split: str, levels: dict) -> list[str]:
    scores = part["score"].to_numpy(np.float64)
    level, numbers = next(iter(levels.items()))
    area = numbers.get("auc", {}).get("value")
    low, high = float(scores.min()), float(scores.max())
    values = np.unique(scores)
    notes = []
    if len(values) == 1 and len(scores) > 1:
        notes.append(f"all {len(scores)} scores are {low:g}, so they rank nothing")
    elif len(values) == 2:
        same = "which are the labels" if (part["label"].to_numpy() == (scores == high)).all() else "as calls do"
        notes.append(
            f"the scores take two values, {low:g} and {high:g}, {same}: give what the model said before the call"
        )
    if area == 1:
        notes.append(
            f"the AUC per {level} is 1: every positive scores above every negative. Were scores made of the labels?"
        )
    elif area is not None and area < REVERSED:
        said = f"the AUC per {level} is {value_text(area)}: are scores reversed, or those of the other class?"
        notes.append(f"{said} 1 minus the score would give {value_text(1 - area)}")
    if low < 0 or high > 1:
        said = f"scores run from {low:.4g} to {high:.4g}: {_scale(values)}"
        notes.append(f"{said}. Brier score, calibration error, slope and intercept are left out")
    point = numbers.get("threshold", {}).get("value")
    if point is not None and len(values) > 1 and not low < point <= high:
        calls = "everything" if point <= low else "nothing"
        notes.append(
            f"the threshold {threshold_text(point)} calls {calls} positive: scores run from {low:.4g} to {high:.4g}"
        )
    return [f"{split}: {note}" for note in notes]


def _scale(values: NDArray[np.float64]) -> str:
    """What scores outside 0 to 1 may be."""
    if values.min() < 0 or values.max() > 100:
        return "not probabilities"
    if values.max() > TENFOLD:
        return "percentages? divide them by 100"
    if (values == np.round(values)).all():
        return "grades of a reader, as BI-RADS' are? they rank as numbers do, and BI-RADS 0 is not the lowest of them"
    return f"a score of 0 to {TENFOLD}, or percentages? divide it by {TENFOLD}, or them by 100"

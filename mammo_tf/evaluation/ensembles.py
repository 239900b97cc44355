"""Several models as one: their scores of the same images put together by a named rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.calibration import logits

RULES = ("mean", "mean_logit", "mean_rank", "maximum")


def ensemble_predictions(tables: Sequence[pd.DataFrame], rule: str = "mean", join: str = "image_id") -> pd.DataFrame:
    """The first table's rows with the scores of all models put together.

    Args:
        tables: predictions of two models or more, of the same images.
        rule: "mean" of the scores; "mean_logit" (the mean of log odds, as a probability: one model that is sure weighs
            more); "mean_rank" (the share of validation images, or of all where there are none, that score no higher:
            for models whose scores are on different scales); "maximum".
        join: column that tells which rows are the same image.

    Raises:
        MammoError: `rule_unknown`, `too_few_models`, `column_missing`, `join_not_unique`, `images_differ`,
            `labels_differ`, `score_outside` for "mean_logit" of scores that are no probabilities.
    """
    if rule not in RULES:
        raise MammoError("rule_unknown", f"ensemble rule {rule!r} is unknown", f"Known are {', '.join(RULES)}")
    if len(tables) < 2:
        raise MammoError("too_few_models", f"{len(tables)} table of predictions is not an ensemble", "Name two or more")
    first = _indexed(tables[0], join, 1)
    scores = [first["score"].to_numpy(np.float64)]
    for number, table in enumerate(tables[1:], 2):
        other = _indexed(table, join, number)
        if set(other.index) != set(first.index):
            sentence = f"table {number} has other images than table 1 ({len(other)} and {len(first)})"
            raise MammoError("images_differ", sentence, "Score the same images with every model")
        other = other.loc[first.index]
        if (other["label"] != first["label"]).any():
            raise MammoError("labels_differ", f"table {number} gives images other labels than table 1")
        for name in ("split", "patient_id", "exam_id", "breast_id", "laterality", "view"):
            if name not in other or name not in first:
                continue
            if ((other[name] != first[name]) & (other[name] != "") & (first[name] != "")).any():
                sentence = f"table {number} gives images another {name} than table 1"
                raise MammoError("images_differ", sentence, "Score the same images with every model")
        scores.append(other["score"].to_numpy(np.float64))
    together = _together(np.stack(scores), rule, (first["split"] == "validation").to_numpy())
    return tables[0].drop(columns="probability", errors="ignore").assign(score=together)  # that was of one model


def _indexed(table: pd.DataFrame, join: str, number: int) -> pd.DataFrame:
    for name in (join, "label", "score", "split"):
        if name not in table:
            raise MammoError("column_missing", f"table {number} has no column {name!r}")
    if table[join].duplicated().any():
        raise MammoError("join_not_unique", f"{join} is not unique in table {number}")
    return table.set_index(join, drop=False)


def _together(scores: NDArray[np.float64], rule: str, validation: NDArray[np.bool_]) -> NDArray[np.float64]:
    """One score an image, float64 `[images]`, of scores `[models, images]`."""
    if rule == "maximum":
        return np.asarray(scores.max(axis=0))
    if rule == "mean_logit":
        if scores.min() < 0 or scores.max() > 1:
            raise MammoError("score_outside", "mean_logit needs probabilities, from 0 to 1", "Use mean_rank")
        return np.asarray(expit(logits(scores).mean(axis=0)))
    if rule == "mean_rank":
        known = np.sort(scores[:, validation] if validation.any() else scores, axis=1)
        scores = np.stack(
            [np.searchsorted(row, values, side="right") / len(row) for row, values in zip(known, scores, strict=True)]
        )
    return np.asarray(scores.mean(axis=0))

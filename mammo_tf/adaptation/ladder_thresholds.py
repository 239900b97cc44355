"""The threshold of a rung at every level, and what it comes to on test."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mammo_tf.adaptation.rungs.rung import (
    CARRIED,
    FROM_TRAINING,
    FROM_VALIDATION,
    INTERCEPT,
    INTERCEPT_AND_SLOPE,
    MATCHED,
    Site,
)
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import at_level, operating_point
from mammo_tf.evaluation.carried_threshold import (
    DISTANCE,
    distance_rate,
    matched_threshold,
    recalibrated_threshold,
)
from mammo_tf.evaluation.levels import measured_levels
from mammo_tf.evaluation.numbers import Numbers
from mammo_tf.evaluation.rates import rate_numbers
from mammo_tf.recipes.recipe import Evaluation

SHOWN = ("sensitivity", "specificity", "recall_rate", DISTANCE)


class Intended(NamedTuple):
    """The operating point that the model was meant to have: its own where it is known to work."""

    sensitivity: float
    specificity: float
    where: str

    def to_json(self) -> dict[str, Any]:
        """As `ladder.json` has it."""
        return self._asdict()


def thresholds_of(
    way: str, site: Site, predictions: pd.DataFrame, unlabelled: pd.DataFrame | None = None
) -> dict[str, float]:
    """Level -> threshold, of the levels where there is one.

    Args:
        way: one of `rung.WAYS`; `MATCHED` where there is nothing to match to is `CARRIED`.
        site: where.
        predictions: of a rung at the site, all splits.
        unlabelled: of it at the site, of training pictures of which nothing is known (`matching_scores`); `MATCHED`
            alone asks for them.
    """
    found = {}
    for level in measured_levels(predictions, site.recipe.evaluation.pool_exams):
        try:
            value = _threshold(way, level.name, site, predictions, unlabelled)
        except MammoError:
            continue  # too few labels of a class, equal scores: the level has no threshold in this way
        if value is not None and np.isfinite(value):
            found[level.name] = float(value)
    return found


def _threshold(
    way: str, level: str, site: Site, predictions: pd.DataFrame, unlabelled: pd.DataFrame | None
) -> float | None:
    evaluation = site.recipe.evaluation
    known = site.model.card.threshold(level)
    if way == CARRIED or (way == MATCHED and site.matching is None):
        return known
    if way == MATCHED:
        assert site.matching is not None and unlabelled is not None
        there, here = (at_level(one, level, evaluation.aggregates) for one in (site.matching, unlabelled))
        if known is None or there is None or here is None:
            return None
        return matched_threshold(there["score"], here["score"], known)
    if way in (FROM_TRAINING, FROM_VALIDATION):
        split = "train" if way == FROM_TRAINING else "validation"
        chosen = _labelled(predictions[predictions["split"] == split], level, evaluation)
        return operating_point(chosen["label"], chosen["score"], evaluation.operating_point).threshold
    assert site.reference is not None  # else these rungs do not apply
    if known is None:
        return None
    assert way in (INTERCEPT, INTERCEPT_AND_SLOPE)
    here = _labelled(predictions[predictions["split"] == "train"], level, evaluation)
    there = _labelled(site.reference, level, evaluation)
    return recalibrated_threshold(
        there["label"], there["score"], here["label"], here["score"], known, slope=way == INTERCEPT_AND_SLOPE
    )


def _labelled(table: pd.DataFrame, level: str, evaluation: Evaluation) -> pd.DataFrame:
    cases = at_level(table[table["label"] >= 0], level, evaluation.aggregates)
    if cases is None:
        raise MammoError("level_missing", f"the predictions tell no {level}", "Choose another level")
    return cases


def intended_point(site: Site) -> Intended | None:
    """Sensitivity and specificity of the model's threshold on the reference; None where one of them is not known."""
    if site.reference is None or site.threshold is None:
        return None
    try:
        cases = _labelled(site.reference, site.level, site.recipe.evaluation)
    except MammoError:
        return None
    labels, called = cases["label"].to_numpy(np.int64), cases["score"].to_numpy() >= site.threshold
    if len(set(labels.tolist())) < 2:
        return None
    return Intended(float(called[labels == 1].mean()), float((~called)[labels == 0].mean()), "the reference")


def point_numbers(
    table: pd.DataFrame, threshold: float | None, level: str, evaluation: Evaluation, intended: Intended | None
) -> dict[str, Any] | None:
    """Threshold, sensitivity, specificity, recall rate, and distance from the intended point, of one split."""
    if threshold is None:
        return None
    cases, resampling = _labelled(table, level, evaluation), evaluation.resampling
    further = () if intended is None else (distance_rate(intended.sensitivity, intended.specificity),)
    found: Numbers = rate_numbers(
        cases["label"].to_numpy(np.int64), cases["score"].to_numpy(np.float64), threshold,
        cases["patient_id"].to_numpy(), resampling, further,
    )  # fmt: skip
    return {"threshold": threshold, **{name: found.get(name) for name in SHOWN}}

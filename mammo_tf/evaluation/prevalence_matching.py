"""What matching scores does where a site differs from the reference in nothing but its prevalence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mammo_tf.evaluation.intervals import group_numbers

ALMOST_NONE = 1e-9  # a share


class MatchedPoint(NamedTuple):
    """The reference's threshold at the site, scores left alone and matched.

    Attributes:
        recall_rate, sensitivity, specificity: at the site as it is.
        matched_sensitivity, matched_specificity: after matching, which makes the recall rate that of the reference.
    """

    recall_rate: float
    sensitivity: float
    specificity: float
    matched_sensitivity: float
    matched_specificity: float


def matched_under_prevalence(
    labels: ArrayLike, scores: ArrayLike, patients: ArrayLike | None, threshold: float, share: float
) -> MatchedPoint:
    """Rates at a site that has the reference's patients in other shares, before and after its scores are matched.

    Cases of the reference are weighed so that positive patients make up the site's share. Matching then takes the
    threshold to the score that as many of the weighed cases reach as of the cases themselves reach the threshold.

    Args:
        labels: 0 or 1, both there, `[n]`.
        scores: of the reference, `[n]`.
        patients: `[n]`, whose each is; one with a positive case is positive. None takes every case for a patient.
        threshold: of the reference.
        share: of positive patients at the site, 0 to 1.
    """
    truth, values = np.asarray(labels) == 1, np.asarray(scores, np.float64)
    numbers = group_numbers(patients, len(values))
    sick = np.bincount(numbers, weights=truth) > 0
    had, share = sick.mean(), min(max(share, ALMOST_NONE), 1 - ALMOST_NONE)  # both classes keep their rates
    weights = np.where(sick, share / had, (1 - share) / (1 - had))[numbers]
    wanted = float((values >= threshold).mean())
    falling = np.argsort(-values, kind="stable")
    reached = np.cumsum(weights[falling]) / weights.sum()
    place = min(int(np.searchsorted(reached, wanted * (1 + 1e-12), side="right")), len(values) - 1)
    moved = np.nextafter(values[falling][place], np.inf)  # calls no more than are wanted

    def rates(least: float) -> tuple[float, float, float]:
        called = values >= least
        return (
            float(np.average(called, weights=weights)),
            float(called[truth].mean()),
            float(1 - np.average(called[~truth], weights=weights[~truth])),
        )

    return MatchedPoint(*rates(threshold), *rates(float(moved))[1:])

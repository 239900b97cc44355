"""An operating point taken to another site: the threshold there that means what it meant at the reference.

By shares of scores, without a label; by probability, where labels of both sites are known. Scores keep their order, so
the AUC is what it was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.calibration import logistic_fit, logits, separated
from mammo_tf.evaluation.rates import Counts, Rate, share
from mammo_tf.evaluation.recalibration import check_probabilities
from mammo_tf.evaluation.score_matching import match

DISTANCE = "distance"


def matched_threshold(reference_scores: ArrayLike, site_scores: ArrayLike, threshold: float) -> float:
    """The lowest score of the site that matching (`score_matching.match`) carries to the threshold or above.

    Args:
        reference_scores: where the threshold was set, `[n]`.
        site_scores: of the site, `[m]`; no label is looked at.
        threshold: of the reference.

    Returns:
        Above every score of the site where none of them reaches it.

    Raises:
        MammoError: as `score_matching.match`.
    """
    table = match(reference_scores, site_scores)
    before, after = np.asarray(table.from_scores), np.asarray(table.to_scores)
    reached = np.flatnonzero(after >= threshold)
    if not len(reached):
        return float(np.nextafter(before[-1], np.inf))
    place = int(reached[0])
    if not place or after[place] == threshold:
        return float(before[place])
    part = (threshold - after[place - 1]) / (after[place] - after[place - 1])
    return float(before[place - 1] + part * (before[place] - before[place - 1]))


def recalibrated_threshold(
    reference_labels: ArrayLike,
    reference_scores: ArrayLike,
    site_labels: ArrayLike,
    site_scores: ArrayLike,
    threshold: float,
    slope: bool = True,
) -> float:
    """The site's score that stands for the same probability as the threshold does at the reference.

    At the reference labels are regressed on the logit of the scores, at the site again: the intercept alone, with the
    reference's slope, or both. Probability holds prevalence: where cancers are more frequent, the threshold falls.

    Args:
        reference_labels, reference_scores: 0 or 1, and in [0, 1], `[n]`.
        site_labels, site_scores: the same of labelled cases of the site, `[m]`.
        threshold: of the reference, between 0 and 1.
        slope: fit the slope too.

    Raises:
        MammoError: `one_class`, `score_outside`; `calibration_undefined` where no finite slope fits best or the slope
            does not rise; `threshold_wrong` for one that has no logit.
    """
    if not 0 < threshold < 1:
        raise MammoError("threshold_wrong", f"a threshold of {threshold:g} stands for no probability", "Match scores")
    known_slope, known_intercept = _fitted(reference_labels, reference_scores)
    wanted = known_slope * float(logits(np.array([threshold]))[0]) + known_intercept
    if slope:
        found_slope, found_intercept = _fitted(site_labels, site_scores)
    else:
        found_slope, found_intercept = known_slope, _intercept(site_labels, site_scores, known_slope)
    if min(known_slope, found_slope) <= 0:
        raise MammoError("calibration_undefined", "higher scores do not go with more positives", "Look at the scores")
    return float(expit((wanted - found_intercept) / found_slope))


def _fitted(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    truth, values = check_probabilities(labels, scores)
    if values.min() == values.max() or separated(truth, values):
        raise MammoError("calibration_undefined", "the scores are equal or separate the classes: no finite slope fits")
    slope, intercept = logistic_fit(logits(values), truth.astype(np.float64))
    return float(slope), float(intercept)


def _intercept(labels: ArrayLike, scores: ArrayLike, slope: float) -> float:
    """The intercept that fits best with the slope held."""
    truth, values = check_probabilities(labels, scores)
    x: NDArray[np.float64] = slope * logits(values)
    reach = float(np.abs(x).max()) + abs(float(np.log(truth.mean() / (1 - truth.mean())))) + 1.0
    return float(brentq(lambda shift: float((expit(x + shift) - truth).sum()), -reach, reach, xtol=1e-12))


def distance_rate(sensitivity: float, specificity: float) -> Rate:
    """How far an operating point is from an intended one: the larger of both differences, without sign.

    Args:
        sensitivity, specificity: intended, in [0, 1].

    Raises:
        MammoError: `intended_wrong`.
    """
    if not (0 <= sensitivity <= 1 and 0 <= specificity <= 1):
        raise MammoError(
            "intended_wrong",
            f"sensitivity {sensitivity:g} and specificity {specificity:g} are no shares",
            "Give 0 to 1",
        )

    def of(tp: Counts, fp: Counts, tn: Counts, fn: Counts) -> Counts:
        return np.maximum(np.abs(share(tp, tp + fn) - sensitivity), np.abs(share(tn, tn + fp) - specificity))

    note = (
        f"larger of the differences from the intended sensitivity {sensitivity:.3f} and specificity {specificity:.3f}"
    )
    return Rate(
        DISTANCE, "Distance from the intended point", of, is_share=False, note=note, without="a class is missing"
    )

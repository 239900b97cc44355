"""Which shift a site has, from its scores without labels: prevalence, acquisition, both, or none.

With labels of a reference, a site that differs in prevalence alone is a mixture of the reference's classes in another
share; one whose machine changes the scores is not. What can be told and what cannot is in docs/shift.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.adaptation.shift_verdict import (
    ACQUISITION,
    ADVISED_PATIENTS,
    ALPHA,
    BOTH,
    NONE,
    PREVALENCE,
    SHIFT_ALPHA,
    UNCLEAR,
    Distributions,
    Evidence,
    Verdict,
)
from mammo_tf.errors import MammoError
from mammo_tf.evaluation.intervals import group_numbers
from mammo_tf.evaluation.metrics import given_threshold
from mammo_tf.evaluation.operating import operating_point
from mammo_tf.evaluation.prevalence_matching import MatchedPoint, matched_under_prevalence
from mammo_tf.evaluation.proportions import clopper_pearson
from mammo_tf.evaluation.score_matching import check_scales
from mammo_tf.evaluation.shift_tests import (
    Mixture,
    Patients,
    by_patient,
    distribution,
    fit_mixture,
    no_shift_p,
    points_between,
)

LEAST_PATIENTS = 25  # of each sample
LEAST_OF_CLASS = 10  # patients of the reference: with fewer a class has no distribution
REPLICATES = 999


@dataclass(frozen=True)
class _Sample:
    """Scores, patients as numbers from 0 on, and labels, each `[n]`; labels are None where there are not both."""

    scores: NDArray[np.float64]
    patients: NDArray[np.intp]
    labels: NDArray[np.int64] | None = None

    @property
    def count(self) -> int:
        return int(self.patients.max()) + 1

    def positive(self) -> NDArray[np.bool_]:
        """Whether each patient has a positive case."""
        return np.asarray(np.bincount(self.patients, weights=self.labels) > 0)


def verdict(
    reference_scores: ArrayLike,
    site_scores: ArrayLike,
    reference_labels: ArrayLike | None = None,
    reference_patients: ArrayLike | None = None,
    site_patients: ArrayLike | None = None,
    *,
    prevalence: float | None = None,
    differences: Sequence[str] = (),
    threshold: float | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    names: tuple[str, str] = ("the reference", "the site"),
    evidence: Sequence[Evidence] = (),
    alpha: float = SHIFT_ALPHA,
) -> Verdict:
    """Which shift a site has. No label of the site is looked at.

    Args:
        reference_scores: of the model where it is known to work, finite numbers, `[n]`.
        site_scores: of the same model at the site, on the same scale, `[m]`.
        reference_labels: 0 or 1, `[n]`; without them, or with fewer than 10 patients of a class, no more can be told
            than whether there is a shift.
        reference_patients, site_patients: `[n]`, `[m]`, whose each is: patients are what is drawn, and a patient with a
            positive case is positive. None takes every score for a patient of its own.
        prevalence: share of the site's patients that is positive, where it is known from elsewhere.
        differences: in what else the patients differ significantly, such as `median age 54 and 61 (p 0.001)`.
        threshold: of the reference; None takes the one of the largest G-mean on its labels.
        replicates, seed: of the permutations and of the bootstrap.
        names: what messages call the two.
        evidence: what pictures of both say. Where there is some, acquisition is told by them: scores that no mixture
            explains do not suffice.
        alpha: level of the test whether scores differ.

    Raises:
        MammoError: `patients_few`, `scores_missing`, `score_not_finite`, `scores_constant`, `scales_differ`,
            `prevalence_wrong`, `threshold_wrong`, `label_wrong`, `lengths_differ`, `replicates_wrong`.
    """
    check_asked(prevalence, threshold, replicates)
    reference = _sample(reference_scores, reference_patients, names[0], reference_labels)
    site = _sample(site_scores, site_patients, names[1])
    check_scales(reference.scores, site.scores, *names)
    points = points_between(np.concatenate([reference.scores, site.scores]))
    theirs, ours = (by_patient(one.scores, one.patients, points) for one in (reference, site))
    mixture = known = direction = sick = None
    if reference.labels is not None:
        sick = reference.positive()
        classes = theirs[sick], theirs[~sick]
        direction = distribution(classes[0]) - distribution(classes[1])
        mixture = fit_mixture(*classes, ours, None, replicates, seed)
        known = None if prevalence is None else fit_mixture(*classes, ours, prevalence, replicates, seed)
    p_shift = no_shift_p(theirs, ours, direction, replicates, seed)
    point = _matching(reference, mixture, prevalence, threshold)
    return Verdict(
        kind=_kind(p_shift <= alpha, mixture, known, sick, prevalence, differences, evidence),
        names=names,
        p_shift=p_shift,
        p_mixture=None if mixture is None else mixture.p,
        p_known=None if known is None else known.p,
        reference_prevalence=None if sick is None else float(sick.mean()),
        prevalence=None if mixture is None else mixture.share,
        prevalence_low=None if mixture is None else mixture.low,
        prevalence_high=None if mixture is None else mixture.high,
        known_prevalence=prevalence,
        differences=tuple(differences),
        reference_patients=reference.count,
        positive_patients=None if sick is None else int(sick.sum()),
        site_patients=site.count,
        threshold=point[0],
        matching=point[1],
        distributions=_distributions(points, theirs, ours, mixture),
        evidence=tuple(evidence),
        alpha=alpha,
    )


def check_asked(prevalence: float | None, threshold: float | None, replicates: int) -> None:
    """Refuses what no verdict can be made with; arguments and errors as for `verdict`."""
    if prevalence is not None and not 0 <= prevalence <= 1:
        raise MammoError(
            "prevalence_wrong", f"a prevalence of {prevalence:g} is not a share of patients", "Give 0 to 1"
        )
    if threshold is not None:
        given_threshold(threshold)
    if replicates < 99:
        raise MammoError("replicates_wrong", f"{replicates} draws give no p to rely on", "Take 999 or more")


def _kind(
    scores_differ: bool,
    mixture: Mixture | None,
    known: Mixture | None,
    sick: NDArray[np.bool_] | None,
    prevalence: float | None,
    differences: Sequence[str],
    evidence: Sequence[Evidence],
) -> str:
    other = sick is not None and prevalence is not None and not _among(prevalence, sick)
    if not (scores_differ or other or any(one.differs for one in evidence)):
        return NONE
    acquisition = BOTH if other or differences else ACQUISITION
    if any(one.of_machine for one in evidence):
        return acquisition
    if mixture is None or sick is None:
        return UNCLEAR
    if (known or mixture).p <= ALPHA:
        return UNCLEAR if evidence else acquisition
    if known is not None:
        return PREVALENCE if other else UNCLEAR
    return UNCLEAR if mixture.low <= sick.mean() <= mixture.high else PREVALENCE


def _among(share: float, sick: NDArray[np.bool_]) -> bool:
    """Whether a prevalence may be that of the patients."""
    low, high = clopper_pearson(int(sick.sum()), len(sick), ALPHA)
    return low <= share <= high


def _matching(
    reference: _Sample, mixture: Mixture | None, prevalence: float | None, threshold: float | None
) -> tuple[float | None, MatchedPoint | None]:
    """The threshold, and what matching does there if nothing but prevalence differs."""
    if mixture is None or reference.labels is None:
        return threshold, None
    if threshold is None:
        threshold = operating_point(reference.labels, reference.scores).threshold
    share = mixture.share if prevalence is None else prevalence
    case = reference.labels, reference.scores, reference.patients
    return threshold, matched_under_prevalence(*case, threshold, share)


def _distributions(
    points: NDArray[np.float64], theirs: Patients, ours: Patients, mixture: Mixture | None
) -> Distributions:
    curves = points, distribution(theirs), distribution(ours), None if mixture is None else mixture.curve
    return Distributions(*(curve if curve is None else tuple(curve.tolist()) for curve in curves))  # type: ignore[arg-type]


def _sample(scores: ArrayLike, patients: ArrayLike | None, name: str, labels: ArrayLike | None = None) -> _Sample:
    """Scores that a verdict can be made of; labels are left out where a class has too few patients."""
    values = np.asarray(scores, np.float64).ravel()
    if not len(values):
        raise MammoError("scores_missing", f"{name} has no scores", "Score some of its patients")
    if not np.isfinite(values).all():
        wrong = int((~np.isfinite(values)).sum())
        remedy = "Score these images again, or leave them out"
        raise MammoError("score_not_finite", f"{name}: {wrong} of {len(values)} scores are not finite numbers", remedy)
    if values.min() == values.max():
        sentence = f"{name}: all {len(values)} scores are {values[0]:g}, so they tell nothing"
        raise MammoError("scores_constant", sentence, "Look at how they were made")
    numbers = np.asarray(group_numbers(patients, len(values)), np.intp)
    if (count := int(numbers.max()) + 1) < LEAST_PATIENTS:
        many = "1 patient" if count == 1 else f"{count} patients"
        wanted = f"Gather {LEAST_PATIENTS} or more, consecutive and unselected; {ADVISED_PATIENTS} or more are advised"
        raise MammoError("patients_few", f"{name}: scores of {many} are too few to tell a shift", wanted)
    if labels is None:
        return _Sample(values, numbers)
    truth = np.asarray(labels)
    if len(truth) != len(values):
        raise MammoError("lengths_differ", f"{len(truth)} labels and {len(values)} scores do not belong together")
    if not np.isin(truth, (0, 1)).all():
        raise MammoError("label_wrong", f"{name}: labels are 0 or 1", "Leave cases without a label out")
    found = _Sample(values, numbers, truth.astype(np.int64))
    sick = int(found.positive().sum())
    return found if min(sick, found.count - sick) >= LEAST_OF_CLASS else _Sample(values, numbers)

"""What the pictures of a place say of its shift: their grey values and contrast, and a network's features of them.

Compared are means over patients, with pictures of a reference, or with what the model's card tells of its own
(`evaluation.vector_tests`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.adaptation.model_site import ModelSite, Sample
from mammo_tf.adaptation.shift_verdict import FEATURES, PICTURES, Evidence
from mammo_tf.evaluation.patient_facts import AGE, KNOWN, age_told, comparable, density_counts
from mammo_tf.evaluation.vector_tests import (
    CaseMix,
    Moments,
    accounted,
    beyond_prevalence_p,
    case_mix,
    differ_p,
    distance,
    moments,
    permuted_p,
    principal_axes,
)
from mammo_tf.training import TrainingDomain
from mammo_tf.training.training_domain import Embedding, PatientFacts, Spread

GREY, OF_NETWORK = "grey values and contrast", "features"
LEAST = 25  # patients of the site, and half as many of the reference
PERMUTED, BY_F = "permutation of patients", "distribution of F"
RESOLVED = 4  # permutations for each 1 / alpha


@dataclass(frozen=True)
class Looks:
    """What was seen of the pictures of both places; None where there is nothing to compare.

    Attributes:
        pictures: of the reference and of the site.
        features: the same; of a card the reference is its embedding.
    """

    pictures: tuple[Sample | Spread, Sample] | None = None
    features: tuple[Sample | Embedding, Sample] | None = None

    @property
    def by_name(self) -> dict[str, tuple[Any, Sample] | None]:
        """Both, by what they are."""
        return {GREY: self.pictures, OF_NETWORK: self.features}

    def evidence(self, positions: NDArray[np.int64], alpha: float, replicates: int, seed: int) -> tuple[Evidence, ...]:
        """What is found, of some of the site's pictures.

        Args:
            positions: of these pictures in the site's records.
            alpha: level of all tests of the verdict together.
            replicates, seed: of permutations; more are made where so few cannot reach the level.
        """
        found = []
        for (what, both), share in zip(self.by_name.items(), (PICTURES, FEATURES), strict=True):
            if both is None:
                continue
            site = both[1].of(np.isin(both[1].positions, positions))
            one = _compared(what, both[0], site, share * alpha, replicates, seed)
            found += [] if one is None else [one]
        return tuple(found)


def looks_at_both(reference: ModelSite, site: ModelSite) -> Looks:
    """Pictures of both places."""
    pictures = reference.pictures(), site.pictures()
    features = reference.features(), site.features()
    return Looks(*(None if None in both else both for both in (pictures, features)))  # type: ignore[arg-type]


def looks_by_card(domain: TrainingDomain, site: ModelSite) -> Looks:
    """Pictures of a site, with what a model's card tells of its own."""
    pictures = None if domain.pictures is None else site.pictures()
    features = None if domain.embedding is None else site.features()
    return Looks(
        None if pictures is None or domain.pictures is None else (domain.pictures.spread, pictures),
        None if features is None or domain.embedding is None else (domain.embedding, features),
    )


def _compared(
    what: str, reference: Sample | Spread | Embedding, site: Sample, alpha: float, replicates: int, seed: int
) -> Evidence | None:
    """What one comparison says; None where patients are too few, or nothing of the reference varies."""
    if len(set(site.patients)) < LEAST:
        return None
    if isinstance(reference, Sample):
        if len(set(reference.patients)) < LEAST // 2:
            return None
        draws = max(replicates, int(np.ceil(RESOLVED / alpha)))
        found = _with_pictures(reference, site, what == OF_NETWORK, draws, seed)
    else:
        found = _with_card(reference, site)
    known, here = found.reference, found.site
    if known.patients < LEAST // 2 or not np.diag(known.covariance).any():
        return None
    beyond, apart = beyond_prevalence_p(known, here, found.error), distance(known, here)
    return Evidence(what, found.p, beyond, alpha, apart, known.patients, here.patients, found.how)


class _Comparison(NamedTuple):
    """Moments of both, p and how it was found, and the error of what is accounted for."""

    reference: Moments
    site: Moments
    p: float
    how: str
    error: float = 0.0


def _with_card(reference: Spread | Embedding, site: Sample) -> _Comparison:
    spread, ours = (reference, site.vectors) if isinstance(reference, Spread) else (reference.spread, site.vectors)
    if isinstance(reference, Embedding):
        ours = (ours - np.asarray(reference.mean)) @ np.asarray(reference.axes).T
    known, here, facts = spread.moments, site.patients_known, spread.facts
    columns = np.asarray([], np.intp)
    if facts is not None:
        densities = np.asarray(facts.densities, np.int64) if facts.densities else None
        columns = comparable(_varies(facts), densities, here)
    if facts is None or not len(columns):
        told = moments(ours)
        return _Comparison(known, told, differ_p(known, told), BY_F)
    kept = np.asarray([facts.columns.index(KNOWN[column]) for column in columns], np.intp)
    known, mix = accounted(known, facts.moments.part(kept))
    return _carried(known, mix, ours, here[:, columns], columns)


def _varies(facts: PatientFacts) -> bool:
    """Whether a card tells ages, and not of one age alone."""
    return AGE in facts.columns and facts.covariance[facts.columns.index(AGE)][facts.columns.index(AGE)] > 0


def _carried(
    known: Moments, mix: CaseMix, ours: NDArray[np.float64], here: NDArray[np.float64], columns: NDArray[np.intp]
) -> _Comparison:
    """Of the site's vectors as those of patients of whom the reference's mean is known."""
    told, error = moments(mix.carried(ours, here)), mix.error(here)
    words = " and ".join(sorted({"age" if KNOWN[column] == AGE else "density" for column in columns}))
    return _Comparison(known, told, differ_p(known, told, error), f"{BY_F}, {words} accounted for", error)


def _with_pictures(reference: Sample, site: Sample, many: bool, draws: int, seed: int) -> _Comparison:
    """Of two samples; of vectors of many numbers along the axes of both."""
    theirs, ours = reference.vectors, site.vectors
    if many:
        axes = principal_axes(np.concatenate([theirs, ours]))
        theirs, ours = theirs @ axes.T, ours @ axes.T
    there, here = reference.patients_known, site.patients_known
    columns = comparable(age_told(there) and bool(np.ptp(there[:, 0])), density_counts(there), here)
    if not len(columns):
        p = permuted_p(theirs, ours, draws, seed)
        return _Comparison(moments(theirs, reference.positive), moments(ours), p, PERMUTED)
    mix = case_mix(theirs, there[:, columns])
    known = moments(mix.carried(theirs, there[:, columns]), reference.positive)
    return _carried(known, mix, ours, here[:, columns], columns)

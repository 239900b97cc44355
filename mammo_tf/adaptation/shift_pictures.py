"""What the pictures of a place say of its shift: their grey values and contrast, and a network's features of them.

Compared are means over patients, with pictures of a reference, or with what the model's card tells of its own
(`evaluation.vector_tests`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.adaptation.model_site import ModelSite, Sample
from mammo_tf.adaptation.shift_verdict import FEATURES, PICTURES, Evidence
from mammo_tf.evaluation.vector_tests import (
    Moments,
    beyond_prevalence_p,
    case_mix,
    differ_p,
    distance,
    moments,
    permuted_p,
    principal_axes,
)
from mammo_tf.training import TrainingDomain
from mammo_tf.training.training_domain import Embedding

GREY, OF_NETWORK = "grey values and contrast", "features"
LEAST_OF_DENSITY = 5  # patients of the reference
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

    pictures: tuple[Sample | Moments, Sample] | None = None
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
        None if pictures is None or domain.pictures is None else (domain.pictures.spread.moments, pictures),
        None if features is None or domain.embedding is None else (domain.embedding, features),
    )


def _compared(
    what: str, reference: Sample | Moments | Embedding, site: Sample, alpha: float, replicates: int, seed: int
) -> Evidence | None:
    """What one comparison says; None where patients are too few, or nothing of the reference varies."""
    if not len(site.positions) or len(ours := site.vectors) < LEAST:
        return None
    error = 0.0
    if isinstance(reference, Sample):
        theirs = reference.vectors
        if what == OF_NETWORK:
            axes = principal_axes(np.concatenate([theirs, ours]))
            theirs, ours = theirs @ axes.T, ours @ axes.T
        columns = _compared_alike(reference.patients_known, site.patients_known)
        if len(columns):
            told = [one.patients_known[:, columns] for one in (reference, site)]
            mix = case_mix(theirs, told[0])
            theirs, ours, error = mix.carried(theirs, told[0]), mix.carried(ours, told[1]), mix.error(told[1])
        known, here = moments(theirs, reference.positive), moments(ours)
        if len(columns):
            what_known = " and ".join(sorted({"age" if column == 0 else "density" for column in columns}))
            p, how = differ_p(known, here, error), f"{BY_F}, {what_known} accounted for"
        else:
            p, how = permuted_p(theirs, ours, max(replicates, int(np.ceil(RESOLVED / alpha))), seed), PERMUTED
    else:
        if isinstance(reference, Embedding):
            ours = (ours - np.asarray(reference.mean)) @ np.asarray(reference.axes).T
        known = reference.spread.moments if isinstance(reference, Embedding) else reference
        here = moments(ours)
        p, how = differ_p(known, here), BY_F
    if known.patients < LEAST // 2 or not np.diag(known.covariance).any():
        return None
    beyond, apart = beyond_prevalence_p(known, here, error), distance(known, here)
    return Evidence(what, p, beyond, alpha, apart, known.patients, here.patients, how)


def _compared_alike(theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> NDArray[np.intp]:
    """What is known of every patient of both places and can be accounted for: columns of `KNOWN`.

    Age, where it varies; density, where the reference has patients enough of every one that the site has.
    """
    found = [0] if np.isfinite(theirs[:, 0]).all() and np.isfinite(ours[:, 0]).all() and np.ptp(theirs[:, 0]) else []
    density = [one[:, 1:] for one in (theirs, ours)]
    if all(np.isfinite(one).all() for one in density):
        counts = [np.append((one == 0).all(axis=1).sum(), (one == 1).sum(axis=0)) for one in density]
        if (counts[0] < len(theirs)).all() and (counts[0][counts[1] > 0] >= LEAST_OF_DENSITY).all():
            found += (1 + np.flatnonzero(counts[0][1:])).tolist()
    return np.asarray(found, np.intp)

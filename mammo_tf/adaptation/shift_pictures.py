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


def _with_card(reference: Moments | Embedding, site: Sample) -> _Comparison:
    ours = site.vectors
    if isinstance(reference, Embedding):
        ours = (ours - np.asarray(reference.mean)) @ np.asarray(reference.axes).T
    known = reference.spread.moments if isinstance(reference, Embedding) else reference
    here = moments(ours)
    return _Comparison(known, here, differ_p(known, here), BY_F)


def _with_pictures(reference: Sample, site: Sample, many: bool, draws: int, seed: int) -> _Comparison:
    """Of two samples; of vectors of many numbers along the axes of both."""
    theirs, ours = reference.vectors, site.vectors
    if many:
        axes = principal_axes(np.concatenate([theirs, ours]))
        theirs, ours = theirs @ axes.T, ours @ axes.T
    columns = _compared_alike(reference.patients_known, site.patients_known)
    if not len(columns):
        p = permuted_p(theirs, ours, draws, seed)
        return _Comparison(moments(theirs, reference.positive), moments(ours), p, PERMUTED)
    there, here = (one.patients_known[:, columns] for one in (reference, site))
    mix = case_mix(theirs, there)
    known, told = moments(mix.carried(theirs, there), reference.positive), moments(mix.carried(ours, here))
    words = " and ".join(sorted({"age" if column == 0 else "density" for column in columns}))
    p = differ_p(known, told, mix.error(here))
    return _Comparison(known, told, p, f"{BY_F}, {words} accounted for", mix.error(here))


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

"""Whether two samples of patients differ in the mean of a vector, and whether another prevalence explains it.

A patient has one vector, such as the mean over her pictures of their grey values and contrasts, or of a network's
features. What is compared are means, by Hotelling's T squared (*The generalization of Student's ratio*, Annals of
Mathematical Statistics 2, 1931, 360-378): by permutation where the vectors of both samples are there, by the
distribution of F where nothing but mean and covariance of the reference is known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mammo_tf.evaluation.intervals import group_numbers

RIDGE = 1e-9  # of the mean variance, added to every one: a coordinate that never varies tells nothing
SHARES = 201  # prevalences that are tried, 0 to 1
AXES = 16  # of a long vector, at most
PATIENTS_OF_AXIS = 10  # of both samples together, for each axis
CHUNK = 64  # permutations that are held at once
ALLOWED = 1.0  # standard deviations that a prevalence may move the mean by, where nothing is known of the classes
LEAST_OF_CLASS = 10  # patients: with fewer nothing is known of the classes' difference

Vectors = NDArray[np.float64]


class Moments(NamedTuple):
    """What is kept of a sample of vectors, a vector a patient.

    Attributes:
        mean: float64 `[n]`.
        covariance: of patients, float64 `[n, n]`.
        patients: how many.
        direction: mean of positive patients minus that of negative ones, `[n]`; None where a class has fewer than
            `LEAST_OF_CLASS` patients.
        positives, negatives: how many of the patients are, as far as that is known.
    """

    mean: Vectors
    covariance: Vectors
    patients: int
    direction: Vectors | None = None
    positives: int = 0
    negatives: int = 0


def patient_means(values: ArrayLike, patients: ArrayLike) -> Vectors:
    """The mean vector of each patient, float64 `[patients, n]`, in the order of `intervals.group_numbers`.

    Args:
        values: of pictures, `[pictures, n]`.
        patients: whose each is, `[pictures]`.
    """
    found = np.asarray(values, np.float64)
    numbers = group_numbers(patients, len(found))
    counts = np.bincount(numbers)
    sums = np.zeros((len(counts), found.shape[1]))
    np.add.at(sums, numbers, found)
    return np.asarray(sums / counts[:, None])


def patient_labels(labels: ArrayLike, patients: ArrayLike) -> NDArray[np.int64]:
    """1 for a patient with a positive picture, else 0, or a negative number where no picture has a label.

    Args:
        labels: of pictures, 1, 0 or a negative number, `[pictures]`.
        patients: whose each is, `[pictures]`.

    Returns:
        int64 `[patients]`, in the order of `patient_means`.
    """
    told = np.asarray(labels, np.int64)
    numbers = group_numbers(patients, len(told))
    found = np.full(int(numbers.max()) + 1, told.min())
    np.maximum.at(found, numbers, told)
    return found


def moments(vectors: Vectors, labels: ArrayLike | None = None) -> Moments:
    """Mean and covariance of patients, and the classes' difference where both are there.

    Args:
        vectors: `[patients, n]`, two patients or more.
        labels: of patients, 1, 0, or a negative number where that is not known, `[patients]`; None for no labels.
    """
    covariance = np.atleast_2d(np.cov(vectors, rowvar=False))
    found = Moments(vectors.mean(axis=0), covariance, len(vectors))
    sick, well = (np.asarray([] if labels is None else labels) == label for label in (1, 0))
    if min(sick.sum(), well.sum()) < LEAST_OF_CLASS:
        return found
    direction = vectors[sick].mean(axis=0) - vectors[well].mean(axis=0)
    return found._replace(direction=direction, positives=int(sick.sum()), negatives=int(well.sum()))


class CaseMix(NamedTuple):
    """How the vectors of a reference go with what is known of its patients, by linear regression.

    Attributes:
        slopes: float64 `[known, n]`.
        mean: of what is known, `[known]`.
        uncertainty: inverse of its scatter, `[known, known]`.
    """

    slopes: Vectors
    mean: Vectors
    uncertainty: Vectors

    def carried(self, vectors: Vectors, known: Vectors) -> Vectors:
        """Vectors as those of patients of whom the reference's mean is known, `[patients, n]`."""
        return np.asarray(vectors - (known - self.mean) @ self.slopes)

    def error(self, known: Vectors) -> float:
        """What that adds to the variance of the mean of some patients, in units of that of one patient."""
        apart = known.mean(axis=0) - self.mean
        return float(apart @ self.uncertainty @ apart)


def case_mix(vectors: Vectors, known: Vectors) -> CaseMix:
    """The regression of vectors `[patients, n]` on what is known of each, numbers `[patients, known]`."""
    centred = known - known.mean(axis=0)
    inverse = np.linalg.pinv(centred.T @ centred)
    return CaseMix(np.asarray(inverse @ centred.T @ vectors), known.mean(axis=0), np.asarray(inverse))


class KnownMoments(NamedTuple):
    """What is kept of what is known of a sample's patients, numbers, and of how their vectors go with it.

    Attributes:
        mean: float64 `[known]`.
        covariance: `[known, known]`.
        with_vectors: covariance with the vectors, `[known, n]`.
        direction: mean of positive patients minus that of negative ones, `[known]`; None where `Moments` have none.
    """

    mean: Vectors
    covariance: Vectors
    with_vectors: Vectors
    direction: Vectors | None = None

    def part(self, columns: NDArray[np.intp]) -> KnownMoments:
        """Of some of what is known."""
        direction = None if self.direction is None else self.direction[columns]
        covariance = self.covariance[np.ix_(columns, columns)]
        return KnownMoments(self.mean[columns], covariance, self.with_vectors[columns], direction)


def known_moments(vectors: Vectors, known: Vectors, labels: ArrayLike | None = None) -> KnownMoments:
    """What `accounted` needs of a sample.

    Args:
        vectors: `[patients, n]`.
        known: numbers, `[patients, known]`.
        labels: as for `moments`.
    """
    joint = moments(np.hstack([known, vectors]), labels)
    count = known.shape[1]
    direction = None if joint.direction is None else joint.direction[:count]
    return KnownMoments(
        joint.mean[:count], joint.covariance[:count, :count], joint.covariance[:count, count:], direction
    )


def accounted(found: Moments, known: KnownMoments) -> tuple[Moments, CaseMix]:
    """What `moments` gives of vectors that `CaseMix.carried` was used on, and that regression, from moments alone.

    Args:
        found: of the vectors as they are.
        known: of the same patients.
    """
    scatter = (found.patients - 1) * known.covariance
    inverse = np.linalg.pinv(scatter)
    slopes = inverse @ ((found.patients - 1) * known.with_vectors)
    covariance = found.covariance - known.with_vectors.T @ slopes
    direction = found.direction
    if direction is not None and known.direction is not None:
        direction = direction - known.direction @ slopes
    return found._replace(covariance=covariance, direction=direction), CaseMix(slopes, known.mean, np.asarray(inverse))


def principal_axes(vectors: Vectors, patients: int | None = None) -> Vectors:
    """The directions in which vectors vary most, float64 `[axes, n]`: up to `AXES`, of 10 patients each.

    Args:
        vectors: `[m, n]`.
        patients: how many patients the axes may be of; None takes `m`.
    """
    centred = vectors - vectors.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    most = min(AXES, (len(vectors) if patients is None else patients) // PATIENTS_OF_AXIS)
    varying = int((spread > 1e-6 * max(float(spread[0]), 1e-12)).sum())
    return np.asarray(axes[: max(1, min(most, varying))])


def permuted_p(reference: Vectors, site: Vectors, replicates: int = 999, seed: int = 0) -> float:
    """The p value of the hypothesis that both samples are of one distribution, by permutation of patients.

    Args:
        reference, site: `[patients, n]`.
        replicates, seed: of the permutation.
    """
    pooled, ours = np.concatenate([reference, site]), len(site)
    count = len(pooled)
    inverse = _inverse(np.atleast_2d(np.cov(pooled, rowvar=False)))
    generator, centred = np.random.default_rng(seed), pooled - pooled.mean(axis=0)
    drawn = [np.arange(count)[None] >= len(reference)]
    for start in range(0, replicates, CHUNK):
        keys = generator.random((min(CHUNK, replicates - start), count))
        drawn.append(keys < np.partition(keys, ours, axis=1)[:, ours, None])
    means = np.concatenate([taken @ centred for taken in drawn]) / ours  # the other mean follows: their sum is 0
    distances = np.einsum("ij,jk,ik->i", means, inverse, means)
    return float((distances >= distances[0] * (1 - 1e-9)).mean())


def differ_p(reference: Moments, site: Moments, error: float = 0.0) -> float:
    """The same hypothesis where means and covariances are all that is known; exact for normal vectors.

    Args:
        reference, site: of the same coordinates.
        error: `CaseMix.error` of the site's patients, where their vectors were carried.
    """
    inverse = _inverse(_pooled(reference, site))
    apart = site.mean - reference.mean
    variance = 1 / reference.patients + 1 / site.patients + error
    return _f_p(float(apart @ inverse @ apart) / variance, reference, site)


def distance(reference: Moments, site: Moments) -> float:
    """How far apart the means lie, in standard deviations within the samples (Mahalanobis' distance)."""
    apart = site.mean - reference.mean
    return float(np.sqrt(apart @ _inverse(_pooled(reference, site)) @ apart))


def beyond_prevalence_p(reference: Moments, site: Moments, error: float = 0.0) -> float:
    """The p value of the hypothesis that the site's mean is that of the reference's classes in some share.

    The share is the one that explains the site best. What is not known of each class, of the rare one above all, is
    counted; that a share was fitted is not, which errs to the side of prevalence. Where nothing is known of the
    classes, the hypothesis is that the means lie no further apart than `ALLOWED` (Mahalanobis' distance).

    Args:
        reference, site, error: as for `differ_p`.
    """
    inverse = _inverse(_pooled(reference, site))
    if reference.direction is None:
        between, each = site.mean - reference.mean, 1 / reference.patients + 1 / site.patients + error
        return _f_p(float(between @ inverse @ between) / each, reference, site, ALLOWED**2 / each)
    shares = np.linspace(0, 1, SHARES)
    own = reference.positives / (reference.positives + reference.negatives)
    apart = site.mean - reference.mean - (shares - own)[:, None] * reference.direction
    variance = 1 / site.patients + error + shares**2 / reference.positives + (1 - shares) ** 2 / reference.negatives
    distances = np.einsum("ij,jk,ik->i", apart, inverse, apart) / variance
    return _f_p(float(distances.min()), reference, site)


def _pooled(reference: Moments, site: Moments) -> Vectors:
    """The covariance within the two samples."""
    one, other = reference.patients - 1, site.patients - 1
    return (one * reference.covariance + other * site.covariance) / (one + other)


def _f_p(t_squared: float, reference: Moments, site: Moments, noncentral: float = 0.0) -> float:
    freedom, size = reference.patients + site.patients - 2, len(reference.mean)
    left = freedom - size + 1
    value = t_squared * left / (freedom * size)
    return float(stats.ncf.sf(value, size, left, noncentral) if noncentral else stats.f.sf(value, size, left))


def _inverse(covariance: Vectors) -> Vectors:
    size = len(covariance)
    mean = float(np.trace(covariance)) / size
    scale = np.sqrt(np.maximum(np.diag(covariance), RIDGE * max(mean, 1e-300)))
    alike = covariance / np.outer(scale, scale) + RIDGE * np.eye(size)
    return np.asarray(np.linalg.inv(alike) / np.outer(scale, scale))

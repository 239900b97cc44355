"""The training domain of a model's card: what tells whether other pictures are like those that it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from mammo_tf.evaluation.vector_tests import KnownMoments, Moments
from mammo_tf.imaging.domain_distance import DomainDistance
from mammo_tf.imaging.periphery import PeripheryStatistics

DIGITS = 6  # of a number, which the files would else hold with 17


@dataclass(frozen=True)
class Distribution:
    """Grey values of a domain: average cumulative distribution at equal steps from 0 to 1, and of how many images.

    Attributes:
        values: the share of pixels at or below each level.
        images: how many.
        pixels: which pixels count: of the `breast`, or `not black` where preparation did not look for it.
    """

    values: tuple[float, ...]
    images: int
    pixels: str = "breast"


@dataclass(frozen=True)
class BandStatistics:
    """Contrast by scale of a domain.

    Attributes:
        scales: of the bands, in prepared pixels.
        spacing_mm: of these pixels, the median over images; None where it is not known.
        values: a row a band: the robust and the plain statistic of `imaging.bands`.
        images: how many.
    """

    scales: tuple[float, ...]
    spacing_mm: float | None
    values: tuple[tuple[float, ...], ...]
    images: int


@dataclass(frozen=True)
class Histogram:
    """Scores on validation: counts between edges (one more than counts); a score on an edge counts below it.

    Attributes:
        edges: rising; the first and the last are 0 and 1.
        counts: of cases.
        images: how many images the cases are of.
        positive_counts: of the positive among the cases; empty where that is not told.
        level: of the cases: patient where the predictions tell patients of several images.
        aggregates: how scores of images were put together, by level.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    images: int
    positive_counts: tuple[int, ...] = ()
    level: str = "image"
    aggregates: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PatientFacts:
    """What is known of the patients of a spread, and how their vectors go with it.

    Attributes:
        columns: of `evaluation.patient_facts.KNOWN`, those that are told of every patient, `[k]`.
        mean: `[k]`.
        covariance: `[k, k]`.
        with_vectors: covariance with the vectors, `[k, n]`.
        direction: mean of positive patients minus that of negative ones, `[k]`; empty where a class has too few.
        densities: patients of A, B, C and D; empty where somebody's is not told.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    with_vectors: tuple[tuple[float, ...], ...]
    direction: tuple[float, ...] = ()
    densities: tuple[int, ...] = ()

    @property
    def moments(self) -> KnownMoments:
        """What accounts for them."""
        direction = np.asarray(self.direction, np.float64) if self.direction else None
        mean, covariance, cross = (np.asarray(one) for one in (self.mean, self.covariance, self.with_vectors))
        return KnownMoments(mean, covariance, cross, direction)


@dataclass(frozen=True)
class Spread:
    """Of a vector a patient, the mean over her pictures: mean and covariance over patients.

    Attributes:
        mean: `[n]`.
        covariance: `[n, n]`.
        patients: how many.
        direction: mean of positive patients minus that of negative ones, `[n]`; empty where a class has too few.
        positives, negatives: of how many patients the direction is.
        facts: what is known of the patients beside; None where nothing is of all of them.
    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    patients: int
    direction: tuple[float, ...] = ()
    positives: int = 0
    negatives: int = 0
    facts: PatientFacts | None = None

    @classmethod
    def of(cls, found: Moments) -> Self:
        """Moments to `DIGITS` digits."""
        return cls(
            rounded(found.mean), tuple(map(rounded, found.covariance)), found.patients,
            () if found.direction is None else rounded(found.direction), found.positives, found.negatives,
        )  # fmt: skip

    @property
    def moments(self) -> Moments:
        """What tests of another sample take."""
        direction = np.asarray(self.direction, np.float64) if self.direction else None
        return Moments(
            np.asarray(self.mean, np.float64), np.asarray(self.covariance, np.float64), self.patients, direction,
            self.positives, self.negatives,
        )  # fmt: skip


@dataclass(frozen=True)
class PictureSpread:
    """What training pictures are like, patient by patient.

    Attributes:
        quantiles: of the grey values inside the breast; they are the first coordinates.
        scales: of the bands, in prepared pixels, whose contrasts, as natural logarithms, are the further coordinates.
        spread: over patients.
        images: how many.
    """

    quantiles: tuple[float, ...]
    scales: tuple[float, ...]
    spread: Spread
    images: int


@dataclass(frozen=True)
class Embedding:
    """The features before the output, over validation pictures: those of training are known by heart.

    Attributes:
        mean: of all features, over patients.
        axes: the directions in which patients vary most, a row each.
        spread: over patients, of the features less their mean along the axes.
        images: how many.
    """

    mean: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]
    spread: Spread
    images: int


@dataclass(frozen=True)
class TrainingDomain:
    """Where a model was trained: what tells whether other pictures are like those.

    Attributes:
        images: in training.
        counts: column (manufacturer, model_name, software, site, modality, view) -> value -> images.
        grey_mean: of the prepared pictures, in [0, 1].
        distribution, bands, pictures, periphery: of up to 200 training pictures, as the network sees them but for scale
            and mean.
        validation_scores, embedding: of validation.
        distance: what the distance of a picture is measured by, and beyond which one an answer is to be abstained from.
            Each of these seven is None where it was not taken.
    """

    images: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    grey_mean: float | None = None
    distribution: Distribution | None = None
    bands: BandStatistics | None = None
    validation_scores: Histogram | None = None
    embedding: Embedding | None = None
    pictures: PictureSpread | None = None
    periphery: PeripheryStatistics | None = None
    distance: DomainDistance | None = None


def rounded(values: object) -> tuple[float, ...]:
    """Numbers to `DIGITS` digits."""
    return tuple(float(f"{value:.{DIGITS}g}") for value in np.asarray(values, np.float64).ravel())

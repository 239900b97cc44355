"""How far one picture lies from those that a model was trained on: grey values, and contrast by scale.

A picture is looked at where it is not black (`geometry` of both presets blackens what is no breast), as the network
sees it but for scale and mean. Its vector: the share of these pixels at or below each of some levels, then the natural
logarithm of the mean size of each band of a Laplacian pyramid (Burt and Adelson, IEEE Transactions on Communications
1983), which looks at nothing black. Its distance is Mahalanobis', by mean and covariance of training pictures, the
covariance shrunk as Ledoit and Wolf have it (*A well-conditioned estimator for large-dimensional covariance matrices*,
Journal of Multivariate Analysis 88, 2004). `data/graph_domain.py` is the twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError

OCTAVES = 5  # bands of the pyramid, each of half the frequency of the one before
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of training pixels at or below the levels
LEAST = 1e-6  # of a band's mean size, whose logarithm stands for none
TINY = 1e-20  # the least weight of the mask, so that nothing is divided by 0
COVERED = 0.5  # of a pixel of a level: at least so much of it is looked at
ABSTAINED = 0.01  # of pictures like those of validation lie beyond the limit
FEWEST = 20  # pictures of training, that a distance can be fitted on

Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class DomainDistance:
    """What the distance of a picture is measured by.

    Attributes:
        levels: in [0, 1], rising.
        mean: of the vectors of training pictures, `[len(levels) + OCTAVES]`.
        precision: inverse of their covariance, a row each.
        limit: a picture that lies farther away is one to abstain from. Of pictures like those of validation that is one
            in a hundred, or with fewer than ninety-nine of them one that lies beyond all.
        images: of training.
        validation: pictures that the limit was taken from.
    """

    levels: tuple[float, ...]
    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    limit: float
    images: int
    validation: int

    def of(self, vectors: ArrayLike) -> Vectors:
        """Distances, from 0 up.

        Args:
            vectors: of pictures, `[n, len(levels) + OCTAVES]`.

        Returns:
            float64 `[n]`.
        """
        apart = np.asarray(vectors, np.float64) - np.asarray(self.mean)
        squares = np.einsum("ni,ij,nj->n", apart, np.asarray(self.precision), apart)
        return np.asarray(np.sqrt(np.maximum(squares, 0)))


def levels_of(cdf: ArrayLike) -> tuple[float, ...]:
    """The grey values that `SHARES` of the pixels of a domain lie at or below.

    Args:
        cdf: share of pixels at or below each of equal steps from 0 to 1, rising.
    """
    shares = np.asarray(cdf, np.float64)
    return tuple(float(np.searchsorted(shares, share)) / (len(shares) - 1) for share in SHARES)


def vector(picture: NDArray[np.floating], levels: Sequence[float]) -> Vectors:
    """What one picture is like.

    Args:
        picture: `[rows, columns]` in [0, 1], black outside the breast.
        levels: in [0, 1].

    Returns:
        float64 `[len(levels) + OCTAVES]`; of a picture that is all black no share and the least contrast.
    """
    values = np.ascontiguousarray(picture, np.float32)
    inside = values > 0
    values = np.where(inside, values, np.float32(0))
    count = max(int(np.count_nonzero(inside)), 1)
    shares = [np.count_nonzero(inside & (values <= np.float32(level))) / count for level in levels]
    return np.array([*shares, *(np.log(max(size, LEAST)) for size in _band_sizes(values, inside))])


def _band_sizes(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> list[float]:
    """Mean absolute value of each band, where `COVERED` of a pixel is looked at."""
    unit = 2**OCTAVES
    margin = 2 * unit
    frame = [(margin, margin + -size % unit) for size in values.shape]
    level, weight = (np.pad(part, frame).astype(np.float32) for part in (values, inside))
    sizes = []
    for _ in range(OCTAVES):
        below, lighter = (np.asarray(cv2.pyrDown(part), np.float32) for part in (level, weight))
        rough, cover = (np.asarray(cv2.pyrUp(part), np.float32) for part in (below, lighter))
        band = level / np.maximum(weight, TINY) - rough / np.maximum(cover, TINY)
        covered = weight >= COVERED
        sizes.append(float(np.abs(band[covered]).mean(dtype=np.float64)) if covered.any() else 0.0)
        level, weight = below, lighter
    return sizes


def fit(levels: Sequence[float], training: ArrayLike, validation: ArrayLike) -> DomainDistance:
    """A distance from training pictures, with its limit from pictures of validation.

    The limit is that of conformal prediction (Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World*,
    2005): a further picture like those of validation lies beyond it with a probability of `ABSTAINED` at most, or of
    1 / (validation + 1) where there are too few for that.

    Args:
        levels: of the vectors.
        training: vectors of training pictures, `[n, len(levels) + OCTAVES]`.
        validation: vectors of pictures of patients who are not among them, `[m, ...]`, `m` from 1 up.

    Raises:
        MammoError: `images_missing` for fewer than `FEWEST` of training, or none of validation.
    """
    from sklearn.covariance import LedoitWolf  # takes most of a second to load

    known, others = np.asarray(training, np.float64), np.asarray(validation, np.float64)
    if len(known) < FEWEST or not len(others):
        sentence = f"{len(known)} pictures of training and {len(others)} of validation"
        raise MammoError("images_missing", sentence, f"A distance wants {FEWEST} of training and one of validation")
    scale = np.maximum(known.std(axis=0), LEAST)  # shrinking is towards equal variances: so of equal ones
    fitted = LedoitWolf().fit((known - known.mean(axis=0)) / scale)
    precision = fitted.precision_ / np.outer(scale, scale)
    found = DomainDistance(
        tuple(levels), tuple(known.mean(axis=0).tolist()), tuple(map(tuple, precision.tolist())), 0.0, len(known),
        len(others),
    )  # fmt: skip
    distances = np.sort(found.of(others))
    place = min(ceil((1 - ABSTAINED) * (len(others) + 1)), len(others)) - 1
    return DomainDistance(
        found.levels, found.mean, found.precision, float(distances[place]), found.images, found.validation
    )

"""How far `serving_default` is from what a model was measured with: both are asked about the pictures of validation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import stats

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.serving.predict_inputs import Candidate, pictures_of
from mammo_tf.serving.predict_picture import prepare_both

MOST_CHANGED = 0.02  # of the calls
LEAST_CORRELATION = 0.98
DIGITS = 4  # of a score that count: rounding makes no order, and changes no call of a score that lies on the threshold


@dataclass(frozen=True)
class SignatureGap:
    """Scores of whole files by `serving_default` against scores after the full preprocessing by `serving_float`.

    Attributes:
        images: that were compared.
        rank_correlation: Spearman's; None where all scores are the same.
        largest_difference: of two scores of a picture.
        calls_changed: share of the images that are called otherwise; None without a threshold for images.
        threshold: at which they are called.
        refused: of the images, those that `serving_default` gives no score; each is a changed call.
    """

    images: int
    rank_correlation: float | None
    largest_difference: float
    calls_changed: float | None
    threshold: float | None
    refused: int = 0

    @property
    def is_large(self) -> bool:
        """Whether scores of `serving_default` cannot stand for those that were measured."""
        too_many = (self.calls_changed or 0.0) > MOST_CHANGED or self.refused > MOST_CHANGED * self.images
        return too_many or (self.rank_correlation is not None and self.rank_correlation < LEAST_CORRELATION)

    @property
    def words(self) -> str:
        """One line."""
        told = "none" if self.rank_correlation is None else f"{self.rank_correlation:.3f}"
        calls = "no threshold" if self.calls_changed is None else f"{self.calls_changed:.1%} of calls change"
        refused = f", {self.refused} refused" if self.refused else ""
        return (
            f"serving_default against the full preprocessing on {self.images} validation images: rank correlation "
            f"{told}, {calls}, largest difference of scores {self.largest_difference:.2g}{refused}"
        )


def measure_gap(
    signatures: Mapping[str, Callable[..., Mapping[str, Any]]],
    preprocessing: Preprocessing,
    candidates: Sequence[Candidate],
    threshold: float | None,
) -> SignatureGap | None:
    """Reads every picture once and asks both signatures.

    Args:
        signatures: `serving_default` and `serving_float`, as `signatures.serving_functions` gives them.
        preprocessing: the full one.
        candidates: pictures, of validation.
        threshold: of images; None if the model has none.

    Returns:
        The gap; None where none of the pictures can be read.
    """
    full, served, refused = [], [], 0
    work = partial(prepare_both, preprocessing=preprocessing)
    workers = min(4, os.cpu_count() or 1)
    pictures = pictures_of(candidates, preprocessing.projection, workers)
    for _, found in each_file(work, pictures, workers, "comparing signatures"):
        if isinstance(found, MammoError):
            continue
        prepared, png = found
        try:
            score = float(signatures["serving_default"](tf.constant([png]))["score"][0])
        except tf.errors.InvalidArgumentError:
            refused += 1
            continue
        served.append(score)
        masks = [tf.constant(prepared.breast_mask)[None]] if preprocessing.needs_breast else []
        full.append(float(signatures["serving_float"](tf.constant(prepared.picture)[None], *masks)["score"][0]))
    if not served and not refused:
        return None
    return compare(np.array(full), np.array(served), threshold, refused)


def compare(
    full: NDArray[np.float64], served: NDArray[np.float64], threshold: float | None, refused: int = 0
) -> SignatureGap:
    """The gap between scores.

    Args:
        full, served: float64 `[images]`, of the same images.
        threshold: a score that reaches it is positive.
        refused: images that have a full score alone.
    """
    images = len(full) + refused
    changed = None
    if threshold is not None:
        otherwise = (full >= threshold) != (served >= threshold)
        changed = float((np.count_nonzero(otherwise & (np.abs(full - served) > 10**-DIGITS)) + refused) / images)
    ranks = [np.round(scores, DIGITS) for scores in (full, served)]
    alike = any(np.unique(values).size < 2 for values in ranks)
    return SignatureGap(
        images=images,
        rank_correlation=None if alike else float(stats.spearmanr(*ranks).statistic),
        largest_difference=float(np.abs(full - served).max(initial=0.0)),
        calls_changed=changed,
        threshold=threshold,
        refused=refused,
    )

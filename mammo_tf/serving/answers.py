"""What a model's card says of a score, computed in the graph: probability, decision, and how far the picture lies.

- `probability` float32 `[batch]`: the score through the card's calibration, where it was calibrated.
- `decision` int32 `[batch]`: 1 where the score reaches the card's threshold for images, where it has one that was
  chosen on the scores of this signature.
- `domain_distance` float32 `[batch]` and `abstain` bool `[batch]`: `imaging.domain_distance` of the picture behind the
  steps that carry it to the look of the training domain, and whether it lies beyond the limit; of whole pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import tensorflow as tf

from mammo_tf.data import graph_preprocessing
from mammo_tf.data.graph_domain import distances
from mammo_tf.evaluation import Calibration
from mammo_tf.evaluation.calibration import CLOSEST
from mammo_tf.imaging.domain_distance import DomainDistance
from mammo_tf.imaging.harmonising import look_steps
from mammo_tf.imaging.intensity_steps import Channels
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.training import ModelCard
from mammo_tf.training.model_card import ANY_SIGNATURE

Tensor = Any
FAR = ("domain_distance", "abstain")  # of a picture, whatever its score is


@dataclass(frozen=True)
class Answers:
    """What is said beyond the network's outputs.

    Attributes:
        calibration, threshold, domain: of the card; None for what it does not say.
        look: the preprocessing's steps that carry pictures to the look of a domain, alone.
    """

    calibration: Calibration | None
    threshold: float | None
    domain: DomainDistance | None
    look: Preprocessing

    @classmethod
    def of(cls, card: ModelCard, preprocessing: Preprocessing, signature: str) -> Self:
        """What the card says of scores of a signature.

        Args:
            card: as it is served.
            preprocessing: of what is sent.
            signature: of the bundle.
        """
        whole = card.patch is None and card.tiling is None
        thresholds = [
            one.value for one in card.thresholds if one.level == "image" and one.signature in (ANY_SIGNATURE, signature)
        ]
        return cls(
            calibration=card.calibration.function if whole and card.calibration is not None else None,
            threshold=thresholds[0] if whole and thresholds else None,
            domain=card.training_domain.distance if whole else None,
            look=replace(preprocessing, intensity_steps=(*look_steps(preprocessing), Channels(1))),
        )

    def __call__(self, scores: Tensor, pictures: Tensor, breasts: Tensor | None = None) -> dict[str, Tensor]:
        """By name.

        Args:
            scores: float32 `[batch]`.
            pictures: float32 `[batch, rows, columns]` in [0, 1], after `geometry`.
            breasts: bool `[batch, rows, columns]`, where a step needs them.
        """
        exact = tf.cast(scores, tf.float64)
        said = {}
        if self.calibration is not None:
            said["probability"] = tf.cast(probabilities(self.calibration, exact), tf.float32)
        if self.threshold is not None:
            said["decision"] = tf.cast(exact >= tf.constant(self.threshold, tf.float64), tf.int32)
        if self.domain is not None:
            seen = graph_preprocessing.intensity(self.look, pictures, breasts)[..., 0]
            found = distances(self.domain, seen)
            said |= {"domain_distance": found, "abstain": found > tf.constant(self.domain.limit, tf.float32)}
        return said


def probabilities(calibration: Calibration, scores: Tensor) -> Tensor:
    """The graph's twin of a `Calibration`: float64 `[batch]` to float64 `[batch]`.

    An isotonic one is a sum of slopes, each times the part of the score that lies between two knots, so that it needs
    no operation that other runtimes lack.
    """
    if calibration.method == "isotonic":
        knots, values = (np.asarray(part, np.float64) for part in (calibration.knots, calibration.values))
        total = tf.fill(tf.shape(scores), tf.constant(values[0], tf.float64))
        if len(knots) > 1:
            widths, rises = np.diff(knots), np.diff(values)
            within = tf.clip_by_value((scores[:, None] - knots[:-1]) / widths, 0.0, 1.0)
            total += tf.reduce_sum(within * rises, axis=1)
        return total
    inside = tf.clip_by_value(scores, CLOSEST, 1 - CLOSEST)
    logits = tf.math.log(inside) - tf.math.log(1 - inside)
    return tf.sigmoid(calibration.slope * logits + calibration.intercept)

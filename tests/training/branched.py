"""A tiny network with branches, for tests of what trains it: one convolution and one normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import keras
from keras import layers

from mammo_tf.models import NETWORKS, described
from mammo_tf.models.branch_network import PictureMean
from mammo_tf.models.normalization import MultiLayerNormalization


@NETWORKS.register
@dataclass(frozen=True)
class Branched:
    """Gain and shift of four features by branch."""

    kind: ClassVar[str] = "branched_for_tests"
    branches: int = 3

    def build(self, shape: Any) -> keras.Model:
        image, branch = keras.Input(shape, name="image"), keras.Input((), dtype="int32", name="branch")
        seen = PictureMean(self.branches, name="picture")(layers.Rescaling(1 / 255)(image), branch)
        features = layers.Conv2D(4, 5, padding="same", name="encoder")(seen)
        mixed = layers.Activation("relu")(MultiLayerNormalization(self.branches, name="norm")(features, branch))
        outputs = layers.Conv2D(1, 1, activation="sigmoid", name="output")(mixed)
        return described(keras.Model([image, branch], outputs), self)

    def grow(self, before: keras.Model, shape: Any) -> keras.Model:
        return self.build(shape)

    def small(self) -> Self:
        return self

"""A tiny network with branches, for tests of what trains it: one convolution, its gain and shift by branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import keras
from keras import layers, ops

from mammo_tf.models import NETWORKS, described


@keras.saving.register_keras_serializable("tests")
class Counted(layers.Layer):
    """Hands pictures on, and counts those of an epoch: a statistic that begins anew with every epoch."""

    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)
        self.built = True

    def call(self, pictures: Any, training: bool = False) -> Any:
        if training:
            self.count.assign_add(ops.cast(ops.shape(pictures)[0], "float32"))
        return pictures

    def reset_statistics(self) -> None:
        self.count.assign(0.0)


@NETWORKS.register
@dataclass(frozen=True)
class Branched:
    """Gain and shift of four features by branch."""

    kind: ClassVar[str] = "branched_for_tests"
    branches: int = 3

    def build(self, shape: Any) -> keras.Model:
        image, branch = keras.Input(shape, name="image"), keras.Input((), dtype="int32", name="branch")
        counted = Counted()(layers.Rescaling(1 / 255)(image))
        features = layers.Conv2D(4, 5, padding="same", name="encoder")(counted)
        gain, shift = (
            layers.Reshape((1, 1, 4))(layers.Embedding(self.branches, 4, start, name=name)(branch))
            for name, start in (("gain", "ones"), ("shift", "zeros"))
        )
        mixed = layers.Activation("relu")(layers.Add()([layers.Multiply()([features, gain]), shift]))
        outputs = layers.Conv2D(1, 1, activation="sigmoid", name="output")(mixed)
        return described(keras.Model([image, branch], outputs), self)

    def grow(self, before: keras.Model, shape: Any) -> keras.Model:
        return self.build(shape)

    def small(self) -> Self:
        return self

"""A U-Net of twenty lines, as anyone might bring one: in a file of their own, registered by its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import keras
from keras import layers

from mammo_tf.models import NETWORKS, described


@NETWORKS.register
@dataclass(frozen=True)
class LittleUNet:
    """Two levels, skip connections, a sigmoid or a softmax for every pixel; with `sigmoids` one for each output."""

    kind: ClassVar[str] = "little_unet"
    filters: int = 4
    outputs: int = 1
    sigmoids: bool = False

    def build(self, shape: Any) -> keras.Model:
        inputs = keras.Input(shape)
        scaled = layers.Rescaling(1 / 128)(inputs)
        first = layers.Conv2D(self.filters, 5, 2, padding="same", activation="relu", name="encoder_1")(scaled)
        first = layers.BatchNormalization(momentum=0.7, name="norm_1")(first)
        second = layers.Conv2D(2 * self.filters, 3, 2, padding="same", activation="relu", name="encoder_2")(first)
        second = layers.BatchNormalization(momentum=0.7, name="norm_2")(second)
        up = layers.UpSampling2D(2)(layers.Conv2D(self.filters, 3, padding="same", activation="relu")(second))
        joined = layers.Concatenate()([up, first])
        up = layers.UpSampling2D(2)(layers.Conv2D(self.filters, 3, padding="same", activation="relu")(joined))
        joined = layers.Concatenate()([up, scaled])
        activation = "sigmoid" if self.outputs == 1 or self.sigmoids else "softmax"
        return described(keras.Model(inputs, layers.Conv2D(self.outputs, 1, activation=activation)(joined)), self)

    def grow(self, before: keras.Model, shape: Any) -> keras.Model:
        return self.build(shape)

    def small(self) -> Self:
        return self

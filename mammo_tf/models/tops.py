"""The two tops of End2End, between body and pooling.

Layers are named, ordered and counted as in `tests/golden/end2end/models_1152x896.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import keras
from keras import layers

from mammo_tf.models.backbones import BATCH_NORM, scaled


def plain_top(tensor: Any, width: float, dropout: float, weight_decay: float) -> tuple[Any, int]:
    """Two blocks of 3x3 convolution, batch normalisation, ReLU, dropout, pooling; and how many dropouts they hold."""
    for block in (1, 2):
        tensor = layers.Conv2D(
            scaled(512, width), 3, padding="same", kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(weight_decay), name=f"conv2d_{block}",
        )(tensor)  # fmt: skip
        tensor = layers.BatchNormalization(**BATCH_NORM, name=f"batch_normalization_{block}")(tensor)
        tensor = layers.Activation("relu", name=f"activation_{block}")(tensor)
        tensor = layers.Dropout(dropout, name=f"dropout_{block}")(tensor)
        tensor = layers.MaxPooling2D(2, name=f"max_pooling2d_{block}")(tensor)
    return tensor, 2


def residual_top(tensor: Any, width: float, dropout: float, weight_decay: float) -> tuple[Any, int]:
    """Two blocks of two residual bottlenecks; and how many dropouts they hold."""
    convolutions, activations, additions = count(1), count(1), count(1)

    def convolved(tensor: Any, number: int, filters: int, size: int, stride: int = 1, padding: str = "same") -> Any:
        tensor = layers.Conv2D(
            scaled(filters, width), size, strides=stride, padding=padding, kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(weight_decay), name=f"conv2d_{number}",
        )(tensor)  # fmt: skip
        return layers.BatchNormalization(**BATCH_NORM, name=f"batch_normalization_{number}")(tensor)

    def activated(tensor: Any) -> Any:
        number = next(activations)
        tensor = layers.Activation("relu", name=f"activation_{number}")(tensor)
        return layers.Dropout(dropout, name=f"dropout_{number}")(tensor)

    for _ in range(2):
        for stride in (2, 1):
            inputs = tensor
            tensor = activated(convolved(inputs, next(convolutions), 512, 1, stride))
            tensor = activated(convolved(tensor, next(convolutions), 512, 3))
            tensor = convolved(tensor, next(convolutions), 1024, 1)
            if stride == 2:
                inputs = convolved(inputs, next(convolutions), 1024, 1, stride, "valid")
            tensor = activated(layers.Add(name=f"add_{next(additions)}")([inputs, tensor]))
    return tensor, 12


# name -> function of (features, width, dropout, weight decay), and the pixels that leave one after all poolings
TOPS: dict[str, tuple[Callable[[Any, float, float, float], tuple[Any, int]], int]] = {
    "512x1": (plain_top, 128),
    "512-512-1024x2": (residual_top, 32),
}

"""The features that a classifier decides by: what stands in front of its output layer."""

from __future__ import annotations

import keras
from keras import layers


def feature_model(model: keras.Model) -> keras.Model | None:
    """Pictures to the features in front of the output layer, `[batch, features]`, weights shared.

    None for a network that does not end in a dense layer on a vector.
    """
    head = model.layers[-1]
    if len(model.inputs) != 1 or not isinstance(head, layers.Dense) or len(head.input.shape) != 2:
        return None
    return keras.Model(model.inputs[0], head.input, name="features")

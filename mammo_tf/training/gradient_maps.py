"""Where a classifier looked, for networks without a class activation map: Grad-CAM.

Source: Selvaraju et al., *Grad-CAM: Visual explanations from deep networks via gradient-based localization*, ICCV 2017,
equations 1 and 2. Where the feature map is the one in front of pooling and a dense layer, it is the positive part of
the class activation map, divided by the number of its points.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.errors import MammoError

SMALLEST = 1e-7  # probability whose logarithm is taken
LEAST_POINTS = 6  # of the shorter side of a feature map: a coarser one does not point anywhere


def gradient_maps(model: keras.Model, pictures: NDArray[np.float32], column: int = 1) -> NDArray[np.float32]:
    """Grad-CAM of the logarithm of the odds of one class, at the last feature map with `LEAST_POINTS` along each side.

    Without such a map it is the last of all.

    Args:
        model: a classifier that gives probabilities `[batch, classes]`.
        pictures: network input, float32 `[images, rows, columns, channels]`.
        column: the class.

    Returns:
        float32 `[images, map rows, map columns]`, from 0 up.

    Raises:
        MammoError: `no_feature_map` for a network without a layer that gives pictures of more than one channel.
    """
    features = _last_features(model)
    both = keras.Model(model.inputs[0], [features, model.outputs[0]])
    return np.concatenate([_one(both, picture[None], column) for picture in pictures])


def _last_features(model: keras.Model) -> Any:
    outputs = [layer.output for layer in model.layers[1:] if not isinstance(layer.output, list | tuple | dict)]
    maps = [output for output in outputs if len(output.shape) == 4 and output.shape[-1] > 1]
    if not maps:
        sentence = f"no layer of {model.name} gives a feature map"
        raise MammoError("no_feature_map", sentence, "Take a convolutional network")
    fine = [output for output in maps if min(size or 0 for size in output.shape[1:3]) >= LEAST_POINTS]
    return fine[-1] if fine else maps[-1]


def _one(both: keras.Model, picture: NDArray[np.float32], column: int) -> NDArray[np.float32]:
    with tf.GradientTape() as tape:
        features, probabilities = both(tf.constant(picture), training=False)
        chosen = tf.clip_by_value(probabilities[:, column], SMALLEST, 1.0)
        others = tf.clip_by_value(tf.reduce_sum(probabilities, axis=1) - probabilities[:, column], SMALLEST, 1.0)
        odds = tf.math.log(chosen) - tf.math.log(others)
    slopes = tape.gradient(odds, features)
    weights = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)
    return np.asarray(tf.nn.relu(tf.reduce_sum(weights * features, axis=-1)), np.float32)

"""The features in front of a classifier's output are what it answers by; a network without such has none."""

from __future__ import annotations

import keras
import numpy as np

from mammo_tf.models import PatchClassifier, architecture_digest, feature_model, small_unet


def test_features_are_what_the_output_layer_sees() -> None:
    model = PatchClassifier(width=1 / 32).build((32, 32, 3))
    before, pictures = architecture_digest(model), np.random.default_rng(0).normal(0, 30, (3, 32, 32, 3))
    features = np.asarray(feature_model(model)(pictures.astype(np.float32)))
    kernel, bias = (np.asarray(weight) for weight in model.layers[-1].weights)
    answers = np.asarray(model(pictures.astype(np.float32)))
    np.testing.assert_allclose(np.asarray(keras.ops.softmax(features @ kernel + bias)), answers, atol=1e-5)
    assert features.shape == (3, kernel.shape[0])
    assert architecture_digest(model) == before


def test_networks_without_such_features_have_none() -> None:
    assert feature_model(small_unet((32, 32, 1))) is None
    pictures = keras.Input((8, 8, 1), name="pictures")
    on_pixels = keras.Model(pictures, keras.layers.Dense(2, name="dense")(pictures))
    assert feature_model(on_pixels) is None

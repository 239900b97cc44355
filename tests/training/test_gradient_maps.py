"""Grad-CAM against the class activation map, which it equals where both exist, and where that does not."""

import keras
import numpy as np
import pytest
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models import activation_map_model, activation_maps
from mammo_tf.training import Classification
from mammo_tf.training.gradient_maps import gradient_maps

PICTURES = np.random.default_rng(0).random((3, 32, 32, 3)).astype(np.float32)


def body(pictures):
    tensor = layers.Conv2D(8, 3, 2, "same", activation="relu")(pictures)
    return layers.Conv2D(6, 3, 2, "same", activation="relu")(tensor)


@pytest.fixture(scope="module")
def pooled():
    keras.utils.set_random_seed(2)
    pictures = keras.Input((32, 32, 3))
    tensor = layers.GlobalAveragePooling2D()(body(pictures))
    return keras.Model(pictures, layers.Dense(2, "softmax")(tensor))


@pytest.mark.parametrize("column", [0, 1])
def test_it_is_the_positive_part_of_the_class_activation_map(pooled, column):
    expected = np.asarray(activation_map_model(pooled, column).predict(PICTURES, verbose=0))[..., 0]
    found = gradient_maps(pooled, PICTURES, column)
    assert found.shape == (3, 8, 8) and found.max() > 0
    np.testing.assert_allclose(found, np.maximum(expected, 0) / 64, atol=1e-6)


def test_a_network_without_pooling_has_evidence_too():
    keras.utils.set_random_seed(3)
    pictures = keras.Input((32, 32, 3))
    tensor = layers.Dense(5, "relu")(layers.Flatten()(body(pictures)))
    model = keras.Model(pictures, layers.Dense(2, "softmax")(tensor))
    found = Classification().evidence(model, PICTURES)
    assert found is not None and found.shape == (3, 8, 8) and (found >= 0).all()


def test_a_map_too_coarse_to_point_is_not_taken_where_there_is_a_finer_one():
    keras.utils.set_random_seed(4)
    pictures = keras.Input((32, 32, 3))
    coarse = layers.Conv2D(4, 3, 4, "same", activation="relu")(body(pictures))
    model = keras.Model(pictures, layers.Dense(2, "softmax")(layers.Flatten()(coarse)))
    assert coarse.shape[1:3] == (2, 2)
    assert gradient_maps(model, PICTURES).shape == (3, 8, 8)


def test_a_network_without_pictures_inside_is_refused():
    pictures = keras.Input((8, 8, 3))
    model = keras.Model(pictures, layers.Dense(2, "softmax")(layers.Flatten()(pictures)))
    with pytest.raises(MammoError, match="gives a feature map"):
        gradient_maps(model, PICTURES[:, :8, :8])
    assert Classification().evidence(model, PICTURES[:, :8, :8]) is None


@pytest.mark.parametrize(("strides", "finer"), [(1, True), (4, False)])
def test_evidence_is_the_class_activation_map_where_that_is_fine_enough(strides, finer):
    keras.utils.set_random_seed(5)
    pictures = keras.Input((32, 32, 3))
    tensor = layers.Conv2D(4, 3, strides, "same", activation="relu")(body(pictures))
    model = keras.Model(pictures, layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(tensor)))
    expected = activation_maps(model, PICTURES) if finer else gradient_maps(model, PICTURES)
    found = Classification().evidence(model, PICTURES)
    assert found is not None and found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)

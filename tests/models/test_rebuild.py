"""Rates that `rebuild` sets are in force, weights and names stay."""

from __future__ import annotations

import keras
import numpy as np

from mammo_tf.models import activation_map_model, activation_maps, end2end, named_layers, rebuild


def _model(**arguments: object):
    return end2end(input_shape=(128, 128, 3), width=1 / 32, **arguments)


PICTURES = np.random.default_rng(0).normal(0, 30, (2, 128, 128, 3)).astype(np.float32)


def test_dropout_of_a_model_built_with_rate_zero() -> None:
    model = rebuild(_model(dropout=0.0), dropout=0.5)
    assert not np.allclose(model(PICTURES, training=True), model(PICTURES, training=True), atol=1e-7)


def test_decay_counts_in_the_loss_and_can_be_switched_off_and_on() -> None:
    model = _model(weight_decay=0.001)
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    squares = sum(float(np.square(kernel).sum()) for kernel in kernels)
    assert np.isclose(float(sum(model.losses)), 0.001 * squares, rtol=1e-5)
    off = rebuild(model, weight_decay=0.0)
    assert float(sum(off.losses)) == 0.0
    assert np.isclose(float(sum(rebuild(off, weight_decay=0.002).losses)), 0.002 * squares, rtol=1e-5)


def test_trainable_flags_travel() -> None:
    model = _model()
    model.get_layer("model_1").get_layer("block1_conv1").trainable = False
    model.get_layer("conv2d_2").trainable = False
    renewed = dict(named_layers(rebuild(model)))
    assert not renewed["model_1/block1_conv1"].trainable
    assert not renewed["conv2d_2"].trainable
    assert renewed["model_1/block1_conv2"].trainable


def test_synchronised_statistics_are_set() -> None:
    renewed = rebuild(_model(), synchronized=True)
    assert renewed.get_layer("batch_normalization_1").synchronized


def test_mean_of_the_activation_map_is_the_difference_of_logits() -> None:
    model = _model()
    bias = model.get_layer("dense_1").bias.numpy()
    maps = activation_map_model(model).predict(PICTURES, verbose=0)
    probabilities = np.asarray(model(PICTURES))
    logits = np.log(probabilities[:, 1] / probabilities[:, 0])
    np.testing.assert_allclose(maps.mean((1, 2, 3)) + bias[1] - bias[0], logits, atol=1e-4)


def test_finer_maps_hold_the_plain_map() -> None:
    model = end2end(input_shape=(256, 128, 3), width=1 / 32)
    pictures = np.random.default_rng(0).normal(0, 30, (1, 256, 128, 3)).astype(np.float32)
    finer = activation_maps(model, pictures, finer=3)
    assert finer.shape == (1, 6, 3)
    np.testing.assert_allclose(finer[:, 1::3, 1::3], activation_map_model(model)(pictures)[..., 0], atol=1e-5)


def test_a_map_lies_over_what_it_shows() -> None:
    """A network that only averages 32x32 pixels: the map's strongest point is where the bright square is."""
    inputs = keras.Input((128, 96, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.AveragePooling2D(32)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, kernel_initializer="zeros")(pooled))
    model.layers[-1].set_weights([np.array([[-1.0, 1.0]]), np.zeros(2)])
    for row, column in ((20, 20), (20, 76), (68, 44), (108, 84)):
        picture = np.zeros((1, 128, 96, 1), np.float32)
        picture[:, row - 4 : row + 4, column - 4 : column + 4] = 1
        change = activation_maps(model, picture)[0]
        assert change.shape == (16, 12)
        rows, columns = np.nonzero(change > 0.9 * change.max())
        assert abs((rows.mean() + 0.5) * 8 - row) <= 8
        assert abs((columns.mean() + 0.5) * 8 - column) <= 8


def test_another_input_size_keeps_weights_and_names() -> None:
    model = _model()
    larger = rebuild(model, input_shape=(256, 192, 3))
    assert larger.input.shape == (None, 256, 192, 3)
    assert [layer.name for layer in larger.layers] == [layer.name for layer in model.layers]
    np.testing.assert_allclose(rebuild(larger, input_shape=(128, 128, 3))(PICTURES), model(PICTURES), atol=1e-6)


def test_a_network_of_plain_operations_takes_a_precision() -> None:
    """`keras.ops` and `+` in a network are operations without a dtype policy of their own."""
    pictures = keras.Input((16, 16, 1))
    tensor = keras.layers.Conv2D(2, 3, padding="same")(pictures)
    tensor = keras.ops.relu(tensor) + keras.ops.concatenate([pictures, pictures], axis=-1)
    model = keras.Model(pictures, keras.layers.Dense(2, "softmax")(keras.layers.GlobalAveragePooling2D()(tensor)))
    small = np.random.default_rng(1).normal(size=(2, 16, 16, 1)).astype(np.float32)
    np.testing.assert_allclose(rebuild(model, dtype="float32")(small), model(small), atol=1e-6)
    assert rebuild(model, dtype="mixed_bfloat16").layers[-1].dtype_policy.name == "float32"

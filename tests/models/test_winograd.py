import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from mammo_tf.models import activation_map_model, end2end, named_layers, rebuild, with_winograd
from mammo_tf.models.winograd import WinogradConvolution, convolved, suits


@settings(deadline=None, max_examples=25)
@given(
    batch=st.integers(1, 3), rows=st.integers(1, 9), columns=st.integers(1, 9),
    channels=st.integers(1, 5), filters=st.integers(1, 5), seed=st.integers(0, 999),
)  # fmt: skip
def test_any_size_equals_the_plain_convolution(batch, rows, columns, channels, filters, seed):
    generator = np.random.default_rng(seed)
    pictures = generator.normal(size=(batch, rows, columns, channels)).astype(np.float32)
    kernel = generator.normal(size=(3, 3, channels, filters)).astype(np.float32)
    expected = np.asarray(keras.ops.conv(pictures, kernel, padding="same"))
    np.testing.assert_allclose(np.asarray(convolved(pictures, kernel)), expected, rtol=0, atol=3e-5)


@pytest.fixture(scope="module")
def wide():
    """VGG16 at its full width on small pictures."""
    keras.utils.set_random_seed(5)
    return end2end(input_shape=(128, 160, 3))


def changed(model):
    return [path for path, layer in named_layers(model) if isinstance(layer, WinogradConvolution)]


def test_full_width_gives_the_same_outputs_from_the_same_variables(wide):
    fast = with_winograd(wide)
    assert changed(fast) == [
        *(f"model_1/block{block}_conv{number}" for block, number in
          ((3, 2), (3, 3), (4, 1), (4, 2), (4, 3), (5, 1), (5, 2), (5, 3))),
        "conv2d_1", "conv2d_2",
    ]  # fmt: skip
    assert not changed(wide)
    assert {id(variable) for variable in fast.variables} == {id(variable) for variable in wide.variables}
    assert [layer.name for layer in fast.layers] == [layer.name for layer in wide.layers]
    pictures = np.random.default_rng(0).normal(0, 60, (3, 128, 160, 3)).astype(np.float32)
    features = keras.Model(wide.inputs[0], wide.layers[-1].input)
    plain, quick = (np.asarray(each(pictures)) for each in (features, with_winograd(features)))
    assert plain.std() > 0.01
    np.testing.assert_allclose(quick, plain, rtol=0, atol=1e-5 * np.abs(plain).max())


def test_the_model_itself_can_be_taken_apart_and_saved_as_before(wide, tmp_path):
    with_winograd(wide)
    pictures = np.full((1, 128, 160, 3), 40, np.float32)
    expected = np.asarray(wide(pictures))
    wide.save(tmp_path / "model.keras")
    for model in (rebuild(wide), keras.models.load_model(tmp_path / "model.keras")):
        assert not changed(model)
        np.testing.assert_allclose(np.asarray(model(pictures)), expected, atol=1e-6)
    assert activation_map_model(wide).output.shape == (None, 1, 1, 1)


def test_new_weights_are_felt_by_both(wide):
    fast, pictures = with_winograd(wide), np.full((1, 128, 160, 3), 40, np.float32)
    before = wide.get_weights()
    wide.get_layer("conv2d_1").bias.assign_add(np.full(512, 0.5, np.float32))
    np.testing.assert_allclose(np.asarray(fast(pictures)), np.asarray(wide(pictures)), atol=1e-5)
    wide.set_weights(before)


def test_a_small_model_stays_the_object_that_it_was():
    for model in (end2end(input_shape=(128, 128, 3), width=0.25), end2end("resnet50", "512-512-1024x2", width=0.25)):
        assert with_winograd(model) is model


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 1}, {"strides": 2}, {"padding": "valid"}, {"dilation_rate": 2}, {"groups": 2},
        {"filters": 128}, {"dtype": "mixed_bfloat16"},
    ],
)  # fmt: skip
def test_other_convolutions_stay_plain(settings):
    layer = layers.Conv2D(**{"filters": 256, "kernel_size": 3, "padding": "same", **settings})
    layer.build((None, 16, 16, 256))
    assert not suits(layer)


def test_what_suits():
    layer = layers.Conv2D(256, 3, padding="same")
    layer.build((None, 16, 16, 256))
    assert suits(layer)
    layer = layers.Conv2D(256, 3, padding="same")
    layer.build((None, 16, 16, 128))
    assert not suits(layer)


def test_gradients_are_those_of_the_plain_convolution():
    tf = pytest.importorskip("tensorflow")
    generator = np.random.default_rng(1)
    pictures = tf.constant(generator.normal(size=(2, 6, 7, 3)), tf.float32)
    kernel = tf.Variable(generator.normal(size=(3, 3, 3, 4)), dtype=tf.float32)
    found = []
    for way in (convolved, lambda inputs, weights: tf.nn.conv2d(inputs, weights, 1, "SAME")):
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            loss = tf.reduce_sum(way(pictures, kernel) ** 2)
        found.append(tape.gradient(loss, [pictures, kernel]))
    for ours, plain in zip(*found, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-3)

"""Layers of a network in the place of its own, and weight normalisation."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.fields import from_json, to_json
from mammo_tf.models import End2End, PatchClassifier, activation_map_model, description_of
from mammo_tf.models.replacements import GroupNormalised, WeightNormalised, with_replacements
from mammo_tf.models.weight_normalization import WeightNormalizedConv2D, WeightNormalizedDense
from mammo_tf.training.callbacks import apply_in_place
from mammo_tf.training.stages import Stage, prepare_stage
from tests.models.check_model import check_model

WIDTH, SHAPE = 1 / 64, (128, 128, 3)
GROUPED = GroupNormalised(("batch_normalization_1", "batch_normalization_2"), groups=2, epsilon=1e-4)
WEIGHED = WeightNormalised(("model_1/block5_conv3", "conv2d_1", "dense_1"))
BOTH = End2End(width=WIDTH, replaced=(GROUPED, WEIGHED))


def test_a_kernel_is_direction_and_length() -> None:
    """Equation 2 of Salimans and Kingma by hand, filter by filter."""
    random = np.random.default_rng(0)
    values = random.normal(size=(2, 8, 8, 3)).astype(np.float32)
    plain, normalised = layers.Conv2D(4, 3), WeightNormalizedConv2D(4, 3)
    plain.build(values.shape)
    normalised.build(values.shape)
    direction, length, bias = random.normal(size=(3, 3, 3, 4)), random.uniform(0.5, 2, 4), random.normal(size=4)
    normalised.set_weights([direction, bias, length])
    by_hand = direction / np.sqrt((direction**2).sum(axis=(0, 1, 2))) * length
    plain.set_weights([by_hand, bias])
    np.testing.assert_allclose(normalised.kernel, by_hand, atol=1e-6)
    np.testing.assert_allclose(normalised(values), plain(values), atol=1e-5)


def test_a_new_layer_has_filters_of_length_one() -> None:
    layer = WeightNormalizedDense(3)
    layer.build((None, 5))
    np.testing.assert_allclose(np.square(layer.kernel).sum(axis=0), 1.0, atol=1e-5)
    layer.direction.assign(np.zeros((5, 3)))
    assert np.isfinite(layer(np.ones((1, 5)))).all()


def _little() -> keras.Model:
    """Two convolutions and a dense layer that carry decay; the first and the last are replaced."""
    pictures, decay = keras.Input((8, 8, 1)), keras.regularizers.L2(0.1)
    tensor = layers.Conv2D(3, 3, kernel_regularizer=decay, name="first")(pictures)
    tensor = layers.Conv2D(3, 3, kernel_regularizer=decay, name="second")(tensor)
    tensor = layers.GlobalAveragePooling2D()(tensor)
    tensor = layers.Dense(2, "softmax", kernel_regularizer=decay, name="last")(tensor)
    return with_replacements(keras.Model(pictures, tensor), (WeightNormalised(("first", "last")),))


def test_directions_and_lengths_are_trained(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = prepare_stage(_little(), Stage("one", ("all",), 0.01, 1))
    before = [np.array(weight) for weight in model.get_weights()]
    model.train_on_batch(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), np.eye(2))
    assert all(np.abs(now - then).max() > 0 for now, then in zip(model.get_weights(), before, strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    for now, then in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(now, then)


def test_decay_is_that_of_the_directions() -> None:
    model = prepare_stage(_little(), Stage("one", ("all",), 0.01, 1))
    apply_in_place(model, Stage("two", ("all",), 0.01, 1, weight_decay=0.5))
    weights = (model.get_layer("first").direction, model.get_layer("second").kernel, model.get_layer("last").direction)
    wanted = sum(0.5 * float(np.square(weight).sum()) for weight in weights)
    assert sum(float(loss) for loss in model.losses) == pytest.approx(wanted, rel=1e-5)


def test_a_network_with_both_passes_what_every_network_must(tmp_path: Path) -> None:
    model = BOTH.build(SHAPE)
    check_model(model, tmp_path)
    assert description_of(model) == BOTH
    assert from_json(End2End, to_json(BOTH)) == BOTH
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    assert kinds["batch_normalization_1"] == "GroupNormalization"
    assert (kinds["conv2d_1"], kinds["conv2d_2"]) == ("WeightNormalizedConv2D", "Conv2D")
    pictures = np.random.default_rng(0).normal(0, 30, (1, *SHAPE)).astype(np.float32)
    logits = np.log(np.asarray(model(pictures)))[0]
    mean = float(np.mean(activation_map_model(model)(pictures)))
    bias = np.asarray(model.get_layer("dense_1").bias)
    assert mean + bias[1] - bias[0] == pytest.approx(logits[1] - logits[0], abs=1e-4)


def test_a_small_one_has_one_group() -> None:
    small = End2End(replaced=(GroupNormalised(("batch_normalization_1",), groups=32), WEIGHED)).small()
    assert [getattr(one, "groups", None) for one in small.replaced] == [1, None]
    assert PatchClassifier(replaced=(GROUPED,)).small().replaced[0].groups == 1


def test_a_body_grows_with_what_is_replaced_in_it() -> None:
    patch = PatchClassifier(width=WIDTH, replaced=(WeightNormalised(("block5_conv3", "dense_1")),)).build((64, 64, 3))
    grown = BOTH.grow(patch, SHAPE)
    inner, outer = grown.get_layer("model_1").get_layer("block5_conv3"), patch.get_layer("block5_conv3")
    for now, then in zip(inner.get_weights(), outer.get_weights(), strict=True):
        np.testing.assert_array_equal(now, then)
    assert set(description_of(grown).replaced) == {
        WeightNormalised(("model_1/block5_conv3",)), GROUPED, WeightNormalised(("conv2d_1", "dense_1")),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("replaced", "code", "told"),
    [
        (WeightNormalised(("conv2d_3",)), "layer_unknown", "has no layer 'conv2d_3'. Did you mean 'conv2d_"),
        (GroupNormalised(("conv2d_1",)), "layer_unfit", "conv2d_1 is a Conv2D, which has no group_normalization"),
        (WeightNormalised(("activation_1",)), "layer_unfit", "activation_1 is a Activation"),
        (
            GroupNormalised(("batch_normalization_1",), groups=3),
            "layer_unfit",
            "has 8 channels, .* not in 3 groups",
        ),
    ],
)
def test_layers_that_cannot_be_replaced_are_named(replaced: WeightNormalised, code: str, told: str) -> None:
    with pytest.raises(MammoError, match=told) as caught:
        with_replacements(End2End(width=WIDTH).build(SHAPE), (replaced,))
    assert caught.value.code == code

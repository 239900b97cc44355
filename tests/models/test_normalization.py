"""Normalisation that keeps branches apart: batch statistics by branch, against laws and the published answers."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.models.normalization import MultiBatchNormalization, MultiLayerNormalization, input_statistics
from mammo_tf.models.norms import NORMS, check_norm, normaliser

GENERATOR = np.random.default_rng(0)


def layer_of(branches: int, features: int = 3, **more: object) -> MultiBatchNormalization:
    layer = MultiBatchNormalization(branches, **more)
    layer.build((None, 4, 5, features))
    layer.gamma.assign(GENERATOR.uniform(0.5, 2, (branches, features)))
    layer.beta.assign(GENERATOR.normal(size=(branches, features)))
    return layer


def by_hand(values: np.ndarray, layer: MultiBatchNormalization, branch: int) -> np.ndarray:
    mean, variance = values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))
    gain, shift = (np.asarray(weight)[branch] for weight in (layer.gamma, layer.beta))
    return (values - mean) / np.sqrt(variance + 1e-5) * gain + shift


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=5), st.integers(0, 9))
def test_the_examples_of_a_branch_are_normalised_among_themselves(branches: list[int], seed: int) -> None:
    values = np.random.default_rng(seed).normal(3, 2, (len(branches), 4, 5, 3)).astype(np.float32)
    branch, layer = np.array(branches), layer_of(3)
    found = np.asarray(layer(values, branch, training=True))
    for one in range(3):
        own = values[branch == one]
        if not len(own):
            np.testing.assert_array_equal(np.asarray(layer.moving_mean)[one], 0)
            np.testing.assert_array_equal(np.asarray(layer.moving_variance)[one], 1)
            assert np.isnan(np.asarray(layer.statistics())[one]).all()
            continue
        np.testing.assert_allclose(found[branch == one], by_hand(own, layer, one), atol=1e-4)
        np.testing.assert_allclose(np.asarray(layer.moving_mean)[one], 0.1 * own.mean(axis=(0, 1, 2)), atol=1e-5)
        expected = 0.9 + 0.1 * own.var(axis=(0, 1, 2), ddof=1)
        np.testing.assert_allclose(np.asarray(layer.moving_variance)[one], expected, rtol=1e-4)


def test_the_moving_statistics_are_updated_as_published(golden: Path) -> None:
    with np.load(golden / "dual_norm" / "bn_running_update.npz") as answers:
        known = {name: answers[name] for name in answers.files}
    layer = MultiBatchNormalization(2)
    layer.build((None, *np.moveaxis(known["x"], 1, -1).shape[1:]))
    for weight, name in (
        (layer.gamma, "gamma"), (layer.beta, "beta"),
        (layer.moving_mean, "running_mean_before"), (layer.moving_variance, "running_var_before"),
    ):  # fmt: skip
        weight.assign(np.stack([known[name]] * 2))
    given_values = np.moveaxis(known["x"], 1, -1).astype(np.float32)
    found = np.asarray(layer(given_values, np.ones(len(given_values), np.int32), training=True))
    np.testing.assert_allclose(np.moveaxis(found, -1, 1), known["y_train"], atol=1e-5)
    np.testing.assert_allclose(np.asarray(layer.moving_mean)[1], known["running_mean_after"], atol=1e-6)
    np.testing.assert_allclose(np.asarray(layer.moving_variance)[1], known["running_var_after"], rtol=1e-5)
    np.testing.assert_allclose(np.asarray(layer.moving_mean)[0], known["running_mean_before"], atol=1e-6)


def test_at_inference_given_statistics_or_an_examples_own() -> None:
    values, branch = GENERATOR.normal(2, 3, (3, 4, 5, 3)).astype(np.float32), np.array([1, 0, 1])
    layer = layer_of(2)
    layer.moving_mean.assign([[1, 2, 3], [4, 5, 6]])
    layer.moving_variance.assign([[1, 4, 9], [2, 2, 2]])
    gain, shift, mean, variance = (
        np.asarray(weight)[branch][:, None, None]
        for weight in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    )
    expected = (values - mean) / np.sqrt(variance + 1e-5) * gain + shift
    np.testing.assert_allclose(np.asarray(layer(values, branch)), expected, atol=1e-5)
    layer.trainable = False
    np.testing.assert_allclose(np.asarray(layer(values, branch, training=True)), expected, atol=1e-5)
    own = layer_of(2, own_statistics=True)
    found = np.asarray(own(values, branch))
    for number, one in enumerate(branch):
        np.testing.assert_allclose(found[number], by_hand(values[number][None], own, one)[0], atol=1e-5)


def test_with_one_branch_it_is_a_batch_normalisation() -> None:
    values = GENERATOR.normal(2, 3, (6, 4, 5, 3)).astype(np.float32)
    ours, kerass = MultiBatchNormalization(1), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    branch = np.zeros(6, np.int32)
    np.testing.assert_allclose(
        np.asarray(ours(values, branch, training=True)), np.asarray(kerass(values, training=True)), atol=1e-5
    )
    np.testing.assert_allclose(np.asarray(ours.moving_mean)[0], np.asarray(kerass.moving_mean), atol=1e-6)
    kerass.moving_variance.assign(ours.moving_variance[0])  # of n - 1, where that of Keras is of n
    np.testing.assert_allclose(np.asarray(ours(values, branch)), np.asarray(kerass(values)), atol=1e-5)


def test_half_precision_keeps_statistics_in_float32() -> None:
    layer = layer_of(2, dtype="mixed_bfloat16")
    found = layer(GENERATOR.normal(size=(2, 4, 5, 3)).astype(np.float32), np.array([0, 1]), training=True)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert {str(weight.dtype) for weight in layer.weights} == {"float32"}


def test_statistics_of_an_input_by_hand() -> None:
    values = np.array([[[[1.0, 3.0]], [[5.0, 7.0]]]], np.float32)
    np.testing.assert_allclose(np.asarray(input_statistics(values, "element")), [[4, np.sqrt(5)]], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(input_statistics(values, "token")), [[4, 1]], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(input_statistics(values, "channel")), [[3, 5, 4, 4]], rtol=1e-6)


def test_names_of_normalisations() -> None:
    tensor, branch = keras.Input((4, 5, 3)), keras.Input((), dtype="int32")
    kinds = {}
    for norm in NORMS:
        model = keras.Model(tensor, normaliser(norm)(tensor, "norm"))
        kinds[norm] = (type(model.layers[-1]).__name__, model.count_params())
    assert kinds == {
        "none": ("InputLayer", 0), "batch": ("BatchNormalization", 12), "layer": ("MultiLayerNormalization", 6),
        "instance": ("GroupNormalization", 0),
    }  # fmt: skip
    for norm, kind in (("batch", MultiBatchNormalization), ("layer", MultiLayerNormalization)):
        model = keras.Model([tensor, branch], normaliser(norm, 2, branch)(tensor, "norm"))
        assert isinstance(model.layers[-1], kind)


@pytest.mark.parametrize(
    ("norm", "branches", "own", "words"),
    [
        ("group", 1, False, "is one of none, batch, layer, instance, not 'group'"),
        ("instance", 2, False, "nothing that could keep 2 branches apart"),
        ("none", 3, False, "nothing that could keep 3 branches apart"),
        ("batch", 0, False, "one branch or more, up to 10000, not 0"),
        ("layer", 2, True, "belong to the norm 'batch' with several branches"),
        ("batch", 1, True, "belong to the norm 'batch' with several branches"),
    ],
)
def test_what_no_normalisation_can_do(norm: str, branches: int, own: bool, words: str) -> None:
    with pytest.raises(MammoError, match=words) as raised:
        check_norm("unet", norm, branches, own)
    assert raised.value.code == "network_wrong"
    with pytest.raises(ValueError, match="one branch or more"):
        MultiBatchNormalization(0)

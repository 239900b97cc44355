"""Straight-through draws against reference values, and what a policy is at inference."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mammo_tf.models.policy import GumbelPolicy, PolicyMix
from mammo_tf.models.spottune import gumbel_softmax

LOGITS = np.array([[[0.0, 1.0], [2.0, -1.0], [0.3, 0.3]]], np.float32)
PROBABILITIES = 1 / (1 + np.exp(LOGITS[..., 0] - LOGITS[..., 1]))


def test_draws_and_their_gradients_are_those_of_the_reference(golden: Path) -> None:
    with np.load(golden / "spottune" / "gumbel.npz") as stored:
        answers = {name: stored[name] for name in stored.files}
    logits, weights = tf.constant(answers["logits"]), answers["grad_out"]
    for number, temperature in enumerate(answers["temperatures"]):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(logits)
            hard, soft = gumbel_softmax(logits, answers["uniform"], float(temperature))
            both = tf.reduce_sum(hard * weights)
            policy = tf.reduce_sum(hard[..., 1] * weights[..., 1])
        np.testing.assert_allclose(soft, answers["soft"][number], atol=1e-6)
        np.testing.assert_array_equal(np.argmax(hard, -1), answers["hard"][number].argmax(-1))
        np.testing.assert_allclose(hard, answers["hard"][number], atol=1e-6)
        relative = 1e-4 if temperature < 0.2 else 1e-5
        for figure, name in ((both, "grad_logits"), (policy, "grad_logits_policy_only")):
            found = tape.gradient(figure, logits)
            np.testing.assert_allclose(found, answers[name][number], rtol=relative, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_decisions_are_drawn_with_the_probabilities_of_the_softmax(precision: str) -> None:
    layer = GumbelPolicy(5.0, seed=3, dtype=precision)
    drawn = np.asarray(layer(np.repeat(LOGITS, 4000, axis=0), training=True))
    assert drawn.dtype == np.float32
    assert set(np.unique(np.round(drawn, 6))) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(0), PROBABILITIES[0], atol=4 * np.sqrt(0.25 / 4000))
    decided = drawn.round()
    assert abs(np.corrcoef(decided.T)[0, 2]) < 0.06  # blocks are drawn apart


def test_what_a_policy_is_at_inference() -> None:
    expected = {"argmax": [[1.0, 0.0, 0.0]], "expectation": PROBABILITIES}
    for kind, values in expected.items():
        layer = GumbelPolicy(5.0, kind)
        assert not layer.random_at_inference
        np.testing.assert_allclose(layer(LOGITS), values, atol=1e-6)
    many, layer = np.repeat(LOGITS, 50, axis=0), GumbelPolicy(5.0, "drawn", seed=1)
    assert layer.random_at_inference
    assert not np.array_equal(layer(many), layer(many))
    np.testing.assert_array_equal(
        GumbelPolicy(5.0, "drawn", seed=1)(many), GumbelPolicy(5.0, seed=1)(many, training=True)
    )


def test_a_mix_is_of_its_own_block() -> None:
    kept, tuned = np.zeros((2, 3, 3, 1), np.float32), np.ones((2, 3, 3, 1), np.float32)
    policy = np.array([[0.0, 0.3], [1.0, 0.6]], np.float32)
    np.testing.assert_allclose(PolicyMix(1)([kept, tuned, policy])[:, 0, 0, 0], [0.3, 0.6])
    np.testing.assert_array_equal(PolicyMix(0)([kept, tuned, policy])[:, 0, 0, 0], [0.0, 1.0])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(PolicyMix(1)))
    assert again.block == 1

"""Dice and cross entropy of pixels, through one positive probability."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.training.losses import PixelLoss, dice_loss


def _drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    mask = (generator.random((3, 8, 6)) > 0.7).astype(np.float32)
    return mask, generator.uniform(0.01, 0.99, (3, 8, 6)).astype(np.float32)


@given(seed=st.integers(0, 30), classes=st.integers(2, 4))
def test_dice_is_the_papers_equation(seed: int, classes: int) -> None:
    """f = -(2/N) sum_n [ sum_i c z / (sum_i c + sum_i z) ], sums over the batch, in a loop of its own."""
    generator = np.random.default_rng(seed)
    truth = np.eye(classes)[generator.integers(0, classes, (2, 5, 4))]
    given_ = generator.dirichlet(np.ones(classes), (2, 5, 4))
    total = 0.0
    for number in range(classes):
        c, z = truth[..., number].ravel(), given_[..., number].ravel()
        total += sum(a * b for a, b in zip(c, z, strict=True)) / (c.sum() + z.sum())
    assert float(dice_loss(truth, given_)) == pytest.approx(-2 / classes * total, abs=1e-6)


def test_dice_at_its_ends() -> None:
    truth = np.eye(2)[np.array([[[0, 1], [1, 1]]])]
    assert float(dice_loss(truth, truth)) == pytest.approx(-1.0)
    assert float(dice_loss(truth, 1 - truth)) == pytest.approx(0.0)
    empty = np.eye(2)[np.zeros((1, 2, 2), int)]
    assert float(dice_loss(empty, empty)) == pytest.approx(-0.5), "a class that is in neither adds nothing"


@pytest.mark.parametrize("of", ["dice", "cross_entropy"])
def test_sigmoid_and_softmax_of_the_same_probability_have_the_same_loss(of: str) -> None:
    mask, probability = _drawn(1)
    loss = PixelLoss(of)
    one = loss(mask, probability[..., None])
    two = loss(mask, np.stack([1 - probability, probability], axis=-1))
    assert float(one) == pytest.approx(float(two), abs=1e-6)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(again(mask, probability[..., None])) == float(one)


def test_cross_entropy_is_the_mean_over_pixels() -> None:
    mask, probability = _drawn(2)
    expected = -np.mean(mask * np.log(probability) + (1 - mask) * np.log(1 - probability))
    assert float(PixelLoss("cross_entropy")(mask, probability[..., None])) == pytest.approx(expected, rel=1e-5)


def test_dice_of_many_pixels_keeps_its_digits() -> None:
    """A plain float32 sum over 160,000 pixels is off by 1e-4."""
    generator = np.random.default_rng(0)
    mask = (generator.random((10, 128, 128)) > 0.99).astype(np.float32)
    probability = np.clip(mask * 0.9 + generator.random(mask.shape) * 1e-2, 0, 1).astype(np.float32)
    found = dice_loss(*(np.stack([1 - part, part], axis=-1) for part in (mask, probability)))
    truth, given_ = mask.astype(np.float64), probability.astype(np.float64)
    shares = [(a * b).sum() / (a.sum() + b.sum()) for a, b in ((truth, given_), (1 - truth, 1 - given_))]
    assert float(found) == pytest.approx(-sum(shares), abs=2e-6)

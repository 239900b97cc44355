"""Dice and cross entropy of pixels, through one positive probability."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.training.losses import PIXEL_LOSSES, PixelLoss, dice_loss, with_branch


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


GOLDEN_CASES = ("two_class", "one_pixel", "empty_truth", "full_truth", "saturated")


@pytest.fixture(scope="module")
def dice_answers(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "dual_norm" / "dice_losses.npz") as file:
        return dict(file)


@pytest.mark.parametrize("case", [*GOLDEN_CASES, "three_class"])
def test_dice_and_its_gradient_are_those_of_equation_14(dice_answers: dict[str, np.ndarray], case: str) -> None:
    logits, labels = (dice_answers[f"{case}/{name}"] for name in ("logits", "labels"))
    logits = tf.constant(np.moveaxis(logits, 1, -1))
    truth = np.eye(logits.shape[-1], dtype=np.float32)[labels]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = dice_loss(truth, keras.ops.softmax(logits))
    expected, slope = (dice_answers[f"{case}/eq14_softmax_batch{more}"] for more in ("", "/grad"))
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)
    found = np.moveaxis(tape.gradient(loss, logits).numpy(), -1, 1)
    np.testing.assert_allclose(found, slope, atol=1e-5 * np.abs(slope).max() + 1e-9)


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_the_loss_of_pixels_is_the_same_equation(dice_answers: dict[str, np.ndarray], case: str) -> None:
    logits, labels = (dice_answers[f"{case}/{name}"] for name in ("logits", "labels"))
    outputs = keras.ops.softmax(np.moveaxis(logits, 1, -1))
    found = float(PixelLoss("dice")(labels.astype(np.float32), outputs))
    assert found == pytest.approx(float(dice_answers[f"{case}/eq14_softmax_batch"]), rel=2e-6)


@pytest.mark.parametrize("ending", ["sigmoid", "softmax"])
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_dice_of_every_class_is_that_of_dual_normalisation(
    dice_answers: dict[str, np.ndarray], case: str, ending: str
) -> None:
    """Of a sigmoid for each of both classes, and of a softmax over them: value and gradient."""
    logits, labels = (dice_answers[f"{case}/{name}"] for name in ("logits", "labels"))
    logits = tf.constant(np.moveaxis(logits, 1, -1))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        outputs = keras.ops.sigmoid(logits) if ending == "sigmoid" else keras.ops.softmax(logits)
        loss = PixelLoss("class_dice")(labels.astype(np.float32), outputs)
    expected, slope = (dice_answers[f"{case}/dn_dice1_{ending}{more}"] for more in ("", "/grad"))
    assert float(loss) == pytest.approx(float(expected), rel=1e-6, abs=1e-7)
    found = np.moveaxis(tape.gradient(loss, logits).numpy(), -1, 1)
    np.testing.assert_allclose(found, slope, atol=1e-5 * np.abs(slope).max() + 1e-9)
    lesion = float(PixelLoss("class_dice")(labels.astype(np.float32), outputs[..., 1:]))
    if case == "two_class":
        assert lesion != pytest.approx(float(expected), abs=1e-3), "of one map it is the finding's alone"


@pytest.mark.parametrize("of", sorted(PIXEL_LOSSES))
def test_branches_add_up(of: str) -> None:
    """Two branches mixed in a batch: the sum of the losses of each one's pictures; a branch without one adds 0."""
    parts = [_drawn(3), _drawn(4)]
    branch = np.array([0, 2, 2, 0, 0, 2])
    mask, probability = (np.concatenate(both) for both in zip(*parts, strict=True))
    together = PixelLoss(of, branches=3)(with_branch(tf.constant(mask), branch), probability[..., None])
    apart = [float(PixelLoss(of)(mask[branch == one], probability[branch == one][..., None])) for one in (0, 2)]
    assert float(together) == pytest.approx(sum(apart), rel=1e-5)


def test_focal_tversky_by_hand_and_at_its_ends() -> None:
    truth = np.zeros((1, 4, 4), np.float32)
    truth[0, 0, :2] = 1
    found = np.zeros_like(truth)
    found[0, 0, 1:4] = 1  # one of two found, two false
    expected = (1 - 1 / (1 + 0.7 * 1 + 0.3 * 2)) ** 0.75
    loss = PixelLoss("focal_tversky")
    assert float(loss(truth, found[..., None])) == pytest.approx(expected, abs=1e-4)
    assert float(loss(truth, truth[..., None])) == pytest.approx(0, abs=1e-6)
    assert float(loss(truth * 0, truth[..., None] * 0)) == pytest.approx(0, abs=1e-6)
    outputs = tf.Variable(truth[..., None])
    with tf.GradientTape() as tape:
        value = loss(truth, outputs)
    assert np.isfinite(tape.gradient(value, outputs).numpy()).all()


def test_dice_and_cross_entropy_is_their_sum() -> None:
    mask, probability = _drawn(5)
    both, dice, entropy = (
        float(PixelLoss(of)(mask, probability[..., None])) for of in ("dice_and_cross_entropy", "dice", "cross_entropy")
    )
    assert both == pytest.approx(dice + entropy, rel=1e-6)


def test_findings_weigh_ten_times_in_the_weighed_cross_entropy() -> None:
    mask, probability = _drawn(7)
    each = -np.where(mask > 0, 10 * np.log(probability), np.log(1 - probability))
    named = ("dice_and_weighed_cross_entropy", "dice")
    both, dice = (float(PixelLoss(of)(mask, probability[..., None])) for of in named)
    assert both - dice == pytest.approx(each.mean(), rel=1e-5)


@pytest.mark.parametrize("of", sorted(PIXEL_LOSSES))
def test_a_probability_that_is_no_number_does_not_vanish(of: str) -> None:
    mask, probability = _drawn(6)
    probability[0, 0, 0] = np.nan
    assert not np.isfinite(float(PixelLoss(of)(mask, probability[..., None])))


def test_the_loss_of_mnet_over_its_depths(golden: Path) -> None:
    """Four sides and their mean weighed, each a smooth Dice; of each of the two published channels, then their mean."""
    with np.load(golden / "baselines" / "mnet_width16th.npz") as file:
        answers = dict(file)
    names = ("side_63", "side_73", "side_83", "side_93", "average")
    each, total = [], 0.0
    for channel in (0, 1):
        truth = answers["target"][..., channel].astype(np.float32)
        maps = np.stack([answers[name][..., channel] for name in names], axis=-1)
        each.append([float(PixelLoss("smooth_dice")(truth, maps[..., [number]])) for number in range(5)])
        loss = PixelLoss("smooth_dice", output_weights=(0.1, 0.1, 0.1, 0.1, 0.6))
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        total += float(again(truth, maps)) / 2
    np.testing.assert_allclose(np.mean(each, axis=0), answers["losses"], atol=1e-6)
    assert total == pytest.approx(float(answers["total"]), abs=1e-6)

"""The answer of a network that ends in two sigmoids: at one half the argmax of both, as published."""

from __future__ import annotations

import keras
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.models import small_unet
from mammo_tf.models.answers import LARGER, LAST, answering, share_of_larger
from mammo_tf.models.networks import branches_of, described
from mammo_tf.models.small_unet import SmallUNet

PROBABILITY = st.floats(0, 1, width=32, allow_subnormal=False)  # TensorFlow takes subnormal numbers for nought


@given(st.lists(st.tuples(PROBABILITY, PROBABILITY), min_size=1, max_size=20))
def test_one_half_is_the_argmax(pairs: list[tuple[float, float]]) -> None:
    """Also of neighbouring float32 numbers, whose share rounds to one half; equal ones are background, as in argmax."""
    maps = np.array([*pairs, (0, 0), (1, 1), (0.75, np.nextafter(np.float32(0.75), 1)), (1, 1 - 2**-24)], np.float32)
    share = np.asarray(share_of_larger(maps[None, None]))[0, 0]
    np.testing.assert_array_equal(share >= 0.5, maps.argmax(axis=-1) == 1)
    assert (share >= 0).all() and (share <= 1).all()


def test_the_share_by_hand_and_of_a_softmax() -> None:
    maps = np.array([[[[0.6, 0.2], [0.1, 0.9], [0.2, 0.3]]]], np.float32)
    np.testing.assert_allclose(np.asarray(share_of_larger(maps))[0, 0], [0.25, 0.9, 0.6], rtol=1e-6)
    softmax = np.asarray(keras.ops.softmax(np.random.default_rng(0).normal(size=(1, 5, 4, 2)).astype(np.float32)))
    np.testing.assert_allclose(np.asarray(share_of_larger(softmax)), softmax[..., 1], rtol=1e-6)
    assert np.isnan(np.asarray(share_of_larger(np.full((1, 1, 1, 2), np.nan, np.float32)))).all()


def test_the_answer_is_one_map_behind_the_network() -> None:
    described_as = SmallUNet(classes=2, width=2, norm="batch", branches=2)
    model = described(small_unet((32, 32, 1), 2, 2, "batch", 2), described_as)
    assert answering(model, LAST) is model
    found = answering(model, LARGER)
    assert branches_of(found) == 2 and found.output_shape == (None, 32, 32, 1)
    given_pictures = [np.random.default_rng(0).random((2, 32, 32, 1)).astype(np.float32), np.array([0, 1])]
    maps = np.asarray(model(given_pictures))
    np.testing.assert_array_equal(np.asarray(found(given_pictures))[..., 0] >= 0.5, maps.argmax(axis=-1) == 1)

"""Shares of a batch: what all machines see together is what one would have seen, in its order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.data.plans import Draws
from mammo_tf.data.shares import ALONE, Share


@given(machines=st.integers(1, 4), devices=st.integers(1, 3), each=st.integers(1, 3), batches=st.integers(1, 4))
def test_all_shares_together_are_the_batches(machines: int, devices: int, each: int, batches: int) -> None:
    whole = machines * devices * each
    places = np.arange(whole * batches)
    draws = Draws(places, places[:, None, None] * np.ones((2, 3)), {"label": places % 2})
    parts = [Share(number, machines, devices).of(draws, whole) for number in range(machines)]
    again = np.concatenate([part.positions.reshape(batches, -1) for part in parts], axis=1).ravel()
    np.testing.assert_array_equal(again, places)
    for part in parts:
        np.testing.assert_array_equal(part.matrices[:, 0, 0], part.positions)
        np.testing.assert_array_equal(part.columns["label"], part.positions % 2)
    assert Share(0, machines, devices).batch_size(whole) == each
    np.testing.assert_array_equal(ALONE.of(draws, whole).positions, places)

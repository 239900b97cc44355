"""Overlap of masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.evaluation.overlap import overlap


def test_overlap_of_two_squares() -> None:
    found, truth = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    found[:4, :4], truth[2:6, 2:6] = True, True
    assert overlap(found, truth) == {"tpr": 4 / 16, "precision": 4 / 16, "dsc": 8 / 32}


def test_empty_masks() -> None:
    nothing, something = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    missed, invented, quiet = overlap(nothing, something), overlap(something, nothing), overlap(nothing, nothing)
    assert (missed["tpr"], missed["dsc"]) == (0.0, 0.0)
    assert np.isnan(missed["precision"])
    assert (invented["precision"], invented["dsc"]) == (0.0, 0.0)
    assert np.isnan(invented["tpr"])
    assert all(np.isnan(value) for value in quiet.values())


@given(seed=st.integers(0, 50))
def test_dice_is_the_harmonic_mean_of_rate_and_precision(seed: int) -> None:
    found, truth = np.random.default_rng(seed).random((2, 6, 6)) > 0.5
    values = overlap(found, truth)
    assert values["dsc"] == pytest.approx(2 / (1 / values["tpr"] + 1 / values["precision"]))
    assert values["dsc"] == overlap(truth, found)["dsc"]

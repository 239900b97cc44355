"""Overlap of masks and its intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.evaluation import Resampling
from mammo_tf.evaluation.overlap import overlap, overlap_metrics


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


def test_means_count_the_images_that_have_a_value() -> None:
    table = pd.DataFrame(
        {
            "split": ["test"] * 4,
            "patient_id": ["a", "a", "b", "c"],
            "label": [1, 1, 1, 0],
            "tpr": [0.5, 1.0, 0.0, np.nan],
            "precision": [1.0, 0.5, np.nan, 0.0],
            "dsc": [0.6, 0.6, 0.0, 0.0],
        }
    )
    numbers = overlap_metrics(table, Resampling(200))["test"]["image"]
    assert (numbers["tpr"]["value"], numbers["tpr"]["n"]) == (0.5, 3)
    assert (numbers["precision"]["value"], numbers["precision"]["n"]) == (0.5, 3)
    assert numbers["dsc"]["value"] == pytest.approx(0.3)
    assert numbers["dsc"]["low"] <= 0.3 <= numbers["dsc"]["high"]


def test_a_mean_over_no_image_says_why() -> None:
    table = pd.DataFrame({"split": ["test"], "patient_id": ["a"], "label": [0], "tpr": [np.nan], "precision": [np.nan]})
    numbers = overlap_metrics(table.assign(dsc=np.nan), Resampling(20))["test"]["image"]
    assert [number["value"] for number in numbers.values()] == [None, None, None]
    assert numbers["precision"]["why"] == "nothing is called in any image"

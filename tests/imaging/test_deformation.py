"""Deformation of pictures and masks against reference answers and laws."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.imaging.deformation import deformed_places, elastic_displacement, sampled

STORED = 4e-7  # their README: what float64 may differ by from entries stored as float32; of pixels, also in proportion


@pytest.fixture(scope="module")
def answers(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "baselines" / "bigaug.npz") as file:
        found = dict(file)
    return found | {"image": found["image_x4095"] / 4095}


def same_mask(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert (found != expected).mean() <= 0.005, "but for ties of the nearest pixel"


def test_rotation_and_scale(answers: dict[str, np.ndarray]) -> None:
    names = [name.removesuffix("/image") for name in answers if re.match("affine/.*/image", name)]
    assert len(names) == 5
    for name in names:
        rotation, scale = map(float, re.findall(r"-?\d+\.\d+", name))
        places = deformed_places(answers["image"].shape, rotation, scale)
        found = sampled(answers["image"], places)
        np.testing.assert_allclose(found, answers[f"{name}/image"], rtol=0, atol=STORED, err_msg=name)
        same_mask(sampled(answers["mask"], places, "nearest"), answers[f"{name}/mask"])


def test_elastic_displacement(answers: dict[str, np.ndarray]) -> None:
    names = [name.removesuffix("/image") for name in answers if re.match("elastic/.*/image", name)]
    assert len(names) == 2
    for name in names:
        smoothing, strength = map(float, re.findall(r"\d+\.\d+", name))
        displacement = elastic_displacement(answers["elastic/uniform"], smoothing, strength)
        np.testing.assert_allclose(displacement, answers[f"{name}/displacement"], rtol=STORED, atol=STORED)
        places = deformed_places(answers["image"].shape, displacement=displacement)
        np.testing.assert_allclose(sampled(answers["image"], places), answers[f"{name}/image"], rtol=0, atol=STORED)
        same_mask(sampled(answers["mask"], places, "nearest"), answers[f"{name}/mask"])


def test_all_three_in_one_resampling(answers: dict[str, np.ndarray]) -> None:
    displacement = elastic_displacement(answers["elastic/uniform"], 12.0, 300.0)
    places = deformed_places(answers["image"].shape, 9.0, 1.1, displacement)
    np.testing.assert_allclose(places, answers["stack/map"], rtol=STORED, atol=STORED)
    np.testing.assert_allclose(sampled(answers["stack/intensity"], places), answers["stack/image"], rtol=0, atol=STORED)
    same_mask(sampled(answers["mask"], places, "nearest"), answers["stack/mask"])


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([90.0, 180.0, -90.0, 0.0]))
def test_quarter_turns_of_a_square_are_exact(side: int, seed: int, rotation: float) -> None:
    picture = np.random.default_rng(seed).random((side, side))
    expected = np.rot90(picture, -int(rotation / 90))  # above 0 clockwise
    places = np.round(deformed_places((side, side), rotation), 9)
    np.testing.assert_allclose(sampled(picture, places), expected, atol=1e-12)


def test_beyond_the_edge_is_black_and_the_rim_fades() -> None:
    picture = np.ones((2, 2))
    places = np.array([[0.0, -0.25, -1.0, 5.0], [0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(sampled(picture, places), [1, 0.75, 0, 0])


def test_refusals() -> None:
    with pytest.raises(MammoError, match="by a number above 0, not by 0") as raised:
        deformed_places((4, 4), scale=0.0)
    assert raised.value.code == "scale_wrong"
    with pytest.raises(MammoError, match="no interpolation 'cubic'"):
        sampled(np.ones((2, 2)), np.zeros((2, 1)), "cubic")

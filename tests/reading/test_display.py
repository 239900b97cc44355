"""What a viewer shows: golden/dicom/display, each file with each of its VOIs, and laws that hold for any numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading.display import Display, shown_values
from mammo_tf.reading.layout import Layout

DISPLAY = Path(__file__).parents[1] / "golden" / "dicom" / "display"
CASES = json.loads((DISPLAY / "expected.json").read_text())
ANSWERS = np.load(DISPLAY / "expected.npz")
VARIANTS = [(name, voi) for name, case in CASES.items() for voi in case["variants"]]
TOLERANCE = 2e-6


def answer(name: str, voi: str) -> np.ndarray:
    """What is due: with padding set to 0 where padding is declared."""
    package = f"{name}/{voi}/package"
    return ANSWERS[package if package in ANSWERS else f"{name}/{voi}"]


def test_there_are_as_many_cases_as_the_readme_says() -> None:
    assert len(CASES) == 51


@pytest.mark.parametrize(("name", "voi"), VARIANTS)
def test_picture_with_a_named_voi(name: str, voi: str) -> None:
    picture = reading.read(DISPLAY / f"{name}.dcm", voi=voi)
    assert picture.pixels.dtype == np.float32
    assert picture.facts.voi == voi
    assert np.abs(picture.pixels - answer(name, voi)).max() <= TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_picture_unasked(name: str) -> None:
    picture = reading.read(DISPLAY / f"{name}.dcm")
    (default,) = (voi for voi, variant in CASES[name]["variants"].items() if variant["default"])
    assert picture.facts.voi == default
    assert np.abs(picture.pixels - answer(name, default)).max() <= TOLERANCE


@pytest.mark.parametrize("name", ["shape_inverse_mono2", "shape_identity_mono1"])
def test_a_contradictory_presentation_shape_warns(name: str) -> None:
    assert any("Presentation LUT Shape" in word for word in reading.read(DISPLAY / f"{name}.dcm").facts.warnings)


def test_an_unknown_voi_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(MammoError) as caught:
        reading.read(DISPLAY / "several_windows.dcm", voi="lut1")
    assert caught.value.code == "voi_unknown"
    assert "window3" in caught.value.remedy


LAYOUT = Layout(1, 1, 1, 16, 12, 11, False, "MONOCHROME2")
numbers = st.floats(-5000, 5000, allow_nan=False)


@given(
    centre=numbers,
    width=st.floats(1, 10000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    slope=st.floats(0.01, 10),
    intercept=numbers,
)
def test_every_window_rises_within_0_and_1_and_monochrome1_is_its_mirror(
    centre: float, width: float, function: str, slope: float, intercept: float
) -> None:
    rules = Display(slope, intercept, None, (), ((centre, width),), function, False, None)
    values = np.arange(4096, dtype=np.float64)
    shown = shown_values(values, LAYOUT, rules, "window1")
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert (np.diff(shown) >= 0).all()
    mirrored = shown_values(values, LAYOUT, rules._replace(inverted=True), "window1")
    np.testing.assert_allclose(mirrored, 1 - shown, atol=1e-15)


@given(low=st.integers(0, 4095), high=st.integers(0, 4095))
def test_padding_is_0_and_nothing_else_changes(low: int, high: int) -> None:
    rules = Display(1, 0, None, (), (), "LINEAR", True, None)
    values = np.arange(4096, dtype=np.float64)
    low, high = min(low, high), max(low, high)
    padded = shown_values(values, LAYOUT, rules._replace(padding=(low, high)), "none")
    bare = shown_values(values, LAYOUT, rules, "none")
    assert (padded[low : high + 1] == 0).all()
    bare[low : high + 1] = 0
    np.testing.assert_array_equal(padded, bare)

"""Bezier curves: the published answers, and what holds for every curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.imaging.bezier import lut, mean_choice, remap, symmetric_points

CURVES = {
    "paper_a": symmetric_points(0.3),
    "paper_b": symmetric_points(0.7),
    "code_0.9_0.1": symmetric_points(0.9),
    "code_0.35_0.65": symmetric_points(0.35),
    "identity": ((1 / 3, 1 / 3), (2 / 3, 2 / 3)),
}
UNIT = st.floats(0, 1)


@pytest.fixture(scope="module")
def answers(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "bezier" / "bezier.npz") as file:
        return dict(file)


@pytest.mark.parametrize("curve", CURVES)
def test_published_and_exact_answers(answers: dict[str, np.ndarray], curve: str) -> None:
    points = CURVES[curve]
    compared = 0
    for name, expected in answers.items():
        owner, _, rest = name.partition("/")
        given_name, _, how = rest.partition("/")
        if owner != curve or how not in ("exact", "sampled_1000", "sampled_100000"):
            continue
        values = answers[given_name].astype(np.float64)
        samples = None if how == "exact" else int(how.rpartition("_")[2])
        tolerance = 1e-12 if samples is None else 1e-13
        np.testing.assert_allclose(remap(values, points, samples), expected, atol=tolerance, rtol=0, err_msg=name)
        compared += 1
    assert compared >= 7


@pytest.mark.parametrize("curve", CURVES)
def test_tables_of_eight_bits(answers: dict[str, np.ndarray], curve: str) -> None:
    table = np.rint(lut(CURVES[curve], 256) * 255).astype(np.uint8)
    np.testing.assert_array_equal(table, answers[f"{curve}/uint8_table_exact"])
    np.testing.assert_array_equal(table, answers[f"{curve}/uint8_table_as_published"])


def test_the_mean_choice_of_pairs(answers: dict[str, np.ndarray]) -> None:
    for count in (1, 2, 3, 4):
        expected = answers[f"mean_strategy/N{count}"]
        found = np.array([(a, 1 - a) for a in mean_choice(count)])
        np.testing.assert_allclose(found, expected, atol=1e-15)


@given(UNIT, UNIT, UNIT, UNIT)
def test_every_curve_is_monotone_and_in_range(a1: float, b1: float, a2: float, b2: float) -> None:
    table = lut(((a1, b1), (a2, b2)), 257)
    assert table[0] == 0
    assert table[-1] == 1
    assert (np.diff(table) >= 0).all()


@given(st.floats(0.02, 0.98), UNIT)
def test_symmetric_curves_undo_each_other_and_commute_with_inversion(a: float, value: float) -> None:
    there = remap(value, symmetric_points(a))
    assert remap(there, symmetric_points(1 - a)) == pytest.approx(value, abs=1e-9)
    assert remap(1 - value, symmetric_points(a)) == pytest.approx(1 - there, abs=1e-9)


def test_one_half_changes_nothing() -> None:
    values = np.linspace(0, 1, 101)
    np.testing.assert_allclose(remap(values, symmetric_points(0.5)), values, atol=1e-15)


def test_values_beyond_the_ends_and_wrong_curves() -> None:
    np.testing.assert_array_equal(remap([-0.5, 1.5], symmetric_points(0.3)), [0, 1])
    for wrong in (((1.2, 0.1), (0.5, 0.5)), ((0.1, float("nan")), (0.5, 0.5))):
        with pytest.raises(MammoError, match="control points") as raised:
            remap(0.5, wrong)
        assert raised.value.code == "curve_wrong"
    with pytest.raises(MammoError, match="pairs"):
        mean_choice(0)
    with pytest.raises(MammoError, match="levels"):
        lut(symmetric_points(0.3), 1)

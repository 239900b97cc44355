"""Brightness along the skin: depth is told by surroundings, levels are means over parts, and what is added arrives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.imaging.periphery import (
    DEEP,
    ENDS,
    KNOTS,
    MIDDLES,
    PeripheryStatistics,
    add_levels,
    cell_of,
    levels_of,
    profile,
    share,
    surroundings,
)
from mammo_tf.imaging.periphery_steps import Periphery

SIZE = (160, 120)
HALF = np.zeros(SIZE, np.bool_)
HALF[:, :100] = True  # the chest wall at the left edge, a straight skin line after column 99


def depth(column: int) -> float:
    """Of a pixel's middle, from the skin line."""
    return 99.5 - column


@pytest.mark.parametrize("scale", [4.0, 7.3, 16.0])
def test_surroundings_tell_the_depth_behind_a_straight_skin_line(scale):
    cells, cell = surroundings(HALF, scale), cell_of(scale)
    assert cells.shape == (-(-SIZE[0] // cell), -(-SIZE[1] // cell))
    row = cells[len(cells) // 2]
    for number, found in enumerate(row):
        middle = number * cell + (cell - 1) / 2
        if middle < SIZE[1] - 4 * scale or middle <= 99:
            tail = share((SIZE[1] - 0.5 - middle) / scale)  # what lies beyond the picture's edge is not counted
            front = share((middle + 0.5) / scale)
            expected = (share(depth(middle) / scale) + front - 1) / (tail + front - 1)
            assert found == pytest.approx(expected, abs=0.02)
    np.testing.assert_allclose(cells, np.broadcast_to(row, cells.shape), atol=1e-5)  # nor above and below


def test_knots_are_those_of_depth():
    assert (*map(share, MIDDLES), share(DEEP)) == KNOTS and sorted(KNOTS) == list(KNOTS)
    assert share(0) == 0.5 and share(1) == pytest.approx(0.8413, abs=1e-4)
    assert all(low < middle < high for low, middle, high in zip((0, *ENDS), MIDDLES, ENDS, strict=False))


def test_a_profile_is_the_mean_grey_value_at_each_depth():
    columns = np.broadcast_to(np.arange(SIZE[1], dtype=np.float32), SIZE)
    picture = np.clip(columns / 200, 0, 1)
    found = profile(picture, HALF, 4.0)
    for level, low, high in zip(found, (0, *ENDS), ENDS, strict=False):
        there = [column for column in range(100) if low * 4 <= depth(column) < high * 4]
        assert level == pytest.approx(np.mean(there) / 200, abs=0.003)
    assert np.isnan(profile(picture, np.arange(SIZE[1])[None] < 6 + np.zeros(SIZE, int), 4.0)).any()


def test_levels_are_medians_over_pictures_that_have_the_part():
    pictures = [np.full(SIZE, value, np.float32) for value in (0.2, 0.3, 0.9)]
    thin = np.zeros(SIZE, np.bool_)
    thin[:, :5] = True
    assert levels_of(pictures, [HALF] * 3, 4.0) == pytest.approx([0.3] * 7)
    found = levels_of([*pictures, np.zeros(SIZE, np.float32)], [HALF] * 3 + [thin], 4.0)
    assert found[0] == pytest.approx(0.25) and found[-1] == pytest.approx(0.3)
    assert levels_of(pictures, [thin] * 3, 4.0) is None


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-0.3, 0.3), min_size=7, max_size=7), st.sampled_from([3.0, 4.0, 9.5]))
def test_what_is_added_arrives_at_its_depth_and_nowhere_else(added, scale):
    picture = np.full(SIZE, 0.5, np.float32)
    found = add_levels(picture, HALF, (scale,), (added,))
    assert found.dtype == np.float32 and not found[:, 100:].any()
    np.testing.assert_array_equal(found[:, : int(100 - (DEEP + 1.5) * scale)], 0.5)
    for level, middle in zip(added, MIDDLES, strict=True):
        column = round(99.5 - middle * scale)
        at = depth(column) / scale
        expected = np.interp(share(at), KNOTS, (*added, 0.0))
        slope = max(abs(a - b) for a, b in zip(added, (*added[1:], 0.0), strict=True))
        assert found[80, column] - 0.5 == pytest.approx(expected, abs=0.01 + 0.35 * slope), level


def test_a_part_that_lacks_brightness_gets_it():
    rng = np.random.default_rng(0)
    pictures = [(0.4 + 0.1 * rng.random(SIZE)).astype(np.float32) for _ in range(3)]
    known = levels_of(pictures, [HALF] * 3, 4.0)
    dark = [add_levels(one, HALF, (4.0,), ((-0.3, -0.2, -0.1, -0.05, 0.0, 0.0, 0.0),)) for one in pictures]
    lacking = np.subtract(known, levels_of(dark, [HALF] * 3, 4.0))
    again = levels_of([add_levels(one, HALF, (4.0,), (lacking,)) for one in dark], [HALF] * 3, 4.0)
    assert lacking[0] > 0.2
    np.testing.assert_allclose(again, known, atol=0.02)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: PeripheryStatistics((4.0, 16.0), ((0.5,) * 7,) * 2, 3), "scales_wrong"),
        (lambda: PeripheryStatistics((), (), 3), "scales_wrong"),
        (lambda: PeripheryStatistics((4.0,), ((0.5,) * 6,), 3), "statistics_wrong"),
        (lambda: PeripheryStatistics((4.0,), ((1.5,) * 7,), 3), "statistics_wrong"),
        (lambda: PeripheryStatistics((4.0, 2.0), ((0.5,) * 7,), 3), "statistics_wrong"),
        (lambda: Periphery((4.0, 16.0), ((0.0,) * 7,) * 2), "step_parameter_wrong"),
        (lambda: Periphery((4.0,), ((0.0,) * 6,)), "step_parameter_wrong"),
        (lambda: Periphery((4.0,), ((float("nan"),) * 7,)), "step_parameter_wrong"),
        (lambda: Periphery((4.0,), ()), "step_parameter_wrong"),
        (lambda: profile(np.zeros(SIZE, np.float32), np.zeros(SIZE, np.bool_), 4.0), "mask_empty"),
        (lambda: add_levels(np.zeros(SIZE, np.float32), HALF[:9], (4.0,), ((0.0,) * 7,)), "mask_wrong"),
    ],
)
def test_what_cannot_be_is_refused(call, code):
    with pytest.raises(MammoError) as caught:
        call()
    assert caught.value.code == code

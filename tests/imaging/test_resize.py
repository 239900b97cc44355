import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.imaging.resize import METHODS, resize, resize_mask

SIZES = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from(METHODS), st.integers(0, 65535))
def test_a_flat_picture_stays_flat(rows, columns, new_rows, new_columns, method, level):
    result = resize(np.full((rows, columns), level, np.uint16), new_rows, new_columns, method)
    assert result.dtype == np.uint16
    assert result.shape == (new_rows, new_columns)
    assert np.abs(result.astype(int) - level).max() <= 65  # overlaps of a thousandth of a pixel are dropped


def test_area_is_the_mean_of_what_it_covers():
    picture = np.random.default_rng(0).integers(0, 65536, (60, 40), dtype=np.uint16)
    result = resize(picture, 20, 10, "area")
    expected = picture.reshape(20, 3, 10, 4).mean(axis=(1, 3))
    assert np.abs(result - expected).max() <= 0.51


def test_area_keeps_a_speck_that_cubic_loses():
    picture = np.zeros((370, 370), np.uint16)
    picture[100, 100] = 60000
    found = [resize(np.roll(picture, move, (0, 1)), 100, 100, "area").max() for move in range(8)]
    assert min(found) > 900  # 60000 / 3.7^2 / 4 at worst, split over four pixels
    assert min(resize(np.roll(picture, move, (0, 1)), 100, 100, "cubic").max() for move in range(8)) < 100


def test_cubic_overshoot_is_clipped():
    picture = np.zeros((20, 20), np.uint16)
    picture[:, 10:] = 65535
    result = resize(picture, 57, 57, "cubic")
    assert result.min() == 0
    assert result.max() == 65535


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES)
def test_masks_keep_to_the_pixels(rows, columns, new_rows, new_columns):
    mask = np.random.default_rng(rows * 41 + columns).random((rows, columns)) < 0.5
    result = resize_mask(mask, new_rows, new_columns)
    assert result.shape == (new_rows, new_columns)
    np.testing.assert_array_equal(resize_mask(mask, rows, columns), mask)
    np.testing.assert_array_equal(resize_mask(np.ones_like(mask), new_rows, new_columns), True)

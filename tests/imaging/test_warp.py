from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.imaging.warp import AffineDraw, affine, invert, map_points, random_affine, shift_channels

GOLDEN = Path(__file__).parents[1] / "golden" / "end2end"


@pytest.mark.parametrize("index", range(6))
def test_augmentation(index):
    with np.load(GOLDEN / "augment.npz") as arrays:
        picture, draws, answer, mean = arrays["x"], arrays["draws"][index], arrays["y"][index], arrays["mean"]
    rotation, shear, zoom_rows, zoom_columns, *shifts, left_right, up_down = draws
    draw = AffineDraw(
        rotation, shear, 0.0, 0.0, zoom_rows, zoom_columns, flip_left_right=left_right < 0.5, flip_up_down=up_down < 0.5
    )
    warped = affine(picture, draw.matrix(*picture.shape), "nearest")
    result = shift_channels(np.repeat(warped[..., None], 3, axis=-1), np.array(shifts)) - mean
    wrong = (np.abs(result - answer) > 1e-3).any(axis=-1)
    assert wrong.mean() <= 0.005  # rounding ties: README, tolerances


def picture(rows=40, columns=30):
    return np.random.default_rng(0).random((rows, columns), dtype=np.float32)


def test_identity_and_flips():
    grey = picture()
    np.testing.assert_array_equal(affine(grey, AffineDraw().matrix(40, 30)), grey)
    np.testing.assert_array_equal(affine(grey, AffineDraw(flip_left_right=True).matrix(40, 30)), grey[:, ::-1])
    np.testing.assert_array_equal(affine(grey, AffineDraw(flip_up_down=True).matrix(40, 30)), grey[::-1])
    mask = grey > 0.5
    flipped = affine(mask, AffineDraw(flip_up_down=True).matrix(40, 30))
    assert flipped.dtype == np.bool_
    np.testing.assert_array_equal(flipped, mask[::-1])


def test_shift_moves_content_down_and_right():
    grey = picture()
    moved = affine(grey, AffineDraw(shift_rows=0.1, shift_columns=0.2).matrix(40, 30), fill=0.0)
    np.testing.assert_allclose(moved[4:, 6:], grey[:-4, :-6], atol=1e-6)
    assert moved[:4].max() == 0
    held = affine(grey, AffineDraw(shift_rows=0.1).matrix(40, 30), fill="nearest")
    np.testing.assert_allclose(held[0], grey[0], atol=1e-6)


def test_rotation_turns_clockwise_and_zoom_shrinks():
    grey = np.zeros((101, 101), np.float32)
    grey[48:53, 80:85] = 1  # right of the middle
    turned = affine(grey, AffineDraw(rotation=90.0).matrix(101, 101), fill=0.0)
    assert np.argwhere(turned > 0.5).mean(0)[0] > 70  # below it
    small = affine(grey, AffineDraw(zoom_columns=2.0).matrix(101, 101), fill=0.0)
    assert np.argwhere(small > 0.5).mean(0)[1] == pytest.approx(67, abs=1)


def test_three_channels_and_types():
    grey = picture()
    draw = random_affine(np.random.default_rng(1)).matrix(40, 30)
    three = affine(np.repeat(grey[..., None], 3, axis=-1), draw)
    np.testing.assert_array_equal(three[..., 1], affine(grey, draw))
    sixteen = affine(np.rint(grey * 65535).astype(np.uint16), draw)
    np.testing.assert_allclose(sixteen / 65535, affine(grey, draw), atol=1e-4)
    assert affine(grey[..., None], draw).shape == (40, 30, 1)
    assert affine(grey, draw, size=(20, 50)).shape == (20, 50)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_draws_stay_in_their_ranges(seed):
    draw = random_affine(np.random.default_rng(seed), rotation=10, shift=0.05, zoom=0.1)
    assert abs(draw.rotation) <= 10
    assert max(abs(draw.shift_rows), abs(draw.shift_columns)) <= 0.05
    assert max(abs(draw.zoom_rows - 1), abs(draw.zoom_columns - 1)) <= 0.1
    assert draw.shear == 0
    assert not draw.flip_up_down
    assert draw == random_affine(np.random.default_rng(seed))
    matrix = draw.matrix(64, 48)
    points = np.array([[0.0, 0.0], [47.0, 63.0], [10.5, 3.0]])
    np.testing.assert_allclose(map_points(invert(matrix), map_points(matrix, points)), points, atol=1e-9)


def test_half_of_the_draws_are_flipped():
    generator = np.random.default_rng(0)
    assert np.mean([random_affine(generator).flip_left_right for _ in range(400)]) == pytest.approx(0.5, abs=0.1)
    assert not any(random_affine(generator, horizontal_flip=False).flip_left_right for _ in range(20))


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("interpolation_unknown", {"interpolation": "cubic"}),
        ("fill_unknown", {"fill": "reflect"}),
        ("matrix_wrong", {"matrix": np.eye(3)}),
    ],
)
def test_bad_settings(code, settings):
    with pytest.raises(MammoError) as caught:
        affine(picture(), **({"matrix": np.eye(2, 3)} | settings))
    assert caught.value.code == code

"""Tiles of a picture: where they lie, and which are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.imaging.tiles import Tiling, _reaches, breast_pixels, placed_tiles, stored_frame, tile_matrices
from mammo_tf.imaging.warp import map_points


def test_two_by_two_tiles_by_hand() -> None:
    matrices = tile_matrices((0, 100, 20, 100), Tiling(25, 20))
    corners = map_points(matrices[3], np.array([[-0.5, -0.5], [19.5, 24.5]]))
    np.testing.assert_allclose(corners, [[59.5, 49.5], [99.5, 99.5]])
    np.testing.assert_allclose(matrices[:, 0, 0], 2.0)
    np.testing.assert_allclose(map_points(matrices[0], np.array([[-0.5, -0.5]])), [[19.5, -0.5]])


@given(
    st.integers(1, 4), st.integers(1, 4), st.floats(0, 0.6),
    st.tuples(st.floats(0, 50), st.floats(60, 400), st.floats(0, 50), st.floats(60, 400)),
)  # fmt: skip
def test_tiles_cover_the_frame_and_share_what_was_asked(
    rows: int, columns: int, overlap: float, frame: tuple[float, float, float, float]
) -> None:
    size = 16, 24
    matrices = tile_matrices(frame, Tiling(*size, (rows, columns), overlap))
    first = map_points(matrices[0], np.array([-0.5, -0.5])) + 0.5
    last = map_points(matrices[-1], np.array([size[1] - 0.5, size[0] - 0.5])) + 0.5
    np.testing.assert_allclose([*first, *last], [frame[2], frame[0], frame[3], frame[1]], atol=1e-9)
    if columns > 1:
        left, right = (map_points(matrices[at], np.array([[-0.5, 0], [size[1] - 0.5, 0]]))[:, 0] for at in (0, 1))
        side = left[1] - left[0]
        np.testing.assert_allclose(left[1] - right[0], overlap * side, atol=1e-9)


@given(st.integers(0, 39), st.integers(0, 29))
def test_a_finding_of_one_pixel_lies_in_one_tile(row: int, column: int) -> None:
    mask = np.zeros((40, 30), np.bool_)
    mask[row, column] = True
    matrices = tile_matrices((0, 40, 0, 30), Tiling(4, 4))
    assert sum(_reaches(mask, matrix, Tiling(4, 4)) for matrix in matrices) == 1


def test_background_is_left_out_unless_a_finding_lies_there() -> None:
    breast, finding = np.zeros((2, 40, 40), np.bool_)
    breast[:20, :20] = True
    finding[30, 30] = True
    tiling = Tiling(8, 8)
    assert [tile.number for tile in placed_tiles((0, 40, 0, 40), breast, tiling)] == [0]
    kept = placed_tiles((0, 40, 0, 40), breast, tiling, finding)
    assert [(tile.number, tile.positive) for tile in kept] == [(0, False), (3, True)]
    assert len(placed_tiles((0, 40, 0, 40), np.zeros_like(breast), tiling)) == 1


def test_the_frame_is_where_the_stored_image_lies() -> None:
    shifted = np.array([[2.0, 0.0, -4.5], [0.0, 2.0, -8.5]])  # prepared pixels of 2, the image 2.5 and 4.5 in
    assert stored_frame(shifted, (20, 30), (40, 50)) == pytest.approx((4.5, 14.5, 2.5, 17.5), abs=1e-9)
    assert stored_frame(np.eye(2, 3), (0, 0), (40, 50)) == (0, 40, 0, 50)


def test_breast_by_level() -> None:
    picture = np.array([[0, 3000, 4000, 65535]], np.uint16)
    assert breast_pixels(picture).tolist() == [[False, False, True, True]]
    assert breast_pixels(picture, 0.5).tolist() == [[False, False, False, True]]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"rows": 0}, "1 or more"), ({"cut": (0, 2)}, "1 or more"), ({"overlap": 1.0}, "fractions"),
     ({"breast_level": 1.0}, "breast_level")],
)  # fmt: skip
def test_refusals(wrong: dict, words: str) -> None:
    with pytest.raises(MammoError, match=words):
        Tiling(**wrong)

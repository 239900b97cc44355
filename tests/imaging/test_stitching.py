"""Stitching: what was cut comes back, without seams, and in little memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.imaging.stitching import Stitcher
from mammo_tf.imaging.tiles import Tiling, tile_matrices
from mammo_tf.imaging.warp import affine


def stitched(picture: np.ndarray, cut: tuple[int, int], size: tuple[int, int], overlap: float) -> np.ndarray:
    stitcher = Stitcher(picture.shape)
    for matrix in tile_matrices((0, picture.shape[0], 0, picture.shape[1]), Tiling(*size, cut, overlap)):
        stitcher.add(affine(picture, matrix, fill="nearest", size=size), matrix)
    return stitcher.result()


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_tiles_in_their_own_pixels_give_the_picture_back(rows: int, columns: int, seed: int) -> None:
    picture = np.random.default_rng(seed).random((rows * 12, columns * 10)).astype(np.float32)
    np.testing.assert_allclose(stitched(picture, (rows, columns), (12, 10), 0.0), picture, atol=1e-6)


@given(st.floats(0, 0.5), st.integers(1, 3), st.integers(1, 3), st.integers(7, 40), st.integers(7, 40))
def test_a_slope_comes_back_wherever_it_is_cut(overlap: float, rows: int, columns: int, down: int, across: int) -> None:
    """A plane is its own bilinear interpolation: blending bends it nowhere by more than half a pixel of a tile."""
    y, x = np.mgrid[:60, :50]
    plane = (0.01 * y + 0.02 * x).astype(np.float32)
    found = stitched(plane, (rows, columns), (down, across), overlap)
    sides = (length / (count - (count - 1) * overlap) for length, count in ((60, rows), (50, columns)))
    tall, wide = (side / pixels for side, pixels in zip(sides, (down, across), strict=True))
    assert np.abs(found - plane).max() <= 0.01 * (max(tall, 1) + 0.1) / 2 + 0.02 * (max(wide, 1) + 0.1) / 2 + 2e-3


@pytest.mark.parametrize("overlap", [0.0, 0.25])
def test_every_pixel_is_in_a_tile_and_a_constant_has_no_seam(overlap: float) -> None:
    picture = np.full((201, 133), 0.7, np.float32)
    np.testing.assert_allclose(stitched(picture, (3, 2), (32, 32), overlap), 0.7, atol=1e-5)


def test_tiles_fade_into_one_another() -> None:
    """Two tiles that disagree, 0 and 1: one steep step without overlap, a ramp with it."""
    steps = {}
    for overlap in (0.0, 0.5):
        stitcher = Stitcher((20, 60))
        for value, matrix in enumerate(tile_matrices((0, 20, 0, 60), Tiling(20, 40, (1, 2), overlap))):
            stitcher.add(np.full((20, 40), float(value), np.float32), matrix)
        row = stitcher.result()[10]
        assert (np.diff(row) >= 0).all()
        assert (row[0], row[-1]) == (0, 1)
        steps[overlap] = float(np.abs(np.diff(row)).max())
    assert steps[0.0] == 1
    assert steps[0.5] < 0.1


def test_where_no_tile_lies_it_is_zero_and_a_tile_beside_the_picture_adds_nothing() -> None:
    stitcher = Stitcher((10, 10))
    stitcher.add(np.ones((4, 4), np.float32), np.array([[1.0, 0, 2], [0, 1.0, 3]]))
    stitcher.add(np.ones((4, 4), np.float32), np.array([[1.0, 0, 40], [0, 1.0, 3]]))
    found = stitcher.result()
    assert found.sum() == 16
    assert found[3:7, 2:6].all()
    with pytest.raises(MammoError, match="turned"):
        stitcher.add(np.ones((4, 4), np.float32), np.array([[0.0, 1, 0], [-1.0, 0, 0]]))

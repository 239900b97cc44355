"""Pieces of a picture to the whole: stitched, one branch for all of them or each its own."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_tf.imaging.tiles import Tiling, tile_matrices
from mammo_tf.training.tasks.pieces import Pieces

MATRICES = tile_matrices((0, 8, 0, 8), Tiling(8, 4, (1, 2)))


def piece(value: float, distances: tuple[float, ...]) -> dict[str, np.ndarray]:
    """A tile whose branches say `value`, `value` + 1, ...; its own choice says the same as its nearest branch."""
    masks = np.stack([np.full((8, 4), value + number, np.float32) for number in range(len(distances))])
    return {"mask": masks[int(np.argmin(distances))], "masks": masks, "distance": np.array(distances)}


@pytest.mark.parametrize(("choice", "left", "right", "branch"), [("picture", 1.0, 11.0, 1), ("piece", 1.0, 10.0, None)])
def test_distances_are_summed_over_a_picture(choice: str, left: float, right: float, branch: int | None) -> None:
    pieces = Pieces((8, 8), choice)
    pieces.add(MATRICES[0], piece(0.0, (9.0, 1.0)))
    pieces.add(MATRICES[1], piece(10.0, (2.0, 3.0)))
    found = pieces.whole()
    assert found.branch == branch
    np.testing.assert_allclose(found.distances, [11.0, 4.0])
    np.testing.assert_allclose(found.probability[:, :4], left)
    np.testing.assert_allclose(found.probability[:, 4:], right)


def test_the_first_of_equal_branches_and_no_branches_at_all() -> None:
    pieces = Pieces((8, 4))
    pieces.add(np.eye(2, 3), piece(5.0, (1.0, 1.0)))
    assert pieces.whole().branch == 0
    plain = Pieces((8, 4))
    mask = np.random.default_rng(0).random((8, 4)).astype(np.float32)
    plain.add(np.eye(2, 3), {"mask": mask})
    found = plain.whole()
    assert found.probability is mask, "a whole picture is not touched"
    assert (found.branch, found.distances) == (None, None)

"""What a network for segmentation says of the pieces of one picture, put together to what it says of the picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.stitching import Stitcher

BRANCH, DISTANCE = "branch", "distance_"  # columns of a table; behind the latter the number of a branch
CHOICES = ("picture", "piece")  # what chooses one branch


class Whole(NamedTuple):
    """What is said of one picture.

    Attributes:
        probability: of every pixel, float32 `[rows, columns]`.
        branch: the one that was chosen, counted from 0; None for a network without branches, or where each piece chose
            its own.
        distances: of each branch, summed over the pieces, float64 `[branches]`; None for a network without branches.
    """

    probability: NDArray[np.float32]
    branch: int | None = None
    distances: NDArray[np.float64] | None = None

    @property
    def columns(self) -> dict[str, float]:
        """As `branch_columns`; nothing for a network without branches."""
        return {} if self.distances is None else branch_columns(self.branch, self.distances)


def branch_columns(branch: int | None, distances: NDArray[np.floating]) -> dict[str, float]:
    """`branch`, where one was chosen, and `distance_<branch>` of each: a row of a table.

    Args:
        branch: counted from 0; None, or below 0, where none was chosen.
        distances: `[branches]`.
    """
    chosen = {} if branch is None or branch < 0 else {BRANCH: int(branch)}
    return chosen | {f"{DISTANCE}{number}": float(value) for number, value in enumerate(distances)}


class Pieces:
    """Collects the pieces of one picture: all of it, or its tiles.

    Args:
        size: rows and columns of the prepared picture.
        choice: "picture", the branch whose distances, summed over the pieces, are smallest; or "piece", each its own.
    """

    def __init__(self, size: tuple[int, int], choice: str = "picture") -> None:
        self.size, self.choice = size, choice
        self._pieces: list[tuple[NDArray[np.float64], Mapping[str, NDArray[Any]]]] = []

    def add(self, matrix: NDArray[np.float64], named: Mapping[str, NDArray[Any]]) -> None:
        """Adds a piece.

        Args:
            matrix: `[2, 3]`, maps (x, y, 1) of the piece to (x, y) of the picture.
            named: outputs of the network for it by the contract's names: `mask` `[rows, columns]`, and of a network
                that chooses among branches `masks` `[branches, rows, columns]` and `distance` `[branches]`.
        """
        self._pieces.append((matrix, named))

    def whole(self) -> Whole:
        """What is said of the picture; the smallest distance wins, the first of equal ones."""
        first = self._pieces[0][1]
        if "distance" not in first:
            return Whole(self._stitched([named["mask"] for _, named in self._pieces]))
        distances = np.stack([named["distance"] for _, named in self._pieces]).astype(np.float64).sum(axis=0)
        if self.choice == "piece":
            return Whole(self._stitched([named["mask"] for _, named in self._pieces]), None, distances)
        branch = int(np.argmin(distances))
        return Whole(self._stitched([named["masks"][branch] for _, named in self._pieces]), branch, distances)

    def _stitched(self, masks: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        if len(masks) == 1 and masks[0].shape == self.size and np.array_equal(self._pieces[0][0], np.eye(2, 3)):
            return masks[0]
        stitcher = Stitcher(self.size)
        for (matrix, _), mask in zip(self._pieces, masks, strict=True):
            stitcher.add(mask, matrix)
        return stitcher.result()

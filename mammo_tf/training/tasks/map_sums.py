"""A loss of pixels over all pictures of a stream, as if they were one batch, while memory holds one batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mammo_tf.training.losses import PIXEL_LOSSES, PixelSums, branches_loss, loss_maps


class MapSums:
    """Collects what a loss is made of, in float64, map by map and picture by picture.

    Args:
        loss: a name in `PIXEL_LOSSES`.
        output_weights: of the network, see `losses.weighed_maps`.
        branches: of the network.
    """

    def __init__(self, loss: str, output_weights: Sequence[float], branches: int) -> None:
        self._loss, self._output_weights, self._branches = loss, output_weights, branches
        self._weights: dict[int, float] = {}  # of each map, as all below
        self._sums: dict[int, list[NDArray[np.float64]]] = {}
        self._of_pictures: dict[int, list[NDArray[np.float64]]] = {}
        self._shares: list[NDArray[np.float64]] = []

    def add(self, mask: NDArray[np.floating], outputs: Any, branch: NDArray[np.integer] | None) -> None:
        """Adds a batch.

        Args:
            mask: `[batch, rows, columns]`.
            outputs: of the network.
            branch: of each picture, `[batch]`; None for a network of one.
        """
        of_pictures = PIXEL_LOSSES[self._loss].of_pictures
        for number, one in enumerate(loss_maps(self._loss, mask.astype(np.float64), outputs, self._output_weights)):
            self._weights[number], truth, probability = one.weight, one.truth, np.asarray(one.given, np.float64)
            parts = (truth * probability, probability, truth, np.ones_like(truth))
            self._sums.setdefault(number, []).append(np.stack([part.sum(axis=(1, 2)) for part in parts]))
            if of_pictures is not None:
                found = of_pictures(truth.astype(np.float32), np.asarray(one.given, np.float32))
                self._of_pictures.setdefault(number, []).append(keras.ops.convert_to_numpy(found).astype(np.float64))
        self._shares.append(np.eye(self._branches)[np.zeros(len(mask), np.int64) if branch is None else branch])

    def loss(self) -> float:
        """Of all that was added, without regularisation."""
        total = 0.0
        for number, weight in self._weights.items():
            whole = PixelSums(*np.concatenate(self._sums[number], axis=1))
            own = np.concatenate(self._of_pictures[number]) if number in self._of_pictures else None
            total += weight * float(branches_loss(self._loss, whole, own, np.concatenate(self._shares)))
        return total

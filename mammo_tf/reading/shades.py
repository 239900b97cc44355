"""A picture that is looked up where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType

import cv2
import numpy as np


@dataclass(frozen=True)
class Shades:
    """The stored values of a picture and what each of them is shown as: sliced, it gives the picture or a part of it.

    Attributes:
        words: uint8 or uint16 `[rows, columns]`, the bits of the stored values.
        table: float32 in [0, 1], bright is dense, one for each word that there can be.
    """

    words: np.ndarray
    table: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.words.shape[0], self.words.shape[1]

    def __getitem__(self, place: tuple[slice, slice] | EllipsisType) -> np.ndarray:
        """What is shown there, float32 `[rows, columns]`."""
        return self.by(self.table, place)

    def by(self, table: np.ndarray, place: tuple[slice, slice] | EllipsisType = ...) -> np.ndarray:
        """What another table makes of the same values, `[rows, columns]` of its type."""
        return np.asarray(cv2.LUT(np.ascontiguousarray(self.words[place]), table))

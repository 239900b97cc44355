"""The pixels of a breast, kept small: any one of them can be drawn with equal probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BreastPixels:
    """A mask as runs of pixels along its rows.

    Attributes:
        rows, starts: int32 `[runs]`, row and first column of each run.
        ends: int64 `[runs]`, pixels up to the end of each run.
    """

    rows: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> BreastPixels:
        """The pixels that are set in a mask, bool `[rows, columns]`."""
        steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).view(np.int8), axis=1)
        rows, starts = np.nonzero(steps == 1)
        _, stops = np.nonzero(steps == -1)
        return cls(rows.astype(np.int32), starts.astype(np.int32), np.cumsum(stops - starts, dtype=np.int64))

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def pixel(self, number: int) -> tuple[int, int]:
        """The place (x, y) of a pixel, counted along the rows from 0."""
        run = int(np.searchsorted(self.ends, number, side="right"))
        before = int(self.ends[run - 1]) if run else 0
        return int(self.starts[run]) + number - before, int(self.rows[run])

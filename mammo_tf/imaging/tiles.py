"""A picture cut into tiles, each resampled to one size: where they lie, and which are worth a look.

Two by two tiles at 512x512 pixels, background left out, are those of Wang et al., *MLN-net: A multi-source medical
image segmentation method for clustered microcalcifications using multiple layer normalization*, section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.levels import WHITE
from mammo_tf.imaging.warp import affine, invert, map_points

BREAST_LEVEL = 0.05  # of white, where nobody looked for the breast
Frame = tuple[float, float, float, float]


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut.

    Attributes:
        rows, columns: of a tile as the network sees it.
        cut: rows and columns of tiles of a picture.
        overlap: what neighbouring tiles share, as a fraction of a tile's side; maps are blended there.
        least_breast: share of a tile that is breast at least, or the tile is left out. Of a picture nothing of which
            is left the tile with the most breast is kept.
        breast_level: share of white above which a pixel is breast; None for the breast that was found in preparation,
            and 0.05 where nobody looked for it.
    """

    rows: int = 512
    columns: int = 512
    cut: tuple[int, int] = (2, 2)
    overlap: float = 0.0
    least_breast: float = 0.01
    breast_level: float | None = None

    def __post_init__(self) -> None:
        if min(self.rows, self.columns, *self.cut) < 1:
            raise MammoError("recipe_wrong", "rows, columns and cut of tiles are 1 or more")
        if not (0 <= self.overlap < 1 and 0 <= self.least_breast <= 1):
            raise MammoError("recipe_wrong", "overlap and least_breast of tiles are fractions from 0 to below 1")
        if self.breast_level is not None and not 0 <= self.breast_level < 1:
            raise MammoError("recipe_wrong", f"breast_level of tiles is {self.breast_level:g}, not from 0 to below 1")

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a tile as the network sees it."""
        return self.rows, self.columns


class PlacedTile(NamedTuple):
    """A tile of a picture.

    Attributes:
        number: counted along the rows of tiles, from 0.
        matrix: float64 `[2, 3]`, maps (x, y, 1) of the tile as the network sees it to (x, y) of the picture.
        positive: whether a finding reaches into it.
        breast: share of it that is breast.
    """

    number: int
    matrix: NDArray[np.float64]
    positive: bool
    breast: float


def stored_frame(to_stored: NDArray[np.float64], stored_size: tuple[int, int], size: tuple[int, int]) -> Frame:
    """Top, bottom, left, right of the stored image in the prepared picture, in pixels of that.

    Args:
        to_stored: `[2, 3]`, maps prepared (x, y, 1) to stored (x, y).
        stored_size: rows and columns of the stored image; (0, 0) where they are not known, for the whole picture.
        size: of the prepared picture.
    """
    rows, columns = stored_size if stored_size != (0, 0) else size
    corners = map_points(invert(to_stored), np.array([[-0.5, -0.5], [columns - 0.5, rows - 0.5]])) + 0.5
    left, right = np.clip(corners[:, 0], 0, size[1])
    top, bottom = np.clip(corners[:, 1], 0, size[0])
    return float(top), float(bottom), float(left), float(right)


def tile_matrices(frame: Frame, tiling: Tiling) -> NDArray[np.float64]:
    """The maps of all tiles of a frame, float64 `[tiles, 2, 3]`, row by row; see `PlacedTile.matrix`."""
    starts, sides = [], []
    for low, high, count in ((frame[0], frame[1], tiling.cut[0]), (frame[2], frame[3], tiling.cut[1])):
        side = (high - low) / (count - (count - 1) * tiling.overlap)
        starts.append([low + number * side * (1 - tiling.overlap) for number in range(count)])
        sides.append(side)
    down, across = sides[0] / tiling.rows, sides[1] / tiling.columns
    return np.array(
        [
            [[across, 0.0, left + across / 2 - 0.5], [0.0, down, top + down / 2 - 0.5]]
            for top in starts[0]
            for left in starts[1]
        ]
    )


def placed_tiles(
    frame: Frame, breast: NDArray[np.bool_], tiling: Tiling, finding: NDArray[np.bool_] | None = None
) -> list[PlacedTile]:
    """The tiles of a picture that are worth a look, at least one, in their order.

    Args:
        frame: of the picture, see `stored_frame`.
        breast: `[rows, columns]`.
        tiling: how it is cut.
        finding: `[rows, columns]`, what is looked for, where it is known; a tile that it reaches into is kept.
    """
    found = []
    for number, matrix in enumerate(tile_matrices(frame, tiling)):
        share = float(affine(breast, matrix, fill=0, size=tiling.size).mean())
        found.append(PlacedTile(number, matrix, finding is not None and _reaches(finding, matrix, tiling), share))
    kept = [tile for tile in found if tile.positive or tile.breast >= tiling.least_breast]
    return kept or [max(found, key=lambda tile: tile.breast)]


def breast_pixels(picture: NDArray[np.uint16], level: float | None = None) -> NDArray[np.bool_]:
    """What of a picture is brighter than a share of white, 0.05 by default; bool `[rows, columns]`."""
    return np.asarray(picture > (BREAST_LEVEL if level is None else level) * WHITE)


def _reaches(mask: NDArray[np.bool_], matrix: NDArray[np.float64], tiling: Tiling) -> bool:
    """Whether a pixel of a mask lies in a tile, however coarsely the tile is seen."""
    (across, _, left), (_, down, top) = matrix
    y0, y1 = (max(round(edge + 0.5), 0) for edge in (top - down / 2, top + (tiling.rows - 0.5) * down))
    x0, x1 = (max(round(edge + 0.5), 0) for edge in (left - across / 2, left + (tiling.columns - 0.5) * across))
    return bool(mask[y0:y1, x0:x1].any())

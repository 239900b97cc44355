"""Pictures in tiles: each is stored, checked and decoded alone, so that a patch of a large picture costs a patch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError

SMALLEST_TILE = 16  # rows and columns


def tile_boxes(size: tuple[int, int], tile: int) -> list[tuple[int, int, int, int]]:
    """Top, bottom, left and right of every tile of a picture of this size, row by row; the last ones may be smaller."""
    rows, columns = size
    return [
        (top, min(top + tile, rows), left, min(left + tile, columns))
        for top in range(0, rows, tile)
        for left in range(0, columns, tile)
    ]


def cut_tiles(picture: NDArray[np.uint16], tile: int) -> Iterator[bytes]:
    """The bytes of each tile, little-endian uint16, in the order of `tile_boxes`; of a plain one its one value."""
    for top, bottom, left, right in tile_boxes((picture.shape[0], picture.shape[1]), tile):
        part = picture[top:bottom, left:right]
        plain = bool((part == part[0, 0]).all())
        yield (part[:1, :1] if plain else part).astype("<u2").tobytes()


def assemble(
    size: tuple[int, int], tile: int, box: tuple[int, int, int, int], read: Callable[[int], bytes]
) -> NDArray[np.uint16]:
    """A region of a picture, reading the tiles that it touches alone.

    Args:
        size: rows and columns of the picture.
        tile: rows and columns of a tile.
        box: top, bottom, left, right of the region, inside the picture.
        read: number of a tile to its bytes, as `cut_tiles` gave them.

    Returns:
        uint16 `[bottom - top, right - left]`.

    Raises:
        MammoError: `record_damaged` for bytes of another length than the tile's.
    """
    top, bottom, left, right = box
    across = -(-size[1] // tile)
    region = np.empty((bottom - top, right - left), np.uint16)
    for row in range(top // tile, -(-bottom // tile)):
        for column in range(left // tile, -(-right // tile)):
            y, x = row * tile, column * tile
            shape = min(tile, size[0] - y), min(tile, size[1] - x)
            values = np.frombuffer(read(row * across + column), "<u2")
            if values.size not in (1, shape[0] * shape[1]):
                raise MammoError("record_damaged", f"a tile holds {values.size} values, not {shape[0] * shape[1]}")
            part = np.broadcast_to(values, shape) if values.size == 1 else values.reshape(shape)
            inner = max(top - y, 0), min(bottom - y, shape[0]), max(left - x, 0), min(right - x, shape[1])
            region[y + inner[0] - top : y + inner[1] - top, x + inner[2] - left : x + inner[3] - left] = part[
                inner[0] : inner[1], inner[2] : inner[3]
            ]
    return region

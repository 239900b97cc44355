"""The rows of pictures to prepare, made from the table of a manifest as they are needed.

A row as a dictionary takes a kilobyte, and one is needed while its picture is read. Held is where it stands in the
table, and what a picture of a volume says otherwise than its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading import images_of
from mammo_tf.study import Projection, resolve_path

TOGETHER = 256  # rows that are made at once
Row = dict[str, Any]


class PictureRows(Sequence[Row]):
    """Rows of pictures, in order; parts of it share its table.

    Attributes:
        manifest: rows as `read_manifest` gives them.
        places: of each picture the row of the manifest, int32 `[pictures]`.
        differs: of each picture the cells that differ from that row; nothing where none does.
    """

    def __init__(
        self, manifest: pd.DataFrame, places: NDArray[np.int32] | None = None, differs: Sequence[Row] = ()
    ) -> None:
        self.manifest = manifest
        self.places = np.arange(len(manifest), dtype=np.int32) if places is None else places
        self.differs = differs

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> PictureRows: ...
    def __getitem__(self, place: int | slice) -> Row | PictureRows:
        if isinstance(place, slice):
            return PictureRows(self.manifest, self.places[place], self.differs[place])
        at = range(len(self))[place]
        return next(iter(self[at : at + 1]))

    def __iter__(self) -> Iterator[Row]:
        for start in range(0, len(self), TOGETHER):
            rows = self.manifest.iloc[self.places[start : start + TOGETHER]].to_dict("records")
            for number, row in enumerate(rows, start):
                named = {str(key): value for key, value in row.items()}
                yield named | self.differs[number] if self.differs else named


def joined(parts: Sequence[PictureRows]) -> PictureRows:
    """Rows one behind the other.

    Args:
        parts: of the same rows, at least one.
    """
    places = np.concatenate([part.places for part in parts])
    return PictureRows(parts[0].manifest, places, [cells for part in parts for cells in part.differs])


def rows_of_pictures(manifest: pd.DataFrame, root: str | Path, projection: Projection, workers: int) -> PictureRows:
    """The rows of all pictures: a volume becomes several where its projection makes several, in their order."""
    rows = PictureRows(manifest)
    if projection == Projection():
        return rows
    work = partial(_differences, root=str(root), projection=projection)
    places: list[NDArray[np.int32]] = []
    differs: list[Row] = []
    for place, (_, found) in enumerate(each_file(work, rows, workers, "reading headers")):
        pictures = [{}] if isinstance(found, MammoError) else found
        places.append(np.full(len(pictures), place, np.int32))
        differs += pictures
    return PictureRows(manifest, np.concatenate(places), differs)


def _differences(row: Mapping[str, Any], root: str, projection: Projection) -> list[Row]:
    """What the rows of `images_of` say otherwise than the row that they are of."""
    pictures = images_of(resolve_path(str(row["path"]), root), row, projection)
    return [{key: cell for key, cell in one.items() if key not in row or cell is not row[key]} for one in pictures]

"""Pictures that a table of a collection names: which file is which, looked at, and what is not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.read import inspect_file
from mammo_tf.reading.tree import relative
from mammo_tf.study import Reject
from mammo_tf.study.cells import in_range

WORKERS = min(4, os.cpu_count() or 1)
DICOM = (".dcm", ".dicom", "")
PICTURES = (*DICOM, ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".pgm")
TABLE = "a table of the collection: read, but not an image"
ABSENT = "named in the table, and not there"
Key = TypeVar("Key", bound=Hashable)


class Told(Protocol):
    """What a table says of a picture; "" leaves it to the header."""

    @property
    def side(self) -> str: ...
    @property
    def view(self) -> str: ...


Row = TypeVar("Row", bound=Told)


class Placed(NamedTuple):
    """The file of each picture, and the rejects of the other files."""

    pictures: dict[Any, Path]
    rejects: list[Reject]


class Look(NamedTuple):
    """A file to look at, and what is told of it."""

    path: Path
    side: str
    view: str


def dicom_first(files: Sequence[Path]) -> list[Path]:
    """The files in their order, those first whose names are those of DICOM files: a re-pack counts only alone."""
    return sorted(files, key=lambda path: path.suffix.lower() not in DICOM)


def placed(
    files: Sequence[Path],
    root: Path,
    tables: Container[Path],
    key_of: Callable[[Path], Key | None],
    known: Container[Key],
) -> Placed:
    """Which file is which picture. Of two files of one picture the DICOM file counts, else the first.

    Args:
        files: below the root, sorted.
        root: data root.
        tables: the files that were read as tables.
        key_of: what a file is called as the tables name it; None for what is not called like a picture.
        known: the pictures that the tables name.
    """
    found: dict[Key, Path] = {}
    rejects = []
    for path in dicom_first(files):
        place = relative(path, root)
        key = key_of(path) if path.suffix.lower() in PICTURES else None
        if path in tables:
            rejects.append(Reject(place, "table", TABLE))
        elif key is None or key not in known:
            rejects.append(Reject(place, "not_in_table", "no table of the collection names it"))
        elif key in found:
            rejects.append(Reject(place, "duplicate", f"the same picture as {relative(found[key], root)}"))
        else:
            found[key] = path
    return Placed(found, rejects)


def looked_at(
    pictures: Mapping[Key, Path], table: Mapping[Key, Row], root: Path
) -> Iterator[tuple[Key, str, Row, Facts] | Reject]:
    """Each picture with its place and its facts, or why it cannot be used; looked at in worker processes."""
    names = {path: key for key, path in pictures.items()}
    asked = [Look(path, table[key].side, table[key].view) for key, path in pictures.items()]
    for look, facts in each_file(inspect, asked, WORKERS, "reading headers", "picture"):
        place, key = relative(look.path, root), names[look.path]
        if isinstance(facts, MammoError):
            yield Reject.of(place, facts, look.path)
        else:
            yield key, place, table[key], facts


def inspect(look: Look) -> Facts:
    """Facts of a picture; runs in a worker process. Errors as `inspect_file`."""
    return inspect_file(look.path, laterality=look.side or None, view=look.view or None)


def facts_cells(facts: Facts, place: str) -> dict[str, Any]:
    """The manifest columns that come from the file and not from a table."""
    spacing = facts.spacing_mm or (None, None)
    return {
        "manufacturer": facts.manufacturer,
        "spacing_row_mm": in_range("spacing_row_mm", spacing[0]),
        "spacing_column_mm": in_range("spacing_column_mm", spacing[1]),
        "path": place,
        "model": facts.model,
    }

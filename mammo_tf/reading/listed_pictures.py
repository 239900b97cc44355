"""Pictures that a table of a collection names: which file is which, looked at, and what is not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading.accepted import accepted_cells
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


class Copy(NamedTuple):
    """A second file of a picture, as of a download and a re-pack of it."""

    key: Any
    first: Path
    path: Path


class Placed(NamedTuple):
    """The file of each picture, further files of them, and the rejects of all other files."""

    pictures: dict[Any, Path]
    copies: list[Copy]
    rejects: list[Reject]


class Look(NamedTuple):
    """A file to look at, what is told of it, and the judgements that shall not refuse it."""

    path: Path
    side: str
    view: str
    accept: tuple[str, ...] = ()


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
    """Which file is which picture. Of two files of one picture the DICOM file comes first, and the other is a copy.

    Args:
        files: below the root, sorted.
        root: data root.
        tables: the files that were read as tables.
        key_of: what a file is called as the tables name it; None for what is not called like a picture.
        known: the pictures that the tables name.
    """
    found: dict[Any, Path] = {}
    copies, rejects = [], []
    for path in dicom_first(files):
        place = relative(path, root)
        key = key_of(path) if path.suffix.lower() in PICTURES else None
        if path in tables:
            rejects.append(Reject(place, "table", TABLE))
        elif key is None or key not in known:
            rejects.append(Reject(place, "not_in_table", "no table of the collection names it"))
        elif key in found:
            copies.append(Copy(key, found[key], path))
        else:
            found[key] = path
    return Placed(found, copies, rejects)


def looked_at(
    found: Placed, table: Mapping[Key, Row], root: Path, accept: Sequence[str] = ()
) -> Iterator[tuple[Key, str, Row, Facts] | Reject]:
    """Each picture with its place and its facts, or why it cannot be used; looked at in worker processes.

    A copy counts where the file before it cannot be used, as after a download that stopped half-way; else it is a
    reject.
    """
    refused = set()
    for key, one in _inspected(list(found.pictures.items()), table, root, accept):
        if isinstance(one, Reject):
            refused.add(key)
        yield one
    wanted = [copy for copy in found.copies if copy.key in refused]
    yield from (_duplicate(copy, root) for copy in found.copies if copy.key not in refused)
    again = _inspected([(copy.key, copy.path) for copy in wanted], table, root, accept)
    for copy, (key, one) in zip(wanted, again, strict=True):
        if key not in refused:  # a copy before this one could be used
            yield _duplicate(copy, root)
            continue
        yield one
        if not isinstance(one, Reject):
            refused.remove(key)


def _duplicate(copy: Copy, root: Path) -> Reject:
    return Reject(relative(copy.path, root), "duplicate", f"the same picture as {relative(copy.first, root)}")


def _inspected(
    pictures: Sequence[tuple[Key, Path]], table: Mapping[Key, Row], root: Path, accept: Sequence[str]
) -> Iterator[tuple[Key, tuple[Key, str, Row, Facts] | Reject]]:
    asked = [Look(path, table[key].side, table[key].view, tuple(accept)) for key, path in pictures]
    outcomes = each_file(inspect, asked, WORKERS, "reading headers", "picture")
    for (key, path), (_, facts) in zip(pictures, outcomes, strict=True):
        place = relative(path, root)
        yield key, Reject.of(place, facts, path) if isinstance(facts, MammoError) else (key, place, table[key], facts)


def inspect(look: Look) -> Facts:
    """Facts of a picture; runs in a worker process. Errors as `inspect_file`."""
    return inspect_file(look.path, laterality=look.side or None, view=look.view or None, accepted=look.accept)


def facts_cells(facts: Facts, place: str) -> dict[str, Any]:
    """The manifest columns that come from the file and not from a table."""
    spacing = facts.spacing_mm or (None, None)
    return {
        "manufacturer": facts.manufacturer,
        "spacing_row_mm": in_range("spacing_row_mm", spacing[0]),
        "spacing_column_mm": in_range("spacing_column_mm", spacing[1]),
        "path": place,
        "model": facts.model,
        **accepted_cells(facts.accepted),
    }

"""Any folder tree of DICOM, PNG, TIFF, PGM and JPEG files, with an optional table of labels.

`labels.csv` in the root (UTF-8, comma) has a column `path`, relative to the root with forward slashes, and any other
columns of a manifest: `label`, `patient_id`, `laterality`, `view`, `age`, ... What it says counts before the header,
so files with stripped headers are taken if it gives laterality and view. Further columns travel along.

Who is whose: the patient is `patient_id` of the table, else that of the header, else the exam; for a picture without
a header the first folder below the root, and for one that lies in the root itself, the picture.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading import identity
from mammo_tf.reading.codes import VIEW_WORDS
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.grey_scale import small_doubt, stored_bits_of
from mammo_tf.reading.read import inspect_file
from mammo_tf.reading.tree import listed, picture_digest, relative
from mammo_tf.study import LABELS, SPLITS, Reject

TABLE = "labels.csv"
WORKERS = min(4, os.cpu_count() or 1)
_IDENTIFIERS = ("image_id", "patient_id", "exam_id", "pair_id")
_WORDS = {
    "label": LABELS,
    "laterality": ("L", "R"),
    "view": VIEW_WORDS,
    "modality": ("FFDM", "DBT", "FILM"),
    "density": ("A", "B", "C", "D"),
    "split": SPLITS,
}


class _Asked(NamedTuple):
    """A file to look at, what a table says of it by column, and whether its identifiers are kept."""

    path: Path
    told: dict[str, str]
    keep_identifiers: bool


def rows(
    root: Path, labels: str | Path | None = None, keep_identifiers: bool = False
) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows and rejects of a folder tree, those of its files in the order of their paths.

    Args:
        root: the folder.
        labels: the table; by default `labels.csv` in the root if it is there.
        keep_identifiers: the identifiers of images, patients, exams and pairs as they are, not as keyed hashes.

    Files are looked at in worker processes: one that hangs or crashes a decoder is a `Reject` (`guard`).

    Yields:
        A row with the extra columns `model`, `frames` and `warnings` and those of the table, or a `Reject`. Of two
        files with the same SOP Instance UID or the same pixels the first is kept. A file that only the table knows
        is rejected too.

    Raises:
        MammoError: `folder_missing`, `folder_empty`; of the table `file_missing`, `csv_broken`, `column_missing`,
            `path_twice`, `value_unknown`.
    """
    table_path = root / TABLE if labels is None else Path(labels)
    files, rejects = listed(root)
    table = read_labels(table_path) if labels is not None or table_path.is_file() else {}
    yield from rejects
    kept: dict[str, str] = {}
    asked = [_Asked(path, table.pop(relative(path, root), {}), keep_identifiers) for path in files]
    tables = {path for path in files if _same(path, table_path)}
    for path in sorted(tables):
        yield Reject(relative(path, root), "table", "the table of labels: read, but not an image")
    candidates = [one for one in asked if one.path not in tables]
    for (path, told, _), found in each_file(inspect_asked, candidates, WORKERS, "reading headers", "file"):
        place = relative(path, root)
        if isinstance(found, MammoError):
            yield Reject.of(place, found, path)
            continue
        facts, pixels = found
        row = manifest_row(facts, place, told, keep_identifiers)
        first = kept.get(row["image_id"]) or kept.get(pixels)
        if first is not None:
            yield Reject(place, "duplicate", f"the same identifier or the same pixels as {first}")
            continue
        kept[row["image_id"]] = kept[pixels] = place
        yield row
    for place in table:
        yield Reject(place, "file_missing", f"named in {table_path.name}, and not there")


def inspect_asked(asked: _Asked) -> tuple[Facts, str]:
    """Facts and digest of a file; runs in a worker process. Errors as `inspect_file` and `picture_digest`."""
    path, told, keep = asked
    side, view, bits = told.get("laterality"), told.get("view"), stored_bits_of(told)
    return inspect_file(path, "default", side, view, keep, bits), picture_digest(path)


def _same(path: Path, table: Path) -> bool:
    return path.exists() and table.exists() and path.samefile(table)


def manifest_row(facts: Facts, place: str, told: dict[str, str], keep_identifiers: bool = False) -> dict[str, Any]:
    """The manifest row of one file.

    Args:
        facts: of the file.
        place: its path, relative to the data root.
        told: what a table says of it, by column; counts before the facts.
        keep_identifiers: what the table says of identifiers is not hashed; the facts must have been read in that way.
    """
    identified = identity.as_it_is if keep_identifiers else identity.keyed_hash
    is_picture = not facts.modality
    folder = place.split("/")[0] if is_picture and "/" in place else place
    spacing = facts.spacing_mm or ("", "")
    row: dict[str, Any] = {
        "image_id": identified("image", place) if is_picture or not facts.image_id else facts.image_id,
        "patient_id": facts.patient_id or facts.exam_id or identified("patient", folder),
        "exam_id": facts.exam_id,
        "laterality": facts.laterality,
        "view": facts.view,
        "modality": facts.modality,
        "age": "" if facts.age is None else facts.age,
        "manufacturer": facts.manufacturer,
        "spacing_row_mm": spacing[0],
        "spacing_column_mm": spacing[1],
        "path": place,
        "model": facts.model,
        "frames": str(facts.frames),
        "warnings": "; ".join((*facts.warnings, *small_doubt(facts.rows, facts.columns))),
    }
    given = {name: identified(name.removesuffix("_id"), told[name]) for name in _IDENTIFIERS if told.get(name)}
    return row | told | given


def read_labels(path: str | Path) -> dict[str, dict[str, str]]:
    """What a table says, by path: the cells that are not empty, by column.

    Raises:
        MammoError: `file_missing`, `csv_broken`, `column_missing`, `path_twice`, `value_unknown`; each names the row.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = [line for line in csv.reader(stream, strict=True) if line]
    except FileNotFoundError:
        raise MammoError("file_missing", f"the table {path} is not there") from None
    except OSError as error:
        raise MammoError("unreadable", f"the table {path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise MammoError("csv_broken", f"{path} is not a CSV file in UTF-8") from error
    header = lines[0] if lines else []
    if "path" not in header:
        raise MammoError("column_missing", f"{path} has no column 'path'", "It names each file, relative to the root")
    table: dict[str, dict[str, str]] = {}
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(header):
            raise MammoError("csv_broken", f"{path}, row {number}: {len(line)} fields, the header has {len(header)}")
        cells = {name: cell.strip() for name, cell in zip(header, line, strict=True) if cell.strip()}
        place = cells.pop("path", "").replace("\\", "/").removeprefix("./")
        if not place or place in table:
            raise MammoError("path_twice", f"{path}, row {number}: the path is empty or stands there twice")
        for name, words in _WORDS.items():
            if name in cells and cells[name] not in words:
                raise MammoError(
                    "value_unknown",
                    f"{path}, row {number}: {name} {cells[name]!r} is unknown",
                    f"Known are {', '.join(words)}, or nothing",
                )
        table[place] = cells
    return table

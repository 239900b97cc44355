"""Any folder tree of DICOM, PNG, TIFF, PGM and JPEG files, with an optional table of labels.

`labels.csv` in the root (`reading.label_table`) has a column `path`, relative to the root, and any other columns of a
manifest: `label`, `patient_id`, `laterality`, `view`, `age`, ... What it says counts before the header,
so files with stripped headers are taken if it gives laterality and view. Further columns travel along.

Who is whose: the patient is `patient_id` of the table, else that of the header, else the exam; for a picture without
a header the first folder below the root, and for one that lies in the root itself, the picture. What is doubtful about
that is a warning of the row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading import identity
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.grey_scale import small_doubt, stored_bits_of
from mammo_tf.reading.label_table import IDENTIFIERS, Values, read_labels
from mammo_tf.reading.read import inspect_file
from mammo_tf.reading.tree import listed, picture_digest, relative
from mammo_tf.study import Reject
from mammo_tf.study.cells import in_range
from mammo_tf.study.identities import FOLDER, NO_PATIENT, doubtful

TABLE = "labels.csv"
WORKERS = min(4, os.cpu_count() or 1)


class _Asked(NamedTuple):
    """A file to look at, what a table says of it by column, and whether its identifiers are kept."""

    path: Path
    told: dict[str, str]
    keep_identifiers: bool


class _Seen(NamedTuple):
    """A file that can be used: its facts, digest of its pixels, and its patient as the archive has it."""

    facts: Facts
    digest: str
    patient: str


def rows(
    root: Path,
    labels: str | Path | None = None,
    keep_identifiers: bool = False,
    columns: Mapping[str, str] | None = None,
    values: Values | None = None,
) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows and rejects of a folder tree, those of its files in the order of their paths.

    Args:
        root: the folder.
        labels: the table; by default `labels.csv` in the root if it is there.
        keep_identifiers: the identifiers of images, patients, exams and pairs as they are, not as keyed hashes.
        columns, values: as for `read_labels`.

    Files are looked at in worker processes: one that hangs or crashes a decoder is a `Reject` (`guard`).

    Yields:
        A row with the extra columns `model`, `frames` and `warnings` and those of the table, or a `Reject`. Of two
        files with the same SOP Instance UID or the same pixels the first is kept. A file that only the table knows
        is rejected too. `warnings` also says what is doubtful about who is whose (`study.identities`).

    Raises:
        MammoError: `folder_missing`, `folder_empty`; of the table `labels_unmatched` where it names none of the files,
            `labels_missing` where columns or values are given and there is none; those of `read_labels`.
    """
    table_path = root / TABLE if labels is None else Path(labels)
    files, rejects = listed(root)
    table = read_labels(table_path, columns, values) if labels is not None or table_path.is_file() else {}
    if (columns or values) and labels is None and not table_path.is_file():
        raise MammoError("labels_missing", f"{root} has no {TABLE} to take columns or values of", "Name it by --labels")
    _refuse_unmatched(table, table_path, files, root)
    yield from rejects
    kept: dict[str, str] = {}
    seen: list[tuple[dict[str, Any], str]] = []
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
        row = manifest_row(found.facts, place, told, keep_identifiers)
        first = kept.get(row["image_id"]) or kept.get(found.digest)
        if first is not None:
            yield Reject(place, "duplicate", f"the same identifier or the same pixels as {first}")
            continue
        kept[row["image_id"]] = kept[found.digest] = place
        seen.append((row, found.patient))
    doubts = doubtful(patient for _, patient in seen)
    for row, patient in seen:
        yield row | {"warnings": "; ".join(filter(None, (row["warnings"], doubts.get(patient, ""))))}
    for place in table:
        yield Reject(place, "file_missing", f"named in {table_path.name}, and not there")


def _refuse_unmatched(table: Mapping[str, Any], table_path: Path, files: list[Path], root: Path) -> None:
    places = [relative(path, root) for path in files if not _same(path, table_path)]
    if table and places and not set(table) & set(places):
        raise MammoError(
            "labels_unmatched",
            f"0 of {len(table)} rows of {table_path} match a file below {root}, first {next(iter(table))!r}",
            f"Its paths are relative to that folder, as in {places[0]!r}; --columns path=NAME takes another column",
        )


def inspect_asked(asked: _Asked) -> _Seen:
    """What is seen of a file; runs in a worker process. Errors as `inspect_file` and `picture_digest`."""
    path, told, keep = asked
    side, view, bits = told.get("laterality"), told.get("view"), stored_bits_of(told)
    facts = inspect_file(path, "default", side, view, keep, bits)
    return _Seen(facts, picture_digest(path), told.get("patient_id") or _patient_as_it_is(path, facts))


def _patient_as_it_is(path: Path, facts: Facts) -> str:
    """The header's identifier of the patient; it is weighed, and never written."""
    if not facts.modality:
        return ""
    with refusals(path), open_dicom(path) as file:
        return file.header.text("PatientID")


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
    spacing = facts.spacing_mm or (None, None)
    unnamed = not (told.get("patient_id") or facts.patient_id or facts.exam_id)
    warnings = [*facts.warnings, *([NO_PATIENT if folder == place else FOLDER] if unnamed else [])]
    row: dict[str, Any] = {
        "image_id": identified("image", place) if is_picture or not facts.image_id else facts.image_id,
        "patient_id": facts.patient_id or facts.exam_id or identified("patient", folder),
        "exam_id": facts.exam_id,
        "laterality": facts.laterality,
        "view": facts.view,
        "modality": facts.modality,
        "age": in_range("age", facts.age),
        "manufacturer": facts.manufacturer,
        "spacing_row_mm": in_range("spacing_row_mm", spacing[0]),
        "spacing_column_mm": in_range("spacing_column_mm", spacing[1]),
        "path": place,
        "model": facts.model,
        "frames": str(facts.frames),
        "warnings": "; ".join((*warnings, *small_doubt(facts.rows, facts.columns))),
    }
    given = {name: identified(name.removesuffix("_id"), told[name]) for name in IDENTIFIERS if told.get(name)}
    return row | told | given

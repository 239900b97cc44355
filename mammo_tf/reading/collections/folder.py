"""Any folder tree of DICOM, PNG, TIFF, PGM and JPEG files, with an optional table of labels.

`labels.csv` in the root (`reading.label_table`) has a column `path`, relative to the root, and any other columns of a
manifest: `label`, `patient_id`, `laterality`, `view`, `age`, ... What it says counts before the header,
so files with stripped headers are taken if it gives laterality and view. Further columns travel along.

Who is whose: the patient is `patient_id` of the table, else that of the header, else the exam; for a picture without
a header the first folder below the root, and for one that lies in the root itself, the picture. What is doubtful about
that is a warning of the row.

Volumes: slices of one series in one folder (tomosynthesis as CT images or secondary captures, one a file) are one row
whose path is the folder; where other files lie there too, `series` says which series it is (`slices.series_in`). CT
images that do not name the breast are taken where their study holds mammograms. A folder that the table names is one
volume, whatever the headers of its files say of the modality.

Of several two-dimensional pictures of one exam, side and view one is a row (`reading.preferred`), unless all are kept.
A picture that is called like a DICOM file next to it, but for the ending, is a re-pack, unless the table names it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.reading import identity
from mammo_tf.reading.accepted import ACCEPTED, accepted_cells, with_accepted
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.folder_volumes import Asked, Seen, grouped, inspect_asked, seen_in
from mammo_tf.reading.for_processing import FOR_PROCESSING, INTENT
from mammo_tf.reading.grey_scale import small_doubt
from mammo_tf.reading.label_table import IDENTIFIERS, Values, read_labels
from mammo_tf.reading.preferred import Listed, not_preferred, repacks_of
from mammo_tf.reading.seen_before import SeenBefore
from mammo_tf.reading.tree import listed, relative
from mammo_tf.study import Reject
from mammo_tf.study.cells import in_range
from mammo_tf.study.identities import FOLDER, NO_PATIENT, doubtful
from mammo_tf.study.refusals import checked_codes

TABLE = "labels.csv"
SYNTHETIC = "S2D"  # the manifest's word for a picture computed from tomosynthesis
OURS = ("warnings", "evidence")  # columns that a table may have too: its own stand beside, as warnings_told
WORKERS = min(4, os.cpu_count() or 1)


def rows(
    root: Path,
    labels: str | Path | None = None,
    keep_identifiers: bool = False,
    columns: Mapping[str, str] | None = None,
    values: Values | None = None,
    keep_all: bool = False,
    for_processing: bool = False,
    seen_before: str | Path | None = None,
    accept: Sequence[str] = (),
) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows and rejects of a folder tree, those of its files in the order of their paths.

    Args:
        root: the folder.
        labels: the table; by default `labels.csv` in the root if it is there.
        keep_identifiers: the identifiers of images, patients, exams and pairs as they are, not as keyed hashes.
        columns, values: as for `read_labels`.
        keep_all: every picture of an exam, side and view, not the preferred one alone (`preferred.RULE`).
        for_processing: raw pictures too, as the module `for_processing` reads them.
        seen_before: a file that keeps what is seen, so that the next time only what is new is read (the module of that
            name); None keeps nothing, and so does `keep_identifiers`.
        accept: codes of judgements that refuse no file (`study.refusals.ACCEPTABLE`); the column `accepted` of the
            table says so of one. What was accepted of a file stands in its row's `accepted` and `warnings`.

    Files are looked at in worker processes: one that hangs or crashes a decoder is a `Reject` (`guard`).

    Yields:
        A row with the extra columns `model`, `frames`, `presentation_intent`, `evidence` (which elements said side,
        view, modifiers and kind) and `warnings` and those of the table, or a `Reject`. Of two files with the same SOP
        Instance UID or the same pixels the first is kept. A file that only the table knows is rejected too. `warnings`
        also says what is doubtful about who is whose (`study.identities`).

    Raises:
        MammoError: `folder_missing`, `folder_empty`; of the table `labels_unmatched` where it names none of the files,
            `labels_missing` where columns or values are given and there is none; those of `read_labels`.
    """
    table_path = root / TABLE if labels is None else Path(labels)
    files, rejects = listed(root)
    kept_at = None if seen_before is None or keep_identifiers else Path(seen_before)
    files = [path for path in files if not _same(path, kept_at)]
    table = read_labels(table_path, columns, values) if labels is not None or table_path.is_file() else {}
    if (columns or values) and labels is None and not table_path.is_file():
        raise MammoError("labels_missing", f"{root} has no {TABLE} to take columns or values of", "Name it by --labels")
    _refuse_unmatched(table, table_path, files, root)
    yield from rejects
    tables = {path for path in files if _same(path, table_path)}
    for path in sorted(tables):
        yield Reject(relative(path, root), "table", "the table of labels: read, but not an image")
    like = Asked(root, {}, keep_identifiers, for_processing=for_processing)
    codes = checked_codes(accept, "--accept")
    files = [path for path in files if path not in tables]
    with SeenBefore(kept_at, root) as before:
        found, refused = _looked_at(files, table, root, like, codes, before)
        before.write()
    yield from refused
    told = [(asked.path, one.facts, any(name != ACCEPTED for name in asked.told)) for asked, one in found]
    repacks = {} if keep_all else repacks_of(told)
    kept: dict[str, str] = {}
    seen: list[tuple[Listed, str]] = []
    for asked, one in sorted(found, key=lambda pair: pair[0].path):
        place = relative(asked.path, root)
        row = manifest_row(one.facts, place, dict(asked.told), keep_identifiers)
        if asked.path in repacks:
            reason = f"called like {relative(repacks[asked.path], root)}: a re-pack of it?"
            yield Reject(place, "duplicate", reason, "Name it in the table of labels, or --keep-all")
            continue
        first = kept.get(row["image_id"]) or kept.get(one.digest)
        if first is not None:
            yield Reject(place, "duplicate", f"the same identifier or the same pixels as {first}")
            continue
        kept[row["image_id"]] = kept[one.digest] = place
        row |= {"series": str(one.series)} if one.series else {}
        seen.append((Listed(asked.path, row, one.facts), one.patient))
    passed = {} if keep_all else not_preferred([one for one, _ in seen])
    yield from passed.values()
    doubts = doubtful(patient for _, patient in seen)
    for listing, patient in seen:
        if listing.row["path"] not in passed:
            warnings = (listing.row["warnings"], doubts.get(patient, ""))
            yield listing.row | {"warnings": "; ".join(filter(None, warnings))}
    for place in table:
        yield Reject(place, "file_missing", f"named in {table_path.name}, and not there")


def _looked_at(
    files: list[Path],
    table: dict[str, dict[str, str]],
    root: Path,
    like: Asked,
    codes: Sequence[str],
    before: SeenBefore,
) -> tuple[list[tuple[Asked, Seen]], list[Reject]]:
    """Files and volumes that can be used, and why not the others; takes out of the table what it says of them.

    What is asked about each is that of `like`, but for the path and what the table says.
    """
    found: list[tuple[Asked, Seen]] = []
    rejects: list[Reject] = []
    folders = {path.parent for path in files if relative(path.parent, root) in table}
    named = [
        like._replace(
            path=folder,
            told=with_accepted(table.pop(relative(folder, root)), codes),
            slices=tuple(seen_in(folder, files)),
        )
        for folder in sorted(folders)
    ]
    single = [
        like._replace(path=path, told=with_accepted(table.pop(relative(path, root), {}), codes))
        for path in files
        if path.parent not in folders or path.name.startswith(".")
    ]
    slices: list[tuple[Asked, Seen]] = []
    words: dict[Any, Any] = {}
    for asked, one in before.each(inspect_asked, single, WORKERS, "reading headers", "file"):
        if isinstance(one, MammoError):
            rejects.append(Reject.of(relative(asked.path, root), one, asked.path))
        else:
            (slices if one.slice_of or one.unless else found).append((asked, _light(asked, one, words)))
    studies = {one.facts.exam_id for _, one in (*found, *slices) if one.facts.exam_id and one.unless is None}
    known = []
    for asked, one in slices:
        if one.unless is None or one.facts.exam_id in studies:
            known.append((asked, one))
        else:
            rejects.append(Reject.of(relative(asked.path, root), one.unless, asked.path))
    volumes = grouped(((asked, one.slice_of) for asked, one in known), files)
    parts = {path for volume in volumes for path in volume.slices}
    found += [(asked, one) for asked, one in known if asked.path not in parts]
    for volume, one in before.each(inspect_asked, [*named, *volumes], WORKERS, "reading volumes", "volume"):
        if isinstance(one, MammoError):
            path = volume.path if volume.alone else volume.slices[0]
            rejects.append(Reject.of(relative(path, root), one, path))
        else:
            found.append((volume, one))
    return found, rejects


def _light(asked: Asked, seen: Seen, words: dict[Any, Any]) -> Seen:
    """The same; what files of an archive say alike is held once, as each comes from another process with its own copy.

    Args:
        asked: the file.
        seen: what came of it.
        words: what was said so far; grows.
    """
    facts = seen.facts
    alike = {
        one.name: words.setdefault(value, value)
        for one in fields(facts)
        if one.name != "image_id" and isinstance(value := getattr(facts, one.name), str | tuple)
    }
    patient = words.setdefault(seen.patient, seen.patient)
    return seen._replace(facts=replace(facts, **alike | {"path": asked.path}), patient=patient)


def _refuse_unmatched(table: Mapping[str, Any], table_path: Path, files: list[Path], root: Path) -> None:
    paths = [path for path in files if not _same(path, table_path)]
    places = [relative(path, root) for path in paths]
    if table and places and not set(table) & {*places, *(relative(path.parent, root) for path in paths)}:
        raise MammoError(
            "labels_unmatched",
            f"0 of {len(table)} rows of {table_path} match a file below {root}, first {next(iter(table))!r}",
            f"Its paths are relative to that folder, as in {places[0]!r}; --columns path=NAME takes another column",
        )


def _same(path: Path, table: Path | None) -> bool:
    return table is not None and path.exists() and table.exists() and path.samefile(table)


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
        "modality": SYNTHETIC if facts.synthetic_2d else facts.modality,
        "age": in_range("age", facts.age),
        "manufacturer": facts.manufacturer,
        "spacing_row_mm": in_range("spacing_row_mm", spacing[0]),
        "spacing_column_mm": in_range("spacing_column_mm", spacing[1]),
        "path": place,
        "model": facts.model,
        "frames": str(facts.frames),
        INTENT: FOR_PROCESSING if facts.for_processing else "",
        "evidence": facts.evidence,
        "warnings": "; ".join((*warnings, *small_doubt(facts.rows, facts.columns))),
    }
    given = {name: identified(name.removesuffix("_id"), told[name]) for name in IDENTIFIERS if told.get(name)}
    theirs = {f"{name}_told" if name in OURS else name: cell for name, cell in told.items() if name != ACCEPTED}
    return row | theirs | given | accepted_cells(facts.accepted)

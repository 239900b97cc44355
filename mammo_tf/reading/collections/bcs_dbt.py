"""BCS-DBT: 22,032 tomosynthesis volumes of 5,060 patients (Duke), and its three tables.

Buda et al. 2021, "A Data Set and Deep Learning Algorithm for the Detection of Masses and Architectural Distortions in
Digital Breast Tomosynthesis Images". The tables lie anywhere below the root or in the folder that is named by
`labels`, packed (`.gz`) or not, of one part or of several:

    BCS-DBT file-paths-train-v2.csv   PatientID, StudyUID, View, descriptive_path, classic_path
    BCS-DBT labels-train-v2.csv       PatientID, StudyUID, View, Normal, Actionable, Benign, Cancer
    BCS-DBT boxes-train-v2.csv        PatientID, StudyUID, View, Subject, Slice, X, Y, Width, Height, Class, AD,
                                      VolumeSlices

What has to be known:

- A volume is told by all of PatientID, StudyUID and View. Views of repeats have a running digit (`rmlo1`).
- Files lie where one of the two path columns says, with or without its first folders.
- Labels: Normal is normal, Benign and Cancer (both by biopsy) are benign and malignant. Actionable was recalled and not
  biopsied: benign. The collection's own word is the extra column `collection_label`.
- The side is that of the table: the authors call the header's unreliable.
- Slice counts stored frames from 0. X and Y refer to a volume that was turned by 180 degrees where the edge that is
  brighter in the stored frame is not the one of the chest wall by View; here boxes are turned back, so that they lie in
  the picture as stored.
- Boxes are of masses, or with AD of architectural distortions.
- The numbers are public and nobody's identity, so they are the identifiers as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.frames import frame_order, volume_facts
from mammo_tf.reading.known_tables import table_missing
from mammo_tf.reading.layout import layout
from mammo_tf.reading.listed_pictures import facts_cells
from mammo_tf.reading.stored import stored_frames
from mammo_tf.reading.tree import files_of, listed, relative
from mammo_tf.study import Finding, Reject, findings_to_json
from mammo_tf.study.cells import in_range
from mammo_tf.study.refusals import checked_codes
from mammo_tf.study.table import read_table

TERMS = "BCS-DBT (TCIA): CC BY-NC 4.0, non-commercial"
WORKERS = min(4, os.cpu_count() or 1)
LABELS = {"Normal": "normal", "Actionable": "benign", "Benign": "benign", "Cancer": "malignant"}
KEY = ("PatientID", "StudyUID", "View")
PATHS = ("classic_path", "descriptive_path")
BOX = ("Slice", "X", "Y", "Width", "Height", "VolumeSlices")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file-paths": (*KEY, *PATHS),
    "labels": (*KEY, *LABELS),
    "boxes": (*KEY, *BOX, "Class", "AD"),
}
_TABLE = re.compile(r"BCS[-_ ]?DBT[-_ ]+(file[-_ ]?paths|labels|boxes)(?:[-_ ]+(train|validation|test))?.*\.csv(\.gz)?",
                    re.IGNORECASE)  # fmt: skip
_VIEW = re.compile(r"([lr])(cc|mlo)\d*", re.IGNORECASE)
_FETCH = "Fetch the table again"
Volume = tuple[str, str, str]  # PatientID, StudyUID, View


class Box(NamedTuple):
    """A row of the table of boxes: stored frame from 0, frames of the volume, and a finding without its frame."""

    slice: int
    frames: int
    finding: Finding


class Asked(NamedTuple):
    """A volume to look at: its file and what the tables say of it."""

    path: Path
    volume: Volume
    boxes: tuple[Box, ...]


def rows(root: Path, labels: str | Path | None = None, accept: Sequence[str] = ()) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the volumes that are there, one each, with the extra column `collection_label`, and rejects.

    Args:
        root: the folder.
        labels: folder of the tables, if they do not lie below the root.
        accept: codes of judgements that refuse no picture (`study.refusals.ACCEPTABLE`).

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing` without a table of file paths; `table_broken`
            with file and row; those of `read_table`.
    """
    codes = checked_codes(accept, "--accept")
    files, rejects = listed(root)
    searched = files if labels is None else files_of(labels)
    tables = _tables(searched)
    if not tables["file-paths"]:
        remedy = "It is 'BCS-DBT file-paths-train-v2.csv' or its like, and needed to find the volumes; --labels DIR"
        raise table_missing(root if labels is None else labels, searched, "bcs-dbt", remedy)
    parts = _volumes(tables["file-paths"])
    words = _labels(tables["labels"])
    boxes = _boxes(tables["boxes"])
    yield from rejects
    found = _found(parts, files, root)
    for volume, (_, paths) in parts.items():
        if volume not in found:
            yield Reject(paths[0], "file_missing", "named in the table of file paths, and not there")
    taken, own = set(found.values()), {path for one in tables.values() for path, _ in one}
    for path in files:
        if path in own:
            yield Reject(relative(path, root), "table", "a table of the collection: read, but not an image")
        elif path not in taken:
            yield Reject(relative(path, root), "not_in_table", "the table of file paths does not name it")
    asked = [Asked(path, volume, tuple(boxes.get(volume, ()))) for volume, path in found.items()]
    inspect = partial(inspect_volume, accept=codes)
    for (path, volume, _), one in each_file(inspect, asked, WORKERS, "reading headers", "volume"):
        if isinstance(one, MammoError):
            yield Reject.of(relative(path, root), one, path)
        else:
            yield _row(relative(path, root), volume, words.get(volume, ""), parts[volume][0], *one)


def inspect_volume(asked: Asked, accept: tuple[str, ...] = ()) -> tuple[Facts, tuple[Finding, ...]]:
    """Facts of a volume, which the judgements `accept` do not refuse, and its findings in pixels as stored.

    Runs in a worker process.

    Raises:
        MammoError: `volume_differs` where the table of boxes counts other frames; those of `volume_facts`.
    """
    path, (_, _, view), boxes = asked
    side, word = _side_and_view(view)
    facts = volume_facts(path, laterality=side, view=word, modality="DBT", accepted=accept)
    findings = []
    for box in boxes:
        if box.frames != facts.frames or box.slice >= facts.frames:
            sentence = f"{facts.frames} frames, and the table of boxes has slice {box.slice} of {box.frames}"
            raise MammoError("volume_differs", sentence, "Fetch volume and tables of the same version")
        findings.append(_as_stored(path, box, side))
    return facts, tuple(findings)


def _as_stored(path: Path, box: Box, side: str) -> Finding:
    """The finding in the frame as stored, with its number in true order."""
    with refusals(path), open_dicom(path) as file:
        shape = layout(file)
        order, _ = frame_order(file.header, shape.frames)
        (stored,) = stored_frames(file, shape, [box.slice])
    found = replace(box.finding, frame=order.index(box.slice) + 1)
    left, right = (int(edge.sum(dtype=np.int64)) for edge in (stored[:, 0], stored[:, -1]))
    if ("R" if left < right else "L") == side or found.box is None:
        return found
    x0, y0, x1, y1 = found.box
    return replace(found, box=(shape.columns - x1, shape.rows - y1, shape.columns - x0, shape.rows - y0))


def _row(place: str, volume: Volume, word: str, part: str, facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    patient, study, view = volume
    side, view_word = _side_and_view(view)
    return {
        "image_id": "_".join(volume),
        "patient_id": patient,
        "exam_id": study,
        "laterality": side,
        "view": view_word,
        "modality": "DBT",
        "label": LABELS.get(word, ""),
        "age": in_range("age", facts.age),
        **facts_cells(facts, place),
        "split": part,
        "findings": findings_to_json(findings),
        "frames": str(facts.frames),
        "collection_label": word,
        "terms": TERMS,
        "warnings": "; ".join(facts.warnings),
    }


def _tables(files: Sequence[Path]) -> dict[str, list[tuple[Path, str]]]:
    """The tables by kind, each with the part of the collection that its name tells."""
    found: dict[str, list[tuple[Path, str]]] = {kind: [] for kind in COLUMNS}
    for path in files:
        match = _TABLE.fullmatch(path.name)
        if match:
            kind = match[1].lower()
            found["file-paths" if kind.startswith("file") else kind].append((path, (match[2] or "").lower()))
    return found


def _read(kind: str, path: Path) -> Iterator[tuple[str, Volume, dict[str, str]]]:
    """Where each row stands (for messages), its volume, its cells."""
    table, lines = read_table(path, f"the table {path} is not there")
    missing = [name for name in COLUMNS[kind] if name not in table]
    if missing and not (kind == "file-paths" and set(missing) < set(PATHS)):
        raise MammoError("table_broken", f"{path} has no column {missing[0]!r}", _FETCH)
    for line, row in zip(lines, table.to_dict("records"), strict=True):
        cells = {str(name): str(cell).strip() for name, cell in row.items()}
        where, volume = f"{path}, row {line}", (cells[KEY[0]], cells[KEY[1]], cells[KEY[2]].lower())
        if not volume[0] or not volume[1]:
            raise MammoError("table_broken", f"{where}: PatientID or StudyUID is empty", _FETCH)
        if not _VIEW.fullmatch(volume[2]):
            raise MammoError("table_broken", f"{where}: View {volume[2]!r} is unknown", "Known are lcc, rmlo1, ...")
        yield where, volume, cells


def _side_and_view(view: str) -> tuple[str, str]:
    match = _VIEW.fullmatch(view)
    assert match is not None  # `_read` has looked
    return match[1].upper(), match[2].upper()


def _volumes(tables: Sequence[tuple[Path, str]]) -> dict[Volume, tuple[str, list[str]]]:
    """Part of the collection and paths of each volume."""
    found: dict[Volume, tuple[str, list[str]]] = {}
    for path, part in tables:
        for where, volume, cells in _read("file-paths", path):
            places = [cells[name].replace("\\", "/") for name in PATHS if cells.get(name)]
            if volume in found or not places:
                what = "stands there twice" if volume in found else "has no path"
                raise MammoError("table_broken", f"{where}: {' '.join(volume)} {what}", _FETCH)
            found[volume] = part, places
    return found


def _labels(tables: Sequence[tuple[Path, str]]) -> dict[Volume, str]:
    found: dict[Volume, str] = {}
    for path, _ in tables:
        for where, volume, cells in _read("labels", path):
            words = [name for name in LABELS if cells[name] in ("1", "1.0")]
            if len(words) != 1 or found.get(volume, words[0]) != words[0]:
                raise MammoError("table_broken", f"{where}: {' '.join(volume)} has not exactly one label", _FETCH)
            found[volume] = words[0]
    return found


def _boxes(tables: Sequence[tuple[Path, str]]) -> dict[Volume, list[Box]]:
    found: dict[Volume, list[Box]] = {}
    for path, _ in tables:
        for where, volume, cells in _read("boxes", path):
            try:
                at, x, y, width, height, frames = (int(float(cells[name])) for name in BOX)
                label = {"benign": "benign", "cancer": "malignant"}[cells["Class"].lower()]
            except (ValueError, KeyError, OverflowError):
                raise MammoError("table_broken", f"{where}: the box cannot be read", _FETCH) from None
            if min(width, height) < 1 or at < 0:
                raise MammoError("table_broken", f"{where}: the box is empty, or its slice below 0", _FETCH)
            kind = "distortion" if cells["AD"] in ("1", "1.0") else "mass"
            finding = Finding(kind, label, box=(x, y, x + width, y + height))
            found.setdefault(volume, []).append(Box(at, frames, finding))
    return found


def _found(parts: Mapping[Volume, tuple[str, list[str]]], files: Sequence[Path], root: Path) -> dict[Volume, Path]:
    """The file of each volume that is there, by the longest end of a path that exactly one file has."""
    ends: dict[tuple[str, ...], list[Path]] = {}
    for path in files:
        names = PurePosixPath(relative(path, root)).parts
        for start in range(len(names)):
            ends.setdefault(names[start:], []).append(path)
    found: dict[Volume, Path] = {}
    taken: set[Path] = set()
    for volume, (_, paths) in parts.items():
        for place in paths:
            names = PurePosixPath(place).parts
            # A name alone (1-1.dcm) tells nothing; with two folders it holds the series.
            matches = [ends.get(names[start:], []) for start in range(max(1, len(names) - 2))]
            one = next((match for match in matches if match), [])
            if len(one) == 1:
                if one[0] in taken:
                    sentence = f"two volumes name the file {relative(one[0], root)}, one is {' '.join(volume)}"
                    raise MammoError("table_broken", sentence, _FETCH)
                found[volume] = one[0]
                taken.add(one[0])
                break
    return found

"""INbreast: 410 digital pictures of 115 women, outlines of their lesions, and BI-RADS; the release as it was given.

Moreira et al. 2012, "INbreast: Toward a Full-field Digital Mammographic Database". `INbreast.csv` lies anywhere below
the root, `AllDICOMs/20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm` and `AllXML/20586908.xml` too. What has to be known:

- The table has semicolons; saved from INbreast.xls it has commas, more columns, and rows of totals without a file name.
  Its File Name is the first part of a picture's name. Age and patient are the word `removed` in every row: the woman is
  the second part of a picture's name, and her exam that with the month of the table. A re-pack that dropped it leaves
  each picture a patient of its own, with a warning.
- A file is called ML where the table says MLO, which counts. One picture has the view FB.
- Labels are BI-RADS, not pathology: 1 is normal, 2 is benign, 3 is unknown, 4a, 4b, 4c, 5 and 6 are malignant, as is
  usual for this collection. The word is the column `collection_label`. ACR 1 to 4 is density A to D, one is blank.
- An outline is a list of points in pixels of the DICOM picture. Its label is that of the picture, and benign where that
  is normal or unknown. One or two points, mostly single calcifications, become the box around their pixels. Kinds are
  made one: Assymetry and Asymmetry, Espiculated and Spiculated Region, Calcification and what has no name (`speck`).
- Outlines of pictures that were converted to another size have no place: nothing says how they were scaled.
"""

from __future__ import annotations

import math
import os
import plistlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers.expat import ExpatError

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import table_missing
from mammo_tf.reading.listed_pictures import dicom_first, facts_cells
from mammo_tf.reading.read import inspect_file
from mammo_tf.reading.tree import listed, relative
from mammo_tf.study import Finding, Reject, findings_to_json
from mammo_tf.study.identities import NO_PATIENT
from mammo_tf.study.refusals import checked_codes
from mammo_tf.study.table import read_table

WORKERS = min(4, os.cpu_count() or 1)
TERMS = "INbreast: by agreement with its authors, research use only"
SIZES = ((4084, 3328), (3328, 2560))  # rows, columns of the release
_LABELS = {"1": "normal", "2": "benign", "3": "", **dict.fromkeys(("4", "4a", "4b", "4c", "5", "6"), "malignant")}
_DENSITY = {"1": "A", "2": "B", "3": "C", "4": "D", "": ""}
_COLUMNS = ("Laterality", "View", "Acquisition date", "File Name", "ACR", "Bi-Rads")
_KINDS = {
    "mass": "mass", "cluster": "calcification", "calcifications": "calcification", "calcification": "speck",
    "unnamed": "speck", "point 1": "speck", "point 3": "speck", "asymmetry": "asymmetry", "assymetry": "asymmetry",
    "distortion": "distortion", "spiculated region": "spiculated region", "espiculated region": "spiculated region",
}  # fmt: skip
_TABLE = re.compile(r"INbreast.*\.csv", re.IGNORECASE)
_PICTURE = re.compile(
    r"(\d{6,9})(?:_([0-9a-f]+)_MG_([LR])_[A-Z]+_ANON)?\.(dcm|dicom|png|tiff?|jpe?g|pgm)", re.IGNORECASE
)
_OUTLINES = re.compile(r"(\d{6,9})\.xml", re.IGNORECASE)
_FETCH = "Fetch the table again"


class Told(NamedTuple):
    """A row of the table."""

    side: str
    view: str
    month: str
    density: str
    word: str


class Asked(NamedTuple):
    """A picture to look at, what the table says of it, and its outlines, if there are any."""

    path: Path
    told: Told
    outlines: Path | None


class Seen(NamedTuple):
    """A picture as looked at: its facts, its findings, and what is wrong with its outlines."""

    facts: Facts
    findings: tuple[Finding, ...]
    broken: MammoError | None


def rows(root: Path, accept: Sequence[str] = ()) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the pictures that are there, with the extra column `collection_label`, and rejects.

    Args:
        root: the folder.
        accept: codes of judgements that refuse no picture (`study.refusals.ACCEPTABLE`).

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing`; `table_broken` with file and row; those of
            `read_table`.
    """
    codes = checked_codes(accept, "--accept")
    files, rejects = listed(root)
    tables = [path for path in files if _TABLE.fullmatch(path.name)]
    if not tables:
        remedy = "It is INbreast.csv; INbreast.xls is read when it is saved as that"
        raise table_missing(root, files, "inbreast", remedy)
    table = _read(tables[0])
    yield from rejects
    outlines = {match[1]: path for path in files if (match := _OUTLINES.fullmatch(path.name))}
    pictures: list[tuple[str, Path]] = []
    for path in dicom_first(files):
        place, picture = relative(path, root), _PICTURE.fullmatch(path.name)
        if path == tables[0]:
            yield Reject(place, "table", "the table of the collection: read, but not an image")
        elif path in outlines.values():
            yield Reject(place, "table", "outlines of a picture: not an image")
        elif picture is None:
            yield Reject(place, "not_in_table", "not named as a picture of INbreast")
        elif picture[1] not in table:
            yield Reject(place, "not_in_table", f"{tables[0].name} does not name this picture")
        else:
            pictures.append((picture[1], path))
    yield from _rows(pictures, table, outlines, root, codes)


def _rows(
    pictures: Sequence[tuple[str, Path]],
    table: Mapping[str, Told],
    outlines: Mapping[str, Path],
    root: Path,
    codes: tuple[str, ...],
) -> Iterator[dict[str, Any] | Reject]:
    asked = [Asked(path, table[number], outlines.get(number)) for number, path in pictures]
    used: dict[str, str] = {}
    inspect = partial(inspect_picture, accept=codes)
    for one, seen in each_file(inspect, asked, WORKERS, "reading headers", "picture"):
        place, number = relative(one.path, root), _name(one.path)[0]
        if isinstance(seen, MammoError):
            yield Reject.of(place, seen, one.path)
            continue
        if number in used:
            yield Reject(place, "duplicate", f"the same picture as {used[number]}")
            continue
        used[number] = place
        yield _row(place, one, seen)
        if one.outlines is None and one.told.word != "1":
            yield Reject(f"{number}.xml", "file_missing", f"outlines of {place}, which is not BI-RADS 1")
    for number in sorted(table.keys() - {number for number, _ in pictures}):
        yield Reject(number, "file_missing", "named in the table, and not there")


def inspect_picture(asked: Asked, accept: tuple[str, ...] = ()) -> Seen:
    """Facts and findings of a picture, which the judgements `accept` do not refuse; runs in a worker process.

    Raises:
        MammoError: as `inspect_file`.
    """
    facts = inspect_file(asked.path, laterality=asked.told.side, view=asked.told.view, accepted=accept)
    if asked.outlines is None:
        return Seen(facts, (), None)
    try:
        findings = read_outlines(asked.outlines, _LABELS[asked.told.word])
    except MammoError as error:
        return Seen(facts, (), error)
    return Seen(facts, tuple(findings), None)


def read_outlines(path: Path, label: str) -> list[Finding]:
    """The findings of a file of outlines (a property list of OsiriX), in pixels of the DICOM picture.

    Args:
        path: of the file.
        label: of the picture.

    Raises:
        MammoError: `contours_broken`.
    """
    try:
        with path.open("rb") as stream:
            told = plistlib.load(stream, fmt=plistlib.FMT_XML)
        rois = [roi for image in told["Images"] for roi in image["ROIs"]]
        outlines = [(str(roi["Name"]), [_point(text) for text in roi["Point_px"]]) for roi in rois]
    except (
        OSError,
        ValueError,
        LookupError,  # a member that is not there, an encoding that nobody knows
        TypeError,
        AttributeError,
        ExpatError,
        plistlib.InvalidFileException,
    ) as error:
        raise MammoError("contours_broken", f"{path.name} cannot be read: {error}", "Fetch it again") from None
    worst = label if label in ("benign", "malignant") else "benign"
    findings = []
    for name, points in outlines:
        finding = Finding(_KINDS.get(name.strip().lower(), name.strip().lower()), worst)
        if len(points) > 2:
            finding = replace(finding, contour=tuple(points))
        elif points:
            columns, lines = ([math.floor(point[axis]) for point in points] for axis in (0, 1))
            finding = replace(finding, box=(min(columns), min(lines), max(columns) + 1, max(lines) + 1))
        findings.append(finding)
    return findings


def _point(text: str) -> tuple[float, float]:
    """`(1234.5, 678.25)` as x, y; raises ValueError for what is not two finite numbers."""
    x, y = (float(number) for number in text.strip().strip("()").split(",")[:2])
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"the point {text[:40]!r}")
    return x, y


def _name(path: Path) -> tuple[str, str, str]:
    """Number, woman and side in a picture's name; "" where it does not tell."""
    match = _PICTURE.fullmatch(path.name)
    assert match is not None  # `rows` has looked
    return match[1], (match[2] or "").lower(), (match[3] or "").upper()


def _row(place: str, asked: Asked, seen: Seen) -> dict[str, Any]:
    facts, told = seen.facts, asked.told
    number, woman, side = _name(asked.path)
    findings: Sequence[Finding] = seen.findings
    warnings = [*facts.warnings, *([] if woman else [NO_PATIENT])]
    if side and side != told.side:
        warnings.append(f"the name of the file says {side}, the table {told.side}")
    if seen.broken is not None:
        warnings.append(seen.broken.sentence)
    if not facts.modality and (facts.rows, facts.columns) not in SIZES and findings:
        findings = [Finding(one.kind, one.label) for one in findings]
        warnings.append("the picture has another size than the release's, so its findings have no place")
    patient = woman or f"inbreast{number}"
    return {
        "image_id": number,
        "patient_id": patient,
        "exam_id": "_".join(filter(None, (patient, told.month))),
        "laterality": told.side,
        "view": told.view,
        "modality": "FFDM",
        "label": _LABELS[told.word],
        "density": told.density,
        **facts_cells(facts, place),
        "findings": findings_to_json(findings),
        "collection_label": f"BI-RADS {told.word}",
        "terms": TERMS,
        "warnings": "; ".join(warnings),
    }


def _read(path: Path) -> dict[str, Told]:
    """The rows of the table by the number of the picture.

    Raises:
        MammoError: `table_broken` with the row; those of `read_table`.
    """
    with path.open("rb") as stream:
        separator = ";" if b";" in stream.readline() else ","
    table, lines = read_table(path, f"the table {path} is not there", separator=separator)
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise MammoError("table_broken", f"{path} has no column {missing[0]!r}: another release?", _FETCH)
    found: dict[str, Told] = {}
    for line, row in zip(lines, table.to_dict("records"), strict=True):
        cells = {str(name): str(cell).strip().removesuffix(".0") for name, cell in row.items()}
        number, side, word = cells["File Name"], cells["Laterality"].upper(), cells["Bi-Rads"].lower()
        if not number and not side:
            continue  # the totals of INbreast.xls
        if word not in _LABELS or cells["ACR"] not in _DENSITY or side not in ("L", "R") or not number.isdecimal():
            said = f"file {number!r}, side {side!r}, ACR {cells['ACR']!r}, Bi-Rads {word!r}"
            raise MammoError("table_broken", f"{path}, row {line}: cannot be read: {said}", _FETCH)
        if number in found:
            raise MammoError("table_broken", f"{path}, row {line}: {number} stands there twice", _FETCH)
        found[number] = Told(side, cells["View"].upper(), cells["Acquisition date"], _DENSITY[cells["ACR"]], word)
    if not found:
        raise MammoError("table_broken", f"{path} has no rows", _FETCH)
    return found

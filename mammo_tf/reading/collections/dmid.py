"""DMID: 510 digital pictures (India) with severity, class and masks, and a sheet of them.

Oza et al. 2024, "Digital mammography dataset for breast cancer diagnosis research (DMID) with breast mass segmentation
analysis" (figshare 24522883). `Metadata.xlsx` lies anywhere below the root or in the folder that is named by
`labels`. Its form was not seen here: it is read as programs that use it read it, and refused where it is another one.

- Under some thirty lines of explanation the rows begin, without a header: picture (`IMG001`), view and side in one word
  (`MLORT`, `CCLT`), tissue (F, G, D), class (as in mini-MIAS), severity (N, B, M), x, y and radius. A picture with
  several findings has several rows.
- Labels: N is normal, B is benign, M is malignant, and the worst of a picture's rows counts; where the severity is
  empty the class NORM is normal, anything else unknown. Women are not told apart, so each picture is a patient.
- From which corner y is counted was not to be found out, so the circles are no places of findings. Places are the masks
  in the folder `ROI_Masks`, called as the picture, with two values and its size: one finding a picture.
- Pictures are `DICOM_Images/IMG001.dcm` or `TIFF_Images/IMG001.tif`; the DICOM file counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading.collection_tables import FETCH, meant
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import table_missing
from mammo_tf.reading.listed_pictures import ABSENT, PICTURES, WORKERS, facts_cells, looked_at, placed
from mammo_tf.reading.mask_picture import Part, inspect_part
from mammo_tf.reading.tree import files_of, listed, relative
from mammo_tf.study import LABELS, Finding, Reject, findings_to_json
from mammo_tf.study.identities import NO_PATIENT
from mammo_tf.study.workbook import sheet_rows

TERMS = "DMID (figshare 24522883): terms not verified here, research use only until they are read at the source"
_TABLE = re.compile(r"(DMID.*)?Meta[-_ ]?data.*\.xlsx", re.IGNORECASE)
_IMAGE = re.compile(r"IMG\s*(\d{1,4})", re.IGNORECASE)
_VIEWS = {f"{view}{side}t": (view.upper(), side.upper()) for view in ("cc", "mlo") for side in ("l", "r")}
_SEVERITY = {"n": "normal", "b": "benign", "m": "malignant", "": ""}
_TISSUE = {"f": "F", "g": "G", "d": "D", "": ""}
_KINDS = {
    "calc": "calcification", "circ": "circumscribed mass", "spic": "spiculated mass", "misc": "mass",
    "arch": "distortion", "asym": "asymmetry",
}  # fmt: skip
_NORMAL = "norm"
_MASKS = re.compile(r"mask|annotation", re.IGNORECASE)


class Told(NamedTuple):
    """A picture by all its rows; `kinds` of its findings."""

    side: str
    view: str
    tissue: str
    label: str
    kinds: tuple[str, ...]
    words: str


def rows(root: Path, labels: str | Path | None = None) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the pictures that are there, and rejects; `tissue` and `collection_label` are extra columns.

    Args:
        root: the folder.
        labels: folder of the sheet, if it does not lie below the root.

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing`; `table_broken` with file and row; those of
            `sheet_rows`.
    """
    files, rejects = listed(root)
    searched = files if labels is None else files_of(labels)
    tables = [path for path in searched if _TABLE.fullmatch(path.name) and _lines(path)]
    if not tables:
        remedy = "It is Metadata.xlsx, with rows that begin with IMG001; --labels DIR"
        raise table_missing(root if labels is None else labels, searched, "dmid", remedy)
    table = _read(tables[0])
    yield from rejects
    drawn = {path: name for path in files if (name := _mask_of(path, root)) in table and name}
    masks: dict[str, tuple[str, Part]] = {}
    for path, part in each_file(inspect_part, list(drawn), WORKERS, "reading masks", "file"):
        place = relative(path, root)
        if isinstance(part, MammoError):
            yield Reject.of(place, part, path)
        else:
            yield Reject(place, "roi_mask", "the mask of a finding, or a part of a picture: not a picture of its own")
            if part.is_mask:
                masks.setdefault(drawn[path], (place, part))
    found = placed([path for path in files if path not in drawn], root, tables, _image, table)
    yield from found.rejects
    for name in table:
        if name not in found.pictures:
            yield Reject(f"{name}.dcm", "file_missing", ABSENT)
    for one in looked_at(found, table, root):
        yield one if isinstance(one, Reject) else _row(*one, masks.get(one[0]))


def _image(path: Path) -> str | None:
    match = _IMAGE.fullmatch(path.stem.strip())
    return f"IMG{int(match[1]):03d}" if match else None


def _mask_of(path: Path, root: Path) -> str | None:
    """The picture that a file in a folder of masks is of; None for any other file."""
    folders = PurePosixPath(relative(path, root)).parts[:-1]
    is_mask = any(_MASKS.search(folder) for folder in folders) and path.suffix.lower() in PICTURES
    return _image(path) if is_mask else None


def _row(name: str, place: str, told: Told, facts: Facts, mask: tuple[str, Part] | None) -> dict[str, Any]:
    label = told.label if told.label in ("benign", "malignant") else "benign"
    findings = [Finding(" and ".join(told.kinds), label)] if told.kinds else []
    warnings = [*facts.warnings, NO_PATIENT]
    if findings and mask is not None:
        where, part = mask
        if (part.rows, part.columns) != (facts.rows, facts.columns):
            warnings.append("the mask has another size than the picture")
        elif part.outline is None:
            findings = [replace(findings[0], mask=where)]
        else:
            findings = [replace(findings[0], contour=part.outline)]
    return {
        "image_id": name,
        "patient_id": name,
        "exam_id": name,
        "laterality": told.side,
        "view": told.view,
        "modality": "FFDM",
        "label": told.label,
        **facts_cells(facts, place),
        "findings": findings_to_json(findings),
        "tissue": told.tissue,
        "collection_label": told.words,
        "terms": TERMS,
        "warnings": "; ".join(warnings),
    }


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that begin with a picture's name, with their numbers in the file."""
    return [(number, cells) for number, cells in sheet_rows(path) if _IMAGE.fullmatch(cells[0].strip())]


def _read(path: Path) -> dict[str, Told]:
    """The pictures by name (`IMG001`).

    Raises:
        MammoError: `table_broken`; those of `sheet_rows`.
    """
    found: dict[str, Told] = {}
    for number, cells in _lines(path):
        where = f"{path}, row {number}"
        image, view, tissue, kind, severity = (cell.strip() for cell in (*cells, *[""] * 5)[:5])
        match = _IMAGE.fullmatch(image)
        assert match is not None  # `_lines` has looked
        word, side = meant("".join(view.split()), _VIEWS, where, "view")
        label = meant(severity, _SEVERITY, where, "severity")
        kinds = _kinds(kind)
        if not severity and kind.lower() == _NORMAL:
            label = "normal"
        told = Told(side, word, meant(tissue, _TISSUE, where, "tissue"), label, kinds, f"{kind} {severity}".strip())
        name = f"IMG{int(match[1]):03d}"
        if name in found and found[name][:2] != told[:2]:
            raise MammoError("table_broken", f"{where}: {name} has another side or view before", FETCH)
        found[name] = _together(found[name], told) if name in found else told
    return found


def _kinds(words: str) -> tuple[str, ...]:
    """The findings that a class names; one that is not known as it is written, NORM and nothing none."""
    parts = [part.lower() for part in re.split(r"[+,/&\s]+", words) if part]
    return tuple(_KINDS.get(part, part) for part in parts if part != _NORMAL)


def _together(one: Told, other: Told) -> Told:
    """Two rows of a picture; a row without a severity leaves it unknown, unless another is malignant."""
    worst: Sequence[str] = sorted((one.label, other.label), key=lambda label: LABELS.index(label) if label else 1)
    label = "" if "" in worst and "malignant" not in worst else worst[-1]
    return one._replace(
        label=label, kinds=tuple(dict.fromkeys((*one.kinds, *other.kinds))), words=f"{one.words}; {other.words}"
    )

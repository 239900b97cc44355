"""CBIS-DDSM: 3,103 pictures of films of 1,566 women, with masks of their masses and calcifications, and four tables.

Lee et al. 2017, "A curated mammography data set for use in computer-aided detection and diagnosis research". The tables
`mass_case_description_train_set.csv`, `..._test_set.csv`, `calc_case_...` lie anywhere below the root or in the folder
that is named by `labels`, packed (`.gz`) or not; one is enough, with the films that it names. What has to be known:

- A row is one abnormality of one film. Films are told by a case (`Mass-Training_P_00001_LEFT_CC`), their crops and
  masks by the case and the abnormality's number (`..._CC_1`); either by the series too. So films are found as the NBIA
  retriever lays them down (by UID or by description), as idc-index does (`MG_<series>`), and in re-packs as JPEG or PNG
  (`jpeg/<series>/1-263.jpg`, or named after the case). A DICOM file whose path tells nothing is told by its header.
- Crop and mask share a series in most rows, and the tables exchange their names in others: a mask is what has two
  values, and that alone decides. The mask must have the size of the film. JPEG blurs the two values: of such a mask the
  outline of its largest part is the finding.
- 71 films stand in the tables of masses and of calcifications, as two cases. Where their pixels are the same they are
  one row with the findings of both.
- Labels: MALIGNANT is malignant, BENIGN and BENIGN_WITHOUT_CALLBACK are benign; a film has the worst of its
  abnormalities. There is no normal film. The collection's words are the extra column `collection_label`.
- P_00001 is one woman in all four tables. 31 women are in the training part of one kind and the test part of the other:
  they are `train` whole, so that no test picture is of a woman trained on; `collection_split` keeps the official part.
- Density 1 to 4 is A to D; 0 (twice) is unknown. `birads` has the assessments in the order of the findings.
- Cells may end in a line break. The numbers are public and nobody's identity, so they are the identifiers as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import table_missing
from mammo_tf.reading.mask_picture import Part, inspect_part
from mammo_tf.reading.read import inspect_file
from mammo_tf.reading.tree import files_of, listed, picture_digest, relative
from mammo_tf.study import LABELS, Finding, Reject, findings_to_json
from mammo_tf.study.cells import in_range
from mammo_tf.study.table import read_table

WORKERS = min(4, os.cpu_count() or 1)
TERMS = "CBIS-DDSM (TCIA): CC BY 3.0"
_PATHOLOGY = {"MALIGNANT": "malignant", "BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign"}
_DENSITY = {"1": "A", "2": "B", "3": "C", "4": "D", "0": "", "": ""}
_SIDES = {"LEFT": "L", "RIGHT": "R"}
_PATHS = ("image file path", "cropped image file path", "ROI mask file path")
_COLUMNS = ("patient_id", "left or right breast", "image view", "abnormality id", "abnormality type", "assessment",
            "pathology", *_PATHS)  # fmt: skip
_TABLE = re.compile(r".*(mass|calc)[-_ ]case[-_ ]description[-_ ](train|test).*\.csv(\.gz)?", re.IGNORECASE)
_SERIES = re.compile(r"(?:[A-Z]{2}_)?(\d+(?:\.\d+){5,})")  # idc-index writes the modality before it
_FETCH = "Fetch the table again"
_BOTH_PARTS = "the woman is in the official training and test parts: train"


class Abnormality(NamedTuple):
    """A row of a table; `place` is the mask's path as the table has it."""

    number: str
    finding: Finding
    word: str
    birads: str
    place: str


class Film(NamedTuple):
    """A full picture by the tables; `place` is its path as the table has it."""

    case: str
    patient: str
    side: str
    view: str
    density: str
    part: str
    place: str
    abnormalities: dict[str, Abnormality]


class Asked(NamedTuple):
    """A full picture to look at."""

    path: Path
    film: Film


Slot = tuple[str, str]  # the case of a film, and the number of an abnormality, "" for the full picture


def rows(root: Path, labels: str | Path | None = None) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the films that are there, and rejects.

    Args:
        root: the folder.
        labels: folder of the tables, if they do not lie below the root.

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing`; `table_broken` with file and row; those of
            `read_table`.
    """
    files, rejects = listed(root)
    searched = files if labels is None else files_of(labels)
    tables = {path: match[2].lower() for path in searched if (match := _TABLE.fullmatch(path.name))}
    if not tables:
        remedy = "They are mass_case_description_train_set.csv and its like; --labels DIR"
        raise table_missing(root if labels is None else labels, searched, "cbis-ddsm", remedy)
    films, slots = _films(tables)
    yield from rejects
    for path in files:
        if path in tables:
            yield Reject(relative(path, root), "table", "a table of the collection: read, but not an image")
    found = _found([path for path in files if path not in tables], slots, root)
    parts: dict[Slot, list[tuple[str, Part]]] = {}
    for path, part in each_file(inspect_part, [one for one, slot in found.items() if slot and slot[1]], WORKERS,
                                "reading masks", "file"):  # fmt: skip
        place, slot = relative(path, root), found[path]
        if isinstance(part, MammoError):
            yield Reject.of(place, part, path)
        elif slot is not None:
            of = f"{slot[0]}, abnormality {slot[1]}"
            kind, what = ("roi_mask", "the mask") if part.is_mask else ("cut_out", "the crop")
            yield Reject(place, kind, f"{what} of {of}: not a picture of its own")
            parts.setdefault(slot, []).append((place, part))
    for path in [one for one, slot in found.items() if slot is None]:
        yield Reject(relative(path, root), "not_in_table", "no table names its case or its series")
    asked = [Asked(path, films[slot[0]]) for path, slot in found.items() if slot and not slot[1]]
    yield from _rows(asked, films, parts, root)
    there = {one.film.case for one in asked}
    for film in films.values():
        if film.case not in there:
            yield Reject(film.place, "file_missing", "named in a table, and not there")


def _rows(
    asked: Sequence[Asked], films: Mapping[str, Film], parts: Mapping[Slot, list[tuple[str, Part]]], root: Path
) -> Iterator[dict[str, Any] | Reject]:
    """Rows of the full pictures, those of the same pixels together, and rejects."""
    official: dict[str, set[str]] = {}
    for film in films.values():
        official.setdefault(film.patient, set()).add(film.part)
    kept: dict[str, tuple[str, Facts, list[Film]]] = {}
    first: dict[str, str] = {}
    for (path, film), one in each_file(inspect_film, asked, WORKERS, "reading headers", "film"):
        place = relative(path, root)
        if isinstance(one, MammoError):
            yield Reject.of(place, one, path)
            continue
        facts, digest = one
        if film.case in first:
            yield Reject(place, "duplicate", f"{film.case} is there twice, as {first[film.case]} too")
        elif digest in kept:
            before, _, together = kept[digest]
            yield Reject(place, "duplicate", f"the same pixels as {before}")
            if (film.patient, film.side, film.view) == (together[0].patient, together[0].side, together[0].view):
                together.append(film)
        else:
            kept[digest] = place, facts, [film]
        first.setdefault(film.case, place)
    for place, facts, together in kept.values():
        row, missing = _row(place, facts, together, parts, both_parts=len(official[together[0].patient]) > 1)
        yield row
        yield from missing


def _row(
    place: str,
    facts: Facts,
    films: Sequence[Film],
    parts: Mapping[Slot, list[tuple[str, Part]]],
    *,
    both_parts: bool,
) -> tuple[dict[str, Any], list[Reject]]:
    """The row of a film that is one case or two, and the masks that are not there."""
    film, findings, missing = films[0], [], []
    warnings = [*facts.warnings, *([_BOTH_PARTS] if both_parts else [])]
    abnormalities = [(one.case, abnormality) for one in films for abnormality in one.abnormalities.values()]
    for case, abnormality in abnormalities:
        masks = [(where, part) for where, part in parts.get((case, abnormality.number), []) if part.is_mask]
        fitting = [(w, part) for w, part in masks if (part.rows, part.columns) == (facts.rows, facts.columns)]
        if not masks:
            missing.append(
                Reject(abnormality.place, "file_missing", f"the mask of abnormality {abnormality.number} is not there")
            )
        elif not fitting:
            warnings.append(f"the mask of abnormality {abnormality.number} has another size than the film")
        findings.append(_placed(abnormality.finding, fitting))
    spacing = facts.spacing_mm or (None, None)
    return {
        "image_id": film.case,
        "patient_id": film.patient,
        "exam_id": film.patient,
        "laterality": film.side,
        "view": film.view,
        "modality": "FILM",
        "label": max((finding.label for finding in findings), key=LABELS.index),
        "density": film.density,
        "spacing_row_mm": in_range("spacing_row_mm", spacing[0]),
        "spacing_column_mm": in_range("spacing_column_mm", spacing[1]),
        "path": place,
        "split": "train" if both_parts else film.part,
        "findings": findings_to_json(findings),
        "collection_label": " ".join(one.word for _, one in abnormalities),
        "collection_split": film.part,
        "birads": " ".join(one.birads for _, one in abnormalities),
        "terms": TERMS,
        "warnings": "; ".join(warnings),
    }, missing


def _placed(finding: Finding, masks: Sequence[tuple[str, Part]]) -> Finding:
    """The finding with its mask; of several the first that has two values exactly, else the first outline."""
    exact = next((place for place, part in masks if part.outline is None), None)
    if exact is not None:
        return replace(finding, mask=exact)
    return replace(finding, contour=masks[0][1].outline) if masks else finding


def inspect_film(asked: Asked) -> tuple[Facts, str]:
    """Facts of a full picture, and the digest of its pixels; runs in a worker process. Errors as `inspect_file`."""
    facts = inspect_file(asked.path, laterality=asked.film.side, view=asked.film.view)
    return facts, picture_digest(asked.path)


def header_names(path: Path) -> tuple[str, str]:
    """Series and patient of a DICOM header, as the tables name them; runs in a worker process."""
    with refusals(path), open_dicom(path) as file:
        return file.header.text("SeriesInstanceUID"), file.header.text("PatientID")


def _found(files: Sequence[Path], slots: Mapping[str, Slot], root: Path) -> dict[Path, Slot | None]:
    """What each file is by its path, from the file's name up, else by its header; None where nothing tells."""
    found: dict[Path, Slot | None] = {}
    for path in files:
        names = (path.stem, *reversed(Path(relative(path, root)).parent.parts))
        written = [match[1] if (match := _SERIES.fullmatch(name)) else name.lower() for name in names]
        found[path] = next((slots[name] for name in written if name in slots), None)
    silent = [path for path, slot in found.items() if slot is None and path.suffix.lower() in (".dcm", "")]
    for path, told in each_file(header_names, silent, WORKERS, "reading headers", "file"):
        if not isinstance(told, MammoError):
            series, patient = told
            found[path] = slots.get(series) or slots.get(patient.lower())
    return found


def _films(tables: Mapping[Path, str]) -> tuple[dict[str, Film], dict[str, Slot]]:
    """The films by case, and what every case and series that the tables name is."""
    films: dict[str, Film] = {}
    slots: dict[str, Slot] = {}
    for path, part in sorted(tables.items()):
        table, lines = read_table(path, f"the table {path} is not there")
        density = "breast_density" if "breast_density" in table else "breast density"
        missing = [name for name in (*_COLUMNS, density) if name not in table]
        if missing:
            raise MammoError("table_broken", f"{path} has no column {missing[0]!r}: another release?", _FETCH)
        for line, row in zip(lines, table.to_dict("records"), strict=True):
            cells = {str(name): str(cell).strip() for name, cell in row.items()}
            _add(films, slots, cells | {"density": cells[density]}, part, f"{path}, row {line}")
    return films, slots


def _add(films: dict[str, Film], slots: dict[str, Slot], cells: Mapping[str, str], part: str, where: str) -> None:
    """Adds a row of a table to the films and to what names are."""
    places = [cells[name].replace("\\", "/").split("/") for name in _PATHS]
    if any(len(names) != 4 for names in places):
        raise MammoError("table_broken", f"{where}: a path is not case/study/series/file", _FETCH)
    case, number, word = places[0][0], cells["abnormality id"], cells["pathology"]
    try:
        side, density, label = _SIDES[cells["left or right breast"]], _DENSITY[cells["density"]], _PATHOLOGY[word]
    except KeyError as error:
        raise MammoError("table_broken", f"{where}: the word {error} is unknown", _FETCH) from None
    film = Film(case, cells["patient_id"], side, cells["image view"], density, part, "/".join(places[0]), {})
    film = films.setdefault(case, film)
    finding = Finding(cells["abnormality type"], label)
    row = Abnormality(number, finding, word, cells["assessment"], "/".join(places[2]))
    if film.abnormalities.setdefault(number, row) != row:
        raise MammoError("table_broken", f"{where}: {case} has abnormality {number} twice", _FETCH)
    slots |= {case.lower(): (case, ""), places[0][2]: (case, "")}
    slots |= dict.fromkeys((places[1][0].lower(), places[1][2], places[2][2]), (case, number))

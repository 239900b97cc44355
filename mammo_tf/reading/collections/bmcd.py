"""BMCD: digital pictures of 100 women (Cyprus) at two screening rounds, every calcification drawn, and a table.

Loizidou et al. 2021, "Breast Micro-Calcifications Dataset with Precisely Annotated Sequential Mammograms" (Zenodo
5036062). It is not KAU-BCMD, which is `kau-bcmd`. The table, known by its header, has a row a woman: dir, laterality,
age, density, BIRADS, biopsy_result, folder_type. Pictures are `Suspicious_cases/<dir>/MLO_recent.dcm` and
`Normal_cases/<dir>/CC_prior.dcm`, with a drawing next to each. What has to be known:

- Both folders are numbered from 1: a woman is told by folder and number (`suspicious_1`).
- Labels: of the suspicious folder the recent pictures have the biopsy's: BENIGN is benign, MALIGNANT and DCIS are
  malignant, NOT AVAILABLE (18) is unknown. Its prior pictures are unknown: the biopsy came years after them. In the
  normal folder nobody had a biopsy, and BI-RADS 1 is normal, 2 is benign, in both rounds.
- A drawing is a picture next to the DICOM file that begins with its name and has two values: it is the mask of one
  finding (all calcifications of the picture), and must have its size. One without a mark is no finding.
- Age is that at the recent round; of the prior one it is not told. Density is in small letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading.collection_tables import FETCH, age_of, meant, rows_of, whole, with_header
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import BMCD, table_missing
from mammo_tf.reading.listed_pictures import ABSENT, WORKERS, facts_cells, looked_at, placed
from mammo_tf.reading.mask_picture import Part, inspect_part
from mammo_tf.reading.tree import files_of, listed, relative
from mammo_tf.study import Finding, Reject, findings_to_json

TERMS = "BMCD (Zenodo 5036062): CC BY 4.0"
ROUNDS, VIEWS = ("recent", "prior"), ("CC", "MLO")
_COLUMNS = ("dir", "laterality", "age", "density", "BIRADS", "biopsy_result", "folder_type")
_FOLDERS = {"suspicious": "suspicious", "normal": "normal"}
_SIDES = {"left": "L", "right": "R", "l": "L", "r": "R"}
_DENSITY = {"": "", "a": "A", "b": "B", "c": "C", "d": "D"}
_BIOPSY = {"benign": "benign", "malignant": "malignant", "dcis": "malignant", "not available": "", "": ""}
_BIRADS = {"1": "normal", "2": "benign", **dict.fromkeys(("3", "4", "4a", "4b", "4c", "5", "6"), "")}
_PICTURE = re.compile(r"(CC|MLO)[-_ ]?(prior|recent)", re.IGNORECASE)
_DRAWING = re.compile(r"(CC|MLO)[-_ ]?(prior|recent).*\.(png|tiff?|jpe?g|bmp)", re.IGNORECASE)


class Woman(NamedTuple):
    """A row of the table."""

    folder: str
    number: str
    side: str
    age: str
    density: str
    birads: str
    biopsy: str


class Told(NamedTuple):
    """A picture that the table's row of a woman stands for."""

    woman: Woman
    side: str
    view: str
    round: str


Name = tuple[str, str, str, str]  # folder, number, view, round


def rows(root: Path, labels: str | Path | None = None) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the pictures that are there, and rejects.

    The extra columns are `round`, `birads` and `collection_label`.

    Args:
        root: the folder.
        labels: folder of the table, if it does not lie below the root.

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing`; `table_broken` with file and row; those of
            `rows_of`.
    """
    files, rejects = listed(root)
    searched = files if labels is None else files_of(labels)
    tables = with_header(searched, BMCD)
    if not tables:
        remedy = f"It is a .csv or .xlsx with the columns {', '.join(_COLUMNS)}; --labels DIR"
        raise table_missing(root if labels is None else labels, searched, "bmcd", remedy)
    table = {
        (woman.folder, woman.number, view, time): Told(woman, woman.side, view, time)
        for woman in _women(tables[0])
        for view in VIEWS
        for time in ROUNDS
    }
    yield from rejects
    drawn = _drawings(files, table, root)
    marks: dict[Name, list[tuple[str, Part]]] = {}
    no_drawings = set()
    for path, part in each_file(inspect_part, list(drawn), WORKERS, "reading drawings", "file"):
        place = relative(path, root)
        if isinstance(part, MammoError) and part.code == "finding_empty":
            yield Reject(place, "roi_mask", "the drawing of a picture, without a mark")
        elif isinstance(part, MammoError):
            yield Reject.of(place, part, path)
        elif part.is_mask:
            marks.setdefault(drawn[path], []).append((place, part))
            yield Reject(place, "roi_mask", "the drawing of a picture, not a picture of its own")
        else:
            no_drawings.add(path)
    found = placed(
        [path for path in files if path not in drawn or path in no_drawings], root, tables,
        lambda path: _name(path, root), table,
    )  # fmt: skip
    yield from found.rejects
    for name, told in table.items():
        if name not in found.pictures:
            why = "; not every woman has prior pictures" if told.round == "prior" else ""
            yield Reject(f"{name[0]}/{name[1]}/{name[2]}_{name[3]}.dcm", "file_missing", f"{ABSENT}{why}")
    for one in looked_at(found, table, root):
        yield one if isinstance(one, Reject) else _row(*one, marks.get(one[0], ()))


def _name(path: Path, root: Path) -> Name | None:
    """What a file is by its folders and its name up to the suffix."""
    match = _PICTURE.match(path.stem)
    folders = [part.lower() for part in PurePosixPath(relative(path, root)).parts[:-1]]
    kinds = [kind for kind in _FOLDERS for part in folders[:-1] if part.startswith(kind)]
    if match is None or not kinds:
        return None
    return kinds[-1], folders[-1], match[1].upper(), match[2].lower()


def _drawings(files: Sequence[Path], table: Mapping[Name, Told], root: Path) -> dict[Path, Name]:
    """Files that may be drawings, with the picture that they are of."""
    named = {path: _name(path, root) for path in files if _DRAWING.fullmatch(path.name)}
    return {path: name for path, name in named.items() if name is not None and name in table}


def _row(name: Name, place: str, told: Told, facts: Facts, marks: Sequence[tuple[str, Part]]) -> dict[str, Any]:
    woman, recent = told.woman, told.round == "recent"
    label = _label(woman, recent)
    fitting = [(where, part) for where, part in marks if (part.rows, part.columns) == (facts.rows, facts.columns)]
    findings = [Finding("calcification", label if label in ("benign", "malignant") else "benign")] if marks else []
    if fitting:
        where, part = fitting[0]
        shape = {"mask": where} if part.outline is None else {"contour": part.outline}
        findings = [replace(findings[0], **shape)]
    doubt = ["the drawing has another size than the picture"] if marks and not fitting else []
    patient = f"{woman.folder}_{woman.number}"
    return {
        "image_id": "_".join(name),
        "patient_id": patient,
        "exam_id": f"{patient}_{told.round}",
        "laterality": told.side,
        "view": told.view,
        "modality": "FFDM",
        "label": label,
        "age": woman.age if recent else "",
        "density": woman.density,
        **facts_cells(facts, place),
        "findings": findings_to_json(findings),
        "round": told.round,
        "birads": woman.birads,
        "collection_label": woman.biopsy,
        "terms": TERMS,
        "warnings": "; ".join([*facts.warnings, *doubt]),
    }


def _label(woman: Woman, recent: bool) -> str:
    if woman.folder == "normal":
        return _BIRADS[woman.birads]
    return _BIOPSY[woman.biopsy.lower()] if recent else ""


def _women(path: Path) -> list[Woman]:
    """The rows of the table.

    Raises:
        MammoError: `table_broken`; those of `rows_of`.
    """
    found: dict[tuple[str, str], Woman] = {}
    for where, cells in rows_of(path, _COLUMNS):
        folder, number = meant(cells["folder_type"], _FOLDERS, where, "folder_type"), whole(cells["dir"])
        birads, biopsy = whole(cells["BIRADS"]).lower(), cells["biopsy_result"]
        meant(birads, _BIRADS, where, "BIRADS")
        meant(biopsy, _BIOPSY, where, "biopsy_result")
        if not number.isdecimal() or (folder, number) in found:
            what = "stands there twice" if (folder, number) in found else "is not a number"
            raise MammoError("table_broken", f"{where}: dir {number[:80]!r} of folder_type {folder} {what}", FETCH)
        if (folder == "normal") != (not biopsy):
            sentence = f"{where}: biopsy_result {biopsy[:80]!r} does not fit folder_type {folder}"
            raise MammoError("table_broken", sentence, FETCH)
        side, density = (
            meant(cells["laterality"], _SIDES, where, "laterality"),
            meant(cells["density"], _DENSITY, where, "density"),
        )
        found[folder, number] = Woman(folder, number, side, age_of(cells["age"], where), density, birads, biopsy)
    return list(found.values())

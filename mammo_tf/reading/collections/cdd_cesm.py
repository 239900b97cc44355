"""CDD-CESM: 2,006 contrast-enhanced pictures of 326 women (Egypt), half of them at low energy, and two tables.

Khaled et al. 2022, "Categorized contrast enhanced mammography dataset for diagnostic and artificial intelligence
research" (The Cancer Imaging Archive). `Radiology-manual-annotations.xlsx` (sheet `all`, or saved as CSV) and
`Radiology_hand_drawn_segmentations_v2.csv` lie anywhere below the root or in the folder that is named by `labels`;
pictures are called `P1_L_DM_MLO.jpg`. What has to be known:

- DM is the exposure at low energy, which looks like an ordinary mammogram, and is listed. CM (or CESM) is what is left
  after subtraction, which shows the contrast medium: it is refused (`subtracted`).
- A picture may have several rows, one a finding. Labels: Normal, Benign and Malignant (by pathology, else by follow-up)
  are normal, benign and malignant; the worst of its rows counts.
- Outlines were drawn with the VGG Image Annotator in pixels of the picture as it was published. Where one of them
  leaves the picture, it has another size, and no finding of it has a place. They do not say which row they are of: kind
  `finding`, with the label of the picture, benign where that is normal. Names in both tables have stray blanks.
- Several BI-RADS of a picture stand in one cell, as `2$4`. Density, age and machine are unknown where they are no such
  thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.collection_tables import FETCH, meant, possible_age, rows_of, whole, with_header
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import CDD_CESM, table_missing
from mammo_tf.reading.listed_pictures import ABSENT, facts_cells, looked_at, placed
from mammo_tf.reading.tree import files_of, listed, relative
from mammo_tf.reading.via_regions import Shape, picture_name, read_regions
from mammo_tf.study import LABELS, Finding, Reject, findings_to_json

TERMS = "CDD-CESM (TCIA): CC BY 4.0"
SHEET, OUTLINES = "all", "Radiology_hand_drawn_segmentations_v2.csv"
_COLUMNS = (*CDD_CESM, "Side", "Type", "View")
_PATHOLOGY, _DENSITY = "Pathology Classification/ Follow up", "Breast density (ACR)"
_OUTLINES = re.compile(r"Radiology[-_ ]hand[-_ ]drawn[-_ ]segmentations.*\.csv", re.IGNORECASE)
_LABELS = {"normal": "normal", "benign": "benign", "malignant": "malignant"}
_SIDES, _VIEWS = {"l": "L", "r": "R"}, {"cc": "CC", "mlo": "MLO"}
_TYPES = {"dm": True, "cm": False, "cesm": False}  # whether it is at low energy


class Told(NamedTuple):
    """A picture by the table; `birads` and `words` of all its rows."""

    patient: str
    side: str
    view: str
    low_energy: bool
    label: str
    words: str
    birads: str
    density: str
    age: str
    machine: str


def rows(root: Path, labels: str | Path | None = None) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the pictures at low energy that are there, and rejects.

    The extra columns are `birads`, `machine` and `collection_label`.

    Args:
        root: the folder.
        labels: folder of the tables, if they do not lie below the root.

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing`; `table_broken` with file and row; those of
            `rows_of`.
    """
    files, rejects = listed(root)
    searched = files if labels is None else files_of(labels)
    tables = _tables(searched)
    if not tables:
        remedy = "It is Radiology-manual-annotations.xlsx, or the same as .csv; --labels DIR"
        raise table_missing(root if labels is None else labels, searched, "cdd-cesm", remedy)
    table = _read(tables[0])
    drawn = [path for path in searched if _OUTLINES.fullmatch(path.name)]
    outlines = read_regions(drawn[0]) if drawn else {}
    yield from rejects
    if not drawn:
        yield Reject(OUTLINES, "file_missing", "the outlines of findings are not there, so no picture has any")
    found = placed(files, root, [*tables, *drawn], lambda path: picture_name(path.name), table)
    yield from found.rejects
    for name, told in table.items():
        if name not in found.pictures:
            yield Reject(f"{name.upper()}.jpg", "file_missing", ABSENT)
        elif not told.low_energy:
            place = relative(found.pictures.pop(name), root)
            yield Reject(place, "subtracted", "a subtracted picture of contrast medium, not a mammogram")
    for one in looked_at(found, table, root):
        yield one if isinstance(one, Reject) else _row(*one, outlines.get(one[0], ()))


def _row(name: str, place: str, told: Told, facts: Facts, shapes: Sequence[Shape]) -> dict[str, Any]:
    kind, label = "finding", told.label if told.label != "normal" else "benign"
    findings = [Finding(kind, label, **shape) for shape in shapes]
    warnings = list(facts.warnings)
    if any(_outside(one, facts) for one in findings):
        findings = [Finding(kind, label) for _ in findings]
        warnings.append("an outline leaves the picture, which has another size than the published one: no places")
    return {
        "image_id": name,
        "patient_id": told.patient,
        "exam_id": told.patient,
        "laterality": told.side,
        "view": told.view,
        "modality": "FFDM",
        "label": told.label,
        "age": told.age,
        "density": told.density,
        **facts_cells(facts, place),
        "findings": findings_to_json(findings),
        "birads": told.birads,
        "machine": told.machine,
        "collection_label": told.words,
        "terms": TERMS,
        "warnings": "; ".join(warnings),
    }


def _outside(finding: Finding, facts: Facts) -> bool:
    """Whether a finding lies beyond the picture by more than a pixel, and by more than a circle's radius."""
    x0, y0, x1, y1 = finding.bounds() or (0, 0, 0, 0)
    slack = 1 + (finding.circle[2] if finding.circle else 0)
    return min(x0, y0) < -slack or x1 > facts.columns + slack or y1 > facts.rows + slack


def _tables(files: Sequence[Path]) -> list[Path]:
    pattern = re.compile(r"Radiology[-_ ]manual[-_ ]annotations.*\.(csv|xlsx)", re.IGNORECASE)
    named = [path for path in files if pattern.fullmatch(path.name)]
    return [*named, *(path for path in with_header(files, CDD_CESM) if path not in named)]


def _read(path: Path) -> dict[str, Told]:
    """The pictures by name, the rows of each together.

    Raises:
        MammoError: `table_broken`; those of `rows_of`.
    """
    found: dict[str, Told] = {}
    for where, cells in rows_of(path, _COLUMNS, SHEET):
        name, patient = picture_name(cells["Image_name"]), whole(cells["Patient_ID"])
        if not name or not patient:
            raise MammoError("table_broken", f"{where}: Image_name or Patient_ID is empty", FETCH)
        told = Told(
            patient if patient.upper().startswith("P") else f"P{patient}", meant(cells["Side"], _SIDES, where, "Side"),
            meant(cells["View"], _VIEWS, where, "View"), meant(cells["Type"], _TYPES, where, "Type"),
            meant(cells[_PATHOLOGY], _LABELS, where, _PATHOLOGY), cells[_PATHOLOGY], _birads(cells),
            _density(cells), _age(cells), cells.get("Machine", ""),
        )  # fmt: skip
        found[name] = _together(found[name], told, where) if name in found else told
    return found


def _birads(cells: Mapping[str, str]) -> str:
    return " ".join(whole(part.strip()) for part in cells.get("BIRADS", "").split("$") if part.strip())


def _density(cells: Mapping[str, str]) -> str:
    word = cells.get(_DENSITY, cells.get("Breast density", "")).upper()
    return word if word in ("A", "B", "C", "D") else ""


def _age(cells: Mapping[str, str]) -> str:
    return possible_age(whole(cells.get("Age", "")))


def _together(one: Told, other: Told, where: str) -> Told:
    """Two rows of a picture: the worst label, all words and BI-RADS."""
    if one[:4] != other[:4]:
        raise MammoError("table_broken", f"{where}: the picture has another woman, side, view or type before", FETCH)
    return one._replace(
        label=max(one.label, other.label, key=LABELS.index),
        words=" ".join(dict.fromkeys([*one.words.split(), *other.words.split()])),
        birads=" ".join(dict.fromkeys([*one.birads.split(), *other.birads.split()])),
        density=one.density or other.density,
        age=one.age or other.age,
    )

"""VinDr-Mammo: 20,000 digital pictures of 5,000 exams of four views, BI-RADS of each breast, and boxes of its findings.

Nguyen et al. 2023, "VinDr-Mammo: A large-scale benchmark dataset for computer-aided diagnosis in full-field digital
mammography". `breast-level_annotations.csv` and `finding_annotations.csv` lie anywhere below the root or in the folder
that is named by `labels`; pictures are `images/<study_id>/<image_id>.dicom`, or the same names as PNG. To be known:

- Exams were read twice, with a third reader where the two differed: the tables hold the outcome alone.
- A woman is not told apart from her exam, so an exam counts as a patient. The identifiers are public hashes.
- Labels are BI-RADS of the breast, not pathology: 1 is normal, 2 is benign, 3 is unknown, 4 and 5 are malignant. The
  word is the extra column `collection_label`.
- A row of findings is a box of one or several categories; here it is one finding, whose kind joins them with "and".
  `['No Finding']` has no box. Its label is its own BI-RADS: 4 and 5 malignant, else benign; 125 boxes have none and are
  benign.
- 42 boxes reach outside their picture: they are cut off at its edge.
- Boxes count pixels of a picture of the height and width in the table. In a picture of another size they have no place.
- The split is official and by exam: training and test.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import table_missing
from mammo_tf.reading.listed_pictures import ABSENT, facts_cells, looked_at, placed
from mammo_tf.reading.tree import files_of, listed
from mammo_tf.study import Finding, Reject, findings_to_json
from mammo_tf.study.cells import in_range
from mammo_tf.study.refusals import checked_codes
from mammo_tf.study.table import read_table

TERMS = "VinDr-Mammo: PhysioNet Restricted Health Data License 1.5.0, research use only"
BREASTS, FINDINGS = "breast-level_annotations", "finding_annotations"
_KEY = ("study_id", "image_id", "laterality", "view_position", "height", "width", "breast_birads", "breast_density")
_BOX = ("xmin", "ymin", "xmax", "ymax")
_COLUMNS = {BREASTS: (*_KEY, "split"), FINDINGS: (*_KEY, "finding_categories", "finding_birads", *_BOX)}
_LABELS = {"1": "normal", "2": "benign", "3": "", "4": "malignant", "5": "malignant"}
_PARTS = {"training": "train", "test": "test"}
_SIDES, _VIEWS, _DENSITIES = ("L", "R"), ("CC", "MLO"), ("A", "B", "C", "D")
_NO_FINDING = "No Finding"
_FETCH = "Fetch the table again"


class Told(NamedTuple):
    """A picture by the table of breasts."""

    exam: str
    side: str
    view: str
    rows: int
    columns: int
    birads: str
    density: str
    part: str


def rows(root: Path, labels: str | Path | None = None, accept: Sequence[str] = ()) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the pictures that are there, with the extra column `collection_label`, and rejects.

    Args:
        root: the folder.
        labels: folder of the tables, if they do not lie below the root.
        accept: codes of judgements that refuse no picture (`study.refusals.ACCEPTABLE`).

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing` without one of the two tables; `table_broken` with
            file and row; those of `read_table`.
    """
    codes = checked_codes(accept, "--accept")
    files, rejects = listed(root)
    searched = files if labels is None else files_of(labels)
    tables = {}
    for name in (BREASTS, FINDINGS):
        named = [path for path in searched if path.name.lower().endswith((f"{name}.csv", f"{name}.csv.gz"))]
        if not named:
            where = root if labels is None else labels
            remedy = f"Both {BREASTS}.csv and {FINDINGS}.csv are needed; {name}.csv is not there; --labels DIR"
            raise table_missing(where, searched, "vindr-mammo", remedy)
        tables[name] = named[0]
    table = _breasts(tables[BREASTS])
    findings = _findings(tables[FINDINGS], table)
    yield from rejects
    found = placed(files, root, list(tables.values()), lambda path: path.stem.lower(), table)
    yield from found.rejects
    for name, told in table.items():
        if name not in found.pictures:
            yield Reject(f"images/{told.exam}/{name}.dicom", "file_missing", ABSENT)
    for one in looked_at(found, table, root, codes):
        yield one if isinstance(one, Reject) else _row(*one, findings.get(one[0], ()))


def _row(name: str, place: str, told: Told, facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    warnings = list(facts.warnings)
    if (facts.rows, facts.columns) != (told.rows, told.columns) and findings:
        findings = [replace(one, box=None) for one in findings]
        sizes = f"{facts.rows} x {facts.columns} pixels, the table counts in {told.rows} x {told.columns}"
        warnings.append(f"{sizes}: its findings have no place")
    return {
        "image_id": name,
        "patient_id": told.exam,
        "exam_id": told.exam,
        "laterality": told.side,
        "view": told.view,
        "modality": "FFDM",
        "label": _LABELS[told.birads],
        "age": in_range("age", facts.age),
        "density": told.density,
        **facts_cells(facts, place),
        "split": told.part,
        "findings": findings_to_json(findings),
        "collection_label": f"BI-RADS {told.birads}",
        "terms": TERMS,
        "warnings": "; ".join(warnings),
    }


def _read(kind: str, path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands (for messages), and its cells."""
    table, lines = read_table(path, f"the table {path} is not there")
    missing = [name for name in _COLUMNS[kind] if name not in table]
    if missing:
        raise MammoError("table_broken", f"{path} has no column {missing[0]!r}: another release?", _FETCH)
    for line, row in zip(lines, table.to_dict("records"), strict=True):
        yield f"{path}, row {line}", {str(name): str(cell).strip() for name, cell in row.items()}


def _word(cell: str, before: str, known: Sequence[str], where: str) -> str:
    """The end of a cell such as `BI-RADS 4` or `DENSITY C`."""
    word = cell.upper().removeprefix(before).strip()
    if word not in known:
        raise MammoError("table_broken", f"{where}: the word {cell!r} is unknown", _FETCH)
    return word


def _breasts(path: Path) -> dict[str, Told]:
    """The pictures by image_id."""
    found: dict[str, Told] = {}
    for where, cells in _read(BREASTS, path):
        name, side, view = cells["image_id"].lower(), cells["laterality"], cells["view_position"]
        part = cells["split"].lower()
        size = _numbers([cells["height"], cells["width"]], where)
        told = Told(
            cells["study_id"].lower(), _word(side, "", _SIDES, where), _word(view, "", _VIEWS, where), int(size[0]),
            int(size[1]), _word(cells["breast_birads"], "BI-RADS", tuple(_LABELS), where),
            _word(cells["breast_density"], "DENSITY", _DENSITIES, where),
            _PARTS[_word(part, "", [one.upper() for one in _PARTS], where).lower()],
        )  # fmt: skip
        if not name or not told.exam or name in found:
            raise MammoError("table_broken", f"{where}: image {name!r} is unnamed or stands there twice", _FETCH)
        found[name] = told
    if not found:
        raise MammoError("table_broken", f"{path} has no rows", _FETCH)
    return found


def _findings(path: Path, table: Mapping[str, Told]) -> dict[str, list[Finding]]:
    """The findings by image_id, cut off at the edges of their pictures."""
    found: dict[str, list[Finding]] = {}
    for where, cells in _read(FINDINGS, path):
        name = cells["image_id"].lower()
        if name not in table or _word(cells["breast_birads"], "BI-RADS", tuple(_LABELS), where) != table[name].birads:
            sentence = f"{where}: {name} is not in the table of breasts, or with another BI-RADS"
            raise MammoError("table_broken", sentence, "Fetch both tables of one version")
        kinds = _categories(cells["finding_categories"], where)
        if kinds == [_NO_FINDING]:
            continue
        own = cells["finding_birads"]
        birads = _word(own, "BI-RADS", tuple(_LABELS), where) if own else ""
        finding = Finding(" and ".join(kinds).lower(), "malignant" if _LABELS.get(birads) == "malignant" else "benign")
        x0, y0, x1, y1 = _numbers([cells[side] for side in _BOX], where)
        told = table[name]
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, told.columns), min(y1, told.rows)
        found.setdefault(name, []).append(replace(finding, box=(x0, y0, x1, y1)) if x0 < x1 and y0 < y1 else finding)
    return found


def _categories(cell: str, where: str) -> list[str]:
    """The words of a list as Python writes it: `['Mass', 'Asymmetry']`."""
    try:
        words = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise MammoError("table_broken", f"{where}: finding_categories {cell[:80]!r} is not a list of words", _FETCH)
    return [word.strip() for word in words]


def _numbers(cells: Sequence[str], where: str) -> list[float]:
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        numbers = [math.nan]
    if not all(math.isfinite(number) for number in numbers):
        raise MammoError("table_broken", f"{where}: {', '.join(cells)!r} is not all numbers", _FETCH)
    return numbers

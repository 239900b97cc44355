"""KAU-BCMD: 5,662 digital pictures of 1,416 women (Saudi Arabia) with BI-RADS, and a sheet of some of them.

Alsolami et al. 2021, "King Abdulaziz University Breast Cancer Mammogram Dataset (KAU-BCMD)" (Kaggle). It is not BMCD,
which is `bmcd`. The sheet (`correctSheetlast.xlsx`, its sheet `correctSheet`, or saved as CSV) lies anywhere below the
root or in the folder that is named by `labels`; pictures lie where its column `Image path` says, as JPEG where it
says .dcm. The sheet's form was not seen here: its columns are those of programs that read it, and words that are not
known are refused, not guessed. Without the sheet nothing tells women, sides and views, so nothing is listed.

- Labels are BI-RADS (`Assesment`, such as `BIRADS 4`), not pathology: 1 is normal, 2 is benign, 3 is unknown, 4 to 6
  are malignant, as for INbreast and VinDr-Mammo; 0 and what has none is unknown.
- Density is a share of glandular tissue: 0%-25% is A, 26%-50% B, 51%-75% C, >75% D.
- A path stands in several rows. Where they differ the picture is refused (`row_twice`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.collection_tables import FETCH, meant, possible_age, rows_of, whole, with_header
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import KAU_BCMD, table_missing
from mammo_tf.reading.listed_pictures import ABSENT, facts_cells, looked_at, placed
from mammo_tf.reading.tree import files_of, listed, relative
from mammo_tf.study import Reject

TERMS = "KAU-BCMD (Kaggle): terms not verified here, research use only until they are read at the source"
SHEET = "correctSheet"
_DENSITY_COLUMN = "Percentage of grandular tissue(density)"
_COLUMNS = (*KAU_BCMD, "Breast type")
_TABLE = re.compile(r"correctSheet.*\.(xlsx|csv)", re.IGNORECASE)
_SIDES = {"l": "L", "left": "L", "r": "R", "right": "R"}
_VIEWS = {"cc": "CC", "mlo": "MLO"}
_BIRADS = re.compile(r"BI-?RADS\s*([0-6])\s*[abc]?", re.IGNORECASE)
_LABELS = {"1": "normal", "2": "benign", "4": "malignant", "5": "malignant", "6": "malignant"}
_DENSITY = {"0%-25%": "A", "26%-50%": "B", "51%-75%": "C", ">75%": "D"}
_ENDS = 2  # parts of a path that tell a picture: a folder and the file


class Told(NamedTuple):
    """A row of the sheet."""

    patient: str
    side: str
    view: str
    birads: str
    density: str
    age: str


def rows(root: Path, labels: str | Path | None = None) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the pictures that are there, and rejects; `birads` and `collection_label` are extra columns.

    Args:
        root: the folder.
        labels: folder of the sheet, if it does not lie below the root.

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing`; `table_broken` with file and row; those of
            `rows_of`.
    """
    files, rejects = listed(root)
    searched = files if labels is None else files_of(labels)
    tables = [path for path in searched if _TABLE.fullmatch(path.name)]
    tables += [path for path in with_header(searched, KAU_BCMD) if path not in tables]
    if not tables:
        remedy = "It is correctSheetlast.xlsx: without it nothing tells women, sides and views; --labels DIR"
        raise table_missing(root if labels is None else labels, searched, "kau-bcmd", remedy)
    table, doubtful, places = _read(tables[0])
    yield from rejects
    found = placed(files, root, tables, lambda path: _end(relative(path, root)), table)
    yield from found.rejects
    for name in table:
        if name not in found.pictures:
            yield Reject(places[name], "file_missing", ABSENT)
        elif name in doubtful:
            yield Reject(
                relative(found.pictures.pop(name), root), "row_twice", "rows of the sheet differ on this picture"
            )
    for one in looked_at(found, table, root):
        yield one if isinstance(one, Reject) else _row(*one)


def _end(place: str) -> str:
    """The last folder and the name of a path, in small letters and without suffix."""
    path = PurePosixPath("".join(place.replace("\\", "/").lower().split()))
    return "/".join(path.with_suffix("").parts[-_ENDS:]) if path.name else ""


def _row(name: str, place: str, told: Told, facts: Facts) -> dict[str, Any]:
    return {
        "image_id": name.replace("/", "_"),
        "patient_id": told.patient,
        "exam_id": told.patient,
        "laterality": told.side,
        "view": told.view,
        "modality": "FFDM",
        "label": _LABELS.get(told.birads, ""),
        "age": told.age,
        "density": told.density,
        **facts_cells(facts, place),
        "birads": told.birads,
        "collection_label": f"BI-RADS {told.birads}" if told.birads else "",
        "terms": TERMS,
        "warnings": "; ".join(facts.warnings),
    }


def _read(path: Path) -> tuple[dict[str, Told], set[str], dict[str, str]]:
    """The pictures by the end of their path, those whose rows differ, and the path of each as it is written.

    Raises:
        MammoError: `table_broken`; those of `rows_of`.
    """
    found: dict[str, Told] = {}
    doubtful: set[str] = set()
    places: dict[str, str] = {}
    for where, cells in rows_of(path, _COLUMNS, SHEET):
        name, patient = _end(cells["Image path"]), whole(cells["PatientID"])
        if not name:
            continue  # a row of a woman whose picture was not published
        if not patient or "/" not in name:
            said = f"PatientID {patient[:80]!r}, Image path {cells['Image path'][:80]!r}"
            raise MammoError("table_broken", f"{where}: cannot be read: {said}", FETCH)
        told = Told(
            patient, meant(cells["Breast type"], _SIDES, where, "Breast type"),
            meant(cells["Breast view"], _VIEWS, where, "Breast view"), _birads(cells["Assesment"], where),
            _DENSITY.get("".join(cells.get(_DENSITY_COLUMN, "").split()), ""), _age(cells),
        )  # fmt: skip
        if found.setdefault(name, told) != told:
            doubtful.add(name)
        places.setdefault(name, cells["Image path"].replace("\\", "/").lstrip("/"))
    return found, doubtful, places


def _birads(cell: str, where: str) -> str:
    match = _BIRADS.fullmatch(cell)
    if cell and match is None:
        raise MammoError("table_broken", f"{where}: Assesment {cell[:80]!r} is not BIRADS 0 to 6", FETCH)
    return match[1] if match else ""


def _age(cells: Mapping[str, str]) -> str:
    match = re.match(r"\d{1,3}(?!\d)", cells.get("Patient age", ""))
    return possible_age(match[0]) if match else ""

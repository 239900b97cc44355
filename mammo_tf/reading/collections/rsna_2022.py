"""RSNA-2022: 54,706 screening pictures of 11,913 women of two sites, cancer by biopsy, and a table of them.

Carr et al. 2022, "RSNA Screening Mammography Breast Cancer Detection" (Kaggle). `train.csv` lies anywhere below the
root or in the folder that is named by `labels`; it is known by its header, whatever its name. Pictures are
`train_images/<patient_id>/<image_id>.dcm`, or re-packs as PNG called `<image_id>`, `<patient_id>_<image_id>` or
`<patient_id>@<image_id>`. What has to be known:

- A row is a picture; cancer, biopsy, invasive, BIRADS and density are of the breast, so both its views share them.
- Labels: cancer is malignant; else what had a biopsy is benign, and so is BI-RADS 0 (recalled) and 2; the rest is
  normal, also where no BI-RADS is told. The BI-RADS is 0, 1 or 2 alone and mostly missing at site 2, where density is
  missing.
- Headers are stripped: side, view and age are those of the table. Ages end at 89. Copies of the table write numbers as
  decimals (61.0). Some views are AT, ML, LM, LMO.
- Breasts with an implant by the table are refused, as they are where a header tells it.
- `test.csv` of the competition has no labels: it is listed, and not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.accepted import let_in
from mammo_tf.reading.collection_tables import FETCH, age_of, header_of, meant, rows_of, whole, with_header
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import RSNA, table_missing
from mammo_tf.reading.listed_pictures import ABSENT, facts_cells, looked_at, placed
from mammo_tf.reading.tree import files_of, listed, relative
from mammo_tf.study import Reject
from mammo_tf.study.cells import VIEWS
from mammo_tf.study.refusals import checked_codes

TERMS = "RSNA-2022 (Kaggle): by the rules of the competition, non-commercial and academic research only"
_SIDES = {"l": "L", "r": "R"}
_VIEWS = {view.lower(): view for view in VIEWS}
_ASKED = ("cancer", "biopsy", "invasive", "implant", "difficult_negative_case")
_COLUMNS = (*RSNA, *_ASKED, "age", "BIRADS", "density")
_YES_NO = {"0": "0", "1": "1", "0.0": "0", "1.0": "1", "false": "0", "true": "1"}
_BIRADS = {"": "", "0": "0", "1": "1", "2": "2", "0.0": "0", "1.0": "1", "2.0": "2"}
_DENSITY = {"": "", "a": "A", "b": "B", "c": "C", "d": "D"}
_PICTURE = re.compile(r"(?:(\d+)[_@-])?(\d+)")


class Told(NamedTuple):
    """A row of the table; yes and no are 1 and 0."""

    site: str
    patient: str
    side: str
    view: str
    age: str
    density: str
    birads: str
    cancer: str
    biopsy: str
    invasive: str
    implant: str
    difficult: str
    machine: str


def rows(root: Path, labels: str | Path | None = None, accept: Sequence[str] = ()) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the pictures that are there, and rejects.

    The extra columns are `machine_id`, `biopsy`, `invasive`, `birads`, `difficult_negative_case`, `collection_label`.

    Args:
        root: the folder.
        labels: folder of the table, if it does not lie below the root.
        accept: codes of judgements that refuse no picture (`study.refusals.ACCEPTABLE`).

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing`; `table_broken` with file and row; those of
            `rows_of`.
    """
    codes = checked_codes(accept, "--accept")
    files, rejects = listed(root)
    searched = files if labels is None else files_of(labels)
    tables = sorted(with_header(searched, RSNA), key=lambda path: "cancer" not in header_of(path))
    if not tables:
        remedy = f"It is train.csv, with the columns {', '.join(RSNA)} and more; --labels DIR"
        raise table_missing(root if labels is None else labels, searched, "rsna-2022", remedy)
    table = _read(tables[0])
    yield from rejects

    def image_of(path: Path) -> str | None:
        match = _PICTURE.fullmatch(path.stem)
        if match is None or (match[1] and match[2] in table and table[match[2]].patient != match[1]):
            return None
        return match[2]

    found = placed(files, root, tables, image_of, table)
    yield from found.rejects
    for name, told in table.items():
        if name not in found.pictures:
            yield Reject(f"train_images/{told.patient}/{name}.dcm", "file_missing", ABSENT)
        elif told.implant == "1" and "implant" not in codes:
            place = relative(found.pictures.pop(name), root)
            yield Reject(place, "implant", "the table says that there is an implant", "Leave it out")
    for one in looked_at(found, table, root, codes):
        yield one if isinstance(one, Reject) else _row(*one)


def _row(name: str, place: str, told: Told, facts: Facts) -> dict[str, Any]:
    facts = let_in(facts, "implant") if told.implant == "1" else facts
    return {
        "image_id": name,
        "patient_id": told.patient,
        "exam_id": told.patient,
        "laterality": told.side,
        "view": told.view,
        "modality": "FFDM",
        "label": label_of(told),
        "age": told.age,
        "density": told.density,
        "site": told.site,
        **facts_cells(facts, place),
        "machine_id": told.machine,
        "biopsy": told.biopsy,
        "invasive": told.invasive,
        "birads": told.birads,
        "difficult_negative_case": told.difficult,
        "collection_label": "cancer" if told.cancer == "1" else "no cancer",
        "terms": TERMS,
        "warnings": "; ".join(facts.warnings),
    }


def label_of(told: Told) -> str:
    """malignant for cancer; benign for a biopsy without it, a recall, or BI-RADS 2; else normal."""
    if told.cancer == "1":
        return "malignant"
    return "benign" if told.biopsy == "1" or told.birads in ("0", "2") else "normal"


def _read(path: Path) -> dict[str, Told]:
    """The rows of the table by `image_id`.

    Raises:
        MammoError: `table_broken`; those of `rows_of`.
    """
    found: dict[str, Told] = {}
    for where, cells in rows_of(path, _COLUMNS):
        name, patient = whole(cells["image_id"]), whole(cells["patient_id"])
        if not (name.isdecimal() and patient.isdecimal()) or name in found:
            what = "stands there twice" if name in found else f"or its patient {patient[:80]!r} is not a number"
            raise MammoError("table_broken", f"{where}: image {name[:80]!r} {what}", FETCH)
        cancer, biopsy, invasive, implant, difficult = (meant(cells[name], _YES_NO, where, name) for name in _ASKED)
        found[name] = Told(
            whole(cells["site_id"]), patient, meant(cells["laterality"], _SIDES, where, "laterality"),
            meant(cells["view"], _VIEWS, where, "view"), age_of(cells["age"], where),
            meant(cells["density"], _DENSITY, where, "density"), meant(cells["BIRADS"], _BIRADS, where, "BIRADS"),
            cancer, biopsy, invasive, implant, difficult, whole(cells["machine_id"]),
        )  # fmt: skip
    return found

"""EMBED: 480,323 pictures of 22,382 women in the open part (Emory), labels by pathology, and three tables.

Jeong et al. 2023, "The EMory BrEast imaging Dataset (EMBED): A Racially Diverse, Granular Dataset of 3.4 Million
Screening and Diagnostic Mammographic Images". The clinical table (a row a finding) and that of the files lie anywhere
below the root or in the folder that is named by `labels`; they are known by their headers, and of a table and its
`_reduced` copy the copy is read. The code book (`AWS_Open_Data_Clinical_Legend.csv`) is read if it is there. Beware:

- A file is named by the last part of `anon_dicom_path`, which no other file has; its folders differ from disk to disk.
- Findings are of a side of an exam, not of a picture: `side` L, R, or B and nothing for both; pathology is of `bside`.
- Labels of a side: by `path_severity`, the owners' grade of path1 to path10: 0 and 1 are malignant, 2 and 3 high_risk,
  4 and 5 benign, 6 (cancer, but not of the breast) unknown. A finding without pathology has its assessment's: N normal,
  B benign, K (proven before) malignant, and A, P, S, M, X unknown. The worst of a side's findings counts, and unknown
  counts more than benign. So a screening exam that led to another one is unknown, also where that one has pathology.
- Places (`ROI_coords`: ymin, xmin, ymax, xmax) are of a picture, and do not say which finding they are of: kind
  `finding`, with the label of the picture, benign where that is normal or unknown. They are cut off at the edge.
- Synthetic pictures (C-view), spot and magnification views, and what is not two-dimensional are refused.
- The code book has a byte-order mark, `Discription`, and codes with blanks behind them. Density 5 is a man's breast.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.accepted import let_in
from mammo_tf.reading.collection_tables import FETCH, age_of, meant, rows_of, whole, with_header
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import EMBED_CLINICAL, EMBED_METADATA, table_missing
from mammo_tf.reading.listed_pictures import ABSENT, facts_cells, looked_at, placed
from mammo_tf.reading.tree import files_of, listed, relative
from mammo_tf.study import Finding, Reject, findings_to_json
from mammo_tf.study.cells import VIEWS
from mammo_tf.study.refusals import checked_codes

TERMS = "EMBED (Emory): non-commercial research only; models and weights trained on it may not be released"
_CLINICAL = (*EMBED_CLINICAL, "path_severity")
_METADATA = (*EMBED_METADATA, "ImageLateralityFinal", "ViewPosition", "FinalImageType")
_CODE_BOOK = ("Header in export", "Code", "Meaning")
_SEVERITY = {
    "0": "malignant", "1": "malignant", "2": "high_risk", "3": "high_risk", "4": "benign", "5": "benign", "6": "",
}  # fmt: skip
_ASSESSMENT = {"n": "normal", "b": "benign", "k": "malignant", **dict.fromkeys(("a", "p", "s", "m", "x", ""), "")}
_BIRADS = {"A": "0", "N": "1", "B": "2", "P": "3", "S": "4", "M": "5", "K": "6"}
_DENSITY = {"1": "A", "2": "B", "3": "C", "4": "D", "5": "", "": ""}
_SIDES = {"l": ("L",), "r": ("R",), "b": ("L", "R"), "": ("L", "R")}
_WORST_FIRST = ("malignant", "high_risk", "", "benign", "normal")
_PATHS = tuple(f"path{number}" for number in range(1, 11))
_REFUSED = {
    "cview": ("synthetic_2d", "computed from tomosynthesis (C-view)"),
    "3d": ("volume", "a tomosynthesis in a container of its vendor"),
    "roi_ss": ("screen_capture", "a capture of a screen with a drawn finding"),
    "roi_ssc": ("screen_capture", "a capture of a screen with a drawn finding"),
}
_NOT_IN_BOOK = ("", "nan")
Side = tuple[str, str]  # exam, and L or R


class Breast(NamedTuple):
    """What the clinical table tells of a side of an exam, all findings together; words joined by blanks."""

    label: str
    assessments: str
    severities: str
    pathology: str
    density: str
    age: str
    race: str


class Told(NamedTuple):
    """A row of the table of files."""

    patient: str
    exam: str
    side: str
    view: str
    kind: str
    spot: bool
    places: str


def rows(root: Path, labels: str | Path | None = None, accept: Sequence[str] = ()) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the pictures that are there, and rejects.

    The extra columns are `birads`, `path_severity`, `pathology`, `race` and `collection_label`.

    Args:
        root: the folder.
        labels: folder of the tables, if they do not lie below the root.
        accept: codes of judgements that refuse no picture (`study.refusals.ACCEPTABLE`).

    Raises:
        MammoError: `folder_missing`, `folder_empty`; `table_missing` without the clinical table or that of the files;
            `table_broken` with file and row; those of `rows_of`.
    """
    codes = checked_codes(accept, "--accept")
    files, rejects = listed(root)
    searched = files if labels is None else files_of(labels)
    clinical, metadata, book = (
        sorted(with_header(searched, columns), key=lambda path: "reduced" not in path.name.lower())
        for columns in (EMBED_CLINICAL, EMBED_METADATA, _CODE_BOOK)
    )
    if not clinical or not metadata:
        lacking = "EMBED_OpenData_clinical.csv" if not clinical else "EMBED_OpenData_metadata.csv"
        remedy = f"Both EMBED_OpenData_clinical.csv and EMBED_OpenData_metadata.csv are needed; {lacking} is not there"
        raise table_missing(root if labels is None else labels, searched, "embed", f"{remedy}; --labels DIR")
    breasts = _breasts(clinical[0], read_code_book(book[0]) if book else {})
    table = _files(metadata[0])
    yield from rejects
    found = placed(files, root, [*clinical, *metadata, *book], lambda path: path.stem.lower(), table)
    yield from found.rejects
    for name, told in table.items():
        if name in found.pictures and (told.kind in _REFUSED or (told.spot and "spot" not in codes)):
            code, what = _REFUSED.get(told.kind, ("spot", "a spot compression or magnification view by the table"))
            yield Reject(relative(found.pictures.pop(name), root), code, what, "Leave it out")
        elif name not in found.pictures and told.kind not in _REFUSED:
            yield Reject(f"{told.patient}/{told.exam}/{name}.dcm", "file_missing", ABSENT)
    for one in looked_at(found, table, root, codes):
        yield one if isinstance(one, Reject) else _row(*one, breasts)


def _row(name: str, place: str, told: Told, facts: Facts, breasts: Mapping[Side, Breast]) -> dict[str, Any]:
    facts = let_in(facts, "spot") if told.spot else facts
    side = told.side or facts.laterality
    breast = breasts.get((told.exam, side), Breast("", "", "", "", "", "", ""))
    findings, doubts = _findings(told.places, breast.label, facts)
    return {
        "image_id": name,
        "patient_id": told.patient,
        "exam_id": told.exam,
        "laterality": side,
        "view": told.view or facts.view,
        "modality": "FFDM",
        "label": breast.label,
        "age": breast.age,
        "density": breast.density,
        **facts_cells(facts, place),
        "findings": findings_to_json(findings),
        "birads": " ".join(_BIRADS[word] for word in breast.assessments.split() if word in _BIRADS),
        "path_severity": breast.severities,
        "pathology": breast.pathology,
        "race": breast.race,
        "collection_label": breast.assessments,
        "terms": TERMS,
        "warnings": "; ".join([*facts.warnings, *doubts]),
    }


def _findings(places: str, label: str, facts: Facts) -> tuple[list[Finding], list[str]]:
    """The findings of a cell of `ROI_coords`, and what is doubtful about them."""
    finding = Finding("finding", label if label in ("benign", "high_risk", "malignant") else "benign")
    try:
        told = ast.literal_eval(places) if places else ()
        boxes = [tuple(float(number) for number in box) for box in told]
        if any(len(box) != 4 for box in boxes):
            raise ValueError("not four numbers")
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError):
        return [finding], ["its ROI_coords cannot be read, so its findings have no place"]
    found = []
    for y0, x0, y1, x1 in boxes:
        box = max(x0, 0.0), max(y0, 0.0), min(x1, float(facts.columns)), min(y1, float(facts.rows))
        inside = box[0] < box[2] and box[1] < box[3]
        found.append(Finding(finding.kind, finding.label, box=box) if inside else finding)
    outside = sum(one.box is None for one in found)
    return found, [f"{outside} of its ROI_coords lie outside the picture"] if outside else []


def read_code_book(path: Path) -> dict[tuple[str, str], str]:
    """What codes mean, by column and code: `("path (1-10)", "ID")` is "Invasive ductal carcinoma".

    Raises:
        MammoError: those of `rows_of`.
    """
    return {(cells["Header in export"], cells["Code"]): cells["Meaning"] for _, cells in rows_of(path, _CODE_BOOK)}


def _breasts(path: Path, book: Mapping[tuple[str, str], str]) -> dict[Side, Breast]:
    """Each side of each exam in the clinical table.

    Raises:
        MammoError: `table_broken`; those of `rows_of`.
    """
    found: dict[Side, Breast] = {}
    for where, cells in rows_of(path, _CLINICAL):
        severity, word = whole(cells["path_severity"]).lower(), cells["asses"].upper()
        severity = "" if severity == "nan" else severity
        by_assessment = meant(word, _ASSESSMENT, where, "asses")
        sides = meant(cells["side"], _SIDES, where, "side")
        if severity:
            sides = meant(cells.get("bside", "") or cells["side"], _SIDES, where, "bside")
        label = meant(severity, _SEVERITY, where, "path_severity") if severity else by_assessment
        codes = [cells.get(name, "") for name in _PATHS]
        pathology = "; ".join(
            book.get(("path (1-10)", code), code) for code in codes if code.lower() not in _NOT_IN_BOOK
        )
        density = meant(whole(cells.get("tissueden", "")), _DENSITY, where, "tissueden")
        told = Breast(label, word, severity, pathology, density, _years(cells, where), cells.get("RACE_DESC", ""))
        for side in sides:
            key = (whole(cells["acc_anon"]), side)
            found[key] = _together(found[key], told) if key in found else told
    return found


def _years(cells: Mapping[str, str], where: str) -> str:
    age = cells.get("age_at_study", "")
    return age_of(age.partition(".")[0], where)


def _together(one: Breast, other: Breast) -> Breast:
    """Two findings of a side: the worst label, each word once."""
    label = min(one.label, other.label, key=_WORST_FIRST.index)
    return Breast(
        label, _each_once(one.assessments, other.assessments, " "), _each_once(one.severities, other.severities, " "),
        _each_once(one.pathology, other.pathology, "; "), one.density or other.density, one.age or other.age,
        one.race or other.race,
    )  # fmt: skip


def _each_once(one: str, other: str, between: str) -> str:
    return between.join(dict.fromkeys(word for text in (one, other) for word in text.split(between) if word))


def _files(path: Path) -> dict[str, Told]:
    """The files by the last part of their path, in small letters.

    Raises:
        MammoError: `table_broken`; those of `rows_of`.
    """
    found: dict[str, Told] = {}
    for where, cells in rows_of(path, _METADATA):
        name = PurePosixPath(cells["anon_dicom_path"].replace("\\", "/")).stem.lower()
        side, view = cells["ImageLateralityFinal"].upper(), cells["ViewPosition"].upper()
        kind = cells["FinalImageType"].lower().replace("-", "")
        if not name or kind not in ("2d", *_REFUSED):
            said = f"anon_dicom_path {cells['anon_dicom_path'][:80]!r}, FinalImageType {cells['FinalImageType'][:80]!r}"
            raise MammoError("table_broken", f"{where}: cannot be read: {said}", FETCH)
        told = Told(
            whole(cells["empi_anon"]), whole(cells["acc_anon"]), side if side in ("L", "R") else "",
            view if view in VIEWS else "", kind, whole(cells.get("spot_mag", "")) == "1", cells.get("ROI_coords", ""),
        )  # fmt: skip
        if found.setdefault(name, told) != told:
            raise MammoError("table_broken", f"{where}: {name} stands there twice, and differs", FETCH)
    return found

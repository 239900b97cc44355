"""CMMD: 5,202 digital pictures of 1,775 women (China), with pathology of 1,872 breasts, and a table of them.

Cui et al. 2021, "The Chinese Mammography Database (CMMD)", The Cancer Imaging Archive. The clinical table
(`CMMD_clinicaldata_revision`, as it is had in .xlsx or saved as .csv) lies anywhere below the root or in the folder
that is named by `labels`; under another name it is known by its header. What has to be known:

- A row is a breast: woman (`ID1`), side, pathology. No table names pictures: a picture's woman is in its path
  (`CMMD/D1-0001/...`) or its header, its side and view are in its header (views are codes).
- Labels: Benign and Malignant, both by biopsy, are benign and malignant. There are no normal breasts in the table. The
  other breast of a woman is often there and in no row: it is unknown, not normal.
- `subtype` is missing in all rows of the first part (D1) and in 16 of the second. Words are in upper and lower case.
- The list that the NBIA retriever writes (`metadata.csv`, known by its header) counts the pictures of each series:
  where it lies next to them, a series that came half is told.
- Pictures that were converted and tell neither side nor view are refused, but those called `D1-0001_R_MLO....png`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.reading.collection_tables import FETCH, age_of, is_count, meant, rows_of, with_header
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.known_tables import CMMD, table_missing
from mammo_tf.reading.listed_pictures import PICTURES, TABLE, WORKERS, dicom_first, facts_cells
from mammo_tf.reading.read import file_kind, inspect_file
from mammo_tf.reading.tree import files_of, listed, relative
from mammo_tf.study import Reject
from mammo_tf.study.refusals import checked_codes

TERMS = "CMMD (TCIA): CC BY 4.0"
_COLUMNS = ("ID1", "LeftRight", "Age", "number", "abnormality", "classification", "subtype")
_SERIES_LIST = ("Subject ID", "Number of Images", "File Location")
_LABELS = {"benign": "benign", "malignant": "malignant"}
_SIDES = {"l": "L", "r": "R"}
_WOMAN = re.compile(r"D[12]-\d{4}", re.IGNORECASE)
_NAMED = re.compile(r"D[12]-\d{4}.*?[-_](L|R)[-_](CC|MLO)(?![A-Z]).*", re.IGNORECASE)


class Breast(NamedTuple):
    """A row of the clinical table; `number` is how many pictures there are of the breast."""

    age: str
    number: int
    abnormality: str
    word: str
    subtype: str


class Asked(NamedTuple):
    """A picture to look at, and what its path tells; "" for what it does not."""

    path: Path
    woman: str
    side: str
    view: str


Side = tuple[str, str]  # woman and L or R


def rows(root: Path, labels: str | Path | None = None, accept: Sequence[str] = ()) -> Iterator[dict[str, Any] | Reject]:
    """Manifest rows of the pictures that are there, and rejects.

    The extra columns are `abnormality`, `subtype` and `collection_label`.

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
    tables = _tables(searched)
    if not tables:
        remedy = "It is CMMD_clinicaldata_revision.xlsx, or the same as .csv; --labels DIR"
        raise table_missing(root if labels is None else labels, searched, "cmmd", remedy)
    breasts = _breasts(tables[0])
    lists = with_header(files, _SERIES_LIST)
    series = [one for path in lists for one in _series(path)]
    yield from rejects
    asked = []
    for path in dicom_first(files):
        place = relative(path, root)
        if path in tables or path in lists:
            yield Reject(place, "table", TABLE)
        elif path.suffix.lower() not in PICTURES:
            yield Reject(place, "not_in_table", "not a picture")
        else:
            asked.append(_asked(path, place))
    there: Counter[Side] = Counter()
    for one in _looked_at(asked, breasts, root, codes):
        if isinstance(one, dict):
            there[one["patient_id"], one["laterality"]] += 1
        yield one
    for (woman, side), breast in breasts.items():
        if there[woman, side] < breast.number:
            missing = f"{there[woman, side]} of its {breast.number} pictures are there"
            yield Reject(f"{woman}/{side}", "file_missing", missing)
    yield from _half_series(series, [one.path for one in asked], root)


def _asked(path: Path, place: str) -> Asked:
    women = [match[0].upper() for part in PurePosixPath(place).parts if (match := _WOMAN.match(part))]
    named = _NAMED.match(path.stem)
    side, view = (named[1].upper(), named[2].upper()) if named else ("", "")
    return Asked(path, women[-1] if women else "", side, view)


def _looked_at(
    asked: Sequence[Asked], breasts: Mapping[Side, Breast], root: Path, codes: tuple[str, ...]
) -> Iterator[dict[str, Any] | Reject]:
    seen: dict[tuple[str, str, str], str] = {}
    women = {woman for woman, _ in breasts}
    ages = {woman: breast.age for (woman, _), breast in breasts.items()}
    inspect = partial(inspect_picture, accept=codes)
    for one, found in each_file(inspect, asked, WORKERS, "reading headers", "picture"):
        place = relative(one.path, root)
        if isinstance(found, MammoError):
            yield Reject.of(place, found, one.path)
            continue
        woman, facts = found
        key = (woman, facts.laterality, facts.view)
        if woman not in women:
            yield Reject(place, "not_in_table", "no table of the collection names its woman")
        elif key in seen:
            yield Reject(place, "duplicate", f"the same woman, side and view as {seen[key]}")
        else:
            seen[key] = place
            yield _row(place, key, breasts.get(key[:2]), ages[woman], facts)


def inspect_picture(asked: Asked, accept: tuple[str, ...] = ()) -> tuple[str, Facts]:
    """Woman and facts of a picture, which the judgements `accept` do not refuse; runs in a worker process.

    Raises:
        MammoError: `laterality_missing` for a picture without a header whose name does not tell; those of
            `inspect_file`.
    """
    path, woman, side, view = asked
    facts = inspect_file(path, laterality=side or None, view=view or None, accepted=accept)
    if not (facts.laterality and facts.view):
        sentence = "a converted picture whose name tells neither side nor view"
        raise MammoError("laterality_missing", sentence, "Take the DICOM files, or name it D1-0001_R_MLO.png")
    if not woman and file_kind(path) == "dicom":
        with refusals(path), open_dicom(path) as file:
            woman = file.header.text("PatientID").strip().upper()
    return woman, facts


def _row(place: str, key: tuple[str, str, str], breast: Breast | None, age: str, facts: Facts) -> dict[str, Any]:
    woman, side, view = key
    return {
        "image_id": "_".join(key),
        "patient_id": woman,
        "exam_id": woman,
        "laterality": side,
        "view": view,
        "modality": "FFDM",
        "label": "" if breast is None else _LABELS[breast.word.lower()],
        "age": age,
        **facts_cells(facts, place),
        "abnormality": "" if breast is None else breast.abnormality,
        "subtype": "" if breast is None else breast.subtype,
        "collection_label": "" if breast is None else breast.word,
        "terms": TERMS,
        "warnings": "; ".join(facts.warnings),
    }


def _tables(files: Sequence[Path]) -> list[Path]:
    """The clinical table, and copies of it; what is called so comes first."""
    named = [path for path in files if re.fullmatch(r"CMMD_clinicaldata.*\.(csv|xlsx)", path.name, re.IGNORECASE)]
    return [*named, *(path for path in with_header(files, CMMD) if path not in named)]


def _breasts(path: Path) -> dict[Side, Breast]:
    """The rows of the clinical table by woman and side.

    Raises:
        MammoError: `table_broken`; those of `rows_of`.
    """
    found: dict[Side, Breast] = {}
    for where, cells in rows_of(path, _COLUMNS):
        woman, side = cells["ID1"].upper(), meant(cells["LeftRight"], _SIDES, where, "LeftRight")
        if not _WOMAN.fullmatch(woman) or not is_count(cells["number"].removesuffix(".0")):
            said = f"ID1 {cells['ID1'][:80]!r}, number {cells['number'][:80]!r}"
            raise MammoError("table_broken", f"{where}: cannot be read: {said}", FETCH)
        meant(cells["classification"], _LABELS, where, "classification")
        breast = Breast(age_of(cells["Age"], where), int(cells["number"].removesuffix(".0")), cells["abnormality"],
                        cells["classification"], cells["subtype"])  # fmt: skip
        if found.setdefault((woman, side), breast) != breast:
            raise MammoError("table_broken", f"{where}: {woman} {side} stands there twice, and differs", FETCH)
    return found


def _series(path: Path) -> list[tuple[str, int]]:
    """Folder and number of pictures of each series, by the NBIA retriever's list."""
    found = []
    for where, cells in rows_of(path, _SERIES_LIST):
        place, number = cells["File Location"].replace("\\", "/").removeprefix("./"), cells["Number of Images"]
        if not is_count(number):
            raise MammoError("table_broken", f"{where}: Number of Images {number[:80]!r} is not a number", FETCH)
        if _WOMAN.fullmatch(cells["Subject ID"]):
            found.append((place, int(number)))
    return found


def _half_series(series: Sequence[tuple[str, int]], pictures: Sequence[Path], root: Path) -> Iterator[Reject]:
    """A reject for each series of which pictures are missing, told by the last two folders of its path."""
    there = Counter(PurePosixPath(relative(path, root)).parts[-3:-1] for path in pictures)
    for place, number in series:
        found = there[PurePosixPath(place).parts[-2:]]
        if found < number:
            yield Reject(place, "file_missing", f"{found} of the series' {number} pictures are there")

"""Workbooks as tests of collections need them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pydicom
import pytest

from mammo_tf import reading
from mammo_tf.reading import collections

LINK = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
Rows = Sequence[Sequence[str]]


def _sheet(rows: Rows) -> str:
    cells = ("".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row) for row in rows)
    return f"<worksheet><sheetData>{''.join(f'<row>{row}</row>' for row in cells)}</sheetData></worksheet>"


def _write(path: Path, sheets: Mapping[str, Rows]) -> None:
    listed = "".join(f'<sheet name="{name}" r:id="r{name}"/>' for name in sheets)
    targets = "".join(f'<Relationship Id="r{name}" Target="{name}.xml"/>' for name in sheets)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", f"<workbook {LINK}><sheets>{listed}</sheets></workbook>")
        archive.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{targets}</Relationships>")
        for name, rows in sheets.items():
            archive.writestr(f"xl/{name}.xml", _sheet(rows))


@pytest.fixture
def write_workbook():
    """Writes a workbook: `write_workbook(path, {sheet: rows of texts})`."""
    return _write


@pytest.fixture
def implant_is_let_in() -> Callable[..., None]:
    """Checks a picture of a collection whose header tells of an implant: refused, let in where it is asked, said so."""

    def check(name: str, root: Path, image: str) -> None:
        table, _ = collections.collect(name, root)
        path = root / table.set_index("image_id")["path"][image]
        header = pydicom.dcmread(path)
        header.BreastImplantPresent = "YES"
        header.save_as(path)
        table, rejects = collections.collect(name, root)
        assert image not in set(table["image_id"])
        assert path.relative_to(root).as_posix() in {one.path for one in rejects if one.code == "implant"}
        table, rejects = collections.collect(name, root, accept=["implant"])
        rows = table.set_index("image_id")
        assert rows["accepted"][image] == "implant"
        assert "accepted: implant" in rows["warnings"][image] and "implant" not in {one.code for one in rejects}
        if rows["modality"][image] != "DBT":
            assert reading.read_row(rows.loc[image].to_dict(), root).facts.accepted == ("implant",)

    return check

"""Workbooks as tests of collections need them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

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

"""Workbooks as spreadsheet programs write them, and what is none."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.study import workbook
from mammo_tf.study.workbook import sheet_rows

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
BOOK = f"""<workbook {MAIN} xmlns:r="{LINKS}"><sheets><sheet name="Notes" sheetId="1" r:id="rId1"/>
<sheet name="all" sheetId="2" r:id="rId2"/></sheets></workbook>"""
RELATIONS = """<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Target="/xl/worksheets/sheet2.xml"/>
</Relationships>"""
TEXTS = f"""<sst {MAIN}><si><t>name</t></si><si><r><t>two </t></r><r><t>runs</t></r><rPh><t>no</t></rPh></si></sst>"""
SHEET = f"""<worksheet {MAIN}><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="inlineStr"><is>
<t>age</t></is></c></row><row r="2"/><row r="4">
<c r="B4" t="s"><v>1</v></c><c r="C4"><v>61</v></c><c r="AA4" t="str"><v>far</v></c>
</row></sheetData></worksheet>"""


def _write(path: Path, **parts: str) -> Path:
    whole = {"xl/workbook.xml": BOOK, "xl/_rels/workbook.xml.rels": RELATIONS, "xl/sharedStrings.xml": TEXTS,
             "xl/worksheets/sheet1.xml": SHEET.replace("61", "62"), "xl/worksheets/sheet2.xml": SHEET}  # fmt: skip
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (whole | {f"xl/worksheets/{name}.xml": text for name, text in parts.items()}).items():
            archive.writestr(name, text)
    return path


def test_cells_stand_where_they_say_they_do(tmp_path: Path) -> None:
    rows = sheet_rows(_write(tmp_path / "a.xlsx"), "ALL")
    assert [number for number, _ in rows] == [1, 4]
    assert {len(cells) for _, cells in rows} == {27}
    assert rows[0][1][:3] == ["name", "", "age"]
    assert rows[1][1][:3] == ["", "two runs", "61"]
    assert rows[1][1][26] == "far"
    assert sheet_rows(tmp_path / "a.xlsx")[1][1][2] == "62", "the first sheet, without a name"
    assert sheet_rows(tmp_path / "a.xlsx", "gone")[1][1][2] == "62"


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        (SHEET.replace("</sheetData>", ""), "mismatched tag"),
        (SHEET.replace("<v>1</v>", "<v>7</v>"), "list index out of range"),
        (SHEET.replace("AA4", "ZZZ4"), "more than 1000 columns"),
    ],
)
def test_what_is_no_workbook_is_one_line(sheet: str, message: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.xlsx", sheet1=sheet)
    with pytest.raises(MammoError, match=message) as caught:
        sheet_rows(path)
    assert caught.value.code == "workbook_broken"


def test_a_sheet_that_is_not_linked_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "BOOK", BOOK.replace("rId1", "rId9"))
    with pytest.raises(MammoError, match="rId9"):
        sheet_rows(_write(tmp_path / "a.xlsx"))


def test_a_part_that_unpacks_to_too_much_and_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "a.xlsx")
    (tmp_path / "half.xlsx").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(MammoError, match="not a zip file"):
        sheet_rows(tmp_path / "half.xlsx")
    monkeypatch.setattr(workbook, "LARGEST_BYTES", 100)
    with pytest.raises(MammoError, match="unpacks to"):
        sheet_rows(path)

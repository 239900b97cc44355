"""Tables in workbooks (.xlsx, Office Open XML), cell by cell as text: what spreadsheets of public collections are.

A workbook is a ZIP archive of XML parts; a cell names its place (`B7`), and holds a number, an inline text, or the
number of a text in `xl/sharedStrings.xml`. Formulas are their last value. Styles are not read, so dates are numbers of
days.
"""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

from mammo_tf.errors import MammoError

LARGEST_BYTES = 200_000_000  # of a part, unpacked
MOST_COLUMNS = 1000
# What damaged archives and XML raise.
BROKEN = (
    OSError, EOFError, RuntimeError, ValueError, LookupError, OverflowError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, ElementTree.ParseError, ExpatError,
)  # fmt: skip
_CELL = re.compile(r"([A-Z]{1,3})[0-9]+")
_SAVE = "Save it as CSV with commas, UTF-8"


def sheet_rows(path: str | Path, sheet: str = "") -> list[tuple[int, list[str]]]:
    """The rows of a sheet that are not empty, with their numbers from 1; all have as many cells as the longest.

    Args:
        path: of the workbook.
        sheet: its name, whatever its case; the first where "" or where no sheet is called so.

    Raises:
        MammoError: `workbook_broken` for what is no workbook, is damaged, or unpacks to more than `LARGEST_BYTES`.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            part = _sheet_part(archive, sheet)
            texts = _texts(archive)
            rows = list(_rows(_xml(archive, part), texts))
    except BROKEN as error:
        sentence = f"{path} cannot be read as a workbook: {error}"
        raise MammoError("workbook_broken", sentence, f"Fetch it again, or {_SAVE[0].lower()}{_SAVE[1:]}") from error
    width = max((len(cells) for _, cells in rows), default=0)
    return [(number, cells + [""] * (width - len(cells))) for number, cells in rows if any(map(str.strip, cells))]


def _xml(archive: zipfile.ZipFile, part: str) -> ElementTree.Element:
    size = archive.getinfo(part).file_size
    if size > LARGEST_BYTES:
        raise ValueError(f"{part} unpacks to {size} bytes")
    with archive.open(part) as stream:
        return ElementTree.fromstring(stream.read(LARGEST_BYTES + 1))


def _name(element: ElementTree.Element) -> str:
    """The tag without its namespace, of which there are two (transitional and strict)."""
    return element.tag.rpartition("}")[2]


def _children(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (child for child in element.iter() if _name(child) == name)


def _sheet_part(archive: zipfile.ZipFile, sheet: str) -> str:
    """The part of a sheet by its name, else that of the first."""
    sheets = list(_children(_xml(archive, "xl/workbook.xml"), "sheet"))
    named = [one for one in sheets if sheet and one.get("name", "").strip().lower() == sheet.lower()] or sheets[:1]
    links = [value for key, value in named[0].attrib.items() if "}" in key and key.rpartition("}")[2] == "id"]
    targets = {one.get("Id"): one.attrib["Target"] for one in _xml(archive, "xl/_rels/workbook.xml.rels")}
    target = targets[links[0]]
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _texts(archive: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in archive.namelist():
        return []
    return [_text(one) for one in _children(_xml(archive, "xl/sharedStrings.xml"), "si")]


def _text(element: ElementTree.Element) -> str:
    """The text of an item, of several runs or of one; how it is pronounced (`rPh`) is left out."""
    if _name(element) == "t":
        return element.text or ""
    return "".join(_text(child) for child in element if _name(child) != "rPh")


def _rows(sheet: ElementTree.Element, texts: list[str]) -> Iterator[tuple[int, list[str]]]:
    number = 0
    for row in _children(sheet, "row"):
        number = int(row.get("r", number + 1))
        cells: list[str] = []
        for cell in (child for child in row if _name(child) == "c"):
            place = _CELL.fullmatch(cell.get("r", ""))
            column = _column(place[1]) if place else len(cells)
            if column >= MOST_COLUMNS:
                raise ValueError(f"row {number} has more than {MOST_COLUMNS} columns")
            cells += [""] * (column + 1 - len(cells))
            cells[column] = _value(cell, texts)
        yield number, cells


def _column(letters: str) -> int:
    column = 0
    for letter in letters:
        column = 26 * column + ord(letter) - ord("A") + 1
    return column - 1


def _value(cell: ElementTree.Element, texts: list[str]) -> str:
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return "".join(_text(child) for child in cell if _name(child) == "is")
    stored = next((child.text or "" for child in cell if _name(child) == "v"), "")
    if kind == "s" and stored:
        return texts[int(stored)]
    return "" if kind == "e" else stored

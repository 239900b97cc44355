"""Tables of collections, CSV (packed or not) or workbook: found by name or by header, faults told by file and row."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mammo_tf.errors import MammoError
from mammo_tf.study.cells import RANGES
from mammo_tf.study.table import each_csv_row
from mammo_tf.study.workbook import sheet_rows

FETCH = "Fetch the table again"
_HEADER_CHARACTERS = 1 << 16
Meant = TypeVar("Meant")


def is_table(path: Path) -> bool:
    """Whether a file is called as a table that is read here: .csv, .csv.gz, .xlsx."""
    return path.name.lower().endswith((".csv", ".csv.gz", ".xlsx")) and not path.name.startswith(("~$", "."))


def header_of(path: Path) -> list[str]:
    """The names in a table's first row, blanks and line breaks in them as one blank; none where it cannot be read."""
    try:
        if path.suffix.lower() == ".xlsx":
            return [_one_line(cell) for cell in next(iter(sheet_rows(path)), (0, []))[1]]
        packed = path.suffix.lower() == ".gz"
        with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig", newline="") as stream:
            lines = iter(
                lambda: stream.readline(_HEADER_CHARACTERS), ""
            )  # a file without a line break is not read whole
            return [_one_line(cell) for cell in next(csv.reader(lines), [])]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error, MammoError):
        return []


def with_header(files: Sequence[Path], columns: Sequence[str]) -> list[Path]:
    """Those of the files that are tables whose header has all of these columns."""
    return [path for path in files if is_table(path) and set(columns) <= set(header_of(path))]


def rows_of(path: Path, columns: Sequence[str], sheet: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands (for messages), and its cells by column (as `header_of` names them), without blanks around.

    Args:
        path: of the table.
        columns: that it must have.
        sheet: of a workbook, as for `sheet_rows`.

    Raises:
        MammoError: `table_broken` without one of the columns, without a row, or with a column twice; those of
            `each_csv_row` and `sheet_rows`.
    """
    rows = iter(sheet_rows(path, sheet)) if path.suffix.lower() == ".xlsx" else each_csv_row(path, f"no table {path}")
    header = [_one_line(name) for name in next(rows, (0, []))[1]]
    doubled = next((name for name in header if name and header.count(name) > 1), "")
    if doubled:
        raise MammoError("table_broken", f"{path} has the column {doubled!r} twice: another release?", FETCH)
    missing = [name for name in columns if name not in header]
    if missing:
        raise MammoError("table_broken", f"{path} has no column {missing[0]!r}: another release?", FETCH)
    wanted = [place for place, name in enumerate(header) if name]
    number = 0
    for number, cells in rows:
        yield f"{path}, row {number}", {header[place]: cells[place].strip() for place in wanted}
    if not number:
        raise MammoError("table_broken", f"{path} has no rows", FETCH)


def _one_line(name: str) -> str:
    return " ".join(name.split())


def meant(cell: str, words: Mapping[str, Meant], where: str, column: str) -> Meant:
    """What a word of a table stands for; `words` in lower case.

    Raises:
        MammoError: `table_broken` for a word that is not known.
    """
    if cell.lower() not in words:
        known = ", ".join(word or "nothing" for word in words)
        raise MammoError("table_broken", f"{where}: {column} {cell[:80]!r} is unknown", f"Known are {known}; {FETCH}")
    return words[cell.lower()]


def whole(cell: str) -> str:
    """A number that a program wrote as a decimal one, `61.0`, as it was: `61`; any other cell as it is."""
    number, dot, zeros = cell.partition(".")
    return number if dot and number.isdecimal() and not zeros.strip("0") else cell


def age_of(cell: str, where: str) -> str:
    """An age in years, `61` or `61.0`, or "" where it is not known.

    Raises:
        MammoError: `table_broken`.
    """
    age = whole(cell)
    if age and age.strip("0") and not possible_age(age):
        raise MammoError("table_broken", f"{where}: the age {cell[:80]!r} is not a number of years", FETCH)
    return possible_age(age)


def possible_age(cell: str) -> str:
    """An age in whole years, or "" where it cannot be; 0 is what programs write where they do not know it."""
    low, high = RANGES["age"]
    return str(int(cell)) if is_count(cell) and low <= int(cell) <= high else ""


def is_count(cell: str) -> bool:
    """Whether a cell is a whole number, of so many digits as a number of things has."""
    return re.fullmatch(r"[0-9]{1,9}", cell) is not None

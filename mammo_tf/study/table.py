"""CSV files of other people, read strictly: what does not fit is told, not guessed."""

from __future__ import annotations

import csv
import gzip
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pandas as pd

from mammo_tf.errors import MammoError

SHORT_NAMES = {name: f"{name}_id" for name in ("patient", "image", "exam", "pair", "breast")}
FEW = 1000  # words of a column that are looked for among its cells
Said = TypeVar("Said")
csv.field_size_limit(2**31 - 1)  # a contour of many points is one field


def by_full_name(said: Mapping[str, Said], option: str) -> dict[str, Said]:
    """What an option says of our columns, by their full names: `patient` is `patient_id`.

    Raises:
        MammoError: `option_wrong` if it says two things of one column.
    """
    named: dict[str, Said] = {}
    for ours, meant in said.items():
        full = SHORT_NAMES.get(ours, ours)
        if full in named:
            short = next(short for short, long in SHORT_NAMES.items() if long == full)
            sentence = f"{option} names one column twice: {short} and {full} are one"
            raise MammoError("option_wrong", sentence, "Leave one of them out")
        named[full] = meant
    return named


def read_table(
    path: str | Path, missing: str, remedy: str = "", separator: str = ","
) -> tuple[pd.DataFrame, list[int]]:
    """All cells as text, and the number of each row in the file.

    Args:
        path: CSV with a header, UTF-8.
        missing, remedy: what is said where it is not there.
        separator: of its fields.

    Raises:
        MammoError: as `each_csv_row`.
    """
    (_, header), *rows = each_csv_row(path, missing, remedy, separator)
    return pd.DataFrame([row for _, row in rows], columns=header, dtype="str"), [line for line, _ in rows]


def text_columns(path: str | Path, missing: str, remedy: str = "") -> tuple[pd.DataFrame, array[int]]:
    """All cells as text, and the number of each row in the file: `read_table` of a table that may be large.

    Arguments and errors as `each_csv_row`.
    """
    rows = each_csv_row(path, missing, remedy)
    _, header = next(rows)
    columns: list[list[str]] = [[] for _ in header]
    lines = array("q")
    words: list[dict[str, str]] = [{} for _ in header]
    for line, row in rows:
        lines.append(line)
        for column, known, cell in zip(columns, words, row, strict=True):
            column.append(_one(known, cell))
    columns.reverse()
    cells = {name: pd.Series(columns.pop(), dtype="str") for name in header}
    return pd.DataFrame(cells, columns=header, copy=False), lines


def shared(cells: Iterable[str]) -> Iterator[str]:
    """The cells of a column; where few words stand again and again, each is held once."""
    known: dict[str, str] = {}
    return (_one(known, cell) for cell in cells)


def _one(known: dict[str, str], cell: str) -> str:
    return known.setdefault(cell, cell) if len(known) < FEW else known.get(cell, cell)


def each_csv_row(
    path: str | Path, missing: str, remedy: str = "", separator: str = ","
) -> Iterator[tuple[int, list[str]]]:
    """The header of a CSV file in UTF-8, then its rows, with their numbers in the file; empty lines count.

    Rows come as they are read, so that the largest table needs no memory. Columns that have neither a name nor a cell,
    as spreadsheets leave them, are left out.

    Args:
        path: of the file; one that ends in `.gz` is unpacked as it is read.
        missing, remedy: what is said where it is not there.
        separator: of its fields.

    Raises:
        MammoError: `file_missing`; `not_a_file` for a folder, a device or a pipe; `csv_broken` for another encoding or
            separator, a broken quote, or a row with more or fewer fields than the header (a decimal comma makes one
            more); `column_twice`; `column_unnamed`.
    """
    path = Path(path)
    if not path.is_file():
        if path.exists():
            sentence = f"{path} is {'a folder' if path.is_dir() else 'a device or a pipe'}, not a table"
            raise MammoError("not_a_file", sentence, "Name the CSV file itself")
        raise MammoError("file_missing", missing, remedy)
    try:
        packed = path.suffix.lower() == ".gz"
        with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, strict=True, delimiter=separator)
            header = _header(next(rows, []), path)
            named = [place for place, name in enumerate(header) if name]
            yield 1, [header[place] for place in named]
            for line, row in enumerate(rows, 2):
                if row:
                    _check_row(row, header, f"{path}, row {line}")
                    yield line, row if len(named) == len(header) else [row[place] for place in named]
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, EOFError, zlib.error) as error:
        sentence = f"{path} is not a CSV file in UTF-8: {error}"
        raise MammoError("csv_broken", sentence, "Save it as CSV with commas, UTF-8") from error


def _header(row: list[str], path: Path) -> list[str]:
    header = [name.strip() for name in row]
    if len(header) == 1 and any(separator in header[0] for separator in ";\t|"):
        raise MammoError("csv_broken", f"{path} has another separator than the comma", "Save it with commas")
    doubled = sorted({column for column in header if column and header.count(column) > 1})
    if doubled:
        raise MammoError("column_twice", f"{path} has the column {doubled[0]!r} twice", "Leave one of them out")
    return header


def _check_row(row: list[str], header: list[str], where: str) -> None:
    if len(row) != len(header):
        sentence = f"{where}: {len(row)} fields, the header has {len(header)}"
        raise MammoError("csv_broken", sentence, "Numbers have a decimal point; text with a comma stands in quotes")
    told = [place for place, name in enumerate(header) if not name and row[place].strip()]
    if told:
        sentence = f"{where}: column {min(told) + 1} has a value and no name"
        raise MammoError("column_unnamed", sentence, "Name it in the first row, or remove it")

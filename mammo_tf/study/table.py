"""CSV files of other people, read strictly: what does not fit is told, not guessed."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pandas as pd

from mammo_tf.errors import MammoError

SHORT_NAMES = {name: f"{name}_id" for name in ("patient", "image", "exam", "pair", "breast")}
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
        MammoError: as `csv_rows`.
    """
    header, lines, rows = _read_rows(path, missing, remedy, separator)
    return pd.DataFrame(rows, columns=header, dtype="str"), lines


def csv_rows(path: str | Path, missing: str, remedy: str = "") -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header of a CSV file with commas in UTF-8, and its rows with their numbers in the file; empty lines count.

    Args:
        path: of the file; one that ends in `.gz` is unpacked as it is read.
        missing, remedy: what is said where it is not there.

    Raises:
        MammoError: `file_missing`, `csv_broken` for another encoding or separator, a broken quote, or a row with more
            or fewer fields than the header (a decimal comma makes one more); `column_twice`; `column_unnamed`.
    """
    header, lines, rows = _read_rows(path, missing, remedy)
    return header, list(zip(lines, rows, strict=True))


def _read_rows(
    path: str | Path, missing: str, remedy: str, separator: str = ","
) -> tuple[list[str], list[int], list[list[str]]]:
    """The header, the number of each row in the file, and the rows; arguments and errors as `csv_rows`."""
    path = Path(path)
    if not path.is_file():
        raise MammoError("file_missing", missing, remedy)
    try:
        packed = path.suffix.lower() == ".gz"
        with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig", newline="") as stream:
            header, *rows = list(csv.reader(stream, strict=True, delimiter=separator)) or [[]]
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile, EOFError, zlib.error) as error:
        sentence = f"{path} is not a CSV file in UTF-8: {error}"
        raise MammoError("csv_broken", sentence, "Save it as CSV with commas, UTF-8") from error
    header = [name.strip() for name in header]
    if len(header) == 1 and any(separator in header[0] for separator in ";\t"):
        raise MammoError("csv_broken", f"{path} has another separator than the comma", "Save it with commas")
    doubled = sorted({column for column in header if column and header.count(column) > 1})
    if doubled:
        raise MammoError("column_twice", f"{path} has the column {doubled[0]!r} twice", "Leave one of them out")
    lines = [line for line, row in enumerate(rows, 2) if row]
    rows = [row for row in rows if row]
    if set(map(len, rows)) - {len(header)}:
        line, row = next((line, row) for line, row in zip(lines, rows, strict=True) if len(row) != len(header))
        sentence = f"{path}, row {line}: {len(row)} fields, the header has {len(header)}"
        raise MammoError("csv_broken", sentence, "Numbers have a decimal point; text with a comma stands in quotes")
    if not all(header):
        header, rows = _named(header, lines, rows, path)
    return header, lines, rows


def _named(header: list[str], lines: list[int], rows: list[list[str]], path: Path) -> tuple[list[str], list[list[str]]]:
    """Without columns that have neither a name nor a cell, as spreadsheets leave them."""
    unnamed = {place for place, name in enumerate(header) if not name}
    for line, row in zip(lines, rows, strict=True):
        told = [place for place in unnamed if row[place].strip()]
        if told:
            sentence = f"{path}, row {line}: column {min(told) + 1} has a value and no name"
            raise MammoError("column_unnamed", sentence, "Name it in the first row, or remove it")
    named = [place for place in range(len(header)) if place not in unnamed]
    return [header[place] for place in named], [[row[place] for place in named] for row in rows]

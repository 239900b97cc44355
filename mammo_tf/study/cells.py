"""Cells of a user's table as values: known words, numbers in their range, places inside the data root, findings.

Whatever reads a table of images asks here first, so that a cell is told by file, row, column and value while the user
still knows the table, and nothing of it fails later.
"""

from __future__ import annotations

import math
import os.path
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.study.findings import findings_from_json
from mammo_tf.study.refusals import accepted_cell

LABELS = ("normal", "benign", "high_risk", "malignant")
SPLITS = ("train", "validation", "test")
VIEWS = (
    "CC",
    "MLO",
    "ML",
    "LM",
    "LMO",
    "XCCL",
    "XCCM",
    "FB",
    "SIO",
    "ISO",
    "AT",
    "CV",
)
WORDS: Mapping[str, tuple[str, ...]] = {
    "label": LABELS,
    "laterality": ("L", "R"),
    "view": VIEWS,
    "modality": ("FFDM", "S2D", "FILM", "DBT"),
    "density": ("A", "B", "C", "D"),
    "split": SPLITS,
    "presentation_intent": ("for_presentation", "for_processing"),
}
RANGES: Mapping[str, tuple[float, float]] = {
    "age": (1, 130),  # 0 is what programs write where they do not know it
    "spacing_row_mm": (0.001, 10),
    "spacing_column_mm": (0.001, 10),
    "months_to_diagnosis": (0, 1200),
}
COUNTED = ("frame", "slab", "series")  # whole numbers from 1 on
YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}  # of an age as DICOM writes it, 053Y
MISSING = ("nan", "NaN", "NaT", "<NA>")  # what programs write where there is nothing
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_AGE_STRING = re.compile(r"([0-9]{1,3})([YMWD])", re.IGNORECASE)


def check_cells(table: pd.DataFrame, lines: Sequence[int], path: Path, words: Mapping[str, Sequence[str]]) -> None:
    """Holds every cell of a table to its column, and writes numbers in one way, in place.

    Args:
        table: cells as text, empty where nothing is known; columns that are not known here are left alone.
        lines: number of each row in the file.
        path: of the file, for messages.
        words: what a column may say.

    Raises:
        MammoError: `value_unknown`, `number_expected`, `number_range`, `path_outside`, `findings_broken`; each names
            file, row, column and value.
    """
    checks: dict[str, Callable[[str], str]] = {
        **{column: _one_of(column, known) for column, known in words.items()},
        **{column: _number_of(column) for column in RANGES},
        **{column: _counted(column) for column in COUNTED},
        "path": _inside,
        "stored_bits": stored_bits,
        "accepted": accepted_cell,
        "findings": _findings,
    }
    for column in [name for name in checks if name in table]:
        cells = []
        for line, cell in zip(lines, table[column], strict=True):
            try:
                cells.append(checks[column](cell) if cell.strip() else "")
            except MammoError as error:
                raise MammoError(error.code, f"{path}, row {line}: {error.sentence}", error.remedy) from error
        table[column] = pd.Series(cells, index=table.index, dtype="str")


def check_identifiers(table: pd.DataFrame, columns: Sequence[str], lines: Sequence[int], where: str) -> None:
    """Refuses identifiers that are one of `MISSING`: they would make one of strangers.

    Args:
        table: cells as text.
        columns: of identifiers; those that the table has not are left out.
        lines: number of each row in the file.
        where: what messages call the table.

    Raises:
        MammoError: `value_missing`, naming row, column and value.
    """
    for column in [name for name in columns if name in table]:
        missing = table[column].isin(MISSING).to_numpy()
        if missing.any():
            place = int(missing.argmax())
            cell = table[column].iloc[place]
            sentence = f"{where}, row {lines[place]}: {column} {cell!r} is what programs write for a missing value"
            raise MammoError("value_missing", sentence, "Write what it is, or leave the cell empty")


def _one_of(column: str, known: Sequence[str]) -> Callable[[str], str]:
    def check(cell: str) -> str:
        if cell not in known:
            remedy = f"Known are {', '.join(known)}, or nothing"
            raise MammoError("value_unknown", f"{column} {cell[:80]!r} is unknown", remedy)
        return cell

    return check


def _number_of(column: str) -> Callable[[str], str]:
    return lambda cell: repr(number_of(column, cell))


def number_of(column: str, cell: str) -> float:
    """The number in a cell of one of the columns in `RANGES`; an age may be an age string of DICOM (`053Y`, `018M`).

    Raises:
        MammoError: `number_expected`, `number_range`.
    """
    text, (low, high) = cell.strip(), RANGES[column]
    aged = _AGE_STRING.fullmatch(text) if column == "age" else None
    if aged:
        number = int(aged[1]) * YEARS[aged[2].upper()]
    elif _NUMBER.fullmatch(text):
        number = float(text)
    else:
        comma = _NUMBER.fullmatch(text.replace(",", ".", 1))
        remedy = "Write it with a decimal point" if comma else "Write the number alone, or leave the cell empty"
        raise MammoError("number_expected", f"{column} {cell[:80]!r} is not a number", remedy)
    if not math.isfinite(number) or not low <= number <= high:
        sentence = f"{column} {cell[:80]!r} is not within {low:g} to {high:g}"
        raise MammoError("number_range", sentence, "Correct it, or leave the cell empty")
    return number


def in_range(column: str, number: float | None) -> float | str:
    """A number that a header tells, or "" where it cannot be."""
    low, high = RANGES[column]
    return number if number is not None and low <= number <= high else ""


def _counted(column: str) -> Callable[[str], str]:
    return lambda cell: counted_number(column, cell)


def counted_number(column: str, cell: str) -> str:
    """A frame, the frames of a slab, or a series, counted from 1; errors `number_expected`, `number_range`."""
    found = re.fullmatch(r"([0-9]{1,9})(\.0*)?", cell.strip())
    remedy = "Frames are counted from 1"
    if found is None:
        raise MammoError("number_expected", f"{column} {cell[:80]!r} is not a whole number", remedy)
    if int(found[1]) < 1:
        raise MammoError("number_range", f"{column} {cell[:80]!r} is not a {column}", remedy)
    return str(int(found[1]))


def stored_bits(cell: str) -> str:
    """Of how many bits the values of a picture are, 1 to 16; errors `value_unknown`."""
    text = cell.strip().removesuffix(".0")
    if not (text.isdecimal() and 1 <= int(text) <= 16):
        remedy = "Write the bits of a pixel's value, such as 12, or nothing"
        raise MammoError("value_unknown", f"stored_bits {cell[:80]!r} is not a whole number from 1 to 16", remedy)
    return str(int(text))


def leaves_root(place: str) -> bool:
    """Whether a path of a table points out of the data root: absolute (of any system), or up by `..`."""
    if PurePosixPath(place).is_absolute() or PureWindowsPath(place).drive or place.startswith("\\"):
        return True
    return any(os.path.normpath(text).split("/")[0] == ".." for text in (place, place.replace("\\", "/")))


def _inside(cell: str) -> str:
    if leaves_root(cell):
        raise outside(f"path {cell[:80]!r}")
    _nameable(f"path {cell[:80]!r}", cell)
    return cell


def _findings(cell: str) -> str:
    for finding in findings_from_json(cell):
        if finding.mask is not None and leaves_root(finding.mask):
            raise outside(f"findings: mask {finding.mask!r}")
        if finding.mask is not None:
            _nameable(f"findings: mask {finding.mask[:80]!r}", finding.mask)
    return cell


def outside(what: str) -> MammoError:
    """The error for a path that leaves the data root."""
    return MammoError("path_outside", f"{what} leaves the data root", "Write paths relative to the root, inside it")


def _nameable(what: str, place: str) -> None:
    """Refuses what no file can be called: a path with a NUL byte, or of names that are too long."""
    if "\0" in place or max((len(part.encode()) for part in place.split("/")), default=0) > 255 or len(place) > 4000:
        raise MammoError("value_unknown", f"{what} is no name of a file", "Correct the path")

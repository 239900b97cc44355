"""Files that cannot be used, each with its reason."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mammo_tf.files import atomic_path

UNFORESEEN = "unforeseen"
TOLD = 200  # characters of a fault's message


class Reject(NamedTuple):
    """A file that was seen and cannot be used: its path, a short stable code, and the reason in words."""

    path: str
    code: str
    reason: str


def unforeseen(place: str, path: str | Path, error: Exception) -> Reject:
    """A fault that nobody foresaw, as the reject of the one file that it happened to.

    Args:
        place: the reject's path.
        path: of the file; left out of the message.
        error: its type and at most 200 characters of its message are told.

    Raises:
        MemoryError: where that is what OpenCV's own error says; `guard` tells it.
    """
    if "Insufficient memory" in str(error):
        raise MemoryError(str(error)) from error
    words = " ".join(str(error).replace(str(path), "").split())[:TOLD]
    return Reject(place, UNFORESEEN, f"{type(error).__name__}: {words}")


def write_rejects(rejects: Iterable[Reject], path: str | Path) -> int:
    """Writes `rejects.csv` (UTF-8, columns path, code, reason, sorted by path) and returns how many there are."""
    rows = sorted(rejects)
    with atomic_path(path) as beside:
        pd.DataFrame(rows, columns=list(Reject._fields)).to_csv(beside, index=False)
    return len(rows)


def kept_rejects(path: str | Path, named: Collection[str]) -> list[Reject]:
    """What stays of a `rejects.csv` when it is written anew: rows of files that are not among those looked at now.

    Args:
        path: the file. One that is not there, is no CSV file in UTF-8, or has other columns gives nothing, and so does
            a row that is not whole: a list that someone else left there must not end the work.
        named: paths looked at now, as its column `path` writes them.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            header, *rows = csv.reader(stream, strict=True)
    except (OSError, ValueError, csv.Error):  # ValueError: an empty file, or bytes that are no UTF-8
        return []
    if tuple(header) != Reject._fields:
        return []
    return [Reject(*row) for row in rows if len(row) == len(Reject._fields) and row[0] not in named]

"""The manifest: one row for one image. Its columns are the contract between every room."""

from __future__ import annotations

import csv
import hashlib
import io
import os.path
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_path
from mammo_tf.study.cells import RANGES, WORDS, check_cells, check_identifiers, leaves_root, outside
from mammo_tf.study.table import shared, text_columns

NUMBERS = tuple(RANGES)
IDENTIFIERS = ("image_id", "patient_id", "exam_id", "pair_id")
COLUMNS = (
    "image_id", "patient_id", "exam_id", "pair_id", "laterality", "view", "modality", "label", "age", "density",
    "manufacturer", "site", "spacing_row_mm", "spacing_column_mm", "path", "frame", "split", "findings",
)  # fmt: skip
REQUIRED = ("image_id", "patient_id", "label", "path")
UNLABELLED = -1
TOGETHER = 1000  # rows that are written at once


def make_manifest(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A manifest from rows; what a row does not say is unknown, extra keys become extra columns.

    Text columns are `str` with "" for unknown, `NUMBERS` are float64 with NaN for unknown.
    """
    return _with_all_columns(pd.DataFrame([dict(row) for row in rows]))


def _with_all_columns(table: pd.DataFrame) -> pd.DataFrame:
    for column in COLUMNS:
        if column not in table:
            table[column] = np.nan if column in NUMBERS else ""
    for column in table.columns:
        if column in NUMBERS:
            table[column] = pd.to_numeric(table[column].replace("", np.nan)).astype("float64")
        else:
            known = table[column].astype("object").where(table[column].notna(), "")
            table[column] = pd.Series(list(shared(map(_text, known))), index=table.index, dtype="str")
    extra = [column for column in table.columns if column not in COLUMNS]
    return pd.DataFrame({column: table[column] for column in (*COLUMNS, *extra)}, copy=False)


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Reads and checks a manifest; columns as `make_manifest` gives them, identifiers without blanks around them.

    Raises:
        MammoError: `file_missing`, `csv_broken`, `column_missing`, `column_twice`, `manifest_empty`,
            `value_missing`, `image_id_twice`, those of `check_cells`; each names the line of the file.
    """
    path = Path(path)
    table, lines = text_columns(path, f"the manifest {path} is not there")
    missing = [column for column in REQUIRED if column not in table]
    if missing:
        raise MammoError(
            "column_missing",
            f"{path} has no column {missing[0]!r}",
            f"A manifest needs {', '.join(REQUIRED)}; see docs/manifest.md",
        )
    if table.empty:
        raise MammoError("manifest_empty", f"{path} has no rows")
    for column in [name for name in IDENTIFIERS if name in table]:
        table[column] = table[column].str.strip()
    check_identifiers(table, IDENTIFIERS, lines, str(path))
    _check_required(table, lines, path)
    check_cells(table, lines, path, WORDS)
    return _with_all_columns(table)


def _check_required(table: pd.DataFrame, lines: Sequence[int], path: Path) -> None:
    for column in REQUIRED:
        empty = np.flatnonzero(table[column].str.strip() == "")
        if len(empty) and column != "label":
            raise MammoError("value_missing", f"{path}, row {lines[empty[0]]}: {column} is empty")
    doubled = np.flatnonzero(table["image_id"].duplicated())
    if len(doubled):
        raise MammoError(
            "image_id_twice",
            f"{path}, row {lines[doubled[0]]}: image_id {table['image_id'].iloc[doubled[0]]!r} stands there twice",
        )


def write_manifest(table: pd.DataFrame, path: str | Path) -> None:
    """Writes a manifest as CSV in UTF-8; reading it back gives what was written."""
    with atomic_path(path) as beside:
        texts = table.select_dtypes(exclude="number")
        if any(column.str.contains("\r").any() for _, column in texts.items()):  # unquoted it would end its row
            table.to_csv(beside, index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)
        else:
            table.to_csv(beside, index=False, lineterminator="\n")


def table_digest(table: pd.DataFrame) -> str:
    """SHA-256 of a table as CSV, which is made and forgotten a piece at a time."""
    found = _Digested()
    table.to_csv(found, index=False, chunksize=TOGETHER)
    return found.sha256.hexdigest()


class _Digested(io.TextIOBase):
    """A text of which only a digest is kept."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, text: str) -> int:
        self.sha256.update(text.encode())
        return len(text)


def resolve_path(row_path: str, root: str | Path) -> Path:
    """The file of a row: `path` is relative to the data root (by default the folder of the manifest).

    A link inside the root may lead anywhere: whoever may write into the root decides what it holds.

    Raises:
        MammoError: `path_outside` for a path that is absolute or goes up by `..` out of the root.
    """
    if leaves_root(row_path):
        raise outside(f"path {row_path!r}")
    return Path(root) / os.path.normpath(row_path)


def truth(
    manifest: pd.DataFrame, positives: Iterable[str] = ("malignant", "high_risk"), column: str = "label"
) -> np.ndarray:
    """1 where a row counts as positive, 0 where it does not, `UNLABELLED` where it does not tell; int64 `[rows]`.

    Args:
        manifest: rows.
        positives: values that count as positive.
        column: where they stand: `label`, `density`, or any other column of the manifest.

    Raises:
        MammoError: `column_missing`; `value_unknown` where a positive is no value of a column whose values are fixed.
    """
    if column not in manifest:
        known = ", ".join(map(str, manifest.columns))
        raise MammoError("column_missing", f"the manifest has no column {column!r}", f"It has {known}")
    wanted = set(positives)
    allowed = WORDS.get(column, ())
    unknown = sorted(wanted - set(allowed)) if allowed else []
    if unknown:
        sentence = f"positive {column} {unknown[0]!r} is unknown"
        raise MammoError("value_unknown", sentence, f"Known are {', '.join(allowed)}")
    values = ["" if pd.isna(value) else str(value) for value in manifest[column]]
    return np.array([UNLABELLED if value == "" else int(value in wanted) for value in values], dtype=np.int64)


def positive(labels: Iterable[str], positives: Iterable[str] = ("malignant", "high_risk")) -> np.ndarray:
    """1 where a label counts as positive, else 0; int64. As `truth`, for labels that are all known.

    Raises:
        MammoError: `label_missing` where a label is empty; `value_unknown` where a positive is not a label.
    """
    found = truth(pd.DataFrame({"label": list(labels)}, dtype="str"), positives)
    if (found == UNLABELLED).any():
        raise MammoError("label_missing", f"image {int((found == UNLABELLED).argmax())} of {len(found)} has no label")
    return found

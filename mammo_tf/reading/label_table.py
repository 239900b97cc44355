"""A hospital's table of labels: a row a file, in its own columns and words or in ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.fields import nearest
from mammo_tf.study import COLUMNS
from mammo_tf.study.cells import RANGES, WORDS, check_cells, check_identifiers
from mammo_tf.study.table import by_full_name, read_table

IDENTIFIERS = ("image_id", "patient_id", "exam_id", "pair_id")
Values = Mapping[str, Mapping[str, str]]


def read_labels(
    path: str | Path, columns: Mapping[str, str] | None = None, values: Values | None = None
) -> dict[str, dict[str, str]]:
    """What a table says, by path: the cells that are not empty, by column.

    Args:
        path: CSV with commas and a header, UTF-8.
        columns: what our columns are called in the file, such as `{"label": "pathologie", "path": "datei"}`; `patient`,
            `exam`, `image`, `pair` stand for `patient_id` and so on. The file's own column stays next to ours, but not
            where it names people.
        values: by our column, what the file's words mean: `{"label": {"B": "benign", "M": "malignant"}}`. A word that
            is not mapped must be one of ours.

    Raises:
        MammoError: `file_missing`, `unreadable`, `csv_broken`, `column_twice`, `column_unknown`, `column_missing`,
            `option_wrong` where two names mean one column, `path_twice`, `image_id_twice`; `value_unknown`, also for
            what `values` maps to; those of `check_identifiers` and `check_cells`.
    """
    path = Path(path)
    try:
        stored, lines = read_table(path, f"the table {path} is not there")
    except OSError as error:
        raise MammoError("unreadable", f"the table {path} cannot be read: {error.strerror}") from None
    table = _in_our_columns(stored.apply(lambda column: column.str.strip()), path, columns or {})
    if "path" not in table:
        remedy = f"It names each file, relative to the root; the table has {', '.join(map(str, stored))}"
        raise MammoError("column_missing", f"{path} has no column 'path'", f"{remedy}, --columns path=NAME takes one")
    table["path"] = [place.replace("\\", "/").removeprefix("./") for place in table["path"]]
    for column, meant in by_full_name(values or {}, "--values").items():
        _translate(table, column, meant, path)
    check_identifiers(table, IDENTIFIERS, lines, str(path))
    _check_names(table, lines, path)
    try:
        check_cells(table, lines, path, WORDS)
    except MammoError as error:
        if error.code != "value_unknown":
            raise
        raise MammoError(error.code, error.sentence, f"{error.remedy}; --values maps others") from error
    rows = [{str(name): cell for name, cell in row.items() if cell} for row in table.to_dict("records")]
    return {row.pop("path"): row for row in rows}


def _in_our_columns(stored: pd.DataFrame, path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    table = stored.copy()
    named = by_full_name(columns, "--columns")
    for ours, theirs in named.items():
        known = [*COLUMNS, *(name for name in RANGES if name not in COLUMNS)]
        if ours not in known:
            remedy = nearest(ours, known) or f"Known are {', '.join(known)}"
            raise MammoError("column_unknown", f"--columns names {ours!r}, which no manifest has", remedy)
        if theirs not in stored:
            has = ", ".join(map(str, stored))
            raise MammoError("column_missing", f"{path} has no column {theirs!r}", f"It has {has}")
        table[ours] = stored[theirs]
    hidden = {theirs for ours, theirs in named.items() if ours in (*IDENTIFIERS, "path")} - {*named, *IDENTIFIERS}
    return table.drop(columns=sorted(hidden))


def _translate(table: pd.DataFrame, column: str, meant: Mapping[str, str], path: Path) -> None:
    if column not in table:
        remedy = f"Say which it is with --columns {column}=..."
        raise MammoError("column_missing", f"{path} has no column {column!r} for --values", remedy)
    known = WORDS.get(column)
    for theirs, ours in meant.items():
        if known and ours not in ("", *known):
            remedy = nearest(ours, known) or f"Known are {', '.join(known)}"
            raise MammoError("value_unknown", f"--values {column}={theirs}:{ours}: {ours!r} is unknown", remedy)
    table[column] = [meant.get(cell, cell) for cell in table[column]]


def _check_names(table: pd.DataFrame, lines: list[int], path: Path) -> None:
    for line, place in zip(lines, table["path"], strict=True):
        if not place:
            raise MammoError("path_twice", f"{path}, row {line}: the path is empty")
    for column, code in (("path", "path_twice"), ("image_id", "image_id_twice")):
        if column not in table:
            continue
        twice = table[column].duplicated() & (table[column] != "")
        if twice.any():
            place = int(twice.to_numpy().argmax())
            raise MammoError(
                code, f"{path}, row {lines[place]}: {column} {table[column].iloc[place]!r} stands there twice"
            )

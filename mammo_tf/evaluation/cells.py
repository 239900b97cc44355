"""Cells of other people's tables as labels and scores; one that is neither is told with its row and what to write."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError

WORDS = {"true": "1", "false": "0"}
SHOWN = 4  # values of a column that a message lists
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+%?")
_PERCENT = re.compile(r"[+-]?\d*[.,]?\d+\s*%")


def label_numbers(cells: pd.Series, where: str, lines: Sequence[int]) -> NDArray[np.int64]:
    """0 or 1 of every cell, int64 `[n]`; `true` and `false` are taken in any case.

    Args:
        cells: text or numbers.
        where: what messages call the table.
        lines: the row of each cell in the file.

    Raises:
        MammoError: `label_wrong`.
    """
    text = cells.astype(str).str.strip()
    values = list(text.unique())
    known = pd.to_numeric(pd.Series([WORDS.get(value.casefold(), value) for value in values]), errors="coerce")
    numbers = text.map(dict(zip(values, known, strict=True)))
    wrong = np.flatnonzero(~numbers.isin((0, 1)))
    if len(wrong):
        counts = text.value_counts()
        held = ", ".join(f"{value!r} ({count})" for value, count in counts.iloc[:SHOWN].items())
        more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
        remedy = f"Write 1 for positive and 0 for negative in a column, and name it; here stand {held}{more}"
        sentence = f"{where}, row {lines[wrong[0]]}: label {text.iloc[wrong[0]]!r} is not 0 or 1"
        raise MammoError("label_wrong", sentence, remedy)
    return numbers.to_numpy(np.int64)


def score_numbers(cells: pd.Series, where: str, lines: Sequence[int]) -> NDArray[np.float64]:
    """A finite number of every cell, float64 `[n]`; arguments as `label_numbers`.

    Raises:
        MammoError: `score_wrong`.
    """
    text = cells.astype(str).str.strip()
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        cell = text.iloc[wrong[0]]
        sentence = f"{where}, row {lines[wrong[0]]}: score {cell!r} is not a finite number"
        raise MammoError("score_wrong", sentence, number_remedy(cell) or "Score the image, or leave its row out")
    return numbers


def number_remedy(cell: str) -> str:
    """What to write in place of a number with a decimal comma or a percent sign; empty for anything else."""
    plain = cell.replace(",", ".")
    if _PERCENT.fullmatch(cell):
        share = float(plain.rstrip("% \t")) / 100
        return f"Write {share:.9g} for {cell!r} in all rows: a decimal point and no percent sign"
    if _DECIMAL_COMMA.fullmatch(cell):
        return f"Write {plain} for {cell!r} in all rows: a decimal point"
    return ""

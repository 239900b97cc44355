"""One woman in two splits: rows whose numbers agree, whatever the patient is called and however they were rounded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.patients.table import PatientTable

AGREEING = 0.8  # of the columns: from here on two rows are one woman's
MANY = 20  # columns: from here on agreement may be rough
FEWEST = 0.2  # of the columns: as many must be told of both
ROUGH, FINE = 0.05, 0.005  # of the spread of a column, between its quartiles


def check_patients_once(table: PatientTable) -> None:
    """Refuses patients of two splits whose rows hold the same numbers.

    Numbers agree within a twentieth of their column's spread, or a two hundredth where there are few columns; rows are
    one woman's where four fifths of the columns agree that both tell, filled views aside, and that are a fifth of all
    or more. Two women agree in three of a hundred columns or so.

    Args:
        table: patients of all splits.

    Raises:
        MammoError: `patient_split`.
    """
    scaled, told, tolerance = _scaled(table)
    fewest = max(FEWEST * scaled.shape[1], 1)
    for split in dict.fromkeys(table.splits.tolist()):
        if not split:
            continue
        others = np.flatnonzero((table.splits != split) & (table.splits != ""))
        for row in np.flatnonzero(table.splits == split):
            both = told[others] & told[row]
            agree = (np.abs(scaled[others] - scaled[row]) <= tolerance) & both
            counts = both.sum(axis=1)
            share = np.where(counts >= fewest, agree.sum(axis=1) / np.maximum(counts, 1), 0.0)
            if len(others) and share.max() >= AGREEING:
                _refuse(table, int(row), int(others[share.argmax()]))


def _scaled(table: PatientTable) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    """Columns as multiples of their spread, those that have one; which the table tells; how near is near."""
    values = table.values
    quartiles = np.nanpercentile(values, [25, 75], axis=0) if len(values) else np.zeros((2, values.shape[1]))
    spread = quartiles[1] - quartiles[0]
    informative = np.isfinite(spread) & (spread > 0)
    scaled = values[:, informative] / spread[informative]
    tolerance = ROUGH if informative.sum() >= MANY else FINE
    return np.nan_to_num(scaled), table.told[:, informative], tolerance


def _refuse(table: PatientTable, row: int, other: int) -> None:
    who, whom = str(table.patients[row]), str(table.patients[other])
    named = f"patient {who!r} is" if who == whom else f"patients {who!r} and {whom!r} have the same numbers, and are"
    sentence = f"{named} in {table.splits[row]} and in {table.splits[other]}"
    raise MammoError("patient_split", sentence, "Leave the patient out of one of them")

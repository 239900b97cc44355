"""The same picture under two names: it is one image, whatever the manifest says of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.near_copies import near_copies, split_line
from mammo_tf.records.index import Records

COLUMNS = {  # in which equal pictures should be alike, and what is said where they are not
    "split": "in more than one split: what is measured there was seen in training",
    "patient_id": "of more than one patient",
    "image_id": "the same under more than one name",
}


def same_pictures(
    pictures: Sequence[Hashable] | NDArray[Any],
    columns: Mapping[str, Sequence[Hashable] | NDArray[Any]],
    row: Callable[[int], Mapping[str, Any]],
) -> list[str]:
    """Lines about pictures that stand in several rows: of two splits, of two patients, or at all.

    Args:
        pictures: of each row what tells its prepared picture from others; what is false is not compared.
        columns: what each row says in each of `COLUMNS`, or what tells that from others; what is false is not known.
        row: gives a row by its number.
    """
    which = _numbered(pictures)
    places = np.flatnonzero(which >= 0)
    places = places[np.bincount(which[places])[which[places]] > 1]
    lines = []
    for column, what in COLUMNS.items():
        torn = _torn(which[places], _numbered(columns[column])[places])
        if len(torn):
            names = " and ".join(str(row(int(at))["path"]) for at in places[which[places] == torn[0]][:2])
            counted = "1 picture is" if len(torn) == 1 else f"{len(torn)} pictures are"
            lines.append(f"{counted} {what}, first {names}; leave all but one out of the manifest")
        places = places[~np.isin(which[places], torn)]
    return lines


def _numbered(values: Sequence[Hashable] | NDArray[Any]) -> NDArray[np.int64]:
    """Equal numbers for equal values, in the order in which they come first; -1 for what is false."""
    listed = values if isinstance(values, np.ndarray) else np.asarray(values, np.object_)
    numbers, found = pd.factorize(listed, use_na_sentinel=False)
    known = np.array([bool(value) for value in found], np.bool_)
    return np.where(known[numbers], numbers, -1).astype(np.int64) if len(listed) else numbers


def _torn(groups: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The groups with more than one value that is known, in their order."""
    pairs = np.unique(np.column_stack([groups, values])[values >= 0], axis=0)
    found, times = np.unique(pairs[:, 0], return_counts=True)
    return found[times > 1]


def copies_in_splits(records: Records) -> str:
    """A line about pictures that look the same and stand in different splits, but for those that are equal.

    "" where there are none, and for records of earlier versions, which have no fingerprints.
    """
    if not records.fingerprints:
        return ""
    rows = records.rows[["image_id", "split"]].to_dict("records")
    found = near_copies(records.fingerprints, [str(row["split"]) for row in rows], records.pictures)
    return split_line(found, [{str(key): value for key, value in row.items()} for row in rows])


def check_same_pictures(records: Records) -> None:
    """Refuses records in which the same picture stands in two splits.

    Raises:
        MammoError: `picture_in_two_splits`.
    """
    columns = {column: records.rows[column].to_numpy(np.object_) for column in COLUMNS}
    for line in same_pictures(records.pictures, columns, lambda at: {"path": records.rows["path"].iloc[at]}):
        if "in more than one split" in line:
            sentence, _, remedy = line.partition("; ")
            raise MammoError("picture_in_two_splits", sentence, remedy.capitalize())

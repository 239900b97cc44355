"""The same picture under two names: it is one image, whatever the manifest says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.imaging.near_copies import near_copies, split_line
from mammo_tf.records.index import Records


def same_pictures(rows: Sequence[Mapping[str, Any]], pictures: Sequence[str]) -> list[str]:
    """Lines about pictures that stand in several rows: of two splits, of two patients, or at all.

    Args:
        rows: of the manifest.
        pictures: of each row what tells its prepared picture from others; "" for one that is not compared.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row, picture in zip(rows, pictures, strict=True):
        if picture:
            groups.setdefault(picture, []).append(row)
    doubled = [group for group in groups.values() if len(group) > 1]
    kinds = (
        ("split", "in more than one split: what is measured there was seen in training"),
        ("patient_id", "of more than one patient"),
        ("image_id", "the same under more than one name"),
    )
    lines = []
    for column, what in kinds:
        torn = [group for group in doubled if len({row[column] for row in group if row[column]}) > 1]
        doubled = [group for group in doubled if group not in torn]
        if torn:
            names = " and ".join(str(row["path"]) for row in torn[0][:2])
            counted = "1 picture is" if len(torn) == 1 else f"{len(torn)} pictures are"
            lines.append(f"{counted} {what}, first {names}; leave all but one out of the manifest")
    return lines


def copies_in_splits(records: Records) -> str:
    """A line about pictures that look the same and stand in different splits, but for those that are equal.

    "" where there are none, and for records of earlier versions, which have no fingerprints.
    """
    if not records.fingerprints:
        return ""
    rows = [{str(key): value for key, value in row.items()} for row in records.rows.to_dict("records")]
    found = near_copies(records.fingerprints, [str(row["split"]) for row in rows], records.pictures)
    return split_line(found, rows)


def check_same_pictures(records: Records) -> None:
    """Refuses records in which the same picture stands in two splits.

    Raises:
        MammoError: `picture_in_two_splits`.
    """
    rows = records.rows.to_dict("records")
    placed = [{str(key): value for key, value in row.items()} for row in rows]
    for line in same_pictures(placed, records.pictures):
        if "in more than one split" in line:
            sentence, _, remedy = line.partition("; ")
            raise MammoError("picture_in_two_splits", sentence, remedy.capitalize())

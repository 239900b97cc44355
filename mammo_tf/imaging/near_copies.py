"""The same picture in another file: resized, windowed anew, compressed, turned left to right. Told by fingerprints.

`records.doubles` finds prepared pictures that are equal to the last bit; here they need only look the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.fingerprint import BREASTS, BYTES, NOT_COMPARED, near_pairs, of_other_groups

REMEDY = (
    "Look at them (mammo-tf inspect --report), leave one of each out, or give both women one patient_id and split "
    "again; pictures that differ after all are let in by --set preparation.accept_copies=true"
)


class NearCopy(NamedTuple):
    """Two pictures that look the same: positions of their rows, and how far they are apart (0 to 0.5)."""

    first: int
    second: int
    distance: float


def near_copies(fingerprints: Sequence[str], groups: Sequence[str], pictures: Sequence[str] = ()) -> list[NearCopy]:
    """Pictures of different groups that look the same, the nearest first.

    Args:
        fingerprints: of each picture, hexadecimal; "" for one that is not compared, as is one of 0 alone.
        groups: of each picture, its split or its patient; one of "" is not compared.
        pictures: of each what tells equal pictures; pairs of equal ones are left out (`records.doubles` tells them),
            and what looks like them is paired with at most one of two groups, however many they are.
    """
    return copies_of_groupings(bits_of(fingerprints), [groups], pictures)[0]


def copies_of_groupings(
    bits: NDArray[np.uint8], groupings: Sequence[Sequence[str]], pictures: Sequence[str] = ()
) -> list[list[NearCopy]]:
    """What `near_copies` gives for each of several groupings; pictures are compared once for all of them.

    Fingerprints are given as bits, uint8 `[n, 2, 64]`, as `bits_of` makes them: they take half the memory.
    """
    told = np.asarray(bits.any(axis=(1, 2)))
    by_grouping = []
    for groups in groupings:
        known = [at for at, (has, group) in enumerate(zip(told, groups, strict=True)) if has and group]
        by_grouping.append(_few_of_equal(known, groups, pictures) if pictures else known)
    places = sorted({at for known in by_grouping for at in known})
    if not places:
        return [[] for _ in groupings]
    numbers = np.full((len(told), len(groupings)), NOT_COMPARED)
    for column, (known, groups) in enumerate(zip(by_grouping, groupings, strict=True)):
        numbers[known, column] = np.unique([groups[at] for at in known], return_inverse=True)[1]
    compared = numbers[places]
    pairs, apart = near_pairs(bits if len(places) == len(bits) else bits[places], compared)
    other = of_other_groups(compared[pairs[:, 0]], compared[pairs[:, 1]])
    found = [
        NearCopy(places[one], places[other], float(far))
        for (one, other), far in zip(pairs.tolist(), apart, strict=True)
    ]
    alike = [bool(pictures) and _equal(pictures[pair.first], pictures[pair.second]) for pair in found]
    return [
        [pair for pair, differs, equal in zip(found, column, alike, strict=True) if differs and not equal]
        for column in other.T
    ]


def _few_of_equal(positions: Sequence[int], groups: Sequence[str], pictures: Sequence[str]) -> list[int]:
    """Of equal pictures the first of each of two groups: whatever looks like them is of another group than one is."""
    kept: list[int] = []
    seen: dict[str, set[str]] = {}
    for at in positions:
        known = seen.setdefault(pictures[at], set())
        if not pictures[at] or (len(known) < 2 and groups[at] not in known):
            known.add(groups[at])
            kept.append(at)
    return kept


def _equal(one: str, other: str) -> bool:
    """Whether two pictures are known to be equal; "" is not known."""
    return one != "" and one == other


def bits_of(fingerprints: Sequence[str]) -> NDArray[np.uint8]:
    """Hexadecimal fingerprints as bits, uint8 `[n, 2, 64]`; 0 for one that is ""."""
    nothing = bytes(BREASTS * BYTES).hex()
    return np.frombuffer(bytes.fromhex("".join(text or nothing for text in fingerprints)), np.uint8).reshape(
        -1, BREASTS, BYTES
    )


def split_line(copies: Sequence[NearCopy], rows: Sequence[Mapping[str, Any]]) -> str:
    """A line about pictures that look the same and stand in different splits; "" for none."""
    if not copies:
        return ""
    first, second = (rows[at] for at in copies[0][:2])
    names = [f"{row['image_id']} ({row['split']})" for row in (first, second)]
    return f"{_pairs(len(copies))} and {_stand(len(copies))} in different splits, first {names[0]} and {names[1]}"


def patient_line(copies: Sequence[NearCopy], rows: Sequence[Mapping[str, Any]]) -> str:
    """A line about pictures that look the same and are of different patients; "" for none."""
    if not copies:
        return ""
    names = [rows[at]["image_id"] for at in copies[0][:2]]
    return f"{_pairs(len(copies))} and {_are(len(copies))} of different patients, first {names[0]} and {names[1]}"


def _pairs(number: int) -> str:
    return "1 pair of pictures looks the same" if number == 1 else f"{number} pairs of pictures look the same"


def _stand(number: int) -> str:
    return "stands" if number == 1 else "stand"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def copy_lines(rows: Sequence[Mapping[str, Any]], bits: NDArray[np.uint8], pictures: Sequence[str]) -> list[str]:
    """What is to be said of pictures that look the same: those of two splits, else those of two patients.

    Args:
        rows: of the manifest.
        bits, pictures: as for `copies_of_groupings`.
    """
    groupings = [[str(row.get(column) or "") for row in rows] for column in ("split", "patient_id")]
    of_splits, of_patients = copies_of_groupings(bits, groupings, pictures)
    told = {pair[:2] for pair in of_splits}
    others = [pair for pair in of_patients if pair[:2] not in told]
    return [line for line in (split_line(of_splits, rows), patient_line(others, rows)) if line]

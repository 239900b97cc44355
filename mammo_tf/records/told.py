"""What the shards of records tell of all their pictures together, a few numbers a picture.

Names, patients and pictures are held as 64 bits of a hash: two of a million are taken for the same in one
archive of 37 million. The words that a line needs are read from the record of its picture.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.fingerprint import BREASTS, BYTES
from mammo_tf.imaging.near_copies import copy_lines
from mammo_tf.imaging.off_the_picture import question_lines
from mammo_tf.reading import doubts
from mammo_tf.records.doubles import COLUMNS, same_pictures
from mammo_tf.records.example import decode_marks
from mammo_tf.records.index import payload_at
from mammo_tf.study import Reject

NOTHING = 0  # the mark of ""
Marks = NDArray[np.uint64]  # of each picture
Row = dict[str, Any]


def _mark(text: Any) -> int:
    """64 bits that stand for a text; `NOTHING` for one that is empty or not known."""
    if not text:
        return NOTHING
    return int.from_bytes(hashlib.blake2b(str(text).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


class Told:
    """Collects what shards tell, one after the other.

    Attributes:
        images: how many pictures there are.
        rejects: files that could not be used.
    """

    def __init__(self, folder: Path) -> None:
        self.images = 0
        self.rejects: list[Reject] = []
        self._folder = folder
        self._shards: list[tuple[int, str]] = []  # of each the number of its first picture
        self._offsets = array("Q")
        self._pictures = array("Q")
        self._marks = {column: array("Q") for column in COLUMNS}
        self._with_pattern = array("Q")  # pictures that have a fingerprint
        self._fingerprints = bytearray()
        self._warnings: Counter[tuple[str, ...]] = Counter()

    def add(self, name: str, part: Mapping[str, Any]) -> None:
        """What the next shard tells."""
        self._shards.append((self.images, name))
        self.rejects += [Reject(*reject) for reject in part["rejects"]]
        for example in part["examples"]:
            self._offsets.append(example["location"][0])
            self._pictures.append(_mark(example["picture"]))
            for column, marks in self._marks.items():
                marks.append(_mark(example["row"].get(column)))
            bits = bytes.fromhex(example.get("fingerprint", ""))
            if any(bits):
                self._with_pattern.append(self.images)
                self._fingerprints += bits
            if example.get("warnings"):
                self._warnings[tuple(example["warnings"])] += 1
            self.images += 1

    def remarks(self) -> list[str]:
        """What is doubtful, a line each: the same picture in several rows, and what `prepare_image` was warned of."""
        pictures = np.asarray(self._pictures, np.uint64)
        columns = {column: np.asarray(marks, np.uint64) for column, marks in self._marks.items()}
        lines = same_pictures(pictures, columns, self._row)
        places = np.asarray(self._with_pattern, np.int64)
        if len(places):
            bits = np.frombuffer(self._fingerprints, np.uint8).reshape(-1, BREASTS, BYTES)
            lines += copy_lines(_Rows(places, columns, self._row), bits, _told_apart(pictures[places]))
        for wording in (doubts, question_lines):
            lines += wording(told for told, times in self._warnings.items() for _ in range(times))
        return lines

    def _row(self, number: int) -> dict[str, Any]:
        """The row of a picture, from its record."""
        _, name = max(shard for shard in self._shards if shard[0] <= number)
        return decode_marks(payload_at(self._folder / f"{name}.tfrecord", self._offsets[number])).row


class _Rows(Sequence[Mapping[str, Any]]):
    """Rows of some pictures: one after the other they say by marks what is alike, one that is asked for says all."""

    def __init__(self, places: NDArray[np.int64], columns: Mapping[str, Marks], row: Callable[[int], Row]) -> None:
        self._places, self._columns, self._row = places, columns, row

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, number: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, number: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        if isinstance(number, slice):
            return _Rows(self._places[number], self._columns, self._row)
        return self._row(int(self._places[number]))

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for place in self._places:
            yield {column: _word(marks[place]) for column, marks in self._columns.items()}


def _word(mark: int | np.uint64) -> str:
    return f"{mark:x}" if mark else ""


def _told_apart(pictures: Marks) -> list[str]:
    """A word for each picture that stands there more than once, equal for equal ones; "" for the others."""
    _, which, times = np.unique(pictures, return_inverse=True, return_counts=True)
    return [_word(mark) if several else "" for mark, several in zip(pictures, times[which] > 1, strict=True)]

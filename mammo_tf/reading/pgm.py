"""PGM: its own head and values; white is the largest value that the head states."""

from __future__ import annotations

import re

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.layout import MOST_PIXELS
from mammo_tf.reading.picture_head import cut_short

_COMMENT = re.compile(rb"#[^\n]*")
MAGIC = (b"P5", b"P2")


def read_pgm(data: bytes) -> tuple[np.ndarray, int]:
    """The values of a PGM, uint8 or uint16 `[rows, columns]`, and the largest one that its head allows.

    Raises:
        MammoError: `truncated`, `bad_pixels`.
    """
    words: list[bytes] = []
    place = 0
    while len(words) < 4:
        while data[place : place + 1].isspace():
            place += 1
        if data[place : place + 1] == b"#":
            place = data.find(b"\n", place) + 1 or len(data)
            continue
        begin = place
        while place < len(data) and not data[place : place + 1].isspace():
            place += 1
        if begin == place:
            raise cut_short("PGM")
        words.append(data[begin:place])
    if not all(word.isdigit() and len(word) < 10 for word in words[1:]):
        raise MammoError("bad_pixels", "the PGM's head holds something that is not a number")
    columns, rows, largest = map(int, words[1:])
    if not 0 < largest < 65536 or not 0 < rows * columns <= MOST_PIXELS:
        raise MammoError("bad_pixels", f"the PGM declares {rows} x {columns} pixels up to {largest}")
    begin = place + (2 if data[place : place + 2] == b"\r\n" else 1)  # a head written with Windows' ends of lines
    values = _values(data[begin:], words[0] == b"P2", largest)
    if len(values) < rows * columns:
        raise cut_short("PGM")
    behind = b"more" if words[0] == b"P2" else data[begin + rows * columns * (1 + (largest > 255)) :]
    if len(values) > rows * columns and behind.strip():
        further = len(values) - rows * columns
        raise MammoError("bad_pixels", f"the PGM holds {further} values more than the {rows} x {columns} of its head")
    pixels = values[: rows * columns].reshape(rows, columns)
    if pixels.max() > largest or pixels.min() < 0:
        raise MammoError("bad_pixels", f"the PGM holds values beyond its largest, {largest}")
    return pixels.astype(np.uint16 if largest > 255 else np.uint8), largest


def _values(data: bytes, in_words: bool, largest: int) -> np.ndarray:
    if in_words:
        try:
            return np.array([int(word) for word in _COMMENT.sub(b" ", data).split()], dtype=np.int64)
        except (ValueError, OverflowError):
            raise MammoError("bad_pixels", "the PGM holds something that is not a number") from None
    dtype = np.dtype(">u2") if largest > 255 else np.dtype("u1")
    return np.frombuffer(data, dtype, len(data) // dtype.itemsize)

"""PGM: its own head and values; white is the largest value that the head states."""

from __future__ import annotations

import re

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.layout import MOST_PIXELS
from mammo_tf.reading.picture_head import cut_short

MAGIC = (b"P5", b"P2")
_PIECE = re.compile(rb"\s+|[^\s#]+|#[^\r\n]*")  # blanks, a word, a comment
_COMMENT = re.compile(rb"#[^\r\n]*")


def read_pgm(data: bytes) -> tuple[np.ndarray, int]:
    """The values of a PGM, uint8 or uint16 `[rows, columns]`, and the largest one that its head allows.

    Raises:
        MammoError: `truncated`; `bad_pixels`, also for bytes behind the picture; `volume` for several pictures.
    """
    words, place = _head(data)
    if not all(word.isdigit() and len(word) < 10 for word in words[1:]):
        raise MammoError("bad_pixels", "the PGM's head holds something that is not a number")
    columns, rows, largest = map(int, words[1:])
    if not 0 < largest < 65536 or not 0 < rows * columns <= MOST_PIXELS:
        raise MammoError("bad_pixels", f"the PGM declares {rows} x {columns} pixels up to {largest}")
    if words[0] == b"P2":
        values = _in_words(data[place:])
        behind = b"" if len(values) <= rows * columns else b"further values"
    else:
        values, behind = _in_bytes(data[place:], rows * columns, largest)
    if len(values) < rows * columns:
        raise cut_short("PGM")
    if behind[:2] in MAGIC:
        raise MammoError("volume", "the PGM holds several pictures", "Save one picture a file")
    if behind.strip(b"\r\n"):
        sentence = f"the PGM goes on behind its {rows} x {columns} pixels"
        raise MammoError("bad_pixels", sentence, "Save it again: its head or its values are not what they should be")
    pixels = values[: rows * columns].reshape(rows, columns)
    if pixels.max() > largest:
        raise MammoError("bad_pixels", f"the PGM holds values beyond its largest, {largest}")
    return pixels.astype(np.uint16 if largest > 255 else np.uint8), largest


def _head(data: bytes) -> tuple[list[bytes], int]:
    """The four words of the head, and the place of the blank behind them; a comment goes on to the end of its line."""
    words: list[bytes] = []
    for found in _PIECE.finditer(data):
        if found[0].startswith(b"#"):
            continue
        if len(words) == 4:
            return words, found.start()
        words += found[0].split()
    raise cut_short("PGM")


def _in_words(data: bytes) -> np.ndarray:
    words = _COMMENT.sub(b" ", data).split()
    if not all(word.isdigit() and len(word) < 10 for word in words):
        raise MammoError("bad_pixels", "the PGM holds something that is not a whole number from 0 on")
    return np.array(list(map(int, words)), dtype=np.int64)


def _in_bytes(data: bytes, pixels: int, largest: int) -> tuple[np.ndarray, bytes]:
    """Values, and what lies behind them. One blank ends the head: where a byte too many follows, both of an end of line
    as Windows writes it."""
    dtype = np.dtype(">u2") if largest > 255 else np.dtype("u1")
    size = pixels * dtype.itemsize
    begin = 2 if data[:2] == b"\r\n" and len(data) > size + 1 else 1
    stored = data[begin : begin + size]
    return np.frombuffer(stored, dtype, len(stored) // dtype.itemsize), data[begin + size :]

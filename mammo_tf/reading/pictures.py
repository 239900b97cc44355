"""PNG, TIFF and PGM: grey pictures of 8 or 16 bits, by OpenCV, without conversion."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.stored import MOST_PIXELS

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*")
_PGM = (b"P5", b"P2")
_TIFF_WIDTH, _TIFF_LENGTH = 256, 257


def picture_kind(head: bytes) -> str:
    """`png`, `tiff` or `pgm` by the first bytes of a file, "" for anything else."""
    if head.startswith(_PNG):
        return "png"
    if head.startswith(_TIFF):
        return "tiff"
    return "pgm" if head[:2] in _PGM and head[2:3].isspace() else ""


def read_picture(path: str | Path) -> np.ndarray:
    """The grey values as stored, uint8 or uint16 `[rows, columns]`.

    A PGM whose largest value is neither 255 nor 65535 is stretched to that of its type.

    Raises:
        MammoError: `truncated`, `bad_pixels`, `colour` (unless the three channels are equal), `volume` (a TIFF of
            several pages), `too_large`.
    """
    data = Path(path).read_bytes()
    kind = picture_kind(data[:16])
    if kind == "pgm":
        return _pgm(data)
    rows, columns = _png_size(data) if kind == "png" else _tiff_size(data)
    if rows * columns > MOST_PIXELS:
        raise MammoError("too_large", f"{rows} x {columns} pixels are declared, more than any mammogram has")
    if kind == "tiff" and _tiff_pages(data) > 1:
        raise MammoError("volume", "the TIFF has several pages", "Save one picture a file")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != (rows, columns):
        raise MammoError("bad_pixels", f"the {kind.upper()} cannot be decoded", "Save it again as PNG")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise MammoError("bad_pixels", f"the {kind.upper()} holds {pixels.dtype}, not 8 or 16 bits")
    return _grey(pixels)


def _grey(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    opaque = pixels.shape[2] < 4 or (pixels[..., 3] == np.iinfo(pixels.dtype).max).all()
    equal = (pixels[..., 1:3] == pixels[..., :1]).all()
    if not (opaque and equal):
        raise MammoError("colour", "the picture is in colour")
    return np.ascontiguousarray(pixels[..., 0])


def _cut_short(kind: str) -> MammoError:
    return MammoError("truncated", f"the {kind} ends too early", "Fetch the file again")


def _png_size(data: bytes) -> tuple[int, int]:
    place = len(_PNG)
    try:
        while data[place + 4 : place + 8] != b"IEND":
            (length,) = struct.unpack_from(">L", data, place)
            place += length + 12
        columns, rows = struct.unpack_from(">LL", data, 16)
    except struct.error:
        raise _cut_short("PNG") from None
    return rows, columns


def _tiff_directory(data: bytes, order: str, place: int) -> tuple[dict[int, int], int]:
    (count,) = struct.unpack_from(f"{order}H", data, place)
    values = {}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        (values[tag],) = struct.unpack_from(f"{order}H" if kind == 3 else f"{order}L", data, entry + 8)
    return values, struct.unpack_from(f"{order}L", data, place + 2 + 12 * count)[0]


def _tiff_size(data: bytes) -> tuple[int, int]:
    order = "<" if data[:2] == b"II" else ">"
    try:
        values, _ = _tiff_directory(data, order, struct.unpack_from(f"{order}L", data, 4)[0])
    except struct.error:
        raise _cut_short("TIFF") from None
    return values.get(_TIFF_LENGTH, 0), values.get(_TIFF_WIDTH, 0)


def _tiff_pages(data: bytes) -> int:
    order = "<" if data[:2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}L", data, 4)
    seen: set[int] = set()
    try:
        while place and place not in seen:
            seen.add(place)
            _, place = _tiff_directory(data, order, place)
    except struct.error:
        raise _cut_short("TIFF") from None
    return len(seen)


def _pgm(data: bytes) -> np.ndarray:
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
            raise _cut_short("PGM")
        words.append(data[begin:place])
    if not all(word.isdigit() and len(word) < 10 for word in words[1:]):
        raise MammoError("bad_pixels", "the PGM's head holds something that is not a number")
    columns, rows, largest = map(int, words[1:])
    if not 0 < largest < 65536 or not 0 < rows * columns <= MOST_PIXELS:
        raise MammoError("bad_pixels", f"the PGM declares {rows} x {columns} pixels up to {largest}")
    values = _pgm_values(data[place + 1 :], words[0] == b"P2", largest)
    if len(values) < rows * columns:
        raise _cut_short("PGM")
    pixels = values[: rows * columns].reshape(rows, columns)
    full = 65535 if largest > 255 else 255
    if pixels.max() > largest or pixels.min() < 0:
        raise MammoError("bad_pixels", f"the PGM holds values beyond its largest, {largest}")
    if largest != full:
        pixels = np.round(pixels.astype(np.float64) * full / largest)
    return pixels.astype(np.uint16 if largest > 255 else np.uint8)


def _pgm_values(data: bytes, in_words: bool, largest: int) -> np.ndarray:
    if in_words:
        try:
            return np.array([int(word) for word in data.split()], dtype=np.int64)
        except (ValueError, OverflowError):
            raise MammoError("bad_pixels", "the PGM holds something that is not a number") from None
    dtype = np.dtype(">u2") if largest > 255 else np.dtype("u1")
    return np.frombuffer(data, dtype, len(data) // dtype.itemsize)

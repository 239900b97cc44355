"""The head of a PNG: size, significant bits (sBIT), orientation (PNG 1.2 and 3.0). gAMA and colour profiles say how a
picture is to be shown, not what its values are; they are not applied."""

from __future__ import annotations

import struct

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.reading.picture_head import Head, cut_short
from mammo_tf.reading.tiff import ORIENTATION, directory

MAGIC = b"\x89PNG\r\n\x1a\n"
PALETTE = 3  # colour type


def png_head(data: bytes) -> Head:
    """What the chunks say.

    Raises:
        MammoError: `truncated`; `volume` for an animation; `colour` where a value stands for transparency.
    """
    place, chunks = len(MAGIC), {}
    try:
        while (name := data[place + 4 : place + 8]) != b"IEND":
            (length,) = struct.unpack_from(">L", data, place)
            if name != b"IDAT":
                chunks[name] = data[place + 8 : place + 8 + length]
            place += length + 12
        columns, rows, depth, colour = struct.unpack_from(">LLBB", data, 16)
    except struct.error:
        raise cut_short("PNG") from None
    if b"acTL" in chunks:
        raise MammoError("volume", "the PNG is an animation", "Save one picture a file")
    if b"tRNS" in chunks and colour != PALETTE:  # that of a palette is decoded, and the picture may be opaque
        raise MammoError("colour", "the PNG has a transparent value", "Save it without transparency")
    bits = chunks.get(b"sBIT", b"")[:1]
    stated = bits[0] if bits and depth in (8, 16) and 0 < bits[0] < depth else None
    return Head("PNG", rows, columns, max(8, depth), stated, orientation=exif_orientation(chunks.get(b"eXIf", b"")))


def exif_orientation(data: bytes) -> int:
    """Orientation of an Exif block (a TIFF without a picture), 1 where it does not tell."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return 1
    try:
        values, _ = directory(data, order, struct.unpack_from(f"{order}L", data, 4)[0])
    except struct.error:
        return 1
    return values.get(ORIENTATION, 1)


def is_spread(values: np.ndarray, bits: int) -> bool:
    """Whether values of fewer significant bits fill the whole sample, as PNG asks of a writer, or lie at its bottom.

    Spread they are shifted left, with zeros or their own first bits below, or multiplied: no other value then occurs,
    and some value is too large for so few bits.

    Args:
        values: uint8 or uint16 samples.
        bits: significant ones (sBIT), fewer than a sample has.
    """
    depth = 8 * values.dtype.itemsize
    if values.max() < 1 << bits:
        return False
    original = np.arange(1 << bits, dtype=np.int64)
    shifted = original << (depth - bits)
    repeated = np.bitwise_or.reduce([shifted >> down for down in range(0, depth, bits)])
    multiplied = np.round(original * ((1 << depth) - 1) / ((1 << bits) - 1)).astype(np.int64)
    possible = np.zeros(1 << depth, dtype=bool)
    possible[np.concatenate([shifted, repeated, multiplied])] = True
    return bool(possible[values].all())

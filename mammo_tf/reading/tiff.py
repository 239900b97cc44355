"""The head of a TIFF: size, polarity, scale, and what OpenCV's decoder takes for something else (TIFF 6.0; BigTIFF)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.picture_head import Head, cut_short

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FORMS = {1: "B", 3: "H", 4: "L", 16: "Q"}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
ORIENTATION, SAMPLES, LARGEST, CONFIGURATION, SAMPLE_FORMAT, LARGEST_TYPED = 274, 277, 281, 284, 339, 341
_COMPRESSIONS = {1: "", 2: "", 3: "", 4: "", 5: "", 6: "lossy", 7: "lossy", 8: "", 32773: "", 32946: ""}
_GREY, _SHOWN = (0, 1), (0, 1, 2, 3, 6)  # white is zero, black is zero; RGB, palette, YCbCr may be grey all the same
_DEPTHS = (1, 8, 10, 12, 14, 16)
_REDUCED, _IN_PLANES, _MOST_SAMPLES = 1, 2, 4


class _Form(NamedTuple):
    order: str
    big: bool

    def number(self, data: bytes, place: int) -> int:
        return int(struct.unpack_from(f"{self.order}{'Q' if self.big else 'L'}", data, place)[0])


def tiff_head(data: bytes) -> Head:
    """What the first directory says.

    `MaxSampleValue` states the scale where it ends a bit depth (1023, 4095, ...). By TIFF 6.0 it is for statistics, and
    many a writer notes the largest value of the picture there, which is not the scale.

    Raises:
        MammoError: `truncated`; `volume` for several pages; `colour`; `bad_pixels` for signed numbers, floats, depths
            and compressions that are not read.
    """
    form = _Form("<" if data[:2] == b"II" else ">", data[2:4] in (b"+\0", b"\0+"))
    try:
        pages = _pages(data, form)
    except (struct.error, OverflowError):
        raise cut_short("TIFF") from None
    if not pages or sum(not page.get(SUBFILE, 0) & _REDUCED for page in pages) > 1:
        raise MammoError("volume", "the TIFF has several pages", "Save one picture a file")
    first = pages[0]
    depth, warnings = first.get(BITS, 1), []
    lossy = _COMPRESSIONS.get(first.get(COMPRESSION, 1))
    if first.get(SUBFILE, 0) & _REDUCED:
        raise MammoError("bad_pixels", "the TIFF begins with a reduced picture", "Save the full one alone")
    if lossy is None:
        sentence = f"the TIFF is compressed in a way that is not read ({first[COMPRESSION]})"
        raise MammoError("bad_pixels", sentence, "Save it uncompressed, or as PNG")
    if first.get(SAMPLE_FORMAT, 1) not in (1, 4):
        raise MammoError("bad_pixels", "the TIFF holds signed numbers or floats", "Save it as whole numbers from 0 on")
    if depth not in _DEPTHS:
        raise MammoError("bad_pixels", f"the TIFF has {depth} bits a sample", "Save it with 8 or 16 bits")
    if first.get(PHOTOMETRIC, 1) not in _SHOWN:
        raise MammoError("colour", "the TIFF is in colour")
    if first.get(PHOTOMETRIC, 1) in _GREY and first.get(SAMPLES, 1) != 1:
        sentence = f"the TIFF has {first[SAMPLES]} samples a pixel, not grey alone (transparency?)"
        raise MammoError("colour", sentence, "Save it with one")
    largest = first.get(LARGEST, first.get(LARGEST_TYPED, 0))
    bits = largest.bit_length()
    stated = bits if depth == 16 and 8 <= bits <= 16 and largest == (1 << bits) - 1 else None
    if largest and not stated and largest != (1 << depth) - 1:
        warnings.append(f"MaxSampleValue {largest} ends no bit depth and is taken for a statistic, not for white")
    # OpenCV turns what has 8 bits or fewer; of more bits it hands out what is stored, those of a packed word on top.
    turned = first.get(PHOTOMETRIC, 1) == 0 and depth > 8
    planes = first.get(SAMPLES, 1) if depth > 8 and first.get(CONFIGURATION, 1) == _IN_PLANES else 1
    if not 0 < planes <= _MOST_SAMPLES:
        raise MammoError("colour", f"the TIFF has {planes} samples a pixel", "Save it with one")
    return Head(
        "TIFF", first.get(LENGTH, 0), first.get(WIDTH, 0), max(8, depth), stated, turned, bool(lossy),
        first.get(ORIENTATION, 1) or 1, tuple(warnings), planes,
    )  # fmt: skip


def _pages(data: bytes, form: _Form) -> list[dict[int, int]]:
    place = form.number(data, 8 if form.big else 4)
    pages: list[dict[int, int]] = []
    seen: set[int] = set()
    while place and place not in seen:
        seen.add(place)
        page, place = directory(data, form.order, place, form.big)
        pages.append(page)
    return pages


def directory(data: bytes, order: str, place: int, big: bool = False) -> tuple[dict[int, int], int]:
    """First value of each tag that is a whole number, and the place of the next directory (0: there is none).

    Raises:
        struct.error: where the data end before.
    """
    head, size, inline, offset = ("Q", 20, 8, "Q") if big else ("H", 12, 4, "L")
    (count,) = struct.unpack_from(f"{order}{head}", data, place)
    begin = place + struct.calcsize(f"={head}")
    if begin + count * size > len(data):
        raise struct.error
    values = {}
    for entry in range(begin, begin + size * count, size):
        tag, kind, number = struct.unpack_from(f"{order}HH{offset}", data, entry)
        at = entry + size - inline
        if number * _BYTES.get(kind, 1) > inline:
            (at,) = struct.unpack_from(f"{order}{offset}", data, at)
        if kind in _FORMS and number and tag not in values:
            (values[tag],) = struct.unpack_from(f"{order}{_FORMS[kind]}", data, at)
    return values, int(struct.unpack_from(f"{order}{offset}", data, begin + size * count)[0])

"""Samples of a TIFF that lie one plane behind the other, each as a grey TIFF of its own; and damage in deflated ones.

OpenCV's decoder takes planes of more than 8 bits for samples side by side. Of 8 bits and fewer it hands out black where
a strip or tile cannot be inflated, and says nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.reading.layout import MOST_PIXELS
from mammo_tf.reading.picture_head import Head, cut_short

_DEFLATED, _COMPRESSION = (8, 32946), 259
_LISTS = (273, 279, 324, 325)  # places and lengths of strips and tiles: those of the first plane come first
_BITS, _PHOTOMETRIC, _SAMPLES, _CONFIGURATION = 258, 262, 277, 284
_OF_SAMPLES = (280, 281, 338, 339, 340, 341)  # a value a sample; grey ones need none
_NUMBERS = {3: "H", 4: "L", 16: "Q"}
_SHORT = 3


class _Layout(NamedTuple):
    """How the numbers of a TIFF are written: byte order, and the forms of a count, an offset and a list's numbers."""

    order: str
    number: str
    offset: str
    kind: int
    first: int  # where the place of the first directory stands

    @property
    def inline(self) -> int:
        """Bytes of a field."""
        return struct.calcsize(f"={self.offset}")

    @property
    def entry(self) -> int:
        """Bytes of an entry of a directory."""
        return 4 + 2 * self.inline


class _Entry(NamedTuple):
    """An entry of a directory."""

    tag: int
    kind: int
    values: int
    field: bytes


def planes(data: bytes, head: Head) -> list[bytes]:
    """A grey TIFF for each plane.

    Args:
        data: a TIFF whose samples lie in planes.
        head: what `tiff_head` says of it.

    Raises:
        MammoError: `truncated`; `bad_pixels` where the planes are not of one kind.
    """
    layout = _layout(data)
    try:
        entries = list(_entries(data, layout))
        return [_plane(data, layout, entries, number, head) for number in range(head.planes)]
    except struct.error:
        raise cut_short("TIFF") from None


def check_deflated(data: bytes) -> None:
    """Inflates every strip or tile of a TIFF that is deflated.

    Raises:
        MammoError: `truncated`; `bad_pixels` where one is damaged.
    """
    layout = _layout(data)
    try:
        entries = {entry.tag: entry for entry in _entries(data, layout)}
        if not {_COMPRESSION, *_LISTS[:2]} <= set(entries) and not {_COMPRESSION, *_LISTS[2:]} <= set(entries):
            return
        if not set(_DEFLATED) & set(_numbers(entries[_COMPRESSION], data, layout)):
            return
        tags = _LISTS[:2] if _LISTS[0] in entries else _LISTS[2:]
        parts = list(zip(*(_numbers(entries[tag], data, layout) for tag in tags), strict=False))
    except struct.error:
        raise cut_short("TIFF") from None
    for place, length in parts:
        inflater = zlib.decompressobj()
        with suppress(zlib.error):
            inflater.decompress(data[place : place + length], 2 * MOST_PIXELS)
        if not inflater.eof:
            raise MammoError("bad_pixels", "the TIFF's deflated pixels are damaged", "Fetch the file again")


def _layout(data: bytes) -> _Layout:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    return _Layout(order, "Q", "Q", 16, 8) if big else _Layout(order, "H", "L", 4, 4)


def _entries(data: bytes, layout: _Layout) -> Iterator[_Entry]:
    """Everything in the first directory."""
    (place,) = struct.unpack_from(f"{layout.order}{layout.offset}", data, layout.first)
    (count,) = struct.unpack_from(f"{layout.order}{layout.number}", data, place)
    place += struct.calcsize(f"={layout.number}")
    form = f"{layout.order}HH{layout.offset}{layout.inline}s"
    for number in range(count):
        yield _Entry(*struct.unpack_from(form, data, place + number * struct.calcsize(form)))


def _plane(data: bytes, layout: _Layout, entries: list[_Entry], number: int, head: Head) -> bytes:
    """The file with another directory at its end, of one plane."""
    whole = data + bytes(len(data) % 2)
    grey = {_BITS: head.depth, _PHOTOMETRIC: 1, _SAMPLES: 1, _CONFIGURATION: 1}
    directory = b""
    for entry in entries:
        if entry.tag in _OF_SAMPLES:
            continue
        if entry.tag in grey:
            entry = _Entry(entry.tag, _SHORT, 1, struct.pack(f"{layout.order}H", grey[entry.tag]))
        elif entry.tag in _LISTS:
            entry = _of_plane(entry, data, layout, number, head.planes)
            if len(entry.field) > layout.inline:
                place, whole = len(whole), whole + entry.field
                entry = entry._replace(field=struct.pack(f"{layout.order}{layout.offset}", place))
        directory += struct.pack(f"{layout.order}HH{layout.offset}", entry.tag, entry.kind, entry.values)
        directory += entry.field.ljust(layout.inline, b"\0")
    begin = struct.pack(f"{layout.order}{layout.offset}", len(whole))
    count = struct.pack(f"{layout.order}{layout.number}", len(directory) // layout.entry)
    head_and_body = whole[: layout.first] + begin + whole[layout.first + layout.inline :]
    return head_and_body + count + directory + bytes(layout.inline)


def _of_plane(entry: _Entry, data: bytes, layout: _Layout, number: int, planes: int) -> _Entry:
    """A list's numbers for one plane, all of them in the field."""
    if entry.values % planes:
        raise MammoError("bad_pixels", "the TIFF's planes are not of one kind", "Save it again as PNG")
    values = _numbers(entry, data, layout)
    count = entry.values // planes
    field = struct.pack(f"{layout.order}{count}{layout.offset}", *values[number * count : (number + 1) * count])
    return _Entry(entry.tag, layout.kind, count, field)


def _numbers(entry: _Entry, data: bytes, layout: _Layout) -> tuple[int, ...]:
    """All numbers of a list, in the field or where it points to."""
    form = f"{layout.order}{entry.values}{_NUMBERS.get(entry.kind, 'L')}"
    if struct.calcsize(form) <= layout.inline:
        return struct.unpack_from(form, entry.field)
    return struct.unpack_from(form, data, struct.unpack(f"{layout.order}{layout.offset}", entry.field)[0])

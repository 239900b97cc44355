"""Damaged files by number: the same number and seed always make the same file from the same samples.

A number says which sample is taken and what happens to it. Half of what happens knows the format (elements of DICOM,
chunks of PNG with their sums put right, so that damage reaches what lies behind them), half is blind.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, PngImagePlugin

GOLDEN = Path(__file__).parent / "golden"
LARGEST_SAMPLE = 64 << 10  # bytes; larger ones are slow to read and hold nothing new
NUMBERS = (0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 4095, 32767, 32768, 65534, 65535, 1 << 24, (1 << 31) - 1, 1 << 31)
LENGTHS = (*NUMBERS, (1 << 32) - 2, (1 << 32) - 1)
WORDS = (
    b"", b"\0", b" ", b"0", b"-1", b"1e999", b"nan", b"inf", b"1\\2\\3", b"99999999999999999999", b"1e-320", b"YES",
    b"MONOCHROME1", b"PALETTE COLOR", b"RGB", b"\xff\xfe\xfd", b"L", b"R", b"MLO", b"A\\F", b"000Y", b"X\\Y",
    b"1.2.840.10008.5.1.4.1.1.13.1.3", b"1.2.840.10008.5.1.4.1.1.7.2", b"x" * 300, b"\x1b$B", b"../..", b"'\",\n\r=",
)  # fmt: skip
SYNTAXES = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203", "1.2.3",
)  # fmt: skip
REPRESENTATIONS = (b"OB", b"OW", b"SQ", b"UN", b"UT", b"US", b"SS", b"DS", b"IS", b"LO", b"UI", b"AT", b"FD", b"\0\0")
LONG_FORMS = (b"OB", b"OW", b"OD", b"OF", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV")
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
Rng = np.random.Generator
Damage = Callable[[bytearray, Rng], None]


class Sample(NamedTuple):
    """A sound (or already hostile) file: its place below the golden folder or what it is, and its bytes."""

    name: str
    data: bytes


class Element(NamedTuple):
    """Where an element of a DICOM file lies: begin, place and bytes of its length, begin of its value, end."""

    begin: int
    length_at: int
    length_bytes: int
    value: int
    end: int


@cache
def samples() -> tuple[Sample, ...]:
    """Every DICOM file of the golden folder, and pictures in each container, small."""
    files = sorted(path for path in (GOLDEN / "dicom").rglob("*") if path.suffix in (".dcm", "") and path.is_file())
    found = [Sample(path.relative_to(GOLDEN).as_posix(), path.read_bytes()) for path in files]
    return tuple(one for one in [*found, *pictures()] if len(one.data) <= LARGEST_SAMPLE)


@cache
def groups() -> tuple[tuple[Sample, ...], ...]:
    """The samples by folder, the pictures among them: each group is drawn from alike, however many it has."""
    found: dict[str, list[Sample]] = {}
    for sample in samples():
        found.setdefault(sample.name.split("/")[1] if "/" in sample.name else "", []).append(sample)
    return tuple(map(tuple, found.values()))


def pictures() -> Iterator[Sample]:
    """Little pictures of every container and compression that is read, or refused with a reason."""
    y, x = np.mgrid[:40, :32]
    grey = (np.hypot(y - 20, x) < 18) * (90 + 40 * np.sin(y * 1.3) * np.cos(x * 0.7))
    eight = Image.fromarray(grey.astype(np.uint8))
    sixteen = Image.fromarray((grey * 256).astype(np.uint16))
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a text", zip=True)
    for name, picture, options in (
        ("8.png", eight, {"pnginfo": text}), ("16.png", sixteen, {}), ("1.png", eight.convert("1"), {}),
        ("palette.png", eight.convert("P"), {"bits": 4}), ("colour.png", eight.convert("RGB"), {}),
        ("alpha.png", eight.convert("LA"), {}), ("8.tiff", eight, {}), ("16.tiff", sixteen, {}),
        ("lzw.tiff", sixteen, {"compression": "tiff_lzw"}), ("packbits.tiff", eight, {"compression": "packbits"}),
        ("deflate.tiff", sixteen, {"compression": "tiff_adobe_deflate"}),
        ("group4.tiff", eight.convert("1"), {"compression": "group4"}),
        ("jpeg.tiff", eight, {"compression": "jpeg"}), ("big.tiff", sixteen, {"big_tiff": True}),
        ("tiled.tiff", sixteen, {"tiffinfo": {322: 16, 323: 16}}), ("progressive.jpg", eight, {"progressive": True}),
        ("grey.jpg", eight, {}), ("colour.jpg", eight.convert("RGB"), {}),
        ("turned.jpg", eight, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0"}),
        ("8.pgm", eight, {}), ("16.pgm", sixteen, {}), ("colour.ppm", eight.convert("RGB"), {}),
    ):  # fmt: skip
        stream = io.BytesIO()
        kind = {"jpg": "JPEG", "tiff": "TIFF", "png": "PNG"}.get(name.rpartition(".")[2], "PPM")
        picture.save(stream, kind, **options)
        yield Sample(name, stream.getvalue())
    lines = "\n".join(" ".join(map(str, row)) for row in np.asarray(eight))
    yield Sample("plain.pgm", f"P2\n# a comment\n32 40\n255\n{lines}\n".encode())


def damaged(number: int, seed: int = 0) -> tuple[str, bytes]:
    """A sample's name and its bytes after one to four damages."""
    rng = np.random.default_rng((seed, number))
    group = groups()[rng.integers(len(groups()))]
    sample = group[rng.integers(len(group))]
    data = bytearray(sample.data)
    ways = (*BLIND, *ways_of(sample.data)) if rng.random() < 0.5 else ways_of(sample.data) or BLIND
    for _ in range(1 + min(3, int(rng.exponential(0.8)))):
        ways[rng.integers(len(ways))](data, rng)
    return sample.name, bytes(data)


def ways_of(data: bytes) -> tuple[Damage, ...]:
    """The damages that know the format of the data."""
    if data.startswith(PNG_MAGIC):
        return (png_number, png_chunks)
    if data[:2] in (b"II", b"MM"):
        return (tiff_entry,)
    if data[:1] == b"P" and data[1:2].isdigit():
        return (pgm_number,)
    if data[:2] == b"\xff\xd8":
        return (jpeg_segment,)
    return (element_length, element_twice, element_gone, elements_swapped, element_word, element_number, other_syntax,
            other_representation, pixel_fragment, element_wrapped, pixel_bytes, pixel_bytes)  # fmt: skip


def a_place(data: bytearray, rng: Rng) -> int:
    """Somewhere in the data, the first kilobyte as often as all the rest."""
    return int(rng.integers(max(1, min(len(data), 1024) if rng.random() < 0.5 else len(data))))


def flipped(data: bytearray, rng: Rng) -> None:
    for _ in range(int(rng.integers(1, 9))):
        if data:
            data[a_place(data, rng)] ^= 1 << int(rng.integers(8))


def overwritten(data: bytearray, rng: Rng) -> None:
    at, count = a_place(data, rng), int(rng.integers(1, 33))
    filling = (bytes(count), b"\xff" * count, rng.bytes(count))[rng.integers(3)]
    data[at : at + count] = filling


def cut(data: bytearray, rng: Rng) -> None:
    del data[a_place(data, rng) :]


def inserted(data: bytearray, rng: Rng) -> None:
    at = a_place(data, rng)
    data[at:at] = rng.bytes(int(rng.integers(1, 65)))


def removed(data: bytearray, rng: Rng) -> None:
    at = a_place(data, rng)
    del data[at : at + int(rng.integers(1, 65))]


def repeated(data: bytearray, rng: Rng) -> None:
    at, count = a_place(data, rng), int(rng.integers(1, 257))
    data[at:at] = data[at : at + count]


def numbered(data: bytearray, rng: Rng) -> None:
    """A whole number that is small, large or at a limit, in either order, in place of two or four bytes."""
    at, form = a_place(data, rng), ("<H", ">H", "<L", ">L")[rng.integers(4)]
    value = int(LENGTHS[rng.integers(len(LENGTHS))]) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
    packed = struct.pack(form, value)
    data[at : at + len(packed)] = packed


def spliced(data: bytearray, rng: Rng) -> None:
    """The head of one sample, the tail of another."""
    other = samples()[rng.integers(len(samples()))].data
    at = a_place(data, rng)
    data[at:] = other[at:]


BLIND: tuple[Damage, ...] = (flipped, overwritten, cut, inserted, removed, repeated, numbered, spliced)


def elements(data: bytearray) -> list[Element]:
    """Elements of the outermost level, as far as they can be told; of compressed pixels the tag alone."""
    at = 132 if data[128:132] == b"DICM" else 0
    found = []
    while at + 12 <= len(data):
        short = struct.unpack_from("<H", data, at + 6)[0]
        representation = bytes(data[at + 4 : at + 6])
        if not (representation.isalpha() and representation.isupper()):
            found.append(Element(at, at + 4, 4, at + 8, at + 8 + struct.unpack_from("<L", data, at + 4)[0]))
        elif representation in LONG_FORMS:
            found.append(Element(at, at + 8, 4, at + 12, at + 12 + struct.unpack_from("<L", data, at + 8)[0]))
        else:
            found.append(Element(at, at + 6, 2, at + 8, at + 8 + short))
        if found[-1].end > len(data):
            break
        at = found[-1].end
    return found


def an_element(data: bytearray, rng: Rng) -> Element | None:
    found = elements(data)
    return found[rng.integers(len(found))] if found else None


def element_length(data: bytearray, rng: Rng) -> None:
    one = an_element(data, rng)
    if one is not None:
        length = one.end - one.value
        value = (length + 1, length - 1, 2 * length, *LENGTHS)[rng.integers(3 + len(LENGTHS))]
        put_length(data, one, value)


def put_length(data: bytearray, one: Element, length: int) -> None:
    most = (1 << 8 * one.length_bytes) - 1
    packed = (length & most).to_bytes(one.length_bytes, "little")
    data[one.length_at : one.length_at + one.length_bytes] = packed


def element_twice(data: bytearray, rng: Rng) -> None:
    one = an_element(data, rng)
    if one is not None:
        data[one.begin : one.begin] = data[one.begin : min(one.end, one.begin + 4096)]


def element_gone(data: bytearray, rng: Rng) -> None:
    one = an_element(data, rng)
    if one is not None:
        del data[one.begin : one.end]


def elements_swapped(data: bytearray, rng: Rng) -> None:
    found = [one for one in elements(data) if one.end <= len(data)]
    if len(found) > 2:
        first, second = sorted(rng.choice(len(found), 2, replace=False))
        first, second = found[first], found[second]
        between = data[first.end : second.begin]
        data[first.begin : second.end] = (
            data[second.begin : second.end] + between + data[first.begin : first.end]
        )  # fmt: skip


def put_value(data: bytearray, one: Element, value: bytes) -> None:
    data[one.value : min(one.end, len(data))] = value
    put_length(data, one, len(value))


def element_word(data: bytearray, rng: Rng) -> None:
    one = an_element(data, rng)
    if one is not None:
        word = WORDS[rng.integers(len(WORDS))]
        put_value(data, one, word + b" " * (len(word) % 2 if rng.random() < 0.9 else 0))


def element_number(data: bytearray, rng: Rng) -> None:
    """Another whole number in an element of two or four bytes: rows, columns, bits, frames as text."""
    found = [one for one in elements(data) if one.end - one.value in (2, 4)]
    if found:
        one, value = found[rng.integers(len(found))], int(LENGTHS[rng.integers(len(LENGTHS))])
        size = one.end - one.value
        data[one.value : one.end] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def other_syntax(data: bytearray, rng: Rng) -> None:
    for one in elements(data):
        if data[one.begin : one.begin + 4] == b"\x02\x00\x10\x00":
            text = SYNTAXES[rng.integers(len(SYNTAXES))].encode()
            put_value(data, one, text + b"\0" * (len(text) % 2))
            return


def other_representation(data: bytearray, rng: Rng) -> None:
    one = an_element(data, rng)
    if one is not None:
        data[one.begin + 4 : one.begin + 6] = REPRESENTATIONS[rng.integers(len(REPRESENTATIONS))]


def pixel_fragment(data: bytearray, rng: Rng) -> None:
    """Another length of one of the items behind the pixel tag, or an item more, or one less."""
    begin = data.rfind(b"\xe0\x7f\x10\x00")
    items = []
    at = data.find(b"\xfe\xff\x00\xe0", begin)
    while begin >= 0 and at >= 0 and len(items) < 64:
        items.append(at)
        at = data.find(b"\xfe\xff\x00\xe0", at + 8)
    if not items:
        return
    at, way = items[rng.integers(len(items))], rng.integers(3)
    if way == 0:
        data[at + 4 : at + 8] = struct.pack("<L", LENGTHS[rng.integers(len(LENGTHS))] & 0xFFFFFFFF)
    elif way == 1:
        data[at:at] = b"\xfe\xff\x00\xe0\x04\x00\x00\x00" + rng.bytes(4)
    else:
        del data[at : at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")]


def pixel_bytes(data: bytearray, rng: Rng) -> None:
    """Blind damage behind the pixel tag, where a decoder meets it."""
    begin = data.rfind(b"\xe0\x7f\x10\x00") + 20
    behind = data[begin:]
    (flipped, overwritten, numbered)[rng.integers(3)](behind, rng)
    data[begin:] = behind


def element_wrapped(data: bytearray, rng: Rng) -> None:
    """An element in sequences within sequences, some never closed."""
    one = an_element(data, rng)
    if one is not None and one.end <= len(data):
        depth = int(rng.integers(1, 200))
        open_ = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth
        close = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0" * (depth if rng.random() < 0.7 else depth // 2)
        data[one.begin : one.end] = open_ + data[one.begin : one.end] + close


def chunks_of(data: bytearray) -> list[tuple[bytes, bytes]]:
    found, at = [], len(PNG_MAGIC)
    while at + 12 <= len(data) and len(found) < 100:
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((bytes(data[at + 4 : at + 8]), bytes(data[at + 8 : at + 8 + length])))
        at += 12 + length
    return found


def put_chunks(data: bytearray, chunks: list[tuple[bytes, bytes]]) -> None:
    data[:] = PNG_MAGIC + b"".join(
        struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body)) for name, body in chunks
    )


def png_number(data: bytearray, rng: Rng) -> None:
    """A byte or a number of one chunk's body, and the sums put right."""
    chunks = chunks_of(data)
    if chunks:
        at = int(rng.integers(len(chunks)))
        name, body = chunks[at][0], bytearray(chunks[at][1])
        if name == b"IDAT" and rng.random() < 0.5:
            body = unpacked_and_damaged(body, rng)
        else:
            (flipped, overwritten, numbered, cut)[rng.integers(4)](body, rng)
        chunks[at] = (name, bytes(body))
        put_chunks(data, chunks)


def unpacked_and_damaged(body: bytearray, rng: Rng) -> bytearray:
    try:
        rows = bytearray(zlib.decompressobj().decompress(bytes(body), 1 << 20))
    except zlib.error:
        return body
    (flipped, overwritten, cut, repeated)[rng.integers(4)](rows, rng)
    return bytearray(zlib.compress(bytes(rows)))


def png_chunks(data: bytearray, rng: Rng) -> None:
    """A chunk twice, gone, elsewhere, or one more of a kind that tells how grey values are meant."""
    chunks = chunks_of(data)
    if not chunks:
        return
    at, way = int(rng.integers(len(chunks))), rng.integers(4)
    if way == 0:
        chunks.insert(int(rng.integers(len(chunks))), chunks[at])
    elif way == 1:
        del chunks[at]
    elif way == 2:
        chunks.append(chunks.pop(at))
    else:
        name = (b"sBIT", b"tRNS", b"PLTE", b"acTL", b"iCCP", b"gAMA", b"eXIf", b"zTXt")[rng.integers(8)]
        chunks.insert(1, (name, rng.bytes(int(rng.integers(13)))))
    put_chunks(data, chunks)


def tiff_entry(data: bytearray, rng: Rng) -> None:
    """Tag, type, count or value of an entry of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 16:
        return
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    (place,) = struct.unpack_from(f"{order}Q" if big else f"{order}L", data, 8 if big else 4)
    if place + 8 > len(data):
        return
    (count,) = struct.unpack_from(f"{order}Q" if big else f"{order}H", data, place)
    first, size = (place + 8, 20) if big else (place + 2, 12)
    at = first + size * int(rng.integers(max(1, min(count, 40))))
    offset, form = ((0, "H"), (2, "H"), (4, "Q" if big else "L"), (12 if big else 8, "L"), (12 if big else 8, "H"))[
        rng.integers(5)
    ]
    if at + size <= len(data):
        value = int(LENGTHS[rng.integers(len(LENGTHS))]) & (0xFFFF if form == "H" else 0xFFFFFFFF)
        struct.pack_into(f"{order}{form}", data, at + offset, value)


def pgm_number(data: bytearray, rng: Rng) -> None:
    """Another word in the place of one in the head."""
    words = bytes(data).split(maxsplit=6)
    if len(words) > 4:
        at = int(rng.integers(1, 4))
        place = data.find(words[at])
        new = (
            str(LENGTHS[rng.integers(len(LENGTHS))]).encode() if rng.random() < 0.7 else WORDS[rng.integers(len(WORDS))]
        )
        data[place : place + len(words[at])] = new


def jpeg_segment(data: bytearray, rng: Rng) -> None:
    """A byte within a marker's segment, its length, the segment twice, or gone."""
    marks = [at for at in range(len(data) - 4) if data[at] == 0xFF and data[at + 1] not in (0, 0xFF)]
    if not marks:
        return
    at, way = marks[rng.integers(len(marks))], rng.integers(4)
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if way == 0:
        data[min(len(data) - 1, at + 4 + int(rng.integers(16)))] = int(rng.integers(256))
    elif way == 1:
        data[at + 2 : at + 4] = struct.pack(">H", int(LENGTHS[rng.integers(len(LENGTHS))]) & 0xFFFF)
    elif way == 2:
        data[at:at] = data[at:end]
    else:
        del data[at:end]

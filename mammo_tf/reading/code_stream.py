"""What a JPEG, JPEG-LS or JPEG 2000 code stream says about itself, read before anything is decoded.

OpenJPEG allocates for the size in the stream, whatever the header says, and hands out half a picture for half a
stream (golden/dicom/hostile: j2k_size_lie, j2k_half_stream). So size and end are compared first.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from mammo_tf.errors import MammoError

HEAD_BYTES, TAIL_BYTES = 1 << 16, 64
BEGINS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")  # a marker that no entropy-coded bytes hold
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_FRAMES = {0xC0: "jpeg", 0xC1: "jpeg", 0xC2: "jpeg", 0xC3: "jpeg_lossless", 0xF7: "jpeg_ls"}


class CodeStream(NamedTuple):
    """Kind (jpeg, jpeg_lossless, jpeg_ls, jpeg_2000), size in pixels, bits of a sample, whether it ends well, the point
    transform of lossless JPEG and JPEG-LS and the place of its byte, and whether samples have a sign (JPEG 2000 alone
    tells)."""

    kind: str
    rows: int
    columns: int
    precision: int
    components: int
    complete: bool
    point_transform: int = 0
    point_transform_at: int = 0
    signed: bool = False


def read_code_stream(data: bytes, tail: bytes) -> CodeStream:
    """Reads the head of a code stream; JP2 file boxes around it are passed over.

    Args:
        data: its first bytes, `HEAD_BYTES` are enough.
        tail: its last bytes, `TAIL_BYTES` are enough; zeros that fill up a fragment may follow the end.

    Raises:
        MammoError: `bad_pixels` if it is none of the four kinds, or breaks off before it has told its size.
    """
    try:
        if data[:3] == b"\xff\xd8\xff":
            return _jpeg(data, tail)
        start = 0 if data[:4] == b"\xff\x4f\xff\x51" else data[:4096].find(b"\xff\x4f\xff\x51")
        if start == 0 or (start > 0 and data[4:8] == b"jP  "):
            return _jpeg_2000(data, tail, start)
    except (struct.error, IndexError):
        raise MammoError("bad_pixels", "the code stream breaks off in its head") from None
    raise MammoError("bad_pixels", "the compressed pixels are no code stream that is known")


def _ends(tail: bytes) -> bool:
    return tail.rstrip(b"\0").endswith(b"\xff\xd9")  # the same marker in all four kinds


def _jpeg_2000(data: bytes, tail: bytes, start: int) -> CodeStream:
    right, bottom, left, top = struct.unpack_from(">4L", data, start + 8)
    (components,) = struct.unpack_from(">H", data, start + 40)
    depths = {struct.unpack_from(">B", data, start + 42 + 3 * component)[0] for component in range(components)}
    if len(depths) != 1:
        raise MammoError("bad_pixels", "the components of the code stream differ in depth or sign")
    (depth,) = depths
    precision, signed = (depth & 0x7F) + 1, depth >= 0x80
    return CodeStream("jpeg_2000", bottom - top, right - left, precision, components, _ends(tail), signed=signed)


def _jpeg(data: bytes, tail: bytes) -> CodeStream:
    place, size, kind = 2, None, ""
    while True:
        if data[place] != 0xFF:
            raise MammoError("bad_pixels", "the code stream has bytes between its segments")
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        if marker == 0xD9:
            raise MammoError("bad_pixels", "the code stream ends before it has a picture")
        if marker in _STANDALONE:
            place += 2
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        if marker in _FRAMES:
            kind = _FRAMES[marker]
            size = struct.unpack_from(">BHHB", data, place + 4)
        elif marker == 0xDA:
            break
        elif 0xC5 <= marker <= 0xCF and marker not in (0xC8, 0xCC):
            raise MammoError("bad_pixels", "the code stream is of a JPEG process that is not read")
        place += 2 + length
    if size is None:
        raise MammoError("bad_pixels", "the code stream does not tell its size")
    precision, rows, columns, components = size
    at = place + 4 + 2 * data[place + 4] + 3
    transform = data[at] & 0x0F if kind in ("jpeg_lossless", "jpeg_ls") else 0
    return CodeStream(kind, rows, columns, precision, components, _ends(tail), transform, at)

"""Compressed pixels lie in fragments: which of them belong to a frame, and their bytes."""

from __future__ import annotations

from itertools import pairwise

from mammo_tf.errors import MammoError
from mammo_tf.reading.code_stream import BEGINS, HEAD_BYTES, TAIL_BYTES
from mammo_tf.reading.dicom_file import DicomFile, PixelElement

_ITEM = b"\xfe\xff\x00\xe0"


def pixels_of(file: DicomFile) -> PixelElement:
    """Where the pixels lie; `no_pixels` if there are none."""
    if file.pixels is None:
        raise MammoError("no_pixels", "the file has no pixel data")
    return file.pixels


def joined(file: DicomFile, fragments: list[tuple[int, int]]) -> bytes:
    """The bytes of fragments (offset, length), one behind the other."""
    parts = []
    for offset, length in fragments:
        file.stream.seek(offset)
        parts.append(file.stream.read(length))
    return b"".join(parts)


def encapsulated(data: bytes) -> bytes:
    """One frame as the pixel element of a file holds it: an empty offset table and a fragment (PS3.5, A.4)."""
    padding = bytes(len(data) % 2)  # copied once; pydicom's `encapsulate` copies several times
    return b"".join((_ITEM, bytes(4), _ITEM, (len(data) + len(padding)).to_bytes(4, "little"), data, padding))


def ends_of(file: DicomFile, fragments: list[tuple[int, int]]) -> tuple[bytes, bytes]:
    """The first and the last bytes of a frame, as many as a code stream's check needs."""
    if len(fragments) > 1:
        data = joined(file, fragments)
        return data[:HEAD_BYTES], data[-TAIL_BYTES:]
    ((offset, length),) = fragments
    file.stream.seek(offset)
    head = file.stream.read(min(length, HEAD_BYTES))
    file.stream.seek(offset + max(0, length - TAIL_BYTES))
    return head, file.stream.read(min(length, TAIL_BYTES))


def refuse_several(file: DicomFile, fragments: list[tuple[int, int]]) -> None:
    """`bad_pixels` where a code stream begins in each of several fragments: a decoder reads the first alone."""
    begun = 0
    for offset, _ in fragments if len(fragments) > 1 else ():
        file.stream.seek(offset)
        begun += file.stream.read(4).startswith(BEGINS)
    if begun > 1:
        raise MammoError("bad_pixels", f"{begun} code streams where the header says one frame")


def fragments_of_frames(file: DicomFile, pixels: PixelElement, frames: int) -> list[list[tuple[int, int]]]:
    """Offset and length of the fragments of each frame; `bad_pixels` where they cannot be shared out."""
    fragments = list(pixels.fragments or ())
    if frames == 1:
        return [fragments]
    if len(fragments) == frames:
        return [[fragment] for fragment in fragments]
    offsets = list(pixels.offset_table) or file.header.integers("ExtendedOffsetTable", "Q")
    begins = {start: place for place, start in enumerate(pixels.starts)}
    if len(offsets) != frames or any(offset not in begins for offset in offsets):
        raise MammoError("bad_pixels", f"{len(fragments)} fragments cannot be shared out among {frames} frames")
    places = [*(begins[offset] for offset in offsets), len(fragments)]
    if sorted(set(places)) != places:
        raise MammoError("bad_pixels", "the offset table does not rise")
    return [fragments[low:high] for low, high in pairwise(places)]

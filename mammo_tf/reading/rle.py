"""RLE Lossless (DICOM PS3.5 annex G), unpacked no further than the picture needs.

pydicom unpacks a segment to its end, whatever its size, before it compares lengths (golden/dicom/hostile:
rle_too_much).
"""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np

from mammo_tf.errors import MammoError

HEADER_BYTES = 64
_STRETCH = 4096  # packed bytes that are unpacked without looking how much it has become
_MOST_OF_A_STRETCH = (_STRETCH // 2 + 1) * 128


def decode_rle(data: bytes, rows: int, columns: int, sample_bytes: int) -> np.ndarray:
    """One frame of one sample a pixel.

    Args:
        data: the frame with its header of segment offsets.
        rows, columns: size of the frame in pixels.
        sample_bytes: bytes of a pixel, 1 or 2; each byte is a segment of its own, the high byte first.

    Returns:
        uint8 or uint16 `[rows, columns]`.

    Raises:
        MammoError: `bad_pixels` if the segments are not there, too short or too long.
    """
    bounds = segment_bounds(data[:HEADER_BYTES], len(data), sample_bytes)
    count = sample_bytes
    planes = np.empty((rows * columns, count), dtype=np.uint8)
    for place, (low, high) in enumerate(pairwise(bounds)):
        planes[:, count - 1 - place] = np.frombuffer(_unpack(data[low:high], rows * columns), dtype=np.uint8)
    return planes.view(f"<u{count}").reshape(rows, columns).astype(f"u{count}", copy=False)


def segment_bounds(head: bytes, length: int, count: int) -> list[int]:
    """Where the `count` segments of a frame of `length` bytes begin, and where the last one ends.

    Raises:
        MammoError: `bad_pixels` if the header tells otherwise.
    """
    if len(head) < HEADER_BYTES:
        raise MammoError("bad_pixels", "the RLE header is cut short")
    told, *offsets = struct.unpack("<16L", head[:HEADER_BYTES])
    if told != count:
        raise MammoError("bad_pixels", f"{told} RLE segments where {count} are due")
    bounds = [*offsets[:count], length]
    if bounds[0] < HEADER_BYTES or any(low >= high for low, high in pairwise(bounds)):
        raise MammoError("bad_pixels", "an RLE segment lies outside the compressed pixels")
    return bounds


def _unpack(segment: bytes, due: int) -> bytearray:
    unpacked, place = bytearray(), 0
    while due - len(unpacked) > _MOST_OF_A_STRETCH and place < len(segment):
        place = _extended(unpacked, segment, place, min(place + _STRETCH, len(segment)))
    while len(unpacked) < due and place < len(segment):
        place = _extended(unpacked, segment, place, place + 1)
    if len(unpacked) != due or segment[place:].strip(b"\0\x80"):
        what = "less" if len(unpacked) < due else "more"
        raise MammoError("bad_pixels", f"an RLE segment unpacks to {what} than {due} bytes")
    return unpacked


def _extended(unpacked: bytearray, segment: bytes, place: int, stop: int) -> int:
    """Unpacks the runs that begin before `stop`; where the next one begins. The loop that costs all the time."""
    extend = unpacked.extend
    while place < stop:
        head = segment[place] + 1
        place += 1
        if head > 129:
            extend(segment[place : place + 1] * (258 - head))
            place += 1
        elif head < 129:
            extend(segment[place : place + head])
            place += head
    return place

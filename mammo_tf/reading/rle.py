"""RLE Lossless (DICOM PS3.5 annex G), unpacked no further than the picture needs.

pydicom unpacks a segment to its end, whatever its size, before it compares lengths (golden/dicom/hostile:
rle_too_much).

The packing is that of TIFF (PackBits, compression 32773), which OpenCV's decoder knows: a segment of a large frame is
given to it as a TIFF, which takes a quarter of the time of the loop in Python. That decoder tells neither what is too
little nor what is too much. So a word of this process's own is packed behind the segment: it comes out at its place, or
the loop decides.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from random import SystemRandom

import cv2
import numpy as np

from mammo_tf.errors import MammoError

HEADER_BYTES = 64
_LARGE = 1 << 16  # bytes of a plane: for fewer the loop is as quick
_COLUMNS = 4096  # of the TIFF
_WORD = bytes(SystemRandom().sample(range(127), 8))  # of different letters, each packed as a run of two
_PACKED_WORD = b"\xff\x80" + b"".join(b"\xff%c" % letter for letter in _WORD)
_OUT = b"\x80\x80" + b"".join(b"%c%c" % (letter, letter) for letter in _WORD)  # unpacked, where it begins a run
_OUT_BEHIND_0 = b"\xff" + _OUT[2:]  # where a 0 in front of it took its first byte for a pixel; then 0x80 is nothing
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
    planes = [_plane(data[low:high], rows * columns) for low, high in pairwise(bounds)]
    if sample_bytes == 1:
        return planes[0].reshape(rows, columns)
    words = np.asarray(cv2.merge(planes[::-1])).view("<u2")
    return words.reshape(rows, columns).astype(np.uint16, copy=False)


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


def _plane(segment: bytes, due: int) -> np.ndarray:
    """A segment unpacked, uint8 `[due]`."""
    found = _unpacked_at_once(segment, due) if due >= _LARGE else None
    return np.frombuffer(_unpack(segment, due), dtype=np.uint8) if found is None else found


def _unpacked_at_once(segment: bytes, due: int) -> np.ndarray | None:
    """The same by OpenCV, where a segment, or all but the byte that makes its length even, is exactly one plane."""
    rows = -(-(due + len(_OUT) + 256) // _COLUMNS)
    rest = rows * _COLUMNS - due - len(_OUT)
    zeros = b"\x81\0" * (rest // 128 - 1) + b"\0\0" * (rest % 128 + 129)  # runs of 128, then single ones
    unpacked = _as_tiff(segment + _PACKED_WORD + zeros, rows)
    if unpacked is None:
        return None
    behind = unpacked[due : due + len(_OUT)].tobytes()
    whole = behind == _OUT or (segment.endswith(b"\0") and behind.startswith(_OUT_BEHIND_0))
    return unpacked[:due] if whole else None


def _as_tiff(packed: bytes, rows: int) -> np.ndarray | None:
    """What OpenCV makes of a grey TIFF of one strip, uint8 `[rows x columns]`; None where it refuses."""
    tags = {256: _COLUMNS, 257: rows, 258: 8, 259: 32773, 262: 1, 273: 0, 277: 1, 278: rows, 279: len(packed)}
    tags[273] = 8 + 2 + 12 * len(tags) + 4  # where the strip begins: behind the header, the entries, and no second page
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags.items())
    tiff = struct.pack("<2sHLH", b"II", 42, 8, len(tags)) + entries + bytes(4) + packed
    try:
        return np.asarray(cv2.imdecode(np.frombuffer(tiff, np.uint8), cv2.IMREAD_UNCHANGED)).ravel()
    except cv2.error:
        return None


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

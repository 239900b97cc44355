"""RLE: packed by a plain encoder here, unpacked again; damage is refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mammo_tf.errors import MammoError
from mammo_tf.reading.rle import decode_rle


def pack(plane: bytes) -> bytes:
    """PackBits: runs of two and more, the rest literally."""
    packed, place = bytearray(), 0
    while place < len(plane):
        run = 1
        while run < 128 and plane[place : place + 1] == plane[place + run : place + run + 1]:
            run += 1
        packed += bytes([257 - run, plane[place]]) if run > 1 else bytes([0, plane[place]])
        place += run
    return bytes(packed) + b"\0" * (len(packed) % 2)


def encode(picture: np.ndarray) -> bytes:
    """A frame: header of 16 numbers, the high byte's segment first."""
    size = picture.dtype.itemsize
    planes = picture.astype(f"<u{size}").view(np.uint8).reshape(-1, size)
    segments = [pack(planes[:, place].tobytes()) for place in reversed(range(size))]
    offsets = np.cumsum([64, *map(len, segments[:-1])]).tolist()
    return struct.pack("<16L", size, *offsets, *[0] * (15 - size)) + b"".join(segments)


@given(arrays(st.sampled_from([np.uint8, np.uint16]), (7, 9), elements=st.integers(0, 5) | st.integers(250, 255)))
def test_what_was_packed_comes_out(picture: np.ndarray) -> None:
    out = decode_rle(encode(picture), 7, 9, picture.dtype.itemsize)
    np.testing.assert_array_equal(out, picture)
    assert out.dtype == picture.dtype


@pytest.mark.parametrize("rows", [6, 8])
def test_too_much_and_too_little_is_refused(rows: int) -> None:
    with pytest.raises(MammoError, match="more" if rows == 6 else "less"):
        decode_rle(encode(np.arange(63, dtype=np.uint8).reshape(7, 9)), rows, 9, 1)


def test_a_bad_header_is_refused() -> None:
    good = encode(np.zeros((7, 9), dtype=np.uint16))
    for bad in (good[:60], struct.pack("<L", 3) + good[4:], good[:8] + struct.pack("<L", 10**6) + good[12:]):
        with pytest.raises(MammoError) as caught:
            decode_rle(bad, 7, 9, 2)
        assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_large_frame_is_unpacked_in_stretches(share: float) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 65536, (300, 500))
    picture = np.where(rng.random(noise.shape) < share, noise, 7).astype(np.uint16)
    packed = encode(picture)
    np.testing.assert_array_equal(decode_rle(packed, 300, 500, 2), picture)
    for rows in (299, 301):
        with pytest.raises(MammoError, match="more" if rows == 299 else "less"):
            decode_rle(packed, rows, 500, 2)

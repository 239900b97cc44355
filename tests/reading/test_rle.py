"""RLE: packed by a plain encoder here, unpacked again; damage is refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mammo_tf.errors import MammoError
from mammo_tf.reading import rle
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


def outcome(unpack: object, segment: bytes, due: int) -> bytes | str:
    try:
        return bytes(memoryview(unpack(segment, due)))
    except MammoError as error:
        return error.sentence


DAMAGES = {
    "whole": lambda packed, rng: packed,
    "cut": lambda packed, rng: packed[: -int(rng.integers(1, 6))],
    "longer": lambda packed, rng: packed + rng.bytes(int(rng.integers(1, 5))),
    "a 0 behind it": lambda packed, rng: packed + b"\0",
    "zeros behind it": lambda packed, rng: packed + b"\0" * int(rng.integers(2, 5)),
    "nothing behind it": lambda packed, rng: packed + b"\x80" * int(rng.integers(1, 5)),
    "a byte changed": lambda packed, rng: packed[: (at := len(packed) // 2)] + rng.bytes(1) + packed[at + 1 :],
    "noise": lambda packed, rng: rng.bytes(len(packed)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@given(seed=st.integers(0, 2**32 - 1), more=st.sampled_from([0, 0, 0, -1, 1]))
@settings(max_examples=15, deadline=None)
def test_opencv_unpacks_and_refuses_what_the_loop_does(damage: str, seed: int, more: int) -> None:
    rng = np.random.default_rng(seed)
    due = rle._LARGE + int(rng.integers(0, 20_000))
    flat = np.repeat(rng.integers(0, 256, due // 50 + 1), 50)[:due]
    plane = np.where(rng.random(due) < rng.random() / 2, rng.integers(0, 256, due), flat).astype(np.uint8)
    segment = DAMAGES[damage](pack(plane.tobytes()), rng)
    due += more
    assert outcome(rle._plane, segment, due) == outcome(rle._unpack, segment, due)


@pytest.mark.parametrize("pad", [b"", b"\0", b"\x80"])
def test_a_large_segment_needs_no_loop(monkeypatch: pytest.MonkeyPatch, pad: bytes) -> None:
    monkeypatch.setattr(rle, "_unpack", None)
    plane = np.random.default_rng(0).bytes(rle._LARGE)
    assert rle._plane(pack(plane) + pad, rle._LARGE).tobytes() == plane


@pytest.mark.parametrize("missing", [1, 2, 3, 17, 18, 19, 20, 100])
@pytest.mark.parametrize("short", [0, 1, 2, 3])
@pytest.mark.parametrize("run", ["literal", "repeated"])
def test_a_last_run_that_is_cut_short_takes_nothing_of_the_word(missing: int, short: int, run: str) -> None:
    whole = np.random.default_rng(0).bytes(rle._LARGE - 3 - short)
    last = bytes([2 + missing]) + b"abc" if run == "literal" else b"\x02abc" + bytes([256 - missing])
    segment = pack(whole) + last
    assert outcome(rle._plane, segment, rle._LARGE) == outcome(rle._unpack, segment, rle._LARGE)

"""Heads of TIFF files, written byte by byte: polarity, scale, depth, layout, and what is refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading.grey_scale import LOSSY
from mammo_tf.reading.tiff import tiff_head

SHORT, LONG, LONG8 = 3, 4, 16
EIGHT = np.arange(24, dtype=np.uint8).reshape(4, 6)
SIXTEEN = EIGHT.astype(np.uint16) * 2000 + 7
TILE = 16


def packed(values: np.ndarray, bits: int, reverse: bool = False) -> bytes:
    """Samples of any depth, most significant bit first, each row filled up to a byte."""
    rows = []
    for row in values.tolist():
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows += [int(text[at : at + 8][:: -1 if reverse else 1], 2) for at in range(0, len(text), 8)]
    return bytes(rows)


def tiff(
    values: np.ndarray,
    bits: int | None = None,
    tags: dict[int, int] | None = None,
    data: Sequence[bytes] | None = None,
    order: str = "<",
    big: bool = False,
    pages: int = 1,
) -> bytes:
    """A TIFF of one strip (or of the parts `data`), with further tags; `pages` says how often its directory occurs."""
    parts = data or [values.astype(values.dtype.newbyteorder(order)).tobytes()]
    all_tags = {
        254: 0, 256: values.shape[1], 257: values.shape[0], 258: bits or 8 * values.itemsize, 259: 1, 262: 1, 277: 1,
        278: values.shape[0],
    } | (tags or {})  # fmt: skip
    places = [324, 325] if 322 in all_tags else [273, 279]
    head = 16 if big else 8
    starts = [head + sum(map(len, parts[:number])) for number in range(len(parts))]
    body = b"".join(parts) + bytes(sum(map(len, parts)) % 2)
    number, size = ("Q", 8) if big else ("L", 4)
    lists = b""
    entries: list[tuple[int, int, int, int]] = [(tag, LONG, 1, value) for tag, value in all_tags.items()]
    for tag, numbers in zip(places, (starts, [len(part) for part in parts]), strict=True):
        if len(numbers) == 1:
            entries.append((tag, LONG, 1, numbers[0]))
        else:
            entries.append((tag, LONG, len(numbers), head + len(body) + len(lists)))
            lists += struct.pack(f"{order}{len(numbers)}L", *numbers)
    place = head + len(body) + len(lists)
    mark = b"II" if order == "<" else b"MM"
    magic = struct.pack(f"{order}HHHQ", 43, 8, 0, place) if big else struct.pack(f"{order}HL", 42, place)
    directories = b""
    for page in range(pages):
        one = struct.pack(f"{order}{'Q' if big else 'H'}", len(entries))
        for tag, kind, count, value in sorted(entries):
            one += struct.pack(f"{order}HH{number}{number}", tag, kind, count, value)
            if order == ">" and count == 1:  # a value lies at the left of its field
                one = one[:-size] + struct.pack(">L", value) + bytes(size - 4)
        next_place = place + (page + 1) * (len(one) + size) if page + 1 < pages else 0
        directories += one + struct.pack(f"{order}{number}", next_place)
    return mark + magic + body + lists + directories


def read(data: bytes, folder: Path, **told: int) -> reading.Picture:
    path = folder / "picture.tif"
    path.write_bytes(data)
    return reading.read(path, **told)  # type: ignore[arg-type]


def refusal(data: bytes, folder: Path, **told: int) -> MammoError:
    with pytest.raises(MammoError) as caught:
        read(data, folder, **told)
    return caught.value


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("at", [0, 3])
def test_damage_inside_a_deflated_tiff_is_refused(dtype: type, big: bool, order: str, at: int, tmp_path: Path) -> None:
    """OpenCV hands out black for a strip of 8 bits that cannot be inflated."""
    values = np.random.default_rng(0).integers(0, 256, (20, 36)).astype(dtype)
    stored = values.astype(values.dtype.newbyteorder(order))
    strips = [zlib.compress(stored[row : row + 5].tobytes()) for row in range(0, 20, 5)]
    tags = {259: 8, 278: 5}
    whole = read(tiff(values, tags=tags, data=strips, order=order, big=big), tmp_path)
    np.testing.assert_array_equal(whole.pixels, (values / np.iinfo(dtype).max).astype(np.float32))
    strips[at] = strips[at][:20] + bytes(20) + strips[at][40:]
    assert refusal(tiff(values, tags=tags, data=strips, order=order, big=big), tmp_path).code == "bad_pixels"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
@pytest.mark.parametrize("values", [EIGHT, SIXTEEN], ids=["8 bit", "16 bit"])
def test_white_is_zero_is_turned_at_every_depth(values: np.ndarray, big: bool, order: str, tmp_path: Path) -> None:
    due = (values / np.iinfo(values.dtype).max).astype(np.float32)
    black_is_zero = tiff(values, big=big, order=order)
    white_is_zero = tiff(np.iinfo(values.dtype).max - values, tags={262: 0}, big=big, order=order)
    for data in (black_is_zero, white_is_zero):
        np.testing.assert_array_equal(read(data, tmp_path).pixels, due)
        np.testing.assert_array_equal(reading.read_stored(tmp_path / "picture.tif"), values)


@pytest.mark.parametrize("bits", [1, 10, 12, 14])
@pytest.mark.parametrize("reverse", [False, True], ids=["fill order 1", "fill order 2"])
def test_packed_samples_have_the_scale_of_their_depth(bits: int, reverse: bool, tmp_path: Path) -> None:
    values = np.random.default_rng(bits).integers(0, 1 << bits, (5, 7))
    tags = {266: 2 if reverse else 1}
    for white in (0, (1 << bits) - 1):
        stored = np.abs(values - ((1 << bits) - 1 - white))
        data = tiff(values, bits, tags | {262: int(white > 0)}, [packed(stored, bits, reverse)])
        picture = read(data, tmp_path)
        np.testing.assert_allclose(picture.pixels, values / ((1 << bits) - 1), atol=1e-6)
        assert picture.facts.bits == max(8, bits)
        assert not any("bit data" in warning for warning in picture.facts.warnings)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("tag", [281, 341])
def test_a_largest_sample_value_that_ends_a_bit_depth_is_white(bits: int, tag: int, tmp_path: Path) -> None:
    white = (1 << bits) - 1
    values = (SIXTEEN >> (16 - bits)).astype(np.uint16)
    due = (values / white).astype(np.float32)
    np.testing.assert_array_equal(read(tiff(values, tags={280: 0, tag: white}), tmp_path).pixels, due)
    np.testing.assert_array_equal(
        read(tiff(white - values, tags={262: 0, tag: white}, order=">"), tmp_path).pixels, due
    )


def test_a_largest_sample_value_that_is_a_statistic_is_told_and_is_not_white(tmp_path: Path) -> None:
    picture = read(tiff(SIXTEEN // 16, tags={281: int((SIXTEEN // 16).max())}), tmp_path)
    np.testing.assert_array_equal(picture.pixels, (SIXTEEN // 16 / 65535).astype(np.float32))
    assert any("statistic" in warning for warning in picture.facts.warnings)
    assert any("12-bit data?" in warning for warning in picture.facts.warnings)


def test_values_beyond_what_is_stated_are_refused_until_a_table_tells(tmp_path: Path) -> None:
    error = refusal(tiff(SIXTEEN, tags={281: 4095}), tmp_path)
    assert error.code == "bad_value"
    assert "46007" in error.sentence
    assert "stored_bits" in error.remedy
    assert read(tiff(SIXTEEN, tags={281: 4095}), tmp_path, stored_bits=16).facts.bits == 16


@pytest.mark.parametrize("compression", [1, 8, 32946])
@pytest.mark.parametrize("photometric", [0, 1])
def test_tiles_and_compression(compression: int, photometric: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (20, 36), dtype=np.uint16)
    stored = values if photometric else 65535 - values
    padded = np.pad(stored, ((0, -20 % TILE), (0, -36 % TILE)))
    tiles = [
        padded[row : row + TILE, column : column + TILE].tobytes()
        for row in range(0, padded.shape[0], TILE)
        for column in range(0, padded.shape[1], TILE)
    ]
    parts = tiles if compression == 1 else [zlib.compress(tile) for tile in tiles]
    data = tiff(values, tags={259: compression, 262: photometric, 322: TILE, 323: TILE}, data=parts)
    np.testing.assert_array_equal(read(data, tmp_path).pixels, (values / 65535).astype(np.float32))


@pytest.mark.parametrize(
    ("tags", "bits", "code", "words"),
    [
        ({339: 2}, None, "bad_pixels", "signed"),
        ({339: 3}, None, "bad_pixels", "float"),
        ({}, 32, "bad_pixels", "32 bits"),
        ({}, 4, "bad_pixels", "4 bits"),
        ({259: 50000}, None, "bad_pixels", "50000"),
        ({262: 5}, None, "colour", "colour"),
        ({254: 1}, None, "bad_pixels", "reduced"),
        ({274: 2}, None, "turned", "orientation 2"),
        ({274: 6}, None, "turned", "orientation 6"),
    ],
)
def test_what_is_not_read_is_refused_with_its_reason(
    tags: dict[int, int], bits: int | None, code: str, words: str, tmp_path: Path
) -> None:
    error = refusal(tiff(SIXTEEN, bits, tags), tmp_path)
    assert (error.code, words in error.sentence) == (code, True)


@pytest.mark.parametrize("big", [False, True])
def test_several_pages_are_refused(big: bool, tmp_path: Path) -> None:
    assert refusal(tiff(EIGHT, big=big, pages=3), tmp_path).code == "volume"


def test_a_tiff_compressed_as_jpeg_is_told_to_be_lossy() -> None:
    assert tiff_head(tiff(EIGHT, tags={259: 7})).lossy
    assert LOSSY not in tiff_head(tiff(EIGHT)).warnings


@given(arrays(np.uint16, (3, 5)), st.sampled_from("<>"), st.booleans())
def test_turning_twice_is_not_turning(values: np.ndarray, order: str, big: bool) -> None:
    head = tiff_head(tiff(values, tags={262: 0}, order=order, big=big))
    assert (head.rows, head.columns, head.depth, head.turned) == (3, 5, 16, True)


def test_no_cut_of_a_big_tiff_passes_or_crashes(tmp_path: Path) -> None:
    whole = tiff(SIXTEEN, big=True)
    for length in range(16, len(whole), 3):
        assert refusal(whole[:length], tmp_path).code in ("truncated", "bad_pixels")


@pytest.mark.parametrize("values", [EIGHT, SIXTEEN], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("extra", [None, 0, 1, 2])
def test_a_second_sample_is_not_grey(values: np.ndarray, photometric: int, extra: int | None, tmp_path: Path) -> None:
    tags = {262: photometric, 277: 2} | ({} if extra is None else {338: extra})
    data = [np.dstack([values, values // 2]).tobytes()]
    assert refusal(tiff(values, tags=tags, data=data), tmp_path).code == "colour"


def test_an_orientation_that_is_not_told_is_upright(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tiff(EIGHT, tags={274: 0}), tmp_path).pixels, (EIGHT / 255).astype(np.float32))
    warning = read(tiff(EIGHT, tags={281: 127}), tmp_path).facts.warnings[0]
    assert warning.startswith("MaxSampleValue 127 ends no bit depth")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
@pytest.mark.parametrize("values", [EIGHT, SIXTEEN], ids=["8 bit", "16 bit"])
def test_channels_behind_one_another_are_as_channels_side_by_side(
    values: np.ndarray, big: bool, order: str, tmp_path: Path
) -> None:
    due = (values / np.iinfo(values.dtype).max).astype(np.float32)
    stored = values.astype(values.dtype.newbyteorder(order))
    other, clear = stored[::-1], np.full_like(stored, np.iinfo(values.dtype).max)
    halves = [part.tobytes() for _ in range(3) for part in (stored[:2], stored[2:])]
    for tags, parts in (({}, [stored.tobytes()] * 3), ({278: 2}, halves)):
        data = tiff(values, tags=tags | {262: 2, 277: 3, 284: 2}, data=parts, big=big, order=order)
        np.testing.assert_array_equal(read(data, tmp_path).pixels, due)
    for layers, tags in (((stored, other, stored), {}), ((stored, stored, stored, other), {338: 2})):
        parts = [layer.tobytes() for layer in layers]
        data = tiff(values, tags=tags | {262: 2, 277: len(parts), 284: 2}, data=parts, big=big, order=order)
        assert refusal(data, tmp_path).code == "colour"
    parts = [layer.tobytes() for layer in (stored, stored, stored, clear)]
    data = tiff(values, tags={262: 2, 277: 4, 284: 2, 338: 2}, data=parts, big=big, order=order)
    np.testing.assert_array_equal(read(data, tmp_path).pixels, due)


def test_planes_that_are_compressed_and_tiled(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (TILE, 2 * TILE), dtype=np.uint16)
    tiles = [zlib.compress(values[:, begin : begin + TILE].tobytes()) for begin in (0, TILE)]
    data = tiff(values, tags={259: 8, 262: 2, 277: 3, 284: 2, 322: TILE, 323: TILE}, data=3 * tiles)
    np.testing.assert_array_equal(reading.read_stored(_written(data, tmp_path)), values)
    for length in range(8, len(data), 101):
        assert refusal(data[:length], tmp_path).code in ("truncated", "bad_pixels")
    assert refusal(data.replace(struct.pack("<HHLL", 277, LONG, 1, 3), struct.pack("<HHLL", 277, LONG, 1, 4)), tmp_path)


def _written(data: bytes, folder: Path) -> Path:
    (folder / "written.tif").write_bytes(data)
    return folder / "written.tif"

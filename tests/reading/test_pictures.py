"""PNG, PGM and JPEG; what all pictures have in common. TIFF has a file of its own."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading.grey_scale import LOSSY

RNG = np.random.default_rng(0)
EIGHT = RNG.integers(0, 256, (37, 21), dtype=np.uint8)
SIXTEEN = RNG.integers(0, 65536, (37, 21), dtype=np.uint16)


def code_of(path: Path) -> str:
    with pytest.raises(MammoError) as caught:
        reading.read(path)
    return caught.value.code


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
@pytest.mark.parametrize("values", [EIGHT, SIXTEEN], ids=["8 bit", "16 bit"])
def test_grey_values_and_their_scale(values: np.ndarray, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{suffix}"
    cv2.imwrite(str(path), values)
    stored = reading.read_stored(path)
    np.testing.assert_array_equal(stored, values)
    assert stored.dtype == values.dtype
    picture = reading.read(path)
    np.testing.assert_array_equal(picture.pixels, (values / np.iinfo(values.dtype).max).astype(np.float32))
    assert (picture.facts.rows, picture.facts.columns) == (37, 21)
    assert picture.facts.bits == 8 * values.dtype.itemsize
    assert picture.facts == reading.inspect_file(path)


def test_the_content_tells_the_type(tmp_path: Path) -> None:
    path = tmp_path / "picture.tiff"
    path.write_bytes(cv2.imencode(".png", EIGHT)[1].tobytes())
    np.testing.assert_array_equal(reading.read_stored(path), EIGHT)
    path.rename(tmp_path / "picture")
    np.testing.assert_array_equal(reading.read_stored(tmp_path / "picture"), EIGHT)


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_is_refused_unless_the_channels_are_equal(channels: int, tmp_path: Path) -> None:
    layers = np.stack([SIXTEEN] * 3 + [np.full_like(SIXTEEN, 65535)] * (channels - 3), axis=-1)
    cv2.imwrite(str(tmp_path / "grey.png"), layers)
    np.testing.assert_array_equal(reading.read_stored(tmp_path / "grey.png"), SIXTEEN)
    layers[3, 4, 1] += 1
    cv2.imwrite(str(tmp_path / "colour.png"), layers)
    assert code_of(tmp_path / "colour.png") == "colour"


@pytest.mark.parametrize("largest", [1, 100, 4095])
def test_pgm_with_another_largest_value(largest: int, tmp_path: Path) -> None:
    values = RNG.integers(0, largest + 1, (5, 7))
    path = tmp_path / "picture.pgm"
    due = (values / largest).astype(np.float32)
    words = values.astype(">u2" if largest > 255 else "u1").tobytes()
    for text in (
        b"P5\n# a comment\n7 5\n%d\n" % largest + words,
        f"P2 7 5 {largest} {' '.join(map(str, values.ravel()))}".encode(),
    ):
        path.write_bytes(text)
        np.testing.assert_array_equal(reading.read(path).pixels, due)
        np.testing.assert_array_equal(reading.read_stored(path), values)


@pytest.mark.parametrize(
    "text",
    [
        b"P2\n# made by hand\n3 2 # columns and rows\n9\n1 2 3 # the first row\n4#5\n5 6 # the end",
        b"P2#\r3#\n2 9\r\n1 2 3\r\n4 5 6\r\n", b"P5\r\n3 2\r\n9\r\n" + bytes(range(1, 7)),
        b"P5#\r3 2\n9#why\n" + bytes(range(1, 7)), b"P5 3 2 9\r" + bytes(range(1, 7)),
        b"P5 3 2 9\n" + bytes(range(1, 7)) + b"\n",
    ],
)  # fmt: skip
def test_comments_and_ends_of_line_of_a_pgm(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(text)
    np.testing.assert_array_equal(reading.read_stored(tmp_path / "a.pgm"), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"P5 3 2 9 \n123456", "bad_pixels"), (b"P5 3 2 9\n" + bytes(range(1, 7)) + b"junk", "bad_pixels"),
        (b"P2 3 2 9 1 2 3 4 5 6 7", "bad_pixels"), (b"P2 3 2 9 1 2 3 4 5 -6", "bad_pixels"),
        (b"P2 3 2 9 1 2 3 4 5 1_0", "bad_pixels"), (2 * (b"P5 3 2 9\n" + bytes(range(1, 7))), "volume"),
        (b"P5 3 2 #", "truncated"), (b"P5#", "truncated"), (b"P2 3 2 9 1 2 3 4 5 # 6", "truncated"),
    ],
)  # fmt: skip
def test_what_lies_behind_a_pgm_is_noticed(text: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(text)
    assert code_of(tmp_path / "a.pgm") == code


@pytest.mark.parametrize("values", [EIGHT, SIXTEEN, np.dstack([SIXTEEN] * 3)], ids=["8 bit", "16 bit", "channels"])
def test_a_transparent_value_of_a_png_is_refused_as_in_the_graph(values: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_with(values, b"tRNS", bytes(6 if values.ndim == 3 else 2)))
    assert code_of(tmp_path / "a.png") == "colour"


def png_with(values: np.ndarray, name: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk behind its head."""
    whole = cv2.imencode(".png", values)[1].tobytes()
    chunk = struct.pack(">L", len(content)) + name + content + struct.pack(">L", zlib.crc32(name + content))
    return whole[:33] + chunk + whole[33:]


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_significant_bits_of_a_png_tell_the_scale(bits: int, tmp_path: Path) -> None:
    """PNG wants such values spread over the sample; writers that leave them at its bottom exist."""
    path, white = tmp_path / "a.png", (1 << bits) - 1
    values = RNG.integers(0, white + 1, (37, 21), dtype=np.uint16)
    repeated = values << (16 - bits) | values >> (2 * bits - 16)
    for stored, due in (
        (values, values / white),
        (repeated, repeated / 65535),
        (values << (16 - bits), (values << (16 - bits)) / 65535),
        (np.round(values * (65535 / white)).astype(np.uint16), values / white),
    ):
        path.write_bytes(png_with(stored, b"sBIT", bytes([bits])))
        picture = reading.read(path)
        np.testing.assert_allclose(picture.pixels, due, atol=1e-5)
        assert picture.facts.warnings == ()
    path.write_bytes(png_with(SIXTEEN, b"sBIT", bytes([bits])))
    picture = reading.read(path)
    np.testing.assert_array_equal(picture.pixels, (SIXTEEN / 65535).astype(np.float32))
    assert "its values have more" in picture.facts.warnings[0]


def test_multiples_that_fit_into_the_significant_bits_are_not_spread(tmp_path: Path) -> None:
    values = (np.arange(24, dtype=np.uint16).reshape(4, 6) * 16 * 10).astype(np.uint16)  # 3680 at most
    (tmp_path / "a.png").write_bytes(png_with(values, b"sBIT", b"\x0c"))
    np.testing.assert_allclose(reading.read(tmp_path / "a.png").pixels, values / 4095, atol=1e-6)


def test_a_gamma_of_a_png_does_not_change_its_values(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_with(SIXTEEN, b"gAMA", struct.pack(">L", 45455)))
    np.testing.assert_array_equal(reading.read_stored(tmp_path / "a.png"), SIXTEEN)


def test_an_animation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_with(EIGHT, b"acTL", struct.pack(">LL", 2, 0)))
    assert code_of(tmp_path / "a.png") == "volume"


SMOOTH = np.add.outer(np.arange(40), 2 * np.arange(30)).astype(np.uint8)


def test_a_grey_jpeg_is_read_and_called_lossy(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    for progressive in (0, 1):
        cv2.imwrite(str(path), SMOOTH, [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
        picture = reading.read(path)
        np.testing.assert_allclose(picture.pixels, SMOOTH / 255, atol=1.5 / 255)
        assert LOSSY in picture.facts.warnings
        assert picture.facts == reading.inspect_file(path)
    path.write_bytes(path.read_bytes() + b"\0\0")
    assert reading.read_stored(path).shape == SMOOTH.shape


def test_a_colour_jpeg_is_refused_unless_its_channels_are_equal(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.dstack([SMOOTH] * 3))
    np.testing.assert_allclose(reading.read(path).pixels, SMOOTH / 255, atol=0.03)
    cv2.imwrite(str(path), np.dstack([SMOOTH, SMOOTH // 2, SMOOTH]))
    assert code_of(path) == "colour"


EXIF_TURNED = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHLHH", 274, 3, 1, 6, 0) + bytes(4)


def test_pictures_that_are_to_be_turned_are_refused(tmp_path: Path) -> None:
    jpeg = cv2.imencode(".jpg", SMOOTH)[1].tobytes()
    block = b"Exif\0\0" + EXIF_TURNED
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:])
    (tmp_path / "a.png").write_bytes(png_with(EIGHT, b"eXIf", EXIF_TURNED))
    for name in ("a.jpg", "a.png"):
        assert code_of(tmp_path / name) == "turned"


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm", "jpg"])
def test_no_cut_of_a_picture_passes_or_crashes(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    whole = cv2.imencode(f".{suffix}", EIGHT if suffix == "jpg" else SIXTEEN)[1].tobytes()
    for length in [*range(1, 60), *range(60, len(whole) - 1, 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert code_of(path) in ("truncated", "bad_pixels", "not_dicom")


def test_damage_inside_a_png_is_refused(tmp_path: Path) -> None:
    whole = bytearray(cv2.imencode(".png", SIXTEEN)[1].tobytes())
    whole[60] ^= 0x55
    (tmp_path / "a.png").write_bytes(whole)
    assert code_of(tmp_path / "a.png") == "bad_pixels"


def test_a_size_that_lies_is_refused_before_it_is_allocated(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 60000 60000 255\n" + bytes(100))
    assert code_of(tmp_path / "a.pgm") == "bad_pixels"
    png = bytearray(cv2.imencode(".png", EIGHT)[1].tobytes())
    png[16:24] = (60000).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(png)
    assert code_of(tmp_path / "a.png") == "too_large"


def test_what_is_no_grey_picture_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "float.tiff"), EIGHT.astype(np.float32))
    assert code_of(tmp_path / "float.tiff") == "bad_pixels"
    cv2.imwritemulti(str(tmp_path / "pages.tiff"), [EIGHT, EIGHT])
    assert code_of(tmp_path / "pages.tiff") == "volume"
    (tmp_path / "text.png").write_text("no picture")
    assert code_of(tmp_path / "text.png") == "not_dicom"
    cv2.imwrite(str(tmp_path / "picture.png"), EIGHT)
    with pytest.raises(MammoError) as caught:
        reading.read(tmp_path / "picture.png", voi="window1")
    assert caught.value.code == "voi_unknown"


def test_pgm_heads_of_windows_comments_among_values_and_further_bytes(tmp_path: Path) -> None:
    rows, columns = EIGHT.shape
    path = tmp_path / "a.pgm"
    path.write_bytes(f"P5\r\n# scanner\r\n{columns} {rows}\r\n255\r\n".encode() + EIGHT.tobytes())
    np.testing.assert_array_equal(reading.read_stored(path), EIGHT)
    path.write_bytes(f"P5\n{columns} {rows}\n255\n".encode() + EIGHT.tobytes() + b"\n")
    np.testing.assert_array_equal(reading.read_stored(path), EIGHT)
    for further, code in ((b"P5\n1 1\n255\nx", "volume"), (b"\x01", "bad_pixels")):
        path.write_bytes(f"P5\n{columns} {rows}\n255\n".encode() + EIGHT.tobytes() + further)
        assert code_of(path) == code
    words = [" ".join(map(str, row)) for row in EIGHT]
    path.write_text("\n".join(["P2 # in words", f"{columns} {rows} 255", *(f"{row} # row" for row in words)]))
    np.testing.assert_array_equal(reading.read_stored(path), EIGHT)
    path.write_text("\n".join([f"P2 {columns} {rows} 255", *words, "7"]))
    assert code_of(path) == "bad_pixels"

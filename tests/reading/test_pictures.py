"""PNG, TIFF and PGM."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError

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
    words = values.astype(">u2" if largest > 255 else "u1").tobytes()
    path.write_bytes(b"P5\n# a comment\n7 5\n%d\n" % largest + words)
    np.testing.assert_allclose(reading.read(path).pixels, values / largest, atol=0.5 / 255 if largest < 256 else 1e-5)
    path.write_text(f"P2 7 5 {largest} " + " ".join(map(str, values.ravel())))
    np.testing.assert_allclose(reading.read(path).pixels, values / largest, atol=0.5 / 255 if largest < 256 else 1e-5)


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_no_cut_of_a_picture_passes_or_crashes(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    whole = cv2.imencode(f".{suffix}", SIXTEEN)[1].tobytes()
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

"""Scales that nothing states and polarities that pixels speak against: told, never guessed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf import reading
from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.reading import collections
from mammo_tf.reading.grey_scale import INVERTED, LOSSY, SMALL, doubts, full_scale, inverted_doubt, unused_bits
from mammo_tf.study import read_manifest


def breast(peak: int, seed: int = 0, shape: tuple[int, int] = (128, 100)) -> np.ndarray:
    """A half ellipse at the left edge, textured, on black; uint16 with exactly `peak` as its largest value."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = ((y - shape[0] / 2) / (0.42 * shape[0])) ** 2 + (x / (0.7 * shape[1])) ** 2
    texture = np.random.default_rng(seed).uniform(0.4, 0.8, shape)
    values = np.where(distance < 1, peak * texture, 0).astype(np.uint16)
    values[shape[0] // 2, 3] = peak
    return values


@pytest.mark.parametrize(
    ("peak", "bits"), [(200, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16383, 14)]
)
@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_a_picture_of_16_bits_that_uses_fewer_is_told_and_not_stretched(
    peak: int, bits: int, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    values = breast(peak)
    cv2.imwrite(str(path), values)
    picture = reading.read(path)
    assert picture.facts.warnings == (unused_bits(bits),)
    np.testing.assert_array_equal(picture.pixels, (values / 65535).astype(np.float32))
    told = reading.read(path, stored_bits=bits)
    np.testing.assert_array_equal(told.pixels, (values / ((1 << bits) - 1)).astype(np.float32))
    assert (told.facts.bits, told.facts.warnings) == (bits, ())
    assert reading.read(path, stored_bits=16).facts.warnings == ()


def test_pictures_that_use_their_bits_are_not_told(tmp_path: Path) -> None:
    for name, values in (("a.png", breast(16384)), ("b.png", (breast(255)).astype(np.uint8))):
        cv2.imwrite(str(tmp_path / name), values)
        assert reading.read(tmp_path / name).facts.warnings == ()


def test_a_table_that_cannot_be_right_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), breast(4096))
    cv2.imwrite(str(tmp_path / "b.png"), breast(255).astype(np.uint8))
    for name, words in (("a.png", "a value is 4096"), ("b.png", "the pixels have 8 bits")):
        with pytest.raises(MammoError, match=words) as caught:
            reading.read(tmp_path / name, stored_bits=12)
        assert caught.value.code == "bad_value"


@given(st.integers(1, 16), st.integers(0, 65535))
def test_white_is_one_below_a_power_of_two(bits: int, largest: int) -> None:
    if largest < 1 << bits:
        assert full_scale(largest, 16, bits, None) == full_scale(largest, 16, None, bits) == (1 << bits) - 1
    else:
        with pytest.raises(MammoError):
            full_scale(largest, 16, bits, None)


@pytest.mark.parametrize("said", ["", None, float("nan")])
def test_an_empty_cell_says_nothing(said: object) -> None:
    assert reading.stored_bits_of({"stored_bits": said}) is None
    assert reading.stored_bits_of(None) is None


@pytest.mark.parametrize("said", ["12", "12.0", 12, 12.0, " 12 "])
def test_a_cell_with_a_number(said: object) -> None:
    assert reading.stored_bits_of({"stored_bits": said}) == 12


@pytest.mark.parametrize("said", ["0", "17", "-12", "12.5", "twelve", "4095"])
def test_a_cell_with_another_word_is_refused(said: str) -> None:
    with pytest.raises(MammoError, match="whole number from 1 to 16"):
        reading.stored_bits_of({"stored_bits": said})


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_negative_is_told(mirrored: bool, tmp_path: Path) -> None:
    values = breast(60000)[:, ::-1] if mirrored else breast(60000)
    cv2.imwrite(str(tmp_path / "a.png"), values)
    cv2.imwrite(str(tmp_path / "b.png"), 65535 - values)
    assert reading.read(tmp_path / "a.png").facts.warnings == ()
    assert reading.read(tmp_path / "b.png").facts.warnings == (INVERTED,)


def test_what_is_no_negative() -> None:
    flat, noise = np.full((80, 60), 0.7, np.float32), np.random.default_rng(0).random((80, 60), np.float32)
    bordered = breast(60000).astype(np.float32) / 65535
    bordered[:, -5:] = 1  # the white border of a film
    for pixels in (flat, noise, np.zeros((3, 2), np.float32), bordered):
        assert inverted_doubt(pixels) == []


def test_a_command_has_one_line_for_all_pictures() -> None:
    assert doubts([]) == doubts([(), ("something else",)]) == []
    (line,) = doubts([(unused_bits(10),), (unused_bits(12),), ()])
    assert line.startswith("2 pictures of 16 bits hold nothing above 4095: 12-bit data?")
    assert "stored_bits" in line
    assert len(doubts([(INVERTED, LOSSY), (LOSSY,), (unused_bits(14), SMALL)])) == 4


def test_a_table_tells_the_bits_of_a_collection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, output = tmp_path / "data", tmp_path / "out"
    root.mkdir()
    for number in range(3):
        cv2.imwrite(str(root / f"{number}.png"), breast(4095, number))
    assert main(["manifest", "folder", str(root), "-o", str(output)]) == 0
    assert "3 pictures of 16 bits hold nothing above 4095" in capsys.readouterr().out
    (root / "labels.csv").write_text("path,stored_bits\n0.png,12\n1.png,12\n2.png,9\n")
    assert main(["manifest", "folder", str(root), "-o", str(output)]) == 0
    assert "16 bits" not in capsys.readouterr().out
    assert "2.png,bad_value" in (output / "rejects.csv").read_text()
    assert list(read_manifest(output / "manifest.csv")["stored_bits"]) == ["12", "12"]


def test_a_cell_that_is_no_number_of_bits_is_told_with_its_row(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), breast(4095, 5))
    (tmp_path / "labels.csv").write_text("path,stored_bits\na.png,12 bit\n")
    with pytest.raises(MammoError, match="labels.csv, row 2: stored_bits '12 bit' is not a whole number"):
        collections.collect("folder", tmp_path)

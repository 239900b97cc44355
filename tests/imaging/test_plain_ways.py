"""What is computed quickly equals the plain way to the last bit: random pictures, edge cases, real films."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.imaging import breast, fingerprint, parts
from mammo_tf.imaging.levels import as_shares, as_uint16
from mammo_tf.imaging.resize import METHODS, resize
from mammo_tf.reading import Picture, grey_scale, read
from mammo_tf.reading.shades import Shades
from mammo_tf.records import prepare_image

sys.path.insert(0, str(Path(__file__).parents[1]))
import plain_ways  # noqa: E402 - it lies above this file

SIZES, SEEDS = st.integers(1, 70), st.integers(0, 2**32 - 1)
GREYS = {
    "noise": lambda rng, shape: rng.integers(0, 65536, shape, dtype=np.uint16),
    "black and white": lambda rng, shape: np.where(rng.random(shape) < 0.5, 0, 65535).astype(np.uint16),
    "saturated": lambda rng, shape: np.full(shape, 65535, np.uint16),
    "one grey": lambda rng, shape: np.full(shape, rng.integers(0, 65536), np.uint16),
    "one speck": lambda rng, shape: (np.arange(shape[0] * shape[1]).reshape(shape) == 0).astype(np.uint16) * 65535,
}


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)


@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from(METHODS), SEEDS, st.sampled_from(list(GREYS)))
@example(1, 1, 1, 2, "area", 0, "noise")
@example(1, 1, 2, 1, "cubic", 0, "noise")
@settings(max_examples=200, deadline=None)
def test_resize(rows: int, columns: int, new_rows: int, new_columns: int, method: str, seed: int, grey: str) -> None:
    picture = GREYS[grey](np.random.default_rng(seed), (rows, columns))
    found = resize(picture, new_rows, new_columns, method)
    assert same(found, plain_ways.resized(picture, new_rows, new_columns, method))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("old", "new"), [((1300, 700), (640, 400)), ((300, 200), (640, 500)), ((1500, 1), (7, 300))])
def test_resize_in_several_strips(method: str, old: tuple[int, int], new: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 65536, old, dtype=np.uint16)[:, ::-1]
    assert same(resize(picture, *new, method), plain_ways.resized(picture, *new, method))


def mask_of(rows: int, columns: int, seed: int) -> np.ndarray:
    """Blobs of any size, or dust."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(rows, columns))
    blobs = noise if rng.random() < 0.3 else cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.3, 8)).reshape(noise.shape)
    return np.asarray(blobs > rng.normal() * np.abs(blobs).max() / 2)


@given(SIZES, SIZES, SEEDS)
@settings(max_examples=200, deadline=None)
def test_largest_part(rows: int, columns: int, seed: int) -> None:
    mask = mask_of(rows, columns, seed)
    assert same(parts.largest_part(mask), plain_ways.largest_part(mask))


def test_an_island_in_a_hole_is_another_part() -> None:
    mask = np.ones((9, 9), np.bool_)
    mask[2:7, 2:7] = False
    mask[4, 4] = True
    assert same(parts.largest_part(mask), plain_ways.largest_part(mask))
    assert not parts.largest_part(mask)[4, 4]


@given(SIZES, SIZES, st.floats(0, 25), SEEDS)
@settings(max_examples=200, deadline=None)
def test_opening(rows: int, columns: int, radius: float, seed: int) -> None:
    mask = mask_of(rows, columns, seed)
    assert same(parts.opened(mask, radius), plain_ways.opened(mask, radius))


def view_of(rows: int, columns: int, seed: int) -> np.ndarray:
    """Lines that change about as much as counts, some even, some wholly dark or bright."""
    rng = np.random.default_rng(seed)
    view = rng.random((rows, columns)) * rng.choice([0.05, 0.0599, 0.06, 0.061, 0.1, 1.0], (rows, 1))
    if rng.random() < 0.5:
        view = np.rint(view * 20) / 20 * 0.06
    view[:, rng.random(columns) < rng.random()] = rng.choice([0.0, 1.3])
    return view.astype(np.float32)


@given(SIZES, SIZES, st.integers(0, 1), SEEDS)
@settings(max_examples=300, deadline=None)
def test_lively_lines(rows: int, columns: int, axis: int, seed: int) -> None:
    view = view_of(rows, columns, seed)
    assert breast._lively(view, axis) == plain_ways.lively(view, axis)


@given(SIZES, SIZES, st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.1), SEEDS)
@settings(max_examples=200, deadline=None)
def test_through_the_dark(rows: int, columns: int, one: float, other: float, threshold: float, seed: int) -> None:
    view = view_of(rows, columns, seed)
    start, stop = sorted((round(one * rows), round(other * rows)))
    found = breast._through_the_dark(view, start, stop, threshold)
    assert found == plain_ways.through_the_dark(view, start, stop, threshold)


def test_one_pixel_of_float64_stays_one_pixel() -> None:
    assert as_uint16(np.array([[0.25]])).tolist() == [[16384]]


def test_levels_survive_as_shares() -> None:
    levels = np.arange(65536, dtype=np.uint16)[None]
    assert same(as_uint16(as_shares(levels)), levels)


@given(SEEDS, st.integers(1, 400), st.integers(1, 300), st.sampled_from([np.uint8, np.uint16]))
@settings(max_examples=50, deadline=None)
def test_what_is_looked_up_in_parts(seed: int, rows: int, columns: int, kind: type) -> None:
    rng = np.random.default_rng(seed)
    count = np.iinfo(kind).max + 1
    y, x = np.mgrid[:rows, :columns]
    inside = ((y - rows / 2) / (0.42 * rows)) ** 2 + (x / (0.7 * columns)) ** 2 < 1
    words = np.where(inside, rng.integers(0, count, (rows, columns)), 0).astype(kind)
    rising = np.clip(np.linspace(-0.1, 1.1, count) ** rng.choice([1, 3]), 0, 1).astype(np.float32)
    table = rising if rng.random() < 0.5 else np.ascontiguousarray(rising[::-1])
    found, pixels = Shades(words, table), table[words]
    assert same(Picture(found, None).pixels, pixels)
    assert same(prepare_image._levels(found), as_uint16(pixels))
    assert same(prepare_image._levels(pixels), as_uint16(pixels))
    assert same(fingerprint.fingerprint_unchecked(found), fingerprint.fingerprint(pixels))
    assert grey_scale.inverted_doubt(found) == grey_scale.inverted_doubt(pixels)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Looking for the breast as the plain ways do it."""
    for module in (breast, fingerprint):
        monkeypatch.setattr(module, "largest_part", plain_ways.largest_part)
    monkeypatch.setattr(breast, "opened", plain_ways.opened)
    monkeypatch.setattr(breast, "_lively", plain_ways.lively)
    monkeypatch.setattr(breast, "_through_the_dark", plain_ways.through_the_dark)
    return monkeypatch


@pytest.mark.real
def test_real_pictures(real_data: Path, slow: pytest.MonkeyPatch) -> None:
    paths = sorted(path for path in real_data.rglob("*") if path.suffix in (".png", ".jpg", ".dcm"))[::23]
    by_plain, by_quick = {}, {}
    for path in paths:
        try:
            pixels = read(path, laterality="L", view="CC", modality="FILM").pixels
        except MammoError:
            continue
        found = as_uint16(pixels)
        by_plain[path] = breast.segment(found), fingerprint.fingerprint(pixels), found
    slow.undo()
    for path, (_, _, found) in by_plain.items():
        pixels = read(path, laterality="L", view="CC", modality="FILM").pixels
        by_quick[path] = breast.segment(found), fingerprint.fingerprint(pixels), found
        small = resize(found, 576, 448, "area")
        assert same(small, plain_ways.resized(found, 576, 448, "area"))
    assert len(by_plain) > 20
    for path, answers in by_plain.items():
        assert all(same(one, other) for one, other in zip(answers, by_quick[path], strict=True)), path

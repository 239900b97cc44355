"""Fingerprints: the same picture in other files has nearly the same bits, another woman's has others."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.imaging.fingerprint import ALIKE, BITS, BYTES, distances, fingerprint, near_pairs

ROWS, COLUMNS = 300, 220


def woman(seed: int) -> np.ndarray:
    """A half ellipse with a cloudy pattern at the left edge on black, float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    inside = ((y - ROWS / 2) / (0.42 * ROWS)) ** 2 + (x / (0.7 * COLUMNS)) ** 2 < 1
    clouds = sum(cv2.GaussianBlur(rng.normal(size=(ROWS, COLUMNS)), (0, 0), size) * size for size in (3, 6, 12))
    picture = 0.5 + 0.35 * clouds / np.abs(clouds).max() - 0.1 * x / COLUMNS
    return np.where(inside, picture, 0).astype(np.float32)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(distances(fingerprint(one)[None], fingerprint(other)[None])[0, 0])


PICTURE = woman(0)


def jpeg(picture: np.ndarray) -> np.ndarray:
    eight = np.rint(picture * 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_GRAYSCALE)


CHANGES = {
    "half the size": cv2.resize(PICTURE, (COLUMNS // 2, ROWS // 2), interpolation=cv2.INTER_AREA),
    "twice the size": cv2.resize(PICTURE, (COLUMNS * 2, ROWS * 2), interpolation=cv2.INTER_LINEAR),
    "stretched": cv2.resize(PICTURE, (ROWS, ROWS), interpolation=cv2.INTER_LINEAR),
    "8 bits": np.rint(PICTURE * 255).astype(np.uint8),
    "16 bits": np.rint(PICTURE * 65535).astype(np.uint16),
    "gamma 0.7": PICTURE**0.7,
    "gamma 1.5": PICTURE**1.5,
    "window": np.clip((PICTURE - 0.1) / 0.6, 0, 1),
    "JPEG": jpeg(PICTURE),
    "turned left to right": np.ascontiguousarray(PICTURE[:, ::-1]),
    "a black border": cv2.copyMakeBorder(PICTURE, 30, 10, 0, 40, cv2.BORDER_CONSTANT, value=0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_picture_has_nearly_the_same_bits(change: str) -> None:
    assert apart(PICTURE, CHANGES[change]) < ALIKE - 0.02


@given(st.integers(1, 10_000), st.integers(1, 10_000))
@settings(max_examples=15, deadline=None)
def test_strangers_differ_in_about_half(one: int, other: int) -> None:
    far = apart(woman(one), woman(other))
    assert far == 0 if one == other else far > ALIKE + 0.08


@given(st.floats(0.6, 1.6), st.floats(0.5, 1.0))
@settings(max_examples=15, deadline=None)
def test_a_rising_grey_scale_does_not_matter(gamma: float, white: float) -> None:
    assert apart(PICTURE, (PICTURE**gamma * white).astype(np.float32)) < ALIKE


def test_bits_are_the_same_in_every_version() -> None:
    y, x = np.mgrid[:300, :200] / 300
    inside = ((y - 0.5) / 0.42) ** 2 + (x / 0.5) ** 2 < 1
    waves = np.sin(60 * x + 9 * y) + np.sin(47 * y - 20 * x * y) + np.sin(31 * (x + y) ** 2)
    found = fingerprint(np.where(inside, 0.5 + 0.1 * waves, 0).astype(np.float32))
    assert found.shape == (2, BYTES)
    assert BITS == 8 * BYTES
    known = np.frombuffer(bytes.fromhex(KNOWN), np.uint8).reshape(2, BYTES)
    assert distances(found[None], known[None])[0, 0] < 0.01, "but for rounding on another machine"


KNOWN = (
    "2cdddd47d771f59a774498fa0a3a0ca4e6daa6338daa1286134d6311be829d7497e4361bf74181de02a5968846735c9ac3ba"
    "81790162bb14c95cd1ba7daccb1b24dddd47d771f59a7e44987e0e380ca4e6da26378daa1284130d63013e829d5495e4b61a"
    "f7c181de02a4968846715c3ac3bf817901629b34c95891bafc08cb0b"
)


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (300, 5), (64, 48), (400, 300)])
def test_what_has_no_pattern_has_no_bits_and_is_like_nothing(shape: tuple[int, int]) -> None:
    for picture in (np.zeros(shape, np.float32), np.ones(shape, np.float32), np.full(shape, 0.5, np.float32)):
        found = fingerprint(picture)
        assert not found.any()
        assert distances(found[None], found[None])[0, 0] == 1


def test_what_is_not_a_picture_is_refused() -> None:
    with pytest.raises(MammoError) as told:
        fingerprint(np.full((4, 4), 2.0))
    assert told.value.code == "pixels_wrong"


def pairs_one_by_one(prints: np.ndarray, groups: np.ndarray, limit: float) -> tuple[list[list[int]], list[float]]:
    """What `near_pairs` gives, by comparing every pair in all its bits."""
    far = distances(prints, prints)
    near = [(one, other) for one, other in zip(*np.nonzero(far <= limit), strict=True) if one < other]
    due = sorted((float(far[pair]), *map(int, pair)) for pair in near if groups[pair[0]] != groups[pair[1]])
    return [[one, other] for _, one, other in due], [distance for distance, _, _ in due]


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 150),
    st.integers(1, 4),
    st.sampled_from([-0.1, 0.0, 0.05, 0.24, 0.3, 0.5, 1.0]),
    st.sampled_from([(16, 8192), (1, 1), (7, 16), (64, 5)]),
)
@settings(max_examples=150, deadline=None)
def test_pairs_are_those_that_are_found_one_by_one(
    seed: int, number: int, kinds: int, limit: float, block: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    prints = rng.integers(0, 256, (5, 2, BYTES), dtype=np.uint8)[rng.integers(0, 5, number)]
    flipped = rng.random((number, 2, BITS)) < rng.choice([0, 0.05, 0.12, 0.2, 0.9], (number, 2, 1))
    prints ^= np.packbits(flipped, axis=2)
    prints[rng.random((number, 2)) < 0.1] = 0
    groups = rng.integers(0, kinds, number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mammo_tf.imaging.fingerprint.BLOCK", block)
        pairs, far = near_pairs(prints, groups, limit)
    assert pairs.dtype == np.int64
    assert far.dtype == np.float32
    assert (pairs.tolist(), far.tolist()) == pairs_one_by_one(prints, groups, limit)


@pytest.mark.parametrize("breast", [0, 1])
def test_a_pair_whose_compared_bits_all_differ_is_not_taken_for_equal(breast: int) -> None:
    prints = np.full((2, 2, BYTES), 0b10101010, np.uint8)
    prints[1, breast] ^= 255
    pairs, far = near_pairs(prints, np.arange(2), 0.24)
    assert (pairs.tolist(), far.tolist()) == ([[0, 1]], [31 / BITS])

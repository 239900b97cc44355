"""Projections of frames: golden/dicom/dbt, and plain NumPy on whole volumes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.imaging.projection import mip, slabs

EXPECTED = np.load(Path(__file__).parents[1] / "golden" / "dicom" / "dbt" / "expected.npz")


def test_projections_of_the_reference_volume() -> None:
    volume = EXPECTED["A/volume"]
    np.testing.assert_array_equal(mip(iter(volume)), EXPECTED["A/mip"])
    np.testing.assert_array_equal(np.stack(list(slabs(iter(volume), 3))), EXPECTED["A/slab3_max"])


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(1, 9), thickness=st.integers(1, 10), seed=st.integers(0, 99), kind=st.sampled_from("uif"))
def test_slabs_are_the_maxima_of_consecutive_runs(frames: int, thickness: int, seed: int, kind: str) -> None:
    volume = np.random.default_rng(seed).integers(-50, 50, (frames, 3, 4)).astype(f"{kind}4")
    due = [volume[first : first + thickness].max(axis=0) for first in range(0, frames, thickness)]
    found = list(slabs(volume, thickness))
    np.testing.assert_array_equal(np.stack(found), np.stack(due))
    assert found[0].dtype == volume.dtype
    np.testing.assert_array_equal(mip(found), volume.max(axis=0))


def test_frames_are_taken_one_at_a_time_and_left_as_they_are() -> None:
    taken = []

    def frames() -> Iterator[np.ndarray]:
        for number in range(6):
            taken.append(number)
            yield np.full((2, 2), number)

    walked = slabs(frames(), 2)
    assert taken == []
    assert next(walked).max() == 1
    assert taken == [0, 1]
    first = np.zeros((2, 2))
    assert mip([first, np.ones((2, 2))]).min() == 1
    assert first.max() == 0


def test_what_cannot_be_projected_is_one_clear_line() -> None:
    for frames, code in (
        ([], "volume_empty"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], "pixels_wrong"),
        ([np.zeros((2, 2)), np.zeros((2, 2), np.uint8)], "pixels_wrong"),
        ([np.zeros(4)], "pixels_wrong"),
    ):
        with pytest.raises(MammoError) as caught:
            mip(frames)
        assert caught.value.code == code
    with pytest.raises(MammoError) as caught:
        slabs([np.zeros((2, 2))], 0)
    assert caught.value.code == "projection_wrong"

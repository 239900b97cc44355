"""Hostile and damaged files: golden/dicom/hostile, every cut of a sound file, and random damage."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_tf import reading
from mammo_tf.errors import MammoError

GOLDEN = Path(__file__).parents[1] / "golden" / "dicom"
HOSTILE = GOLDEN / "hostile"
CASES = json.loads((HOSTILE / "expected.json").read_text())


def test_there_are_as_many_cases_as_the_readme_says() -> None:
    assert len(CASES) == 62


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_accepted_or_refused_in_good_order(name: str) -> None:
    case = CASES[name]
    tracemalloc.start()
    try:
        pixels = reading.read(HOSTILE / name).pixels
    except MammoError as error:
        assert case["decision"] == "refuse"
        assert error.code == case["cls"]
        assert error.__cause__ is None  # nothing of a foreign library is passed on
    else:
        assert case["decision"] == "accept"
        np.testing.assert_array_equal(pixels, reading.read(HOSTILE / "control.dcm").pixels)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < case["memory_limit_mib"] * 2**20


@pytest.mark.parametrize("name", ["hostile/control.dcm", "codecs/j2k_lossless.dcm", "codecs/implicit_le.dcm"])
def test_no_cut_of_a_file_passes_or_crashes(name: str, tmp_path: Path) -> None:
    whole = (GOLDEN / name).read_bytes()
    path = tmp_path / "cut.dcm"
    for length in [*range(0, 1400, 3), *range(1400, len(whole) - 20, 397), len(whole) - 9]:
        path.write_bytes(whole[:length])
        with pytest.raises(MammoError):
            reading.read(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_random_damage_gives_a_picture_or_a_refusal(data: st.DataObject, tmp_path: Path) -> None:
    name = data.draw(st.sampled_from(["hostile/control.dcm", "codecs/rle_dcmtk.dcm", "dbt/shuffled_rle.dcm"]))
    damaged = bytearray((GOLDEN / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.dcm"
    path.write_bytes(damaged)
    for function in (reading.read, reading.volume_facts, reading.read_stored):
        try:
            result = function(path)
        except MammoError:
            continue
        if isinstance(result, reading.Picture):
            assert result.pixels.shape == (result.facts.rows, result.facts.columns)
            assert np.isfinite(result.pixels).all()


def test_a_directory_file_is_never_followed() -> None:
    with pytest.raises(MammoError) as caught:
        reading.inspect_file(HOSTILE / "DICOMDIR")
    assert caught.value.code == "not_an_image"


@pytest.mark.parametrize(
    "name", ["no_preamble.dcm", "no_sequence_delimiter.dcm", "syntax_lies_explicit.dcm", "pixels_long.dcm"]
)
def test_what_was_overlooked_is_told(name: str) -> None:
    assert reading.inspect_file(HOSTILE / name).warnings

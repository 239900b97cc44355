"""Stored values: every transfer syntax of golden/dicom/codecs, every bit layout of golden/dicom/display."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLossless, JPEGLosslessSV1

from mammo_tf import reading
from mammo_tf.reading.fragments import encapsulated

CODECS = Path(__file__).parents[1] / "golden" / "dicom" / "codecs"
DISPLAY = CODECS.parent / "display"
CASES = json.loads((CODECS / "expected.json").read_text())
ANSWERS = np.load(CODECS / "expected.npz")
LAYOUTS = {name: array for name, array in np.load(DISPLAY / "expected.npz").items() if name.endswith("/stored")}


def test_there_are_as_many_cases_as_the_readme_says() -> None:
    assert len(CASES) == 33
    assert len(LAYOUTS) == 12


@pytest.mark.parametrize("name", CASES)
def test_stored_values_of_a_transfer_syntax(name: str) -> None:
    case = CASES[name]
    stored = reading.read_stored(CODECS / f"{name}.dcm")
    answer = ANSWERS[case["array"]]
    assert stored.dtype == answer.dtype
    assert stored.shape == answer.shape == tuple(case["shape"])
    assert np.abs(stored.astype(np.int64) - answer).max() <= case["tolerance"]


@pytest.mark.parametrize("name", CASES)
def test_a_coded_file_is_a_picture_or_a_volume(name: str) -> None:
    frames = list(reading.frames(CODECS / f"{name}.dcm", stored=True))
    answer = ANSWERS[CASES[name]["array"]].reshape(len(frames), *frames[0].shape)
    assert np.abs(np.stack(frames).astype(np.int64) - answer).max() <= CASES[name]["tolerance"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_stored_values_of_a_bit_layout(name: str) -> None:
    stored = reading.read_stored(DISPLAY / f"{name.removesuffix('/stored')}.dcm")
    np.testing.assert_array_equal(stored, LAYOUTS[name])


POINT_TRANSFORM = np.load(CODECS.parent / "point_transform" / "streams.npz")


@pytest.mark.parametrize("name", [name for name in POINT_TRANSFORM if "transform" in name])
def test_a_point_transform_drops_the_lowest_bits(name: str, write_dicom: Callable[..., Any], tmp_path: Path) -> None:
    ((kind, predictor, transform),) = re.findall(r"(\w+)_predictor(\d)_transform(\d)", name)
    pixels, bits = POINT_TRANSFORM[kind], int(transform)
    made = write_dicom(tmp_path / "a.dcm", pixels, int(kind[1:]))
    made.file_meta.TransferSyntaxUID = JPEGLosslessSV1 if predictor == "1" else JPEGLossless
    made.PixelData = encapsulate([POINT_TRANSFORM[name].tobytes()])
    made["PixelData"].VR = "OB"
    pydicom.dcmwrite(tmp_path / "a.dcm", made, enforce_file_format=True)
    np.testing.assert_array_equal(reading.read_stored(tmp_path / "a.dcm"), (pixels >> bits) << bits)
    assert any(f"lowest {bits} bits" in warning for warning in reading.inspect_file(tmp_path / "a.dcm").warnings)


@pytest.mark.parametrize("length", [1, 2, 7, 256])
def test_a_frame_is_encapsulated_as_pydicom_does_it(length: int) -> None:
    data = bytes(range(256))[:length]
    assert encapsulated(data) == encapsulate([data], has_bot=False)

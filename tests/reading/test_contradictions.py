"""Headers that contradict themselves, or say what cannot be: refused or told, never a number that is silently wrong."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.study import read_manifest, write_manifest
from mammo_tf.study.cells import RANGES
from tests.reading.conftest import Write, breast


def view_code(value: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator = value, "SCT"
    return made


def table(bits: int, largest: int) -> Dataset:
    made = Dataset()
    made.add_new("LUTDescriptor", "US", [4096, 0, bits])
    made.add_new("LUTData", "OW", np.linspace(0, largest, 4096).astype("<u2").tobytes())
    return made


@pytest.mark.parametrize(
    ("elements", "code", "words"),
    [
        ({"ImageLaterality": ["L", "R"]}, "laterality_contradictory", "L and R"),
        ({"ImageLaterality": [], "Laterality": ["R", "L"]}, "laterality_contradictory", "L and R"),
        ({"ViewPosition": ["CC", "MLO"]}, "view_contradictory", "CC and MLO"),
        (
            {"ViewPosition": "", "ViewCodeSequence": [view_code("399368009"), view_code("399162004")]},
            "view_contradictory",
            "MLO and CC",
        ),
        ({"PhotometricInterpretation": ["MONOCHROME2", "MONOCHROME1"]}, "bad_value", "Photometric"),
        ({"RescaleSlope": "1_0"}, "bad_value", "RescaleSlope is not a number"),
        ({"RescaleSlope": "1\\2"}, "bad_value", "RescaleSlope is 2 numbers"),
        ({"Rows": 64}, "bad_pixels", "Number of Frames or Bits Allocated"),
    ],
)
def test_what_cannot_be_decided_is_refused(
    elements: dict[str, Any], code: str, words: str, write_dicom: Write, tmp_path: Path
) -> None:
    write_dicom(tmp_path / "a.dcm", **elements)
    with pytest.raises(MammoError, match=words) as caught:
        reading.inspect_file(tmp_path / "a.dcm")
    assert caught.value.code == code


@pytest.mark.parametrize("frames", [b"+-1 ", b"--1 ", b"1" * 5000, b"1\\2 ", "１ ".encode()])
def test_a_number_of_frames_that_is_none_is_refused(frames: bytes, write_dicom: Write, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(path, NumberOfFrames=7)
    head = b"\x28\0\x08\0IS"
    assert head + b"\x02\0007 " in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(head + b"\x02\0007 ", head + struct.pack("<H", len(frames)) + frames))
    with pytest.raises(MammoError, match="Number of Frames is not a number"):
        reading.inspect_file(path)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_several_code_streams_are_not_one_picture(syntax: str, write_dicom: Write, tmp_path: Path) -> None:
    pixels = np.stack([breast(3000), breast(2000, 1), breast(1000, 2)])
    write_dicom(tmp_path / "a.dcm", pixels, compress=syntax, after={"NumberOfFrames": 1})
    with pytest.raises(MammoError, match="3 code streams where the header says one frame"):
        reading.inspect_file(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"PresentationLUTShape": "inverse"}, "Presentation LUT Shape"),
        ({"PresentationLUTShape": "LIN OD"}, "Presentation LUT Shape"),
        ({"VOILUTFunction": ["SIGMOID", "LINEAR"]}, "several VOI LUT functions"),
        ({"WindowCenter": "2_0"}, "not a number"),
        ({"RescaleIntercept": "-1000"}, "without Rescale Slope"),
        ({"VOILUTSequence": [table(8, 4095)]}, "of 8 bits has 4095"),
        ({"VOILUTSequence": [table(16, 4095)]}, "of 16 bits has 4095"),
        ({"PatientAge": "999Y"}, "an age"),
        ({"PixelSpacing": [70, 70]}, "PixelSpacing of 70 x 70 mm"),
        ({"EstimatedRadiographicMagnificationFactor": "0.5"}, "magnification factor of 0.5"),
    ],
)
def test_what_is_odd_is_told(elements: dict[str, Any], words: str, write_dicom: Write, tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", **elements)
    assert any(words in warning for warning in reading.inspect_file(tmp_path / "a.dcm").warnings)


def test_a_function_is_one_in_small_letters_too(write_dicom: Write, tmp_path: Path) -> None:
    for name, function in (("a", "SIGMOID"), ("b", "sigmoid")):
        write_dicom(tmp_path / f"{name}.dcm", VOILUTFunction=function)
    large, small = (reading.read(tmp_path / f"{name}.dcm").pixels[...] for name in "ab")
    assert np.array_equal(large, small)
    assert large.min() > 0  # a line would reach it


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 20000, "WindowWidth": 10},
        {"RescaleSlope": -1, "RescaleIntercept": 0},
        {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 4095},
        {"VOILUTSequence": [table(12, 0)]},
    ],
)
def test_a_picture_on_which_nothing_is_to_be_seen_is_told(
    elements: dict[str, Any], write_dicom: Write, tmp_path: Path
) -> None:
    write_dicom(tmp_path / "a.dcm", **elements)
    assert any("same grey" in warning for warning in reading.read(tmp_path / "a.dcm").facts.warnings)


@pytest.mark.parametrize(("bits", "told"), [(12, False), (10, True)])
def test_bits_beyond_the_stored_ones_are_told(bits: int, told: bool, write_dicom: Write, tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", breast(3000), bits)
    warnings = reading.read(tmp_path / "a.dcm").facts.warnings
    assert any("more than the stored bits" in warning for warning in warnings) == told


@pytest.mark.parametrize("age", ["000Y", "006M", "999Y"])
@pytest.mark.parametrize("spacing", [70, 0.00007])
def test_a_manifest_holds_nothing_that_it_would_refuse(
    age: str, spacing: float, write_dicom: Write, tmp_path: Path
) -> None:
    wrong = {"PatientAge": age, "PixelSpacing": [spacing] * 2, "ImagerPixelSpacing": [spacing] * 2}
    write_dicom(tmp_path / "a.dcm", **wrong)
    facts = reading.inspect_file(tmp_path / "a.dcm")
    assert (facts.age, facts.spacing_mm, facts.spacing_source) == (None, None, None)
    rows, _ = reading.collections.collect("folder", tmp_path)
    write_manifest(rows, tmp_path / "manifest.csv")
    assert len(read_manifest(tmp_path / "manifest.csv")) == 1


def test_a_spacing_that_cannot_be_leaves_the_next_one(write_dicom: Write, tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", PixelSpacing=[70, 70], ImagerPixelSpacing=[0.07, 0.07])
    assert reading.inspect_file(tmp_path / "a.dcm").spacing_mm == (0.07, 0.07)
    assert RANGES["spacing_row_mm"] == RANGES["spacing_column_mm"]

"""What archives hold next to mammograms: pages, captures, cut-outs, masks, containers; and films that stay films."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading.grey_scale import SMALL

Write = Callable[..., Any]
CAPTURE, CAPTURE_16, CT = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("7", "7.3", "2"))
XRAY = {"KVP": 28, "DetectorType": "DIRECT"}


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen_capture"),
        ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "SCREENSHOT"], **XRAY}, "screen_capture"),
        ({"SeriesDescription": "Screen capture 1"}, "screen_capture"),
        ({"SeriesDescription": "CAD report"}, "screen_capture"),
        ({"SeriesDescription": "Breast Screen Report"}, "screen_capture"),
        ({"ProtocolName": "Dose report"}, "screen_capture"),
        *(
            ({"SeriesDescription": said, "sop_class": CAPTURE}, "screen_capture")
            for said in ("Patient letter", "Consent form", "Scanned document", "TITLE PAGE", "Heatmap AI")
        ),
        ({"SeriesDescription": "Mammo CAD", "sop_class": CAPTURE}, "screen_capture"),
        ({"ProtocolName": "DOSE_REPORT", "sop_class": CAPTURE}, "screen_capture"),
        ({"SeriesDescription": "Screen", "sop_class": CAPTURE_16}, "screen_capture"),
        ({"ConversionType": "DRW", "sop_class": CAPTURE}, "screen_capture"),
        ({"SeriesDescription": "cropped images"}, "cut_out"),
        ({"SeriesDescription": "cropped_images", "sop_class": CAPTURE, "ConversionType": "WSD"}, "cut_out"),
        ({"SeriesDescription": "ROI mask images"}, "roi_mask"),
        ({"SeriesDescription": "Tumour mask"}, "roi_mask"),
        ({"sop_class": CAPTURE, "ImageType": ["ORIGINAL", "PRIMARY", "", "TOMOSYNTHESIS"], "bits": 8}, "container"),
    ],
)
def test_what_is_no_picture_of_a_breast_is_refused(
    elements: dict[str, Any], code: str, write_dicom: Write, tmp_path: Path
) -> None:
    write_dicom(tmp_path / "a.dcm", **elements)
    with pytest.raises(MammoError) as caught:
        reading.inspect_file(tmp_path / "a.dcm")
    assert caught.value.code == code
    assert caught.value.remedy


def test_a_capture_with_a_vendors_payload_is_a_container(write_dicom: Write, tmp_path: Path) -> None:
    made = write_dicom(tmp_path / "a.dcm", sop_class=CAPTURE, **XRAY)
    made.private_block(0x7E01, "VENDOR", create=True).add_new(0x12, "OB", bytes(1 << 21))
    pydicom.dcmwrite(tmp_path / "a.dcm", made, enforce_file_format=True)
    with pytest.raises(MammoError) as caught:
        reading.inspect_file(tmp_path / "a.dcm")
    assert caught.value.code == "container"


@pytest.mark.parametrize(
    ("elements", "modality", "is_doubtful"),
    [
        ({"sop_class": CAPTURE, "ConversionType": "WSD"}, "FILM", True),
        ({"sop_class": CAPTURE_16}, "FILM", True),
        ({"ConversionType": "WSD"}, "FILM", True),
        ({"sop_class": CAPTURE, "ConversionType": "DF"}, "FILM", False),
        ({"sop_class": CAPTURE, "ConversionType": "SI"}, "FILM", False),
        ({"sop_class": CAPTURE, "ConversionType": "WSD", **XRAY}, "FFDM", False),
        ({"SeriesDescription": "full mammogram images"}, "FFDM", False),
        ({"SeriesDescription": "Screening", "StudyDescription": "MG SCREEN BILAT"}, "FFDM", False),
        ({"SeriesDescription": "SCREEN R-CC", **XRAY}, "FFDM", False),
        ({"SeriesDescription": "Unsharp mask processed"}, "FFDM", False),
        ({"SeriesDescription": "Nipple patch"}, "FFDM", False),
        ({"SeriesDescription": "L CC reported", **XRAY}, "FFDM", False),
    ],
)
def test_pictures_that_stay(
    elements: dict[str, Any], modality: str, is_doubtful: bool, write_dicom: Write, tmp_path: Path
) -> None:
    write_dicom(tmp_path / "a.dcm", **elements)
    facts = reading.inspect_file(tmp_path / "a.dcm")
    assert facts.modality == modality
    assert any("digitised film" in warning for warning in facts.warnings) == is_doubtful


@pytest.mark.parametrize(("shape", "is_small"), [((40, 40), True), ((200, 63), True), ((64, 64), False)])
def test_a_picture_of_a_few_dozen_pixels_is_told(
    shape: tuple[int, int], is_small: bool, write_dicom: Write, tmp_path: Path
) -> None:
    write_dicom(tmp_path / "a.dcm", np.zeros(shape, np.uint16))
    table, _ = reading.collections.collect("folder", tmp_path)
    assert (table["warnings"][0] == SMALL) == is_small


def test_the_words_of_a_description_stay_inside(write_dicom: Write, tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", SeriesDescription="CAD report of Jane Doe")
    with pytest.raises(MammoError) as caught:
        reading.inspect_file(tmp_path / "a.dcm")
    assert "cad" in str(caught.value)
    assert "Doe" not in str(caught.value)

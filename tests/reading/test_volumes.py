"""Projections of files and folders: golden/dicom/dbt, and every frame shown by itself."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSLossless

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.study import Finding, Projection, findings_from_json, findings_to_json

DBT = Path(__file__).parents[1] / "golden" / "dicom" / "dbt"
CASES = json.loads((DBT / "expected.json").read_text())
TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
Write = Callable[..., Any]


@pytest.mark.parametrize("name", CASES)
def test_a_projection_is_the_maximum_of_what_is_shown(name: str) -> None:
    shown = np.stack(list(reading.frames(DBT / name)))
    picture = reading.project(DBT / name)
    np.testing.assert_array_equal(picture.pixels, shown.max(axis=0))
    assert picture.pixels.dtype == np.float32
    assert picture.facts.frames == len(shown)
    last = len(shown)
    np.testing.assert_array_equal(reading.project(DBT / name, last).pixels, shown[-1])
    np.testing.assert_array_equal(reading.project(DBT / name, max(1, last - 2)).pixels, shown[-3:].max(axis=0))


def _volume(seed: int = 0, low: int = 0, high: int = 4096) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (5, 90, 70)).astype(np.int16 if low < 0 else np.uint16)


@pytest.mark.parametrize("compress", ["", JPEGLSLossless])
def test_black_and_white_are_turned_before_the_projection(compress: str, write_dicom: Write, tmp_path: Path) -> None:
    volume = _volume()
    made = {"sop_class": TOMOSYNTHESIS, "PhotometricInterpretation": "MONOCHROME1", "compress": compress}
    write_dicom(tmp_path / "a.dcm", volume, WindowCenter=2000, WindowWidth=3001, **made)
    due = 1 - np.clip((volume - 1999.5) / 3000 + 0.5, 0, 1)
    np.testing.assert_allclose(reading.project(tmp_path / "a.dcm").pixels, due.max(axis=0), atol=2e-6)


def test_signed_values_and_padding_that_would_win(write_dicom: Write, tmp_path: Path) -> None:
    volume = _volume(1, -2000, 2000)
    volume[2] = 1999  # padding is shown as 0, though it is the largest value: neither rises nor falls
    write_dicom(tmp_path / "a.dcm", volume, 16, TOMOSYNTHESIS, WindowCenter=0, WindowWidth=4001, PixelPaddingValue=1999)
    due = np.where(volume == 1999, 0, np.clip((volume + 0.5) / 4000 + 0.5, 0, 1)).max(axis=0)
    np.testing.assert_allclose(reading.project(tmp_path / "a.dcm").pixels, due, atol=2e-6)


def test_no_frame_but_those_asked_for_is_decoded(write_dicom: Write, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(path, _volume(), sop_class=TOMOSYNTHESIS, compress=JPEGLSLossless)
    whole = reading.project(path, 1, 2).pixels
    stored = bytearray(path.read_bytes())
    starts = [at for at in range(len(stored)) if stored[at : at + 4] == b"\xff\xd8\xff\xf7"]
    stored[starts[4] : starts[4] + 30] = bytes(30)
    path.write_bytes(stored)
    np.testing.assert_array_equal(reading.project(path, 1, 2).pixels, whole)
    with pytest.raises(MammoError) as caught:
        reading.project(path)
    assert caught.value.code == "bad_pixels"


def test_memory_does_not_grow_with_the_frames(write_dicom: Write, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(path, np.tile(_volume(), (12, 6, 6)), sop_class=TOMOSYNTHESIS)
    frame_bytes = 540 * 420 * 2
    reading.project(path)
    tracemalloc.start()
    reading.project(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * frame_bytes  # 60 frames


@pytest.mark.parametrize("drop", ["position", "number"])
def test_a_folder_with_a_missing_slice_is_one_clear_line(drop: str, tmp_path: Path) -> None:
    name = {"position": "ct_per_slice", "number": "sc_per_slice"}[drop]
    shutil.copytree(DBT / name, tmp_path / "a")
    middle = sorted(CASES[f"{name}/"]["slice_of_file"], key=CASES[f"{name}/"]["slice_of_file"].get)[3]
    (tmp_path / "a" / middle).unlink()
    with pytest.raises(MammoError, match="frames are missing between frame 3 and 4 of 7") as caught:
        reading.project(tmp_path / "a")
    assert caught.value.code == "frames_missing"


def test_a_file_whose_frames_leave_a_gap(tmp_path: Path) -> None:
    made = pydicom.dcmread(DBT / "ordered.dcm")
    size = made.Rows * made.Columns * 2
    made.PixelData = made.PixelData[: 3 * size] + made.PixelData[5 * size :]
    del made.PerFrameFunctionalGroupsSequence[3:5]
    made.NumberOfFrames = 6
    made.save_as(tmp_path / "a.dcm")
    with pytest.raises(MammoError) as caught:
        reading.project(tmp_path / "a.dcm")
    assert caught.value.code == "frames_missing"


def test_slices_that_do_not_make_one_scale_or_stand_there_twice(tmp_path: Path) -> None:
    shutil.copytree(DBT / "ct_per_slice", tmp_path / "a")
    first, second, *_ = sorted((tmp_path / "a").iterdir())
    shutil.copy(first, tmp_path / "a" / "copy")
    with pytest.raises(MammoError, match="the same slice twice"):
        reading.project(tmp_path / "a")
    (tmp_path / "a" / "copy").unlink()
    made = pydicom.dcmread(second)
    made.RescaleSlope, made.RescaleIntercept = 2, 0
    made.save_as(second)
    with pytest.raises(MammoError) as caught:
        reading.project(tmp_path / "a")
    assert caught.value.code == "rescale_differs"


@pytest.mark.parametrize("where", ["one frame", "header"])
def test_frames_of_which_one_has_another_scale_are_refused(where: str, tmp_path: Path) -> None:
    made = pydicom.dcmread(DBT / "ordered.dcm")
    other = pydicom.Dataset()
    other.RescaleSlope, other.RescaleIntercept = 2, 0
    if where == "header":
        made.update(other)
    else:
        made.PerFrameFunctionalGroupsSequence[3].PixelValueTransformationSequence = [other]
    made.save_as(tmp_path / "a.dcm")
    with pytest.raises(MammoError) as caught:
        reading.project(tmp_path / "a.dcm")
    assert caught.value.code == "rescale_differs"


def test_a_volume_on_which_nothing_is_to_be_seen_and_a_distance_that_cannot_be_are_told(tmp_path: Path) -> None:
    made = pydicom.dcmread(DBT / "ordered.dcm")
    made.add_new("PixelPaddingValue", "US", 0)
    made.add_new("PixelPaddingRangeLimit", "US", 65535)
    made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 1000
    made.save_as(tmp_path / "a.dcm")
    facts = reading.project(tmp_path / "a.dcm").facts
    assert facts.slice_distance_mm is None
    for words in ("same grey", "SpacingBetweenSlices of 1000 mm"):
        assert any(words in warning for warning in facts.warnings)


def test_one_series_of_a_folder_that_holds_several(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number, name in enumerate(("ct_per_slice", "sc_per_slice")):
        for path in (DBT / name).iterdir():
            shutil.copy(path, tmp_path / "a" / f"{number}{path.name}")
    shutil.copy(DBT / "ordered.dcm", tmp_path / "a")
    (tmp_path / "a" / "README.txt").write_text("of the archive")
    due = reading.project(DBT / "sc_per_slice").pixels
    np.testing.assert_array_equal(reading.project(tmp_path / "a", series=2).pixels, due)
    for series, code in ((0, "not_dicom"), (3, "series_missing")):
        with pytest.raises(MammoError) as caught:
            reading.project(tmp_path / "a", series=series)
        assert caught.value.code == code


def test_what_a_row_becomes() -> None:
    shown = np.stack(list(reading.frames(DBT / "shuffled.dcm")))
    row = {"path": "shuffled.dcm", "laterality": "", "view": "", "image_id": "a"}
    for told, due in (
        ({}, shown.max(axis=0)),
        ({"frame": "3"}, shown[2]),
        ({"frame": "1"}, shown[0]),
        ({"frame": "4", "slab": "3"}, shown[3:6].max(axis=0)),
    ):
        np.testing.assert_array_equal(reading.read_row(row | told, DBT).pixels, due)
    with pytest.raises(MammoError, match="frames 7 to 9 are asked for, and the file has 8") as caught:
        reading.read_row(row | {"frame": "7", "slab": "3"}, DBT)
    assert caught.value.code == "frame_missing"
    with pytest.raises(MammoError, match="a volume of 8 frames, and by slice 8 pictures"):
        reading.read_row(row, DBT, Projection("slice"))


@pytest.mark.parametrize("name", ["shuffled.dcm", "ct_per_slice"])
def test_rows_of_slabs_and_slices(name: str) -> None:
    findings = findings_to_json(
        [Finding("mass", "malignant", box=(1, 1, 5, 5), frame=5), Finding("mass", "benign", box=(2, 2, 5, 5))]
    )
    row = {"path": name, "image_id": "a", "frame": "", "findings": findings}
    slabs = reading.images_of(DBT / name, row, Projection("slab", slab_mm=3.2))
    assert [(one["frame"], one["slab"]) for one in slabs] == [("1", "3"), ("4", "3"), ("7", "2")]
    assert [[finding.label for finding in findings_from_json(one["findings"])] for one in slabs] == [
        ["benign"], ["malignant", "benign"], ["benign"],
    ]  # fmt: skip
    slices = reading.images_of(DBT / name, row, Projection("slice"))
    assert [one["frame"] for one in slices] == [str(number) for number in range(1, 9)]
    shown = np.stack(list(reading.frames(DBT / name)))
    for rows, due in ((slabs, [shown[:3].max(0), shown[3:6].max(0), shown[6:].max(0)]), (slices, list(shown))):
        for one, pixels in zip(rows, due, strict=True):
            np.testing.assert_array_equal(reading.read_row(one, DBT, Projection("slice")).pixels, pixels)
    for same in (
        reading.images_of(DBT / name, row, Projection()),
        reading.images_of(DBT / "single_frame.dcm", row, Projection("slice")),
    ):
        assert same == [row]
    named = row | {"frame": "2"}
    assert reading.images_of(DBT / name, named, Projection("slice")) == [named]


def test_slices_in_mm_of_a_volume_that_does_not_tell_them() -> None:
    row = {"path": "sc_multiframe.dcm", "frame": "", "findings": ""}
    projection = Projection("slab", slab_mm=3)
    assert reading.images_of(DBT / "sc_multiframe.dcm", row, projection) == [row]
    with pytest.raises(MammoError) as caught:
        reading.read_row(row, DBT, projection)
    assert caught.value.code == "slice_distance_missing"

"""Frames in true order: golden/dicom/dbt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError

DBT = Path(__file__).parents[1] / "golden" / "dicom" / "dbt"
CASES = json.loads((DBT / "expected.json").read_text())
VOLUME = np.load(DBT / "expected.npz")["A/volume"]
ORDER_UNKNOWN = ("fewer_items_than_frames.dcm", "no_per_frame_groups.dcm", "sc_multiframe.dcm")


@pytest.mark.parametrize("name", CASES)
def test_frames_come_in_true_order(name: str) -> None:
    case = CASES[name]
    frames = np.stack(list(reading.frames(DBT / name, stored=True)))
    np.testing.assert_array_equal(frames, VOLUME[: case["frames"]])


@pytest.mark.parametrize("name", CASES)
def test_facts_of_a_volume(name: str) -> None:
    case = CASES[name]
    facts = reading.volume_facts(DBT / name)
    assert facts.frames == case["frames"]
    assert facts.modality == "DBT"
    assert (facts.laterality, facts.view) == (case["laterality"], case["view"])
    np.testing.assert_allclose(facts.spacing_mm, case["spacing_mm"])
    assert facts.slice_distance_mm == case["slice_distance_mm"]
    assert any("order" in word for word in facts.warnings) == (name in ORDER_UNKNOWN)


def test_one_window_counts_for_the_whole_volume() -> None:
    facts = reading.volume_facts(DBT / "window_per_frame.dcm")
    ((centre, width),) = facts.windows
    shown = np.stack(list(reading.frames(DBT / "window_per_frame.dcm")))
    assert shown.dtype == np.float32
    due = np.clip((VOLUME - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    np.testing.assert_allclose(shown, due, atol=2e-6)


def test_a_volume_is_no_picture() -> None:
    with pytest.raises(MammoError) as caught:
        reading.read(DBT / "ordered.dcm")
    assert caught.value.code == "volume"
    assert reading.read(DBT / "single_frame.dcm").pixels.shape == VOLUME.shape[1:]


def test_a_folder_of_slices_holds_one_volume_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "slices"
    with pytest.raises(MammoError, match="not there"):
        reading.frames(folder)
    folder.mkdir()
    with pytest.raises(MammoError, match="is empty"):
        reading.frames(folder)
    shutil.copytree(DBT / "sc_per_slice", folder, dirs_exist_ok=True)
    (folder / ".hidden").write_text("ignored")
    assert len(list(reading.frames(folder))) == 8
    shutil.copy(next((DBT / "ct_per_slice").iterdir()), folder / "other")
    with pytest.raises(MammoError) as caught:
        reading.frames(folder)
    assert caught.value.code == "not_a_volume"


def test_what_is_wrong_shows_before_the_first_frame() -> None:
    with pytest.raises(MammoError) as caught:
        reading.frames(DBT.parent / "traits" / "tomo_projections.dcm")
    assert caught.value.code == "projections"
    with pytest.raises(MammoError) as caught:
        reading.frames(DBT / "README.md")
    assert caught.value.code == "not_dicom"


@pytest.mark.parametrize("words", ["L CC Breast Tomosynthesis", "MAMMO_DBT", "Tomosintesis mama", ""])
@pytest.mark.parametrize("drop", [("ImagePositionPatient", "InstanceNumber"), ("ImagePositionPatient",)])
def test_slices_stored_as_ct_that_only_say_slice_location(words: str, drop: tuple[str, ...], tmp_path: Path) -> None:
    for path in (DBT / "ct_per_slice").iterdir():
        made = pydicom.dcmread(path)
        made.SliceLocation = float(made.ImagePositionPatient[2])
        made.Modality, made.SeriesDescription, made.ImageType = "CT", words, ["DERIVED", "SECONDARY", "AXIAL"]
        for keyword in (*drop, "BodyPartExamined", "SliceThickness", "ImageOrientationPatient"):
            if keyword in made:
                delattr(made, keyword)
        made.save_as(tmp_path / path.name)
    if not words:
        with pytest.raises(MammoError) as caught:
            reading.frames(tmp_path)
        assert caught.value.code == "wrong_modality"
        return
    facts = reading.volume_facts(tmp_path)
    assert (facts.modality, facts.laterality, facts.view, facts.frames) == ("DBT", "L", "CC", 8)
    assert facts.slice_distance_mm == pytest.approx(CASES["ct_per_slice/"]["slice_distance_mm"])
    np.testing.assert_array_equal(np.stack(list(reading.frames(tmp_path, stored=True))), VOLUME)


def test_a_ct_of_another_part_stays_one(write_dicom: Callable[..., Any], tmp_path: Path) -> None:
    for number, words in enumerate(("CT CHEST", "breast cancer staging")):
        write_dicom(
            tmp_path / f"{number}.dcm", sop_class="1.2.840.10008.5.1.4.1.1.2", Modality="CT", SeriesDescription=words,
            BodyPartExamined="CHEST",
        )  # fmt: skip
        with pytest.raises(MammoError) as caught:
            reading.inspect_file(tmp_path / f"{number}.dcm")
        assert caught.value.code == "wrong_modality"

"""Volumes of one file a slice in a folder tree, as `manifest folder` lists them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from mammo_tf import reading
from mammo_tf.reading import collections

DICOM = Path(__file__).parents[1] / "golden" / "dicom"
DBT = DICOM / "dbt"


def _copied(name: str, folder: Path, prefix: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in (DBT / name).iterdir():
        shutil.copy(path, folder / f"{prefix}{path.name}")


def _listed(root: Path) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    table, rejects = collections.collect("folder", root)
    rows = {str(row["path"]): {str(key): str(cell) for key, cell in row.items()} for row in table.to_dict("records")}
    return rows, {reject.path: reject.code for reject in rejects}


@pytest.mark.parametrize("name", ["ct_per_slice", "sc_per_slice"])
def test_a_folder_of_slices_is_one_row(name: str, tmp_path: Path) -> None:
    _copied(name, tmp_path / "woman" / "volume")
    shutil.copy(DBT / "sc_multiframe.dcm", tmp_path / "woman")
    rows, rejects = _listed(tmp_path)
    assert set(rows) == {"woman/volume", "woman/sc_multiframe.dcm"}
    assert not rejects
    for row in rows.values():
        assert (row["modality"], row["frames"], row["frame"]) == ("DBT", "8", "")
        due = np.max(list(reading.frames(tmp_path / row["path"])), axis=0)
        np.testing.assert_array_equal(reading.read_row(row, tmp_path).pixels, due)


def test_slices_of_several_series_next_to_other_files(tmp_path: Path) -> None:
    _copied("ct_per_slice", tmp_path, "0")
    _copied("sc_per_slice", tmp_path, "1")
    shutil.copy(DICOM / "traits" / "complete.dcm", tmp_path / "mammogram.dcm")
    (tmp_path / "README").write_text("an archive")
    table, rejects = collections.collect("folder", tmp_path)
    assert [reject.path for reject in rejects] == ["README"]
    volumes = table[table["modality"] == "DBT"]
    assert list(volumes["path"]) == [".", "."]
    assert list(volumes["series"]) == ["1", "2"]
    assert volumes["image_id"].nunique() == 2
    assert list(table[table["path"] != "."]["series"]) == [""]
    for row, name in zip(volumes.to_dict("records"), ("ct_per_slice", "sc_per_slice"), strict=True):
        due = np.max(list(reading.frames(DBT / name)), axis=0)
        np.testing.assert_array_equal(reading.read_row(row, tmp_path).pixels, due)


def _as_bare_ct(path: Path, study: str, part: str = "") -> FileDataset:
    made = pydicom.dcmread(path)
    made.Modality, made.StudyInstanceUID, made.BodyPartExamined = "CT", study, part
    for keyword in ("SeriesDescription", "ProtocolName"):
        if keyword in made:
            delattr(made, keyword)
    made.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    made.save_as(path)
    return made


@pytest.mark.parametrize(("same_study", "part"), [(True, ""), (False, ""), (True, "CHEST")])
def test_ct_slices_known_as_breast_by_the_mammograms_of_a_study(same_study: bool, part: str, tmp_path: Path) -> None:
    _copied("ct_per_slice", tmp_path / "ct")
    mammogram = pydicom.dcmread(DICOM / "traits" / "complete.dcm")
    mammogram.StudyInstanceUID = generate_uid()
    mammogram.save_as(tmp_path / "mammogram.dcm")
    study = str(mammogram.StudyInstanceUID) if same_study else generate_uid()
    for path in (tmp_path / "ct").iterdir():
        _as_bare_ct(path, study, part)
    rows, rejects = _listed(tmp_path)
    if same_study and not part:
        assert set(rows) == {"mammogram.dcm", "ct"}
        assert rows["ct"]["modality"] == "DBT"
        assert rows["ct"]["exam_id"] == rows["mammogram.dcm"]["exam_id"]
        assert reading.read_row(rows["ct"], tmp_path).facts.frames == 8
    else:
        assert set(rows) == {"mammogram.dcm"}
        assert set(rejects.values()) == {"wrong_modality"}
        assert len(rejects) == 8


def test_a_folder_that_the_table_names_is_one_volume(tmp_path: Path) -> None:
    _copied("ct_per_slice", tmp_path / "exam" / "ct")
    for path in (tmp_path / "exam" / "ct").iterdir():
        _as_bare_ct(path, "1.2.3")
    (tmp_path / "labels.csv").write_text("path,label,patient_id,laterality,view\nexam/ct,benign,me,R,MLO\n")
    rows, rejects = _listed(tmp_path)
    assert (rows["exam/ct"]["label"], rows["exam/ct"]["laterality"], rows["exam/ct"]["view"]) == ("benign", "R", "MLO")
    assert rejects == {"labels.csv": "table"}


def test_volumes_that_cannot_be_used_are_one_line_each(tmp_path: Path) -> None:
    _copied("ct_per_slice", tmp_path / "gap")
    _copied("sc_per_slice", tmp_path / "cut")
    volume = [str(path) for path, _ in sorted(_depths(tmp_path / "gap").items(), key=lambda pair: pair[1])]
    Path(volume[4]).unlink()
    damaged = min((tmp_path / "cut").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-200])
    rows, rejects = _listed(tmp_path)
    assert not rows
    assert rejects["gap"] == "frames_missing"
    assert rejects.pop(f"cut/{damaged.name}") in ("truncated", "bad_pixels")
    (rest,) = [place for place in rejects if place.startswith("cut")]
    assert rejects[rest] == "not_a_volume"


def _depths(folder: Path) -> dict[Path, float]:
    return {path: float(pydicom.dcmread(path).ImagePositionPatient[2]) for path in folder.iterdir()}


def test_the_same_volume_twice_is_one(tmp_path: Path) -> None:
    _copied("ct_per_slice", tmp_path / "a")
    _copied("ct_per_slice", tmp_path / "b")
    rows, rejects = _listed(tmp_path)
    assert set(rows) == {"a"}
    assert rejects == {"b": "duplicate"}


def test_a_volume_whose_frames_cannot_be_put_in_order_is_not_listed(tmp_path: Path) -> None:
    """Found by mutation: such a file was listed, and refused when its picture was made."""
    data = (DBT / "ordered.dcm").read_bytes()
    place = data.rindex(b"\x20\x00\x57\x90UL")  # In-Stack Position Number of the last frame
    (tmp_path / "a.dcm").write_bytes(data[: place + 4] + b"\0\0" + data[place + 6 :])
    table, rejects = collections.collect("folder", tmp_path)
    assert (len(table), [reject.code for reject in rejects]) == (0, ["bad_structure"])

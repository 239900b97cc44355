"""BCS-DBT: invented volumes with tables of the same form and quirks, and the real tables."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading import collections
from mammo_tf.reading.collections import bcs_dbt
from mammo_tf.study import findings_from_json

TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
PATHS = """PatientID,StudyUID,View,descriptive_path,classic_path
DBT-P1,DBT-S1,lcc,Breast-Cancer-Screening-DBT/DBT-P1/DBT-S1-MAMMO/1.0-NA/1-1.dcm,Breast-Cancer-Screening-DBT/DBT-P1/1.2/3.4/1-1.dcm
DBT-P1,DBT-S1,rmlo1,Breast-Cancer-Screening-DBT/DBT-P1/DBT-S1-MAMMO/2.0-NA/1-1.dcm,Breast-Cancer-Screening-DBT/DBT-P1/1.2/3.5/1-1.dcm
DBT-P2,DBT-S2,rcc,Breast-Cancer-Screening-DBT/DBT-P2/DBT-S2-MAMMO/1.0-NA/1-1.dcm,Breast-Cancer-Screening-DBT/DBT-P2/1.3/3.6/1-1.dcm
DBT-P2,DBT-S2,lcc,Breast-Cancer-Screening-DBT/DBT-P2/DBT-S2-MAMMO/2.0-NA/1-1.dcm,Breast-Cancer-Screening-DBT/DBT-P2/1.3/3.7/1-1.dcm
"""
LABELS = """PatientID,StudyUID,View,Normal,Actionable,Benign,Cancer
DBT-P1,DBT-S1,lcc,0,0,0,1
DBT-P1,DBT-S1,rmlo1,0,1,0,0
DBT-P2,DBT-S2,rcc,1,0,0,0
DBT-P9,DBT-S9,rcc,1,0,0,0
"""
BOXES = """PatientID,StudyUID,View,Subject,Slice,X,Y,Width,Height,Class,AD,VolumeSlices
DBT-P1,DBT-S1,lcc,0,1,10,20,30,40,cancer,0,3
DBT-P1,DBT-S1,rmlo1,0,0,10,20,30,40,benign,1,3
"""


def _write_volume(write_dicom: Callable[..., Dataset], path: Path, chest_wall: str, order: list[int]) -> None:
    """Three frames of 90 x 70, bright at one edge; frame k of the file is the `order[k]`-th of the volume."""
    path.parent.mkdir(parents=True, exist_ok=True)
    volume = np.zeros((3, 90, 70), np.uint16)
    volume[:, :, :20] = 1000 + 100 * np.array(order)[:, None, None]
    groups = []
    for depth in order:
        group, place = Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, depth]
        group.PlanePositionSequence = Sequence([place])
        groups.append(group)
    write_dicom(
        path, volume if chest_wall == "left" else volume[:, :, ::-1].copy(), sop_class=TOMOSYNTHESIS,
        PerFrameFunctionalGroupsSequence=Sequence(groups), ImageLaterality="L", Manufacturer="H",
    )  # fmt: skip


@pytest.fixture
def root(write_dicom: Callable[..., Dataset], tmp_path: Path) -> Path:
    """A whole volume by its classic path, a turned one by its descriptive path, one without its first folders."""
    base = tmp_path / "data"
    _write_volume(write_dicom, base / "Breast-Cancer-Screening-DBT/DBT-P1/1.2/3.4/1-1.dcm", "left", [2, 0, 1])
    _write_volume(write_dicom, base / "DBT-P1/DBT-S1-MAMMO/2.0-NA/1-1.dcm", "left", [0, 1, 2])
    _write_volume(write_dicom, base / "part/DBT-P2/1.3/3.6/1-1.dcm", "right", [0, 1, 2])
    _write_volume(write_dicom, base / "unknown.dcm", "left", [0, 1, 2])
    (base / "BCS-DBT file-paths-train-v2.csv").write_text(PATHS)
    with gzip.open(base / "BCS-DBT_labels-train-v2.csv.gz", "wt") as stream:
        stream.write(LABELS)
    (base / "BCS-DBT-boxes-train-v2.csv").write_text(BOXES)
    return base


def test_volumes_labels_and_rejects(root: Path) -> None:
    table, rejects = collections.collect("bcs-dbt", root)
    rows = table.set_index("image_id")
    assert rows["label"].to_dict() == {
        "DBT-P1_DBT-S1_lcc": "malignant",
        "DBT-P1_DBT-S1_rmlo1": "benign",
        "DBT-P2_DBT-S2_rcc": "normal",
    }
    assert list(rows["collection_label"]) == ["Cancer", "Actionable", "Normal"]
    assert list(rows["laterality"] + rows["view"]) == ["LCC", "RMLO", "RCC"]
    assert list(rows["patient_id"]) == ["DBT-P1", "DBT-P1", "DBT-P2"]
    assert set(rows["exam_id"]) == {"DBT-S1", "DBT-S2"}
    assert set(rows["modality"]) == {"DBT"}
    assert set(rows["split"]) == {"train"}
    assert set(rows["frames"]) == {"3"}
    codes = {reject.path: reject.code for reject in rejects}
    assert Counter(codes.values()) == {"table": 3, "not_in_table": 1, "file_missing": 1}
    assert codes["unknown.dcm"] == "not_in_table"
    assert codes["Breast-Cancer-Screening-DBT/DBT-P2/1.3/3.7/1-1.dcm"] == "file_missing"
    for row in table.to_dict("records"):
        assert reading.read_row(row, root).facts.frames == 3


def test_boxes_lie_in_the_frame_as_stored(root: Path) -> None:
    rows = collections.collect("bcs-dbt", root)[0].set_index("image_id")
    (mass,) = findings_from_json(rows.loc["DBT-P1_DBT-S1_lcc", "findings"])
    assert (mass.kind, mass.label, mass.box) == ("mass", "malignant", (10, 20, 40, 60))
    assert mass.frame == 1  # stored frame 1 is the first in true order
    (distortion,) = findings_from_json(rows.loc["DBT-P1_DBT-S1_rmlo1", "findings"])
    # A right breast is turned to lie at the right edge; as stored it lies at the left one, both axes turned.
    assert (distortion.kind, distortion.label) == ("distortion", "benign")
    assert distortion.box == (70 - 40, 90 - 60, 70 - 10, 90 - 20)
    assert distortion.frame == 1


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("labels", "lcc,0,0,0,1", "lcc,0,0,1,1", "row 2: DBT-P1 DBT-S1 lcc has not exactly one label"),
        ("labels", "rmlo1", "mlo", "row 3: View 'mlo' is unknown"),
        ("labels", "Cancer", "Malignant", "has no column 'Cancer'"),
        ("boxes", "cancer,0", "unsure,0", "row 2: the box cannot be read"),
        ("boxes", "30,40,cancer", "0,40,cancer", "row 2: the box is empty"),
        ("file-paths", "DBT-P1,DBT-S1,rmlo1", "DBT-P1,DBT-S1,lcc", "row 3: DBT-P1 DBT-S1 lcc stands there twice"),
    ],
)
def test_a_broken_table_is_one_clear_line(table: str, old: str, new: str, message: str, root: Path) -> None:
    path = next(path for path in root.iterdir() if table in path.name)
    texts = {"labels": LABELS, "boxes": BOXES, "file-paths": PATHS}
    path.unlink()
    path.with_suffix(".csv").with_name(path.name.removesuffix(".gz")).write_text(texts[table].replace(old, new))
    with pytest.raises(MammoError, match=message) as caught:
        collections.collect("bcs-dbt", root)
    assert caught.value.code == "table_broken"


def test_boxes_of_another_version_are_a_reject(root: Path) -> None:
    (root / "BCS-DBT-boxes-train-v2.csv").write_text(BOXES.replace("cancer,0,3", "cancer,0,4"))
    table, rejects = collections.collect("bcs-dbt", root)
    assert len(table) == 2
    assert "volume_differs" in {reject.code for reject in rejects}


def test_tables_may_lie_elsewhere_but_not_nowhere(root: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    for path in [path for path in root.iterdir() if path.name.startswith("BCS")]:
        path.rename(tmp_path / "tables" / path.name)
    assert len(collections.collect("bcs-dbt", root, labels=tmp_path / "tables")[0]) == 3
    with pytest.raises(MammoError) as caught:
        collections.collect("bcs-dbt", root)
    assert caught.value.code == "table_missing"


@pytest.mark.real
def test_real_tables(real_data: Path, write_dicom: Callable[..., Dataset], tmp_path: Path) -> None:
    tables = real_data / "tables"
    words = bcs_dbt._labels([(tables / "BCS-DBT_labels-train-v2.csv.gz", "train")])
    assert Counter(words.values()) == {"Normal": 18232, "Actionable": 716, "Benign": 124, "Cancer": 76}
    assert len({patient for patient, _, _ in words}) == 4362
    boxes = bcs_dbt._boxes([(tables / "BCS-DBT_boxes-train-v2.csv", "train")])
    found = [box for several in boxes.values() for box in several]
    assert Counter(box.finding.label for box in found) == {"benign": 137, "malignant": 87}
    assert sum(box.finding.kind == "distortion" for box in found) == 77
    assert set(boxes) <= set(words)
    assert all(box.slice < box.frames for box in found)
    root = tmp_path / "data"
    made = [(*volume, f"a/{number}/1-1.dcm", f"b/{number}/1-1.dcm") for number, volume in enumerate(list(words)[:3])]
    columns = ["PatientID", "StudyUID", "View", "descriptive_path", "classic_path"]
    for row in made:
        _write_volume(write_dicom, root / row[4], "left", [0, 1, 2])
    path = root / "BCS-DBT-file-paths-train-v2.csv"
    pd.DataFrame(made, columns=columns).to_csv(path, index=False)
    for name in ("BCS-DBT_labels-train-v2.csv.gz",):
        (root / name).write_bytes((tables / name).read_bytes())
    table, _ = collections.collect("bcs-dbt", root)
    assert list(table["collection_label"]) == [words[volume] for volume in list(words)[:3]]


def test_an_implant_of_the_header_is_let_in(root: Path, implant_is_let_in: Callable[..., None]) -> None:
    implant_is_let_in("bcs-dbt", root, "DBT-P1_DBT-S1_lcc")

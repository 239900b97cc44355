"""VinDr-Mammo: invented pictures with tables of the same form and quirks, and the invented rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading import collections
from mammo_tf.reading.collections import vindr_mammo
from mammo_tf.study import findings_from_json

KEY = "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,breast_density"
EXAMS = ("8e56d35e6aa7160bf7e39f57fc9c46a0", "282d7bcdf79ba593db05025124185427")
NAMES = [f"{number}" * 32 for number in range(1, 6)]
BREASTS = f"""{KEY},split
{EXAMS[0]},s1,{NAMES[0]},L,CC,128,100,BI-RADS 1,DENSITY C,training
{EXAMS[0]},s1,{NAMES[1]},R,MLO,128,100,BI-RADS 4,DENSITY B,training
{EXAMS[1]},s2,{NAMES[2]},L,CC,128,100,BI-RADS 3,DENSITY A,test
{EXAMS[1]},s2,{NAMES[3]},L,MLO,128,100,BI-RADS 5,DENSITY A,test
{EXAMS[1]},s2,{NAMES[4]},R,CC,128,100,BI-RADS 2,DENSITY A,test
"""
FINDINGS = f"""{KEY},finding_categories,finding_birads,xmin,ymin,xmax,ymax,split
{EXAMS[0]},s1,{NAMES[0]},L,CC,128,100,BI-RADS 1,DENSITY C,['No Finding'],,,,,,training
{EXAMS[0]},s1,{NAMES[1]},R,MLO,128,100,BI-RADS 4,DENSITY B,"['Mass', 'Asymmetry']",BI-RADS 4,20.5,30.25,40,50,training
{EXAMS[0]},s1,{NAMES[1]},R,MLO,128,100,BI-RADS 4,DENSITY B,['Skin Thickening'],,-3.2,100.0,55.5,130.5,training
{EXAMS[1]},s2,{NAMES[2]},L,CC,128,100,BI-RADS 3,DENSITY A,['Mass'],BI-RADS 3,1,2,3,4,test
{EXAMS[1]},s2,{NAMES[3]},L,MLO,128,100,BI-RADS 5,DENSITY A,['Mass'],BI-RADS 5,1,2,3,4,test
{EXAMS[1]},s2,{NAMES[4]},R,CC,128,100,BI-RADS 2,DENSITY A,['No Finding'],,,,,,test
"""


@pytest.fixture
def root(write_dicom: Callable[..., Dataset], tmp_path: Path) -> Path:
    """Three pictures as DICOM, one as a smaller PNG, one that is not there."""
    base = tmp_path / "vindr"
    for exam, name in zip((EXAMS[0], EXAMS[0], EXAMS[1]), NAMES, strict=False):
        (base / "images" / exam).mkdir(parents=True, exist_ok=True)
        write_dicom(base / "images" / exam / f"{name}.dicom", drop=("ImageLaterality", "ViewPosition"))
    cv2.imwrite(str(base / "images" / EXAMS[1] / f"{NAMES[3]}.png"), np.full((66, 70), 999, np.uint16))
    cv2.imwrite(str(base / "images" / EXAMS[1] / f"{NAMES[2]}.png"), np.full((66, 70), 999, np.uint16))
    (base / "breast-level_annotations.csv").write_text(BREASTS)
    (base / "finding_annotations.csv").write_text(FINDINGS)
    (base / "metadata.csv").write_text("SOP Instance UID,Patient's Age\n")
    return base


def test_pictures_labels_parts_and_rejects(root: Path) -> None:
    table, rejects = collections.collect("vindr-mammo", root)
    rows = table.set_index("image_id").sort_index()
    assert list(rows.index) == NAMES[:4]
    assert list(rows["label"]) == ["normal", "malignant", "", "malignant"]
    assert list(rows["collection_label"]) == ["BI-RADS 1", "BI-RADS 4", "BI-RADS 3", "BI-RADS 5"]
    assert list(rows["laterality"] + rows["view"]) == ["LCC", "RMLO", "LCC", "LMLO"]
    assert list(rows["density"]) == ["C", "B", "A", "A"]
    assert list(rows["patient_id"]) == [EXAMS[0], EXAMS[0], EXAMS[1], EXAMS[1]]
    assert list(rows["split"]) == ["train", "train", "test", "test"]
    assert rows["age"][NAMES[0]] == 55
    assert "research use only" in rows["terms"][NAMES[0]]
    codes = Counter(reject.code for reject in rejects)
    assert codes == {"table": 2, "not_in_table": 1, "duplicate": 1, "file_missing": 1}
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = [*table["path"], *(reject.path for reject in rejects if reject.code != "file_missing")]
    assert sorted(listed) == files
    assert reading.read_row(rows.loc[NAMES[1]].to_dict(), root).facts.view == "MLO"


def test_a_box_is_one_finding_cut_off_at_the_edge(root: Path) -> None:
    rows = collections.collect("vindr-mammo", root)[0].set_index("image_id")
    mass, skin = findings_from_json(rows["findings"][NAMES[1]])
    assert (mass.kind, mass.label, mass.box) == ("mass and asymmetry", "malignant", (20.5, 30.25, 40, 50))
    assert (skin.kind, skin.label, skin.box) == ("skin thickening", "benign", (0, 100, 55.5, 128))
    assert rows["findings"][NAMES[0]] == ""
    assert findings_from_json(rows["findings"][NAMES[2]])[0].label == "benign"
    (small,) = findings_from_json(rows["findings"][NAMES[3]])
    assert (small.label, small.bounds()) == ("malignant", None)
    assert "66 x 70 pixels, the table counts in 128 x 100" in rows["warnings"][NAMES[3]]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("breast-level_annotations.csv", "breast_birads", "birads", "no column 'breast_birads'"),
        ("breast-level_annotations.csv", "DENSITY B", "DENSITY E", "row 3: the word 'DENSITY E'"),
        ("breast-level_annotations.csv", NAMES[1], NAMES[0], "row 3: .*stands there twice"),
        ("breast-level_annotations.csv", "128,100,BI-RADS 5", "nan,100,BI-RADS 5", "row 5: .*not all numbers"),
        ("finding_annotations.csv", "['Skin Thickening']", "Skin Thickening", "row 4: finding_categories"),
        ("finding_annotations.csv", "20.5,", ",", "row 3: .*not all numbers"),
        ("finding_annotations.csv", "BI-RADS 5,DEN", "BI-RADS 4,DEN", "row 6: .*with another BI-RADS"),
    ],
)
def test_a_table_of_another_form_is_one_line(root: Path, name: str, old: str, new: str, message: str) -> None:
    path = root / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(MammoError, match=message) as caught:
        collections.collect("vindr-mammo", root)
    assert caught.value.code == "table_broken"


def test_one_table_alone_and_tables_elsewhere(root: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    for name in ("breast-level_annotations.csv", "finding_annotations.csv"):
        (root / name).rename(tmp_path / "tables" / name)
    assert len(collections.collect("vindr-mammo", root, labels=tmp_path / "tables")[0]) == 4
    (tmp_path / "tables/finding_annotations.csv").unlink()
    with pytest.raises(MammoError, match="finding_annotations.csv is not there") as caught:
        collections.collect("vindr-mammo", root, labels=tmp_path / "tables")
    assert caught.value.code == "table_missing"


@pytest.mark.real
def test_the_rows_in_exact_form(real_data: Path) -> None:
    examples = real_data / "tables/examples"
    table = vindr_mammo._breasts(examples / "vindr_breast-level_annotations.csv")
    findings = vindr_mammo._findings(examples / "vindr_finding_annotations.csv", table)
    assert Counter(told.part for told in table.values()) == {"train": 4, "test": 2}
    assert Counter(one.label for found in findings.values() for one in found) == {"malignant": 4, "benign": 1}
    edges = [one.box for found in findings.values() for one in found if one.box]
    assert min(x0 for x0, _, _, _ in edges) == 0
    assert max(y1 for _, _, _, y1 in edges) == 3518


def test_an_implant_of_the_header_is_let_in(root: Path, implant_is_let_in: Callable[..., None]) -> None:
    implant_is_let_in("vindr-mammo", root, NAMES[0])

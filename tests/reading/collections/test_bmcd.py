"""BMCD: invented pictures and drawings with a table of the same form and quirks, and the real table."""

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
from mammo_tf.reading.collections import bmcd
from mammo_tf.study import findings_from_json

TABLE = """dir,laterality,age,density,BIRADS,biopsy_result,folder_type
1,Right,57,b,4a,DCIS,suspicious
2,Left,64,c,4b,NOT AVAILABLE,suspicious
3,Left,50,c,4a,BENIGN,suspicious
1,Left,60,a,2,,normal
2,Right,61,a,1,,normal
"""


@pytest.fixture
def root(write_dicom: Callable[..., Dataset], tmp_path: Path) -> Path:
    """Pictures of four women in both folders, with drawings: one that fits, one of another size, one without a mark."""
    base = tmp_path / "Dataset"
    for place in ("Suspicious_cases/1/CC_recent", "Suspicious_cases/1/CC_prior", "Suspicious_cases/2/MLO_recent",
                  "Suspicious_cases/3/MLO_recent", "Normal_cases/1/CC_prior", "Normal_cases/2/MLO_recent"):  # fmt: skip
        (base / place).parent.mkdir(parents=True, exist_ok=True)
        write_dicom(base / f"{place}.dcm", SOPInstanceUID=f"1.2.{len(place)}", drop=("ImageLaterality", "ViewPosition"))
    marks = np.zeros((128, 100), np.uint8)
    marks[40:50, 20:30] = 255
    cv2.imwrite(str(base / "Suspicious_cases/1/CC_recent_GT.png"), marks)
    cv2.imwrite(str(base / "Suspicious_cases/3/MLO_recent.png"), marks[:, :90])
    cv2.imwrite(str(base / "Normal_cases/1/CC_prior.png"), 0 * marks)
    grey = np.random.default_rng(0).integers(0, 255, (128, 100), np.uint8)
    cv2.imwrite(str(base / "Normal_cases/2/MLO_recent.png"), grey)
    (base / "Normal_cases/2/Thumbs.db").write_bytes(b"x")
    (base / "labels.csv").write_text(TABLE)
    return base


def test_a_woman_is_folder_and_number_and_the_biopsy_is_of_the_recent_round(root: Path) -> None:
    table, rejects = collections.collect("bmcd", root)
    rows = table.set_index("image_id")
    assert rows["label"].to_dict() == {
        "suspicious_1_CC_recent": "malignant", "suspicious_1_CC_prior": "", "suspicious_2_MLO_recent": "",
        "suspicious_3_MLO_recent": "benign", "normal_1_CC_prior": "benign", "normal_2_MLO_recent": "normal",
    }  # fmt: skip
    assert rows["laterality"]["normal_1_CC_prior"] == "L"
    assert rows["density"]["suspicious_1_CC_recent"] == "B"
    assert rows["age"]["suspicious_1_CC_recent"] == 57
    assert rows["age"].isna()["suspicious_1_CC_prior"]
    assert set(rows["patient_id"]) == {"suspicious_1", "suspicious_2", "suspicious_3", "normal_1", "normal_2"}
    assert rows["exam_id"]["suspicious_1_CC_prior"] == "suspicious_1_prior"
    assert set(rows["terms"]) == {"BMCD (Zenodo 5036062): CC BY 4.0"}
    codes = Counter(reject.code for reject in rejects)
    assert codes == {"table": 1, "roi_mask": 3, "duplicate": 1, "not_in_table": 1, "file_missing": 20 - 6}
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = [*table["path"], *(reject.path for reject in rejects if reject.code != "file_missing")]
    assert sorted(listed) == files
    assert reading.read_row(rows.loc["normal_2_MLO_recent"].to_dict(), root).facts.view == "MLO"


def test_a_drawing_is_the_finding_of_its_picture(root: Path) -> None:
    rows = collections.collect("bmcd", root)[0].set_index("image_id")
    (marked,) = findings_from_json(rows["findings"]["suspicious_1_CC_recent"])
    assert (marked.kind, marked.label, marked.mask) == (
        "calcification", "malignant", "Suspicious_cases/1/CC_recent_GT.png",
    )  # fmt: skip
    (small,) = findings_from_json(rows["findings"]["suspicious_3_MLO_recent"])
    assert (small.label, small.mask) == ("benign", None)
    assert "another size" in rows["warnings"]["suspicious_3_MLO_recent"]
    assert rows["findings"]["normal_1_CC_prior"] == "", "a drawing without a mark"
    assert rows["findings"]["normal_2_MLO_recent"] == "", "a picture that was converted is not a drawing"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("density", "ACR", "no column 'density': another release"),
        ("DCIS", "ATYPIA", "row 2: biopsy_result 'ATYPIA' is unknown"),
        ("1,Left,60", "2,Left,60", "row 6: dir '2' of folder_type normal stands there twice"),
        ("1,,normal", "1,BENIGN,normal", "row 6: biopsy_result 'BENIGN' does not fit folder_type normal"),
        ("4b", "7", "row 3: BIRADS '7' is unknown"),
    ],
)
def test_a_table_of_another_form_is_one_line(old: str, new: str, message: str, root: Path) -> None:
    (root / "labels.csv").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(MammoError, match=message) as caught:
        collections.collect("bmcd", root)
    assert caught.value.code == "table_broken"


@pytest.mark.real
def test_every_row_of_the_real_table(real_data: Path) -> None:
    women = bmcd._women(real_data / "tables/BMCD_labels.csv")
    assert Counter(woman.folder for woman in women) == {"suspicious": 50, "normal": 50}
    recent = Counter((woman.folder, bmcd._label(woman, recent=True)) for woman in women)
    assert recent == {
        ("suspicious", "benign"): 21, ("suspicious", "malignant"): 11, ("suspicious", ""): 18,
        ("normal", "normal"): 22, ("normal", "benign"): 28,
    }  # fmt: skip
    assert {bmcd._label(woman, recent=False) for woman in women if woman.folder == "suspicious"} == {""}

"""KAU-BCMD: invented pictures with a sheet in the form that programs which use it expect."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading import collections

SHEET = """"Percentage of
 grandular tissue(density)",PatientID,Patient age ,Breast  type,Breast view,Assesment,Image path
26%-50%,7.0,054Y,Right,CC,BIRADS 4,KAU/Birad4/d7_RCC.dcm
26%-50%,7.0,054Y,Left,CC,BIRADS 1,KAU/Birad1/d7_LCC.dcm
>75%,8,61,L,MLO,BIRADS 3,KAU/Birad3/d8_LMLO.dcm
,9,,R,MLO,,KAU/Birad1/d9_RMLO.dcm
,9,,R,MLO,BIRADS 1,KAU/Birad1/d9_RMLO.dcm
,10,,R,MLO,BIRADS 5,KAU/Birad5/d10_RMLO.dcm
,11,,R,MLO,BIRADS 5,
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four of five pictures, as JPEG, and one that no row names."""
    for name in ("Birad4/d7_RCC", "Birad1/d7_LCC", "Birad3/d8_LMLO", "Birad1/d9_RMLO", "Birad1/other"):
        path = tmp_path / f"kau/{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((128, 100), 99, np.uint8))
    (tmp_path / "kau/correctSheetlast.csv").write_text(SHEET)
    return tmp_path / "kau"


def test_pictures_labels_and_rejects(root: Path) -> None:
    table, rejects = collections.collect("kau-bcmd", root)
    rows = table.set_index("image_id").loc[["birad4_d7_rcc", "birad1_d7_lcc", "birad3_d8_lmlo"]]
    assert len(table) == 3
    assert rows["label"].to_dict() == {"birad4_d7_rcc": "malignant", "birad1_d7_lcc": "normal", "birad3_d8_lmlo": ""}
    assert list(rows["density"]) == ["B", "B", "D"]
    assert list(rows["patient_id"]) == ["7", "7", "8"]
    assert list(rows["age"]) == [54, 54, 61]
    assert list(rows["laterality"] + rows["view"]) == ["RCC", "LCC", "LMLO"]
    assert "research use only" in rows["terms"].iloc[0]
    codes = Counter(reject.code for reject in rejects)
    assert codes == {"table": 1, "row_twice": 1, "not_in_table": 1, "file_missing": 1}
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = [*table["path"], *(reject.path for reject in rejects if reject.code != "file_missing")]
    assert sorted(listed) == files
    assert reading.read_row(rows.iloc[0].to_dict(), root).facts.laterality == "R"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Assesment", "Assessment", "no column 'Assesment': another release"),
        ("Right,CC", "Both,CC", "Breast type 'Both' is unknown"),
        ("BIRADS 3", "suspicious", "Assesment 'suspicious' is not BIRADS 0 to 6"),
        ("7.0,054Y,Right", ",054Y,Right", "cannot be read: PatientID ''"),
    ],
)
def test_a_sheet_of_another_form_is_one_line(old: str, new: str, message: str, root: Path) -> None:
    (root / "correctSheetlast.csv").write_text(SHEET.replace(old, new, 1))
    with pytest.raises(MammoError, match=message) as caught:
        collections.collect("kau-bcmd", root)
    assert caught.value.code == "table_broken"


def test_without_the_sheet_nothing_is_guessed(root: Path) -> None:
    (root / "correctSheetlast.csv").unlink()
    with pytest.raises(MammoError) as caught:
        collections.collect("kau-bcmd", root)
    assert caught.value.code == "table_missing"
    assert "nothing tells women, sides and views" in caught.value.remedy

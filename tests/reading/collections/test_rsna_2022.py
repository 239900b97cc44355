"""RSNA-2022: invented pictures with a table of the same form and quirks, and the invented rows."""

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
from mammo_tf.reading.collections import rsna_2022

HEADER = ("site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,density,machine_id,"
          "difficult_negative_case")  # fmt: skip
TABLE = f"""{HEADER}
2,901,801,L,CC,61,0,0,0,,0,,29,False
2,901,802,R,MLO,61.0,1,1,1,,0,,29,False
1,902,803,L,AT,89,0,1,0,0,0,B,49,True
1,902,804,R,CC,89,0,0,0,1,1,B,49,False
1,903,805,L,LMO,,0,0,0,2,0,D,21,False
1,903,806,R,CC,,0,0,0,1,0,D,21,False
1,903,807,R,MLO,,0,0,0,1,0,D,21,False
"""


@pytest.fixture
def root(write_dicom: Callable[..., Dataset], tmp_path: Path) -> Path:
    """Five pictures as DICOM with stripped headers, two of them as PNG too, and one whose folder is not its woman's."""
    base = tmp_path / "rsna"
    for name, woman in (("801", "901"), ("802", "901"), ("803", "902"), ("804", "902"), ("805", "903")):
        (base / "train_images" / woman).mkdir(parents=True, exist_ok=True)
        write_dicom(base / "train_images" / woman / f"{name}.dcm", drop=("ImageLaterality", "ViewPosition"))
    (base / "png").mkdir()
    for name in ("901_802", "903@806", "999_807"):
        cv2.imwrite(str(base / "png" / f"{name}.png"), np.full((66, 70), 99, np.uint8))
    (base / "my_copy_of_train.csv").write_text(TABLE)
    (base / "test.csv").write_text("site_id,patient_id,image_id,laterality,view,age,implant,machine_id,prediction_id\n")
    return base


def test_pictures_labels_sites_and_rejects(root: Path) -> None:
    table, rejects = collections.collect("rsna-2022", root)
    rows = table.set_index("image_id").sort_index()
    assert rows["label"].to_dict() == {
        "801": "normal", "802": "malignant", "803": "benign", "805": "benign", "806": "normal",
    }  # fmt: skip
    assert list(rows["laterality"] + rows["view"]) == ["LCC", "RMLO", "LAT", "LLMO", "RCC"]
    assert list(rows["site"]) == ["2", "2", "1", "1", "1"]
    assert list(rows["machine_id"]) == ["29", "29", "49", "21", "21"]
    assert list(rows["density"]) == ["", "", "B", "D", "D"]
    assert list(rows["difficult_negative_case"]) == ["0", "0", "1", "0", "0"]
    assert (rows["age"]["802"], rows["age"]["803"]) == (61, 89)
    assert rows["age"].isna()["805"], "the table counts, also where it does not tell"
    assert rows["path"]["802"].endswith(".dcm")
    assert "non-commercial" in rows["terms"]["801"]
    codes = Counter(reject.code for reject in rejects)
    assert codes == {"table": 2, "duplicate": 1, "not_in_table": 1, "implant": 1, "file_missing": 1}
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = [*table["path"], *(reject.path for reject in rejects if reject.code != "file_missing")]
    assert sorted(listed) == files
    assert reading.read_row(rows.loc["802"].to_dict(), root).facts.view == "MLO"


def test_implants_are_let_in_where_that_is_asked(root: Path, tmp_path: Path) -> None:
    """Those that the table tells, and the row says so for all that reads it."""
    table, rejects = collections.collect("rsna-2022", root, accept=["implant"])
    rows = table.set_index("image_id")
    assert rows["accepted"].to_dict() == {"801": "", "802": "", "803": "", "804": "implant", "805": "", "806": ""}
    assert rows["warnings"]["804"] == "accepted: implant" and "implant" not in {reject.code for reject in rejects}
    assert reading.read_row(rows.loc["804"].to_dict(), root).facts.view == "CC"
    with pytest.raises(MammoError, match="--accept: laterality_missing cannot be accepted"):
        collections.collect("rsna-2022", root, accept=["laterality_missing"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("machine_id", "machine", "has no table of rsna-2022"),
        ("biopsy", "biopsies", "no column 'biopsy': another release"),
        ("903,806", "903,805", "row 7: image '805' stands there twice"),
        ("R,MLO,61.0,1", "R,MLO,61.0,2", "row 3: cancer '2' is unknown"),
        ("L,LMO", "L,oblique", "row 6: view 'oblique' is unknown"),
        ("1,902,803", "1,nan,803", "row 4: image '803' or its patient 'nan' is not a number"),
    ],
)
def test_a_table_of_another_form_is_one_line(old: str, new: str, message: str, root: Path) -> None:
    (root / "my_copy_of_train.csv").write_text(TABLE.replace(old, new, 1))
    (root / "test.csv").unlink()
    with pytest.raises(MammoError, match=message):
        collections.collect("rsna-2022", root)


def test_the_table_of_the_test_part_alone_has_no_labels(root: Path) -> None:
    (root / "my_copy_of_train.csv").unlink()
    with pytest.raises(MammoError, match="test.csv has no column 'cancer'"):
        collections.collect("rsna-2022", root)


@pytest.mark.real
def test_the_rows_in_exact_form(real_data: Path) -> None:
    table = rsna_2022._read(real_data / "tables/examples/rsna_train.csv")
    labels = {name: rsna_2022.label_of(told) for name, told in table.items()}
    assert Counter(labels.values()) == {"normal": 3, "malignant": 2, "benign": 3}
    assert {told.view for told in table.values()} == {"CC", "MLO", "AT", "LMO", "ML"}
    assert [told.age for told in table.values()][-1] == ""
    assert sum(told.implant == "1" for told in table.values()) == 1


def test_an_implant_of_the_header_is_let_in(root: Path, implant_is_let_in: Callable[..., None]) -> None:
    implant_is_let_in("rsna-2022", root, "801")

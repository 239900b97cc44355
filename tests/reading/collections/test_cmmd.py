"""CMMD: invented pictures with tables of the same form and quirks, and the real table in both its forms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading import collections
from mammo_tf.reading.collections import cmmd

TABLE = """ID1,LeftRight,Age,number,abnormality,classification,subtype
D1-0001,R,44,2,calcification,Benign,
D2-0001,L,61,2,mass,Malignant,triple negative
D2-0001,R,61,2,both,Malignant,Luminal A
D2-0002,L,17,2,mass,Malignant,
"""
SERIES = """Series UID,Collection,Subject ID,Number of Images,File Location
1.2,CMMD,D1-0001,4,.\\CMMD\\D1-0001\\07-18-2010-NA-NA-1\\1.000000-NA-2
1.3,CMMD,D2-0002,2,.\\CMMD\\D2-0002\\07-18-2011-NA-NA-1\\1.000000-NA-3
"""
CODES = {"CC": "399162004", "MLO": "399368009"}


@pytest.fixture
def root(write_dicom: Callable[..., Dataset], tmp_path: Path) -> Path:
    """Three of a woman's four pictures by their path, one of another by its header alone, and pictures as PNG."""
    base = tmp_path / "cmmd"

    def write(place: str, woman: str, side: str, view: str) -> None:
        path = base / place
        path.parent.mkdir(parents=True, exist_ok=True)
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = CODES[view], "SCT", view
        write_dicom(path, drop=("ViewPosition",), PatientID=woman, PatientName=woman, ImageLaterality=side,
                    ViewCodeSequence=Sequence([item]), SOPInstanceUID=f"1.2.{len(place)}.{side == 'L'}")  # fmt: skip

    folder = "CMMD/D1-0001/07-18-2010-NA-NA-1/1.000000-NA-2"
    for number, (side, view) in enumerate([("L", "CC"), ("R", "CC"), ("R", "MLO")], 1):
        write(f"{folder}/1-{number}.dcm", "D1-0001", side, view)
    write("CMMD/1.2.3/1-1.dcm", "D2-0001", "L", "CC")
    write("CMMD/1.2.4/1-1.dcm", "D9-0001", "L", "CC")
    for name in ("D1-0001_R_CC_Benign.png", "D2-0001_R_MLO_Malignant_mass.png", "D2-0002/1-1.png"):
        path = base / "pngs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((66, 70), 99, np.uint8))
    (base / "CMMD_clinicaldata_revision.csv").write_text(TABLE)
    (base / "metadata.csv").write_text(SERIES)
    return base


def test_breasts_label_their_pictures(root: Path) -> None:
    table, rejects = collections.collect("cmmd", root)
    rows = table.set_index("image_id")
    assert rows["label"].to_dict() == {
        "D1-0001_L_CC": "", "D1-0001_R_CC": "benign", "D1-0001_R_MLO": "benign", "D2-0001_L_CC": "malignant",
        "D2-0001_R_MLO": "malignant",
    }  # fmt: skip
    assert rows["subtype"].to_dict()["D2-0001_L_CC"] == "triple negative"
    assert rows["age"].to_dict()["D1-0001_L_CC"] == 44
    assert set(rows["terms"]) == {"CMMD (TCIA): CC BY 4.0"}
    assert rows.loc["D1-0001_R_CC", "path"].endswith("1-2.dcm")
    codes = Counter(reject.code for reject in rejects)
    assert codes == {"table": 2, "not_in_table": 1, "duplicate": 1, "laterality_missing": 1, "file_missing": 5}
    told = {reject.path: reject.reason for reject in rejects if reject.code == "file_missing"}
    assert told["D2-0001/R"] == "1 of its 2 pictures are there"
    assert told["CMMD/D1-0001/07-18-2010-NA-NA-1/1.000000-NA-2"] == "3 of the series' 4 pictures are there"
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = [*table["path"], *(reject.path for reject in rejects if reject.code != "file_missing")]
    assert sorted(listed) == files
    assert reading.read_row(table.to_dict("records")[0], root).facts.modality == "FFDM"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("classification", "pathology", "no column 'classification': another release"),
        ("Benign", "Normal", "row 2: classification 'Normal' is unknown"),
        ("D1-0001,R,44", "D1-0001,R,forty", "row 2: the age 'forty'"),
        ("D2-0001,R,61,2,both", "D2-0001,L,61,2,both", "row 4: D2-0001 L stands there twice"),
        ("D2-0002,L,17,2", "D2-0002,L,17,two", "row 5: cannot be read: .*number 'two'"),
    ],
)
def test_a_table_of_another_form_is_one_line(old: str, new: str, message: str, root: Path) -> None:
    (root / "CMMD_clinicaldata_revision.csv").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(MammoError, match=message) as caught:
        collections.collect("cmmd", root)
    assert caught.value.code == "table_broken"


@pytest.mark.real
def test_every_row_of_the_real_table_in_both_forms(real_data: Path) -> None:
    csv, sheet = (cmmd._breasts(real_data / "tables" / f"CMMD_clinicaldata_revision.{end}") for end in ("csv", "xlsx"))
    assert csv == sheet
    assert len(csv) == 1872
    assert len({woman for woman, _ in csv}) == 1775
    assert Counter(one.word for one in csv.values()) == {"Malignant": 1316, "Benign": 556}
    assert Counter(one.abnormality for one in csv.values()) == {"mass": 1149, "both": 461, "calcification": 262}
    assert sum(not one.subtype for one in csv.values()) == 1123
    assert {one.number for one in csv.values()} == {2}
    ages = [int(one.age) for one in csv.values()]
    assert (min(ages), max(ages)) == (17, 87)


def test_an_implant_of_the_header_is_let_in(root: Path, implant_is_let_in: Callable[..., None]) -> None:
    implant_is_let_in("cmmd", root, "D1-0001_L_CC")

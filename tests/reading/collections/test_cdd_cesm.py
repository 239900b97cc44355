"""CDD-CESM: invented pictures with tables in the form that is described of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading import collections
from mammo_tf.study import findings_from_json

COLUMNS = ("Image_name", "Patient_ID", "Age", "Side", "Type", "View", "Breast density (ACR)", "BIRADS", "Findings",
           "Pathology Classification/ Follow up", "Tags", "Machine")  # fmt: skip
ROWS = (
    ("P1_L_DM_MLO", "1", "45", "L", "DM", "MLO", "C", "2$4", "mass", "Malignant", "", "1"),
    ("P1_L_CM_MLO", "1", "45", "L", "CESM", "MLO", "C", "4", "mass", "Malignant", "", "1"),
    ("P2_R_DM_CC ", "2", "-", "R", "DM", "CC", "-", "1", "", "Normal", "", "2"),
    ("P3_R_DM_CC", "3", "50", "R", "DM", "CC", "A", "2", "cyst", "Benign", "", "2"),
    ("P3_R_DM_CC", "3", "50", "R", "DM", "CC", "A", "5", "mass", "Malignant", "", "2"),
    ("P4_R_DM_CC", "4", "50", "R", "DM", "CC", "D", "2", "cyst", "Benign", "", "2"),
    ("P5_R_DM_CC", "5", "50", "R", "DM", "CC", "D", "2", "cyst", "Benign", "", "2"),
)
OUTLINES = """#filename,file_size,region_shape_attributes
P1_L_DM_MLO .jpg,1,"{""name"":""polygon"",""all_points_x"":[10,20,20],""all_points_y"":[30,30,50]}"
P1_L_CM_MLO.jpg,1,"{""name"":""circle"",""cx"":10,""cy"":20,""r"":5}"
P2_R_DM_CC.jpg,1,"{}"
P4_R_DM_CC.jpg,1,"{""name"":""rect"",""x"":60,""y"":900,""width"":9,""height"":9}"
P4_R_DM_CC.jpg,1,"{""name"":""rect"",""x"":1,""y"":1,""width"":9,""height"":9}"
"""


@pytest.fixture
def root(write_workbook: Callable[..., None], tmp_path: Path) -> Path:
    """Five of six pictures and both tables, one of them a workbook whose second sheet counts."""
    base = tmp_path / "cesm"
    for folder, names in (("Low energy images of CDD-CESM", ("P1_L_DM_MLO", "P2_R_DM_CC", "P3_R_DM_CC", "P4_R_DM_CC")),
                          ("Subtracted images of CDD-CESM", ("P1_L_CM_MLO",))):  # fmt: skip
        (base / folder).mkdir(parents=True)
        for name in names:
            cv2.imwrite(str(base / folder / f"{name}.jpg"), np.full((128, 100), 99, np.uint8))
    write_workbook(base / "Radiology-manual-annotations.xlsx", {"mass": [["Image_name"]], "all": [COLUMNS, *ROWS]})
    (base / "Radiology_hand_drawn_segmentations_v2.csv").write_text(OUTLINES)
    return base


def test_low_energy_pictures_are_listed_and_subtracted_ones_refused(root: Path) -> None:
    table, rejects = collections.collect("cdd-cesm", root)
    rows = table.set_index("image_id")
    assert rows["label"].to_dict() == {
        "p1_l_dm_mlo": "malignant", "p2_r_dm_cc": "normal", "p3_r_dm_cc": "malignant", "p4_r_dm_cc": "benign",
    }  # fmt: skip
    assert list(rows["birads"]) == ["2 4", "1", "2 5", "2"]
    assert rows["collection_label"]["p3_r_dm_cc"] == "Benign Malignant"
    assert list(rows["density"]) == ["C", "", "A", "D"]
    assert list(rows["patient_id"]) == ["P1", "P2", "P3", "P4"]
    assert (rows["age"]["p1_l_dm_mlo"], rows["age"].isna()["p2_r_dm_cc"]) == (45, True)
    assert Counter(reject.code for reject in rejects) == {"table": 2, "subtracted": 1, "file_missing": 1}
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = [*table["path"], *(reject.path for reject in rejects if reject.code != "file_missing")]
    assert sorted(listed) == files
    assert reading.read_row(table.to_dict("records")[0], root).facts.laterality == "L"


def test_outlines_lie_in_the_picture_or_nowhere(root: Path) -> None:
    rows = collections.collect("cdd-cesm", root)[0].set_index("image_id")
    (mass,) = findings_from_json(rows["findings"]["p1_l_dm_mlo"])
    assert (mass.kind, mass.label, mass.contour) == ("finding", "malignant", ((10, 30), (20, 30), (20, 50)))
    assert rows["findings"]["p2_r_dm_cc"] == ""
    outside = findings_from_json(rows["findings"]["p4_r_dm_cc"])
    assert [(one.label, one.bounds()) for one in outside] == [("benign", None), ("benign", None)]
    assert "an outline leaves the picture" in rows["warnings"]["p4_r_dm_cc"]


def test_without_outlines_the_pictures_stay_and_it_is_told(root: Path) -> None:
    (root / "Radiology_hand_drawn_segmentations_v2.csv").unlink()
    table, rejects = collections.collect("cdd-cesm", root)
    assert (len(table), set(table["findings"])) == (4, {""})
    assert "Radiology_hand_drawn_segmentations_v2.csv" in {reject.path for reject in rejects}


@pytest.mark.parametrize(
    ("row", "column", "cell", "message"),
    [
        (0, 9, "Doubtful", "row 2: Pathology Classification/ Follow up 'Doubtful' is unknown"),
        (4, 3, "L", "row 6: the picture has another woman, side, view or type before"),
        (2, 0, "", "row 4: Image_name or Patient_ID is empty"),
        (1, 4, "US", "row 3: Type 'US' is unknown"),
    ],
)
def test_a_table_of_another_form_is_one_line(
    row: int, column: int, cell: str, message: str, root: Path, write_workbook: Callable[..., None]
) -> None:
    rows = [list(one) for one in ROWS]
    rows[row][column] = cell
    write_workbook(root / "Radiology-manual-annotations.xlsx", {"all": [COLUMNS, *rows]})
    with pytest.raises(MammoError, match=message) as caught:
        collections.collect("cdd-cesm", root)
    assert caught.value.code == "table_broken"

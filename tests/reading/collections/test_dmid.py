"""DMID: invented pictures with a sheet in the form that programs which use it expect."""

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
from mammo_tf.study import findings_from_json

SHEET = """This file lists the images,
MLORT is right and mediolateral oblique,
IMG001 ,MLORT,F,CIRC,M ,10,20,30
IMG001 ,MLORT,F,CALC,B,10,20,30
IMG002,CCLT,G,NORM,N,,,
IMG003,CCRT,D,ARCH+ASYM,B,1,2,3
IMG004,CCRT,D,NORM,,,,
IMG005,CCLT,D,SPIC,,1,2,3
IMG6,MLOLT,D,MISC,B,1,2,3
"""


def _rows(text: str) -> list[list[str]]:
    return [line.split(",") for line in text.splitlines()]


@pytest.fixture
def root(write_dicom: Callable[..., Dataset], write_workbook: Callable[..., None], tmp_path: Path) -> Path:
    """Five of six pictures, one as TIFF alone and one in both forms, a mask that fits and one of another size."""
    base = tmp_path / "DMID"
    for folder in ("DICOM_Images", "TIFF_Images", "ROI_Masks", "Reports"):
        (base / folder).mkdir(parents=True)
    for name in ("IMG001", "IMG002", "IMG003", "IMG005"):
        write_dicom(base / f"DICOM_Images/{name}.dcm", drop=("ImageLaterality", "ViewPosition"))
    for name in ("IMG001", "IMG004"):
        cv2.imwrite(str(base / f"TIFF_Images/{name}.tif"), np.full((128, 100), 999, np.uint16))
    mask = np.zeros((128, 100), np.uint8)
    mask[40:60, 20:50] = 255
    cv2.imwrite(str(base / "ROI_Masks/IMG001.tif"), mask)
    cv2.imwrite(str(base / "ROI_Masks/IMG003.tif"), mask[:, :90])
    (base / "Reports/Img001.txt").write_text("BIRADS: 5")
    write_workbook(base / "Metadata.xlsx", {"Sheet1": _rows(SHEET)})
    return base


def test_pictures_labels_and_rejects(root: Path) -> None:
    table, rejects = collections.collect("dmid", root)
    rows = table.set_index("image_id").sort_index()
    assert rows["label"].to_dict() == {
        "IMG001": "malignant", "IMG002": "normal", "IMG003": "benign", "IMG004": "normal", "IMG005": "",
    }  # fmt: skip
    assert list(rows["laterality"] + rows["view"]) == ["RMLO", "LCC", "RCC", "RCC", "LCC"]
    assert rows["path"]["IMG001"].endswith(".dcm")
    assert rows["collection_label"]["IMG001"] == "CIRC M; CALC B"
    assert "research use only" in rows["terms"]["IMG001"]
    codes = Counter(reject.code for reject in rejects)
    assert codes == {"table": 1, "roi_mask": 2, "duplicate": 1, "not_in_table": 1, "file_missing": 1}
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = [*table["path"], *(reject.path for reject in rejects if reject.code != "file_missing")]
    assert sorted(listed) == files
    assert reading.read_row(rows.loc["IMG004"].to_dict(), root).facts.view == "CC"


def test_masks_are_places_and_circles_are_not(root: Path) -> None:
    rows = collections.collect("dmid", root)[0].set_index("image_id")
    (both,) = findings_from_json(rows["findings"]["IMG001"])
    assert (both.kind, both.label) == ("circumscribed mass and calcification", "malignant")
    assert both.mask == "ROI_Masks/IMG001.tif"
    (small,) = findings_from_json(rows["findings"]["IMG003"])
    assert (small.kind, small.label, small.mask, small.bounds()) == ("distortion and asymmetry", "benign", None, None)
    assert "another size" in rows["warnings"]["IMG003"]
    assert rows["findings"]["IMG002"] == ""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("CCLT", "LATLT", "row 5: view 'LATLT' is unknown"),
        ("NORM,N", "NORM,X", "row 5: severity 'X' is unknown"),
        ("IMG001 ,MLORT,F,CALC", "IMG001 ,CCRT,F,CALC", "row 4: IMG001 has another side or view before"),
        ("IMG", "PIC", "has no table of dmid"),
    ],
)
def test_a_sheet_of_another_form_is_one_line(
    old: str, new: str, message: str, root: Path, write_workbook: Callable[..., None]
) -> None:
    text = SHEET.replace(old, new) if old == "IMG" else SHEET.replace(old, new, 1)
    write_workbook(root / "Metadata.xlsx", {"Sheet1": _rows(text)})
    with pytest.raises(MammoError, match=message):
        collections.collect("dmid", root)

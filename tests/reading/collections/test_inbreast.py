"""INbreast: invented pictures and outlines with a table of the same form and quirks, and the invented rows."""

from __future__ import annotations

import plistlib
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
from mammo_tf.reading.collections import inbreast
from mammo_tf.study import findings_from_json

HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
ROWS = [
    "removed;removed;R;CC;201001;20586908;4;1",
    "removed;removed;L;MLO;201001;20586986;2;4a",
    "removed;removed;L;FB;200907;50994300;1;2",
    "removed;removed;R;MLO;200812;53582540;                    ;6",
    "removed;removed;R;MLO;200812;53582541;3;3",
]
WOMAN = "6c613a14b80a8591"


def _outlines(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rois = [
        {"Name": "Mass", "NumberOfPoints": 3, "Point_px": ["(10.5, 20.25)", "(40.0, 20.0)", "(25.0, 60.0)"]},
        {"Name": "Calcification", "NumberOfPoints": 1, "Point_px": ["(30.7, 41.2)"]},
        {"Name": "Espiculated Region", "NumberOfPoints": 2, "Point_px": ["(5.0, 6.0)", "(9.0, 8.0)"]},
    ]
    with path.open("wb") as stream:
        plistlib.dump({"Images": [{"ImageIndex": 0, "NumberOfROIs": 3, "ROIs": rois}]}, stream)


@pytest.fixture
def root(write_dicom: Callable[..., Dataset], tmp_path: Path) -> Path:
    base = tmp_path / "INbreast Release 1.0"
    (base / "AllDICOMs").mkdir(parents=True)
    (base / "INbreast.csv").write_bytes("\r\n".join([HEADER, *ROWS, ""]).encode())
    write_dicom(base / f"AllDICOMs/20586908_{WOMAN}_MG_R_CC_ANON.dcm", ImageLaterality="R")
    write_dicom(base / f"AllDICOMs/20586986_{WOMAN}_MG_L_ML_ANON.dcm", ViewPosition="ML")
    write_dicom(base / "AllDICOMs/50994300_b6a4f750c6df4f90_MG_L_FB_ANON.dcm", drop=("ViewPosition",))
    cv2.imwrite(str(base / "53582540.png"), np.full((80, 70), 999, np.uint16))
    _outlines(base / "AllXML/20586986.xml")
    _outlines(base / "AllXML/53582540.xml")
    (base / "AllXML/50994300.xml").write_text("<plist>")
    (base / "PectoralMuscle").mkdir()
    (base / "PectoralMuscle/20586986_muscle.xml").write_text("<plist/>")
    return base


def test_pictures_women_and_labels(root: Path) -> None:
    table, rejects = collections.collect("inbreast", root)
    rows = table.set_index("image_id").sort_index()
    assert rows["label"].to_dict() == {
        "20586908": "normal", "20586986": "malignant", "50994300": "benign", "53582540": "malignant",
    }  # fmt: skip
    assert list(rows["collection_label"]) == ["BI-RADS 1", "BI-RADS 4a", "BI-RADS 2", "BI-RADS 6"]
    assert list(rows["laterality"] + rows["view"]) == ["RCC", "LMLO", "LFB", "RMLO"]
    assert list(rows["density"]) == ["D", "B", "A", ""]
    assert list(rows["patient_id"]) == [WOMAN, WOMAN, "b6a4f750c6df4f90", "inbreast53582540"]
    assert rows["exam_id"]["20586908"] == f"{WOMAN}_201001"
    assert "no patient is named" in rows["warnings"]["53582540"]
    assert "50994300.xml cannot be read" in rows["warnings"]["50994300"]
    assert "research use only" in rows["terms"]["20586908"]
    codes = Counter(reject.code for reject in rejects)
    assert codes == {"table": 4, "not_in_table": 1, "file_missing": 1}
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = [*table["path"], *(reject.path for reject in rejects if reject.code != "file_missing")]
    assert sorted(listed) == files
    assert reading.read_row(rows.loc["20586986"].to_dict(), root).facts.view == "MLO"


def test_outlines_are_findings_in_pixels_as_stored(root: Path) -> None:
    rows = collections.collect("inbreast", root)[0].set_index("image_id")
    mass, speck, region = findings_from_json(rows["findings"]["20586986"])
    assert (mass.kind, mass.label) == ("mass", "malignant")
    assert mass.contour == ((10.5, 20.25), (40.0, 20.0), (25.0, 60.0))
    assert (speck.kind, speck.box) == ("speck", (30, 41, 31, 42))
    assert (region.kind, region.box) == ("spiculated region", (5, 6, 10, 9))
    # A picture of another size than the release's: nothing says how it was scaled.
    assert [one.bounds() for one in findings_from_json(rows["findings"]["53582540"])] == [None] * 3
    assert "another size" in rows["warnings"]["53582540"]


def test_outlines_that_are_not_there_are_told_where_there_must_be_some(root: Path) -> None:
    (root / "AllXML/20586986.xml").unlink()
    _, rejects = collections.collect("inbreast", root)
    missing = {reject.path for reject in rejects if reject.code == "file_missing"}
    assert missing == {"20586986.xml", "53582541"}


def test_outlines_in_an_encoding_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    """Found by mutation: an error of Python's."""
    path = tmp_path / "1.xml"
    _outlines(path)
    path.write_bytes(path.read_bytes().replace(b"UTF-8", b"QTF-8"))
    with pytest.raises(MammoError) as caught:
        inbreast.read_outlines(path, "malignant")
    assert caught.value.code == "contours_broken"


def test_the_spreadsheet_saved_as_csv(root: Path) -> None:
    lines = [HEADER + ";Mass ;Micros", *(f"{row};X;" for row in ROWS), ";;;;;;;;;", ";;;;;;;;108;308"]
    (root / "INbreast.csv").write_text("\n".join(lines).replace("20586908", "20586908.0").replace(";", ","))
    assert len(collections.collect("inbreast", root)[0]) == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("Bi-Rads", "BIRADS", "no column 'Bi-Rads'"), ("4a", "7", "row 3: .*Bi-Rads '7'"),
     ("20586986", "20586908", "row 3: 20586908 stands there twice")],
)  # fmt: skip
def test_a_table_of_another_form_is_one_line(root: Path, old: str, new: str, message: str) -> None:
    path = root / "INbreast.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(MammoError, match=message) as caught:
        collections.collect("inbreast", root)
    assert caught.value.code == "table_broken"


@pytest.mark.parametrize("name", ["finding_annotations.csv", "INbreast.xls"])
def test_without_the_table(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(MammoError, match="looks like vindr-mammo|saved as that") as caught:
        collections.collect("inbreast", tmp_path)
    assert caught.value.code == "table_missing"


@pytest.mark.real
def test_the_rows_in_exact_form(real_data: Path) -> None:
    table = inbreast._read(real_data / "tables/examples/INbreast.csv")
    assert [told.word for told in table.values()] == ["1", "4a", "2", "6"]
    assert [told.density for told in table.values()] == ["D", "B", "A", ""]


def test_an_implant_of_the_header_is_let_in(root: Path, implant_is_let_in: Callable[..., None]) -> None:
    implant_is_let_in("inbreast", root, "20586986")

"""EMBED: invented pictures with tables in the form that its owners describe, and the real code book."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading import collections
from mammo_tf.reading.collections import embed
from mammo_tf.study import findings_from_json, read_manifest, write_manifest

CLINICAL = """empi_anon,acc_anon,numfind,side,asses,tissueden,bside,path1,path2,path_severity,age_at_study,RACE_DESC
10.0,100.0,1,L,S,3.0,L,ID,DC,0.0,61.7,African American
10.0,100.0,2,L,B,3.0,,,,,61.7,African American
10.0,100.0,3,R,N,3.0,,,,,61.7,African American
11.0,110.0,1,B,S,2.0,R,ADH,,2.0,50,Caucasian or White
11.0,110.0,2,,A,2.0,,,,,50,Caucasian or White
12.0,120.0,1,,N,5.0,,,,,,
13.0,130.0,1,R,S,1.0,,FA,,4.0,44,Asian
13.0,130.0,2,L,P,1.0,,,,,44,Asian
14.0,140.0,1,R,S,1.0,R,NHL,,6,44,Asian
14.0,140.0,1,L,K,1.0,,,,,44,Asian
"""
HEADER = "empi_anon,acc_anon,anon_dicom_path,FinalImageType,ImageLateralityFinal,ViewPosition,spot_mag,ROI_coords\n"
FILES = (
    ("10", "100", "2D", "L", "CC", "", '"((20, 10, 60, 50), (100, 80, 200, 300))"'),
    ("10", "100", "2D", "R", "CC", "0", "()"),
    ("10", "100", "cview", "L", "MLO", "", "[]"), ("11", "110", "2D", "R", "MLO", "", ""),
    ("11", "110", "2D", "L", "", "", ""), ("12", "120", "2D", "L", "CC", "", ""),
    ("13", "130", "2D", "R", "CC", "", '"[[1, 2, 3]]"'), ("13", "130", "2D", "L", "CC", "1", ""),
    ("14", "140", "2D", "R", "CC", "", ""), ("14", "140", "2D", "L", "CC", "", ""),
    ("14", "140", "3D", "L", "CC", "", ""), ("14", "140", "2D", "L", "MLO", "", ""),
)  # fmt: skip
BOOK = ("\ufeffHeader in export,Discription,Code,Meaning\npath (1-10),Pathology,ID     ,Invasive ductal carcinoma   \n"
        "path (1-10),Pathology,DC,DCIS\n")  # fmt: skip


@pytest.fixture
def root(write_dicom: Callable[..., Dataset], tmp_path: Path) -> Path:
    """Ten of twelve pictures in folders that the table does not tell, the reduced tables, and a whole one, not read."""
    base = tmp_path / "embed"
    (base / "tables").mkdir(parents=True)
    lines = []
    for number, (patient, exam, kind, side, view, spot, places) in enumerate(FILES):
        path = f"/mnt/anon_dicom/cohort_1/{patient}/{exam}/1.2.{number}.dcm"
        lines.append(f"{patient},{exam},{path},{kind},{side},{view},{spot},{places}\n")
        if number < 10:
            (base / f"images/{patient}").mkdir(parents=True, exist_ok=True)
            write_dicom(base / f"images/{patient}/1.2.{number}.dcm", ViewPosition=view or "MLO", ImageLaterality=side)
    (base / "tables/EMBED_OpenData_metadata_reduced.csv").write_text(HEADER + "".join(lines))
    (base / "tables/EMBED_OpenData_clinical_reduced.csv").write_text(CLINICAL)
    (base / "tables/EMBED_OpenData_clinical.csv").write_text(CLINICAL.replace("ID,DC,0.0", "ID,DC,9"))
    (base / "tables/AWS_Open_Data_Clinical_Legend.csv").write_text(BOOK)
    return base


def test_pathology_counts_before_assessments_side_by_side(root: Path) -> None:
    table, rejects = collections.collect("embed", root)
    rows = table.set_index("image_id")
    assert rows["label"].to_dict() == {
        "1.2.0": "malignant", "1.2.1": "normal", "1.2.3": "high_risk", "1.2.4": "", "1.2.5": "normal",
        "1.2.6": "benign", "1.2.8": "", "1.2.9": "malignant",
    }  # fmt: skip
    assert rows["collection_label"]["1.2.0"] == "S B"
    assert rows["birads"]["1.2.0"] == "4 2"
    assert rows["path_severity"]["1.2.0"] == "0"
    assert rows["pathology"]["1.2.0"] == "Invasive ductal carcinoma; DCIS"
    assert rows["pathology"]["1.2.3"] == "ADH", "a code that the book does not hold stays as it is"
    assert list(rows["density"]) == ["C", "C", "B", "B", "", "A", "A", "A"]
    assert (rows["age"]["1.2.0"], rows["race"]["1.2.0"]) == (61, "African American")
    assert (rows["patient_id"]["1.2.0"], rows["exam_id"]["1.2.0"]) == ("10", "100")
    assert rows["view"]["1.2.4"] == "MLO", "the header, where the table does not tell"
    codes = Counter(reject.code for reject in rejects)
    assert codes == {"table": 4, "synthetic_2d": 1, "spot": 1, "file_missing": 1}
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    listed = [*table["path"], *(reject.path for reject in rejects if reject.code != "file_missing")]
    assert sorted(listed) == files
    assert reading.read_row(rows.loc["1.2.0"].to_dict(), root).facts.laterality == "L"


@pytest.mark.parametrize("patient", ["", "nan"])
def test_a_picture_of_nobody_is_a_reject(patient: str, root: Path) -> None:
    path = root / "tables/EMBED_OpenData_metadata_reduced.csv"
    path.write_text(path.read_text().replace("\n10,100,", f"\n{patient},100,", 1))
    table, rejects = collections.collect("embed", root)
    assert "1.2.0" not in set(table["image_id"]) and "1.2.1" in set(table["image_id"])
    assert [one.path for one in rejects if one.code == "patient_missing"] == ["images/10/1.2.0.dcm"]
    write_manifest(table, root / "manifest.csv")
    assert len(read_manifest(root / "manifest.csv")) == len(table)


def test_an_age_of_0_is_not_known(root: Path) -> None:
    path = root / "tables/EMBED_OpenData_clinical_reduced.csv"
    path.write_text(path.read_text().replace(",61.7,", ",0,"))
    table, _ = collections.collect("embed", root)
    write_manifest(table, root / "manifest.csv")
    assert read_manifest(root / "manifest.csv").set_index("image_id")["age"].isna()["1.2.0"]


def test_spot_views_of_the_table_are_let_in_where_that_is_asked(root: Path) -> None:
    table, rejects = collections.collect("embed", root, accept=["spot"])
    (row,) = [one for _, one in table.iterrows() if one["accepted"] == "spot"]
    assert row["warnings"].endswith("accepted: spot") and "spot" not in {reject.code for reject in rejects}
    assert "synthetic_2d" in {reject.code for reject in rejects}


def test_the_terms_forbid_commerce_and_the_release_of_weights(root: Path) -> None:
    (terms,) = set(collections.collect("embed", root)[0]["terms"])
    assert "weights trained on it may not be released" in terms
    assert "non-commercial" in terms


def test_places_are_boxes_in_the_picture(root: Path) -> None:
    rows = collections.collect("embed", root)[0].set_index("image_id")
    first, second = findings_from_json(rows["findings"]["1.2.0"])
    assert (first.kind, first.label, first.box) == ("finding", "malignant", (10, 20, 50, 60))
    assert second.box == (80, 100, 100, 128), "cut off at the edge"
    assert rows["findings"]["1.2.1"] == ""
    (broken,) = findings_from_json(rows["findings"]["1.2.6"])
    assert (broken.label, broken.bounds()) == ("benign", None)
    assert "ROI_coords cannot be read" in rows["warnings"]["1.2.6"]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("clinical_reduced", "path_severity", "severity", "no column 'path_severity': another release"),
        ("clinical_reduced", "ID,DC,0.0", "ID,DC,9", "row 2: path_severity '9' is unknown"),
        ("clinical_reduced", "L,S", "L,Q", "row 2: asses 'Q' is unknown"),
        ("metadata_reduced", "2D", "4D", "row 2: cannot be read: .*FinalImageType '4D'"),
        ("metadata_reduced", "1.2.1.dcm", "1.2.0.dcm", "row 3: 1.2.0 stands there twice"),
    ],
)
def test_a_table_of_another_form_is_one_line(name: str, old: str, new: str, message: str, root: Path) -> None:
    path = root / f"tables/EMBED_OpenData_{name}.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(MammoError, match=message) as caught:
        collections.collect("embed", root)
    assert caught.value.code == "table_broken"


def test_one_table_alone_names_the_other(root: Path) -> None:
    (root / "tables/EMBED_OpenData_metadata_reduced.csv").unlink()
    with pytest.raises(MammoError) as caught:
        collections.collect("embed", root)
    assert (caught.value.code, "metadata.csv is not there" in caught.value.remedy) == ("table_missing", True)


@pytest.mark.real
def test_every_code_of_the_real_code_book_is_known(real_data: Path) -> None:
    path = real_data / "tables/EMBED_Clinical_Legend.csv"
    assert len(list(embed.rows_of(path, embed._CODE_BOOK))) == 1172
    book = embed.read_code_book(path)
    assert {code.lower() for column, code in book if column == "asses"} | {""} == set(embed._ASSESSMENT)
    assert {code for column, code in book if column == "tissueden"} | {""} == set(embed._DENSITY)
    assert {code.lower() for column, code in book if column in ("side", "bside")} | {""} == set(embed._SIDES)
    assert sum(column == "path (1-10)" for column, _ in book) == 182
    assert book["path (1-10)", "IDC"] == "Invasive ductal adenocarcinoma"


def test_an_implant_of_the_header_is_let_in(root: Path, implant_is_let_in: Callable[..., None]) -> None:
    implant_is_let_in("embed", root, "1.2.0")

"""A folder of anything: an invented small one, and the golden traits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from mammo_tf.errors import MammoError
from mammo_tf.reading import collections
from mammo_tf.study import read_manifest, write_manifest
from mammo_tf.study.identities import FOLDER, NO_PATIENT, SIDE_OR_VIEW

TRAITS = Path(__file__).parents[2] / "golden" / "dicom" / "traits"
CASES = json.loads((TRAITS / "expected.json").read_text())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two DICOM files (one with a stripped header), two pictures of a patient, a text, a damaged file, a table."""
    root = tmp_path / "data"
    (root / "woman").mkdir(parents=True)
    shutil.copy(TRAITS / "complete.dcm", root / "a.dcm")
    shutil.copy(TRAITS / "stripped_header.dcm", root / "b")
    rng = np.random.default_rng(0)
    for name in ("l.png", "r.pgm"):
        cv2.imwrite(str(root / "woman" / name), rng.integers(0, 255, (8, 6), dtype=np.uint8))
    (root / "notes.txt").write_text("nothing")
    (root / "cut.dcm").write_bytes((TRAITS / "complete.dcm").read_bytes()[:700])
    (root / "dangling.dcm").symlink_to(root / "nowhere")
    (root / "labels.csv").write_text(
        "path,label,laterality,view,reader\nb,malignant,L,CC,1\nwoman/l.png,benign,L,MLO,2\ngone.dcm,normal,,,1\n"
    )
    return root


def test_every_file_is_a_row_or_a_reject(root: Path, tmp_path: Path) -> None:
    table, rejects = collections.collect("folder", root)
    assert {row.path: row.label for row in table.itertuples()} == {
        "a.dcm": "",
        "b": "malignant",
        "woman/l.png": "benign",
        "woman/r.pgm": "",
    }
    assert {reject.path: reject.code for reject in rejects} == {
        "cut.dcm": "truncated",
        "dangling.dcm": "file_missing",
        "gone.dcm": "file_missing",
        "labels.csv": "table",
        "notes.txt": "not_dicom",
    }
    assert not any(str(root) in reject.reason for reject in rejects)
    write_manifest(table, tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "manifest.csv"), table)


def test_rows_say_what_header_and_table_say(root: Path) -> None:
    rows = collections.collect("folder", root)[0].set_index("path")
    film = rows.loc["a.dcm"]
    assert (film["laterality"], film["view"], film["modality"], film["age"]) == ("R", "MLO", "FFDM", 55)
    assert (film["spacing_row_mm"], film["spacing_column_mm"]) == (0.1, 0.1)
    stripped = rows.loc["b"]
    assert (stripped["laterality"], stripped["view"], stripped["reader"]) == ("L", "CC", "1")
    assert "nothing in the header says that this is a breast" in stripped["warnings"]
    assert rows.loc["woman/l.png", "patient_id"] == rows.loc["woman/r.pgm", "patient_id"]
    assert "woman" not in rows.loc["woman/l.png", "patient_id"]
    assert rows["image_id"].is_unique


def test_identifiers_of_the_table_are_hashed_too(root: Path) -> None:
    (root / "labels.csv").write_text("path,patient_id,pair_id\na.dcm,Jane Doe,7\nwoman/l.png,Jane Doe,7\n")
    rows = collections.collect("folder", root)[0].set_index("path")
    assert (
        rows.loc["a.dcm", "patient_id"]
        == rows.loc["woman/l.png", "patient_id"]
        != rows.loc["woman/r.pgm", "patient_id"]
    )
    assert not rows.astype(str).apply(lambda column: column.str.contains("Jane")).to_numpy().any()
    assert rows.loc["a.dcm", "pair_id"] not in ("", "7")


def test_a_table_elsewhere(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("\ufeffpath,label\n./a.dcm,high_risk\n", encoding="utf-8")
    table, rejects = collections.collect("folder", root, labels=tmp_path / "other.csv")
    assert table.set_index("path").loc["a.dcm", "label"] == "high_risk"
    assert {reject.path: reject.code for reject in rejects}["labels.csv"] == "not_dicom"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("file,label\na.dcm,benign\n", "column_missing"),
        ("path,label\na.dcm,evil\n", "value_unknown"),
        ("path,laterality\na.dcm,left\n", "value_unknown"),
        ("path,label\na.dcm,benign\na.dcm,benign\n", "path_twice"),
        ("path,label\na.dcm\n", "csv_broken"),
        ("", "column_missing"),
        ("path,label,label\na.dcm,malignant,normal\n", "column_twice"),
        ("path;label\na.dcm;benign\n", "csv_broken"),
        ("path\tlabel\na.dcm\tbenign\n", "csv_broken"),
        ('path,age\na.dcm,"53,5"\n', "number_expected"),
        ("path,age\na.dcm,-1\n", "number_range"),
        ("path,spacing_row_mm\na.dcm,0.07 mm\n", "number_expected"),
        ('path,findings\na.dcm,"[{""kind"":""mass"",""label"":""MALIGNANT""}]"\n', "findings_broken"),
        ("path,image_id\na.dcm,1\nb,1\n", "image_id_twice"),
        ("path,view\na.dcm,cranio\n", "value_unknown"),
        ("path,label\n/data/a.dcm,benign\n", "path_outside"),
        ("path,label\n\\a.dcm,benign\n", "path_outside"),
        ("path,label,\na.dcm,benign,x\n", "column_unnamed"),
        ("path,label\nx/a.dcm,benign\ny/b.dcm,benign\n", "labels_unmatched"),
    ],
)
def test_a_broken_table_is_one_clear_line(text: str, code: str, root: Path) -> None:
    (root / "labels.csv").write_text(text)
    with pytest.raises(MammoError) as caught:
        collections.collect("folder", root)
    assert caught.value.code == code
    assert "labels.csv" in str(caught.value)


def test_golden_traits_get_their_decisions() -> None:
    table, rejects = collections.collect("folder", TRAITS)
    codes = {reject.path: reject.code for reject in rejects}
    for name, case in CASES.items():
        if name == "laterality_against_picture.dcm":  # headers alone accept it; `read` refuses it
            continue
        assert (name in set(table["path"])) == (case["decision"] == "accept"), name
        assert codes.get(name) == case.get("code")


def test_a_hospitals_own_columns_and_words_are_mapped(root: Path, tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text(
        "Datei,Pathologie,Alter,Patientin,label\na.dcm,M,053Y,Jane,x\nwoman\\l.png,B,61,Jane,y\nb,,018M,Mary,z\n"
    )
    columns = {"path": "Datei", "label": "Pathologie", "age": "Alter", "patient": "Patientin"}
    values = {"label": {"B": "benign", "M": "malignant"}}
    (root / "b").unlink()
    table, _ = collections.collect("folder", root, labels=tmp_path / "export.csv", columns=columns, values=values)
    rows = table.set_index("path")
    assert rows["label"].to_dict() == {"a.dcm": "malignant", "woman/l.png": "benign", "woman/r.pgm": ""}
    assert rows["age"].iloc[:2].tolist() == [53, 61]
    assert rows.loc["a.dcm", "patient_id"] == rows.loc["woman/l.png", "patient_id"]
    assert rows.loc["a.dcm", "Pathologie"] == "M"
    assert "Patientin" not in rows, "an identifier travels as a hash alone"


@pytest.mark.parametrize(
    ("columns", "values", "message"),
    [
        ({"label": "Befund"}, {}, "has no column 'Befund'. It has path, label"),
        ({"lable": "label"}, {}, "--columns names 'lable'.* Did you mean label"),
        ({"patient": "path", "patient_id": "label"}, {}, "--columns names one column twice: patient and patient_id"),
        ({}, {"exam": {"B": "b"}, "exam_id": {"M": "m"}}, "--values names one column twice: exam and exam_id are one"),
        ({}, {"label": {"B": "bening"}}, "--values label=B:bening: 'bening' is unknown. Did you mean benign"),
        ({}, {"density": {"1": "A"}}, "has no column 'density' for --values"),
        ({}, {"label": {"B": "benign"}}, "row 2: label 'M' is unknown. .*; --values maps others"),
    ],
)
def test_a_mapping_that_does_not_fit_is_told(columns: dict, values: dict, message: str, root: Path) -> None:
    (root / "labels.csv").write_text("path,label\na.dcm,M\nb,B\n")
    with pytest.raises(MammoError, match=message):
        collections.collect("folder", root, columns=columns, values=values)


def test_identifiers_that_are_a_missing_value_are_refused(root: Path) -> None:
    (root / "labels.csv").write_text("path,patient_id\na.dcm,P1\nb,nan\n")
    with pytest.raises(MammoError, match="row 3: patient_id 'nan' is what programs write for a missing value"):
        collections.collect("folder", root)


def test_who_is_whose_is_weighed(root: Path, tmp_path: Path) -> None:
    (root / "labels.csv").unlink()
    for number, side in enumerate("LRLR"):
        file = dcmread(root / "a.dcm")
        file.PatientID, file.PatientName = f"W{number // 2}_{side}", f"W{number // 2}_{side}"
        file.SOPInstanceUID = generate_uid()
        file.PixelData = bytes(reversed(range(number + 2))) + file.PixelData[number + 2 :]
        file.save_as(root / f"w{number}.dcm")
    shutil.copy(root / "woman" / "l.png", root / "alone.png")
    (root / "woman" / "l.png").write_bytes((root / "woman" / "r.pgm").read_bytes() + b" ")
    rows = collections.collect("folder", root)[0].set_index("path")
    assert (rows.loc[[f"w{n}.dcm" for n in range(4)], "warnings"].str.contains(SIDE_OR_VIEW)).all()
    assert NO_PATIENT in rows.loc["alone.png", "warnings"]
    assert FOLDER in rows.loc["woman/r.pgm", "warnings"]
    assert SIDE_OR_VIEW not in rows.loc["a.dcm", "warnings"]


def test_a_column_warnings_of_the_users_stands_next_to_ours(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((32, 40), 200, np.uint8))
    (tmp_path / "labels.csv").write_text("path,label,warnings\na.png,normal,blurred\n")
    row = collections.collect("folder", tmp_path)[0].iloc[0]
    assert row["warnings_told"] == "blurred"
    assert "64 pixels" in row["warnings"] or NO_PATIENT in row["warnings"]

"""The manifest: what is written is read back, bad input is told by its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.study import (
    COLUMNS,
    Finding,
    findings_from_json,
    findings_to_json,
    make_manifest,
    positive,
    read_manifest,
    write_manifest,
)
from mammo_tf.study.cells import MISSING

ROW = {"image_id": "a", "patient_id": "p", "label": "normal", "path": "a.dcm"}
words = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(str.strip)
places = words.filter(lambda text: text[0] not in "/\\" and ":" not in text and "." not in text)
people = words.map(str.strip).filter(lambda text: text not in MISSING)


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"patient_id": people, "path": places, "label": st.sampled_from(["normal", "malignant", ""])},
            optional={
                "age": st.none() | st.floats(1, 120),
                "spacing_row_mm": st.floats(0.01, 1.0),
                "manufacturer": words,
                "an extra": words,
            },
        ),
        min_size=1,
        max_size=6,
    )
)
def test_reading_back_gives_what_was_written(rows: list[dict], tmp_path_factory: pytest.TempPathFactory) -> None:
    table = make_manifest({**row, "image_id": f"{number} ä"} for number, row in enumerate(rows))
    path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    write_manifest(table, path)
    pd.testing.assert_frame_equal(read_manifest(path), table)


def test_columns_stand_in_their_order_and_extra_ones_behind(tmp_path: Path) -> None:
    table = make_manifest([{**ROW, "zeta": "1", "frame": 3.0}])
    assert list(table.columns) == [*COLUMNS, "zeta"]
    assert table["frame"].iloc[0] == "3"
    assert np.isnan(table["age"].iloc[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,patient_id,label\na,p,normal\n", "has no column 'path'"),
        ("image_id,patient_id,label,path,path\na,p,normal,x,y\n", "'path' twice"),
        ("image_id,patient_id,label,path\n", "has no rows"),
        ("image_id,patient_id,label,path\na,p,cancer,x\n", "row 2: label 'cancer' is unknown"),
        ("image_id,patient_id,label,path\na,,normal,x\n", "row 2: patient_id is empty"),
        ("image_id,patient_id,label,path\na,nan,normal,x\n", "row 2: patient_id 'nan' is what programs write for"),
        ("image_id,patient_id,label,path,exam_id\na,p,normal,x,<NA>\n", "row 2: exam_id '<NA>' is what programs"),
        ("image_id,patient_id,label,path\na,p,normal,x\na,p,normal,x\n", "row 3: image_id 'a' stands there twice"),
        ("image_id,patient_id,label,path\na,p,normal,x\na ,p,normal,x\n", "row 3: image_id 'a' stands there twice"),
        ("image_id,patient_id,label,path,age\na,p,normal,x,old\n", "row 2: age 'old' is not a number"),
        ("image_id,patient_id,label,path\na,p,normal\n", "row 2: 3 fields, the header has 4"),
        ('image_id,patient_id,label,path,findings\na,p,normal,x,"[{"\n', "findings"),
        ("image_id,patient_id,label,path,laterality\na,p,normal,x,left\n", "laterality 'left' is unknown"),
        ("", "has no column 'image_id'"),
    ],
)
def test_bad_input_is_one_clear_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(text)
    with pytest.raises(MammoError, match=message) as caught:
        read_manifest(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_another_encoding_are_told(tmp_path: Path) -> None:
    with pytest.raises(MammoError, match="is not there"):
        read_manifest(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("image_id\nä".encode("latin1"))
    with pytest.raises(MammoError, match="not a CSV file in UTF-8"):
        read_manifest(tmp_path / "latin.csv")


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("\ufeffimage_id,patient_id,label,path\na,p,normal,x\n", encoding="utf-8")
    assert read_manifest(tmp_path / "manifest.csv")["image_id"].tolist() == ["a"]


def test_findings_travel_as_json() -> None:
    findings = (
        Finding("mass", "malignant", box=(1.0, 2.0, 30.5, 40.0)),
        Finding("calcification", "benign", circle=(5.0, 6.0, 2.0)),
        Finding("mass", "benign", contour=((0.0, 0.0), (4.0, 0.0), (4.0, 5.0))),
        Finding("mass", "benign", mask="truth/a.png"),
        Finding("asymmetry", "benign"),
    )
    assert findings_from_json(findings_to_json(findings)) == findings
    assert findings_to_json([]) == ""
    assert findings_from_json("") == ()
    assert [finding.bounds() for finding in findings] == [
        (1.0, 2.0, 30.5, 40.0), (3.0, 4.0, 7.0, 8.0), (0.0, 0.0, 4.0, 5.0), None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "3",
        '[{"kind": "mass"}]',
        '[{"kind": "m", "label": "b", "box": [1, 2]}]',
        '[{"kind": "m", "label": "b", "box": [1, 2, 3, 4], "mask": "a"}]',
        '[{"kind": "m", "label": "b", "x": 1}]',
        "[[]]",
        '[{"kind": "m", "label": "benign", "contour": []}]',
        '[{"kind": "m", "label": "benign", "mask": 5}]',
        '[{"kind": "m", "label": "Benign"}]',
        '[{"kind": "m", "label": "benign", "circle": [1e12, 0, 1]}]',
        "{}",
        '""',
        "[null]",
        '{"kind": "m", "label": "benign"}',
        '[{"kind": "m", "label": "benign", "box": "1234"}]',
        '[{"kind": "m", "label": "benign", "box": ["1_0", "1", "20", "20"]}]',
        '[{"kind": "m", "label": "benign", "box": [true, true, 10, 10]}]',
        '[{"kind": "m", "label": "benign", "box": {"1": 0, "2": 0, "3": 0, "4": 0}}]',
        '[{"kind": "m", "label": "benign", "contour": ["12", "34", "56"]}]',
        '[{"kind": "m", "label": "benign", "contour": {"12": 0, "34": 0, "56": 0}}]',
        "[" * 100_000,
        '[{"kind": "m", "label": "benign", "circle": [1' + "0" * 400 + ", 0, 1]}]",
        '[{"kind": "m", "label": "benign", "circle": [1' + "0" * 5000 + ", 0, 1]}]",
    ],
)
def test_broken_findings_are_told(text: str) -> None:
    with pytest.raises(MammoError, match="cannot be read") as caught:
        findings_from_json(text)
    assert "object" not in caught.value.sentence  # a word of Python, not of tables


def test_which_labels_are_positive() -> None:
    labels = ["normal", "benign", "high_risk", "malignant"]
    assert positive(labels).tolist() == [0, 0, 1, 1]
    assert positive(labels, ["benign", "malignant"]).tolist() == [0, 1, 0, 1]
    with pytest.raises(MammoError, match="positive label 'cancer' is unknown"):
        positive(labels, ["cancer"])
    with pytest.raises(MammoError, match="has no label"):
        positive(["normal", ""])


def test_long_contours_and_carriage_returns_travel(tmp_path: Path) -> None:
    contour = tuple((float(x), float(x % 7)) for x in range(9000))
    finding = findings_to_json([Finding("mass", "benign", contour=contour)])
    table = make_manifest([{**ROW, "findings": finding, "remark": "one\rtwo"}])
    write_manifest(table, tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "manifest.csv"), table)

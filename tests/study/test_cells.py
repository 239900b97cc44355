"""Every cell of a table of images is told by row, column and value before anything is made of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.reading.codes import VIEW_WORDS
from mammo_tf.study import read_manifest
from mammo_tf.study.cells import RANGES, VIEWS, WORDS, check_cells, leaves_root, number_of


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("age", '"53,5"', "row 3: age '53,5' is not a number. Write it with a decimal point"),
        ("age", "61 J", "row 3: age '61 J' is not a number"),
        ("age", "-1", "row 3: age '-1' is not within 1 to 130"),
        ("age", "0", "row 3: age '0' is not within 1 to 130. Correct it, or leave the cell empty"),
        ("age", "1e400", "row 3: age '1e400' is not within"),
        ("age", "nan", "row 3: age 'nan' is not a number"),
        ("age", "inf", "row 3: age 'inf' is not a number"),
        ("age", "5_3", "row 3: age '5_3' is not a number"),
        ("age", "0x35", "row 3: age '0x35' is not a number"),
        ("spacing_row_mm", "0.07 mm", "row 3: spacing_row_mm '0.07 mm' is not a number"),
        ("spacing_row_mm", "0", "row 3: spacing_row_mm '0' is not within 0.001 to 10"),
        ("spacing_column_mm", "70", "row 3: spacing_column_mm '70' is not within"),
        ("months_to_diagnosis", "-3", "row 3: months_to_diagnosis '-3' is not within"),
        ("months_to_diagnosis", "two years", "row 3: months_to_diagnosis 'two years' is not a number"),
        ("frame", "x", "row 3: frame 'x' is not a whole number"),
        ("frame", "1.5", "row 3: frame '1.5' is not a whole number"),
        ("frame", "0", "row 3: frame '0' is not a frame. Frames are counted from 1"),
        ("findings", "not json", "row 3: findings 'not json' cannot be read"),
        ("findings", '"[{""kind"":""m"",""label"":""MALIGNANT""}]"', "row 3: findings .* label 'MALIGNANT'"),
        ("findings", '"[{""kind"":""m"",""kind"":""n"",""label"":""benign""}]"', "row 3: .* a key stands there twice"),
        (
            "findings",
            '"[{""kind"":""m"",""label"":""benign"",""box"":[5,5,5,9]}]"',
            "row 3: .* a box is x0, y0",
        ),
        ("findings", '"[{""kind"":""m"",""label"":""benign"",""circle"":[5,5,0]}]"', "row 3: .* a radius above 0"),
        (
            "findings",
            '"[{""kind"":""m"",""label"":""benign"",""mask"":""../a.png""}]"',
            "row 3: .* leaves the",
        ),
        ("label", "Malignant", "row 3: label 'Malignant' is unknown"),
        ("split", "val", "row 3: split 'val' is unknown"),
        ("path", "/etc/a.png", "row 3: path '/etc/a.png' leaves the data root"),
        ("path", "../a.png", "row 3: path '../a.png' leaves the data root"),
        ("", "x", "row 3: column 5 has a value and no name"),
    ],
)
def test_a_cell_is_told(column: str, value: str, message: str, tmp_path: Path) -> None:
    columns = ["image_id", "patient_id", "label", "path"]
    cells = [["a", "p", "normal", "a.png"], ["b", "p", "benign", "b.png"]]
    if column in columns:
        cells[1][columns.index(column)] = value
    else:
        columns.append(column)
        cells = [[*cells[0], ""], [*cells[1], value]]
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(",".join(row) for row in [columns, *cells]) + "\n")
    with pytest.raises(MammoError, match=message) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


def test_ages_of_dicom_frames_and_columns_without_a_name_are_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(
        "image_id, patient_id ,label,path,age,frame,months_to_diagnosis,,\n"
        "a,p,normal,a.png,053Y,3.0,11,,\nb,q,normal,b.png,018M,,,,\nc,q,normal,c.png, 61.5 ,,,,\n"
    )
    table = read_manifest(path)
    assert table["age"].tolist() == [53.0, 1.5, 61.5]
    assert table["frame"].tolist() == ["3", "", ""]
    assert table["months_to_diagnosis"].iloc[0] == 11.0
    assert "" not in table.columns


@given(st.sampled_from(sorted(RANGES)), st.floats(0, 1))
def test_numbers_in_their_range_are_themselves(column: str, share: float) -> None:
    low, high = RANGES[column]
    number = low + share * (high - low)
    assert number_of(column, repr(number)) == number
    assert number_of(column, f" {number:e}") == pytest.approx(number, rel=1e-6)


def test_which_paths_leave_the_root() -> None:
    inside = ("a.png", "a/../b.png", "a/..b/c", "..a", "a b/ä.dcm", "./a")
    outside = ("/a", "../a", "a/../../b", "..", "C:\\a", "c:a", "\\\\host\\a", "..\\a", "a\\..\\..\\b", "./../a")
    assert not any(map(leaves_root, inside))
    assert all(map(leaves_root, outside))


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("view", "cc", "value_unknown"), ("view", "XYZ", "value_unknown"), ("view", "CC ", "value_unknown"),
        ("stored_bits", "twelve", "value_unknown"), ("stored_bits", "0", "value_unknown"),
        ("stored_bits", "17", "value_unknown"), ("stored_bits", "nan", "value_unknown"),
        ("path", "a\0b.png", "value_unknown"), ("path", "a" * 300 + ".png", "value_unknown"),
        ("findings", "[" * 5000, "findings_broken"), ("findings", "1" * 5000, "findings_broken"),
    ],
)  # fmt: skip
def test_what_no_picture_can_be_is_told_before_any_is_read(column: str, cell: str, code: str) -> None:
    table = pd.DataFrame({column: ["", cell]}, dtype="str")
    with pytest.raises(MammoError, match="m.csv, row 3: ") as caught:
        check_cells(table, [2, 3], Path("m.csv"), WORDS)
    assert caught.value.code == code


@pytest.mark.parametrize("column", ["label", "age", "frame", "stored_bits", "path"])
def test_a_cell_as_long_as_a_book_is_told_in_a_line(column: str) -> None:
    cell = "../" + "x" * 100_000
    with pytest.raises(MammoError) as caught:
        check_cells(pd.DataFrame({column: [cell]}, dtype="str"), [2], Path("m.csv"), WORDS)
    assert len(str(caught.value)) < 400


def test_views_are_those_that_headers_tell() -> None:
    assert set(VIEWS) == set(VIEW_WORDS)

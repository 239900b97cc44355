"""Tables of collections: found by header, read whole, faults told by row."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reading.collection_tables import age_of, header_of, meant, possible_age, rows_of, whole, with_header


def test_tables_are_found_by_header_whatever_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufeff"two\n words", b ,c\n1,2,3\n', encoding="utf-8")
    with gzip.open(tmp_path / "b.csv.gz", "wt") as stream:
        stream.write("b,c,two words\n")
    (tmp_path / "c.csv").write_text("b;c\n")
    (tmp_path / "d.csv.gz").write_bytes(b"no gzip")
    (tmp_path / "e.csv").write_bytes(b"\xff\xfe,b,c\n")
    (tmp_path / "f.xlsx").write_bytes(b"no workbook")
    (tmp_path / "~$a.csv").write_text("b,c\n")
    (tmp_path / "b.txt").write_text("b,c\n")
    assert header_of(tmp_path / "a.csv") == ["two words", "b", "c"]
    found = with_header(sorted(tmp_path.iterdir()), ("c", "b"))
    assert [path.name for path in found] == ["a.csv", "b.csv.gz"]
    assert [cells for _, cells in rows_of(tmp_path / "a.csv", ("two words",))] == [
        {"two words": "1", "b": "2", "c": "3"}
    ]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("a,c\n1,2\n", "table_broken", "no column 'b': another release"),
        ("a,b\n", "table_broken", "has no rows"),
        ("a,b\n1\n", "csv_broken", "row 2: 1 fields, the header has 2"),
        ("a,b,\n1,2,3\n", "column_unnamed", "row 2: column 3 has a value and no name"),
        ("a,b,a b,a  b\n1,2,3,4\n", "table_broken", "the column 'a b' twice"),
        ('a,b\n"1,2\n', "csv_broken", "unexpected end of data"),
    ],
)
def test_a_table_of_another_form_is_one_line(text: str, code: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(MammoError, match=message) as caught:
        list(rows_of(tmp_path / "a.csv", ("a", "b")))
    assert caught.value.code == code


def test_words_and_numbers_of_cells() -> None:
    assert [whole(cell) for cell in ("61.0", "61", "6.5", "4a", "", "1.", "x.0")] == [
        "61", "61", "6.5", "4a", "", "1", "x.0",
    ]  # fmt: skip
    assert [age_of(cell, "here") for cell in ("61.0", "061", "", "0", "0.0")] == ["61", "61", "", "", ""]
    assert [possible_age(cell) for cell in ("0", "131", "9" * 5000, "nan", "²", "٣")] == [""] * 6
    assert meant("Left", {"left": "L"}, "here", "side") == "L"
    for call in (
        lambda: age_of("131", "row 2"),
        lambda: age_of("9" * 5000, "row 2"),
        lambda: meant("up", {"left": "L"}, "row 2", "side"),
    ):
        with pytest.raises(MammoError, match="row 2"):
            call()

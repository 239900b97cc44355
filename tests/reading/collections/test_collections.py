"""One table of expected counts for all collections, and the law that every file is in exactly one place."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reading import collections
from mammo_tf.study import Reject, read_manifest, write_manifest

# collection, folder, images, patients, labels, rejects by code
EXPECTED = [
    (
        "mini-mias",
        "mini_mias",
        52,
        49,
        {"benign": 21, "malignant": 20, "normal": 11},
        {"table": 1, "not_a_film": 2},
    ),
    ("folder", "dicom", 2, 2, {"": 2}, {"magnification": 1, "not_dicom": 1}),
    ("folder", "mini_mias", 52, 52, {"": 52}, {"not_dicom": 3}),
    ("folder", "ddsm_tissue", 24, 2, {"": 24}, {"not_dicom": 1}),
]

# collection, folder with its real tables (or invented rows in exact form) and no picture, rejects by code
EXPECTED_OF_TABLES = [
    ("cbis-ddsm", "tables", {"table": 4, "file_missing": 3103, "not_in_table": 11}),
    ("bmcd", "tables", {"table": 1, "file_missing": 400, "not_in_table": 14}),
    ("cmmd", "tables", {"table": 2, "file_missing": 1872, "not_in_table": 13}),
    ("inbreast", "tables/examples", {"table": 1, "file_missing": 4, "not_in_table": 3}),
    ("rsna-2022", "tables/examples", {"table": 1, "file_missing": 8, "not_in_table": 3}),
    ("vindr-mammo", "tables/examples", {"table": 2, "file_missing": 6, "not_in_table": 2}),
]

OF_A_TABLE = (
    "bcs-dbt",
    "bmcd",
    "cbis-ddsm",
    "cdd-cesm",
    "cmmd",
    "ddsm",
    "dmid",
    "embed",
    "inbreast",
    "kau-bcmd",
    "mini-mias",
    "rsna-2022",
    "vindr-mammo",
)


def check_whole(table: pd.DataFrame, rejects: list[Reject], root: Path) -> None:
    """Every file below `root` is a row or a reject, and none is both."""
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())
    assert sorted([*table["path"], *(reject.path for reject in rejects)]) == files


@pytest.mark.real
@pytest.mark.parametrize(("name", "folder", "images", "patients", "labels", "codes"), EXPECTED)
def test_counts_of_real_collections(
    name: str, folder: str, images: int, patients: int, labels: dict, codes: dict, real_data: Path, tmp_path: Path
) -> None:
    table, rejects = collections.collect(name, real_data / folder)
    assert len(table) == images
    assert table["patient_id"].nunique() == patients
    assert table["label"].value_counts().to_dict() == labels
    assert pd.Series([reject.code for reject in rejects]).value_counts().to_dict() == codes
    check_whole(table, rejects, real_data / folder)
    write_manifest(table, tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "manifest.csv"), table)


@pytest.mark.real
@pytest.mark.parametrize(("name", "folder", "codes"), EXPECTED_OF_TABLES)
def test_every_row_of_real_tables_without_a_file_is_listed(
    name: str, folder: str, codes: dict, real_data: Path
) -> None:
    table, rejects = collections.collect(name, real_data / folder)
    assert len(table) == 0
    assert pd.Series([reject.code for reject in rejects]).value_counts().to_dict() == codes


def test_the_collections_that_there_are() -> None:
    assert {*OF_A_TABLE, "folder"} == set(collections.names())


@pytest.mark.parametrize(
    ("name", "options", "code", "remedy"),
    [
        ("mini_mia", {}, "collection_unknown", "mini-mias"),
        ("folder", {"label": "a.csv"}, "option_unknown", "labels"),
        ("mini-mias", {"labels": "a.csv"}, "option_unknown", "none"),
    ],
)
def test_unknown_names_and_options_are_refused(
    name: str, options: dict, code: str, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(MammoError) as caught:
        collections.collect(name, tmp_path, **options)
    assert caught.value.code == code
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("name", [*OF_A_TABLE, "folder"])
def test_no_folder_and_an_empty_one_are_one_clear_line(name: str, tmp_path: Path) -> None:
    for root, code in ((tmp_path / "nothing", "folder_missing"), (tmp_path, "folder_empty")):
        with pytest.raises(MammoError) as caught:
            collections.collect(name, root)
        assert caught.value.code == code


@pytest.mark.parametrize("name", OF_A_TABLE)
def test_the_folder_of_another_collection_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    other, file, text = ("cmmd", "a.csv", "ID1,LeftRight,classification\n")
    if name == other:
        other, file, text = ("inbreast", "INbreast.csv", "x\n")
    (tmp_path / file).write_text(text)
    with pytest.raises(MammoError, match=f"the folder looks like {other}") as caught:
        collections.collect(name, tmp_path)
    assert caught.value.code == "table_missing"
    assert f"mammo-tf manifest {other} {tmp_path}" in caught.value.remedy


@pytest.mark.parametrize("name", OF_A_TABLE)
def test_a_folder_of_nothing_known_says_what_is_looked_for(name: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(MammoError) as caught:
        collections.collect(name, tmp_path)
    assert caught.value.code == "table_missing"
    assert "looks like" not in caught.value.sentence
    assert caught.value.remedy

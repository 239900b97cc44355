"""Archives that are not what they were called, half there, or gone while they are read: a line each."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.reading import tree
from mammo_tf.reading.collections import folder as folder_collection
from mammo_tf.reading.tree import files_of, listed
from mammo_tf.study import read_manifest
from tests.reading.conftest import breast

Write = Callable[..., Any]


@pytest.fixture
def archive(write_dicom: Write, tmp_path: Path) -> Path:
    """Four mammograms of a woman, a folder each."""
    root = tmp_path / "archive"
    for number, (side, view) in enumerate((side, view) for side in "LR" for view in ("CC", "MLO")):
        (root / str(number)).mkdir(parents=True)
        write_dicom(root / str(number) / "i.dcm", breast(3000, number), ImageLaterality=side, ViewPosition=view)
    return root


def codes_in(out: Path) -> dict[str, str]:
    with (out / "rejects.csv").open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row["code"] for row in csv.DictReader(stream)}


def test_a_sound_archive_has_no_line(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manifest", "folder", str(archive), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert all(word not in said for word in ("too early", "looks like", "could not", "re-pack", "preferred"))


def test_a_download_that_stopped_half_way(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = archive / "0" / "i.dcm"
    cut.write_bytes(cut.read_bytes()[:5000])
    (archive / "1" / "i.dcm").write_bytes(b"")
    assert main(["manifest", "folder", str(archive), "-o", str(tmp_path / "out")]) == 0
    assert "2 files end too early: a download that stopped? Fetch them again" in capsys.readouterr().out
    assert codes_in(tmp_path / "out") == {"0/i.dcm": "truncated", "1/i.dcm": "not_dicom"}
    assert list(read_manifest(tmp_path / "out" / "manifest.csv")["path"]) == ["2/i.dcm", "3/i.dcm"]


def test_the_folder_of_a_collection_with_tables_is_told(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (archive / "a.csv").write_text("ID1,LeftRight,classification\n")
    assert main(["manifest", "folder", str(archive), "-o", str(tmp_path / "out")]) == 0
    assert f"{archive} looks like cmmd: mammo-tf manifest cmmd reads its tables too" in capsys.readouterr().out
    assert len(read_manifest(tmp_path / "out" / "manifest.csv")) == 4


def test_dicom_and_pictures_mixed(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (archive / "png").mkdir()
    cv2.imwrite(str(archive / "png" / "0.png"), breast(3000, 40))
    assert main(["manifest", "folder", str(archive), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "1 picture without a header stands next to 4 of DICOM: if they are re-packs of these" in said


def test_a_folder_that_may_not_be_read_costs_itself_alone(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read anything, so the system's answer is given by hand."""
    walk = os.walk

    def shut(root: Path, onerror: Callable[[OSError], None]) -> Iterator[tuple[str, list[str], list[str]]]:
        for place, folders, names in walk(root):
            if Path(place).name == "2":
                onerror(PermissionError(13, "Permission denied", place))
            else:
                yield place, folders, names

    monkeypatch.setattr(tree.os, "walk", shut)
    assert main(["manifest", "folder", str(archive), "-o", str(tmp_path / "out")]) == 0
    assert "1 file or folder could not be read: is the disk or the share well" in capsys.readouterr().out
    assert codes_in(tmp_path / "out") == {"2": "unreadable"}
    assert len(read_manifest(tmp_path / "out" / "manifest.csv")) == 3
    files, rejects = listed(archive)
    assert (len(files), [reject.code for reject in rejects]) == (3, ["unreadable"])
    with pytest.raises(MammoError, match=r"the folder .*2 cannot be read: Permission denied"):
        files_of(archive)


def gone_after(monkeypatch: pytest.MonkeyPatch, root: Path, kept: tuple[str, ...]) -> None:
    """The share goes away once its files are listed; only those below the folders `kept` are read before it is gone."""
    names, weigh = folder_collection.listed, folder_collection.doubtful

    def list_and_lose(place: Path) -> Any:
        found = names(place)
        for path in root.iterdir():
            if path.name not in kept:
                shutil.rmtree(path)
        return found

    def lose_all(patients: Any) -> Any:
        shutil.rmtree(root)
        return weigh(patients)

    monkeypatch.setattr(folder_collection, "listed", list_and_lose)
    monkeypatch.setattr(folder_collection, "doubtful", lose_all)


def test_a_share_that_goes_away_leaves_what_was_read(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_after(monkeypatch, archive, ("0", "1"))
    assert main(["manifest", "folder", str(archive), "-o", str(tmp_path / "out")]) == 0
    assert f"the folder {archive} went away while it was read: 2 files could not be read" in capsys.readouterr().out
    assert list(read_manifest(tmp_path / "out" / "manifest.csv")["path"]) == ["0/i.dcm", "1/i.dcm"]


def test_a_share_that_goes_away_does_not_cost_the_manifest_that_was_there(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["manifest", "folder", str(archive), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    before = (tmp_path / "out" / "manifest.csv").read_bytes()
    capsys.readouterr()
    gone_after(monkeypatch, archive, ("0", "1"))
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "2 files could not be read; the manifest that was there is left as it was. Mount it again" in said
    assert said.count("\n") == 1
    assert (tmp_path / "out" / "manifest.csv").read_bytes() == before


def test_an_archive_is_not_written_to(archive: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in archive.rglob("*")}
    assert main(["manifest", "folder", str(archive), "-o", str(tmp_path / "out")]) == 0
    assert {path: path.stat().st_mtime_ns for path in archive.rglob("*")} == before


def test_options_of_a_folder_are_refused_elsewhere(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option, name in (("--keep-all", "keep_all"), ("--for-processing", "for_processing")):
        assert main(["manifest", "mini-mias", str(archive), "-o", str(tmp_path / "out"), option]) == 2
        assert f"takes no option '{name}'" in capsys.readouterr().err


def test_a_column_that_is_nearly_one_of_ours(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its labels would be lost without a word; columns of the user's own, and those that we write, are not doubted."""
    (archive / "labels.csv").write_text("path,lable,birads,stored_bits,machine_id\n0/i.dcm,malignant,5,12,7\n")
    assert main(["manifest", "folder", str(archive), "-o", str(tmp_path / "out")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "means nothing here" in line]
    assert lines == [
        "the column 'lable' means nothing here and is kept as it is. If it is label: --columns label=lable"
    ]

"""File names that are not text: the file is a reject with its name escaped, and the others go on."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mammo_tf.cli.main import main
from mammo_tf.cli.shared import printable
from mammo_tf.errors import MammoError
from mammo_tf.files import escaped
from mammo_tf.reading import collections, read
from mammo_tf.reading.tree import listed
from mammo_tf.serving.predict_inputs import find_inputs
from mammo_tf.study import Reject, read_manifest, write_rejects

LATIN_1 = b"M\xfcller"
CONTROL = 'one\x1b[31m\r\n,"two" \'\t.png'


def rejects_in(folder: Path) -> dict[str, str]:
    with (folder / "rejects.csv").open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row["code"] for row in csv.DictReader(stream)}


@pytest.fixture
def archive(tmp_path: Path, write_dicom: Callable[..., Any]) -> Path:
    """One good name; Latin-1 names of a film, of a folder, of a picture and of a text; a name of control characters."""
    folder = tmp_path / "archive"
    folder.mkdir()
    root = os.fsencode(folder)
    os.mkdir(root + b"/" + LATIN_1)  # noqa: PTH102 - names of bytes
    write_dicom(folder / "ok.dcm")
    write_dicom(folder / "a.dcm", ViewPosition="MLO")
    write_dicom(folder / "b.dcm", ViewPosition="ML")
    os.rename(root + b"/a.dcm", root + b"/" + LATIN_1 + b"_MLO.dcm")  # noqa: PTH104
    os.rename(root + b"/b.dcm", root + b"/" + LATIN_1 + b"/in.dcm")  # noqa: PTH104
    cv2.imwrite(str(folder / "c.png"), np.arange(64, dtype=np.uint8).reshape(8, 8))
    os.rename(root + b"/c.png", root + b"/" + LATIN_1 + b".png")  # noqa: PTH104
    cv2.imwrite(str(folder / "d.png"), np.arange(80, dtype=np.uint8).reshape(8, 10))
    (folder / "d.png").rename(folder / CONTROL)
    with open(root + b"/" + LATIN_1 + b".txt", "w") as stream:  # noqa: PTH123
        stream.write("a text")
    return folder


NOT_TEXT = {f"M\\xfcller{rest}": "path_not_text" for rest in ("_MLO.dcm", "/in.dcm", ".png", ".txt")}


def test_a_name_that_is_not_text_costs_itself_alone(archive: Path, tmp_path: Path) -> None:
    assert main(["manifest", "folder", str(archive), "-o", str(tmp_path / "m")]) == 0
    assert set(read_manifest(tmp_path / "m" / "manifest.csv")["path"]) == {"ok.dcm", CONTROL}
    assert rejects_in(tmp_path / "m") == NOT_TEXT


def test_mini_mias_and_predict_do_the_same(archive: Path) -> None:
    (archive / "Info.txt").write_text("mdb001 G CIRC B 535 425 197\n")
    _, rejects = collections.collect("mini-mias", archive)
    assert {reject.path for reject in rejects} >= set(NOT_TEXT)
    found = find_inputs(archive)
    assert {one.place for one in found.candidates} == {"ok.dcm", CONTROL}
    named = [Path(os.fsdecode(os.fsencode(archive) + b"/" + LATIN_1 + b"_MLO.dcm")), archive / "ok.dcm"]
    found = find_inputs(named)
    assert [one.file.name for one in found.candidates] == ["ok.dcm"]
    assert [reject.code for reject in found.rejects] == ["path_not_text"]


def test_the_root_may_have_any_name(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9"))
    archive.rename(odd)
    assert main(["manifest", "folder", str(odd), "-o", str(odd / "m")]) == 0
    assert "e9/m/manifest.csv" in capsys.readouterr().out
    picture = Path(os.fsdecode(os.fsencode(odd) + b"/" + LATIN_1 + b".png"))
    assert read(picture).pixels.shape == (8, 8)  # without a table nothing has to name it


def test_what_is_printed_and_written_is_text() -> None:
    name = os.fsdecode(LATIN_1)
    assert escaped(name) == printable(name) == "M\\xfcller"
    assert escaped("Müller 乳") == printable("Müller 乳") == "Müller 乳"
    assert printable("a\x1b[31m\x07b") == "a\\x1b[31m\\x07b"


def test_rejects_of_any_text_come_back(tmp_path: Path) -> None:
    rows = [Reject(CONTROL, "code", "a\rreason", "b\nremedy"), Reject("x", "code", os.fsdecode(LATIN_1), "")]
    write_rejects(rows, tmp_path / "rejects.csv")
    with (tmp_path / "rejects.csv").open(encoding="utf-8", newline="") as stream:
        _, *written = csv.reader(stream, strict=True)
    assert written == [[*rows[0], ""], ["x", "code", "M\\xfcller", "", ""]]


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}])
def test_a_screen_that_lacks_a_letter_does_not_end_a_command(locale: dict[str, str], archive: Path) -> None:
    missing = os.fsencode(archive) + b"/\xfc\xc3\xbc\x1b"
    code = "import sys; from mammo_tf.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", missing], capture_output=True, env=os.environ | locale, check=False
    )
    assert done.returncode == 2
    assert b"\\xfc" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stderr


def test_an_error_line_names_the_file(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfc.png"))
    with pytest.raises(MammoError) as caught:
        read(path)
    assert "\\xfc.png is not there" in printable(str(caught.value))


def test_a_name_that_reads_as_a_path_out_of_the_root_costs_its_file_alone(tmp_path: Path) -> None:
    for name in ("C:drive.png", "\\share.png", "fine.png"):
        (tmp_path / name).write_bytes(b"")
    files, rejects = listed(tmp_path)
    assert [path.name for path in files] == ["fine.png"]
    assert [reject.code for reject in rejects] == ["path_outside", "path_outside"]

"""What is kept of a list of rejects that lies there already."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.study import Reject, kept_rejects, write_rejects

REJECTS = [
    Reject("a.dcm", "volume", 'a "volume", of\nslices', "Read it with reading.frames"),
    Reject("b.dcm", "", "NA"),
    Reject("c.dcm", "cut", "NaN"),
]


def test_rows_of_files_that_are_not_looked_at_now(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    assert write_rejects(REJECTS, path) == 3
    assert kept_rejects(path, ()) == REJECTS
    assert kept_rejects(path, {"b.dcm", "other.dcm"}) == [REJECTS[0], REJECTS[2]]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"half a row\nd.dcm,cut,it ends,\n")  # as Excel saves it
    assert kept_rejects(path, ()) == [*REJECTS, Reject("d.dcm", "cut", "it ends")]


def test_a_list_without_remedies_that_an_earlier_version_wrote(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("path,code,reason\nold.dcm,volume,a volume\ncut.dcm,cut,it ends\n")
    assert kept_rejects(path, {"cut.dcm"}) == [Reject("old.dcm", "volume", "a volume")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"a,b,c\n1,2,3\n",
        b"path,code,reason,more\n1,2,3,4\n",
        b"path,code,reason,remedy,more\n1,2,3,4,5\n",
        b"path,code,reason\n\xff\xfe,2,3\n",
        b'path,code,reason\n"a,b,c\n',
        b"path,code,reason\n",
    ],
)
def test_what_is_no_list_of_rejects_gives_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rejects.csv"
    path.write_bytes(content)
    assert kept_rejects(path, ()) == []
    assert kept_rejects(tmp_path, ()) == []
    assert kept_rejects(tmp_path / "none.csv", ()) == []


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("/archive/a.dcm: it ends", "it ends"),
        ("/archive/a.dcm is not there", "is not there"),
        ("ValueError: /archive/a.dcm is odd", "ValueError: is odd"),
        ("the mask /archive/b.png is empty", "the mask /archive/b.png is empty"),
    ],
)
def test_the_path_is_left_out_of_the_reason(sentence: str, reason: str) -> None:
    error = MammoError("odd", sentence, "Fix it")
    reject = Reject.of("a.dcm", error, Path("/archive/a.dcm"))
    assert reject == ("a.dcm", "odd", reason, "Fix it")
    assert reject.sentence == f"a.dcm: {reason}. Fix it"
    assert Reject.of("a.dcm", error).reason == sentence

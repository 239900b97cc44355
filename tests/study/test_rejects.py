"""What is kept of a list of rejects that lies there already."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_tf.study import Reject, kept_rejects, unforeseen, write_rejects

REJECTS = [
    Reject("a.dcm", "volume", 'a "volume", of\nslices'),
    Reject("b.dcm", "", "NA"),
    Reject("c.dcm", "cut", "NaN"),
]


def test_rows_of_files_that_are_not_looked_at_now(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    assert write_rejects(REJECTS, path) == 3
    assert kept_rejects(path, ()) == REJECTS
    assert kept_rejects(path, {"b.dcm", "other.dcm"}) == [REJECTS[0], REJECTS[2]]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"half a row\nd.dcm,cut,it ends\n")  # as Excel saves it
    assert kept_rejects(path, ()) == [*REJECTS, Reject("d.dcm", "cut", "it ends")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"a,b,c\n1,2,3\n",
        b"path,code,reason,more\n1,2,3,4\n",
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


def test_a_fault_is_told_and_too_little_memory_is_none() -> None:
    found = unforeseen("a.dcm", "/archive/a.dcm", ValueError("/archive/a.dcm is\n odd"))
    assert found == ("a.dcm", "unforeseen", "ValueError: is odd")
    with pytest.raises(MemoryError):
        unforeseen("a.dcm", "/archive/a.dcm", RuntimeError("(-4:Insufficient memory) Failed to allocate"))

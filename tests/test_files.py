"""Files are whole or not there, and JSON is read within limits."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_folder, atomic_path, read_json, write_json


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 101 + "]" * 101, "1" * 5000, "1" * 301, "", "{"])
def test_json_that_cannot_be_read_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(MammoError, match="is not readable JSON"):
        read_json(tmp_path / "a.json")


def test_json_is_written_piece_by_piece_as_it_would_be_in_one(tmp_path: Path) -> None:
    value = {"a": [1.5, None, {"\u00e4\udcfc": (True, [])}], "b": {}, "c": 1e-300}
    write_json(tmp_path / "a.json", value)
    assert (tmp_path / "a.json").read_text() == json.dumps(value, indent=2) + "\n"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", [1, math.nan])
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_file_gets_its_name_when_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, there()))
    )

    def there() -> bool:
        return (tmp_path / "a").exists() or (tmp_path / "b").exists()

    with atomic_path(tmp_path / "a") as beside:
        beside.write_text("x")
    assert [(name == tmp_path.name, named) for name, named in synced] == [(False, False), (True, True)]
    (tmp_path / "a").unlink()
    synced.clear()
    with atomic_folder(tmp_path / "b") as beside:
        (beside / "c").write_text("x")
    assert [named for _, named in synced] == [False, False, True]
    assert synced[1][0] == "c"
    assert synced[2][0] == tmp_path.name

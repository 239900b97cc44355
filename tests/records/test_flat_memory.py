"""Memory of `prepare` hardly follows the rows: of each it keeps a few numbers, and what it writes is the same."""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import sys
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.files import read_json, text_digest, write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.records import prepare
from mammo_tf.records.doubles import COLUMNS, same_pictures
from mammo_tf.records.example import PreparedImage
from mammo_tf.records.index import INDEX
from mammo_tf.records.parts import Made, listed_parts
from mammo_tf.records.picture_rows import TOGETHER, PictureRows, joined
from mammo_tf.records.prepare import Work
from mammo_tf.study import Reject, make_manifest, read_manifest, table_digest, write_manifest

STEPS = Preprocessing.preset("legacy", (16, 16))
FEW, MANY = 1000, 3000  # rows, no fewer than are made or written at once
MOST = {"read": 600, "made": 1600, "found whole": 700}  # bytes a row; garbage of one megabyte comes and goes


def _manifest(rows: int) -> pd.DataFrame:
    return make_manifest(
        {
            "image_id": f"image{number}", "patient_id": f"patient{number // 4}", "path": f"folder/{number}.png",
            "label": "normal", "split": ("train", "test")[number // 4 % 2], "view": "MLO", "age": 50.0 + number % 9,
        }
        for number in range(rows)
    )  # fmt: skip


def _stub(rows: Sequence[Mapping[str, Any]], work: Work) -> Iterator[Made]:
    """What `prepared_images` gives, without a file: every tenth a reject, every other picture like that before."""
    for number, row in enumerate(rows):
        picture = np.arange(256, dtype=np.uint16).reshape(16, 16)
        picture[0, :2] = divmod(number // 2, 60000)
        mark = hashlib.shake_256(row["path"].encode())
        image = PreparedImage(
            picture, None, np.zeros((0, 16, 16), np.bool_), np.zeros((2, 3)),
            {key: None if pd.isna(value) else value for key, value in row.items()}, (16, 16),
            ("JPEG is lossy: its grey values are not those of the machine",), mark.hexdigest(128),
        )  # fmt: skip
        outcome = Reject(row["path"], "unreadable", "for the test") if number % 10 == 9 else image
        yield Made(outcome, {row["path"]: [1000, 1, mark.hexdigest(32)]})


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are not read, and fingerprints not compared: that takes memory of its own, and is tested elsewhere."""
    importlib.import_module("tensorflow").train.Example()  # imported while memory is traced it takes half a minute
    monkeypatch.setattr(importlib.import_module("mammo_tf.records.prepare"), "prepared_images", _stub)
    monkeypatch.setattr("mammo_tf.records.parts.changed", lambda *_: [])
    monkeypatch.setattr(
        "mammo_tf.imaging.near_copies.near_pairs", lambda *_: (np.zeros((0, 2), np.int64), np.zeros(0, np.float32))
    )


def _peaks(root: Path, rows: int) -> dict[str, int]:
    """The most memory that Python and NumPy held in each step, in bytes, beyond what they held before it."""
    root.mkdir()
    write_manifest(_manifest(rows), root / "manifest.csv")
    peaks = {}
    tracemalloc.start(1)
    try:
        for step in MOST:
            gc.collect()
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            if step == "read":
                table = read_manifest(root / "manifest.csv")
            else:
                prepare(table, root, root / "records", STEPS)
            peaks[step] = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return peaks


@pytest.mark.usefixtures("stubbed")
def test_memory_hardly_grows_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With rows, parts and the index whole it was 2400, 3400 and 6700 bytes a row."""
    monkeypatch.setattr(sys, "intern", str)  # its table grows now and then by megabytes, and stays
    _peaks(tmp_path / "first", 20)  # what is imported on the way
    few, many = (_peaks(tmp_path / str(rows), rows) for rows in (FEW, MANY))
    grown = {step: (many[step] - few[step]) / (MANY - FEW) for step in MOST}
    assert {step: bytes_ for step, bytes_ in grown.items() if bytes_ > MOST[step]} == {}, grown


@pytest.mark.usefixtures("stubbed")
def test_the_index_is_that_of_a_whole_dictionary(tmp_path: Path) -> None:
    done = prepare(_manifest(150), tmp_path, tmp_path / "records", STEPS)
    index = read_json(tmp_path / "records" / INDEX)
    write_json(tmp_path / "again.json", index)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "records" / INDEX).read_bytes()
    content = {key: value for key, value in index["asked"].items() if key != "root"}
    shards = [{key: shard[key] for key in ("name", "examples", "bytes", "sha256")} for shard in index["shards"]]
    assert (done.images, len(done.rejects), [shard["examples"] for shard in shards]) == (135, 15, [58, 58, 19])
    assert index["digest"] == text_digest(json.dumps([content, shards], sort_keys=True))
    assert index["listed"] == text_digest(json.dumps(index["examples"], sort_keys=True))
    assert done.remarks == (
        "60 pictures are the same under more than one name, first folder/0.png and folder/1.png; "
        "leave all but one out of the manifest",
        "135 pictures are JPEG, which is lossy",
    )
    names = [shard["name"].partition(".")[0] for shard in index["shards"]]
    parts = dict(listed_parts(tmp_path / "records", names))
    assert list(parts) == names
    assert [{**one, "location": [0, *one["location"]]} for one in parts[names[0]]["examples"]] == index["examples"][:58]


def test_rows_are_those_of_the_table() -> None:
    table = _manifest(2 * TOGETHER + 5)
    whole = table.astype(object).where(table.notna(), None).to_dict("records")
    rows = PictureRows(table)

    def plain(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{key: None if pd.isna(cell) else cell for key, cell in row.items()} for row in found]

    assert plain(rows) == whole
    assert len(rows) == len(whole)
    assert plain(rows[250:270]) == whole[250:270]
    assert plain([rows[-1]]) == whole[-1:]
    assert plain(joined([rows[500:], rows[3:5]])) == whole[500:] + whole[3:5]
    volumes = PictureRows(table, np.array([0, 1, 1], np.int32), [{}, {"frame": "1"}, {"frame": "2", "slab": "3"}])
    assert plain(volumes[1:]) == [whole[1] | {"frame": "1"}, whole[1] | {"frame": "2", "slab": "3"}]
    with pytest.raises(IndexError):
        rows[len(rows)]


def test_the_digest_of_a_table_is_that_of_its_csv() -> None:
    table = _manifest(500)
    table.loc[3, "site"] = 'a "quoted", \u00e4\nname'
    assert table_digest(table) == text_digest(table.to_csv(index=False))


CELLS = st.fixed_dictionaries({"picture": st.sampled_from("abc") | st.just("")} | {
    column: st.sampled_from(["", "x", "y"]) for column in COLUMNS
})  # fmt: skip


@given(st.lists(CELLS, max_size=9))
def test_equal_pictures_are_told_of_the_first_kind_that_they_differ_in(rows: list[dict[str, str]]) -> None:
    due = []
    groups = {name: [at for at, row in enumerate(rows) if row["picture"] == name] for name in "abc"}
    left = sorted((group for group in groups.values() if len(group) > 1), key=min)
    for column in COLUMNS:
        torn = [group for group in left if len({rows[at][column] for at in group} - {""}) > 1]
        left = [group for group in left if group not in torn]
        if torn:
            due.append((COLUMNS[column], len(torn), f"first p{torn[0][0]} and p{torn[0][1]};"))
    columns = {column: [row[column] for row in rows] for column in COLUMNS}
    lines = same_pictures([row["picture"] for row in rows], columns, lambda at: {"path": f"p{at}"})
    assert len(lines) == len(due)
    for line, (what, number, first) in zip(lines, due, strict=True):
        assert what in line
        assert line.startswith(f"{number} picture")
        assert first in line

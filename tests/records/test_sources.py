"""Records hold the pictures that were asked for: root, files and shards are what they were, or it is told or mended."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.files import digest, read_json, write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.records import check_same_pictures, open_records, prepare
from mammo_tf.records import prepare as prepare_records
from mammo_tf.study import make_manifest

STEPS = Preprocessing.preset("legacy", (32, 32))
LEVELS = {"a": 10000, "b": 50000}


def _write(root: Path, level: int, names: range = range(4)) -> None:
    for number in names:
        picture = np.zeros((64, 48), np.uint16)
        picture[:, : 30 - number] = level
        cv2.imwrite(str(root / f"p{number}.png"), picture)


def _manifest(**more: Any) -> pd.DataFrame:
    rows = [{"image_id": f"i{n}", "patient_id": f"p{n}", "label": "normal", "path": f"p{n}.png"} for n in range(4)]
    return make_manifest([row | more for row in rows])


@pytest.fixture
def roots(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / name for name in LEVELS}
    for name, root in found.items():
        root.mkdir()
        _write(root, LEVELS[name])
    return found


def _prepare(root: Path, folder: Path) -> int:
    return prepare(_manifest(), root, folder, STEPS, examples_per_shard=2).images


def test_another_root_is_another_request(roots: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "records"
    assert _prepare(roots["a"], folder) == 4
    before = digest(folder / "index.json")
    with pytest.raises(MammoError, match=r"in another way \(root differs\)"):
        _prepare(roots["b"], folder)
    with pytest.raises(MammoError, match="the data root .* is not there"):
        _prepare(tmp_path / "nowhere", folder)
    (tmp_path / "link").symlink_to(roots["a"])
    assert _prepare(tmp_path / "link", folder) == 4, "the same root by another name"
    assert digest(folder / "index.json") == before
    assert open_records(folder).means[0] == pytest.approx(10000 / 65535 * 30 / 48, rel=0.02)


def test_files_that_changed_are_told(roots: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "records"
    _prepare(roots["a"], folder)
    for path in roots["a"].iterdir():
        os.utime(path, (1, 1))
    assert _prepare(roots["a"], folder) == 4, "the same content at another time"
    _write(roots["a"], 50000, range(1, 3))
    with pytest.raises(MammoError, match="2 of 4 files are not those that .* was prepared from, first p1.png"):
        _prepare(roots["a"], folder)
    shutil.rmtree(folder)
    _prepare(roots["a"], folder)
    (roots["a"] / "p3.png").unlink()
    with pytest.raises(MammoError, match="1 of 4 files are not those .*, first p3.png"):
        _prepare(roots["a"], folder)


@pytest.fixture
def stopped(roots: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records of root a that were stopped after the first of two shards."""
    import importlib

    module = importlib.import_module("mammo_tf.records.prepare")
    write_shard = module.write_shard

    def stop(path: Path, images: Iterator[Any], tile: int | None = None) -> Any:
        if "00001" in path.name:
            raise KeyboardInterrupt
        return write_shard(path, islice(images, 2))

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_shard", stop)
        with pytest.raises(KeyboardInterrupt):
            _prepare(roots["a"], tmp_path / "stopped")
    return tmp_path / "stopped"


def test_what_was_stopped_goes_on_with_the_same_files(stopped: Path, roots: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(MammoError, match="root differs"):
        _prepare(roots["b"], stopped)
    _write(roots["a"], 50000)
    _prepare(roots["a"], stopped)
    _prepare(roots["a"], tmp_path / "whole")
    np.testing.assert_array_equal(open_records(stopped).means, open_records(tmp_path / "whole").means)
    assert open_records(stopped).digest == open_records(tmp_path / "whole").digest


@pytest.mark.parametrize("damage", ["lost", "cut", "flipped"])
def test_a_damaged_shard_is_mended(damage: str, roots: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "records"
    _prepare(roots["a"], folder)
    before = {path.name: digest(path) for path in folder.iterdir()}
    shard = folder / "part-00001-of-00002.tfrecord"
    content = bytearray(shard.read_bytes())
    content[200] ^= 1
    kept = (folder / "part-00000-of-00002.tfrecord").stat().st_mtime_ns
    if damage == "lost":
        shard.unlink()
    else:
        shard.write_bytes(content[:-30] if damage == "cut" else content)
    _prepare(roots["a"], folder)
    assert {path.name: digest(path) for path in folder.iterdir()} == before
    assert (folder / "part-00000-of-00002.tfrecord").stat().st_mtime_ns == kept


def test_a_shard_that_a_power_cut_took_is_made_again(stopped: Path, roots: dict[str, Path]) -> None:
    (stopped / "part-00000-of-00002.tfrecord").write_bytes(b"")
    assert _prepare(roots["a"], stopped) == 4
    assert len(open_records(stopped)) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"bytes": 1}'])
def test_a_note_of_a_shard_that_lost_its_end_costs_that_shard(
    content: str, stopped: Path, roots: dict[str, Path]
) -> None:
    (stopped / "part-00000-of-00002.json").write_text(content)
    assert _prepare(roots["a"], stopped) == 4
    assert len(open_records(stopped)) == 4


def test_an_index_that_is_not_one_is_told(roots: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "records"
    _prepare(roots["a"], folder)
    index = read_json(folder / "index.json")
    for wrong in ({**index, "examples": None}, {"format": 2}, [1], {**index, "asked": {}}):
        write_json(folder / "index.json", wrong)
        with pytest.raises(MammoError, match="that were written|not what was written"):
            open_records(folder)
    write_json(folder / "index.json", {**index, "examples": None})
    assert _prepare(roots["a"], folder) == 4, "prepared again"
    assert read_json(folder / "index.json") == index
    older = {**index, "format": 1, "shards": [{**one} for one in index["shards"]]}
    write_json(folder / "index.json", older)
    assert len(open_records(folder)) == 4, "records of the format before are read"
    with pytest.raises(MammoError, match=r"in another way \(format differs\)"):
        _prepare(roots["a"], folder)


@pytest.mark.parametrize("place", ["{root}/p0.png", "../a/p0.png", "x/../../a/p0.png", "C:\\a\\p0.png"])
def test_a_path_out_of_the_root_is_a_reject(place: str, roots: dict[str, Path], tmp_path: Path) -> None:
    manifest = _manifest()
    manifest.loc[0, "path"] = place.format(root=roots["a"])
    done = prepare(manifest, roots["b"], tmp_path / "records", STEPS)
    assert (done.images, [reject.code for reject in done.rejects]) == (3, ["path_outside"])


def test_a_leaking_manifest_is_refused_before_any_work(roots: dict[str, Path], tmp_path: Path) -> None:
    manifest = _manifest(patient_id="p", label="benign")
    manifest["split"] = ["train", "test", "train", "train"]
    with pytest.raises(MammoError, match="in more than one split"):
        prepare(manifest, roots["a"], tmp_path / "records", STEPS)
    assert not (tmp_path / "records").exists()


def test_one_picture_under_two_names_is_told(roots: dict[str, Path], tmp_path: Path) -> None:
    (roots["a"] / "p1.png").unlink()
    picture = cv2.imread(str(roots["a"] / "p0.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(roots["a"] / "p1.tif"), picture)
    manifest = _manifest()
    manifest.loc[1, "path"] = "p1.tif"
    done = prepare_records(manifest, roots["a"], tmp_path / "women", STEPS)
    assert done.remarks[0] == (
        "1 picture is of more than one patient, first p0.png and p1.tif; leave all but one out of the manifest"
    )
    check_same_pictures(open_records(tmp_path / "women"))
    manifest["split"] = ["train", "test", "train", "train"]
    prepare(manifest, roots["a"], tmp_path / "splits", STEPS)
    with pytest.raises(MammoError, match="more than one split: .*, first p0.png and p1.tif"):
        check_same_pictures(open_records(tmp_path / "splits"))


def test_a_list_of_examples_that_was_changed_is_told_and_made_again(roots: dict[str, Path], tmp_path: Path) -> None:
    manifest, path = _manifest(), tmp_path / "out" / "index.json"
    prepare(manifest, roots["a"], tmp_path / "out", STEPS)
    whole = path.read_text()
    for change in (
        lambda index: index["examples"].pop(),
        lambda index: index["examples"][0]["row"].pop("path"),
        lambda index: index["examples"][0].update(row=None),
        lambda index: index["examples"][0].pop("picture"),
        lambda index: index["examples"][0].update(warnings=5),
    ):
        index = json.loads(whole)
        change(index)
        write_json(path, index)
        with pytest.raises(MammoError) as caught:
            open_records(tmp_path / "out")
        assert caught.value.code == "record_damaged"
        assert prepare(manifest, roots["a"], tmp_path / "out", STEPS).images == len(manifest)
        assert len(open_records(tmp_path / "out")) == len(manifest)
    for rejects in ([5], [["a"]]):
        index = json.loads(whole)
        index["shards"][0]["rejects"] = rejects
        write_json(path, index)
        assert prepare(manifest, roots["a"], tmp_path / "out", STEPS).images == len(manifest)

"""Records: lossless, checked, resumable to the byte, every file told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.files import digest, read_json, text_digest
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.resize import resize
from mammo_tf.records import Records, open_records, prepare, verify
from mammo_tf.records.index import listed_digest
from mammo_tf.records.ledger import LEDGER
from mammo_tf.study import make_manifest, read_manifest

LEGACY = Preprocessing.preset("legacy", (128, 128))


def _contents(folder: Path) -> dict[str, str]:
    """What `prepare` wrote; a run of another test may have left its line in the ledger beside it."""
    return {path.name: digest(path) for path in sorted(folder.iterdir()) if path.name != LEDGER}


def test_pictures_are_lossless_and_rows_travel(records: Records, films: Path) -> None:
    manifest = read_manifest(films)
    pd.testing.assert_frame_equal(records.rows, manifest)
    verify(records)
    for position in (0, 21, len(records) - 1):
        stored = cv2.imread(str(films.parent / manifest["path"][position]), cv2.IMREAD_UNCHANGED)
        expected = resize(stored, 128, 128, "cubic")
        opencv = cv2.resize(stored, (128, 128), interpolation=cv2.INTER_CUBIC)
        assert np.abs(expected.astype(int) - opencv).max() <= 1
        image = records.image(position)
        np.testing.assert_array_equal(image.picture, expected)
        np.testing.assert_array_equal(records.picture(position), expected)
        assert image.row["image_id"] == manifest["image_id"][position]
        assert records.means[position] == pytest.approx(expected.mean() / 65535)


def test_a_finding_lies_where_it_is_bright(records: Records) -> None:
    position = int(np.flatnonzero(records.rows["label"] == "malignant")[0])
    image = records.image(position)
    assert image.finding_masks.shape == (1, 128, 128)
    inside = image.picture[image.finding_masks[0]].mean()
    ring = cv2.dilate(image.finding_masks[0].astype(np.uint8), np.ones((9, 9))) - image.finding_masks[0]
    assert inside > image.picture[ring > 0].mean() + 0.2 * 65535


def test_tensorflow_reads_the_shards_as_they_are(records: Records) -> None:
    files = [str(records.folder / name) for name in records.shards]
    payloads = [bytes(item.numpy()) for item in tf.data.TFRecordDataset(files)]
    assert payloads == [records.payload(position) for position in range(len(records))]


def test_workers_make_no_difference(records: Records, films: Path, tmp_path: Path) -> None:
    prepare(read_manifest(films), films.parent, tmp_path / "a", LEGACY, workers=2, examples_per_shard=20)
    assert _contents(tmp_path / "a") == _contents(records.folder)


def test_a_killed_run_goes_on_and_ends_equal(records: Records, films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "from mammo_tf.records.prepare_image import prepare_image\n"
        "def slow(*a, **k):\n    time.sleep(0.05)\n    return prepare_image(*a, **k)\n"
    )
    code = (
        f"import importlib, sys\nsys.path.insert(0, r'{tmp_path}')\n"
        "p = importlib.import_module('mammo_tf.records.prepare')\n"
        "from mammo_tf.study import read_manifest\n"
        "from mammo_tf.imaging import Preprocessing\n"
        "p.prepare_image = importlib.import_module('slow').slow\n"
        f"p.prepare(read_manifest(r'{films}'), r'{films.parent}', r'{folder}',"
        " Preprocessing.preset('legacy', (128, 128)), examples_per_shard=20)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not (folder / "part-00000-of-00003.json").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(MammoError, match=rf"written by another mammo-tf \(process {process.pid}\)"):
        prepare(read_manifest(films), films.parent, folder, LEGACY, examples_per_shard=20)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(MammoError, match="is not finished"):
        open_records(folder)
    before = (folder / "part-00000-of-00003.tfrecord").stat().st_mtime_ns
    prepare(read_manifest(films), films.parent, folder, LEGACY, examples_per_shard=20)
    assert (folder / "part-00000-of-00003.tfrecord").stat().st_mtime_ns == before
    assert _contents(folder) == _contents(records.folder)


def test_run_again_changes_nothing(records: Records, films: Path) -> None:
    before = _contents(records.folder)
    again = prepare(read_manifest(films), films.parent, records.folder, LEGACY, examples_per_shard=20)
    assert again.images == len(records)
    assert _contents(records.folder) == before


def test_another_request_is_refused(records: Records, films: Path, tmp_path: Path) -> None:
    other = Preprocessing.preset("legacy", (64, 64))
    with pytest.raises(MammoError, match="prepared from another manifest or in another way"):
        prepare(read_manifest(films), films.parent, records.folder, other)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "notes.txt").write_text("mine")
    with pytest.raises(MammoError, match="is not empty and holds no records"):
        prepare(read_manifest(films), films.parent, tmp_path / "x", LEGACY)


def test_files_that_cannot_be_used_are_listed(films: Path, tmp_path: Path) -> None:
    manifest = read_manifest(films).iloc[:4].copy()
    (tmp_path / "text.png").write_text("no picture")
    for name in manifest["path"]:
        os.link(films.parent / name, tmp_path / name)
    manifest.loc[1, "path"] = "gone.png"
    manifest.loc[2, "path"] = "text.png"
    done = prepare(manifest, tmp_path, tmp_path / "out", LEGACY)
    assert done.images == 2
    assert [reject.path for reject in done.rejects] == ["gone.png", "text.png"]
    listed = pd.read_csv(tmp_path / "out" / "rejects.csv")
    assert listed["path"].tolist() == ["gone.png", "text.png"]
    assert listed["code"][0] == "file_missing"
    assert prepare(manifest, tmp_path, tmp_path / "out", LEGACY) == done
    os.link(films.parent / read_manifest(films)["path"][1], tmp_path / "gone.png")
    assert prepare(manifest, tmp_path, tmp_path / "out", LEGACY).images == 3, "a file that came back is read"
    (tmp_path / "gone.png").unlink()
    manifest["path"], manifest["split"] = "gone.png", "train"
    with pytest.raises(MammoError, match="none of 4 images can be used; the first: gone.png"):
        prepare(manifest, tmp_path, tmp_path / "none", LEGACY)


@pytest.fixture
def damaged(records: Records, tmp_path: Path) -> Path:
    for path in records.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_damage_is_found(damaged: Path) -> None:
    records = open_records(damaged)
    shard = damaged / records.shards[1]
    content = bytearray(shard.read_bytes())
    content[records.locations[21].offset + 5000] ^= 1
    shard.write_bytes(content)
    records.payload(20)
    with pytest.raises(MammoError, match="example 21 is damaged"):
        records.payload(21)
    with pytest.raises(MammoError, match="part-00001-of-00003.tfrecord is not what was written"):
        verify(records)
    shard.write_bytes(content[:-10])
    with pytest.raises(MammoError, match="is missing or has another length"):
        open_records(damaged)


@pytest.mark.parametrize("content", [None, "", '{"format": 2, "as', "null", "{}"])
def test_records_without_their_index_are_made_again_and_the_ledger_stays(
    content: str | None, damaged: Path, records: Records, films: Path
) -> None:
    (damaged / LEDGER).write_text("a measurement\n")
    (damaged / "part-00000-of-00001.tfrecord").write_bytes(b"of another number of shards")
    (damaged / ".part-00001-of-00003.x.tfrecord").touch()
    (damaged / "index.json").unlink()
    if content is not None:
        (damaged / "index.json").write_text(content)
    with pytest.raises(MammoError) as caught:
        open_records(damaged)
    assert "mammo-tf prepare" in caught.value.remedy
    (damaged / "mine.txt").touch()
    with pytest.raises(MammoError) as caught:
        prepare(read_manifest(films), films.parent, damaged, LEGACY, examples_per_shard=20)
    assert caught.value.code == ("folder_exists" if content is None else "json_broken")
    if content is not None:
        assert f"Remove this folder (keep its {LEDGER})" in caught.value.remedy
    (damaged / "mine.txt").unlink()
    prepare(read_manifest(films), films.parent, damaged, LEGACY, examples_per_shard=20)
    assert _contents(damaged) == _contents(records.folder)
    assert (damaged / LEDGER).read_text() == "a measurement\n"


def test_another_request_may_begin_where_the_index_is_damaged(damaged: Path, films: Path) -> None:
    (damaged / "index.json").write_text("[" * 5000)
    prepare(read_manifest(films)[:2], films.parent, damaged, LEGACY)
    assert len(open_records(damaged)) == 2
    assert len(list(damaged.glob("part-*"))) == 1


@pytest.mark.parametrize("name", ["index.json", "part-00000-of-00001.json", "rejects.csv"])
def test_a_folder_in_the_place_of_a_file_is_told_and_nothing_is_removed(name: str, damaged: Path, films: Path) -> None:
    for gone in (name, "index.json"):
        (damaged / gone).unlink(missing_ok=True)
    (damaged / name).mkdir()
    before = sorted(damaged.iterdir())
    with pytest.raises(MammoError) as caught:
        prepare(read_manifest(films), films.parent, damaged, LEGACY, examples_per_shard=20)
    assert caught.value.code == ("not_a_file" if name == "index.json" else "folder_exists")
    assert sorted(path for path in damaged.iterdir() if path.name != ".lock") == before


@pytest.mark.parametrize("examples", [[], [{"b": 1.5, "a": ("x", None)}], [{"a": "\udcfc"}, {"c": [1, [2]]}, {}]])
def test_the_list_of_examples_is_told_by_its_json(examples: list) -> None:
    assert listed_digest(examples) == text_digest(json.dumps(examples, sort_keys=True))


def test_shards_of_another_program_stay(films: Path, tmp_path: Path) -> None:
    (tmp_path / "part-00000-of-00003.tfrecord").touch()
    with pytest.raises(MammoError, match="is not empty and holds no records"):
        prepare(read_manifest(films), films.parent, tmp_path, LEGACY)
    assert [path.name for path in tmp_path.iterdir()] == ["part-00000-of-00003.tfrecord"]


def test_rejects_that_were_removed_or_changed_are_listed_again(damaged: Path, films: Path) -> None:
    before, listed = _contents(damaged), damaged / "rejects.csv"
    for change in (listed.unlink, lambda: listed.write_text(""), lambda: listed.write_text("path,code\n")):
        change()
        prepare(read_manifest(films), films.parent, damaged, LEGACY, examples_per_shard=20)
        assert _contents(damaged) == before


def test_what_is_no_folder_of_records_is_told(tmp_path: Path, records: Records, films: Path) -> None:
    with pytest.raises(MammoError, match="holds no prepared images"):
        open_records(tmp_path)
    with pytest.raises(MammoError, match="leaves pictures of different sizes"):
        prepare(read_manifest(films), films.parent, tmp_path, Preprocessing((), LEGACY.intensity_steps))
    index = read_json(records.folder / "index.json")
    assert index["complete"]
    assert sum(shard["examples"] for shard in index["shards"]) == len(records)


def test_doubts_about_grey_scales_are_told_whenever_records_are_prepared(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.add.outer(np.arange(90), np.arange(70)).astype(np.uint16) * 25)
    manifest = make_manifest([{"image_id": "a", "patient_id": "a", "label": "normal", "path": "a.png"}])
    for told, pixel in (("", 1 / 16), ("12", 1.0)):
        manifest["stored_bits"] = told
        for _ in range(2):  # made, and found
            done = prepare(manifest, tmp_path, tmp_path / f"records{told}", Preprocessing.preset("legacy", (32, 32)))
            expected = [] if told else ["1 picture of 16 bits holds nothing above 4095"]
            assert [line.split(":")[0] for line in done.remarks] == expected
        assert open_records(tmp_path / f"records{told}").means[0] == pytest.approx(0.478 * pixel, abs=0.01)


def test_other_words_about_the_same_examples(records: Records) -> None:
    swapped = {"train": "test", "test": "train"}
    rows = records.rows.assign(split=records.rows["split"].replace(swapped))
    found = records.with_rows(rows)
    assert found.positions("test").tolist() == records.positions("train").tolist()
    assert found.digest != records.digest
    assert np.array_equal(found.picture(3), records.picture(3))
    assert records.with_rows(records.rows.copy()) is records
    assert found.with_rows(records.rows).digest not in (records.digest, found.digest)
    with pytest.raises(MammoError) as caught:
        records.with_rows(rows.iloc[::-1])
    assert caught.value.code == "rows_wrong"

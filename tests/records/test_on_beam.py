"""Records made by Apache Beam are those of this machine, byte for byte, whatever is killed or fails on the way."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mammo_tf
from mammo_tf.errors import MammoError
from mammo_tf.files import digest, read_json, write_text
from mammo_tf.imaging import Preprocessing
from mammo_tf.records import open_records, prepare, verify
from mammo_tf.records.on_beam import ROWS, make_shard, on_beam
from mammo_tf.records.parts import write_shard
from mammo_tf.records.prepare import Work
from mammo_tf.study import read_manifest

SHARD = 2  # images
PROCESSES = "--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=2"
LEGACY = Preprocessing.preset("legacy", (128, 128))
PREPARE = (
    "import sys\n"
    "from mammo_tf.imaging import Preprocessing\n"
    "from mammo_tf.records import prepare\n"
    "from mammo_tf.records.on_beam import on_beam\n"
    "from mammo_tf.study import read_manifest\n"
    "if __name__ == '__main__':\n"
    "    manifest, root, folder, beam = sys.argv[1:]\n"
    "    steps = Preprocessing.preset('legacy', (128, 128))\n"
    f"    prepare(read_manifest(manifest), root, folder, steps, examples_per_shard={SHARD}, make=on_beam(beam))\n"
)


def _contents(folder: Path) -> dict[str, str]:
    return {path.name: digest(path) for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def study(films: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    """The little study with a file that is gone and one that is no picture: its rows, and the data root."""
    root = tmp_path_factory.mktemp("study")
    for path in filter(Path.is_file, films.parent.iterdir()):
        os.link(path, root / path.name)
    manifest = read_manifest(films)
    (root / "text.png").write_text("not a picture")
    manifest.loc[1, "path"], manifest.loc[20, "path"] = "gone.png", "text.png"
    manifest.to_csv(root / "with_rejects.csv", index=False)
    return read_manifest(root / "with_rejects.csv"), root


@pytest.fixture(scope="module")
def made_here(study: tuple[pd.DataFrame, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("here") / "records"
    prepare(*study, folder, LEGACY, examples_per_shard=SHARD)
    return _contents(folder)


@pytest.fixture
def beam() -> None:
    pytest.importorskip("apache_beam", reason="apache-beam is not installed here: make test-beam")


def _work(folder: Path, root: Path) -> Work:
    return Work(folder, str(root), LEGACY, 1, None)


def test_a_worker_makes_a_shard_of_the_rows_beside_it(study: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    """Without Beam: what it would call, on the bytes that the launcher leaves."""
    manifest, root = study
    rows = manifest.iloc[:3].to_dict("records")
    write_text(tmp_path / ROWS.format("part-0", "one"), json.dumps(rows))
    make_shard("part-0", _work(tmp_path, root), "one", mammo_tf.__version__)
    part = read_json(tmp_path / "part-0.json")
    assert [example["row"]["image_id"] for example in part["examples"]] == ["p0_CC", "p1_CC"]
    assert [reject[:2] for reject in part["rejects"]] == [["gone.png", "file_missing"]]
    assert digest(tmp_path / "part-0.tfrecord") == part["sha256"]


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("version", "worker_differs", "where the launcher has 0.0.1"),
        ("root", "folder_unseen", "away is not there"),
        ("folder", "folder_unseen", "away is not there"),
    ],
)
def test_a_worker_elsewhere_refuses(what: str, code: str, message: str, tmp_path: Path) -> None:
    """A root that a worker does not see would make rejects of all files."""
    away = tmp_path / "away"
    work = _work(away if what == "folder" else tmp_path, away if what == "root" else tmp_path)
    write_text(tmp_path / ROWS.format("part-0", "one"), "[]")
    with pytest.raises(MammoError, match=message) as caught:
        make_shard("part-0", work, "one", "0.0.1" if what == "version" else mammo_tf.__version__)
    assert caught.value.code == code
    if what != "folder":
        assert read_json(tmp_path / ".part-0.one.failed.json")["code"] == code


def test_without_beam_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "apache_beam"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(MammoError) as caught:
        on_beam("--runner=DirectRunner")
    assert caught.value.code == "extra_missing"
    assert "pip install 'mammo_tf[beam]'" in str(caught.value)


@pytest.mark.long
@pytest.mark.usefixtures("beam")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--runner=DirectRunner --no_such=4", "Beam has no option --no_such"),
        ("runner=DirectRunner", "Beam has no option runner=DirectRunner"),
        ("--direct_num_workers=x", "invalid int value: 'x'"),
        ("--runner=Nobody", "Unexpected pipeline runner: Nobody"),
        ("--runner='x", "cannot be taken apart"),
    ],
)
def test_options_that_beam_does_not_understand_are_told(
    options: str, message: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(MammoError, match=message) as caught:
        on_beam(options)
    assert caught.value.code == "option_wrong"
    assert capsys.readouterr().err == ""


@pytest.mark.long
@pytest.mark.usefixtures("beam")
def test_a_job_server_may_understand_more() -> None:
    options = "--job_endpoint=localhost:1 --of_the_job_server=4"
    assert callable(on_beam(f"--runner=PortableRunner {options}"))
    with pytest.raises(MammoError, match="of_the_job_server"):
        on_beam(f"--runner=DirectRunner {options}")


@pytest.mark.long
@pytest.mark.usefixtures("beam")
def test_the_options_of_the_docs_are_understood() -> None:
    page = (Path(__file__).parents[2] / "docs" / "archives.md").read_text(encoding="utf-8")
    found = re.findall(r"--beam='(--runner=[^']*)'", page)
    assert len(found) == 4
    for options in found:
        on_beam(options.replace("PROJECT", "project-one").replace("BUCKET", "bucket").replace("HOST", "host.site"))


@pytest.mark.long
@pytest.mark.usefixtures("beam")
@pytest.mark.parametrize("options", ["", PROCESSES])
def test_a_pipeline_makes_what_this_machine_makes(
    options: str, study: tuple[pd.DataFrame, Path], made_here: dict[str, str], tmp_path: Path
) -> None:
    done = prepare(*study, tmp_path / "out", LEGACY, examples_per_shard=SHARD, make=on_beam(options))
    assert (done.images, len(done.rejects)) == (46, 2)
    assert _contents(tmp_path / "out") == made_here
    verify(open_records(tmp_path / "out"))


@pytest.mark.long
@pytest.mark.usefixtures("beam")
def test_lost_shards_alone_are_made_again(
    study: tuple[pd.DataFrame, Path], made_here: dict[str, str], tmp_path: Path
) -> None:
    prepare(*study, tmp_path, LEGACY, examples_per_shard=SHARD)
    (tmp_path / "part-00003-of-00024.tfrecord").unlink()
    before = (tmp_path / "part-00002-of-00024.tfrecord").stat().st_mtime_ns
    prepare(*study, tmp_path, LEGACY, examples_per_shard=SHARD, make=on_beam(""))
    assert _contents(tmp_path) == made_here
    assert (tmp_path / "part-00002-of-00024.tfrecord").stat().st_mtime_ns == before


@pytest.mark.long
@pytest.mark.usefixtures("beam")
@pytest.mark.parametrize("whole_group", [True, False])
def test_a_pipeline_that_is_killed_goes_on_and_ends_equal(
    whole_group: bool, study: tuple[pd.DataFrame, Path], made_here: dict[str, str], tmp_path: Path
) -> None:
    """Killed half-way with its workers, or the launcher alone, so that its workers are orphans."""
    manifest, root = study
    folder = tmp_path / "killed"
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    command = [sys.executable, "-c", PREPARE, str(tmp_path / "manifest.csv"), str(root), str(folder), PROCESSES]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 200
        while len(list(folder.glob("part-*.json"))) < 3:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        whole = {path: path.stat().st_mtime_ns for path in folder.glob("part-*.json")}
        assert 3 <= len(whole) < 24
        with pytest.raises(MammoError, match="is not finished"):
            open_records(folder)
        prepare(manifest, root, folder, LEGACY, examples_per_shard=SHARD, make=on_beam(PROCESSES))
    finally:
        with suppress(ProcessLookupError):  # orphans of the launcher, where they are not gone by themselves
            os.killpg(process.pid, signal.SIGKILL)
    assert _contents(folder) == made_here


@pytest.mark.long
@pytest.mark.usefixtures("beam")
@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (
            MammoError("disk_full", "no space left", "Free some"),
            "disk_full",
            "a worker of Beam: no space left. Free some",
        ),
        (RuntimeError("of a\nlibrary"), "beam_failed", "the pipeline of Beam failed: .*library.*whole are kept$"),
    ],
)
def test_a_worker_that_fails_is_told_and_the_next_goes_on(
    fault: Exception, code: str, message: str, study: tuple[pd.DataFrame, Path], made_here: dict[str, str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fails(path: Path, *arguments: Any) -> Any:
        if path.name == "part-00005-of-00024":
            raise fault
        return write_shard(path, *arguments)

    monkeypatch.setattr("mammo_tf.records.on_beam.write_shard", fails)
    folder = tmp_path / "out"
    with pytest.raises(MammoError, match=message) as caught:
        prepare(*study, folder, LEGACY, examples_per_shard=SHARD, make=on_beam(""))
    assert caught.value.code == code
    assert not list(folder.glob(".part-*"))
    monkeypatch.undo()
    prepare(*study, folder, LEGACY, examples_per_shard=SHARD, make=on_beam(""))
    assert _contents(folder) == made_here


@pytest.mark.long
@pytest.mark.usefixtures("beam")
def test_workers_of_another_version_are_told_from_their_processes(
    study: tuple[pd.DataFrame, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mammo_tf, "__version__", "0.0.1")  # here alone: workers are processes of their own
    with pytest.raises(MammoError, match="a worker of Beam: .* launcher has 0.0.1") as caught:
        prepare(*study, tmp_path / "out", LEGACY, examples_per_shard=SHARD, make=on_beam(PROCESSES))
    assert caught.value.code == "worker_differs"


def test_a_worker_of_an_earlier_launch_finds_no_rows(study: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    write_text(tmp_path / ROWS.format("part-0", "two"), json.dumps(study[0].iloc[:1].to_dict("records")))
    with pytest.raises(MammoError, match="part-0.one.rows.json is not there"):
        make_shard("part-0", _work(tmp_path, study[1]), "one", mammo_tf.__version__)
    assert [path.name for path in tmp_path.iterdir()] == [ROWS.format("part-0", "two")], "it leaves nothing"


def test_rows_survive_their_way_to_a_worker(tmp_path: Path) -> None:
    """What is unknown stays unknown, numbers keep their last digit, and names that are not UTF-8 their bytes."""
    rows = [{"path": "\udcfc\u00e4.png", "age": 1 / 3, "spacing_row_mm": float("nan"), "findings": ""}]
    write_text(tmp_path / "rows.json", json.dumps(rows))
    (back,) = read_json(tmp_path / "rows.json")
    assert math.isnan(back.pop("spacing_row_mm"))
    rows[0].pop("spacing_row_mm")
    assert back == rows[0]

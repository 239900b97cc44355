"""A folder is one request's, and one process's at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mammo_tf.claims import LOCK, Kind, claim, locked
from mammo_tf.errors import MammoError
from mammo_tf.files import HALF, read_json

KIND = Kind("asked.json", "thing", "another thing", "other_thing", "Take another", beside=("prepared",))


@contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a lock file."""
    code = (
        "import sys, time\nfrom mammo_tf.claims import locked\n"
        "with locked(sys.argv[1], 'it'):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def told(folder: Path, asked: dict[str, Any], **more: Any) -> tuple[str, str]:
    with pytest.raises(MammoError) as caught, claim(folder, KIND, asked, **more):
        pass
    return caught.value.code, str(caught.value)


def test_the_same_request_finds_its_folder_again(tmp_path: Path) -> None:
    folder, asked = tmp_path / "deep" / "folder", {"size": (1, 2), "asked": {"rate": 0.1}}
    for expected in (False, True):
        with claim(folder, KIND, asked, {"complete": False}) as again:
            assert again is expected
            assert (folder / LOCK).is_file()
        assert [path.name for path in folder.iterdir()] == ["asked.json"]
    assert read_json(folder / "asked.json") == {"size": [1, 2], "asked": {"rate": 0.1}, "complete": False}


def test_another_request_is_refused_and_what_differs_is_named(tmp_path: Path) -> None:
    with claim(tmp_path, KIND, {"size": 1, "asked": {"deep": {"rate": 0.1}}}):
        (tmp_path / "work").touch()
    for asked, differs in (
        ({"size": 2, "asked": {"deep": {"rate": 0.1}}}, " (size differs)"),
        ({"size": 1, "asked": {"deep": {"rate": 0.2}}}, " (deep.rate differs)"),
        ({"size": 1, "asked": {"deep": {"rate": 0.1}}, "new": 0}, " (new differs)"),
    ):
        assert told(tmp_path, asked) == ("other_thing", f"{tmp_path} holds another thing{differs}. Take another")
    with claim(tmp_path, KIND, {"size": 2}, make_room=lambda: True) as again:
        assert not again
    assert read_json(tmp_path / "asked.json") == {"size": 2}


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prepared").mkdir()
    (tmp_path / ".asked.x7.json").touch()  # half a claim, that a kill left
    (tmp_path / "notes.txt").touch()
    assert told(tmp_path, {}) == (
        "folder_exists", f"{tmp_path} is not empty and holds no thing. Name another folder with -o"
    )  # fmt: skip
    assert told(tmp_path / "notes.txt", {})[0] == "not_a_folder"
    (tmp_path / "notes.txt").unlink()
    with claim(tmp_path, KIND, {}) as again:
        assert not again
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "{}", "[" * 5000])
def test_a_damaged_claim_is_made_again_where_nothing_else_lies_there(text: str, tmp_path: Path) -> None:
    (tmp_path / "asked.json").write_text(text)
    with claim(tmp_path, KIND, {"size": 1}) as again:
        assert not again
    assert read_json(tmp_path / "asked.json") == {"size": 1}
    (tmp_path / "asked.json").write_text(text)
    (tmp_path / "work").touch()
    sentence = f"{tmp_path / 'asked.json'} is damaged, and {tmp_path} holds more than can be made again"
    remedy = "Remove this folder, or name another with -o"
    assert told(tmp_path, {"size": 1}, make_room=lambda: True) == ("json_broken", f"{sentence}. {remedy}")
    assert (tmp_path / "asked.json").read_text() == text
    with claim(tmp_path, KIND, {"size": 1}, begin_anew=lambda: True) as again:
        assert not again


def test_a_file_of_another_program_and_a_folder_are_no_damaged_claim(tmp_path: Path) -> None:
    (tmp_path / "asked.json").write_text('{"other": 5}')
    assert told(tmp_path, {"size": 1}, begin_anew=lambda: True)[0] == KIND.code
    (tmp_path / "asked.json").unlink()
    (tmp_path / "asked.json").mkdir()
    assert told(tmp_path, {"size": 1}, make_room=lambda: True, begin_anew=lambda: True)[0] == "not_a_file"


def test_one_process_at_a_time_and_the_next_once_it_is_gone(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path / LOCK) as process:
        sentence = f"{tmp_path} is being written by another mammo-tf (process {process.pid})"
        assert told(tmp_path, {}) == ("folder_busy", f"{sentence}. Wait for it, or name another folder")
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
        process.kill()
        process.wait()
        assert (tmp_path / LOCK).is_file(), "what a killed process left is not in the way"
        with claim(tmp_path, KIND, {}):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["asked.json"]


def test_a_process_may_claim_what_it_holds(tmp_path: Path) -> None:
    with claim(tmp_path, KIND, {}), claim(tmp_path, KIND, {}) as again, locked(tmp_path / LOCK, tmp_path):
        assert again
        assert (tmp_path / LOCK).is_file()
    assert not (tmp_path / LOCK).exists()
    with held_elsewhere(tmp_path / LOCK):
        assert told(tmp_path, {})[0] == "folder_busy"


def test_a_file_system_without_locks_is_worked_in_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", nothing)
    with claim(tmp_path, KIND, {}) as again:
        assert not again
        assert [path.name for path in tmp_path.iterdir()] == ["asked.json"]


def run(folder: Path) -> None:
    from mammo_tf.recipes import Recipe
    from mammo_tf.recipes import run as run_recipe

    data = folder.with_name("m.csv")
    data.write_text("image_id\n")
    run_recipe(Recipe("a", ""), folder, data)


def prepare(folder: Path) -> None:
    from mammo_tf.imaging import Preprocessing
    from mammo_tf.records import prepare
    from mammo_tf.study import make_manifest

    prepare(make_manifest([]), folder, folder, Preprocessing.preset("legacy", (32, 32)))


def demo(folder: Path) -> None:
    from mammo_tf.experiments.demo import demo

    demo(folder)


def tables(folder: Path) -> None:
    from mammo_tf.experiments.end2end.experiment import thesis_tables
    from mammo_tf.experiments.end2end.recipes import SMOKE

    thesis_tables(folder, SMOKE)


def phantom(folder: Path) -> None:
    from mammo_tf.phantom import make_study

    make_study(folder, 1, ["ffdm_site_1"], 0)


def patient_model(folder: Path) -> None:
    from mammo_tf.patients.model import PatientRequest, fit_patient_model

    table = SimpleNamespace(names=(), groups=np.zeros(0), labels=np.zeros(0), splits=np.zeros(0), values=np.zeros(0))
    fit_patient_model(SimpleNamespace(table=table), folder, PatientRequest())  # type: ignore[arg-type]


def features(folder: Path) -> None:
    from mammo_tf.radiomics.radiomic_features import extract_features
    from mammo_tf.study import make_manifest

    extract_features(make_manifest([]), folder, folder / "f.csv")


@pytest.mark.parametrize("command", [run, prepare, demo, tables, phantom, patient_model, features])
def test_every_command_that_works_in_a_folder_leaves_it_to_who_is_there(
    tmp_path: Path, command: Callable[[Path], None]
) -> None:
    folder = tmp_path / "work"
    lock = folder / (".f.csv.lock" if command is features else LOCK)
    with (
        held_elsewhere(lock),
        pytest.raises(MammoError, match="is being written by another mammo-tf") as caught,
    ):
        command(folder)
    assert caught.value.code == "folder_busy"
    assert [path.name for path in folder.iterdir()] == [lock.name]


def test_halves_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom mammo_tf.files import atomic_folder, atomic_path\n"
        "with atomic_path(sys.argv[1] + '/deep/a.csv') as one, atomic_folder(sys.argv[1] + '/b') as other:\n"
        "    (other / 'c').write_text('x')\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with claim(tmp_path, KIND, {}, begin_anew=lambda: True):
            living = sorted(path.name for path in tmp_path.rglob(".*") if HALF in path.name)
        process.kill()
    assert [name.partition(HALF)[0] for name in living] == [".a", ".b"]
    assert all(next(tmp_path.rglob(name)) for name in living)
    (tmp_path / ".half-a.mine.txt").write_text("a user's")
    with claim(tmp_path, KIND, {}):
        left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == [".half-a.mine.txt", LOCK, "asked.json", "deep"]

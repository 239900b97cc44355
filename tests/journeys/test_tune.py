"""`mammo-tf tune`, as processes that are killed and that help each other: what a user who is unlucky gets."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mammo_tf.recipes.search.trial_log import Begun, Ended, TrialLog
from mammo_tf.records import Records

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
LITTLE = Path(__file__).parents[1] / "recipes" / "search" / "little.py"
LONGEST = 240.0  # seconds that a search may take


def started(records: Records, folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mammo_tf", "tune", str(LITTLE), "--data", str(records.folder), "-o", str(folder)]
    return subprocess.Popen(
        [*command, "--seed", "1", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, said
    return said


def lines(folder: Path) -> int:
    path = folder / "trials.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def wait_for(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Until the log has so many lines."""
    deadline = time.monotonic() + LONGEST
    while lines(folder) < count and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None, "the search ended before it was killed"


def found(folder: Path) -> dict[str, tuple[Begun, Ended]]:
    log = TrialLog(folder / "trials.jsonl")
    log.read()
    ends = [event.trial for event in log.events if isinstance(event, Ended)]
    begins = [event.trial for event in log.events if isinstance(event, Begun)]
    assert sorted(ends) == sorted(begins) == sorted(set(begins)), "a trial begins once and ends once"
    return {name: (one.begun, replace(one.ended, seconds=0.0)) for name, one in log.trials.items() if one.ended}


METHODS = {
    "random": ("--trials", "4"),
    "bayesian": ("--method", "bayesian", "--trials", "11"),  # nine of them random
    "hyperband": ("--method", "hyperband", "--factor", "2"),
}


@pytest.fixture(scope="module")
def undisturbed(records: Records, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By method, a search that nobody disturbed."""
    folder = tmp_path_factory.mktemp("tune")
    for name, words in METHODS.items():
        assert "the best as a recipe" in ended(started(records, folder / name, *words))
    return {name: folder / name for name in METHODS}


@pytest.fixture
def whole(undisturbed: dict[str, Path]) -> Path:
    """The random one."""
    return undisturbed["random"]


@pytest.mark.parametrize("method", METHODS)
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(
    method: str, undisturbed: dict[str, Path], records: Records, tmp_path: Path
) -> None:
    folder, chance, other = tmp_path / method, random.Random(3), undisturbed[method]
    last = lines(other)
    for count in (1, last // 2 - 1, last - 3):
        process = started(records, folder, *METHODS[method])
        wait_for(folder, count, process)
        time.sleep(chance.uniform(0.0, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    ended(started(records, folder, *METHODS[method]))
    assert found(folder) == found(other)
    for name in found(other):
        mine, theirs = (one / "trials" / name / "predictions_validation.csv" for one in (folder, other))
        assert mine.read_bytes() == theirs.read_bytes()
    assert (folder / "best.py").read_bytes() == (other / "best.py").read_bytes()


def test_two_processes_share_a_search_and_one_takes_up_what_the_other_left(
    whole: Path, records: Records, tmp_path: Path
) -> None:
    folder = tmp_path / "shared"
    first = started(records, folder, "--trials", "4")
    wait_for(folder, 1, first)
    second = started(records, folder, "--trials", "4")
    wait_for(folder, 2, second)
    time.sleep(0.5)
    first.send_signal(signal.SIGKILL)
    first.wait()
    said = ended(second)
    assert "the best as a recipe" in said
    assert found(folder) == found(whole), "random proposals do not hang on who is asked first"


def test_a_worker_with_another_space_is_refused_in_a_line(whole: Path, records: Records, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    shutil.copy(LITTLE, mine)
    mine.write_text(mine.read_text().replace("Number(1e-3, 1.0, log=True)", "Number(1e-4, 1.0, log=True)", 1))
    command = [sys.executable, "-m", "mammo_tf", "tune", str(mine), "--data", str(records.folder), "-o", str(whole)]
    done = subprocess.run([*command, "--seed", "1", "--trials", "4"], capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "another search (space.fields.stages.one.rate.low differs)" in line


def test_the_best_runs_as_a_recipe(whole: Path, records: Records, tmp_path: Path) -> None:
    words = ["run", str(whole / "best.py"), "--data", str(records.folder), "-o", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-m", "mammo_tf", *words], capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 0, done.stderr
    best = max(found(whole).values(), key=lambda one: one[1].score or 0.0)[0].trial
    mine, theirs = (one / "log.csv" for one in (tmp_path / "run", whole / "trials" / best))
    curves = [[row.split(",")[:5] for row in path.read_text().splitlines()] for path in (mine, theirs)]
    assert curves[0] == curves[1], "trained anew it takes the same way"

"""Commands that are killed at random moments and given again: in the end they hold what an undisturbed one holds.

`make test-kill` runs this and prints each moment: 20 kills of each command, half of them of the command alone, so that
its workers are orphans, half of them of all its processes. A command that is killed is given again at once, in the same
folder, and may be killed again, until it ends; then its folder is compared, and the next begins in a new one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import write_films
from tests.journeys.same_artefacts import differences

pytestmark = [pytest.mark.long, pytest.mark.kill, pytest.mark.timeout(3000)]
KILLS, SEED = int(os.environ.get("KILLS", "20")), int(os.environ.get("KILL_SEED", "1"))
LITTLE = Path(__file__).parents[1] / "recipes" / "search" / "little.py"
COMMANDS = {  # {work} holds films/, prepared/ and run/
    "prepare": "prepare {work}/films/manifest.csv -o {out} --size 128x128 --preset legacy --workers 2",
    "features": "features {work}/films/manifest.csv -o {out}/features.csv --set 32 --workers 2",
    "run": "run {recipe} --data {work}/prepared -o {out}",
    "tune": "tune {recipe} --data {work}/prepared -o {out} --trials 3",
    "adapt": "adapt {work}/run {work}/prepared -o {out} --rungs scores_matched last_layer --set replicates=20",
    "tables": "tables mln-net --smoke --rows unet --sources ffdm_site_1 -o {out}",
}


class Ended(NamedTuple):
    """A command that ended by itself: after how many seconds, and how long before its folder held something."""

    seconds: float
    until_first: float


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little study, its records, and a run."""
    folder = tmp_path_factory.mktemp("killed")
    write_films(folder / "films", patients=12)
    for name, out in (("prepare", "prepared"), ("run", "run")):
        finish(begin(name, folder, folder / out), folder / out)
    return folder


def words_of(name: str, work: Path, out: Path) -> list[str]:
    """A command's words."""
    return COMMANDS[name].format(work=work, out=out, recipe=LITTLE).split()


def begin(name: str, work: Path, out: Path) -> subprocess.Popen[str]:
    """A command in a group of processes of its own."""
    command = [sys.executable, "-m", "mammo_tf", *words_of(name, work, out)]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip


def finish(process: subprocess.Popen[str], out: Path) -> Ended:
    """Waits until a command has ended well."""
    start, first = time.monotonic(), 0.0
    while process.poll() is None:
        first = first or (time.monotonic() - start if out.is_dir() and any(out.iterdir()) else 0.0)
        time.sleep(0.01)
    assert process.stderr is not None
    assert process.returncode == 0, process.stderr.read()[-2000:]
    return Ended(time.monotonic() - start, first)


def killed_after(process: subprocess.Popen[str], moment: float, all_of_them: bool) -> bool:
    """Whether a command was still there to be killed; one that had ended has ended well."""
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        if all_of_them:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    assert process.stderr is not None
    assert process.returncode == 0, process.stderr.read()[-2000:]
    return False


@pytest.mark.parametrize("name", COMMANDS)
def test_it_ends_as_if_nobody_had_killed_it(name: str, work: Path, tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed"
    whole = finish(begin(name, work, undisturbed), undisturbed)
    chance, kills, folders, latest = random.Random(f"{name} {SEED}"), 0, 0, whole.seconds
    print(f"\n{name}: {whole.seconds:.1f} s undisturbed, {KILLS} kills, seed {SEED}", flush=True)
    while kills < KILLS:
        out, moments = tmp_path / f"killed_{folders}", []
        while kills < KILLS:
            moment, all_of_them = chance.uniform(min(whole.until_first, latest / 2), latest), chance.random() < 0.5
            if not killed_after(begin(name, work, out), moment, all_of_them):
                latest = moment if not moments else latest  # the machine is less busy than it was
                break
            moments.append(f"{moment:.2f} s {'all' if all_of_them else 'alone'}")
            kills += 1
        else:
            finish(begin(name, work, out), out)
        print(f"  {len(moments)} kills: {', '.join(moments) or 'none'}", flush=True)
        found = differences(out, undisturbed)
        assert not found, "\n".join([f"{name}, seed {SEED}, killed at {moments}", *found])
        folders += 1
        assert folders < 4 * KILLS, "the command ends before it is killed"

"""A disk that is really full, and one that is really read-only: a small file system in memory, which root may mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import write_films
from tests.journeys.same_artefacts import differences
from tests.journeys.test_killed import COMMANDS, begin, finish

pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]
STEPS_KIB = (8, 40, 200, 1000, 5000)


def mount(folder: Path, options: str) -> bool:
    """Whether a file system in memory lies there now."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of 8 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or not mount(folder, f"size={STEPS_KIB[0]}k"):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little study, its records, and a run."""
    folder = tmp_path_factory.mktemp("full")
    write_films(folder / "films", patients=12)
    for name, out in (("prepare", "prepared"), ("run", "run")):
        finish(begin(name, folder, folder / out), folder / out)
    return folder


def said(name: str, work: Path, out: Path) -> tuple[int, str]:
    """Exit code and standard error of a command."""
    process = begin(name, work, out)
    lines = process.communicate()[1].splitlines()
    return process.returncode, "\n".join(line for line in lines if line.startswith("mammo-tf: "))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "tables"])
def test_a_full_disk_is_told_and_more_room_is_all_it_takes(
    name: str, work: Path, tmp_path: Path, small_disk: Path
) -> None:
    undisturbed, out, refused = tmp_path / "undisturbed", small_disk / "out", 0
    finish(begin(name, work, undisturbed), undisturbed)
    for kib in (*STEPS_KIB, 500_000):
        mount(small_disk, f"remount,size={kib}k")
        code, line = said(name, work, out)
        if code == 0:
            break
        refused += 1
        assert code == 2, line
        assert line.startswith("mammo-tf: no space left to write ") and line.count("\n") == 0, line
        assert not [path for path in out.rglob(".*") if path.is_file()], "halves of files"
    assert code == 0
    assert refused, "the disk was never full"
    assert differences(out, undisturbed) == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "tables"])
def test_a_read_only_disk_is_told(name: str, work: Path, small_disk: Path) -> None:
    mount(small_disk, "remount,ro")
    code, line = said(name, work, small_disk / "out")
    assert code == 2
    assert line.startswith("mammo-tf: ") and "cannot be written: Read-only file system" in line, line

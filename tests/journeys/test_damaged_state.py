"""Files that a command reads again when it is given again: cut, emptied or with one byte changed.

Each time it ends in one clear line, or with what an undisturbed folder holds; never in a trace of errors, and never
with other numbers.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from mammo_tf.cli.main import main
from tests.conftest import write_films
from tests.journeys.same_artefacts import LEFT_OUT, differences
from tests.journeys.test_killed import COMMANDS, words_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]
READ_AGAIN = {
    "trials.jsonl",
    "search.json",
    "request.json",
    "recipe.json",
    "index.json",
    "part-00000-of-00001.tfrecord",
}
SHOWN = {".html", ".svg", ".png", ".npy", ".md", ".pb"}  # for people or for other programs: nothing reads them again


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(1, max(len(content), 2))]


def emptied(content: bytes, chance: random.Random) -> bytes:
    return b""


def one_byte_flipped(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def commanded(name: str, work: Path, out: Path) -> int:
    """A command's exit code; layers are named as in a process of its own."""
    keras.utils.clear_session()
    return main(words_of(name, work, out))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little study, its records, and a run."""
    folder = tmp_path_factory.mktemp("damaged")
    write_films(folder / "films", patients=12)
    for name, out in (("prepare", "prepared"), ("run", "run")):
        assert commanded(name, folder, folder / out) == 0
    return folder


@pytest.mark.parametrize("damage", [cut, emptied, one_byte_flipped])
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "tables"])
def test_a_damaged_file_is_told_or_made_again(
    name: str, damage: Callable[[bytes, random.Random], bytes], work: Path, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    undisturbed, chance = tmp_path / "undisturbed", random.Random(f"{name} {damage.__name__}")
    wrong: list[str] = []
    said: list[str] = []
    assert commanded(name, work, undisturbed) == 0
    for file in sorted(path.relative_to(undisturbed) for path in undisturbed.rglob("*") if path.is_file()):
        content = (undisturbed / file).read_bytes()
        if not content or file.suffix in SHOWN or any(part in file.as_posix() for part in LEFT_OUT):
            continue
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(undisturbed, out)
        damaged = damage(content, chance)
        (out / file).write_bytes(damaged)
        capfd.readouterr()
        code = commanded(name, work, out)
        lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("mammo-tf: ")]
        if code == 2:
            wrong += [] if len(lines) == 1 and "Traceback" not in lines[0] else [f"{file}: {lines}"]
            said.append(f"{name}, {damage.__name__}, {file}: {lines[0]}")
            continue
        left = (out / file).read_bytes() == damaged and damaged != content
        said.append(
            f"{name}, {damage.__name__}, {file}: {'left, since nothing reads it again' if left else 'made again'}"
        )
        wrong += [f"{file}: {text}" for text in differences(out, undisturbed, {str(file)} if left else set())]
        wrong += [f"{file}: nobody noticed"] if left and str(file) in READ_AGAIN else []
    print("\n".join(said))
    assert not wrong, "\n".join(wrong)

"""The front door: versions, the nearest command and option, more on request."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import mammo_tf
from mammo_tf.cli.main import FAMILIES, main, parser
from mammo_tf.errors import DISK_ANSWERS

HEAVY = ("tensorflow", "keras", "keras_tuner", "numpy", "pandas", "cv2")


def ended(capsys: pytest.CaptureFixture, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(words)
    told = capsys.readouterr()
    return caught.value.code, told.out, told.err  # type: ignore[return-value]


def test_the_version_is_told_without_anything_heavy() -> None:
    done = subprocess.run([sys.executable, "-m", "mammo_tf", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"mammo-tf {mammo_tf.__version__} (Keras 3.")
    assert "TensorFlow 2." in done.stdout
    assert "Python 3." in done.stdout
    code = (
        "import contextlib, sys\nfrom mammo_tf.cli.main import main\n"
        "with contextlib.suppress(SystemExit):\n    main(['--version'])\n"
        f"assert not set({HEAVY!r}) & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("evalute", "there is no command 'evalute'. Did you mean evaluate?"),
        ("-v predict_patient", "there is no command 'predict_patient'. Did you mean predict-patient?"),
        ("qqq", "there is no command 'qqq'. See mammo-tf --help"),
        ("evaluate f.csv --replicats 5", "evaluate has no option --replicats. Did you mean --replicates?"),
        ("prepare --wrokers=2", "prepare has no option --wrokers. Did you mean --workers?"),
        ("split m.csv --qqq", "split has no option --qqq. See mammo-tf split --help"),
        ("phantom out --seed x", "argument --seed: 'x' is not a whole number from 0 on. See mammo-tf phantom --help"),
    ],
)
def test_the_nearest_command_and_option_are_proposed(words: str, says: str, capsys: pytest.CaptureFixture) -> None:
    assert ended(capsys, *words.split()) == (2, "", f"mammo-tf: {says}\n")


@pytest.mark.parametrize("place", [0, 1, 3])
def test_verbose_tells_the_trace_and_the_log(place: int, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["split", str(tmp_path / "none.csv"), "--seed=1"]
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*words[:place], "-v", *words[place:]]) == 2
    told = capsys.readouterr().err
    assert told.startswith("mammo-tf: mammo-tf 0.")
    assert "Traceback" in told
    assert not logging.getLogger("mammo_tf").handlers


def test_every_command_stands_in_one_family_next_to_its_function() -> None:
    (choices,) = [action.choices for action in parser()._actions if action.choices is not None]
    places = {name: one.get_default("function").__module__ for name, one in choices.items()}
    assert set(places.values()) == {family.__name__ for family in FAMILIES}
    for name, place in places.items():
        assert hasattr(importlib.import_module(place), name.replace("-", "_"))


def test_every_option_says_what_it_is() -> None:
    (choices,) = [action.choices for action in parser()._actions if action.choices is not None]
    silent = [(name, action.dest) for name, one in choices.items() for action in one._actions if not action.help]
    assert not silent


@pytest.mark.parametrize("name", ["a" * 300 + ".csv", "loop.csv/x.csv", ".", "/dev/null"])
def test_a_path_that_the_disk_refuses_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop.csv").symlink_to("loop.csv")
    assert main(["evaluate", name]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("number", sorted(DISK_ANSWERS))
def test_what_the_disk_answers_is_told_with_a_remedy(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def read(*_: object) -> None:
        raise OSError(number, "as the disk says", "there.csv")

    monkeypatch.setattr("mammo_tf.evaluation.predictions.read_table", read)
    assert main(["evaluate", "there.csv"]) == 2
    told = f"mammo-tf: there.csv cannot be read or written: as the disk says. {DISK_ANSWERS[number]}\n"
    assert capsys.readouterr().err == told


def test_an_error_that_is_not_the_disks_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise OSError("nothing of the kind")

    monkeypatch.setattr("mammo_tf.evaluation.predictions.read_table", read)
    with pytest.raises(OSError, match="nothing of the kind"):
        main(["evaluate", "there.csv"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("phantom out --patients 99999999999999999999", "'99999999999999999999' is more than 10000000. See"),
        (f"phantom out --patients {'9' * 5000}", f"'{'9' * 40}' is more than 10000000. See"),
        ("phantom out --workers 100000", "'100000' is more than 1024. See"),
        ("evaluate a.csv --replicates 0", "'0' is not a whole number from 1 on. See"),
        ("evaluate a.csv --seed 99999999999999999999", "is more than 9223372036854775807. See"),
        ("client x y --version 0", "'0' is not a whole number from 1 on. See"),
    ],
)
def test_a_number_that_comes_to_no_end_is_refused(words: str, says: str, capsys: pytest.CaptureFixture) -> None:
    code, _, told = ended(capsys, *words.split())
    assert code == 2
    assert says in told
    assert len(told) < 200


def test_a_version_may_be_a_time() -> None:
    assert parser().parse_args(["client", "x", "y", "-o", "z", "--version", "1764397500"]).version == 1764397500


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["evaluate", "f.csv", "--by", ""], "--by"),
        (["evaluate", "f.csv", "-o", ""], "-o"),
        (["evaluate", "f.csv", "--by="], "--by"),
        (["prepare", "", "-o", "records"], "a word"),
    ],
)
def test_an_empty_value_is_not_one_that_was_left_out(
    words: list[str], where: str, capsys: pytest.CaptureFixture
) -> None:
    code, _, told = ended(capsys, *words)
    line = f"mammo-tf: {words[0]}: {where} is empty. Give a value, or leave it out: is a variable of the shell not set?"
    assert (code, told) == (2, f"{line}\n")

"""Ctrl-C and SIGTERM are never lost, also where a library that is being loaded swallows them."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from mammo_tf.cli.interrupts import held, noticed

SWALLOWS = """
import pathlib, time
pathlib.Path({flag!r}).touch()
end = time.monotonic() + 1
while time.monotonic() < end:
    try:
        time.sleep(0.01)
    except KeyboardInterrupt:
        pathlib.Path({flag!r} + "-raised").touch()
"""


def press() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def default_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_held_interrupts_come_when_the_block_ends() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), held():
        press()
        reached = True
    assert reached
    with pytest.raises(KeyboardInterrupt):
        press()
    with held():
        pass


def test_a_swallowed_interrupt_is_raised_at_the_end() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), noticed():
        with suppress(KeyboardInterrupt):
            press()
        reached = True
    assert reached
    with pytest.raises(KeyboardInterrupt), noticed():
        press()
        pytest.fail("an interrupt that nobody swallows ends the block at once")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class PressedInDestructor:
    def __del__(self) -> None:
        press()


def pressed_while_collecting(phase: str, _: dict) -> None:
    if phase == "start":
        gc.callbacks.remove(pressed_while_collecting)
        press()


@pytest.mark.parametrize("where", ["destructor", "collector"])
def test_an_interrupt_that_python_drops_is_sent_again(where: str) -> None:
    reached, start = False, time.monotonic()
    report = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), noticed():
        if where == "destructor":
            PressedInDestructor()
        else:
            gc.callbacks.append(pressed_while_collecting)
            while pressed_while_collecting in gc.callbacks:  # while another thread collects, it does nothing
                gc.collect(0)  # all generations would take longer than it takes to be sent again
            start = time.monotonic()
        reached = True
        for _ in range(500):
            time.sleep(0.01)
    assert reached, "it was not dropped"
    assert time.monotonic() - start < 4, "it came only at the end of the block"
    assert sys.unraisablehook is report


def test_other_errors_of_destructors_are_reported_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("broken")

    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: seen.append(dropped.exc_type))
    with noticed():
        Broken()
    assert seen == [ValueError]


def test_an_interrupt_that_became_another_error_is_one() -> None:
    with pytest.raises(KeyboardInterrupt), noticed():
        try:
            press()
        except KeyboardInterrupt as interrupt:
            raise AssertionError("nesting violated") from interrupt
    with pytest.raises(AssertionError), noticed():
        raise AssertionError("nobody pressed")


def test_nothing_comes_after_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), noticed():
        PressedInDestructor()
    time.sleep(0.2)  # an interrupt that came now would end this test


def test_both_together_and_a_process_that_ignores_it() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), noticed():
        with held():
            press()
            reached = True
        pytest.fail("the end of the inner block raises")
    assert reached
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with noticed(), held():
        press()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_prepare_stops_where_tensorflow_would_swallow_it(
    films: Path, tmp_path: Path, interruptible: Callable[[Sequence[str]], list[str]]
) -> None:
    """A TensorFlow whose import drops every KeyboardInterrupt, as the real one drops some."""
    flag = tmp_path / "loading"
    (tmp_path / "fake" / "tensorflow").mkdir(parents=True)
    (tmp_path / "fake" / "tensorflow" / "__init__.py").write_text(SWALLOWS.format(flag=str(flag)))
    command = [sys.executable, "-m", "mammo_tf.cli.main", "prepare", str(films), "-o", str(tmp_path / "out")]
    command += ["--size", "64x64", "--preset", "legacy"]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'fake'}:{Path(__file__).parents[2]}"}
    process = subprocess.Popen(interruptible(command), env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not flag.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said == "mammo-tf: stopped; run the same command again to resume\n"
    assert not flag.with_name("loading-raised").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_prepare_stops_whenever_it_is_interrupted(
    films: Path, tmp_path: Path, interruptible: Callable[[Sequence[str]], list[str]]
) -> None:
    """With the real libraries: 0 only where the records are complete, else 130, and the next run completes them."""
    command = [sys.executable, "-m", "mammo_tf.cli.main", "prepare", str(films), "--size", "64x64", "-o"]
    for number in range(40):
        out = tmp_path / str(number)
        process = subprocess.Popen(interruptible([*command, str(out)]), stderr=subprocess.PIPE, text=True)
        time.sleep(0.4 + number * 0.15)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        complete = (out / "index.json").is_file() and '"complete": true' in (out / "index.json").read_text()
        assert process.returncode in ((0, 130, -signal.SIGINT) if complete else (130,)), (number, said)
        if number % 8 == 0:
            assert subprocess.run([*command, str(out)], capture_output=True).returncode == 0


def test_sigterm_is_heeded_as_ctrl_c_is_also_where_ctrl_c_is_ignored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reached = False
    with pytest.raises(KeyboardInterrupt), noticed():
        with held():
            signal.raise_signal(signal.SIGTERM)
            reached = True
        pytest.fail("the end of the inner block raises")
    assert reached
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_command_that_gets_sigterm_says_how_to_go_on(films: Path, tmp_path: Path) -> None:
    flag = tmp_path / "loading"
    (tmp_path / "fake" / "tensorflow").mkdir(parents=True)
    (tmp_path / "fake" / "tensorflow" / "__init__.py").write_text(SWALLOWS.format(flag=str(flag)))
    command = [sys.executable, "-m", "mammo_tf.cli.main", "prepare", str(films), "-o", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'fake'}:{Path(__file__).parents[2]}"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not flag.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said == "mammo-tf: stopped; run the same command again to resume\n"

"""A file that hangs, crashes or floods memory costs itself and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mammo_tf import guard
from mammo_tf.errors import MammoError
from mammo_tf.guard import Limits, guarded

LIMITS = Limits(seconds=1.5, memory_bytes=1 << 30)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import hostile_work

    return hostile_work.work


def codes(outcomes: list) -> list[str]:
    return [outcome.code if isinstance(outcome, MammoError) else outcome[0] for outcome in outcomes]


def test_each_costs_itself_alone(work) -> None:
    items = ["a", "hang", "b", "crash", "c", "abort", "d", "flood", "e", "malloc", "f", "grow", "g"]
    start = time.monotonic()
    outcomes = list(guarded(work, items, 2, LIMITS))
    assert codes(outcomes) == [
        "a", "decoder_hangs", "b", "decoder_crashed", "c", "decoder_crashed", "d", "too_large", "e",
        "decoder_crashed", "f", "too_large", "g",
    ]  # fmt: skip
    assert time.monotonic() - start < 60
    assert "longer than 1.5 seconds" in outcomes[1].sentence
    assert "signal 11" in outcomes[3].sentence
    assert "signal 6" in outcomes[5].sentence


def test_results_come_in_order_from_workers_that_are_kept(work) -> None:
    items = ["sleep 0.3", *map(str, range(40))]
    first = list(guarded(work, items, 2))
    assert [outcome[0] for outcome in first] == items
    processes = {outcome[1] for outcome in first}
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= 2
    again = {outcome[1] for outcome in guarded(work, map(str, range(8)), 1)}
    assert again <= {worker.process.pid for worker in guard._idle}
    assert list(guarded(work, [], 2)) == []


def test_no_more_is_taken_than_is_soon_asked_for(work) -> None:
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield str(number)

    outcomes = guarded(work, items(), 1)
    for _ in range(3):
        next(outcomes)
    assert len(taken) <= 3 + guard.AHEAD
    outcomes.close()


def test_a_process_that_was_killed_from_outside_is_tried_again(work, tmp_path: Path) -> None:
    assert list(guarded(work, [f"once {tmp_path / 'seen'}"])) == ["second time"]


def test_workers_that_died_while_idle_are_replaced(work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "TRIES", 1)
    list(guarded(work, ["sleep 0.5", "sleep 0.5"], 2))
    assert len(guard._idle) > 1
    for worker in guard._idle:
        worker.process.kill()
        worker.process.wait()
    assert [outcome[0] for outcome in guarded(work, ["b", "c"])] == ["b", "c"]


def test_a_worker_computes_in_one_thread(work) -> None:
    """OpenBLAS waits for its next task by running idle: with a second thread a picture takes twice the processor."""
    ((process, thread),) = guarded(work, ["compute"])
    assert thread > 0.01
    assert process < 1.1 * thread + 0.005


def test_folder_and_environment_are_those_of_the_caller(work, tmp_path: Path, monkeypatch) -> None:
    list(guarded(work, ["a"]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUARD_TEST", "here")
    assert list(guarded(work, ["place"])) == [(str(tmp_path), "here")]


def test_a_fault_that_nobody_foresaw_costs_itself_and_goes_to_the_log(work, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "mammo_tf"):
        (_, first), (item, second), (_, third) = guard.each_file(work, ["refuse", "bug", "a"], 2, "testing")
    assert (first.code, first.sentence, first.remedy) == ("refused", "it is refused", "Take another")
    assert (item, second.code, second.sentence) == ("bug", "unforeseen", "KeyError: 'a bug'")
    assert third[0] == "a"
    assert "hostile_work.py" in caplog.text


def test_what_opencv_says_of_too_little_memory_is_no_fault_of_the_file(work) -> None:
    (found,) = guarded(work, ["opencv"], limits=LIMITS)
    assert (found.code, found.sentence) == ("too_large", "reading it takes more than 1 GiB")


def test_a_process_that_cannot_start_is_told(monkeypatch) -> None:
    monkeypatch.setattr(guard, "_idle", [])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MammoError, match="cannot be started"):
        list(guarded(np.sqrt, [1.0]))


def test_workers_end_with_their_parent_and_need_no_guarded_main(tmp_path: Path) -> None:
    """A script without `if __name__ == "__main__"`, killed while its worker hangs and another is idle."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import os, sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import hostile_work\nfrom mammo_tf.guard import Limits, guarded, start_workers\n"
        "print(*{pid for _, pid in guarded(hostile_work.work, 'abcd', 2)}, flush=True)\n"
        "list(guarded(hostile_work.work, ['hang'], 2, Limits(seconds=1)))\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        workers = [int(word) for word in process.stdout.readline().split()]
        time.sleep(0.2)
        process.kill()
    deadline = time.monotonic() + 10
    while any(_lives(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert workers


def _lives(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False

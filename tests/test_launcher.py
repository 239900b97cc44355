"""The launcher, with little processes in place of trainings: what hangs is ended, what is lost begins again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.launcher import LOST, Cluster, asked_cluster, cluster_of_environment, cluster_of_file, launch

TWO = Cluster(("127.0.0.1:1", "127.0.0.1:2"), 0)


def _process(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


def test_a_process_is_told_who_belongs_to_the_cluster(tmp_path: Path) -> None:
    code = f"import os; open({str(tmp_path / 'told')!r}, 'w').write(os.environ['TF_CONFIG'])"
    assert launch(_process(code), Cluster(TWO.addresses, 1)) == 0
    told = json.loads((tmp_path / "told").read_text())
    assert told == {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 1}}
    assert cluster_of_environment({"TF_CONFIG": json.dumps(told)}) == Cluster(TWO.addresses, 1)


@pytest.mark.parametrize("code", [0, 2, 130])
def test_what_ended_for_good_is_not_begun_again(code: int, tmp_path: Path) -> None:
    count = tmp_path / "count"
    program = f"import sys; open({str(count)!r}, 'a').write('x'); sys.exit({code})"
    assert launch(_process(program), TWO) == code
    assert count.read_text() == "x"


@pytest.mark.parametrize(
    ("end", "words"), [(f"sys.exit({LOST})", "a peer was lost"), ("os.kill(os.getpid(), 9)", "it ended with -9")]
)
def test_what_was_lost_begins_again(end: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mammo_tf.launcher.PAUSE", 0.0)
    count, said = tmp_path / "count", list[str]()
    program = f"import os, sys; open({str(count)!r}, 'a').write('x'); os.path.getsize({str(count)!r}) > 1 or {end}"
    assert launch(_process(program), TWO, say=said.append) == 0
    assert count.read_text() == "xx"
    assert said == [f"worker 0: {words}; begun again (1 of 3)"]
    with pytest.raises(MammoError, match="begun again 1 times, and lost again") as caught:
        launch(_process(f"import os, sys; {end}"), TWO, restarts=1)
    assert caught.value.code == "worker_lost"


def test_what_hangs_is_ended_with_its_children_and_who_is_missing_named(tmp_path: Path) -> None:
    """It ignores SIGTERM, as a process of TensorFlow does that waits for its peers."""
    child = tmp_path / "child"
    program = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "one = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"open({str(child)!r}, 'w').write(str(one.pid)); time.sleep(60)"
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        there = f"127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(MammoError) as caught:
            launch(_process(program), Cluster(("127.0.0.1:1", there, "127.0.0.1:2"), 0), deadline=1.0)
        assert caught.value.code == "worker_missing"
        assert caught.value.sentence == "worker 0 waited 1 s in vain: worker 2 (127.0.0.1:2) does not answer"
        with pytest.raises(MammoError, match="all others answer, and one of them is too slow"):
            launch(_process("import time; time.sleep(60)"), Cluster((there, "127.0.0.1:1"), 1), deadline=0.5)
    time.sleep(0.1)
    state = subprocess.run(["ps", "-o", "stat=", "-p", child.read_text()], capture_output=True, text=True).stdout
    assert not state.strip() or state.startswith("Z")


def test_signs_of_life_hold_the_deadline_off() -> None:
    program = "import os, pathlib, time\nfor _ in range(8):\n    time.sleep(0.2)\n"
    program += "    pathlib.Path(os.environ['MAMMO_TF_HEARTBEAT']).write_text('here')\n"
    assert launch(_process(program), TWO, deadline=1.2) == 0


def test_what_waits_for_nobody_has_no_deadline() -> None:
    """The first machine measures after training, for as long as it takes."""
    program = "import os, pathlib, time; pathlib.Path(os.environ['MAMMO_TF_HEARTBEAT']).write_text('alone')\n"
    assert launch(_process(program + "time.sleep(1.2)"), TWO, deadline=0.5) == 0


def test_devices_are_of_one_machine(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "workers.txt").write_text("a:1\nb:2")
    words = ("--workers-file", str(tmp_path / "workers.txt"), "--worker", "0", "--devices", "2")
    assert main(["run", "end2end_baseline", "--data", "nowhere", *words]) == 2
    assert "--devices is of one machine" in capsys.readouterr().err


def test_a_launcher_that_is_told_to_end_ends_its_process(tmp_path: Path) -> None:
    child = tmp_path / "child"
    program = f"import os, time; open({str(child)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    code = (
        "import sys; from mammo_tf.launcher import Cluster, launch\n"
        f"try: launch([sys.executable, '-c', {program!r}], Cluster(('a:1', 'b:2'), 0))\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    root = str(Path(__file__).parents[1])
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root})
    while not child.is_file() or not child.read_text():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)


def test_a_file_of_workers(tmp_path: Path) -> None:
    file = tmp_path / "workers.txt"
    file.write_text("# two machines\ngpu1:2222\n\n gpu2:2222 \n")
    assert cluster_of_file(file, 1) == Cluster(("gpu1:2222", "gpu2:2222"), 1)
    assert asked_cluster(str(file), 0, {"TF_CONFIG": "{"}).number == 0, "the file counts"
    alone = {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}
    assert asked_cluster(None, None, {"TF_CONFIG": json.dumps(alone)}) is None
    assert asked_cluster(None, None, {}) is None


@pytest.mark.parametrize(
    ("lines", "words", "says"),
    [
        ("a:1\nb:2", (), "nothing says which line of"), ("a:1\nb:2", ("--worker", "2"), "there is no worker 2 among 2"),
        ("a:1\na:1", ("--worker", "0"), "none of them twice"), ("a:1", ("--worker", "0"), "two addresses or more"),
        ("a:1\nb", ("--worker", "0"), "'b' is not an address"), ("a:1\nb:70000", ("--worker", "0"), "not an address"),
        (None, ("--worker", "0"), "is not there"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    lines: str | None, words: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    if lines is not None:
        (tmp_path / "workers.txt").write_text(lines)
    file = str(tmp_path / "workers.txt")
    assert main(["run", "end2end_baseline", "--data", "nowhere", "--workers-file", file, *words]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_only_what_is_watched_waits_for_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command than `run`, in a pod whose operator set TF_CONFIG, would wait for ever."""
    from mammo_tf.training.cluster import in_cluster

    monkeypatch.setenv("TF_CONFIG", TWO.environment)
    assert not in_cluster()
    monkeypatch.setenv("MAMMO_TF_HEARTBEAT", "file")
    assert in_cluster()
    monkeypatch.delenv("TF_CONFIG")
    assert not in_cluster()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not what TensorFlow expects"), ('{"cluster": {"worker": ["a:1", "b:2"]}}', "is not what TensorFlow"),
        ('{"cluster": {"chief": ["c:1"], "worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}', "names chief"),
    ],
)  # fmt: skip
def test_a_wrong_environment_is_one_line(text: str, says: str) -> None:
    with pytest.raises(MammoError, match=says) as caught:
        cluster_of_environment({"TF_CONFIG": text})
    assert caught.value.code == "workers_wrong"

"""`serve` as it is typed: what it answers, how it ends, what it refuses in one line."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from mammo_tf.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))
from little_models import half_plus_two  # noqa: E402 - it lies in the folder of another room's tests

FREE = ["--rest-port", "0", "--grpc-port", "0"]


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return half_plus_two(tmp_path_factory.mktemp("models") / "half" / "1").parent


def served(words: list[str], during: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, end: int) -> int:
    """The exit code of a server that was ended by a signal after `during`, which is told where REST is."""
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stdout", printed)
    faults: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(600):
                told = re.search(r"REST at (http://\S+),", printed.getvalue())
                if told is not None:
                    during(told[1])
                    return
                threading.Event().wait(0.05)
        except BaseException as fault:
            faults.append(fault)
        finally:
            os.kill(os.getpid(), end)

    asking = threading.Thread(target=ask)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    try:
        asking.start()
        code = main(["serve", *words, *FREE])
        asking.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert not faults, faults
    return code


def test_serve_answers_and_ends_on_a_signal(half: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(address: str) -> None:
        answer = httpx.post(f"{address}/v1/models/half:predict", json={"instances": [2.0]})
        assert answer.json() == {"predictions": [3.0]}

    assert served([str(half)], ask, monkeypatch, signal.SIGTERM) == 0
    assert served([str(half), "--name", "half"], ask, monkeypatch, signal.SIGINT) == 130


def test_calls_in_flight_are_answered_when_it_ends(half: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait half a second for others to join them; the signal comes before."""
    answers = []

    def ask(address: str) -> None:
        def call() -> None:
            answers.append(
                httpx.post(f"{address}/v1/models/half:predict", json={"instances": [2.0]}, timeout=30).json()
            )

        calling.append(threading.Thread(target=call))
        calling[0].start()
        threading.Event().wait(0.2)

    calling: list[threading.Thread] = []
    assert served([str(half), "--batch-timeout-ms", "500"], ask, monkeypatch, signal.SIGTERM) == 0
    calling[0].join()
    assert answers == [{"predictions": [3.0]}]


def test_serve_follows_its_configuration_files(half: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label is moved while the server runs; a faulty file changes nothing."""
    shutil.copytree(half / "1", tmp_path / "models" / "half" / "1")
    half_plus_two(tmp_path / "models" / "half" / "2", added=3.0)
    config = tmp_path / "models.config"

    def write(number: int) -> None:
        labels = f"version_labels {{ key: 'stable' value: {number} }}"
        policy = "model_version_policy { all {} }"
        text = f"model_config_list {{ config {{ name: 'half' base_path: '/models/half' {policy} {labels} }} }}"
        config.write_text(text)

    def asked(address: str) -> float:
        answer = httpx.post(f"{address}/v1/models/half/labels/stable:predict", json={"instances": [2.0]})
        return float(answer.json()["predictions"][0])

    def ask(address: str) -> None:
        assert asked(address) == 3.0
        write(2)
        for _ in range(200):
            if asked(address) == 4.0:
                break
            threading.Event().wait(0.05)
        assert asked(address) == 4.0
        config.write_text("nonsense")
        threading.Event().wait(0.3)
        assert asked(address) == 4.0
        assert httpx.get(f"{address}/monitoring/prometheus/metrics").status_code == 404
        assert "mammo_tf_serving" in httpx.get(f"{address}/metrics").text

    write(1)
    batching, monitoring = tmp_path / "batching.config", tmp_path / "monitoring.config"
    batching.write_text("max_batch_size { value: 2 }")
    monitoring.write_text("prometheus_config { enable: true path: '/metrics' }")
    words = ["--models-config", str(config), "--models-root", str(tmp_path / "models"), "--poll-seconds", "0.05"]
    words += ["--batching-config", str(batching), "--monitoring-config", str(monitoring)]
    assert served(words, ask, monkeypatch, signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "neither a model nor --models-config are given"),
        (["/nowhere"], "the model /nowhere is not there"),
        (["HALF", "--models-config", "x"], "both folders and --models-config are given"),
        (["HALF", "--models-root", "x"], "--models-root belongs to --models-config"),
        (["--models-config", "/no.config"], "/no.config cannot be read"),
        (["--name", "x", "--models-config", "/no.config"], "--name is given"),
        (["HALF", "--rest-port", "TAKEN"], "cannot be listened at: Address already in use"),
        (["HALF", "--grpc-port", "TAKEN"], "cannot be listened at"),
        (["HALF", "--host", "no.such.host.invalid"], "cannot be listened at"),
    ],
)
def test_what_serve_refuses(words: list[str], said: str, half: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        named = {"HALF": str(half), "TAKEN": str(taken.getsockname()[1])}
        code = main(["serve", *FREE, *(named.get(word, word) for word in words)])
    errors = capsys.readouterr().err.splitlines()
    assert code == 2
    assert said in errors[-1]
    assert "Traceback" not in "".join(errors)


@pytest.mark.parametrize(
    "words", [["--rest-port", "65536"], ["--grpc-port", "-1"], ["--poll-seconds", "0"], ["--max-batch", "0"]]
)
def test_numbers_out_of_range(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "models", *words])
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_serve_without_its_extra(
    half: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("uvicorn", "mammo_tf.serving.server"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "mammo_tf.serving.server")
    assert main(["serve", str(half)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "mammo-tf: the package uvicorn is not installed. pip install 'mammo_tf[serving]'"

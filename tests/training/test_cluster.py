"""Several machines, as processes on this one: the numbers of one machine, whoever is lost on the way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mammo_tf.files import read_json
from mammo_tf.records import Records

TESTS, ROOT = Path(__file__).parent, Path(__file__).parents[2]
STAGE = """
import json, sys
sys.path[:0] = [{tests!r}, {root!r}]
import tensorflow as tf
if {devices} > 1:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * {devices})
from mammo_tf.training import make_strategy, replicas
strategy = make_strategy()
import dataclasses, numpy as np, test_branches, test_fit
from mammo_tf.records import open_records
from mammo_tf.training import Segmentation, Stage, fit_stage
records = open_records({records!r})
stage = test_fit._stage(
    epochs=3, rate=1e-3, trainable=("all",), weight_decay=1e-3, rate_patience=1, optimizer="sgd", average=0.8)
with strategy.scope():
    model = test_fit.make_model()
material = test_fit.make_material(records, batch_size=6)
model, history = fit_stage(model, stage, material, {folder!r}, strategy)
curves = [[row[key] for key in ("loss", "val_loss", "val_auc", "rate")] for row in history]
weights = [values.tolist() for values in model.get_weights()]
material = test_branches.make_material(records, Segmentation(loss="dice_and_cross_entropy"), batch_size=6)
with strategy.scope():
    model = test_branches.make_model()
stage = Stage("pixels", ("all",), 1e-2, 2, optimizer="sgd", monitor="val_dice")
model, history = fit_stage(model, stage, material, {folder!r} + "_pixels", strategy)
pixels = [[row[key] for key in ("loss", "val_loss", "val_dice")] for row in history]
statistics = [values.numpy().tolist() for values in model.get_layer("norm").statistics()]
json.dump([replicas(strategy), curves, weights, pixels, statistics], open({out!r}, "w"))
"""


def _ports(count: int) -> list[str]:
    """Addresses that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return found


def _stages(records: Records, folder: Path, machines: int, devices: int = 1) -> list[list]:
    """What each machine has in the end."""
    addresses, processes, outs = _ports(machines), [], []
    for number in range(machines):
        outs.append(folder / f"{machines}_{devices}_{number}.json")
        code = STAGE.format(
            tests=str(TESTS), root=str(ROOT), devices=devices, records=str(records.folder), out=str(outs[-1]),
            folder=str(folder / f"stage_{machines}_{devices}"),
        )  # fmt: skip
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if machines > 1:
            task = {"type": "worker", "index": number}
            environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
            environment["MAMMO_TF_HEARTBEAT"] = str(folder / f"heartbeat_{number}")
        processes.append(subprocess.Popen([sys.executable, "-c", code], env=environment))
    try:
        assert [process.wait(240) for process in processes] == [0] * machines
    finally:
        for process in processes:
            process.kill()
    return [json.loads(out.read_text()) for out in outs]


@pytest.mark.long
def test_two_and_three_machines_give_the_numbers_of_one(records: Records, tmp_path: Path) -> None:
    """Losses, rates and weights are those of one device, and closer still those of as many devices of one machine.

    Batch statistics over all machines, averaged weights, a falling rate, branches with statistics of their own; 28
    images in batches of 6, so that the last one is filled. Every machine ends with the same weights, one writes files.
    """
    (alone,) = _stages(records, tmp_path, 1)
    for machines in (2, 3):
        found = _stages(records, tmp_path, machines)
        assert found[0][0] == machines
        assert all(one == found[0] for one in found[1:])
        (devices,) = _stages(records, tmp_path, 1, machines)
        for other, within in ((alone, 1e-5), (devices, 1e-6)):
            for ours, theirs in zip(found[0][1:], other[1:], strict=True):
                for one, two in zip(ours, theirs, strict=True):
                    np.testing.assert_allclose(one, two, rtol=within, atol=within)
    assert {path.name for path in (tmp_path / "stage_2_1").iterdir()} == {"state.npz", "best.npz", "tensorboard"}


RECIPE = """
from mammo_tf.models import End2End
from mammo_tf.recipes import Phase, Preparation, Recipe, Training
from mammo_tf.training import Stage


def recipe():
    stage = Stage("all", ("all",), 1e-3, 8, optimizer="sgd", stop_patience=0, rate_patience=0)
    return Recipe(
        "tiny", "a few epochs", (Phase((stage,)),), network=End2End(width=1 / 16, weight_decay=1e-4, dropout=0.0),
        preparation=Preparation(preset="legacy", rows=128, columns=128), training=Training(batch_size=6),
    )
"""


class Workers:
    """`mammo-tf run` of one recipe on two machines."""

    def __init__(self, folder: Path, records: Records, name: str, deadline: int = 60) -> None:
        self.run, self.folder, self.records, self.deadline = folder / name, folder, records, deadline
        (folder / "recipe.py").write_text(RECIPE)
        (folder / f"{name}.txt").write_text("\n".join(_ports(2)))
        self.launchers: dict[int, subprocess.Popen[str]] = {}

    def start(self, number: int, *more: str) -> None:
        words = (
            "run", str(self.folder / "recipe.py"), "--data", str(self.records.folder), "-o", str(self.run),
            "--workers-file", str(self.folder / f"{self.run.name}.txt"), "--worker", str(number),
            "--deadline", str(self.deadline), *more,
        )  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        self.launchers[number] = subprocess.Popen(
            [sys.executable, "-m", "mammo_tf", *words], env=environment, stdout=pipe, stderr=pipe, text=True
        )

    def end(self) -> dict[int, tuple[int, str]]:
        """Exit code and standard error of each."""
        told = {number: launcher.communicate(timeout=300)[1] for number, launcher in self.launchers.items()}
        return {number: (self.launchers[number].returncode, text) for number, text in told.items()}

    def process_of(self, number: int) -> int:
        """The training process of a launcher."""
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.launchers[number].pid)], capture_output=True, text=True
        )
        return int(found.stdout.split()[0])

    def epochs(self) -> int:
        log = self.run / "log.csv"
        return len(log.read_text().splitlines()) - 1 if log.is_file() else 0


def _weights(run: Path) -> list[np.ndarray]:
    with np.load(run / "checkpoints" / "all" / "state.npz") as stored:
        return [stored[name] for name in sorted(stored.files) if name.startswith("model/")]


@pytest.mark.long
@pytest.mark.parametrize("lost", [0, 1])
def test_a_killed_worker_comes_back_and_the_training_ends_as_if_nothing_had_been(
    lost: int, records: Records, tmp_path: Path
) -> None:
    """SIGKILL in the middle of a training; launchers begin the lost one, and the one that lost its peer, again."""
    whole, cut = (Workers(tmp_path, records, name) for name in ("whole", "cut"))
    for workers in (whole, cut):
        for number in (1, 0):
            workers.start(number)
        if workers is cut:
            ends = time.time() + 120
            while workers.epochs() < 3 and time.time() < ends:
                time.sleep(0.05)
            os.kill(workers.process_of(lost), signal.SIGKILL)
        ended = workers.end()
        assert [ended[number][0] for number in (0, 1)] == [0, 0], ended
    assert f"worker {lost}: it ended with -9; begun again (1 of 3)" in ended[lost][1]
    assert "begun again" in ended[1 - lost][1]
    for one, other in zip(_weights(whole.run), _weights(cut.run), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
    numbers = [read_json(workers.run / "metrics.json") for workers in (whole, cut)]
    assert numbers[0] == numbers[1]
    assert (cut.run / "report.html").is_file()


@pytest.mark.long
def test_a_machine_that_would_train_something_else_is_refused(records: Records, tmp_path: Path) -> None:
    workers = Workers(tmp_path, records, "run", deadline=25)
    workers.start(0, "--restarts", "0")
    workers.start(1, "--set", "stages.all.rate=1e-2")
    ended = workers.end()
    assert ended[1][0] == 2
    assert ended[1][1].startswith("mammo-tf: worker 1 has another recipe than worker 0")
    assert ended[1][1].count("\n") == 1
    assert ended[0][0] == 2, "its peer is gone"


@pytest.mark.long
def test_a_lone_machine_says_who_is_missing(records: Records, tmp_path: Path) -> None:
    workers = Workers(tmp_path, records, "run", deadline=12)
    workers.start(0)
    code, text = workers.end()[0]
    assert code == 2 and "worker 0 waited 12 s in vain: worker 1 (127.0.0.1:" in text
    assert text.count("\n") == 1
    assert not workers.run.exists() or not (workers.run / "checkpoints").exists()


class Feeding:
    """`mammo-tf feed` of the recipe of `workers`, two of them."""

    def __init__(self, workers: Workers, *more: str) -> None:
        self.addresses, self.processes = ",".join(_ports_with_next(2)), {}
        self.words = ("feed", str(workers.folder / "recipe.py"), "--data", str(workers.records.folder), *more)
        for number in (0, 1):
            self.start(number)

    def start(self, number: int) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "mammo_tf", *self.words, "--address", self.addresses.split(",")[number]]
        self.processes[number] = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def end(self) -> list[tuple[int, str]]:
        """Exit code and standard output of each that lives, which is told to end."""
        for process in self.processes.values():
            process.terminate()
        told = [process.communicate(timeout=30)[0] for process in self.processes.values()]
        return [(process.returncode, text) for process, text in zip(self.processes.values(), told, strict=True)]


def _ports_with_next(count: int) -> list[str]:
    """Addresses that are free now, as the ports behind them are."""
    found: list[str] = []
    while len(found) < count:
        (address,) = _ports(1)
        host, _, port = address.rpartition(":")
        with socket.socket() as one:
            if one.connect_ex((host, int(port) + 1)) and f"{host}:{int(port) - 1}" not in found:
                found.append(address)
    return found


def _run_alone(workers: Workers, run: Path, *more: str) -> subprocess.Popen[str]:
    words = ("run", str(workers.folder / "recipe.py"), "--data", str(workers.records.folder), "-o", str(run), *more)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mammo_tf", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.long
def test_a_dead_feeder_ends_a_run_with_a_line_and_the_run_goes_on_with_a_new_one(
    records: Records, tmp_path: Path
) -> None:
    """SIGKILL of one of two feeders in the middle; weights and figures in the end are those of a run without any."""
    fed = Workers(tmp_path, records, "fed")
    plain = tmp_path / "plain"
    longer = ("--set", "stages.all.epochs=50")
    assert _run_alone(fed, plain, *longer).communicate(timeout=240) and plain.is_dir()
    feeding = Feeding(fed, *longer)
    run = _run_alone(fed, fed.run, "--feeders", feeding.addresses, *longer)
    ends = time.time() + 120
    while fed.epochs() < 2 and time.time() < ends:
        time.sleep(0.05)
    feeding.processes[1].kill()
    killed = time.time()
    told = run.communicate(timeout=90)[1]
    assert run.returncode == 2 and time.time() - killed < 60
    lost = feeding.addresses.split(",")[1]
    assert told == (
        f"mammo-tf: the feeder {lost} does not answer. Start it, then the run again, "
        "which goes on after the last whole epoch\n"
    )
    assert 2 <= fed.epochs() < 50
    feeding.processes[1].communicate()
    feeding.start(1)
    run = _run_alone(fed, fed.run, "--feeders", feeding.addresses, *longer)
    assert run.communicate(timeout=240)[1] == "" and run.returncode == 0
    assert [code for code, _ in feeding.end()] == [0, 0]
    for one, other in zip(_weights(plain), _weights(fed.run), strict=True):
        np.testing.assert_array_equal(one, other)
    assert read_json(plain / "metrics.json") == read_json(fed.run / "metrics.json")


@pytest.mark.long
def test_a_feeder_of_another_recipe_is_refused(records: Records, tmp_path: Path) -> None:
    workers = Workers(tmp_path, records, "run")
    feeding = Feeding(workers, "--set", "stages.all.rate=1e-2")
    run = _run_alone(workers, workers.run, "--feeders", feeding.addresses)
    told = run.communicate(timeout=120)[1]
    feeding.end()
    assert run.returncode == 2
    first = feeding.addresses.split(",")[0]
    assert told.startswith(f"mammo-tf: the feeder {first} has another recipe than this run (")
    assert told.count("\n") == 1


@pytest.mark.long
def test_two_machines_are_fed(records: Records, tmp_path: Path) -> None:
    """Each has its own part of every batch; what comes out is that of two machines that read for themselves."""
    whole, fed = (Workers(tmp_path, records, name) for name in ("whole", "fed"))
    feeding = Feeding(fed)
    for workers, more in ((whole, ()), (fed, ("--feeders", feeding.addresses))):
        for number in (1, 0):
            workers.start(number, *more)
        ended = workers.end()
        assert [ended[number][0] for number in (0, 1)] == [0, 0], ended
    assert all(text.startswith("feeds tiny at 127.0.0.1:") for _, text in feeding.end())
    for one, other in zip(_weights(whole.run), _weights(fed.run), strict=True):
        np.testing.assert_array_equal(one, other)

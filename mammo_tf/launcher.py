"""One machine's part of a training on several: a process that is watched, ended when it hangs, begun again when lost.

A process of `MultiWorkerMirroredStrategy` waits for the others for ever, and heeds no signal but the last; so it is not
the one that a user, or a cluster's manager, starts. No TensorFlow here.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.json_text import parsed_json

CLUSTER, HEARTBEAT = "TF_CONFIG", "MAMMO_TF_HEARTBEAT"
ALONE = "alone"  # said by a process that waits for no peer any more
LOST = 75  # the exit code of a process whose peers have gone
FINAL = (0, 2, 130)  # done, bad input, interrupted: not begun again
POLL, ASKED, PAUSE = 0.2, 2.0, 2.0  # seconds
DEADLINE, RESTARTS = 600.0, 3
Say = Callable[[str], None]


@dataclass(frozen=True)
class Cluster:
    """The machines of a training, and which of them this is.

    Attributes:
        addresses: `host:port` of each; the first claims, validates, logs, keeps and exports.
        number: of this one, from 0.
    """

    addresses: tuple[str, ...]
    number: int

    def __post_init__(self) -> None:
        if len(self.addresses) < 2 or len(set(self.addresses)) < len(self.addresses):
            raise MammoError("workers_wrong", "a cluster is two addresses or more, none of them twice")
        for address in self.addresses:
            address_parts(address)
        if not 0 <= self.number < len(self.addresses):
            sentence = f"there is no worker {self.number} among {len(self.addresses)}, which are counted from 0"
            raise MammoError("workers_wrong", sentence, "Name this machine's line with --worker")

    @property
    def environment(self) -> str:
        """The value of `TF_CONFIG`."""
        task = {"type": "worker", "index": self.number}
        return json.dumps({"cluster": {"worker": list(self.addresses)}, "task": task})


def address_parts(address: str) -> tuple[str, int]:
    """Host and port of an address.

    Raises:
        MammoError: `address_wrong`.
    """
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or len(port) > 5 or not 0 < int(port) < 65536:
        raise MammoError("address_wrong", f"{address!r} is not an address", "Write host:port, such as gpu1:2222")
    return host, int(port)


def answers(address: str) -> bool:
    """Whether something listens there."""
    try:
        host, port = address_parts(address)
        with socket.create_connection((host.strip("[]"), port), timeout=ASKED):
            return True
    except (OSError, UnicodeError):
        return False


def cluster_of_file(path: str | Path, number: int | None) -> Cluster:
    """The cluster of a text file, an address a line.

    Args:
        path: of the file; blank lines, and those that begin with `#`, are left out.
        number: of this machine.

    Raises:
        MammoError: `file_missing`, `address_wrong`, `workers_wrong`.
    """
    if not Path(path).is_file():
        raise MammoError("file_missing", f"the file of workers {path} is not there")
    lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    if number is None:
        sentence = f"nothing says which line of {path} this machine is"
        raise MammoError("workers_wrong", sentence, "Name it with --worker, counted from 0")
    return Cluster(tuple(line for line in lines if line and not line.startswith("#")), number)


def cluster_of_environment(environment: Mapping[str, str]) -> Cluster | None:
    """The cluster of `TF_CONFIG`, as Kubernetes' operators set it; None where it names no several workers.

    Raises:
        MammoError: `address_wrong`, `workers_wrong`.
    """
    text = environment.get(CLUSTER, "")
    if not text.strip():
        return None
    try:
        said: Any = parsed_json(text)
        workers, task = said["cluster"]["worker"], said["task"]
        kind, number = task["type"], int(task["index"])
        others = set(said["cluster"]) - {"worker"}
    except (ValueError, KeyError, TypeError, MammoError) as error:
        raise MammoError("workers_wrong", f"TF_CONFIG is not what TensorFlow expects ({error!r})") from error
    if len(workers) < 2 and not others:
        return None
    if others or kind != "worker":
        sentence = f"TF_CONFIG names {', '.join(sorted(others)) or kind} next to workers"
        raise MammoError("workers_wrong", sentence, "Name workers alone: the first of them is the chief")
    return Cluster(tuple(map(str, workers)), number)


def asked_cluster(path: str | None, number: int | None, environment: Mapping[str, str]) -> Cluster | None:
    """The cluster of a file of workers, else of `TF_CONFIG`; None where one machine is to train alone.

    Raises:
        MammoError: those of `cluster_of_file` and `cluster_of_environment`.
    """
    return cluster_of_environment(environment) if path is None else cluster_of_file(path, number)


def launched(environment: Mapping[str, str]) -> bool:
    """Whether this process was begun by `launch`."""
    return HEARTBEAT in environment


def launch(
    command: Sequence[str], cluster: Cluster, deadline: float = DEADLINE, restarts: int = RESTARTS,
    say: Say = lambda line: None,
) -> int:  # fmt: skip
    """Runs this machine's process until it is done.

    Args:
        command: of the process, which tells that it is getting on by writing to the file `HEARTBEAT`.
        cluster: of which it is a part.
        deadline: seconds without a sign of life after which it is ended; none once it has said `ALONE`.
        restarts: how often it is begun again, when it, or one of its peers, was lost; it resumes after the last whole
            epoch.
        say: is told in a line what happens.

    Returns:
        The exit code of the process.

    Raises:
        MammoError: `worker_missing` where it hangs, with who does not answer; `worker_lost` where it was begun again as
            often as allowed.
    """
    with TemporaryDirectory() as room:
        for again in range(restarts + 1):
            code = _watched(command, cluster, deadline, Path(room) / "heartbeat")
            if code in FINAL:
                return code
            how = "a peer was lost" if code == LOST else f"it ended with {code}"
            if again < restarts:
                say(f"worker {cluster.number}: {how}; begun again ({again + 1} of {restarts})")
                time.sleep(PAUSE)
    sentence = f"worker {cluster.number} was begun again {restarts} times, and lost again ({how})"
    raise MammoError("worker_lost", sentence, "Look at the other workers' messages, then start all of them again")


def _watched(command: Sequence[str], cluster: Cluster, deadline: float, heartbeat: Path) -> int:
    """Exit code of one process; ended, with all that it began, when it says nothing for too long."""
    environment = {**os.environ, CLUSTER: cluster.environment, HEARTBEAT: str(heartbeat)}
    heartbeat.write_text("")
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    ended = _ending(process)
    try:
        while process.poll() is None:
            if time.time() - heartbeat.stat().st_mtime > deadline and heartbeat.read_text() != ALONE:
                raise _hangs(cluster, deadline)
            time.sleep(POLL)
        return process.returncode
    finally:
        ended()


def _ending(process: subprocess.Popen[bytes]) -> Callable[[], None]:
    """Ends the process and its children for good; also when this one is told to end."""
    before = signal.getsignal(signal.SIGTERM)

    def interrupted(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)

    def end() -> None:
        signal.signal(signal.SIGTERM, before)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    return end


def _hangs(cluster: Cluster, deadline: float) -> MammoError:
    silent = [
        f"worker {number} ({address})"
        for number, address in enumerate(cluster.addresses)
        if number != cluster.number and not answers(address)
    ]
    who = f"{' and '.join(silent)} does not answer" if silent else "all others answer, and one of them is too slow"
    return MammoError(
        "worker_missing", f"worker {cluster.number} waited {deadline:g} s in vain: {who}",
        "Start all workers together, or wait longer with --deadline",
    )  # fmt: skip

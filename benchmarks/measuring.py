"""What the benchmarks share: workers that are asked in turn, processor time with children, medians and ratios.

A worker is a process of its own that prints one JSON line for each one it reads. Two rivals live at the same time and
work in turn, A B A B, so that both meet the same load of a shared machine.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

MARK = "@@"
HOW_TO_GET_THE_PEER = (
    "The peer needs PyTorch, here (pip install '.[bench]') or in an environment of its own: python -m venv VENV && "
    "VENV/bin/pip install 'torch>=2.13,<2.14' numpy opencv-python-headless, then --peer-python VENV/bin/python."
)


class Worker:
    """A process that answers requests."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | quiet | dict(environment or {}),
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer; RuntimeError if the process ended instead."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith(MARK):
                return dict(json.loads(line[len(MARK) :]))
        raise RuntimeError(f"{self.name} ended with code {self.process.wait()}")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The worker's side: answers until the input ends."""
    for line in sys.stdin:
        print(MARK + json.dumps(answer(json.loads(line))), flush=True)


def peer_python(given: str | None) -> str | None:
    """The interpreter that has PyTorch: the one given, this one, or None."""
    if given:
        return given
    return sys.executable if importlib.util.find_spec("torch") else None


def processor_seconds() -> float:
    """Processor time of this process and of its living and ended children."""
    times = os.times()
    total = time.process_time() + times.children_user + times.children_system
    ticks = os.sysconf("SC_CLK_TCK")
    for child in _children():
        with suppress(OSError):  # it has just ended: its time counts among those of ended children
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def _children() -> list[str]:
    found: list[str] = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            found += (thread / "children").read_text().split()
    return found


def peak_mib() -> float:
    """The largest resident memory that this process has had, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def in_turn(
    workers: Mapping[str, Worker], rounds: int, request: Mapping[str, Any]
) -> dict[str, dict[str, list[float]]]:
    """Asks every worker in turn, `rounds` times; name -> `seconds`, `processor`, `peak`, one value a round."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            answer = worker.ask(**request)
            for key in ("seconds", "processor", "peak"):
                found[name].setdefault(key, []).append(float(answer[key]))
    return found


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """Lowest and highest."""
    return f"{min(values):.3f} to {max(values):.3f}"


def machine(*packages: str) -> str:
    """Cores, load and versions in one line."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"{os.cpu_count()} cores, load average {load}; Python {platform.python_version()}, {versions}"

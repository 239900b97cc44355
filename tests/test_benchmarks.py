"""The benchmarks start, say what they do, and run at a tiny size without their peer. Nothing here is timed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TINY = {
    "records_stream.py": ["--quick", "--peer-python", "none"],
    "end2end_vgg16.py": ["--quick", "--peer-python", "none", "--only", "predict"],
    "predict_exam.py": ["--quick"],
    "start.py": ["--quick"],
    "bootstrap_auc.py": ["--quick"],
    "grid_search.py": ["--quick"],
    "radiomics_features.py": ["--quick", "--peer-python", "none"],
}


def _run(name: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "MAMMO_TF_KEY": "tests"},
    )


@pytest.mark.parametrize("name", sorted(TINY))
def test_benchmarks_say_what_they_measure(name: str) -> None:
    done = _run(name, ["--help"])
    assert done.returncode == 0, done.stderr
    assert f"python benchmarks/{name}" in done.stdout


@pytest.mark.parametrize("name", sorted(TINY))
def test_benchmarks_run_at_a_tiny_size(name: str) -> None:
    done = _run(name, TINY[name])
    assert done.returncode == 0, done.stderr
    assert "load average" in done.stdout or "pip install" in done.stdout

"""`run --deterministic`, as processes: the same bytes twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mammo_tf.training.model_file import read_card

SAME = ("predictions_validation.csv", "predictions_test.csv", "metrics.json")


@pytest.mark.long
def test_a_deterministic_run_is_the_same_twice(tmp_path: Path) -> None:
    """Dropout, augmentation and Adam; of `log.csv` all but the seconds."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TF_NUM_INTRAOP_THREADS": "2"}
    command = [sys.executable, "-m", "mammo_tf", "run", "end2end_baseline", "--smoke", "--deterministic"]
    for name in ("one", "two"):
        done = subprocess.run([*command, "-o", str(tmp_path / name)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    for file in SAME:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    logs = [(tmp_path / name / "log.csv").read_text().splitlines() for name in ("one", "two")]
    seconds = logs[0][0].split(",").index("seconds")
    for first, second in zip(*logs, strict=True):
        ours, theirs = (line.split(",") for line in (first, second))
        assert ours[:seconds] + ours[seconds + 1 :] == theirs[:seconds] + theirs[seconds + 1 :]
    weights = {read_card(tmp_path / name / "model.keras").weights for name in ("one", "two")}
    assert len(weights) == 1

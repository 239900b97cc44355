"""`run --deterministic`, as processes: the same bytes twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mammo_tf.files import read_json
from mammo_tf.training.model_file import read_card

SAME = ("predictions_validation.csv", "predictions_test.csv", "metrics.json")


@pytest.mark.long
def test_a_deterministic_run_is_the_same_twice(tmp_path: Path) -> None:
    """Dropout, augmentation and Adam; of `log.csv` all but what clocks say."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TF_NUM_INTRAOP_THREADS": "2"}
    command = [sys.executable, "-m", "mammo_tf", "run", "end2end_baseline", "--smoke", "--deterministic"]
    for name in ("one", "two"):
        done = subprocess.run([*command, "-o", str(tmp_path / name)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    for file in SAME:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    logs = [pd.read_csv(tmp_path / name / "log.csv", dtype=str) for name in ("one", "two")]
    pd.testing.assert_frame_equal(*(log.drop(columns=["waiting", "seconds"]) for log in logs))
    weights = {read_card(tmp_path / name / "model.keras").weights for name in ("one", "two")}
    assert len(weights) == 1


@pytest.mark.long
def test_scaled_batches_stand_in_the_recipe_of_the_run(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "mammo_tf", "run", "end2end_baseline", "--smoke", "--devices", "2"]
    for name, more in (("plain", []), ("scaled", ["--scale", "linear"])):
        done = subprocess.run(
            [*command, *more, "-o", str(tmp_path / name)], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    plain, scaled = (read_json(tmp_path / name / "recipe.json")["recipe"] for name in ("plain", "scaled"))
    assert scaled["training"]["batch_size"] == 2 * plain["training"]["batch_size"]
    for one, other in zip(plain["phases"], scaled["phases"], strict=True):
        assert [2 * stage["rate"] for stage in one["stages"]] == [stage["rate"] for stage in other["stages"]]

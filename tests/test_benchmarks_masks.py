"""What the benchmarks of segmentation count: films that are measured, hits by chance, and one branch for all."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from mammo_tf.files import read_json
from mammo_tf.training.tasks import Segmentation

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def calcifications(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("real_calcifications")


@pytest.fixture
def choice(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("branch_choice")


def _finding(kind: str, circle: bool = True) -> str:
    return json.dumps([{"kind": kind, "label": "benign", **({"circle": [8.0, 8.0, 2.0]} if circle else {})}])


def test_films_with_a_circle_and_normal_women_are_measured(calcifications: ModuleType) -> None:
    rows = [
        ("circled", "a", "benign", _finding("calcification")), ("other side", "a", "normal", "[]"),
        ("no place", "b", "benign", _finding("calcification", circle=False)), ("normal b", "b", "normal", "[]"),
        ("mass", "c", "benign", _finding("mass")),
        *((f"{side}{number}", f"normal {number}", "normal", "[]") for number in range(3) for side in "LR"),
    ]  # fmt: skip
    manifest = pd.DataFrame(rows, columns=["image_id", "patient_id", "label", "findings"])
    found = calcifications.with_splits(manifest, 2).set_index("image_id")["split"]
    assert set(found[found == "test"].index) == {"circled", "L0", "R0", "L1", "R1"}
    assert set(found[found == "train"].index) == {"no place", "normal b", "mass", "L2", "R2"}


def test_chance_is_the_share_of_the_breast_from_which_a_circle_reaches_a_call(calcifications: ModuleType) -> None:
    breast = np.zeros((20, 20), bool)
    breast[:, :10] = True
    called = np.zeros_like(breast)
    called[:, 0] = True
    film = calcifications.Film("one", np.zeros((20, 20), np.float32), breast, ((15.0, 15.0, 2.0), (1.0, 1.0, 0.1)))
    assert calcifications.by_chance(film, called) == [0.3, 0.1]  # columns 0 to 2 of ten, and column 0 alone
    assert calcifications.by_chance(film, np.zeros_like(called)) == [0.0, 0.0]


def test_one_branch_is_taken_whatever_the_distances_say(choice: ModuleType) -> None:
    masks = np.random.default_rng(0).uniform(size=(2, 3, 4, 4)).astype(np.float32)
    distances = np.array([[0.0, 1.0, 2.0]] * 2)
    ways = choice.ways_of(Segmentation(threshold=0.25), 3)
    for number in range(3):
        task = ways[f"branch {number + 1} always"]
        assert task.threshold == 0.25
        found = task.named_outputs([masks, distances])
        assert (np.asarray(found["branch"]) == number).all()
        assert (np.asarray(found["mask"]) == masks[:, number]).all()
    assert ways["euclidean, tile by tile"] == Segmentation(threshold=0.25, metric="euclidean", choice="piece")
    assert ways["all added up"].metric == "none"


@pytest.mark.long
def test_trials_run_and_resume(tmp_path: Path) -> None:
    told = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(BENCHMARKS / "segmentation_trials.py"), "-o", str(tmp_path), "--smoke",
             "--trials", "own", "paper"],
            capture_output=True, text=True, timeout=240, check=False, env=os.environ | {"MAMMO_TF_KEY": "tests"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0] == told[1]
    assert set(read_json(tmp_path / "trials.json")) == {"own", "paper"}

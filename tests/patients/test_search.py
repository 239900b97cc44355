"""The search gives GridSearchCV's numbers, keeps pairs together, and continues where it was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mammo_tf.errors import MammoError
from mammo_tf.patients import search
from mammo_tf.patients.classifier import Settings
from mammo_tf.patients.search import grid_search
from mammo_tf.patients.table import PatientTable

Study = Callable[..., PatientTable]

GRID = {"components": (3, 6), "trees": (5, 20), "leaf": (2, 10)}


@pytest.mark.parametrize("model", ["gradient_boosting", "random_forest"])
def test_the_numbers_of_grid_search_cv(model: str, study: Study) -> None:
    table = study()
    base = Settings(model, depth=2, subsample=0.7, max_features=0.5)
    found = grid_search(table, GRID, base, folds=3)
    splits = [(np.flatnonzero(~test), np.flatnonzero(test)) for test in search._folds(table, 3, 0)]
    trees = (
        GradientBoostingClassifier(learning_rate=0.05, max_depth=2, subsample=0.7, random_state=42)
        if model == "gradient_boosting"
        else RandomForestClassifier(max_depth=2, max_features=0.5, random_state=42)
    )
    pipeline = Pipeline([("scaler", StandardScaler()), ("pca", PCA(svd_solver="full")), ("clf", trees)])
    grid = {
        "pca__n_components": GRID["components"],
        "clf__n_estimators": GRID["trees"],
        "clf__min_samples_leaf": GRID["leaf"],
    }
    theirs = GridSearchCV(pipeline, grid, scoring="roc_auc", cv=splits).fit(table.values, table.labels).cv_results_
    ours = {(row.settings.components, row.settings.trees, row.settings.leaf): row for row in found}
    assert len(ours) == len(theirs["params"]) == 8
    for number, asked in enumerate(theirs["params"]):
        key = (asked["pca__n_components"], asked["clf__n_estimators"], asked["clf__min_samples_leaf"])
        row = ours[key]
        assert row.mean == pytest.approx(theirs["mean_test_score"][number], abs=1e-9)
        assert row.deviation == pytest.approx(theirs["std_test_score"][number], abs=1e-9)
    assert found[0].mean == max(row.mean for row in found)


def test_members_of_a_pair_share_a_fold(study: Study) -> None:
    table = study()
    masks = search._folds(table, 5, 0)
    assert (np.sum(masks, axis=0) == 1).all()
    for mask in masks:
        assert not set(table.groups[mask]) & set(table.groups[~mask])


def test_a_killed_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: Study) -> None:
    table, whole = study(), grid_search(study(), GRID, folds=3)
    calls = 0
    compute = search._aucs

    def stopped(work):  # noqa: ANN001, ANN202 - as _aucs
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return compute(work)

    monkeypatch.setattr(search, "_aucs", stopped)
    with pytest.raises(KeyboardInterrupt):
        grid_search(table, GRID, folds=3, folder=tmp_path)
    results = tmp_path / "search.jsonl"
    assert len(results.read_text().splitlines()) == 5
    row = json.loads(results.read_text().splitlines()[0])
    wrong = ["[" * 5000, "1" * 5000, "5", "[]", "{}", *(json.dumps(row | {name: [5]}) for name in row)]
    damaged = [*wrong, json.dumps(row | {"auc": {}}), json.dumps(row | {"auc": dict.fromkeys(row["auc"], 10**400)})]
    whole_lines = results.read_bytes()
    results.write_bytes(b"\n".join([b"\xff", *(line.encode() for line in damaged), whole_lines, b'{"key": "cut o\xff']))
    calls = 100
    assert grid_search(table, GRID, folds=3, folder=tmp_path) == whole
    assert calls == 100 + 12 - 5
    calls = 200
    assert grid_search(table, GRID, folds=3, folder=tmp_path) == whole
    assert calls == 200
    assert all(json.loads(line)["auc"] for line in results.read_bytes().splitlines()[-7:])


def test_results_of_a_lost_request_are_not_taken_for_another(tmp_path: Path, study: Study) -> None:
    grid = {"components": (3,), "trees": (2,)}
    grid_search(study(), grid, folds=2, folder=tmp_path)
    (tmp_path / "search.json").write_text("null")
    other = replace(study(), labels=1 - study().labels)
    assert grid_search(other, grid, folds=2, folder=tmp_path) == grid_search(other, grid, folds=2)


def test_two_processes_give_the_same(study: Study) -> None:
    grid = {"components": (3,), "trees": (5,)}
    assert grid_search(study(), grid, folds=3, workers=2) == grid_search(study(), grid, folds=3)


STOPPED = """
import sys
import numpy as np
from mammo_tf.patients.table import SCORES, PatientTable
from mammo_tf.patients.search import grid_search

if __name__ == "__main__":
    people = np.arange(40).astype(str)
    values = np.random.default_rng(0).normal(size=(40, 4))
    fields = {"labels": np.arange(40) % 2, "patients": people, "groups": people, "pairs": people, "splits": people}
    table = PatientTable(names=SCORES, values=values, filled=0, told=np.full(values.shape, True), **fields)
    grid = {"components": (2,), "seed": tuple(range(5000)), "trees": (200,), "leaf": (1,)}
    grid_search(table, grid, folds=2, folder=sys.argv[1], workers=2)
"""


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks processes up in /proc")
@pytest.mark.parametrize("how", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL])
def test_workers_end_with_their_parent(how: signal.Signals, tmp_path: Path) -> None:
    script, results = tmp_path / "stopped.py", tmp_path / "out" / "search.jsonl"
    script.write_text(STOPPED)
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path / "out")], stderr=subprocess.DEVNULL)
    left: list[int] = []
    try:
        deadline = time.monotonic() + 90
        while not results.is_file() or results.read_text().count("\n") < 4:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        left = [int(one) for one in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        assert len(left) >= 2
        process.send_signal(how)
        process.wait(30)
        deadline = time.monotonic() + 20
        while any(map(_alive, left)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [one for one in left if _alive(one)]
    finally:
        process.kill()
        for one in filter(_alive, left):
            os.kill(one, signal.SIGKILL)


def test_bad_searches(tmp_path: Path, study: Study) -> None:
    table = study()
    with pytest.raises(MammoError, match="45 pairs or patients are fewer than 50 folds"):
        grid_search(table, GRID, folds=50)
    with pytest.raises(MammoError, match="the grid names 'depht'"):
        grid_search(table, {"depht": (2,)})
    with pytest.raises(MammoError, match="all 90 training patients are positive"):
        grid_search(replace(table, labels=np.ones(90, np.int64)), GRID)
    few = replace(table, labels=(np.arange(90) < 2).astype(np.int64))
    with pytest.raises(MammoError, match="one class only"):
        grid_search(few, GRID, folds=5)
    grid_search(table, {"trees": (2,)}, Settings(components=3), folds=2, folder=tmp_path)
    with pytest.raises(MammoError, match="another grid"):
        grid_search(table, {"trees": (3,)}, Settings(components=3), folds=2, folder=tmp_path)

"""Grid search of the patient classifier: folds that keep pairs together, work done once, resumable after a kill.

The numbers are those of scikit-learn's `GridSearchCV` on the same folds. Work is shared: a fold's scaler and principal
components are computed once for the largest number asked for (fewer components are the first of more), and one
ensemble of the most trees gives the scores of every smaller number on the way.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from mammo_tf.claims import Kind, claim
from mammo_tf.errors import MammoError
from mammo_tf.evaluation.roc import auc
from mammo_tf.files import disk_errors
from mammo_tf.json_text import parsed_json
from mammo_tf.patients.classifier import Settings, check_fittable, ensemble, known_medians
from mammo_tf.patients.table import PatientTable
from mammo_tf.progress import track

Grid = Mapping[str, Sequence[Any]]
BOOSTING_GRID: Grid = {  # the ranges of Table 1, at the points that the authors' search had
    "components": (10, 15, 20, 30),
    "learning_rate": (0.05, 0.1, 0.2),
    "depth": (2, 3, 4),
    "leaf": (1, 5, 10, 20),
    "trees": (200, 500, 1000),
    "subsample": (0.6, 0.8, 1.0),
}
FOREST_GRID: Grid = {
    "components": (10, 15, 20, 30),
    "depth": (None, 5, 10, 20),
    "leaf": (1, 5, 10, 20),
    "trees": (200, 500, 1000),
    "max_features": ("sqrt", "log2", 0.3, 0.5),
}
RESULTS = "search.jsonl"
SEARCH = Kind(
    "search.json", "search", "a search of another grid, other folds or other patients", "other_search",
    "Remove it, or name another folder", beside=(RESULTS,),
)  # fmt: skip
Fold = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]


@dataclass(frozen=True)
class Found:
    """One row of a search: settings, mean and standard deviation (n) of the folds' AUC, and the AUCs."""

    settings: Settings
    mean: float
    deviation: float
    folds: tuple[float, ...]


def grid_search(
    table: PatientTable,
    grid: Grid = BOOSTING_GRID,
    base: Settings = Settings(),  # noqa: B008 - frozen
    folds: int = 5,
    seed: int = 0,
    folder: str | Path | None = None,
    workers: int = 1,
) -> list[Found]:
    """AUC of every point of a grid by cross-validation over groups (pairs, else patients); best first.

    Args:
        table: training patients.
        grid: field of `Settings` -> values to try.
        base: the fields that the grid does not name.
        folds, seed: of the cross-validation, stratified by label.
        folder: where `search.jsonl` grows as results come; run again with the same question, a killed search continues.
        workers: processes.

    Returns:
        Every point; among equals the one that stands first in the grid comes first.

    Raises:
        MammoError: `settings_wrong`, `one_class`, `too_few_pairs`, `one_class_in_fold`, `too_few_patients`,
            `other_search` where the folder holds another question's results, `folder_busy`.
    """
    points = grid_points(grid, base)
    parts = [_prepared(table, test, max(point.components for point in points)) for test in _folds(table, folds, seed)]
    tasks = _tasks(points)
    asked = {"grid": _plain(grid), "base": asdict(base), "folds": folds, "seed": seed, "table": _digest(table)}
    with nullcontext(False) if folder is None else claim(folder, SEARCH, asked) as again:
        known = _known(folder, tasks, again)
        todo = [(key, fold) for key in tasks for fold in range(folds) if (key, fold) not in known]
        for (key, fold), aucs in track(_computed(parts, tasks, todo, workers), "search", len(todo), "ensemble"):
            known[key, fold] = aucs
            _append(folder, key, fold, aucs)
    rows = []
    for point in points:
        key = _key(point)
        values = tuple(known[key, fold][str(point.trees)] for fold in range(folds))
        rows.append(Found(point, float(np.mean(values)), float(np.std(values)), values))
    return sorted(rows, key=lambda row: -row.mean)


def grid_points(grid: Grid, base: Settings) -> list[Settings]:
    """Every combination in the grid's order, the last field fastest; `settings_wrong` for a field that is none."""
    unknown = [name for name in grid if name not in asdict(base)]
    if unknown:
        raise MammoError("settings_wrong", f"the grid names {unknown[0]!r}", f"Known are {', '.join(asdict(base))}")
    if not all(len(values) for values in grid.values()):
        raise MammoError("settings_wrong", "the grid has a field without values")
    return [replace(base, **dict(zip(grid, values, strict=True))) for values in itertools.product(*grid.values())]


def _folds(table: PatientTable, folds: int, seed: int) -> list[NDArray[np.bool_]]:
    """Test patients of each fold, bool `[patients]`."""
    if folds < 2:
        raise MammoError("settings_wrong", f"{folds} folds are none", "Take 2 or more")
    groups = len(set(table.groups))
    if groups < folds:
        raise MammoError(
            "too_few_pairs", f"{groups} pairs or patients are fewer than {folds} folds", "Take fewer folds"
        )
    if not 0 < table.labels.sum() < len(table.labels):
        check_fittable(table, Settings(components=1))
    rarer = int(min(table.labels.sum(), len(table.labels) - table.labels.sum()))
    if rarer < folds:
        sentence = f"{rarer} patients of the rarer class cannot be in each of {folds} folds: one has one class only"
        raise MammoError("one_class_in_fold", sentence, "Take fewer folds, or more patients")
    found = []
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, test) in enumerate(splitter.split(table.values, table.labels, table.groups)):
        mask = np.zeros(len(table.labels), np.bool_)
        mask[test] = True
        for labels, what in ((table.labels[mask], "to test"), (table.labels[~mask], "to train")):
            if not 0 < labels.sum() < len(labels):
                sentence = f"fold {number + 1} of {folds} has one class only {what}"
                raise MammoError("one_class_in_fold", sentence, "Take fewer folds, or more patients")
        found.append(mask)
    return found


def _prepared(table: PatientTable, test: NDArray[np.bool_], components: int) -> Fold:
    """Components of a fold's training and test patients, fitted on the training patients only."""
    train = table.part(~test)
    check_fittable(train, Settings(components=components))
    medians = known_medians(train.values)
    known = np.where(np.isnan(table.values), medians, table.values)
    scaler = StandardScaler().fit(known[~test])
    scaled = scaler.transform(known)
    axes = PCA(components, svd_solver="full").fit(scaled[~test])
    reduced = axes.transform(scaled)
    return reduced[~test], table.labels[~test], reduced[test], table.labels[test]


def _key(point: Settings) -> str:
    """What an ensemble of the most trees is the same for."""
    return json.dumps({name: value for name, value in asdict(point).items() if name != "trees"}, sort_keys=True)


def _tasks(points: Sequence[Settings]) -> dict[str, tuple[Settings, tuple[int, ...]]]:
    """Key -> settings with the most trees, and every number of trees that is asked for."""
    trees: dict[str, set[int]] = {}
    for point in points:
        trees.setdefault(_key(point), set()).add(point.trees)
    first = {_key(point): point for point in reversed(points)}
    return {key: (replace(first[key], trees=max(some)), tuple(sorted(some))) for key, some in trees.items()}


def _computed(
    parts: list[Fold],
    tasks: Mapping[str, tuple[Settings, tuple[int, ...]]],
    todo: list[tuple[str, int]],
    workers: int,
) -> Iterator[tuple[tuple[str, int], dict[str, float]]]:
    work = [(parts[fold], *tasks[key]) for key, fold in todo]
    if workers == 1:
        yield from zip(todo, map(_aucs, work), strict=True)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _settle) as pool:
        try:
            yield from zip(todo, pool.map(_aucs, work), strict=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _settle() -> None:
    """What a worker does first; it ends when its parent is gone, however that ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all processes; the parent sees to it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # nobody is left to hear an error, and the main thread may be deep in a fit


def _aucs(work: tuple[Fold, Settings, tuple[int, ...]]) -> dict[str, float]:
    """Number of trees -> AUC on a fold's test patients."""
    (train, labels, test, truth), settings, counts = work
    model = ensemble(settings).fit(train[:, : settings.components], labels)
    inputs = test[:, : settings.components]
    if settings.model == "gradient_boosting":
        stages = model.staged_predict_proba(inputs)
        return {str(number): auc(truth, p[:, 1]) for number, p in enumerate(stages, 1) if number in counts}
    each = np.array([tree.predict_proba(inputs)[:, 1] for tree in model.estimators_])
    return {str(number): auc(truth, each[:number].mean(axis=0)) for number in counts}


def _plain(grid: Grid) -> dict[str, Any]:
    return {name: list(values) for name, values in grid.items()}


def _digest(table: PatientTable) -> str:
    content = repr((table.names, table.groups.tolist(), table.labels.tolist())).encode() + table.values.tobytes()
    return hashlib.sha256(content).hexdigest()


def _known(
    folder: str | Path | None, tasks: Mapping[str, tuple[Settings, tuple[int, ...]]], again: bool
) -> dict[tuple[str, int], Any]:
    """Results that an earlier run left; a line that a kill cut off, or that was damaged, is left out.

    Of a folder whose request is lost the results are removed: of whom they are is not known.
    """
    found: dict[tuple[str, int], Any] = {}
    if folder is None:
        return found
    results = Path(folder) / RESULTS
    if not again:
        results.unlink(missing_ok=True)
    for line in results.read_bytes().splitlines() if results.is_file() else ():
        try:
            row = parsed_json(line.decode())
            key, fold, aucs = row["key"], row["fold"], row["auc"]
            _, counts = tasks[key]
            if type(fold) is int and all(0 <= aucs[str(count)] <= 1 for count in counts):
                found[key, fold] = aucs
        except (ValueError, TypeError, KeyError):
            continue
    return found


def _append(folder: str | Path | None, key: str, fold: int, aucs: Mapping[str, float]) -> None:
    if folder is None:
        return
    path = Path(folder) / RESULTS
    with disk_errors(path), path.open("ab+") as file:
        # a line that a kill cut off must not swallow the next one
        file.seek(max(0, file.seek(0, 2) - 1))
        if file.read(1) not in (b"", b"\n"):
            file.write(b"\n")
        file.write(json.dumps({"key": key, "fold": fold, "auc": dict(aucs)}).encode() + b"\n")

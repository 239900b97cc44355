"""Grid search of the patient classifier against scikit-learn's `GridSearchCV`, the same grid, folds and numbers.

    python benchmarks/grid_search.py

266 patients in pairs, 133 columns (an age, four scores, 32 features of four views), invented; a part of Table 1's grid.
One process each, in turn, `--rounds` times. The mean AUC of every point must agree (1e-9) before anything counts. Ours
computes a fold's scaler and components once, and gets 200 and 500 trees on the way to 1000; theirs fits every point.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from measuring import machine, median, spread
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mammo_tf.patients.classifier import Settings
from mammo_tf.patients.search import grid_search
from mammo_tf.patients.table import SCORES, VIEWS, PatientTable

GRID = {"components": (10, 20, 30), "leaf": (1, 20), "trees": (200, 500, 1000)}
THEIR_NAMES = {"components": "pca__n_components", "leaf": "clf__min_samples_leaf", "trees": "clf__n_estimators"}


def study(patients: int = 266, features: int = 32) -> PatientTable:
    generator = np.random.default_rng(0)
    names = ("age", *SCORES, *(f"f{number}_{view}" for view in VIEWS for number in range(features)))
    labels = np.arange(patients) % 2
    values = generator.normal(size=(patients, 12)) @ generator.normal(size=(12, len(names)))
    values += generator.normal(size=values.shape) + labels[:, None] * generator.normal(0, 0.3, len(names))
    people = np.array([f"p{number}" for number in range(patients)])
    pairs = np.array([f"q{number // 2}" for number in range(patients)])
    told = np.full(values.shape, True)
    return PatientTable(names, values, labels, people, pairs, pairs, np.full(patients, "train"), 0, told)


def ours(table: PatientTable, grid: dict[str, tuple[int, ...]]) -> dict[tuple[int, ...], float]:
    found = grid_search(table, grid, Settings())
    return {tuple(getattr(row.settings, name) for name in grid): row.mean for row in found}


def theirs(table: PatientTable, grid: dict[str, tuple[int, ...]]) -> dict[tuple[int, ...], float]:
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    trees = GradientBoostingClassifier(learning_rate=0.05, max_depth=2, subsample=0.8, random_state=42)
    pipeline = Pipeline([("scaler", StandardScaler()), ("pca", PCA(svd_solver="full")), ("clf", trees)])
    asked = {THEIR_NAMES[name]: list(values) for name, values in grid.items()}
    search = GridSearchCV(pipeline, asked, scoring="roc_auc", cv=folds, n_jobs=1, refit=False)
    results = search.fit(table.values, table.labels, groups=table.groups).cv_results_
    points = [tuple(point[THEIR_NAMES[name]] for name in grid) for point in results["params"]]
    return dict(zip(points, results["mean_test_score"], strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    arguments = parser.parse_args()
    table, grid = study(), GRID
    if arguments.quick:
        arguments.rounds, table, grid = 1, study(60, 3), {"components": (2, 4), "leaf": (5,), "trees": (5, 10)}
    seconds: dict[str, list[float]] = {"ours": [], "GridSearchCV": []}
    for _ in range(arguments.rounds):
        answers = []
        for name, way in (("ours", ours), ("GridSearchCV", theirs)):
            start = time.process_time()
            answers.append(way(table, grid))
            seconds[name].append(time.process_time() - start)
        for point, mean in answers[0].items():
            np.testing.assert_allclose(mean, answers[1][point], atol=1e-9)
    print(f"{len(answers[0])} points, 5 folds, processor seconds, medians of {arguments.rounds}")
    for name, values in seconds.items():
        print(f"  {name:14} {median(values):8.2f} ({spread(values)})")
    print(f"  ours / GridSearchCV: {median(seconds['ours']) / median(seconds['GridSearchCV']):.3f}")
    print(machine("numpy", "scikit-learn"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

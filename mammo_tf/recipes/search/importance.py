"""Which fields mattered: permutation importance of a random forest over the trials, as far as so few can tell.

The forest predicts the score of trials that it was not fitted to (cross-validation); a field's importance is how much
worse it predicts them when that field's values are shuffled among them, as a share of the variance of the scores. What
a forest cannot predict it cannot explain, so how well it predicts stands next to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.recipes.search.space import Label, Number, OneOf, Space
from mammo_tf.recipes.search.trial_log import Trial

FOLDS, REPEATS, SHUFFLES, TREES = 5, 3, 5, 100
LEAST, FEW = 10, 50  # trials from which on anything is computed; below which it means little
EPOCHS = "epochs"


class Importance(NamedTuple):
    """Of one field.

    Attributes:
        field: its name; `epochs` where trials were trained for different numbers of them.
        value: fall of the share of variance that is predicted, mean over folds, repeats and shuffles.
        low, high: smallest and largest mean over the folds of one repeat.
    """

    field: str
    value: float
    low: float
    high: float


class Importances(NamedTuple):
    """Of all fields.

    Attributes:
        fields: the largest first; empty where nothing was computed.
        predicted: share of the variance of held-out scores that the forest predicts; 0 or below is nothing.
        trials: how many were looked at.
        note: what must be known of it; "" where nothing must.
    """

    fields: tuple[Importance, ...]
    predicted: float | None
    trials: int
    note: str


def importances(space: Space, trials: Sequence[Trial]) -> Importances:
    """How much each field had to do with the score.

    Args:
        space: what was searched.
        trials: any; those with a score count.
    """
    scored = [trial for trial in trials if trial.score is not None]
    if len(scored) < LEAST:
        return Importances((), None, len(scored), f"{len(scored)} trials are too few to say which field mattered")
    names, groups, columns = _columns(space, scored)
    scores = np.array([trial.score for trial in scored], np.float64)
    if scores.std() == 0:
        return Importances((), None, len(scored), "all trials have the same score")
    predicted, falls = _cross_fitted(columns, scores, groups)
    found = [
        Importance(name, float(values.mean()), float(values.min()), float(values.max()))
        for name, values in zip(names, falls.T, strict=True)
    ]
    return Importances(
        tuple(sorted(found, key=lambda one: -one.value)), predicted, len(scored), _note(scored, predicted)
    )


def _note(scored: Sequence[Trial], predicted: float) -> str:
    if predicted <= 0:
        return f"the fields do not predict the scores of {len(scored)} trials at all: the order of this figure is noise"
    if len(scored) < FEW:
        return f"{len(scored)} trials say little about which field mattered: the order may be another with other trials"
    return ""


def _cross_fitted(
    columns: NDArray[np.float64], scores: NDArray[np.float64], groups: Sequence[Sequence[int]]
) -> tuple[float, NDArray[np.float64]]:
    """Share of variance predicted, and its fall for each field in each repeat, float64 `[repeats, fields]`."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    errors, shuffled = np.zeros(REPEATS), np.zeros((REPEATS, len(groups)))
    for repeat in range(REPEATS):
        generator = np.random.default_rng(repeat)
        for inside, held in KFold(FOLDS, shuffle=True, random_state=repeat).split(columns):
            forest = RandomForestRegressor(TREES, random_state=repeat, n_jobs=1).fit(columns[inside], scores[inside])
            errors[repeat] += np.square(forest.predict(columns[held]) - scores[held]).sum()
            for number, group in enumerate(groups):
                for _ in range(SHUFFLES):
                    changed = columns[held].copy()
                    changed[:, group] = changed[generator.permutation(len(held))][:, group]
                    squares = np.square(forest.predict(changed) - scores[held]).sum()
                    shuffled[repeat, number] += squares / SHUFFLES
    total = np.square(scores - scores.mean()).sum()
    return float(1 - errors.mean() / total), (shuffled - errors[:, None]) / total


def _columns(space: Space, trials: Sequence[Trial]) -> tuple[list[str], list[list[int]], NDArray[np.float64]]:
    """Names of the fields, which columns are of each, and the columns `[trials, columns]`.

    A choice is a column for each of its values; a field that a trial does not have is at its middle there.
    """
    names: list[str] = []
    groups: list[list[int]] = []
    columns: list[list[float]] = []
    for name, dimension in space.fields.items():
        labels = [trial.begun.labels.get(name) for trial in trials]
        if isinstance(dimension, OneOf):
            made = [[float(label == known) for label in labels] for known in dimension.labels]
        else:
            made = [[0.5 if label is None else position(dimension, label) for label in labels]]
        names.append(name)
        groups.append(list(range(len(columns), len(columns) + len(made))))
        columns += made
    epochs = [float(trial.begun.epochs or 0) for trial in trials]
    if len(set(epochs)) > 1:
        names.append(EPOCHS)
        groups.append([len(columns)])
        columns.append(epochs)
    return names, groups, np.array(columns, np.float64).T


def position(dimension: object, label: Label) -> float:
    """Where a value lies in its range, from 0 to 1; a choice by its place among the others."""
    if isinstance(dimension, OneOf):
        return dimension.labels.index(str(label)) / (len(dimension.labels) - 1)
    assert hasattr(dimension, "low") and hasattr(dimension, "high")
    low, high, value = float(dimension.low), float(dimension.high), float(label)
    if isinstance(dimension, Number) and dimension.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)

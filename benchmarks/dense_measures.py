"""AUC of several trainings on the same pictures, and differences, with intervals over patients; for `real_sites.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dense_sites import PICTURES
from numpy.typing import NDArray

from mammo_tf.evaluation.intervals import bootstrap
from mammo_tf.evaluation.roc import auc

KEYS = ["image_id", "patient_id", "dense"]


def joined(files: Sequence[Sequence[Path]]) -> list[pd.DataFrame]:
    """Tables of scores beside one another: `files` has a list for each kind of model, one file a training in it."""
    parts = [[pd.read_csv(path, dtype={"patient_id": str, "image_id": str}) for path in paths] for paths in files]
    beside = partial(pd.merge, on=KEYS, validate="1:1")
    return [reduce(beside, tables) for tables in zip(*parts, strict=True)]


def mean_area(labels: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """Mean AUC over trainings and over parts that have a model each: only pictures of one part are compared.

    Args:
        labels: `[pictures]`.
        values: `[pictures, 1 + trainings]`, the number of the part, then scores.
    """
    parts = [values[:, 0] == part for part in np.unique(values[:, 0])]
    return float(np.mean([auc(labels[part], column[part]) for column in values[:, 1:].T for part in parts]))


def gain(labels: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """How far the mean AUC of the first half of the trainings lies above that of the second; see `mean_area`."""
    first, second = np.hsplit(values[:, 1:], 2)
    part = values[:, :1]
    return mean_area(labels, np.hstack([part, first])) - mean_area(labels, np.hstack([part, second]))


def told(tables: Sequence[pd.DataFrame], name: str, other: str | None, replicates: int) -> dict[str, Any]:
    """AUC of one column of scores, or its difference from another's: mean over trainings with interval, and each.

    Args:
        tables: one a training, of the same rows in the same order: `patient_id`, `dense`, `part`, scores.
        name: of the column.
        other: of the one that it is compared with on the same patients.
        replicates: of the bootstrap over patients.
    """
    names, statistic = ([name], mean_area) if other is None else ([name, other], gain)
    parts = tables[0]["part"].to_numpy(np.float64)
    scores = [table[one] for one in names for table in tables]
    labels, patients = tables[0]["dense"].to_numpy(), tables[0]["patient_id"].to_numpy()
    found = bootstrap(statistic, labels, np.stack([parts, *scores], axis=1), patients, replicates)
    ours = [scores[number :: len(tables)] for number in range(len(tables))]
    each = [statistic(labels, np.stack([parts, *one], axis=1)) for one in ours]
    return {"value": found.value, "low": found.low, "high": found.high, "each_seed": each}


def differences(
    tables: Sequence[pd.DataFrame], pairs: Iterable[tuple[str, str]], replicates: int
) -> dict[str, dict[str, Any]]:
    """Of those pairs of columns that are there, by `first - second`."""
    there = [pair for pair in pairs if set(pair) <= set(tables[0])]
    return {f"{name} - {other}": told(tables, name, other, replicates) for name, other in there}


def without_labels(models: Sequence[str]) -> list[tuple[str, str]]:
    """What is compared where no label of the target is used: remedies of one model, then models against `plain`."""
    steps = [(name, other) for number, other in enumerate(PICTURES) for name in PICTURES[number + 1 :]]
    found = [(f"{model}_{name}", f"{model}_{other}") for model in models for name, other in steps]
    changed = [model for model in models if model != "plain"]
    found += [(f"{model}_{name}", f"plain_{name}") for model in changed for name in PICTURES]
    return found + [(f"{model}_untouched", f"plain_{name}") for model in changed for name in PICTURES[1:]]


def with_labels(number: int) -> list[tuple[str, str]]:
    """What is compared where so many patients of the target are labelled."""
    tuned, alone = f"tuned_{number}", f"alone_{number}_untouched"
    found = [(f"{tuned}_{name}", f"plain_{name}") for name in PICTURES]
    found += [(f"{tuned}_{name}", f"{tuned}_untouched") for name in PICTURES[1:]]
    found += [(f"{tuned}_untouched", f"{model}_{name}") for model in ("plain", "augmented") for name in PICTURES[1:]]
    return found + [(f"{tuned}_{name}", alone) for name in PICTURES]

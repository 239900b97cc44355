"""What a search makes large: a figure of validation, and how much of the best trial's is selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.levels import resampled_column, with_identity
from mammo_tf.evaluation.selection import Measure, Selection, selection_of_best, weighted_aucs, weighted_means
from mammo_tf.recipes.search.space import Space
from mammo_tf.training.tasks import Task

DICE = "dsc"
IDENTITY = ("image_id", "frame", "patch_seed")  # of a row


def _columns(tables: Sequence[pd.DataFrame], name: str) -> NDArray[np.float64]:
    return np.column_stack([table[name].to_numpy(np.float64) for table in tables])


def _aucs(tables: Sequence[pd.DataFrame]) -> Measure:
    return weighted_aucs(tables[0]["label"], _columns(tables, "score"))


def _dices(tables: Sequence[pd.DataFrame]) -> Measure:
    return weighted_means(_columns(tables, DICE))


@dataclass(frozen=True)
class Objective:
    """One figure of validation.

    Attributes:
        name: as stages watch it.
        title: for readers.
        rows: what it is of, for readers.
        measured: scores of trials from their tables of validation predictions, which have the same rows.
    """

    name: str
    title: str
    rows: str
    measured: Callable[[Sequence[pd.DataFrame]], Measure]

    def score(self, table: pd.DataFrame) -> float:
        """Of one trial.

        Raises:
            MammoError: `score_missing` where the table gives none.
        """
        value = float(self.measured([table])(np.ones((1, len(table))))[0, 0])
        if not np.isfinite(value):
            sentence = f"validation gives no {self.title}"
            raise MammoError("score_missing", sentence, "Put pictures of both classes, with findings, into validation")
        return value

    def selection(self, tables: Sequence[pd.DataFrame], replicates: int = 1000) -> Selection:
        """Of the best trial.

        Raises:
            MammoError: `rows_differ` where trials scored different rows, as with patches that are drawn; those of
                `selection_of_best`.
        """
        first = [column for column in IDENTITY if column in tables[0]]
        for table in tables[1:]:
            if not table[first].astype(str).equals(tables[0][first].astype(str)):
                raise MammoError("rows_differ", "the trials scored different patches or pictures")
        rows = with_identity(tables[0])
        patients = rows[resampled_column(rows)].to_numpy()
        strata = pd.Series(rows["label"].to_numpy()).groupby(patients).transform("max").to_numpy()
        return selection_of_best(self.measured(tables), patients, strata, replicates)


OBJECTIVES: Mapping[str, Objective] = {
    one.name: one
    for one in (
        Objective("val_auc", "AUC", "of all scored pictures, or of the patches that were drawn of them", _aucs),
        Objective("val_dice", "Dice", "mean over pictures in which truth or network has a finding", _dices),
    )
}


def objective_of(space: Space, task: Task) -> Objective:
    """What the space names, or else the one that the task has.

    Raises:
        MammoError: `space_wrong`.
    """
    known = [name for name in task.monitors if name in OBJECTIVES]
    if space.objective and space.objective not in known:
        sentence = f"the objective of a {task.kind} is {' or '.join(known)}, not {space.objective!r}"
        raise MammoError("space_wrong", sentence, "Fix the search space next to the recipe")
    return OBJECTIVES[space.objective or known[0]]

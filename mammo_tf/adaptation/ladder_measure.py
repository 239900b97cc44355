"""What the ladder compares rungs by: the AUC of a level, or for masks the Dice of pictures with a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, auc_interval, bootstrap, compare
from mammo_tf.evaluation.comparison import two_sided
from mammo_tf.evaluation.intervals import Interval
from mammo_tf.evaluation.levels import at_level, level_named, measured_levels
from mammo_tf.evaluation.numbers import Number, number_of
from mammo_tf.recipes.recipe import Evaluation
from mammo_tf.training.tasks import Segmentation, Task

DSC = "dsc"


class Measure(Protocol):
    """A figure of predictions that is higher where a model is better.

    Attributes:
        name: in files.
        level: of the cases that are counted.
    """

    @property
    def name(self) -> str: ...

    @property
    def level(self) -> str: ...

    @property
    def title(self) -> str:
        """For readers, such as `AUC of breasts`."""

    def of(self, table: pd.DataFrame, evaluation: Evaluation) -> Number:
        """The figure of predictions of one split, with its 95 % interval over patients."""

    def apart(self, first: pd.DataFrame, second: pd.DataFrame, evaluation: Evaluation) -> Number:
        """Second minus first on the same pictures, with interval and p, patients drawn together."""


@dataclass(frozen=True)
class AreaUnderCurve:
    """The AUC of the cases of a level."""

    level: str
    name: str = "auc"

    @property
    def title(self) -> str:
        """See `Measure`."""
        return f"AUC of {level_named(self.level).plural}"

    def of(self, table: pd.DataFrame, evaluation: Evaluation) -> Number:
        """See `Measure`."""
        cases, resampling = cases_of(table, self.level, evaluation), evaluation.resampling
        labels, scores = cases["label"].to_numpy(np.int64), cases["score"].to_numpy(np.float64)
        patients = cases["patient_id"].to_numpy()

        def interval() -> Interval:
            return auc_interval(
                labels, scores, patients, resampling.replicates, resampling.seed,
                strata=resampling.strata(labels, patients),
            )  # fmt: skip

        return number_of(interval, len(cases), resampling.words(patients))

    def apart(self, first: pd.DataFrame, second: pd.DataFrame, evaluation: Evaluation) -> Number:
        """See `Measure`."""
        found: Metrics = compare(
            first, second, aggregates=evaluation.aggregates, resampling=evaluation.resampling,
            pool_exams=evaluation.pool_exams, levels=(self.level,),
        )  # fmt: skip
        (levels,) = found.values()
        return levels[self.level]["auc_difference"]


@dataclass(frozen=True)
class Dice:
    """The mean Dice coefficient of pictures with a finding that is looked for."""

    level: str = "image"
    name: str = DSC

    @property
    def title(self) -> str:
        """See `Measure`."""
        return "Dice of images with a finding"

    def of(self, table: pd.DataFrame, evaluation: Evaluation) -> Number:
        """See `Measure`."""
        rows = table[table["label"] == 1]
        return self._mean(rows, _numbers(rows, DSC)[:, None], evaluation)

    def apart(self, first: pd.DataFrame, second: pd.DataFrame, evaluation: Evaluation) -> Number:
        """See `Measure`."""
        keys = ["image_id", *(name for name in ("frame",) if name in first and name in second)]
        rows = first[first["label"] == 1].merge(second[[*keys, DSC]], on=keys, suffixes=("", "_second"))
        both = np.stack([_numbers(rows, f"{DSC}_second"), _numbers(rows, DSC)], axis=1)
        return self._mean(rows, both, evaluation, paired="paired ")

    def _mean(
        self, rows: pd.DataFrame, values: NDArray[np.float64], evaluation: Evaluation, paired: str = ""
    ) -> Number:
        """Of the first column, less that of the second where there is one."""
        resampling, patients = evaluation.resampling, rows["patient_id"].to_numpy()
        how = f"{paired}{resampling.words(patients)}"
        kept: list[Interval] = []

        def statistic(_: NDArray[np.int64], some: NDArray[np.float64]) -> float:
            return float(np.mean(some[:, 0] - (some[:, 1] if some.shape[1] > 1 else 0.0)))

        def interval() -> Interval:
            if not len(values):
                raise MammoError("no_cases", "no image has a finding that is looked for")
            given = np.nan_to_num(values)  # nothing called where there is a finding is a Dice of 0
            kept.append(bootstrap(statistic, rows["label"], given, patients, resampling.replicates))
            return kept[-1]

        number = number_of(interval, len(rows), how)
        if paired and kept and len(kept[0].replicates) > 1:
            number["p"] = two_sided(kept[0].replicates)
            number["p_least"] = 2 / (len(kept[0].replicates) + 1)
        return number


def _numbers(rows: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column of a file as numbers."""
    return np.asarray(pd.to_numeric(rows[column], errors="coerce"), np.float64)


def cases_of(table: pd.DataFrame, level: str, evaluation: Evaluation) -> pd.DataFrame:
    """The cases of a level.

    Raises:
        MammoError: `level_missing` where the table does not tell it.
    """
    cases = at_level(table, level, evaluation.aggregates)
    if cases is None:
        told = ", ".join(one.name for one in measured_levels(table, evaluation.pool_exams))
        raise MammoError("level_missing", f"predictions of the site tell no {level}", f"Choose one of {told}")
    return cases


def measure_for(task: Task, level: str | None, table: pd.DataFrame, evaluation: Evaluation) -> Measure:
    """What rungs are compared by.

    Args:
        task: of the model.
        level: asked for; None takes breasts where they are told, else the coarsest level.
        table: predictions of the site.
        evaluation: how scores are put together.

    Raises:
        MammoError: `level_missing`, `option_wrong` for a level where masks are compared.
    """
    if isinstance(task, Segmentation):
        if level not in (None, "image"):
            raise MammoError("option_wrong", f"masks are compared image by image, not by {level}", "Leave --level out")
        return Dice()
    told = [one.name for one in measured_levels(table, evaluation.pool_exams)]
    chosen = level or ("breast" if "breast" in told else told[-1])
    if chosen not in told:
        raise MammoError(
            "level_missing", f"predictions of the site tell no {chosen}", f"Choose one of {', '.join(told)}"
        )
    return AreaUnderCurve(chosen)

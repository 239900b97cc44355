"""AUC at one site against AUC at another: other pictures, and the same patients or others."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.evaluation.intervals import OVER_PATIENTS, Interval, Resampling, bootstrap
from mammo_tf.evaluation.numbers import Number, number_of
from mammo_tf.evaluation.roc import auc


def auc_apart(here: pd.DataFrame, there: pd.DataFrame, resampling: Resampling = OVER_PATIENTS) -> Number:
    """AUC there minus AUC here, with its 95 % interval over patients.

    Patients who are at both sites are drawn together with all their cases of both; where nobody is, each site keeps
    its number of patients.

    Args:
        here, there: cases with `label`, `score`, `patient_id`, as `at_level` gives them.
        resampling: how the interval is made.
    """
    labels = np.concatenate([here["label"], there["label"]]).astype(np.int64)
    place = np.repeat([0.0, 1.0], [len(here), len(there)])
    scores = np.stack([np.concatenate([here["score"], there["score"]]), place], axis=1)
    patients = np.concatenate([here["patient_id"].astype(str), there["patient_id"].astype(str)])
    both = set(here["patient_id"].astype(str)) & set(there["patient_id"].astype(str))
    strata = None if both else place.astype(np.int64)

    def difference(truth: NDArray[np.int64], values: NDArray[np.float64]) -> float:
        there_now = values[:, 1] == 1
        return auc(truth[there_now], values[there_now, 0]) - auc(truth[~there_now], values[~there_now, 0])

    def interval() -> Interval:
        return bootstrap(
            difference, labels, scores, patients, resampling.replicates, "percentile", resampling.seed, strata=strata
        )

    words = f"{len(both)} patients at both sites, drawn together" if both else "each site's patients drawn apart"
    return number_of(interval, len(labels), f"bootstrap over patients, {resampling.replicates} resamples; {words}")

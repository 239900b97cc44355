"""Masks against masks: overlap of a picture, and its mean over pictures with an interval over patients."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.evaluation.intervals import Resampling, share_interval
from mammo_tf.evaluation.numbers import Levels, Numbers, missing_number, number_of

OVERLAP = ("tpr", "precision", "dsc")
TITLES = {"tpr": "True positive rate of pixels", "precision": "Precision of pixels", "dsc": "Dice coefficient"}
HOW = {
    "tpr": "mean over images with a finding",
    "precision": "mean over images in which something is called",
    "dsc": "mean over images with a finding or a call",
}

WITHOUT = {
    "tpr": "no image has a finding",
    "precision": "nothing is called in any image",
    "dsc": "no image has a finding or a call",
}


def overlap(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> dict[str, float]:
    """True positive rate, precision and Dice coefficient of two masks of one shape, each in [0, 1].

    `tpr` is not a number for an empty truth, `precision` for an empty call, `dsc` if both are empty; if one of them is
    empty `dsc` is 0. Source: METHODS B's metrics; `tests/golden/surface` has other packages' conventions.
    """
    both = float(np.count_nonzero(found & truth))
    called, true = float(np.count_nonzero(found)), float(np.count_nonzero(truth))
    return {
        "tpr": both / true if true else np.nan,
        "precision": both / called if called else np.nan,
        "dsc": 2 * both / (called + true) if called + true else np.nan,
    }


def overlap_metrics(table: pd.DataFrame, resampling: Resampling) -> dict[str, Levels]:
    """Split -> level `image` -> `tpr`, `precision`, `dsc` as numbers of `metrics.json`; n is how many images count.

    Args:
        table: predictions with the columns `OVERLAP`.
        resampling: how intervals are made; patients are drawn with all their images.
    """
    found: dict[str, Levels] = {}
    for split, part in table.groupby("split", sort=False):
        numbers: Numbers = {}
        for name in OVERLAP:
            known = part[part[name].notna()]
            if known.empty:
                numbers[name] = missing_number(0, HOW[name], WITHOUT[name])
                continue
            values = known[name].to_numpy(np.float64)
            labels, patients = known["label"].to_numpy(np.int64), known["patient_id"].to_numpy()
            interval = partial(
                share_interval, values, np.ones(len(values)), patients, resampling.replicates, resampling.seed,
                method=resampling.method, strata=resampling.strata(labels, patients),
            )  # fmt: skip
            numbers[name] = number_of(interval, len(values), f"{HOW[name]}; {resampling.words(patients)}")
        found[str(split)] = {"image": numbers}
    return found

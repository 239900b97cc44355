"""Masks against masks: how much of one lies in the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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

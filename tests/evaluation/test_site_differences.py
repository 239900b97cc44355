"""AUC at one site against another, of the same patients and of others."""

import numpy as np
import pandas as pd
import pytest

from mammo_tf.evaluation import auc
from mammo_tf.evaluation.intervals import Resampling
from mammo_tf.evaluation.site_differences import auc_apart

FEW = Resampling(400)


def site(seed, gain, name="p"):
    generator = np.random.default_rng(seed)
    labels = np.arange(80) % 2
    women = np.random.default_rng(0).normal(size=80)  # what the same women have in common at both sites
    scores = gain * labels + women + 0.2 * generator.normal(size=80)
    return pd.DataFrame({"label": labels, "score": scores, "patient_id": [f"{name}{one}" for one in range(80)]})


def test_it_is_the_difference_of_both_areas():
    here, there = site(1, 0.5), site(2, 1.5)
    found = auc_apart(here, there, FEW)
    plain = auc(there["label"], there["score"]) - auc(here["label"], here["score"])
    assert found["value"] == pytest.approx(plain)
    assert found["low"] < plain < found["high"]
    assert "80 patients at both sites" in found["how"]


def test_the_same_women_tell_more_than_others():
    here = site(1, 1.0)
    same, others = (auc_apart(here, site(2, 1.0, name), FEW) for name in ("p", "q"))
    assert same["value"] == pytest.approx(others["value"])
    assert same["high"] - same["low"] < 0.6 * (others["high"] - others["low"])

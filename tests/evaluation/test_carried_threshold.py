"""Operating points taken to another site, against counts made by hand and laws that must hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.carried_threshold import (
    DISTANCE,
    distance_rate,
    matched_threshold,
    recalibrated_threshold,
)
from mammo_tf.evaluation.intervals import Resampling
from mammo_tf.evaluation.rates import rate_numbers


def drawn(seed, count, slope=1.0, intercept=0.0):
    """Labels whose log odds are slope x logit(score) + intercept."""
    generator = np.random.default_rng(seed)
    logit = generator.normal(0, 1.5, count)
    labels = (generator.uniform(size=count) < expit(slope * logit + intercept)).astype(np.int64)
    return labels, expit(logit)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_matching_calls_as_large_a_share_of_the_site(threshold):
    reference = np.random.default_rng(0).beta(2, 5, 4000)
    site = np.random.default_rng(1).beta(5, 2, 4000)
    found = matched_threshold(reference, site, threshold)
    assert (site >= found).mean() == pytest.approx((reference >= threshold).mean(), abs=0.002)


@given(st.integers(0, 50), st.floats(0.05, 0.95))
def test_scores_of_one_site_keep_their_threshold(seed, threshold):
    scores = np.random.default_rng(seed).uniform(size=60)
    found = matched_threshold(scores, scores, threshold)
    assert ((scores >= found) == (scores >= threshold)).all()


def test_a_threshold_above_all_calls_nobody():
    site = np.array([0.1, 0.2, 0.3])
    found = matched_threshold([0.1, 0.2, 0.3, 0.4], site, 0.99)
    assert not (site >= found).any()


def test_recalibration_finds_a_known_change():
    reference, site = drawn(0, 40_000), drawn(1, 40_000, slope=0.5, intercept=1.0)
    # probability 0.5 is logit 0 at the reference; at the site 0.5 x logit + 1 = 0
    assert recalibrated_threshold(*reference, *site, 0.5) == pytest.approx(expit(-2.0), abs=0.01)
    shifted = drawn(2, 40_000, intercept=1.0)
    assert recalibrated_threshold(*reference, *shifted, 0.5, slope=False) == pytest.approx(expit(-1.0), abs=0.01)


def test_recalibration_is_refused_where_it_is_undefined():
    reference = drawn(0, 400)
    cases = {
        "one_class": (np.ones(5, int), np.linspace(0.1, 0.9, 5)),
        "calibration_undefined": (np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])),
        "score_outside": (np.array([0, 1]), np.array([-1.0, 3.0])),
    }
    for code, site in cases.items():
        with pytest.raises(MammoError) as caught:
            recalibrated_threshold(*reference, *site, 0.5)
        assert caught.value.code == code
    backwards = (1 - reference[0], reference[1])
    with pytest.raises(MammoError) as caught:
        recalibrated_threshold(*reference, *backwards, 0.5)
    assert caught.value.code == "calibration_undefined"
    with pytest.raises(MammoError) as caught:
        recalibrated_threshold(*reference, *reference, 1.0)
    assert caught.value.code == "threshold_wrong"


def test_distance_is_the_larger_difference():
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    scores = np.array([0.9, 0.9, 0.9, 0.1, 0.9, 0.1, 0.1, 0.1])  # sensitivity 3/4, specificity 3/4
    patients = np.arange(8)
    rates = rate_numbers(labels, scores, 0.5, patients, Resampling(200), (distance_rate(0.85, 0.70),))
    assert rates[DISTANCE]["value"] == pytest.approx(0.10)
    assert rates[DISTANCE]["low"] <= 0.10 <= rates[DISTANCE]["high"]
    with pytest.raises(MammoError) as caught:
        distance_rate(85, 0.7)
    assert caught.value.code == "intended_wrong"

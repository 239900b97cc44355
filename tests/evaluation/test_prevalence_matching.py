"""Matching under another prevalence, against samples that are in fact matched."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_tf.evaluation.prevalence_matching import matched_under_prevalence
from mammo_tf.evaluation.score_matching import match


@pytest.fixture(scope="module")
def reference() -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(4000) % 10 == 0
    return labels, np.random.default_rng(0).normal(1.5 * labels, 1)


@pytest.mark.parametrize("times", [1, 3, 6])
def test_what_matching_does_is_told_before_it_is_done(reference: tuple, times: int) -> None:
    labels, scores = reference
    site = np.concatenate([np.repeat(scores[labels], times), scores[~labels]])
    truth = np.concatenate([np.ones(times * labels.sum(), bool), np.zeros((~labels).sum(), bool)])
    found = matched_under_prevalence(labels, scores, None, 0.9, float(truth.mean()))
    matched = match(scores, site)(site)
    assert found.recall_rate == pytest.approx((site >= 0.9).mean())
    assert found.sensitivity == pytest.approx((scores[labels] >= 0.9).mean())
    assert found.specificity == pytest.approx((scores[~labels] < 0.9).mean())
    assert found.matched_sensitivity == pytest.approx((matched[truth] >= 0.9).mean(), abs=0.01)
    assert found.matched_specificity == pytest.approx((matched[~truth] < 0.9).mean(), abs=0.002)


def test_patients_not_images_make_up_the_share(reference: tuple) -> None:
    labels, scores = reference
    patients = np.arange(4000) // 2
    same = matched_under_prevalence(labels, scores, patients, 0.9, 0.2)  # every fifth pair holds a positive image
    assert same.recall_rate == pytest.approx((scores >= 0.9).mean())
    assert same.matched_sensitivity == pytest.approx(same.sensitivity, abs=0.005)
    assert same.matched_specificity == pytest.approx(same.specificity, abs=0.001)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("threshold", [-9.0, 9.0, np.inf])
def test_at_the_ends(reference: tuple, share: float, threshold: float) -> None:
    labels, scores = reference
    found = matched_under_prevalence(labels, scores, None, threshold, share)
    assert all(0 <= number <= 1 for number in found)
    assert found.specificity == pytest.approx((scores[~labels] < threshold).mean())

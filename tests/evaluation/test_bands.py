"""Bands and intervals by weights equal those by drawing cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import auc, bootstrap, curve
from mammo_tf.evaluation.bands import auc_interval, curve_intervals, roc_band


def cases(seed: int, patients: int = 30, views: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), views)
    labels = np.repeat(generator.integers(0, 2, patients), views)
    labels[0], labels[-1] = 0, 1
    return labels, np.round(labels * 0.6 + generator.normal(size=len(labels)), 1), groups


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_interval_equals_the_one_by_drawing_cases(seed: int, clustered: bool) -> None:
    labels, scores, groups = cases(seed, patients=12)
    by = groups if clustered else None
    drawn = bootstrap(auc, labels, scores, by, replicates=60, seed=seed)
    weighed = auc_interval(labels, scores, by, replicates=60, seed=seed)
    assert weighed.discarded == drawn.discarded
    np.testing.assert_allclose(weighed.replicates, drawn.replicates, atol=1e-12)
    np.testing.assert_allclose(weighed[:3], drawn[:3], atol=1e-12)


def test_band_goes_through_the_corners_of_the_curve() -> None:
    labels, scores, groups = cases(1)
    points = curve(labels, scores)
    rates = np.unique(1 - points.specificity)
    highest = [points.sensitivity[np.isclose(1 - points.specificity, rate)].max() for rate in rates]
    band = roc_band(labels, scores, groups, rates=rates, replicates=50)
    np.testing.assert_allclose(band.sensitivity, highest, atol=1e-9)
    assert (band.low <= band.high).all()
    assert (np.diff(band.sensitivity) >= 0).all()


def test_band_at_a_rate_is_the_bootstrap_of_the_sensitivity_there() -> None:
    labels, scores, groups = cases(2)

    def sensitivity_at_fifth(labels: np.ndarray, scores: np.ndarray) -> float:
        points = curve(labels, scores[:, 0] if scores.ndim == 2 else scores)
        return float(np.interp(0.2 + 1e-12, 1 - points.specificity, points.sensitivity))

    drawn = bootstrap(sensitivity_at_fifth, labels, scores, groups, replicates=200)
    band = roc_band(labels, scores, groups, rates=[0.2], replicates=200)
    np.testing.assert_allclose([band.low[0], band.high[0]], [drawn.low, drawn.high], atol=1e-9)


def test_patients_make_the_band_wider_than_images() -> None:
    labels, scores, groups = cases(3, patients=40)
    scores = scores + np.repeat(np.random.default_rng(0).normal(0, 3, 40), 4)
    clustered = roc_band(labels, scores, groups, replicates=300)
    single = roc_band(labels, scores, None, replicates=300)
    assert (clustered.high - clustered.low).mean() > 1.3 * (single.high - single.low).mean()


def test_one_class_is_refused_and_no_replicate_gives_no_band() -> None:
    with pytest.raises(MammoError) as caught:
        roc_band([1, 1], [0.1, 0.2])
    assert caught.value.code == "one_class"
    assert np.isnan(roc_band([0, 1], [0.1, 0.2], replicates=0).low).all()
    assert np.isnan(auc_interval([0, 1], [0.1, 0.2], replicates=0).low)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("stratified", [False, True])
def test_the_fast_interval_is_the_bootstrap_of_auc(method: str, stratified: bool) -> None:
    generator = np.random.default_rng(5)
    patients = np.repeat(np.arange(40), generator.integers(1, 5, 40))
    of_patient = np.arange(40) % 8 == 0
    labels = (of_patient[patients] & (generator.random(len(patients)) < 0.8)).astype(int)
    scores = np.round(labels + generator.normal(0, 1.5, len(labels)), 1)
    strata = of_patient[patients] if stratified else None
    slow = bootstrap(auc, labels, scores, patients, 300, method, seed=3, strata=strata)
    fast = auc_interval(labels, scores, patients, 300, 3, method=method, strata=strata)
    np.testing.assert_allclose(fast.replicates, slow.replicates, atol=1e-12)
    assert fast[:3] == pytest.approx(slow[:3], abs=1e-12)
    assert fast.discarded == slow.discarded == 0 if stratified else True


def test_strata_keep_their_numbers_and_split_no_patient() -> None:
    labels, scores = [1, 0, 0, 0, 0, 0, 0, 0], np.arange(8) / 8
    plain = auc_interval(labels, scores, replicates=200)
    kept = auc_interval(labels, scores, replicates=200, strata=labels)
    assert plain.discarded > 30
    assert kept.discarded == 0
    with pytest.raises(MammoError, match="more than one stratum"):
        auc_interval(labels, scores, [0, 0, 1, 2, 3, 4, 5, 6], strata=labels)


STATISTICS = Path(__file__).parents[1] / "golden" / "statistics" / "statistics.json"
CASES = json.loads(STATISTICS.read_text())["roc_cases"]


@pytest.mark.parametrize("name", CASES)
def test_sensitivity_at_a_specificity_is_the_golden_step(name: str) -> None:
    case = CASES[name]
    answers = {
        float(key.rsplit("_", 1)[1]): answer["step_sens"]
        for key, answer in case["threshold_a"].items()
        if key.startswith("sens_at_spec_")
    }
    assert answers
    found = curve_intervals(case["y"], case["score_a"], None, tuple(answers), replicates=5)
    assert [point.value for point in found[1:]] == pytest.approx(list(answers.values()), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=4, max_size=24).filter(
        lambda cases: len({label for label, _ in cases}) == 2
    ),
    st.sampled_from([0.5, 0.9, 0.95, 1.0]),
)
def test_it_is_the_largest_among_all_thresholds(cases: list[tuple[int, int]], wanted: float) -> None:
    labels, scores = (np.array(column) for column in zip(*cases, strict=True))
    points = curve(labels, scores)
    expected = points.sensitivity[points.specificity >= wanted - 1e-12].max()
    assert curve_intervals(labels, scores, None, (wanted,), replicates=2)[1].value == pytest.approx(expected)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_points_of_the_curve_have_the_intervals_of_the_plain_bootstrap(method: str) -> None:
    generator = np.random.default_rng(5)
    patients = np.repeat(np.arange(50), 3)
    labels = np.repeat(np.arange(50) % 2, 3)
    scores = np.round(generator.normal(1.5 * labels, 1.0), 1)  # with ties

    def point(truth: np.ndarray, values: np.ndarray) -> float:
        points = curve(truth, values)
        return float(points.sensitivity[points.specificity >= 0.9 - 1e-12].max())

    plain = bootstrap(point, labels, scores, patients, 200, method, seed=2)
    area, found = curve_intervals(labels, scores, patients, (0.9,), 200, 2, method=method)
    assert found.value == pytest.approx(plain.value)
    np.testing.assert_allclose(found.replicates, plain.replicates)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))
    alone = auc_interval(labels, scores, patients, 200, 2, method=method)
    assert (area.value, area.low, area.high) == (alone.value, alone.low, alone.high)

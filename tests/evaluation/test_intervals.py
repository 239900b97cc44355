"""The bootstrap against exact enumerations and given resamples."""

from __future__ import annotations

import json
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import auc, bootstrap
from mammo_tf.evaluation.intervals import (
    CHUNK,
    Resampling,
    bca_levels,
    group_numbers,
    resampled_counts,
    resamples,
    share_interval,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "statistics"
LEVELS = np.array([0.025, 0.975])


@pytest.fixture(scope="module")
def answers() -> dict:
    return json.loads((GOLDEN / "statistics.json").read_text())["bootstrap"]


def _mean(_: np.ndarray, scores: np.ndarray) -> float:
    return float(scores.mean())


def test_given_resamples(answers: dict) -> None:
    arrays = np.load(GOLDEN / "statistics.npz")
    labels, scores = arrays["boot_auc_y"].astype(int), arrays["boot_auc_score"]
    replicates = np.array([auc(labels[index], scores[index]) for index in arrays["boot_auc_index"]])
    np.testing.assert_allclose(replicates, arrays["boot_auc_replicates"], atol=1e-12)
    expected = answers["given_index_auc"]
    np.testing.assert_allclose(np.quantile(replicates, LEVELS), expected["percentile95"], atol=1e-12)
    jackknife = np.array([auc(np.delete(labels, i), np.delete(scores, i)) for i in range(len(labels))])
    levels = bca_levels(auc(labels, scores), replicates, jackknife, LEVELS)
    np.testing.assert_allclose(levels, [expected["bca"]["alpha_lo"], expected["bca"]["alpha_hi"]], atol=1e-9)
    np.testing.assert_allclose(np.quantile(replicates, levels), expected["bca95"], atol=1e-9)


def test_given_replicates_of_a_mean(answers: dict) -> None:
    arrays, expected = np.load(GOLDEN / "statistics.npz"), answers["given_replicates_mean"]
    sample, replicates = arrays["boot_mean_x"], arrays["boot_mean_replicates"]
    jackknife = np.array([np.delete(sample, i).mean() for i in range(len(sample))])
    levels = bca_levels(float(sample.mean()), replicates, jackknife, LEVELS)
    np.testing.assert_allclose(np.quantile(replicates, levels), expected["bca95"], atol=1e-9)
    np.testing.assert_allclose(np.quantile(replicates, LEVELS), expected["percentile95"], atol=1e-9)


def test_resamples_follow_the_exact_law(answers: dict) -> None:
    exact = answers["auc_unstratified"]
    found = bootstrap(auc, exact["y"], exact["score"], replicates=20_000, seed=3)
    assert found.value == pytest.approx(exact["auc"])
    values = np.array([float(Fraction(value)) for value in exact["values"]])
    law = np.array(exact["multiplicity"]) / sum(exact["multiplicity"])
    shares = np.array([np.isclose(found.replicates, value).mean() for value in values])
    assert shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(shares, law, atol=0.012)
    assert found.discarded / 20_000 == pytest.approx(exact["discarded_one_class"] / 46656, abs=0.005)
    assert [found.low, found.high] == pytest.approx(exact["percentile95"]["linear"], abs=0.03)


def test_patients_are_resampled_whole() -> None:
    """Ten patients with four equal images each: the interval is that of ten, not of forty."""
    generator = np.random.default_rng(0)
    scores = generator.normal(size=10)
    images = np.repeat(scores, 4)
    grouped = bootstrap(_mean, np.zeros(40), images, np.repeat(np.arange(10), 4), seed=1)
    alone = bootstrap(_mean, np.zeros(10), scores, seed=1)
    np.testing.assert_allclose(grouped.replicates, alone.replicates)
    naive = bootstrap(_mean, np.zeros(40), images, seed=1)
    assert naive.high - naive.low < 0.7 * (grouped.high - grouped.low)


@pytest.mark.parametrize("replicates", [1, CHUNK, 2 * CHUNK + 1])
@pytest.mark.parametrize("most", [1, 3, 10**6])
def test_counts_of_resamples_are_their_sums(replicates: int, most: int) -> None:
    counts = np.random.default_rng(most).integers(0, most, (6, 50)).astype(float)
    wanted = [counts[:, draw].sum(axis=1) for draw in resamples(np.arange(50), replicates, 7)]
    np.testing.assert_array_equal(resampled_counts(counts, resamples(np.arange(50), replicates, 7)).T, wanted)


def test_names_are_numbered_in_their_order_whatever_they_are() -> None:
    names = np.random.default_rng(0).integers(0, 30, 200)
    for groups in (names, names.astype(str), names.astype(str).astype(object), [f"p{name}" for name in names]):
        wanted = np.unique(np.asarray(groups), return_inverse=True)[1]
        np.testing.assert_array_equal(group_numbers(groups, 200), wanted)
    with pytest.raises(MammoError, match="199 groups"):
        group_numbers(names[1:].astype(object), 200)


def test_bca_and_its_bad_input() -> None:
    labels, scores = np.array([0, 0, 0, 1, 1, 1]), np.array([0.1, 0.5, 0.3, 0.4, 0.8, 0.9])
    found = bootstrap(auc, labels, scores, method="bca", replicates=500)
    assert 0 <= found.low <= found.value <= found.high <= 1
    with pytest.raises(MammoError, match="method 'magic' is unknown"):
        bootstrap(auc, labels, scores, method="magic")
    with pytest.raises(MammoError, match="do not belong together"):
        bootstrap(auc, labels, scores, groups=[1, 2])
    with pytest.raises(MammoError, match="all 2 cases are negative"):
        bootstrap(auc, [0, 0], [0.1, 0.2])


def test_bca_takes_rounding_for_what_it_is() -> None:
    replicates = np.r_[np.full(300, 0.5), np.full(300, 0.5 + 1e-16), np.full(200, 0.4), np.full(200, 0.6)]
    plain = bca_levels(0.5, np.round(replicates, 9), np.full(12, 0.25), LEVELS)
    np.testing.assert_allclose(plain, LEVELS)
    jackknife = np.full(12, 97 / 108)
    jackknife[3] = np.nextafter(jackknife[3], 0)
    np.testing.assert_allclose(bca_levels(0.5, replicates, jackknife, LEVELS), LEVELS)


def test_a_share_of_equal_numbers_is_a_point_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = share_interval([0.3364] * 12, [1] * 12, method="bca", replicates=200)
        assert (found.low, found.high) == pytest.approx((0.3364, 0.3364))
        assert np.isnan(bca_levels(0.5, np.full(9, 0.4), np.empty(0), LEVELS)).all()
    assert np.isnan(share_interval([1, 0], [1, 1], replicates=0).low)
    with pytest.raises(MammoError, match="0 resamples"):
        Resampling(0)

"""Tests of shift: the distance by its own formula, what a mixture is, levels of the tests, and laws of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse

from mammo_tf.evaluation.shift_tests import (
    by_patient,
    distribution,
    fit_mixture,
    no_shift_p,
    points_between,
)

RISING = {
    "line": lambda x: 3 * x - 7,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "cube": lambda x: x**3,
    "exponential": np.exp,
}


def _tables(*samples: np.ndarray, patients: int | None = None) -> list:
    """Samples as tables at common points; `patients` is how many scores each has."""
    points = points_between(np.concatenate([one.ravel() for one in samples]))
    groups = [np.arange(one.size) // (patients or 1) for one in samples]
    return [by_patient(one.ravel(), group, points) for one, group in zip(samples, groups, strict=True)]


def test_the_distance_is_that_of_anderson_and_darling() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=800), generator.normal(0.4, 1.2, size=500)
    tables = _tables(first, second)
    span = 2 * np.log(1300)  # of the logit between the first and the last point
    found = np.mean((distribution(tables[0]) - distribution(tables[1])) ** 2) * span
    pooled = np.sort(np.concatenate([first, second]))[:-1]
    shares = [np.searchsorted(np.sort(one), pooled, side="right") / len(one) for one in (first, second)]
    both = np.arange(1, 1300) / 1300
    by_formula = np.sum((shares[0] - shares[1]) ** 2 / (both * (1 - both))) / 1300
    assert found == pytest.approx(by_formula, rel=0.03)


def test_a_patient_counts_once_however_many_images_she_has() -> None:
    points = np.array([1.0, 2.0, 3.0])
    table = by_patient([1, 2, 3, 3, 1.5], ["a", "a", "a", "b", "a"], points)
    np.testing.assert_allclose(table.toarray(), [[0.25, 0.5, 0.25], [0, 0, 1]])
    np.testing.assert_allclose(distribution(table), [0.125, 0.375, 1.0])
    assert points_between([4.0, 1.0, 2.0])[[0, -1]].tolist() == [1.0, 4.0]


def test_patients_of_one_score_are_drawn_as_those_of_several() -> None:
    generator = np.random.default_rng(0)
    tables = _tables(generator.normal(1.5, 1, 40), generator.normal(0, 1, 200), generator.normal(0.2, 1, 150))
    general = []
    for table in tables:  # a cell that says nothing: no longer one a patient
        rows, columns = table.nonzero()
        cells = (np.append(table.data, 0.0), (np.append(rows, 0), np.append(columns, (columns[0] + 1) % 200)))
        general.append(sparse.csr_array(cells, shape=table.shape))
        assert general[-1].nnz == table.nnz + 1
    found, wanted = (fit_mixture(*samples, replicates=99) for samples in (tables, general))
    assert found[:3] == wanted[:3]
    assert found.p == wanted.p
    np.testing.assert_array_equal(found.curve, wanted.curve)


def test_a_site_without_shift_is_told_of_one_as_often_as_the_level_says_also_with_images_alike() -> None:
    """Four images of a patient are nearly alike: who takes them for four patients rejects one half-split in three."""
    generator = np.random.default_rng(1)
    found = []
    for number in range(100):
        person = generator.normal(size=(70, 1))
        images = person + 0.1 * generator.normal(size=(70, 4))
        tables = _tables(images[:40], images[40:], patients=4)
        direction = distribution(tables[0])[::-1] - 1  # any
        found.append(no_shift_p(*tables, direction, 99, number))
    assert (np.array(found) <= 0.05).mean() <= 0.1
    assert np.mean(found) == pytest.approx(0.5, abs=0.07)


def test_a_shift_along_the_feared_direction_is_found_sooner() -> None:
    generator = np.random.default_rng(2)
    negative, positive = generator.normal(size=400), generator.normal(2.5, 1, size=400)
    found = []
    for number in range(30):
        draws = generator.permutation(400)
        reference = np.concatenate([negative[draws[:285]], positive[draws[:15]]])
        site = np.concatenate([negative[draws[285:]], positive[draws[15:36]]])
        tables = _tables(reference, site, negative, positive)
        direction = distribution(tables[3]) - distribution(tables[2])
        found.append([no_shift_p(*tables[:2], way, 99, number) <= 0.05 for way in (None, direction)])
    without, along = np.mean(found, axis=0)
    assert along >= without
    assert along > 0.4


@example(positive=[0, 0, 0], negative=[0, 0, 1], times=(1, 1))  # its own mixture, but for rounding
@given(
    positive=st.lists(st.integers(-9, 15), min_size=3, max_size=20),
    negative=st.lists(st.integers(-15, 9), min_size=3, max_size=20),
    times=st.tuples(st.integers(0, 4), st.integers(1, 4)),
)
@settings(max_examples=15)
def test_a_mixture_is_known_for_one(positive: list, negative: list, times: tuple[int, int]) -> None:
    site = np.array(positive * times[0] + negative * times[1], float)
    first, second, third = _tables(np.array(positive, float), np.array(negative, float), site)
    found = fit_mixture(first, second, third, replicates=10)
    np.testing.assert_allclose(found.curve, distribution(third), atol=1e-9)
    assert found.p == 1
    if sorted(positive) != sorted(negative) and np.abs(distribution(first) - distribution(second)).max() > 1e-9:
        assert found.share == pytest.approx(times[0] * len(positive) / len(site), abs=1e-9)
    assert 0 <= found.low <= found.high <= 1


@given(name=st.sampled_from(sorted(RISING)), seed=st.integers(0, 1000))
@settings(max_examples=6)
def test_a_rising_change_of_all_scores_changes_nothing(name: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    samples = [generator.normal(mean, 1, 30) for mean in (1.5, 0, 0.4)]
    answers = []
    for change in (lambda x: x, RISING[name]):
        positive, negative, site = _tables(*(change(one) for one in samples))
        mixture = fit_mixture(positive, negative, site, replicates=30)
        answers.append([no_shift_p(negative, site, replicates=30), mixture.share, mixture.p, mixture.low])
    np.testing.assert_allclose(*answers, atol=1e-9)


def test_a_site_that_is_no_mixture_is_told_and_one_in_another_share_is_not_one_in_the_known() -> None:
    generator = np.random.default_rng(3)
    positive, negative = generator.normal(2, 1, 100), generator.normal(0, 1, 900)
    moved = generator.normal(0.8, 1, 150)
    mixed = np.concatenate([generator.normal(2, 1, 60), generator.normal(0, 1, 140)])
    first, second, third, fourth = _tables(positive, negative, moved, mixed)
    assert fit_mixture(first, second, third, replicates=99).p <= 0.02
    found = fit_mixture(first, second, fourth, replicates=199)
    assert found.p > 0.05
    assert found.low < 0.3 < found.high
    assert fit_mixture(first, second, fourth, 0.3, 99).p > 0.05
    known = fit_mixture(first, second, fourth, 0.1, 99)
    assert known.p <= 0.05
    assert known[:3] == (0.1, 0.1, 0.1)

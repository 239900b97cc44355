"""Means of vectors of patients: no difference is told where there is none, and prevalence is told from a machine."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_tf.evaluation.vector_tests import (
    AXES,
    accounted,
    beyond_prevalence_p,
    case_mix,
    differ_p,
    distance,
    known_moments,
    moments,
    patient_labels,
    patient_means,
    permuted_p,
    principal_axes,
)

SIZE = 6
CLASSES = np.linspace(-1, 1, SIZE)  # how far positive patients lie from negative ones
MACHINE = np.array([0.6, 0.6, 0, 0, 0.6, 0.6])  # across the classes' difference


def _sample(count: int, share: float, seed: int, moved: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Skewed and correlated vectors, and labels."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(count) < round(share * count)).astype(int)
    noise = generator.gamma(4, 0.5, (count, SIZE)) @ (np.eye(SIZE) + 0.3)
    return noise + labels[:, None] * CLASSES + moved * MACHINE, labels


def _told(draws: int, count: int, share: float, moved: float) -> np.ndarray:
    """How often each of the three tests says that there is a difference, at 5 %."""
    found = []
    for seed in range(draws):
        theirs, labels = _sample(150, 0.2, 2 * seed)
        ours, _ = _sample(count, share, 2 * seed + 1, moved)
        one, other = moments(theirs, labels), moments(ours)
        found.append([permuted_p(theirs, ours, 99, seed), differ_p(one, other), beyond_prevalence_p(one, other)])
    return (np.array(found) <= 0.05).mean(axis=0)


def test_one_population_seldom_differs() -> None:
    assert (_told(200, 60, 0.2, 0.0) <= 0.1).all()  # 5 % of 200, three standard errors above


def test_another_prevalence_is_a_difference_that_prevalence_explains() -> None:
    permuted, by_moments, beyond = _told(60, 150, 0.7, 0.0)
    assert min(permuted, by_moments) > 0.9
    assert beyond <= 0.1


def test_another_machine_is_beyond_prevalence() -> None:
    assert (_told(40, 60, 0.2, 1.5) > 0.9).all()
    assert _told(40, 60, 0.5, 1.5)[2] > 0.9, "at another prevalence too"


def test_without_classes_prevalence_is_credited_with_one_standard_deviation() -> None:
    theirs, labels = _sample(150, 0.05, 0)  # 8 positive patients
    one = moments(theirs, labels)
    assert one.direction is None
    near, far = (moments(_sample(100, 0.05, 1, moved)[0]) for moved in (1.5, 3.0))
    assert differ_p(one, near) < 0.001 and beyond_prevalence_p(one, near) > 0.1
    assert beyond_prevalence_p(one, far) < 0.001


def test_another_case_mix_is_accounted_for_and_a_machine_is_seen_behind_it() -> None:
    """Vectors rise with age; the site's women are older by a standard deviation."""
    found = []
    for seed in range(150):
        generator = np.random.default_rng((7, seed))
        ages = [generator.normal(mean, 10, (count, 1)) for mean, count in ((50, 100), (60, 60))]
        theirs, ours = (_sample(len(age), 0.2, 2 * seed + place)[0] + 0.15 * age for place, age in enumerate(ages))
        mix = case_mix(theirs, ages[0])
        error, one = mix.error(ages[1]), moments(mix.carried(theirs, ages[0]))
        alike, moved = (moments(mix.carried(vectors, ages[1])) for vectors in (ours, ours + 1.5 * MACHINE))
        accounted = differ_p(one, alike, error), beyond_prevalence_p(one, alike, error)
        found.append([differ_p(moments(theirs), moments(ours)), *accounted, differ_p(one, moved, error)])
    blamed, differs, beyond, seen = (np.array(found) <= 0.05).mean(axis=0)
    assert blamed > 0.9 and differs <= 0.11 and beyond <= 0.11 and seen > 0.9
    np.testing.assert_allclose(one.mean, moments(theirs).mean)


@pytest.mark.parametrize("columns", [[0], [1, 2], [0, 1, 2]])
def test_moments_are_all_that_a_case_mix_wants(columns: list[int]) -> None:
    """Of a card, which keeps no patient, as of the patients themselves, for any part of what is known."""
    vectors, labels = _sample(80, 0.3, 3)
    dense = np.random.default_rng(4).integers(0, 3, 80)
    known = np.column_stack([50 + 10 * vectors[:, 0] + np.arange(80) % 7, dense == 1, dense == 2]).astype(np.float64)
    part = known[:, columns]
    mix = case_mix(vectors, part)
    expected = moments(mix.carried(vectors, part), labels)
    found, same = accounted(moments(vectors, labels), known_moments(vectors, known, labels).part(np.array(columns)))
    for one, other in zip((*same, *found[:2], found.direction), (*mix, *expected[:2], expected.direction), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)


def test_a_patient_is_the_mean_of_her_pictures_and_positive_if_one_is() -> None:
    patients = ["b", "a", "b", "c"]
    values = patient_means([[1.0, 0.0], [5.0, 2.0], [3.0, 4.0], [0.0, 0.0]], patients)
    np.testing.assert_array_equal(sorted(values.tolist()), [[0, 0], [2, 2], [5, 2]])
    labels = patient_labels([0, -1, 1, 0], patients)
    assert {(*row,): label for row, label in zip(values, labels, strict=True)} == {(2, 2): 1, (5, 2): -1, (0, 0): 0}


def test_numbers_that_never_vary_tell_nothing() -> None:
    theirs, ours = (np.hstack([_sample(60, 0.2, seed)[0], np.ones((60, 2))]) for seed in (0, 1))
    assert differ_p(moments(theirs), moments(ours)) > 0.1
    assert permuted_p(theirs, ours, 99) == pytest.approx(permuted_p(theirs[:, :SIZE], ours[:, :SIZE], 99), abs=0.011)


def test_the_distance_is_in_standard_deviations() -> None:
    generator = np.random.default_rng(0)
    theirs = generator.normal(size=(4000, 3)) * (1, 10, 0.1)
    assert distance(moments(theirs), moments(theirs + (1, 10, 0.1))) == pytest.approx(3**0.5, rel=0.05)
    assert distance(moments(theirs), moments(theirs)) == 0


def test_axes_are_few_and_those_of_largest_spread() -> None:
    generator = np.random.default_rng(0)
    wide = generator.normal(size=(120, 40)) * np.r_[np.full(3, 50.0), np.ones(37)]
    axes = principal_axes(wide)
    assert axes.shape == (12, 40), "a tenth of the patients"
    np.testing.assert_allclose((axes[:3, :3] ** 2).sum(), 3, atol=0.1)
    assert len(principal_axes(generator.normal(size=(200, 40)))) == AXES
    assert len(principal_axes(np.ones((50, 4)))) == 1, "a network that is dead"
    assert len(principal_axes(generator.normal(size=(30, 1)))) == 1

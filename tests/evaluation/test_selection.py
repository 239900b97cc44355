"""What is reported as selection is what selection does: held to simulations in which the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.roc import auc
from mammo_tf.evaluation.selection import selection_of_best, weighted_aucs, weighted_means

TRIALS, PATIENTS = 20, 38  # nineteen pairs, as the thesis had for validation


def study(generator: np.random.Generator, apart: np.ndarray, shared: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of nineteen pairs by trials that share most of what they see, positives `apart` higher."""
    labels = np.repeat([0, 1], PATIENTS // 2)
    common = generator.normal(size=(PATIENTS, 1)) * np.sqrt(shared)
    own = generator.normal(size=(PATIENTS, len(apart))) * np.sqrt(1 - shared)
    return labels, common + own + labels[:, None] * apart


def simulated(apart: np.ndarray, studies: int = 80) -> tuple[float, float, float]:
    """Mean over studies: true optimism of the best trial, reported selection, and Efron's optimism."""
    truth = ndtr(apart / np.sqrt(2))
    true, reported, plain = [], [], []
    for seed in range(studies):
        labels, scores = study(np.random.default_rng(seed), apart)
        measure = weighted_aucs(labels, scores)
        found = selection_of_best(measure, np.arange(PATIENTS), labels, replicates=200, seed=seed)
        true.append(found.best - truth[found.number])
        reported.append(found.selection)
        plain.append(_efron(measure, labels, seed))
    return float(np.mean(true)), float(np.mean(reported)), float(np.mean(plain))


def _efron(measure, labels: np.ndarray, seed: int, replicates: int = 200) -> float:
    """The choice of each resample on the resample minus the same on all patients."""
    generator, full = np.random.default_rng(seed), measure(np.ones((1, PATIENTS)))[0]
    half = PATIENTS // 2
    counts = np.concatenate([generator.multinomial(half, np.full(half, 1 / half), replicates) for _ in "01"], axis=1)
    inside = measure(counts.astype(float))
    chosen = inside.argmax(axis=1)
    return float(np.mean(inside[np.arange(replicates), chosen] - full[chosen]))


def test_of_equal_trials_the_reported_selection_is_the_true_optimism() -> None:
    true, reported, plain = simulated(np.full(TRIALS, 1.0))
    assert true > 0.04, "nineteen pairs choose with much noise"
    assert reported == pytest.approx(true, abs=0.01)
    assert plain < 0.85 * true, "the bootstrap that judges on all patients tells too little"


def test_where_one_trial_is_far_better_little_is_selection() -> None:
    true, reported, _ = simulated(np.r_[2.5, np.full(TRIALS - 1, 0.3)], 40)
    assert abs(true) < 0.01
    assert abs(reported) < 0.015


def test_where_trials_differ_a_little_it_tells_rather_more_than_less() -> None:
    true, reported, plain = simulated(np.linspace(0.6, 1.4, TRIALS), 50)
    assert plain < true < reported < true + 0.025


def test_of_equal_trials_the_best_stands_as_far_above_the_mean_as_chance_puts_it() -> None:
    found = []
    for seed in range(60):
        labels, scores = study(np.random.default_rng(seed), np.full(TRIALS, 1.0))
        found.append(selection_of_best(weighted_aucs(labels, scores), np.arange(PATIENTS), labels, 200, seed))
    chance, seen = (np.mean([getattr(one, name) for one in found]) for name in ("by_chance", "above_mean"))
    assert chance == pytest.approx(seen, rel=0.15)


def test_weighted_measures_are_those_of_cases_that_stand_there_so_often() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 40)
    scores = generator.integers(0, 6, (40, 3)) / 5  # many ties
    counts = generator.integers(0, 4, (7, 40))
    found = weighted_aucs(labels, scores)(counts.astype(float))
    means = weighted_means(np.where(scores == 1, np.nan, scores))(counts.astype(float))
    for row, count in enumerate(counts):
        cases = np.repeat(np.arange(40), count)
        for trial in range(3):
            assert found[row, trial] == pytest.approx(auc(labels[cases], scores[cases, trial]))
            values = scores[cases, trial]
            assert means[row, trial] == pytest.approx(values[values < 1].mean())
    only = np.where(labels == 1, 1.0, 0.0)[None]
    assert np.isnan(weighted_aucs(labels, scores)(only)).all()


def test_patients_travel_whole_and_are_the_same_for_the_same_seed() -> None:
    labels, scores = study(np.random.default_rng(5), np.linspace(0.2, 1.4, 6))
    once = selection_of_best(weighted_aucs(labels, scores), np.arange(PATIENTS), labels, 100)
    twice = np.repeat(np.arange(PATIENTS), 2)
    doubled = selection_of_best(weighted_aucs(labels[twice], scores[twice]), twice, labels[twice], 100)
    assert doubled.corrected == pytest.approx(once.corrected)
    assert doubled.patients == PATIENTS
    assert "left out" in once.words


def test_one_trial_and_one_patient_a_class_are_refused() -> None:
    labels, scores = study(np.random.default_rng(5), np.full(3, 1.0))
    with pytest.raises(MammoError, match="nothing is chosen"):
        selection_of_best(weighted_aucs(labels, scores[:, :1]), np.arange(PATIENTS), labels)
    with pytest.raises(MammoError, match="too few"):
        selection_of_best(weighted_aucs([0, 1], scores[:2]), [0, 1], [0, 1], 20)

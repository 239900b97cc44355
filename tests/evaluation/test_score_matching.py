"""Score tables: laws of any matching of distributions, ranks by hand, bad input, and a real screening model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.operating import operating_point
from mammo_tf.evaluation.roc import auc
from mammo_tf.evaluation.score_matching import (
    ADVISED_PATIENTS,
    LEAST_PATIENTS,
    ScoreTable,
    check_patients,
    check_scales,
    match,
)

NUMBERS = st.lists(st.integers(-40, 40), min_size=2, max_size=60).filter(lambda values: len(set(values)) > 1)
SHARES = st.lists(st.integers(0, 100), min_size=2, max_size=60).filter(lambda values: len(set(values)) > 1)
RISING = {
    "line": lambda x: 3 * x - 7,
    "logistic": lambda x: 1 / (1 + np.exp(-x / 20)),
    "cube": lambda x: x**3,
    "exponential": lambda x: np.exp(x / 10),
}


@given(name=st.sampled_from(sorted(RISING)), reference=NUMBERS, site=NUMBERS)
@settings(max_examples=30)
def test_a_rising_change_of_the_sites_scores_changes_nothing(name: str, reference: list, site: list) -> None:
    scores, changed = np.array(site, float), RISING[name](np.array(site, float))
    np.testing.assert_allclose(match(reference, changed)(changed), match(reference, scores)(scores), atol=1e-9)


@given(scores=NUMBERS, others=NUMBERS)
@settings(max_examples=20)
def test_equal_samples_are_left_alone(scores: list, others: list) -> None:
    table = match(scores, scores[::-1])
    assert (table(scores) == np.array(scores)).all()
    np.testing.assert_allclose(table(others), others, atol=1e-9)  # new scores too, within the knots and outside


@given(reference=SHARES, site=SHARES, others=st.lists(st.floats(-0.5, 1.5), min_size=2, max_size=30))
@settings(max_examples=25)
def test_order_is_kept_ties_too_and_probabilities_stay_within_0_and_1(
    reference: list, site: list, others: list
) -> None:
    table = match(np.array(reference) / 100, np.array(site) / 100)
    given_scores = np.sort(np.concatenate([np.array(site) / 100, others]))
    found = table.apply(given_scores)
    assert (np.diff(found) >= 0).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert (found[:-1][np.diff(given_scores) == 0] == found[1:][np.diff(given_scores) == 0]).all()
    assert (table(given_scores) == found).all()
    assert ScoreTable.from_json(json.loads(json.dumps(table.to_json()))) == table


def test_the_share_at_or_above_every_reference_score_is_met() -> None:
    generator = np.random.default_rng(0)
    for reference in (generator.normal(size=999), generator.integers(0, 5, 999).astype(float)):
        site = np.exp(generator.normal(1, 2, 999))
        matched = match(reference, site)(site)
        for threshold in np.unique(reference):
            assert (matched >= threshold).sum() == (reference >= threshold).sum()


def test_ranks_by_hand() -> None:
    table = match([1.0, 2.0, 4.0], [10.0, 20.0, 20.0, 20.0, 70.0])
    # ranks 1, 3 and 5 of 6; those of the reference at 1/4, 1/2 and 3/4, with 1.5 more at both ends
    np.testing.assert_allclose(table([10, 20, 70]), [0.5, 2.0, 4.5])
    np.testing.assert_allclose(table([15, 80, 4]), [1.25, 4.5 + 4 / 6, 0.5 - 0.4])
    assert (table.n_reference, table.n_site) == (3, 5)


def test_the_ranking_is_as_good_as_before_also_beyond_the_sample() -> None:
    generator = np.random.default_rng(1)
    labels = np.arange(4000) % 20 == 0
    scores = 1 / (1 + np.exp(2 - generator.normal(2.0 * labels, 1)))
    table = match(scores**2, scores[:100])  # the strongest scores are beyond those of 100
    assert auc(labels, table(scores)) == auc(labels, scores)
    assert len(np.unique(table(scores))) == len(np.unique(scores))


def test_logits_are_matched_to_probabilities_and_few_to_many() -> None:
    generator = np.random.default_rng(2)
    logit = generator.normal(size=30)
    table = match(generator.random(5000), logit)
    np.testing.assert_allclose(np.sort(table(logit)), np.arange(1, 31) / 31, atol=0.03)
    assert 0 <= table([-50.0])[0] <= table([50.0])[0] <= 1


@pytest.mark.parametrize(
    ("reference", "site", "code"),
    [
        ([], [1, 2], "scores_missing"),
        ([1, 2], [], "scores_missing"),
        ([1, np.nan], [1, 2], "score_not_finite"),
        ([1, 2], [1, np.inf], "score_not_finite"),
        ([3, 3], [1, 2], "scores_constant"),
        ([1, 2], [0.5] * 9, "scores_constant"),
    ],
)
def test_samples_that_have_no_distribution(reference: list, site: list, code: str) -> None:
    with pytest.raises(MammoError) as caught:
        match(reference, site)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "changed",
    [
        {"from_scores": [0.0]},
        {"from_scores": [0.0, 0.0]},
        {"to_scores": [1.0, 0.0]},
        {"to_scores": [1.0]},
        {"from_scores": [0.0, None]},
        {"further": 1},
    ],
)
def test_stored_tables_that_are_none(changed: dict) -> None:
    stored = match([0.1, 0.4], [0.2, 0.3]).to_json()
    with pytest.raises(MammoError) as caught:
        ScoreTable.from_json({**stored, **changed})
    assert caught.value.code == "score_table_wrong"
    with pytest.raises(MammoError, match="1 scores are not finite"):
        ScoreTable.from_json(stored)([0.1, np.nan])


def test_how_many_patients_are_wanted() -> None:
    with pytest.raises(MammoError, match=f"24 patients are too few .* Gather {LEAST_PATIENTS} or more") as caught:
        check_patients(24, "B.csv")
    assert caught.value.code == "patients_few"
    assert f"{ADVISED_PATIENTS} are advised" in check_patients(100, "B.csv")
    assert check_patients(ADVISED_PATIENTS, "B.csv") == ""


@pytest.mark.parametrize(
    ("reference", "site", "says"),
    [
        ([0.1, 0.9], [4, 93], "divide percentages by 100"),
        ([1, 9.7], [0.2, 0.8], "here by 10"),
        ([0.1, 0.9], [-4, 2], "logits as probabilities"),
        ([-3, 2], [0, 1], "logits as probabilities"),
        ([1, 5], [3, 98], "in one way"),
        ([-3, 2], [3, 98], "in one way"),
    ],
)
def test_two_scales_are_told(reference: list, site: list, says: str) -> None:
    with pytest.raises(MammoError, match=says) as caught:
        check_scales(reference, site, "A", "B")
    assert caught.value.code == "scales_differ"


@pytest.mark.parametrize(
    ("reference", "site"),
    [([0.1, 0.9], [0.001, 0.2]), ([-3, 2], [-20, 11]), ([-3, 2], [0.5, 6]), ([1, 90], [20, 99]), ([1, 5], [2, 4])],
)
def test_one_scale_is_taken(reference: list, site: list) -> None:
    check_scales(reference, site, "A", "B")


@pytest.mark.real
def test_a_screening_model_at_another_site_and_after_an_update(real_data: Path) -> None:
    """Roschewitz et al. 2023: sensitivity and specificity at A's threshold, before and after matching.

    With 1,000 patients the known answer for B's sensitivity, .837, is one draw of patients to match and to test: over
    draws it is .832, and .834 with all.
    """
    tables = {name: pd.read_csv(real_data / "scores" / f"{name}.csv") for name in ("A", "A_after_update", "B")}
    scores = {name: table["pred1"].to_numpy().reshape(-1, 4) for name, table in tables.items()}
    labels = {name: table["malignant"].astype(int).to_numpy().reshape(-1, 4) for name, table in tables.items()}
    point = operating_point(labels["A"].ravel(), scores["A"].ravel(), "equal_error")
    assert tuple(point) == pytest.approx((0.1926, 0.818, 0.817), abs=5e-4)

    def rates(name: str, found: np.ndarray) -> tuple[float, float]:
        called, positive = found >= point.threshold, labels[name] == 1
        return float(called[positive].mean()), 1 - float(called[~positive].mean())

    known = {
        ("A_after_update", 0): (0.921, 0.549), ("B", 0): (0.970, 0.324),
        ("A_after_update", 1000): (0.808, 0.816), ("B", 1000): (0.837, 0.813),
        ("A_after_update", 100): (0.807, 0.815), ("B", 100): (0.832, 0.806),
    }  # fmt: skip
    generator = np.random.default_rng(0)
    for (name, patients), answer in known.items():
        if not patients:
            assert rates(name, scores[name]) == pytest.approx(answer, abs=5e-4)
            continue
        draws = [generator.permutation(len(scores[name]))[:patients] for _ in range(60)]
        tables_of = [match(scores["A"].ravel(), scores[name][draw].ravel()) for draw in draws]
        mean = np.mean([rates(name, table(scores[name])) for table in tables_of], axis=0)
        within = 0.01 if patients == 100 else np.array([0.006 if name == "B" else 0.005, 0.005])
        assert (np.abs(mean - answer) <= within).all(), (name, patients, mean)

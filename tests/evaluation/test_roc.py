"""AUC, DeLong and thresholds against the golden answers."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import auc, curve, delong, delong_paired, g_mean_threshold

CASES = ["ties_small", "ties_mid", "cont_200", "imbalanced"]


@pytest.fixture(scope="module")
def answers() -> dict:
    path = Path(__file__).parents[1] / "golden" / "statistics" / "statistics.json"
    return json.loads(path.read_text())


def test_every_golden_data_set(answers: dict) -> None:
    assert set(CASES) <= set(answers["roc_cases"])
    for case in answers["roc_cases"].values():
        labels = case["y"]
        for number, key in enumerate(("score_a", "score_b")):
            found = delong(labels, case[key])
            assert auc(labels, case[key]) == pytest.approx(float(Fraction(case["auc_fraction"][number])), abs=1e-12)
            assert found.variance == pytest.approx(case["delong_cov"][number][number], abs=1e-12)
            assert (found.low, found.high) == pytest.approx(case["delong_ci95_clipped"][number], abs=1e-6)
            if case["delong_ci95_logit"][number]:
                logit = delong(labels, case[key], logit=True)
                assert (logit.low, logit.high) == pytest.approx(case["delong_ci95_logit"][number], abs=1e-6)
        pair, expected = delong_paired(labels, case["score_a"], case["score_b"]), case["delong_paired"]
        assert pair.difference == pytest.approx(expected["diff"], abs=1e-12)
        assert pair.variance == pytest.approx(expected["var"], abs=1e-12)
        assert pair.z == pytest.approx(expected["z"], abs=1e-9)
        assert pair.p == pytest.approx(expected["p"], abs=1e-9)


def test_every_point_of_the_curve(answers: dict) -> None:
    for case in answers["roc_cases"].values():
        points, expected = curve(case["y"], case["score_a"]), case["roc_a"]
        assert points.thresholds.tolist() == [float(value) for value in expected["thresholds_desc"]]
        assert points.true_positives.tolist() == expected["tp"]
        assert points.false_positives.tolist() == expected["fp"]


def test_g_mean_thresholds(answers: dict) -> None:
    for case in answers["roc_cases"].values():
        expected = case["threshold_a"]
        found = g_mean_threshold(case["y"], case["score_a"])
        assert found.threshold == expected["gmean_thresholds_desc"][0]
        assert found.sensitivity == pytest.approx(expected["gmean_sens"][0], abs=1e-12)
        assert found.specificity == pytest.approx(expected["gmean_spec"][0], abs=1e-12)


def test_edge_cases(answers: dict) -> None:
    for case in answers["edge_cases"]:
        found = delong(case["y"], case["score"])
        assert found.auc == case["auc"]
        assert found.variance == case["delong_var"]
        assert delong_paired(case["y"], case["score"], case["score"]).p is None


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), min_size=2, max_size=40).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    )
)
def test_auc_is_the_share_of_pairs_in_order(rows: list) -> None:
    labels, scores = (np.array(values) for values in zip(*rows, strict=True))
    pairs = scores[labels == 1][:, None] - scores[labels == 0][None]
    assert auc(labels, scores) == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
    assert auc(labels, -scores) == pytest.approx(1 - auc(labels, scores))
    assert auc(labels, np.exp(scores / 3)) == auc(labels, scores)
    best = g_mean_threshold(labels, scores)
    products = [np.mean(scores[labels == 1] >= t) * np.mean(scores[labels == 0] < t) for t in scores]
    assert best.sensitivity * best.specificity == pytest.approx(max([0.0, *products]))


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 0, 0], [0.1, 0.2, 0.3], "all 3 cases are negative"),
        ([1, 1], [0.1, 0.2], "all 2 cases are positive"),
        ([], [], "there are no cases"),
        ([0, 2], [0.1, 0.2], "neither 0 nor 1"),
        ([0, 1], [0.1, float("nan")], "1 scores are not finite"),
        ([0, 1, 1], [0.1, 0.2], "do not belong together"),
    ],
)
def test_bad_input_is_never_a_number(labels: list, scores: list, message: str) -> None:
    for function in (auc, delong, g_mean_threshold, curve):
        with pytest.raises(MammoError, match=message):
            function(labels, scores)


def test_a_difference_without_variance_has_no_p() -> None:
    """Exactly nought by fractions; in floating point 2e-33 is left, and p would be 0."""
    found = delong_paired([1, 1, 1, 0, 0, 0], [2, 4, 2, 3, 0, 0], [0, 1, 0, 2, 0, 0])
    assert (found.z, found.p) == (None, None)

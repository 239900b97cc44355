"""Operating points against the golden answers, every rule once more by trying all thresholds, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.operating import OperatingRule, operating_point, sensitivity_at_specificity

CASES = json.loads((Path(__file__).parents[1] / "golden" / "statistics" / "statistics.json").read_text())["roc_cases"]


@pytest.mark.parametrize("name", CASES)
def test_g_mean_and_youden(name: str) -> None:
    case = CASES[name]
    for rule, key in (("g_mean", "gmean"), ("youden", "youden")):
        answer = case["threshold_a"]
        found = operating_point(case["y"], case["score_a"], rule)
        assert found.threshold == answer[f"{key}_thresholds_desc"][0]
        if f"{key}_sens" in answer:
            assert found.sensitivity == pytest.approx(answer[f"{key}_sens"][0], abs=1e-12)
            assert found.specificity == pytest.approx(answer[f"{key}_spec"][0], abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_fixed_sensitivity_and_specificity(name: str) -> None:
    case, answers = CASES[name], CASES[name]["threshold_a"]
    checked = 0
    for key, answer in answers.items():
        if not key.startswith(("sens_at_spec_", "spec_at_sens_")):
            continue
        fixed, target = ("specificity" if key.startswith("sens") else "sensitivity"), float(key.rsplit("_", 1)[1])
        found = operating_point(case["y"], case["score_a"], OperatingRule(fixed, target))
        stored = np.inf if answer["step_threshold"] == "inf" else answer["step_threshold"]
        assert found.threshold == stored
        assert found.sensitivity == pytest.approx(answer["step_sens"], abs=1e-12)
        if "step_spec" in answer:
            assert found.specificity == pytest.approx(answer["step_spec"], abs=1e-12)
        if "linear_sens" in answer:
            linear = sensitivity_at_specificity(case["y"], case["score_a"], target)
            assert linear == pytest.approx(answer["linear_sens"], abs=1e-12)
        checked += 1
    assert checked >= 2


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=30).filter(
        lambda cases: len({label for label, _ in cases}) == 2
    ),
    st.sampled_from([0.2, 0.5, 1.0, 3.0, 20.0]),
    st.sampled_from([None, 0.01, 0.5]),
)
def test_least_cost_by_trying_all(cases: list[tuple[int, int]], miss: float, prevalence: float | None) -> None:
    labels, scores = (np.array(column) for column in zip(*cases, strict=True))
    share = labels.mean() if prevalence is None else prevalence
    costs = {}
    for threshold in [np.inf, *sorted(set(scores), reverse=True)]:
        called = scores >= threshold
        costs[threshold] = share * miss * (~called)[labels == 1].mean() + (1 - share) * called[labels == 0].mean()
    found = operating_point(labels, scores, OperatingRule("cost", miss_cost=miss, prevalence=prevalence))
    assert costs[found.threshold] == pytest.approx(min(costs.values()), abs=1e-9)
    equals = [threshold for threshold, cost in costs.items() if cost < min(costs.values()) - 1e-9]
    assert not equals


def test_a_dear_miss_lowers_the_threshold() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 300)
    scores = labels + generator.normal(0, 1, 300)
    points = [operating_point(labels, scores, OperatingRule("cost", miss_cost=cost)) for cost in (0.1, 1, 10)]
    assert points[0].threshold > points[1].threshold > points[2].threshold


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "f1"},
        {"name": "sensitivity"},
        {"name": "specificity", "target": 1.2},
        {"name": "g_mean", "target": 0.9},
        {"name": "cost", "miss_cost": 0},
        {"name": "cost", "prevalence": 1.0},
    ],
)
def test_rules_that_are_none(wrong: dict) -> None:
    with pytest.raises(MammoError) as caught:
        OperatingRule(**wrong)
    assert caught.value.code == "operating_rule_wrong"


def test_one_class_has_no_operating_point() -> None:
    with pytest.raises(MammoError, match="all 3 cases are negative"):
        operating_point([0, 0, 0], [0.1, 0.2, 0.3], "youden")

"""Rates from counts: known answers, intervals of the plain bootstrap, and that a new one is one line of one file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef

from mammo_tf.cli.main import main
from mammo_tf.evaluation import Resampling, bootstrap, compute_metrics, rates
from mammo_tf.evaluation.call_counts import Calls
from mammo_tf.evaluation.rates import RATES, Rate, numbers_of_calls, rate_numbers, share
from mammo_tf.reporting import Entry, Report, render_report

COUNTS = st.tuples(*[st.integers(0, 40)] * 4)
BY_NAME = {rate.name: rate for rate in RATES}


def value(name: str, counts: tuple[int, int, int, int]) -> float:
    return float(BY_NAME[name].of(*np.array(counts, np.float64)))


def test_by_hand() -> None:
    """8 of 10 positives and 85 of 90 negatives right."""
    counts = (8, 5, 85, 2)
    expected = {
        "sensitivity": 8 / 10, "specificity": 85 / 90, "accuracy": 93 / 100, "ppv": 8 / 13, "npv": 85 / 87,
        "recall_rate": 13 / 100, "prevalence": 10 / 100, "f1": 16 / 23,
        "matthews": (8 * 85 - 5 * 2) / (13 * 10 * 90 * 87) ** 0.5,
    }  # fmt: skip
    assert list(BY_NAME) == list(expected)
    for name, answer in expected.items():
        assert value(name, counts) == pytest.approx(answer, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(COUNTS)
def test_as_scikit_learn_where_they_exist(counts: tuple[int, int, int, int]) -> None:
    tp, fp, tn, fn = counts
    labels, called = [1] * (tp + fn) + [0] * (fp + tn), [1] * tp + [0] * fn + [1] * fp + [0] * tn
    for name, peer in (("f1", f1_score), ("matthews", matthews_corrcoef)):
        found = value(name, counts)
        if np.isfinite(found):
            assert found == pytest.approx(peer(labels, called), abs=1e-12)
    for name, denominator in (("ppv", tp + fp), ("npv", tn + fn), ("sensitivity", tp + fn), ("specificity", tn + fp)):
        assert np.isnan(value(name, counts)) == (denominator == 0)
        assert float(BY_NAME[name].cases(*np.array(counts, np.float64))) == denominator


def sample(cases: int = 160, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    patients = np.arange(cases) // 4
    labels = (patients % 3 == 0).astype(int)
    return labels, generator.normal(labels, 1.0), patients


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_are_those_of_the_plain_bootstrap(method: str) -> None:
    labels, scores, patients = sample()
    found = rate_numbers(labels, scores, 0.8, patients, Resampling(200, 3, method, also_cases=True))
    for name in ("ppv", "matthews"):

        def statistic(truth: np.ndarray, values: np.ndarray, name: str = name) -> float:
            called = values >= 0.8
            kinds = (truth & called, ~truth.astype(bool) & called, ~truth.astype(bool) & ~called, truth & ~called)
            return value(name, tuple(int(np.sum(kind)) for kind in kinds))

        plain = bootstrap(statistic, labels, scores, patients, 200, method, seed=3)
        assert found[name]["value"] == pytest.approx(plain.value, abs=1e-12)
        assert (found[name]["low"], found[name]["high"]) == pytest.approx((plain.low, plain.high), abs=1e-9)
        beside = bootstrap(statistic, labels, scores, None, 200, method, seed=3)
        ends = found[name]["cases_resampled"]
        assert (ends["low"], ends["high"]) == pytest.approx((beside.low, beside.high), abs=1e-9)


def test_samples_that_share_their_draws_have_the_numbers_of_each_by_itself() -> None:
    plain, unlike = Resampling(100, 3, also_cases=True), Resampling(100, 4)
    strata = Resampling(100, 3, "bca", stratified=True)
    samples = []
    for cases, seed, threshold, resampling in (
        (160, 0, 0.8, plain), (160, 1, 0.2, plain), (120, 0, 0.8, plain), (160, 0, 0.8, unlike), (160, 0, 0.8, strata),
        (160, 2, 0.5, strata),
    ):  # fmt: skip
        labels, scores, patients = sample(cases, seed)
        turned = labels[::-1].copy() if seed == 2 else labels  # other patients are positive: another stratum
        samples.append(Calls(turned, scores >= threshold, patients, resampling))
    together = numbers_of_calls(samples)
    assert together == [numbers_of_calls([one])[0] for one in samples]
    assert together[0] == rate_numbers(*sample()[:2], 0.8, sample()[2], plain)
    assert list(numbers_of_calls(samples[:1], RATES[:2])[0]) == ["sensitivity", "specificity"]


def test_rates_that_do_not_exist_say_why() -> None:
    labels, scores, patients = sample()
    nothing_called = rate_numbers(labels, scores, 99.0, patients, Resampling(50))
    assert nothing_called["ppv"]["value"] is None
    assert nothing_called["ppv"]["why"] == "no case is called positive"
    assert nothing_called["ppv"]["n"] == 0
    assert nothing_called["matthews"]["value"] is None
    assert nothing_called["npv"]["value"] == pytest.approx(np.mean(labels == 0))
    healthy = rate_numbers(np.zeros_like(labels), scores, 0.8, patients, Resampling(50))
    assert healthy["sensitivity"]["why"] == "there is no case of this class"


def test_an_interval_is_not_made_of_the_resamples_that_happen_to_have_a_value() -> None:
    """One patient alone is called positive: she is missing in a third of the resamples, and PPV with her."""
    labels, patients = np.tile([1, 0], 20), np.arange(40)
    found = rate_numbers(labels, (patients == 0).astype(float), 0.5, patients, Resampling(400))
    assert found["ppv"]["value"] == 1.0
    assert found["ppv"]["low"] is None
    assert found["ppv"]["why"].startswith("no interval: 3")
    assert "without a value left out" in found["ppv"]["how"]
    assert found["sensitivity"]["low"] is not None


def test_prevalence_is_named_where_a_rate_hangs_on_it(metrics_table: pd.DataFrame) -> None:
    numbers = compute_metrics(metrics_table, resampling=Resampling(20))["test"]["image"]
    for name in ("ppv", "npv", "f1", "matthews"):
        assert "at this sample's prevalence" in numbers[name]["how"]
    assert "prevalence" not in numbers["sensitivity"]["how"]


def test_n_of_a_rate_is_what_it_is_a_share_of(metrics_table: pd.DataFrame) -> None:
    """18 positives of 100 cases: a reader who makes an error of n must find 18 next to the sensitivity."""
    table = metrics_table
    metrics = compute_metrics(table, resampling=Resampling(20))
    test = table[table["split"] == "test"]
    numbers = metrics["test"]["image"]
    called = test["score"] >= numbers["threshold"]["value"]
    assert numbers["sensitivity"]["n"] == (test["label"] == 1).sum()
    assert numbers["specificity"]["n"] == (test["label"] == 0).sum()
    assert numbers["ppv"]["n"] == called.sum()
    assert numbers["npv"]["n"] == (~called).sum()
    for name in ("auc", "accuracy", "f1", "matthews"):
        assert numbers[name]["n"] == len(test)
    for name in ("sensitivity", "specificity"):
        assert (numbers[name]["value"] * numbers[name]["n"]) % 1 == pytest.approx(0, abs=1e-9)


@pytest.mark.long
def test_a_new_rate_is_one_line_of_one_file(
    metrics_table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """It stands in the file, in the report and in the lines that `evaluate` prints, and nothing else was changed."""
    balanced = Rate(
        "balanced_accuracy", "Balanced accuracy",
        lambda tp, fp, tn, fn: (share(tp, tp + fn) + share(tn, tn + fp)) / 2,
    )  # fmt: skip
    monkeypatch.setattr(rates, "RATES", (*RATES, balanced))
    metrics_table.drop(columns=["laterality", "exam_id"]).to_csv(tmp_path / "p.csv", index=False)
    assert main(["evaluate", f"{tmp_path}/p.csv", "--replicates", "50", "-o", f"{tmp_path}/out"]) == 0
    numbers = json.loads((tmp_path / "out" / "metrics.json").read_text())["test"]["patient"]
    number = numbers["balanced_accuracy"]
    assert number["value"] == pytest.approx((numbers["sensitivity"]["value"] + numbers["specificity"]["value"]) / 2)
    assert number["low"] < number["value"] < number["high"]
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if line.split()[:3] == ["test", "patient", balanced.name]
    ]
    assert f"{number['value']:.3f} ({number['low']:.3f} to {number['high']:.3f}), n {number['n']}" in line
    html = render_report(Report("t", "l", (Entry("M", tmp_path / "p.csv", tmp_path / "out" / "metrics.json"),)))
    assert '<th scope="row">Balanced accuracy</th>' in html
    assert f'<data value="{number["value"]}">' in html
    assert f"{number['low']:.3f} to {number['high']:.3f}" in html

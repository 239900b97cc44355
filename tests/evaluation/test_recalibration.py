"""Slope, intercept and calibration-in-the-large: golden answers, known truths, and what cannot be fitted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, compute_metrics
from mammo_tf.evaluation.recalibration import in_the_large, slope_and_intercept

GOLDEN = Path(__file__).parents[1] / "golden" / "statistics"


def test_golden_slope_and_intercept() -> None:
    """Logistic regression of the labels on the logit is Platt's fit with targets 0 and 1."""
    arrays = np.load(GOLDEN / "statistics.npz")
    answer = json.loads((GOLDEN / "statistics.json").read_text())["calibration"]["platt_plain"]
    slope, intercept = slope_and_intercept(arrays["cal_y"], arrays["cal_p"])
    assert slope.value == pytest.approx(answer["slope"], abs=1e-6)
    assert intercept.value == pytest.approx(answer["intercept"], abs=1e-6)


def drawn(slope: float, intercept: float, cases: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    logit = generator.normal(-1, 1.2, cases)
    return (generator.random(cases) < expit(slope * logit + intercept)).astype(int), expit(logit)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (1.23, -0.43), (0.5, 0.8)])
def test_what_scores_were_drawn_with_is_found_again(slope: float, intercept: float) -> None:
    labels, scores = drawn(slope, intercept)
    found = slope_and_intercept(labels, scores)
    for estimate, truth in zip(found, (slope, intercept), strict=True):
        assert estimate.value == pytest.approx(truth, abs=0.06)
        assert estimate.low < truth < estimate.high
    large = in_the_large(labels, scores)
    shifted = expit(np.log(scores / (1 - scores)) + large.value)
    assert shifted.mean() == pytest.approx(labels.mean(), abs=1e-9), "the mean is right once the logit is shifted"
    if slope == 1:
        assert large.value == pytest.approx(0, abs=0.05)


def test_intervals_of_independent_cases_are_those_of_the_information_matrix() -> None:
    labels, scores = drawn(0.8, -0.3, 5_000)
    logit = np.log(scores / (1 - scores))
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(logit[:, None], labels)
    slope, intercept = slope_and_intercept(labels, scores)
    assert (slope.value, intercept.value) == pytest.approx((fitted.coef_[0, 0], fitted.intercept_[0]), abs=1e-4)
    p = expit(slope.value * logit + intercept.value)
    inputs = np.stack([logit, np.ones_like(logit)], axis=1)
    error = np.sqrt(np.diag(np.linalg.inv(inputs.T @ (inputs * (p * (1 - p))[:, None]))))
    assert (slope.high - slope.low) / 2 / 1.959964 == pytest.approx(error[0], rel=0.05)
    assert (intercept.high - intercept.low) / 2 / 1.959964 == pytest.approx(error[1], rel=0.05)


def test_four_images_that_say_the_same_are_one_patient() -> None:
    labels, scores = drawn(0.8, -0.3, 2_000)
    alone = slope_and_intercept(labels, scores)[0]
    many = slope_and_intercept(np.repeat(labels, 4), np.repeat(scores, 4), np.repeat(np.arange(2_000), 4))[0]
    assert (many.value, many.low, many.high) == pytest.approx((alone.value, alone.low, alone.high), abs=1e-6)
    naive = slope_and_intercept(np.repeat(labels, 4), np.repeat(scores, 4))[0]
    assert naive.high - naive.low == pytest.approx((alone.high - alone.low) / 2, rel=0.01)


@pytest.mark.parametrize(
    ("labels", "scores", "says"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], "the scores separate the classes"),
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], "the scores separate the classes"),
        ([0, 1, 0, 1], [0.4] * 4, "all scores are equal"),
        ([1, 1, 1, 1], [0.1, 0.2, 0.8, 0.9], "all 4 cases are positive"),
        ([0, 1, 0, 1], [0.1, 2.0, 0.8, 0.9], "outside 0 to 1"),
    ],
)
def test_what_cannot_be_fitted_says_why(labels: list[int], scores: list[float], says: str) -> None:
    with pytest.raises(MammoError, match=says):
        slope_and_intercept(labels, scores)


def test_calibration_in_the_large_needs_no_slope() -> None:
    labels = [0] * 9 + [1]
    assert in_the_large(labels, [0.5] * 10).value == pytest.approx(np.log(1 / 9))
    assert np.isfinite(in_the_large([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]).value)
    assert np.isfinite(in_the_large([0, 1, 0, 1], [0.0, 1.0, 1.0, 0.3]).value), "0 and 1 are taken close to them"


def test_the_numbers_stand_in_the_metrics(metrics_table: pd.DataFrame) -> None:
    metrics = compute_metrics(metrics_table, resampling=Resampling(20, also_cases=True), calibration="platt")
    numbers = metrics["test"]["image"]
    test = metrics_table[metrics_table["split"] == "test"]
    slope, intercept = slope_and_intercept(test["label"], test["score"], test["patient_id"])
    assert numbers["calibration_slope"]["value"] == slope.value
    assert numbers["calibration_intercept"]["low"] == intercept.low
    assert "variance over 40 patients" in numbers["calibration_slope"]["how"]
    assert numbers["calibration_slope"]["cases_resampled"]["low"] is not None
    assert "the slope held at 1" in numbers["calibration_in_the_large"]["how"]
    assert "platt on validation" in numbers["calibration_slope_calibrated"]["how"]
    fitted = metrics["validation"]["image"]["calibration_slope_calibrated"]["value"]
    assert fitted == pytest.approx(1, abs=0.25), "near 1 on the cases it was fitted to, but for smoothed targets"
    extreme = metrics_table.assign(score=metrics_table["score"].where(metrics_table.index % 50 != 0, 1.0))
    told = compute_metrics(extreme, resampling=Resampling(5))["test"]["image"]["calibration_slope"]["how"]
    assert "scores of 0 or 1 taken as 1e-12 from them" in told
    healthy = compute_metrics(metrics_table.assign(label=0), resampling=Resampling(5))["test"]["image"]
    assert healthy["calibration_slope"]["value"] is None
    assert "all 160 cases are negative" in healthy["calibration_slope"]["why"]


@pytest.mark.real
def test_a_screening_model_at_two_sites() -> None:
    """Scores of Roschewitz et al. 2023, held against scikit-learn's logistic regression of the same scores."""
    root = os.environ.get("MAMMO_TF_REAL_DATA")
    if not root or not (Path(root) / "scores").is_dir():
        pytest.skip("MAMMO_TF_REAL_DATA names no folder with scores")
    for name in ("A", "A_after_update", "B"):
        table = pd.read_csv(Path(root) / "scores" / f"{name}.csv")
        scores = table["pred1"].to_numpy()
        labels, patients = table["malignant"].astype(int), table["id"]
        slope, intercept = slope_and_intercept(labels, scores, patients)
        logit = np.log(scores / (1 - scores))[:, None]
        fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit, labels)
        expected = fitted.coef_[0, 0], fitted.intercept_[0]
        assert (slope.value, intercept.value) == pytest.approx(expected, abs=1e-3)
        assert in_the_large(labels, scores, patients).high < 0, "far too high for this prevalence"

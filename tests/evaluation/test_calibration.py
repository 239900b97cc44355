"""Calibration, its errors and prevalence correction against the golden answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import auc
from mammo_tf.evaluation.calibration import (
    Calibration,
    brier_score,
    brier_skill,
    calibrate,
    log_loss,
    prevalence_corrected,
    reliability,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "statistics"
ANSWERS = json.loads((GOLDEN / "statistics.json").read_text())["calibration"]
with np.load(GOLDEN / "statistics.npz") as file:
    ARRAYS = {name: file[name] for name in file.files}
LABELS, SCORES = ARRAYS["cal_y"], ARRAYS["cal_p"]


def test_platt_smoothed_and_plain() -> None:
    for smoothed, key in ((True, "platt_smoothed"), (False, "platt_plain")):
        found = calibrate(LABELS, SCORES, "platt", smoothed)
        assert found.slope == pytest.approx(ANSWERS[key]["slope"], abs=1e-6)
        assert found.intercept == pytest.approx(ANSWERS[key]["intercept"], abs=1e-6)


def test_temperature() -> None:
    found = calibrate(LABELS, SCORES, "temperature")
    assert 1 / found.slope == pytest.approx(ANSWERS["temperature"]["T"], abs=1e-6)
    assert log_loss(LABELS, found(SCORES)) == pytest.approx(ANSWERS["temperature"]["nll_mean"], abs=1e-6)


def test_isotonic() -> None:
    found = calibrate(LABELS, SCORES, "isotonic")
    np.testing.assert_allclose(found(SCORES), ARRAYS["iso_fitted"], atol=1e-6)
    np.testing.assert_allclose(found(ARRAYS["iso_grid_x"]), ARRAYS["iso_grid_y"], atol=1e-6)


@pytest.mark.parametrize("key", [key for key in ANSWERS["ece"] if key != "equal_mass_10"])
def test_calibration_errors(key: str) -> None:
    edge = key.startswith("edge_")
    labels, scores = (ARRAYS["ece_edge_y"], ARRAYS["ece_edge_p"]) if edge else (LABELS, SCORES)
    bins, how = key.removeprefix("edge_").split("_", 1)
    found, answer = reliability(labels, scores, int(bins), how), ANSWERS["ece"][key]
    assert found.ece == pytest.approx(answer["ece"], abs=1e-12)
    assert found.mce == pytest.approx(answer["mce"], abs=1e-12)
    rows = np.stack([found.bins, found.counts, found.predicted, found.observed], axis=1)
    np.testing.assert_allclose(rows, answer["rows"], atol=1e-12)


def test_equal_mass_and_brier() -> None:
    assert reliability(LABELS, SCORES, 10, "equal_mass").ece == pytest.approx(
        ANSWERS["ece"]["equal_mass_10"], abs=1e-12
    )
    assert brier_score(LABELS, SCORES) == pytest.approx(ANSWERS["brier"], abs=1e-12)
    assert brier_skill(LABELS, SCORES) == pytest.approx(ANSWERS["brier_skill"], abs=1e-12)
    assert log_loss(LABELS, SCORES) == pytest.approx(ANSWERS["log_loss"], abs=1e-12)
    parts = ANSWERS["murphy_edge"]
    assert brier_score(ARRAYS["ece_edge_y"], ARRAYS["ece_edge_p"]) == pytest.approx(parts["brier"], abs=1e-12)


def test_prevalence() -> None:
    for case in ANSWERS["prevalence"]:
        found = prevalence_corrected(case["p"], case["train_prevalence"], case["target_prevalence"])
        assert found.tolist() == pytest.approx(case["out"], abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_there_and_back_to_the_old_prevalence(scores: list[float], trained: float, target: float) -> None:
    back = prevalence_corrected(prevalence_corrected(scores, trained, target), target, trained)
    assert back.tolist() == pytest.approx(scores, abs=1e-9)


@pytest.mark.parametrize("method", ["platt", "temperature", "isotonic"])
def test_stored_and_read_back_and_ranks_kept(method: str) -> None:
    found = calibrate(LABELS, SCORES, method)
    again = Calibration.from_json(json.loads(json.dumps(found.to_json())))
    np.testing.assert_array_equal(again(SCORES), found(SCORES))
    assert ((found(SCORES) >= 0) & (found(SCORES) <= 1)).all()
    grid = np.linspace(0, 1, 101)
    assert (np.diff(found(grid)) >= 0).all()
    if method != "isotonic":
        assert auc(LABELS, found(SCORES)) == auc(LABELS, SCORES)


def test_what_cannot_be_calibrated() -> None:
    with pytest.raises(MammoError, match="outside 0 to 1"):
        calibrate([0, 1], [-0.2, 0.5])
    with pytest.raises(MammoError, match="all 2 cases are positive"):
        calibrate([1, 1], [0.2, 0.5])
    with pytest.raises(MammoError, match="'beta' is unknown"):
        calibrate(LABELS, SCORES, "beta")
    with pytest.raises(MammoError, match="no finite slope"):
        calibrate([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], "temperature")
    with pytest.raises(MammoError, match="rank backwards"):
        calibrate([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], "temperature")
    with pytest.raises(MammoError, match="'beta' is unknown"):
        Calibration.from_json({"method": "beta"})
    with pytest.raises(MammoError, match="no finite slope"):
        calibrate([1, 1, 0, 0], [0.5, 0.9, 0.1, 0.2], "temperature")  # one half is not an error of its own
    with pytest.raises(MammoError, match="every temperature fits"):
        calibrate([1, 0, 0], [0.5, 0.5, 0.5], "temperature")
    with pytest.raises(MammoError, match="wrong side of 0.5"):
        calibrate([1, 1, 1, 1, 0], [0.05, 0.06, 0.2, 0.3, 0.01], "temperature")  # their AUC is 1
    for labels in ([0, 0, 1, 1], [1, 1, 0, 0]):
        with pytest.raises(MammoError, match="no finite slope"):
            calibrate(labels, [0.1, 0.2, 0.7, 0.8], smoothed=False)
    assert calibrate([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]).slope > 0  # smoothed targets are finite


def test_platt_answers_where_the_loss_falls_by_less_than_it_rounds() -> None:
    """With smoothed targets a finite fit always exists; ordinary sets were refused in one of twenty cases."""
    calibrate([0, 1] * 6, [0.6, 0.7, 0.8, 0.3, 0.7, 0.9, 0.5, 0.9, 0.8, 0.2, 0.8, 0.1])
    generator = np.random.default_rng(4)
    for number in range(150):
        labels = np.arange(76) % 2
        scores = np.round(1 / (1 + np.exp(-generator.normal(0.5 * labels, 1 + number % 3))), 1 + number % 4)
        found = calibrate(labels, scores)
        assert np.isfinite([found.slope, found.intercept]).all()

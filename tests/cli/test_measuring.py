"""`evaluate`, `ensemble` and `sample-size` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.cli.main import main


@pytest.fixture
def files(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 2
    table = pd.DataFrame({"image_id": np.arange(120), "patient_id": np.arange(120) // 2, "label": labels})
    table["age"] = 45 + np.arange(120) % 30
    table["site"] = np.where(np.arange(120) % 3 == 0, "a", "b")
    for name in ("one", "two"):
        scores = 1 / (1 + np.exp(-labels - generator.normal(0, 1, 120)))
        table.assign(score=scores).iloc[:80].to_csv(tmp_path / f"{name}.csv", index=False)
        table.assign(score=scores).iloc[80:].to_csv(tmp_path / f"{name}_validation.csv", index=False)
    return tmp_path


def test_evaluate_with_every_option(files: Path, capsys: pytest.CaptureFixture) -> None:
    words = [
        "evaluate", f"{files}/one.csv", f"{files}/two.csv", "--validation", f"{files}/one_validation.csv",
        "--replicates", "50", "--by", "age,site", "--rule", "specificity", "--target", "0.8", "--calibrate", "platt",
        "--interval", "bca", "--stratified", "--images-too", "--seed", "3", "-o", f"{files}/out",
    ]  # fmt: skip
    assert main(words) == 0
    shown = capsys.readouterr().out
    for part in ("[images resampled:", "brier_calibrated", "age 50-59", "site a", "minus"):
        assert part in shown
    metrics = json.loads((files / "out" / "metrics.json").read_text())
    assert metrics["validation"]["image"]["specificity"]["value"] >= 0.8
    assert "specificity 0.8 or more" in metrics["test"]["image"]["threshold"]["how"]
    assert "within each class, 50 resamples, bca" in metrics["test"]["image"]["auc"]["how"]
    assert set(json.loads((files / "out" / "subgroups.json").read_text())) == {"age", "site"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--threshold-split test", "threshold chosen on the test split"),
        ("--by vendor", "no column 'vendor'"),
        ("--rule f1", "'f1' is unknown"),
        ("--rule sensitivity", "fixed sensitivity of None"),
        ("--calibrate beta", "'beta' is unknown"),
        ("--interval basic", "'basic' is unknown"),
        ("--patient median", "'median' is unknown"),
        ("--validation {files}/none.csv", "none.csv are not there"),
    ],
)
def test_evaluate_refuses_in_one_line(words: str, says: str, files: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["evaluate", f"{files}/one.csv", *words.format(files=files).split()]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_an_ensemble(files: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["ensemble", f"{files}/one.csv", f"{files}/two.csv", "-o", f"{files}/both.csv"]) == 0
    assert "2 models, 80 images, mean" in capsys.readouterr().out
    one, two, both = (pd.read_csv(files / f"{name}.csv")["score"] for name in ("one", "two", "both"))
    np.testing.assert_allclose(both, (one + two) / 2, rtol=1e-8)
    assert main(["ensemble", f"{files}/one.csv", "-o", f"{files}/alone.csv"]) == 2
    assert not (files / "alone.csv").exists()


def test_sample_sizes(capsys: pytest.CaptureFixture) -> None:
    assert main(["sample-size", "--auc", "0.8", "--width", "0.1"]) == 0
    assert capsys.readouterr().out.startswith("302 patients (151 positive, 151 negative)")
    assert main(["sample-size", "--specificity", "0.9", "--width", "0.1", "--prevalence", "0.1"]) == 0
    assert capsys.readouterr().out.startswith("141 negative patients, 157 in all")
    assert main(["sample-size", "--auc", "1.2", "--width", "0.1"]) == 2

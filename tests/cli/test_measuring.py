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
        ("--validation {files}/one.csv", "one.csv itself"),
        ("--threshold-split Test", "threshold chosen on the test split"),
        ("--miss-cost 3", "has no cost"),
        ("--rule cost --miss-cost nan", "costs are positive"),
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


def test_nobody_on_whom_a_threshold_is_chosen_is_measured_with_it(files: Path, capsys: pytest.CaptureFixture) -> None:
    test, validation = (pd.read_csv(files / f"one{which}.csv") for which in ("", "_validation"))
    pd.concat([validation, test[:4]]).to_csv(files / "overlap.csv", index=False)
    assert main(["evaluate", f"{files}/one.csv", "--validation", f"{files}/overlap.csv"]) == 2
    assert "where thresholds are chosen, and in another split" in capsys.readouterr().err
    for name, part in (("one", test), ("valid", validation)):  # rows without names are not taken for the same people
        part[["label", "score"]].to_csv(files / f"{name}_bare.csv", index=False)
    words = ["evaluate", f"{files}/one_bare.csv", "--validation", f"{files}/valid_bare.csv", "--replicates", "20"]
    assert main(words) == 0


def test_empty_names_are_no_names(files: Path, capsys: pytest.CaptureFixture) -> None:
    table = pd.read_csv(files / "one.csv").assign(patient_id="")
    table.to_csv(files / "unnamed.csv", index=False)
    table.drop(columns="patient_id").to_csv(files / "without.csv", index=False)
    said = []
    for name in ("unnamed", "without"):
        assert main(["evaluate", f"{files}/{name}.csv", "--replicates", "50"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_results_of_an_earlier_call_do_not_stay(files: Path) -> None:
    words = ["--replicates", "20", "-o", f"{files}/out"]
    assert main(["evaluate", f"{files}/one.csv", f"{files}/two.csv", "--by", "age", *words]) == 0
    assert main(["evaluate", f"{files}/two.csv", *words]) == 0
    names = {path.name for path in (files / "out").iterdir()}
    assert "metrics.json" in names
    assert not names & {"comparison.json", "subgroups.json"}


def test_an_ensemble_does_not_replace_its_members(files: Path, capsys: pytest.CaptureFixture) -> None:
    before = (files / "one.csv").read_bytes()
    assert main(["ensemble", f"{files}/one.csv", f"{files}/two.csv", "-o", f"{files}/one.csv"]) == 2
    assert "one of the models' predictions" in capsys.readouterr().err
    assert (files / "one.csv").read_bytes() == before
    assert main(["ensemble", f"{files}/one.csv", f"{files}/two.csv", "-o", str(files)]) == 2
    assert "Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--sensitivity 0.9 --prevalence 0", "--specificity 0.9 --prevalence 1.5"])
def test_a_sample_size_needs_a_prevalence(words: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["sample-size", "--width", "0.1", *words.split()]) == 2
    assert "prevalence does not lie between 0 and 1" in capsys.readouterr().err


def test_exams_are_measured_where_they_are_asked_for(files: Path, capsys: pytest.CaptureFixture) -> None:
    table = pd.read_csv(files / "one.csv").assign(exam_id=lambda rows: rows["patient_id"], laterality="L")
    table.to_csv(files / "exams.csv", index=False)
    assert main(["evaluate", f"{files}/exams.csv", "--replicates", "20"]) == 0
    assert " exam " not in capsys.readouterr().out
    assert main(["evaluate", f"{files}/exams.csv", "--replicates", "20", "--exam", "mean", "-o", f"{files}/out"]) == 0
    assert "test       exam     auc " in capsys.readouterr().out
    stored = json.loads((files / "out" / "metrics.json").read_text())
    assert stored["aggregates"] == {"breast": "mean", "exam": "mean", "patient": "maximum"}
    assert main(["evaluate", f"{files}/exams.csv", "--exam", "median"]) == 2
    assert "'median' is unknown" in capsys.readouterr().err

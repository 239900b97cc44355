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


def test_a_given_threshold_and_a_stated_prevalence(files: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["evaluate", f"{files}/one.csv", "--threshold", "0.6", "--prevalence", "0.005", "--replicates", "20"]
    assert main(words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    test = pd.read_csv(files / "one.csv")
    sensitivity = (test.loc[test["label"] == 1, "score"] >= 0.6).mean()
    recall = 0.005 * sensitivity + 0.995 * (test.loc[test["label"] == 0, "score"] >= 0.6).mean()
    for part in (
        "test image threshold 0.600, given test", f"sensitivity {sensitivity:.3f} (",
        "test image prevalence 0.500 (", f"recall_rate_at_stated_prevalence {recall:.3f} (",
    ):  # fmt: skip
        assert part in shown
    for wrong, says in (("nan", "not a finite number"), ("inf", "not a finite number")):
        assert main(["evaluate", f"{files}/one.csv", "--threshold", wrong]) == 2
        assert says in capsys.readouterr().err


def test_splits_of_other_names_are_explained_once(files: Path, capsys: pytest.CaptureFixture) -> None:
    table = pd.read_csv(files / "one.csv").assign(split=["val"] * 40 + ["test"] * 40)
    table.to_csv(files / "val.csv", index=False)
    assert main(["evaluate", f"{files}/val.csv", "--replicates", "20"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("no row is called 'validation'") == 1
    assert "The file has 'val', 'test': --threshold-split val" in shown
    assert "there are no cases" not in shown
    assert main(["evaluate", f"{files}/one.csv", "--calibrate", "platt"]) == 2
    assert "no row is called 'validation', to fit platt on" in capsys.readouterr().err
    table.assign(split="holdout").to_csv(files / "hold.csv", index=False)
    assert main(["evaluate", f"{files}/hold.csv", "--replicates", "20", "--threshold-split", "holdout"]) == 0
    assert capsys.readouterr().out.count("threshold chosen here: too good") > 3


def test_the_rows_that_are_measured_choose_no_threshold_under_other_names(
    files: Path, capsys: pytest.CaptureFixture
) -> None:
    table = pd.read_csv(files / "one.csv")
    table[["label", "score"]].to_csv(files / "bare.csv", index=False, float_format="%.5f")
    named = table.assign(image_id="x" + table["image_id"].astype(str), patient_id="y" + table["patient_id"].astype(str))
    named.to_csv(files / "named.csv", index=False)
    for copy in ("bare", "named"):
        assert main(["evaluate", f"{files}/one.csv", "--validation", f"{files}/{copy}.csv"]) == 2
        assert "the threshold would be chosen on what is measured" in capsys.readouterr().err


def test_columns_of_each_file_and_what_two_files_share(files: Path, capsys: pytest.CaptureFixture) -> None:
    two = pd.read_csv(files / "two.csv").iloc[20:]
    two = two.rename(columns={"label": "cancer", "score": "p", "patient_id": "woman", "image_id": "file"})
    two.to_csv(files / "theirs.csv", index=False)
    words = ["evaluate", f"{files}/one.csv", f"{files}/theirs.csv", "--replicates", "20"]
    assert main(words) == 2
    assert "has no column 'label'" in capsys.readouterr().err
    ours, theirs = "label=label", "label=cancer,score=p,patient=woman,image=file"
    assert main([*words, "--columns", ours, "--columns", theirs, "-o", f"{files}/out"]) == 0
    shown = capsys.readouterr().out
    assert "compared are 60 rows, joined by image_id: FILE has 20 more that OTHER lacks, OTHER 0" in shown
    assert "theirs.csv" in (files / "out" / "figures" / "roc_test_image.svg").read_text(), "both curves are drawn"
    assert json.loads((files / "out" / "other_metrics.json").read_text())["test"]["image"]["auc"]["n"] == 60
    for columns, says in (
        (["--columns", ours] * 3, "given 3 times for 2 files"),
        (["--columns", "label=a,label=b"], "names one of its columns twice"),
    ):
        assert main([*words, *columns]) == 2
        assert says in capsys.readouterr().err


def test_an_ensemble_of_files_without_patients(files: Path, capsys: pytest.CaptureFixture) -> None:
    for number, name in enumerate(("one", "two")):
        table = pd.read_csv(files / f"{name}.csv").drop(columns="patient_id")
        table.rename(columns={"score": f"score_{number}"}).to_csv(files / f"bare_{number}.csv", index=False)
    words = ["ensemble", f"{files}/bare_0.csv", f"{files}/bare_1.csv", "--join", "image_id", "-o", f"{files}/both.csv"]
    assert main([*words, "--columns", "score=score_0", "--columns", "score=score_1"]) == 0
    assert "patient_id" not in pd.read_csv(files / "both.csv")


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


def test_exams_are_measured_and_pooled_where_that_is_asked_for(files: Path, capsys: pytest.CaptureFixture) -> None:
    table = pd.read_csv(files / "one.csv").assign(exam_id=lambda rows: rows["image_id"])
    table.to_csv(files / "exams.csv", index=False)
    assert main(["evaluate", f"{files}/exams.csv", "--replicates", "20"]) == 0
    shown = capsys.readouterr().out
    assert "test       exam     auc " in shown
    assert "test       patient " not in shown
    assert "note: patients have several exams" in shown
    words = ["--replicates", "20", "--exam", "mean", "--pool-exams", "-o", f"{files}/out"]
    assert main(["evaluate", f"{files}/exams.csv", *words]) == 0
    assert "test       patient  auc " in capsys.readouterr().out
    stored = json.loads((files / "out" / "metrics.json").read_text())
    assert stored["aggregates"] == {"exam": "mean", "patient": "maximum"}
    assert main(["evaluate", f"{files}/exams.csv", "--exam", "median"]) == 2
    assert "'median' is unknown" in capsys.readouterr().err

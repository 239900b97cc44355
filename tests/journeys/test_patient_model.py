"""From pictures to one score a patient, as a user walks it: features, a patient model, four views and an age."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from mammo_tf.cli.main import main
from mammo_tf.files import read_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import end2end
from mammo_tf.patients import score_patient
from mammo_tf.patients.store import load_patient_model
from mammo_tf.patients.table import SCORES, VIEWS
from mammo_tf.phantom import make_study
from mammo_tf.study import read_manifest, write_manifest
from mammo_tf.training import save_model

sys.path.insert(0, str(Path(__file__).parents[1]))
from stump import STUMP  # noqa: E402 - it lies above this file

SIZE = (128, 128)
FEW = ("--set", "components=3", "--set", "trees=30", "--set", "leaf=1", "--replicates", "20")


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What a command that must succeed prints."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def fails(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Runs a command that must fail in the agreed way, and returns its line."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    error = capsys.readouterr().err
    assert code == 2, error
    assert error.startswith("mammo-tf: ")
    assert error.count("\n") == 1, error
    return error


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve patients of the phantom, every other one positive, six to train, four to choose, two to test."""
    folder = tmp_path_factory.mktemp("patients") / "study"
    make_study(folder, 12, ["ffdm_site_1"], seed=2, spacing_mm=1.2, workers=1)
    table = read_manifest(folder / "manifest.csv")
    number = table["patient_id"].str[1:].astype(int)
    table["label"] = np.where(number % 2, "malignant", "normal")
    table["split"] = np.select([number < 6, number < 10], ["train", "validation"], "test")
    table["findings"] = ""
    write_manifest(table, folder / "manifest.csv")
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def network(study: Path) -> Path:
    keras.utils.set_random_seed(1)
    path = study.parents[1] / "network" / "model.keras"
    save_model(path, end2end(STUMP, input_shape=(*SIZE, 3), width=1 / 16), Preprocessing.preset("default", SIZE))
    return path


@pytest.fixture(scope="module")
def model(study: Path, network: Path) -> Path:
    """A patient model made by the commands."""
    folder = study.parents[1]
    scores = folder / "scores" / "predictions.csv"
    for words in (
        ("features", study, "-o", folder / "features.csv", "--workers", 2),
        ("predict", network, study, "-o", scores),
        ("patient-model", "-o", folder / "patient", "--features", folder / "features.csv", "--predictions", scores,
         "--network", network.parent, *FEW),
    ):  # fmt: skip
        assert main([str(word) for word in words]) == 0
    return folder / "patient"


def views_of(study: Path, patient: str) -> dict[str, Path]:
    rows = read_manifest(study).query("patient_id == @patient")
    return {f"{row.laterality}_{row.view}": study.parent / row.path for row in rows.itertuples()}


def test_scores_of_another_network_are_refused(
    study: Path, model: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Retrained and not scored again: the classifier would get scores that it never saw."""
    keras.utils.set_random_seed(2)
    other = tmp_path / "retrained" / "model.keras"
    save_model(other, end2end(STUMP, input_shape=(*SIZE, 3), width=1 / 16), Preprocessing.preset("default", SIZE))
    scores, features = model.parent / "scores" / "predictions.csv", model.parent / "features.csv"
    words = ("patient-model", "-o", tmp_path / "p", "--features", features, "--predictions")
    error = fails(capsys, *words, scores, "--network", other, *FEW)
    assert "was scored by a network of other weights" in error
    assert not (tmp_path / "p").exists()
    same = tmp_path / "same.keras"
    shutil.copyfile(network, same)
    assert "nothing tells" not in said(capsys, *words, scores, "--network", same, *FEW)
    foreign = tmp_path / "foreign.csv"
    shutil.copyfile(scores, foreign)
    assert "nothing tells whether" in said(capsys, *words, foreign, "--network", other, *FEW)


def test_occlusion_is_drawn_and_told(
    study: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [f"{view}={path}" for view, path in views_of(study, "p00001").items()]
    sheet, answer = tmp_path / "o.png", tmp_path / "a.json"
    said(capsys, "predict-patient", model, *files, "--age", 50, "--occlusion", sheet, "-o", answer)
    told = read_json(answer)
    assert sheet.stat().st_size > 10_000
    assert set(told["occlusion"]) == set(VIEWS)
    assert all(np.shape(one["fall"]) == (8, 8) and one["hidden"] is not None for one in told["occlusion"].values())
    assert "a sheet is a PNG file" in fails(capsys, "predict-patient", model, *files, "--occlusion", tmp_path / "o.jpg")


def test_one_call_gives_the_score_of_the_table(study: Path, model: Path) -> None:
    table = pd.read_csv(model / "predictions_gradient_boosting.csv").set_index("patient_id")
    stored = load_patient_model(model)
    shutil.copytree(model / "model", model.parent / "elsewhere", dirs_exist_ok=True)  # the folder is all that it takes
    for patient in ("p00001", "p00010"):
        row = table.loc[patient]
        found = score_patient(model.parent / "elsewhere", views_of(study, patient), row["age"], workers=2)
        assert found.score == pytest.approx(row["score"], abs=1e-6)
        assert (found.missing, found.rejects, found.remarks) == ((), (), ())
        assert found.threshold == stored.classifier.threshold
        assert found.threshold is not None
        assert found.positive == (row["score"] >= found.threshold)
        assert found.probability == pytest.approx(row["probability"], abs=1e-6)
        assert list(found.views) == list(VIEWS)
    assert table["score"].nunique() > 3


def test_a_missing_view_is_filled_and_said(
    study: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = views_of(study, "p00003")
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(files["R_MLO"].read_bytes()[:4000])
    words = (files["L_CC"], files["L_MLO"], f"R_CC={files['R_CC']}", broken)
    told = said(capsys, "predict-patient", model, *words, "--age", 61, "-o", tmp_path / "answer.json")
    assert "missing: R_MLO; the score and the features of a missing view are the means" in told
    assert f"not used: {broken}" in told
    answer = read_json(tmp_path / "answer.json")
    assert answer["missing"] == ["R_MLO"]
    assert answer["rejects"][0]["code"] == "truncated"
    assert answer["decision"] in ("positive", "negative")
    patients = pd.read_csv(model / "patients.csv").set_index("patient_id").loc["p00003"].copy()
    others = VIEWS[:3]
    names = [name.removesuffix("_R_MLO") for name in patients.index if name.endswith("_R_MLO")]
    patients["age"] = 61
    patients["R_MLO_pred"] = np.mean([patients[f"{view}_pred"] for view in others])
    for name in names:
        patients[f"{name}_R_MLO"] = np.mean([patients[f"{name}_{view}"] for view in others])
    stored = load_patient_model(model).classifier
    values = patients[list(stored.names)].to_numpy(np.float64)[None]
    trees = stored.forest.values(stored.components(values).astype(np.float32))
    raw = stored.first + stored.settings.learning_rate * trees.sum()
    assert answer["score"] == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-6)
    folder = said(capsys, "predict-patient", model, files["L_CC"].parent)
    assert "the age is not known; the training patients' median" in folder


def test_bad_input_for_one_patient(
    study: Path, network: Path, model: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, other = views_of(study, "p00003"), views_of(study, "p00004")
    one, film = files["L_CC"], next(films.parent.glob("*.png"))
    predict = ("predict-patient", model)
    for age, wrong in (
        ("old", "a number"),
        ("-1", "within 1 to 130"),
        ("nan", "a number"),
        ("1961", "within 1 to 130"),
    ):
        assert f"age '{age}' is not {wrong}" in fails(capsys, *predict, one, f"--age={age}")
    assert "are both L_CC" in fails(capsys, *predict, one, one)
    assert "are both L_CC" in fails(capsys, *predict, f"L_CC={one}", f"L_CC={files['R_CC']}")
    assert "of more than one patient" in fails(capsys, *predict, one, other["R_CC"])
    assert "does not say which view it is" in fails(capsys, *predict, film)
    assert "size of a pixel in mm, which is unknown" in fails(capsys, *predict, f"R_CC={film}")
    assert "score" in said(capsys, *predict, f"R_CC={film}", "--spacing", 0.5)
    assert "none of 1 files is a usable CC or MLO view" in fails(capsys, *predict, tmp_path / "gone.dcm")
    assert "holds no patient model" in fails(capsys, "predict-patient", network.parent, one)
    shutil.copytree(model / "model", tmp_path / "damaged")
    (tmp_path / "damaged" / "network" / "model.keras").write_bytes(b"")
    assert "is not what was stored" in fails(capsys, "predict-patient", tmp_path / "damaged", one)
    words = ("--features", study.parents[1] / "features.csv", "--predictions", model.parent / "scores/predictions.csv")
    said(capsys, "patient-model", "-o", tmp_path / "bare", *words, *FEW)
    assert "has no network" in fails(capsys, "predict-patient", tmp_path / "bare", one)
    with pytest.raises(Exception, match="'L_ML' is not a view"):
        score_patient(model, {"L_ML": one})


def test_a_header_that_says_another_view_than_was_given(study: Path, model: Path) -> None:
    files = views_of(study, "p00003")
    swapped = {"L_CC": files["R_CC"], "R_CC": files["L_CC"], "L_MLO": files["L_MLO"], "R_MLO": files["L_CC"]}
    assert score_patient(model, swapped, 50).remarks == (
        f"the header of {files['R_CC']} says R CC, and it was given as L_CC",
        f"the header of {files['L_CC']} says L CC, and it was given as R_CC",
        f"the header of {files['L_CC']} says L CC, and it was given as R_MLO",
    )
    assert score_patient(model, files, 50).remarks == ()


def patients(path: Path, count: int = 48, pairs: bool = True) -> pd.DataFrame:
    """A table made elsewhere, one feature of four views; writes it too."""
    generator = np.random.default_rng(0)
    label = np.arange(count) % 2
    table = pd.DataFrame({"patient_id": [f"p{number}" for number in range(count)], "label": label, "age": 50})
    table["pair_id"] = np.arange(count) // 2 if pairs else ""
    table["split"] = np.select([np.arange(count) < count // 2, np.arange(count) < 3 * count // 4],
                               ["train", "validation"], "test")  # fmt: skip
    for name in (*SCORES, *(f"iavg_{view}" for view in VIEWS)):
        table[name] = np.clip(generator.normal(0.5, 0.15, count) + 0.1 * label, 0, 1)
    table.to_csv(path, index=False)
    return table


SEARCH = ("--search", "--folds", "2", "--replicates", "20", "--set", "random_forest.trees=20", "--set", "components=3")


@pytest.mark.long
def test_a_killed_search_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patients(tmp_path / "t.csv")
    grid = tmp_path / "grid.json"
    grid.write_text(json.dumps({"leaf": [1, 2, 3, 4, 5, 6], "depth": [2, 3], "trees": [40, 80]}))
    words = ["patient-model", "--table", str(tmp_path / "t.csv"), "--grid", str(grid), *SEARCH, "-o"]
    folder = tmp_path / "out"
    results = folder / "search" / "gradient_boosting" / "search.jsonl"
    command = [sys.executable, "-m", "mammo_tf.cli.main", *words, str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not results.is_file() or results.read_text().count("\n") < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = results.read_text()
    assert 3 <= before.count("\n") < 24
    assert not (folder / "model").exists()
    said(capsys, *words, folder)
    after = results.read_text()
    assert after.startswith(before)
    assert sum('"fold"' in line for line in after.splitlines()) in (24, 25)  # with the line that the kill cut off
    told = said(capsys, *words, tmp_path / "whole")
    assert "gradient_boosting: best of 24 by 2 folds" in told
    for name in ("metrics.json", "comparison.json", "search/gradient_boosting.csv", "model/classifier.npz"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert "of other patients, settings or grids" in fails(capsys, *words, folder, "--set", "depth=4")


def test_bad_tables_and_searches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.csv"
    whole = patients(path)

    def line(table: pd.DataFrame | str, *words: str) -> str:
        path.write_text(table if isinstance(table, str) else table.to_csv(index=False))
        return fails(capsys, "patient-model", "-o", tmp_path / "out", "--table", path, *FEW, *words)

    text = whole.to_csv(index=False)
    assert "no column 'iavg_R_CC', but iavg of other views" in line(whole.drop(columns="iavg_R_CC"))
    assert "has no column 'L_CC_pred'" in line(whole.drop(columns="L_CC_pred"))
    assert "has the column 'age' twice" in line(text.replace("label", "age", 1))
    assert "iavg_L_CC is empty, but other numbers" in line(whole.assign(iavg_L_CC=[np.nan, *whole["iavg_L_CC"][1:]]))
    assert "'inf' is not a finite number" in line(whole.assign(iavg_L_CC=[np.inf, *whole["iavg_L_CC"][1:]]))
    nothing = whole.copy()
    nothing.loc[5, [*SCORES, *(f"iavg_{view}" for view in VIEWS)]] = np.nan
    assert "patient 'p5' has no view at all" in line(nothing)
    assert "all 24 training patients are negative" in line(whole.assign(label=0))
    assert "label 'sick' is not 0 or 1" in line(whole.assign(label=["sick", *whole["label"][1:]]))
    assert "Ask for 9 at most" in line(whole, "--set", "components=40")
    assert "30 components cannot be had of 24 patients and 9 columns" in line(whole, "--search")
    (tmp_path / "grid.json").write_text('{"components": [3]}')
    search = ("--search", "--grid", str(tmp_path / "grid.json"))
    assert "12 pairs or patients are fewer than 20 folds" in line(whole, *search, "--folds", "20")
    few = whole.assign(label=(np.arange(48) < 2) | (np.arange(48) > 24)).replace({True: 1, False: 0})
    assert "one class only" in line(few, *search, "--folds", "3")
    assert "operating point rule 'best' is unknown" in line(whole, "--rule", "best")
    assert "--grid belongs to --search" in line(whole, "--grid", "g.json")
    assert "'depth' is not KEY=VALUE" in line(whole, "--set", "depth")
    assert "more than one source of patients" in line(whole, "--train", str(path))
    assert "no source of patients" in fails(capsys, "patient-model", "-o", tmp_path / "out")
    assert "belong together" in fails(capsys, "patient-model", "-o", tmp_path / "out", "--features", path)
    assert not (tmp_path / "out" / "model").exists()
    assert "--set '33' is unknown" in fails(capsys, "features", path, "-o", tmp_path / "f.csv", "--set", "33")

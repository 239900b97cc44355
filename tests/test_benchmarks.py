"""The benchmarks start, say what they do, and run at a tiny size without their peer. Nothing here is timed."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from mammo_tf.files import read_json

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TWO_NETWORKS = "end2end_vgg16.py"  # full width: a minute
# What these measure has fast tests of its own: here is only tried that they run, by `make test-long`.
LONG = (
    TWO_NETWORKS, "spottune.py", "records_stream.py", "predict_exam.py", "patches.py", "stitching.py",
    "dbt_projection.py", "radiomics_features.py", "swin_unet.py", "branches.py", "score_matching.py",
    "grid_search.py", "bootstrap_auc.py", "interval_coverage.py", "shift.py", "shift_pictures.py",
    "ladder.py", "serving_load.py", "serving_peer_load.py", "reading_speed.py", "accelerator.py", "prepare_scale.py",
    "feeding.py",
)  # fmt: skip
TINY = {
    "accelerator.py": ["--quick", "--peer-python", "none"],
    "reading_speed.py": ["manifest", "--quick"],
    "records_stream.py": ["--quick", "--peer-python", "none"],
    TWO_NETWORKS: ["--quick", "--peer-python", "none", "--only", "predict"],
    "predict_exam.py": ["--quick"],
    "start.py": ["--quick"],
    "dbt_projection.py": ["--quick"],
    "feeding.py": ["--images", "8", "--rows", "128", "--columns", "96", "--batches", "3", "--rounds", "1"],
    "patches.py": ["--quick"],
    "bands.py": ["--quick"],
    "histogram.py": ["--quick", "--peer-python", "none"],
    "bootstrap_auc.py": ["--quick"],
    "grid_search.py": ["--quick"],
    "interval_coverage.py": ["--quick"],
    "radiomics_features.py": ["--quick", "--peer-python", "none"],
    "score_matching.py": ["--quick"],
    "shift.py": ["--quick"],
    "shift_pictures.py": ["--quick"],
    "ladder.py": ["--quick"],
    "serving_load.py": ["--requests", "60", "--callers", "2"],
    "serving_peer_load.py": ["--peer-python", "none", "--rounds", "1", "--requests", "16", "--callers", "2"],
    "spottune.py": ["--quick"],
    "prepare_scale.py": ["--quick"],
    "stitching.py": ["--quick"],
    "surface.py": ["--quick", "--peer-python", "none"],
    "swin_unet.py": ["--quick", "--peer-python", "none"],
    "branches.py": ["--quick"],
}


def _run(name: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return _python(str(BENCHMARKS / name), *arguments)


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "MAMMO_TF_KEY": "tests"},
    )


HELP = """
import runpy, sys
for path in sys.argv[1:]:
    sys.argv, sys.path[0] = [path, "--help"], {folder!r}
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        assert not end.code, path
    else:
        raise AssertionError(path)
"""


def test_benchmarks_say_what_they_measure() -> None:
    paths = [str(BENCHMARKS / name) for name in sorted(TINY)]
    done = _python("-c", HELP.format(folder=str(BENCHMARKS)), *paths)
    assert done.returncode == 0, done.stderr
    assert [name for name in sorted(TINY) if f"python benchmarks/{name}" not in done.stdout] == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in sorted(TINY)]
)
def test_benchmarks_run_at_a_tiny_size(name: str) -> None:
    done = _run(name, TINY[name])
    assert done.returncode == 0, done.stderr
    assert any(word in done.stdout for word in ("load average", "pip install", "standard error of a coverage"))


@pytest.mark.parametrize("name", ["near_duplicates.py", "off_the_picture.py"])
def test_pictures_are_told_apart_at_a_tiny_size(name: str, tmp_path: Path) -> None:
    done = _run(name, ["-o", str(tmp_path), "--quick"])
    assert done.returncode == 0, done.stderr
    numbers = read_json(tmp_path / "numbers.json")
    if name == "near_duplicates.py":
        found = numbers["fingerprint"]["phantom 502"]
        assert (found["strangers"]["n"], found["strangers"]["of"]) == (0, 192)
        assert found["planted"] == 26 and found["missed"] < 13
    else:
        side = numbers["phantom 502"]["side"]
        assert (side["right"], side["asked"]) == (24, 24)


def _published(folder: Path, moved: int) -> None:
    """Files in the form of the authors' repository: 12 pairs, configurations in the order of sorted names."""
    rng = np.random.default_rng(3)
    patients, named = [], []
    for number in range(7, 127, 10):
        for group, prefix in (("case", f"{number}ca_{number + 50}"), ("control", f"{number}co_{number}")):
            row = {"id": number, "group": group, "age": 50, "true_label": int(group == "case")}
            for view in ("L_CC", "L_MLO", "R_CC", "R_MLO"):
                label = int(group == "case" and view.startswith("R"))
                row[f"{view}_pred"] = float(rng.normal(label))
                named.append((f"{prefix}_{view}", label, row[f"{view}_pred"]))
            patients.append(row)
    images = pd.DataFrame(named, columns=["image_index", "malignant_label", "score"])
    files = {
        "INFERENCE/RESULTS/Inference_Private_Database/predictions_inbreast_vgg16_512x1.h5_TEST_TAMPERE.csv": images[
            ["image_index", "malignant_label"]
        ],
        "RADIOMIC_ANALISIS/RESULTS/LABELS_TEST.csv": pd.DataFrame(patients),
    }
    in_order = images.sort_values(["malignant_label", "image_index"])
    scores = in_order["score"].to_numpy() + rng.normal(0, 0.3, len(images)) + in_order["malignant_label"].to_numpy()
    scores[: len(scores) // 2] = np.roll(scores[: len(scores) // 2], moved)
    given = pd.DataFrame({"y_true": in_order["malignant_label"], "y_pred_prob": scores})
    files |= {f"TRANSFER_LEARNING/{name}_config/RESULTS/preds_test.csv": given for name in ("1st", "2nd")}
    for name, table in files.items():
        (folder / name).parent.mkdir(parents=True)
        table.to_csv(folder / name, index=False)


def test_published_scores_are_compared(tmp_path: Path) -> None:
    _published(tmp_path / "theirs", moved=0)
    done = _run("published_scores.py", [str(tmp_path / "theirs"), "-o", str(tmp_path / "out"), "--replicates", "200"])
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "configuration_2 minus model_1" in line)
    value, low = (float(text) for text in line.split(": ")[1].replace("(", "").split()[:2])
    assert 0 < low < value  # their scores have one more standard deviation between the classes
    ours = pd.read_csv(tmp_path / "out" / "model_1.csv").set_index("image_id")
    theirs = pd.read_csv(tmp_path / "out" / "configuration_1.csv").set_index("image_id")
    assert ours.loc["117co_117_L_CC", "patient_id"] == "control_117"
    assert ours["score"].corr(theirs["score"]) > 0.9


def test_published_scores_in_another_order_are_refused(tmp_path: Path) -> None:
    _published(tmp_path / "theirs", moved=1)
    done = _run("published_scores.py", [str(tmp_path / "theirs"), "-o", str(tmp_path / "out"), "--replicates", "200"])
    assert done.returncode == 1
    assert "do not go with model 1's" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def sites(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script of the two real sites, which finds its own parts beside it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("real_sites")


def _site(sites: ModuleType, patients: int, power: float) -> Any:
    """Two pictures a patient, of whom every third has no label."""
    generator = np.random.default_rng(patients)
    pictures = generator.uniform(0.2, 0.8, (2 * patients, 48, 40)).astype(np.float32) ** np.float32(power)
    numbers = np.arange(2 * patients) // 2
    dense = np.where(numbers % 3 == 2, np.nan, numbers % 2)
    table = pd.DataFrame({"image_id": [f"image_{row}" for row in range(len(numbers))], "dense": dense})
    return sites.Site(
        table.assign(patient_id=[f"patient_{number}" for number in numbers]), pictures, np.ones(pictures.shape, bool)
    )


def test_real_sites_divides_patients_and_draws_more_of_them_around_fewer(sites: ModuleType) -> None:
    patients = [f"patient_{number % 20:02d}" for number in range(40)]
    first, second = sites.divided(patients, 0.25, 0)
    assert (len(first), first | second, first & second) == (5, set(patients), set())
    assert sites.divided(patients[::-1], 0.25, 0) == (first, second)
    site = _site(sites, 18, 1)
    half = np.arange(36) < 18
    few, more, all_of_them = (sites.drawn(site, half, number, 1) for number in (2, 4, 100))
    assert few < more < all_of_them == {f"patient_{number}" for number in (0, 1, 3, 4, 6, 7)}
    assert few != sites.drawn(site, half, 2, 2)


def test_real_sites_measures_differences_over_patients_and_pictures_of_one_network(sites: ModuleType) -> None:
    patients = [f"patient_{number % 20:02d}" for number in range(40)]
    dense = np.arange(40) // 2 % 2
    parts = np.arange(40) // 4 % 2
    rows = {"patient_id": patients, "dense": dense, "a": dense, "c": dense - 5 * parts}
    tables = [pd.DataFrame({**rows, "part": 0, "b": way * dense}) for way in (0, -1)]
    right, better, mixed = (sites.told(tables, *names, 100) for names in (("a", None), ("a", "b"), ("c", None)))
    assert [right[key] for key in ("value", "low", "high")] == [1, 1, 1]
    assert (better["value"], better["each_seed"]) == (0.75, [0.5, 1.0])  # b: 0.5 by ties, then all pairs the wrong way
    assert mixed["value"] == 0.75  # of pairs across the parts half are the wrong way round
    apart = sites.told([table.assign(part=parts) for table in tables], "c", None, 100)
    assert [apart[key] for key in ("value", "low", "high")] == [1, 1, 1]
    left_out = {"plain_matched - plain_untouched", "augmented_untouched - plain_matched"}
    table = tables[0].assign(plain_untouched=dense, augmented_untouched=dense)
    pairs = sites.without_labels(["plain", "augmented"])
    assert left_out <= {" - ".join(pair) for pair in pairs}
    assert list(sites.differences([table], pairs, 10)) == ["augmented_untouched - plain_untouched"]


def test_real_sites_carries_each_half_behind_a_harmonising_of_others(sites: ModuleType) -> None:
    source, target = _site(sites, 12, 2), _site(sites, 12, 1)
    way = sites.Way("there", source, target)
    assert (way.halves[0] ^ way.halves[1]).all()
    assert (way.pictures["untouched"] == target.pictures).all()
    for half, other, harmonising, own in zip(way.halves, way.halves[::-1], way.harmonisings, way.own, strict=True):
        matched = np.stack([harmonising.steps[0].intensity(picture) for picture in target.pictures])
        assert (way.pictures["matched"][other] == matched[other]).all()
        assert (own["matched"][half] == matched[half]).all()
        assert (own["harmonised"][other] == target.pictures[other]).all()
        assert np.abs(matched - target.pictures**2).mean() < 0.02
        row = np.flatnonzero(half)[0]
        values = [matched[row]]
        for step in harmonising.steps[1:]:
            values.append(step.intensity(values[-1], target.breasts[row]))
        assert (own["bands"][row] == values[1]).all()
        assert (own["harmonised"][row] == values[-1]).all()
        changed = np.where(other[:, None, None], 1 - target.pictures, target.pictures)
        again = sites.fit(source.pairs(way.learnt), replace(target, pictures=changed).pairs(half))
        assert again.steps == harmonising.steps


def test_real_sites_learns_labels_of_the_half_that_is_not_measured(
    sites: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = _site(sites, 24, 1)
    way = sites.Way("there", _site(sites, 12, 2), target)
    learnt, measured = [], []

    class Learner:
        def learn(self, weights: str, rate: float, pictures: Any, labels: Any, seed: int, steps: int) -> None:
            learnt.append((weights, rate, pictures, labels))
            assert (seed, steps) == (1, 30)

    def scored(model: None, pictures: Any) -> Any:
        measured.append(pictures)
        return np.zeros(len(pictures))

    def model(name: str) -> SimpleNamespace:
        return SimpleNamespace(get_weights=lambda: name)

    monkeypatch.setattr(sites, "scored", scored)
    monkeypatch.setattr(sites, "network", lambda: model("new"))
    monkeypatch.setattr(sites.keras.models, "load_model", lambda path, compile: model(path.name))
    way.learn_there(tmp_path, Learner(), 5, 1, steps=30)
    table = pd.read_csv(tmp_path / "there_labels_5_1.csv")
    assert sorted(table["image_id"]) == sorted(target.table.loc[target.labelled, "image_id"])
    assert [one[:2] for one in learnt] == [*[("there_plain_1.keras", 3e-4)] * 4, ("new", 1e-3)] * 2
    for part in (0, 1):
        chosen = way.labelled_pictures(way.halves[part], 5, 1)
        rows = way.halves[1 - part] & target.labelled
        assert chosen.sum() == 10
        assert not set(target.table.loc[chosen, "patient_id"]) & set(target.table.loc[rows, "patient_id"])
        for place, name in enumerate((*sites.PICTURES, "untouched"), 5 * part):
            _, _, pictures, labels = learnt[place]
            assert (pictures == way.own[part][name][chosen]).all()
            assert (labels == target.table.loc[chosen, "dense"]).all()
            assert (measured[place] == way.pictures[name][rows]).all()
    learnt.clear()
    way.learn_there(tmp_path, Learner(), 5, 1, steps=30)
    assert not learnt


def test_real_sites_learns_anew_each_time(sites: ModuleType) -> None:
    learner = sites.Learner()
    start = learner.model.get_weights()
    pictures = np.random.default_rng(0).uniform(size=(20, *learner.model.input_shape[1:3])).astype(np.float32)
    labels = (np.arange(20) % 2).astype(np.float32)
    first, still, again = (
        learner.learn(start, rate, pictures, labels, 1, 2).get_weights() for rate in (1e-3, 0.0, 1e-3)
    )
    assert learner.model.optimizer.iterations == 2
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
    trained = [one.path for one in learner.model.trainable_weights]
    for variable, *values in zip(learner.model.weights, start, still, first, strict=True):
        assert (values[0] == values[1]).all() == (variable.path in trained)  # statistics of normalisation move
        assert not (values[0] == values[2]).all()


def test_real_sites_changes_grey_values_of_what_it_trains_on(sites: ModuleType) -> None:
    site, networks = _site(sites, 6, 1), importlib.import_module("dense_networks")
    for model, changes in networks.CHANGES.items():
        found = networks.changed(site.pictures, site.breasts, changes, np.random.default_rng(0))
        assert found.shape == site.pictures.shape
        assert 0 <= found.min() <= found.max() <= 1
        assert (found == site.pictures).all() == (model == "plain")
        rises = np.diff(found[0].ravel()[np.argsort(site.pictures[0], axis=None)]).min() >= 0
        assert rises == (model in ("plain", "curves"))  # a curve keeps the order of grey values, gains do not


def _sheets(folder: Path, patients: int, generator: np.random.Generator) -> None:
    """Breasts at the left of black pictures, the dense ones brighter; every fifth patient has no label."""
    folder.mkdir(parents=True)
    row, column = np.mgrid[:160, :120]
    breast = ((row - 80) / 70) ** 2 + (column / 80) ** 2 < 1
    rows = []
    for number in range(patients):
        noise = generator.normal(0.4 + 0.2 * (number % 2), 0.05, breast.shape)
        cv2.imwrite(str(folder / f"{number}.png"), np.uint8(255 * np.where(breast, np.clip(noise, 0.1, 1), 0)))
        rows.append((f"image_{number}", f"patient_{number}", f"{number}.png", "" if number % 5 == 4 else number % 2))
    pd.DataFrame(rows, columns=["image_id", "patient_id", "path", "dense"]).to_csv(folder / "labels.csv", index=False)


@pytest.mark.long
def test_real_sites_runs_and_resumes(tmp_path: Path) -> None:
    for name in ("mias", "cesm"):
        _sheets(tmp_path / name, 32, np.random.default_rng(0))
    asked = [str(tmp_path), "-o", str(tmp_path / "out"), "--seeds", "1", "--models", "plain", "augmented"]
    asked += ["--epochs", "1", "--labels", "3", "--steps", "1", "--replicates", "20"]
    done = _run("real_sites.py", asked)
    assert done.returncode == 0, done.stderr
    numbers = read_json(tmp_path / "out" / "numbers.json")
    assert set(numbers) == {"mias_to_cesm", "cesm_to_mias"}
    for found in numbers.values():
        assert found["target pictures"] == 26
        assert (found["labels 3 patients"], found["labels 3 pictures"]) == ([3, 3], [[3, 3]])
        difference = found["target augmented_untouched - plain_untouched"]["value"]
        apart = [found[f"target {name}_untouched"]["value"] for name in ("augmented", "plain")]
        assert difference == pytest.approx(apart[0] - apart[1])
        compared = ("tuned_3_matched - plain_matched", "tuned_3_untouched - augmented_matched", "alone_3_untouched")
        assert {f"labels {name}" for name in compared} <= set(found)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*_*")}
    again = _run("real_sites.py", asked)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*_*")} == written
    assert read_json(tmp_path / "out" / "numbers.json") == numbers

"""A patient model: scikit-learn's numbers on tables made elsewhere, next to what it must beat, stored and measured."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, calibrate, operating_point, read_predictions, reliability
from mammo_tf.files import read_json, write_json
from mammo_tf.patients.classifier import Settings
from mammo_tf.patients.inputs import one_table, three_tables
from mammo_tf.patients.model import PatientFit, PatientRequest, fit_patient_model, read_grids, request_settings
from mammo_tf.patients.rows import table_lines
from mammo_tf.patients.store import load_patient_model
from mammo_tf.patients.table import SCORES, VIEWS
from mammo_tf.radiomics import FEATURES_32

SPLITS = ("train", "validation", "test")
SMALL = (("components", "4"), ("trees", "12"), ("leaf", "4"))
QUICK = Resampling(30)


def published_tables(folder: Path, patients: tuple[int, ...] = (120, 38, 78), names: tuple[str, ...] = FEATURES_32):
    """Three files of the very form of the authors' tables: 32 features of each view, columns by view."""
    generator = np.random.default_rng(5)
    columns = [f"{name}_{view}" for view in VIEWS for name in names]
    scale = generator.lognormal(0, 3, len(columns))
    paths = []
    for part, count in zip(("TRAIN", "VAL", "TEST"), patients, strict=True):
        labels = np.arange(count) % 2
        table = pd.DataFrame(
            {
                "id": [f"{part}{number}" for number in range(count)],
                "group": np.where(labels, "case", "control"),
                "age": generator.integers(40, 75, count),
                "true_label": labels,
            }
        )
        for name in SCORES:
            table[name] = 1 / (1 + np.exp(-generator.normal(size=count) - 0.8 * labels))
        table["patient_uid_count"] = 4
        values = generator.normal(size=(count, len(columns)))
        values[:, : len(columns) // 4] += 0.4 * labels[:, None]
        table = pd.concat([table, pd.DataFrame(values * scale, columns=columns)], axis=1)
        paths.append(folder / f"LABELS_{part}.csv")
        table.to_csv(paths[-1], index=False)
    return paths


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return published_tables(tmp_path_factory.mktemp("tables"), (60, 30, 24), ("imin", "iavg", "ccor"))


def request(**changes: object) -> PatientRequest:
    return replace(PatientRequest(settings=request_settings(SMALL), resampling=QUICK), **changes)


@pytest.fixture(scope="module")
def fitted(small: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PatientFit]:
    """The folder of a patient model, measured as the thesis did too; whoever changes it copies it."""
    folder = tmp_path_factory.mktemp("fitted") / "out"
    return folder, fit_patient_model(three_tables(*small), folder, request(as_run=True))


@pytest.fixture(scope="module")
def forest(small: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of the random forest."""
    folder = tmp_path_factory.mktemp("forest") / "out"
    fit_patient_model(three_tables(*small), folder, request(as_run=True, keep="random_forest"))
    return folder


def test_the_published_form_gives_the_numbers_of_scikit_learn(tmp_path: Path) -> None:
    """The thesis's settings, columns and rows in the order of the files."""
    paths = published_tables(tmp_path)
    tables = dict(zip(SPLITS, map(pd.read_csv, paths), strict=True))
    columns = [name for name in tables["train"] if name not in ("id", "group", "true_label", "patient_uid_count")]
    assert len(columns) == 133
    trees = GradientBoostingClassifier(
        n_estimators=200, learning_rate=0.05, max_depth=2, min_samples_leaf=20, subsample=0.8, random_state=42
    )
    pipeline = make_pipeline(StandardScaler(), PCA(20, random_state=42), trees)
    pipeline.fit(tables["train"][columns], tables["train"]["true_label"])
    inputs = three_tables(*paths)
    assert inputs.table.names == tuple(columns)
    found = fit_patient_model(inputs, tmp_path / "out", PatientRequest(resampling=QUICK))
    assert found.settings["gradient_boosting"] == Settings()
    metrics = read_json(tmp_path / "out" / "metrics.json")
    written = pd.read_csv(tmp_path / "out" / "predictions_gradient_boosting.csv")
    for split, table in tables.items():
        expected = pipeline.predict_proba(table[columns])[:, 1]
        rows = written[written["split"] == split]
        assert list(rows["patient_id"]) == list(table["id"])
        np.testing.assert_allclose(rows["score"], expected, atol=1e-8)
        for name, scores in (
            ("gradient_boosting", expected),
            ("maximum", table[list(SCORES)].max(axis=1)),
            ("mean", table[list(SCORES)].mean(axis=1)),
        ):
            number = metrics[name][split]["patient"]["auc"]
            assert number["value"] == pytest.approx(roc_auc_score(table["true_label"], scores), abs=1e-12)
            assert number["n"] == len(table)
    assert f"{metrics['gradient_boosting']['test']['patient']['auc']['value']:.6f}" in "\n".join(
        table_lines(found.rows)
    )


def test_everything_is_chosen_on_validation(fitted: tuple[Path, PatientFit]) -> None:
    folder, found = fitted
    model = load_patient_model(folder / "model")
    table = read_predictions(folder / "predictions_gradient_boosting.csv")
    validation, test = (table[table["split"] == split] for split in SPLITS[1:])
    point = operating_point(validation["label"], validation["score"])
    assert model.classifier.threshold == pytest.approx(point.threshold, abs=1e-8)
    numbers = read_json(folder / "metrics.json")["gradient_boosting"]["test"]["patient"]
    called = test["score"] >= point.threshold - 1e-9
    assert numbers["sensitivity"]["value"] == pytest.approx(called[test["label"] == 1].mean())
    assert numbers["threshold"]["how"] == "largest G-mean, highest threshold among equals, on validation"
    platt = calibrate(validation["label"], validation["score"])
    assert model.calibration is not None
    assert model.calibration.slope == pytest.approx(platt.slope, rel=1e-6)
    np.testing.assert_allclose(test["probability"].astype(float), platt(test["score"]), atol=1e-6)
    assert numbers["ece"]["value"] == pytest.approx(reliability(test["label"], test["score"]).ece, abs=1e-6)
    assert numbers["ece_calibrated"]["value"] == pytest.approx(
        reliability(test["label"], platt(test["score"])).ece, abs=1e-6
    )
    assert numbers["brier_calibrated"]["value"] is not None
    as_run = read_json(folder / "as_run.json")["gradient_boosting"]["test"]["patient"]["threshold"]
    assert as_run["value"] == pytest.approx(operating_point(test["label"], test["score"]).threshold, abs=1e-8)
    assert as_run["how"].endswith("on test; a threshold chosen on test makes its rates too good")
    assert "ON TEST" in table_lines(found.rows, found.as_run)[-1]
    figures = {path.name for path in (folder / "figures").glob("*.png")}
    assert figures == {f"{kind}_{split}.png" for kind in ("roc", "reliability_gradient_boosting") for split in SPLITS}


def test_comparisons_are_paired_differences(forest: Path) -> None:
    comparison = read_json(forest / "comparison.json")
    assert list(comparison) == [
        f"{name} minus {plain}" for name in ("gradient_boosting", "random_forest") for plain in ("maximum", "mean")
    ]
    metrics = read_json(forest / "metrics.json")
    areas = {name: row["test"]["patient"]["auc"]["value"] for name, row in metrics.items()}
    number = comparison["random_forest minus mean"]["test"]["patient"]["auc_difference"]
    assert number["value"] == pytest.approx(areas["random_forest"] - areas["mean"])
    assert number["low"] < number["value"] < number["high"]
    assert "paired" in number["how"]
    assert load_patient_model(forest).classifier.settings.model == "random_forest"


@pytest.mark.long
def test_a_folder_is_of_one_request(small: list[Path], forest: Path, tmp_path: Path) -> None:
    inputs = three_tables(*small)
    shutil.copytree(forest, tmp_path / "out")
    assert (tmp_path / "out" / "as_run.json").is_file()
    fit_patient_model(inputs, tmp_path / "out", request(calibration="isotonic"))  # rules and intervals may change
    assert not (tmp_path / "out" / "as_run.json").exists()
    assert not list((tmp_path / "out" / "figures").glob("*random_forest*"))
    assert load_patient_model(tmp_path / "out").calibration.method == "isotonic"
    with pytest.raises(MammoError, match="of other patients, settings or grids"):
        fit_patient_model(inputs, tmp_path / "out", request(settings=request_settings([*SMALL, ("depth", "3")])))
    with pytest.raises(MammoError, match="not empty and holds no patient model"):
        fit_patient_model(inputs, small[0].parent, request())


def test_without_validation_there_is_no_decision(small: list[Path], tmp_path: Path) -> None:
    found = fit_patient_model(three_tables(small[0], None, small[2]), tmp_path, request())
    model = load_patient_model(tmp_path)
    assert model.classifier.threshold is None
    assert model.calibration is None
    assert any("no threshold" in note for note in found.notes)
    assert list(found.rows["mean"].metrics) == ["train", "test"]


def test_one_table_with_a_split(small: list[Path], tmp_path: Path) -> None:
    parts = [pd.read_csv(path).assign(split=split) for path, split in zip(small, SPLITS, strict=True)]
    whole = pd.concat(parts).sample(frac=1, random_state=0)
    whole.rename(columns={"true_label": "cancer", "id": "woman"}).to_csv(tmp_path / "all.csv", index=False)
    inputs = one_table(tmp_path / "all.csv", {"label": "cancer", "patient": "woman"})
    assert {split: len(inputs.split(split).labels) for split in SPLITS} == dict(zip(SPLITS, (60, 30, 24), strict=True))
    assert list(inputs.table.patients) == list(whole["id"])
    whole.drop(columns="split").to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(MammoError, match="no patient in the split train"):
        one_table(tmp_path / "none.csv")
    whole.assign(split="dev").to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(MammoError, match="has the split 'dev'"):
        one_table(tmp_path / "odd.csv")


def test_torn_pairs_and_filled_views_are_told(small: list[Path], tmp_path: Path) -> None:
    parts = [pd.read_csv(path).assign(split=split) for path, split in zip(small, SPLITS, strict=True)]
    whole = pd.concat(parts, ignore_index=True).drop(columns="group").astype(object)
    whole["id"] = np.arange(len(whole))  # pairs are numbered as patients are
    whole["pair_id"] = np.arange(len(whole)) // 2
    whole.loc[59:60, "pair_id"] = 29
    whole.loc[3, [name for name in whole if name.endswith(("R_MLO", "R_MLO_pred"))]] = np.nan
    whole.to_csv(tmp_path / "all.csv", index=False)
    filled = f"1 of {4 * len(whole)} views are missing, each filled by the mean of the patient's other views"
    notes = one_table(tmp_path / "all.csv").notes
    assert notes == (filled, "1 pairs are in two splits, such as '29': keep them together (split --pairs)")
    assert filled.replace(str(4 * len(whole)), "240") in three_tables(_file(whole[:60], tmp_path)).notes
    found = fit_patient_model(one_table(tmp_path / "all.csv"), tmp_path / "out", request())
    assert found.rows["mean"].predictions["pair_id"].tolist() == [str(pair) for pair in whole["pair_id"]]


def _file(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "part.csv", index=False)
    return folder / "part.csv"


def test_files_that_share_patients(small: list[Path], tmp_path: Path) -> None:
    train, test = pd.read_csv(small[0]), pd.read_csv(small[2])
    test["id"] = train["id"][: len(test)].to_numpy()  # numbers that begin again
    test.to_csv(tmp_path / "test.csv", index=False)
    inputs = three_tables(small[0], None, tmp_path / "test.csv")
    assert any("24 patient identifiers stand in more than one file" in note for note in inputs.notes)
    found = fit_patient_model(inputs, tmp_path / "out", request())
    assert found.rows["mean"].predictions["image_id"].is_unique
    pd.concat([test.iloc[1:], train.iloc[:1]]).to_csv(tmp_path / "leak.csv", index=False)
    with pytest.raises(MammoError, match="patient 'TRAIN0' is in train and in test"):
        three_tables(small[0], None, tmp_path / "leak.csv")
    test.drop(columns=[f"ccor_{view}" for view in VIEWS]).to_csv(tmp_path / "less.csv", index=False)
    with pytest.raises(MammoError, match="column 'ccor_L_CC' is in one of"):
        three_tables(small[0], None, tmp_path / "less.csv")


def test_settings_and_grids(tmp_path: Path) -> None:
    changed = request_settings([("trees", "7"), ("random_forest.max_features", "sqrt")])
    assert (changed["gradient_boosting"].trees, changed["random_forest"].trees) == (7, 7)
    assert changed["random_forest"].max_features == "sqrt"
    assert changed["gradient_boosting"].max_features is None
    for text, says in (("depht=2", "Did you mean depth"), ("svm.trees=2", "svm.trees"), ("trees=many", "not a whole")):
        with pytest.raises(MammoError, match=says):
            request_settings([tuple(text.split("="))])
    assert set(read_grids(None)) == {"gradient_boosting", "random_forest"}
    path = tmp_path / "grid.json"
    for grid, says in (
        ([1], "is not a grid"),
        ({"depth": 2}, "depth is 2, not a list"),
        ({"depht": [2]}, "Did you mean depth"),
        ({"depth": ["two"]}, "depth is 'two'"),
        ({"random_forest": {}}, "a grid without fields"),
    ):
        write_json(path, grid)
        with pytest.raises(MammoError, match=says):
            read_grids(path)
    write_json(path, {"depth": [2, 3], "subsample": [1]})
    assert read_grids(path) == {"gradient_boosting": {"depth": (2, 3), "subsample": (1.0,)}}
    with pytest.raises(MammoError, match="classifier 'svm' is unknown"):
        PatientRequest(keep="svm")
    with pytest.raises(MammoError, match="calibration 'spline' is unknown"):
        PatientRequest(calibration="spline")


def test_wrong_points_of_a_grid_are_told_before_the_work(small: list[Path], tmp_path: Path) -> None:
    for setting in ("depth=0", "seed=-1", "max_features=5.0", "max_features=foo"):
        with pytest.raises(MammoError, match="is (0|-1|5.0|'foo')"):
            request_settings([tuple(setting.split("="))])
    for grid in ({"depth": (2, 0)}, {"seed": (-1,)}, {"max_features": (0.3, "foo")}):
        with pytest.raises(MammoError, match="is (0|-1|'foo')"):
            request(grids={"random_forest": grid})
    with pytest.raises(MammoError, match="the seed is -1"):
        request(seed=-1)
    grids = {"gradient_boosting": {"trees": (2, 3)}, "random_forest": {"components": (2, 99)}}
    with pytest.raises(MammoError, match="99 components cannot be had"):
        fit_patient_model(three_tables(*small), tmp_path, request(grids=grids))
    assert not (tmp_path / "search").exists()


def test_a_model_folder_that_was_changed(fitted: tuple[Path, PatientFit], tmp_path: Path) -> None:
    shutil.copytree(fitted[0], tmp_path, dirs_exist_ok=True)
    stored = tmp_path / "model" / "classifier.json"
    text = stored.read_text()
    stored.write_text(text.replace('"threshold": 0.', '"threshold": 0.9'))
    with pytest.raises(MammoError, match="is not the file that was written"):
        load_patient_model(tmp_path)
    stored.write_text(text)
    (tmp_path / "model" / "patient_model.json").write_text("{}")
    with pytest.raises(MammoError, match="format None"):
        load_patient_model(tmp_path)
    with pytest.raises(MammoError, match="holds no patient model"):
        load_patient_model(tmp_path / "figures")


def test_a_description_that_was_edited(fitted: tuple[Path, PatientFit], tmp_path: Path) -> None:
    shutil.copytree(fitted[0], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "model" / "patient_model.json"
    stored = read_json(path)
    edited = stored | {"calibration": stored["calibration"] | {"slope": stored["calibration"]["slope"] * 2}}
    write_json(path, edited)
    with pytest.raises(MammoError, match="patient_model.json is not the file that was written") as caught:
        load_patient_model(tmp_path)
    assert caught.value.code == "model_damaged"
    earlier = {name: value for name, value in stored.items() if name != "digest"}  # as earlier versions wrote it
    write_json(path, earlier)
    calibration = load_patient_model(tmp_path).calibration
    assert calibration is not None
    assert calibration.slope == stored["calibration"]["slope"]
    for change in (
        {"calibration": stored["calibration"] | {"slope": "steep"}},
        {"calibration": stored["calibration"] | {"slope": -5}},
        {"calibration": {"method": "isotonic", "knots": [], "values": []}},
        {"network": {"path": "../metrics.json", "sha256": None}},
    ):
        write_json(path, earlier | change)
        with pytest.raises(MammoError) as caught:
            load_patient_model(tmp_path)
        assert caught.value.code == "model_damaged"

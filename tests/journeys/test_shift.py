"""A real shift: a model of site 1 loses at site 2 on the same women, and matching histograms does not win all back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mammo_tf.evaluation import compare, compute_metrics, read_predictions
from mammo_tf.experiments.demo import SOURCE, TARGET
from mammo_tf.experiments.demo_recipes import DemoSize, source_recipe
from mammo_tf.experiments.study_recipes import SIZE, SPACING_MM
from mammo_tf.imaging import Preprocessing
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.recipes.runner import run
from mammo_tf.recipes.scores import measured
from mammo_tf.records import open_records, prepare
from mammo_tf.records.domain_statistics import matching_step, with_matching

# Three quarters of the short demonstration's epochs of whole images: enough to learn site 1, in minutes on one core.
DEMO = DemoSize(whole=6)
TEST_PATIENTS, TARGET_PATIENTS, SEED = 100, 30, 2


def prepared(folder: Path, site: str, study: pd.DataFrame) -> Path:
    rows = study[study["site"] == site].reset_index(drop=True)
    prepare(rows, folder / "study", folder / "prepared" / site, Preprocessing.preset("default", SIZE), 1)
    return folder / "prepared" / site


def of_site_1(table: pd.DataFrame) -> pd.DataFrame:
    """Site 2's predictions under the names of site 1's images of the same breasts and views, to be paired with them."""
    return table.assign(
        image_id=table["image_id"].str.replace(TARGET, SOURCE), exam_id=table["exam_id"].str.replace(TARGET, SOURCE)
    )


def words(number: dict) -> str:
    return f"{number['value']:.3f} ({number['low']:.3f} to {number['high']:.3f})"


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_model_of_site_1_loses_at_site_2_and_matching_does_not_win_it_all_back(tmp_path: Path) -> None:
    groups = (
        PatientGroup("source", DEMO.source, (SOURCE,), "train"),
        PatientGroup("source_validation", DEMO.source_validation, (SOURCE,), "validation"),
        PatientGroup("target", TARGET_PATIENTS, (TARGET,), "train"),
        PatientGroup("test", TEST_PATIENTS, (SOURCE, TARGET), "test"),
    )
    study = make_study(
        tmp_path / "study", groups, (SOURCE, TARGET), SEED, SPACING_MM, conspicuity=CONSPICUOUS, workers=1
    )
    data = {site: prepared(tmp_path, site, study) for site in (SOURCE, TARGET)}
    recipe = source_recipe(DEMO)
    recipe = replace(recipe, training=replace(recipe.training, seed=SEED))
    model = run(recipe, tmp_path / "site_1", data[SOURCE], say=lambda line: None)

    target = open_records(data[TARGET])
    matched = with_matching(model.card.preprocessing, matching_step(target, open_records(data[SOURCE])))
    measured(model.model, target, model.card, recipe, tmp_path / "untouched")
    measured(model.model, target, replace(model.card, preprocessing=matched), recipe, tmp_path / "matched")
    tables = {name: read_predictions(tmp_path / name / "predictions_test.csv") for name in ("untouched", "matched")}
    tables = {name: of_site_1(table) for name, table in tables.items()}
    own = read_predictions(tmp_path / "site_1" / "predictions_test.csv")

    auc = {name: compute_metrics(table)["test"]["breast"]["auc"] for name, table in {"own": own, **tables}.items()}
    lost = {name: compare(own, table)["test"]["breast"]["auc_difference"] for name, table in tables.items()}
    won = compare(tables["untouched"], tables["matched"])["test"]["breast"]["auc_difference"]
    said = ", ".join(f"{name} {words(number)}" for name, number in auc.items())
    said += "; lost " + ", ".join(f"{name} {words(number)}" for name, number in lost.items())
    said += f"; won by matching {words(won)}"
    print(said)
    assert auc["own"]["low"] > 0.6, said  # it has learned something that can be lost
    # Paired on the same women: the whole interval of the loss lies below zero, without and with matching.
    assert lost["untouched"]["high"] < 0, said
    assert lost["matched"]["high"] < 0, said

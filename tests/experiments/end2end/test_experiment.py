"""The thesis's tables: their recipes, their splits, their sentences, and the whole of it in small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, auc, read_predictions
from mammo_tf.experiments.end2end import experiment
from mammo_tf.experiments.end2end.claims import findings
from mammo_tf.experiments.end2end.experiment import FRACTIONS, Sites, source_study, target_study, thesis_tables
from mammo_tf.experiments.end2end.recipes import (
    COLLECTIONS,
    OWN,
    OWN_RATES,
    PHANTOM,
    SMOKE,
    TABLE_6,
    as_run,
    configuration,
    source_1_recipe,
    source_2_recipe,
)
from mammo_tf.experiments.end2end.rows import IN_DOMAIN, PUBLISHED, seed_numbers, target_rows
from mammo_tf.experiments.end2end.tables import gathered, tables_text, write_tables
from mammo_tf.files import read_json, write_json
from mammo_tf.models import end2end
from mammo_tf.models.groups import set_trainable
from mammo_tf.phantom import PatientGroup
from mammo_tf.phantom.study import DEFAULT_PREVALENCE, draw_patients
from mammo_tf.recipes import Recipe, load_recipe
from mammo_tf.records import open_records
from mammo_tf.study import assign_splits, check_leakage, make_manifest

PIPELINES = Path(__file__).parents[3] / "pipelines"
PAGES = {number: PIPELINES / f"end2end_finetune_config{number}.py" for number in (1, 2)}
BOTH = (TABLE_6, OWN)


@pytest.mark.parametrize("number", [1, 2])
def test_the_configurations_are_those_of_their_pages(number: int) -> None:
    """Table 6 stands in two places: the page to read, and the experiment that needs it in the package."""
    page, ours = load_recipe(PAGES[number]), configuration(number, TABLE_6, COLLECTIONS)
    assert replace(page, name="same", about="") == replace(ours, name="same", about="")


def test_as_run_is_its_page_but_for_the_cohorts_constants() -> None:
    page, ours = load_recipe(PAGES[1], "as-run"), as_run(None, TABLE_6, COLLECTIONS)
    assert (page.stages, page.training) == (ours.stages, ours.training)
    assert (page.preparation.mean, page.evaluation.mean) == (60.20, 44.4)
    assert (ours.preparation.mean, ours.evaluation.mean) == ("training", None)


def test_as_run_both_configurations_train_the_same_layers() -> None:
    """So one row stands for both."""
    one, two = (load_recipe(PAGES[number], "as-run") for number in (1, 2))
    assert replace(one, name="same", about="", phases=()) == replace(two, name="same", about="", phases=())
    assert one.stages[1] == two.stages[1]
    assert replace(one.stages[0], trainable=()) == replace(two.stages[0], trainable=())
    model = end2end("vgg16", "512x1", (128, 128, 3), 1 / 32)
    trained = [set_trainable(model, recipe.stages[0].trainable, recipe.stages[0].batch_norm) for recipe in (one, two)]
    assert trained[0] == trained[1] != ()


def test_own_rates_change_rates_lengths_dropout_and_mirroring_alone() -> None:
    for recipe, other in (
        (configuration(2, TABLE_6), configuration(2, OWN)),
        (as_run(None, TABLE_6), as_run(None, OWN)),
    ):
        for stage, changed, rate in zip(recipe.stages, other.stages, OWN_RATES, strict=True):
            assert (changed.rate, changed.trainable, changed.batch_norm) == (rate, stage.trainable, stage.batch_norm)
            assert changed.decay == stage.decay
        assert other.training.augmentation.rotation == 0
        assert replace(other.training, augmentation=recipe.training.augmentation) == recipe.training


@pytest.mark.parametrize(
    "recipe", [source_1_recipe(), source_2_recipe(SMOKE), *(configuration(n, f) for n in (1, 2) for f in BOTH)]
)
def test_recipes_travel_as_json(recipe: Recipe) -> None:
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_the_page_gives_the_recipes_and_the_published_rows() -> None:
    page = PIPELINES / "thesis_tables.py"
    assert load_recipe(page) == load_recipe(page, "source-1") == source_1_recipe()
    assert load_recipe(page, "config-2-own") == configuration(2, OWN)
    text = page.read_text(encoding="utf-8")
    for row in PUBLISHED.values():
        cells = [f"{row['auc']:.3f} ({row['low']:.3f} - {row['high']:.3f})"]
        cells += [f"{row[name]:.3f}" for name in ("sensitivity", "specificity", "threshold")]
        assert any(all(cell in line for cell in cells) for line in text.splitlines()), row


def test_191_pairs_are_133_19_and_39() -> None:
    """The split of the thesis, at full size, without a picture."""
    people = draw_patients(
        [PatientGroup("", 2 * PHANTOM.pairs, ("x",))], ["x"], 3, {"normal": 0.2, **DEFAULT_PREVALENCE}, True
    )
    rows = [
        {"image_id": f"{one.patient_id}{view}", "patient_id": one.patient_id, "pair_id": one.pair_id, "age": one.age,
         "label": max(one.labels), "path": f"{one.patient_id}{view}"}
        for one in people for view in range(4)
    ]  # fmt: skip
    split = assign_splits(make_manifest(rows), FRACTIONS, ("age",), pairs=True, seed=3)
    check_leakage(split)
    parts = split.groupby("split")
    assert parts["pair_id"].nunique().to_dict() == {"train": 133, "validation": 19, "test": 39}
    assert parts.size().to_dict() == {"train": 1064, "validation": 152, "test": 312}


@pytest.fixture(scope="module")
def little_studies(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("studies")
    size = replace(SMOKE, source_1=(2, 2, 2), source_2=(2, 2, 2), pairs=10, spacing_mm=1.5)
    return source_study(folder / "sources", size, 1, 1), target_study(folder / "target", size, 1, 1)


def test_no_patient_is_in_two_parts_and_pairs_stay_together(little_studies: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    sources, target = little_studies
    for study in little_studies:
        check_leakage(study)
        assert study.groupby("patient_id")["split"].nunique().max() == 1
    assert sources.groupby("patient_id")["site"].nunique().max() == 1
    assert sources.groupby(["site", "split"])["patient_id"].nunique().to_dict() == {
        (site, split): 2 for site in ("film", "ffdm_site_1") for split in ("train", "validation", "test")
    }
    pairs = target.groupby("pair_id")
    assert pairs["split"].nunique().max() == 1
    assert (pairs["patient_id"].nunique() == 2).all()
    assert target.groupby("split")["pair_id"].nunique().to_dict() == {"train": 7, "validation": 1, "test": 2}
    worst = target.groupby("patient_id")["label"].agg(lambda labels: bool(set(labels) & {"malignant", "high_risk"}))
    assert worst.sum() == 10, "a case in every pair"


def test_sources_and_target_are_other_women(little_studies: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Their numbers begin again, so they must stem from other seeds, and be called otherwise."""
    assert not set(little_studies[0]["patient_id"]) & set(little_studies[1]["patient_id"])
    sources, target = (
        study.drop_duplicates("patient_id").sort_values("patient_id")[["age", "density"]].head(12).to_numpy().tolist()
        for study in little_studies
    )
    assert sources != target


def made_up_seed(folder: Path, seed: int, families: tuple[str, ...] = BOTH, gain: float = 1.2) -> None:
    """Predictions of every row as if they had been run: adapted rows score positives higher by `gain`."""
    generator = np.random.default_rng(seed)
    patients = np.repeat(np.arange(60), 4)
    label = ((patients % 2 == 0) & (np.arange(240) % 4 < 2)).astype(int)
    table = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(240)], "patient_id": [f"p{number}" for number in patients],
            "exam_id": "", "pair_id": [f"pair{number // 2}" for number in patients],
            "laterality": ["L", "L", "R", "R"] * 60, "view": ["CC", "MLO"] * 120,
            "split": np.where(patients < 20, "validation", "test"), "label": label,
        }
    )  # fmt: skip
    base = generator.normal(size=240)
    for row in (*IN_DOMAIN, *target_rows(families)):
        better = gain if row.key.startswith(("config", "as_run")) else 0.3
        score = 1 / (1 + np.exp(-(base + 0.3 * generator.normal(size=240) + better * label)))
        (folder / row.place).mkdir(parents=True, exist_ok=True)
        if row.classifier:
            one = table.assign(score=score).groupby("patient_id", sort=False).agg(
                split=("split", "first"), label=("label", "max"), score=("score", "mean")
            ).reset_index()  # fmt: skip
            one.assign(image_id=one["patient_id"]).to_csv(
                folder / row.place / f"predictions_{row.classifier}.csv", index=False
            )
            continue
        for split, part in table.assign(score=score).groupby("split"):
            part.to_csv(folder / row.place / f"predictions_{split}.csv", index=False)
        log = pd.DataFrame(
            {"stage": ["stage_1", "stage_1", "stage_2"], "loss": [0.9, 0.8, 0.7], "val_loss": 0.8, "rate": 1e-3}
        )
        log.to_csv(folder / row.place / "log.csv", index=False)
    numbers = seed_numbers(folder, families, Resampling(60, also_cases=True))
    counts = {"target": {"test": {"patients": 40, "pairs": 20, "images": 160, "positive images": 40}}}
    write_json(folder / "numbers.json", numbers | {"counts": counts})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    for seed in (1, 2):
        made_up_seed(folder / f"seed_{seed}", seed)
    write_tables(folder, (1, 2), PHANTOM, True, lambda line: None)
    return folder


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def assert_every_number_is_in_the_json(folder: Path) -> None:
    tables, text = read_json(folder / "tables.json"), (folder / "tables.md").read_text(encoding="utf-8")
    known = {f"{abs(number):.3f}" for number in numbers_in(tables)}
    shown = re.findall(r"\d+\.\d+", text)
    assert len(shown) > 50
    assert not [number for number in shown if number not in known]
    assert tables_text(tables) == text, "tables.md is made of tables.json and nothing else"
    assert len(text.encode()) < 60_000


def test_every_number_of_the_text_is_in_the_json(written: Path) -> None:
    assert_every_number_is_in_the_json(written)
    tables = read_json(written / "tables.json")
    assert set(tables["rows"]) == {row.key for row in target_rows(BOTH)}
    assert set(tables["in_domain"]) == {row.key for row in IN_DOMAIN}
    assert "nothing about women" in (written / "tables.md").read_text(encoding="utf-8")
    sizes = [path.stat().st_size for path in (written / "figures").rglob("*.*")]
    assert len(sizes) == 2 * 2 * 7
    assert max(sizes) < 300_000


def test_numbers_are_those_of_the_predictions(written: Path) -> None:
    tables = read_json(written / "tables.json")
    for key in ("baseline", "config_2_own"):
        place = {row.key: row.place for row in target_rows(BOTH)}[key]
        values = []
        for seed in (1, 2):
            test = read_predictions(written / f"seed_{seed}" / place / "predictions_test.csv")
            number = tables["rows"][key]["seeds"][str(seed)]["image"]["auc"]
            assert number["value"] == pytest.approx(auc(test["label"], test["score"]), abs=1e-6)
            assert number["low"] < number["value"] < number["high"]
            assert number["cases_resampled"]["low"] < number["value"]
            values.append(number["value"])
        over = tables["rows"][key]["over_seeds"]["image"]["auc"]
        assert (over["low"], over["high"]) == (min(values), max(values))
        assert over["mean"] == pytest.approx(np.mean(values), abs=1e-6)
        difference = tables["differences"]["config_2_own_minus_baseline"]["seeds"]["1"]["image"]
        assert 0 < difference["auc_difference"]["p"] <= 1
        assert 0 <= difference["auc_difference_delong"]["p"] <= 1


def number(value: float, low: float, high: float, images: tuple[float, float]) -> dict[str, Any]:
    return {
        "auc_difference": {
            "value": value,
            "low": low,
            "high": high,
            "cases_resampled": dict(zip(("low", "high"), images, strict=True)),
        }
    }


def test_sentences_say_what_agrees_and_what_survives() -> None:
    clear, thin = number(0.1, 0.04, 0.16, (0.06, 0.14)), number(0.03, -0.01, 0.07, (0.01, 0.05))
    worse = number(-0.1, -0.15, -0.05, (-0.14, -0.06))
    seeds = {
        1: {"config_2_own_minus_baseline": {"image": clear}, "config_1_own_minus_baseline": {"image": thin},
            "config_2_own_minus_config_1_own": {"image": worse}, "radiomics_34_minus_baseline": {"patient": thin}},
        2: {"config_2_own_minus_baseline": {"image": clear}, "config_1_own_minus_baseline": {"image": worse},
            "config_2_own_minus_config_1_own": {"image": worse}, "radiomics_34_minus_baseline": {"patient": clear}},
    }  # fmt: skip
    found = {(one["claim"], one["here"]): one for one in findings(seeds, (OWN,))}
    two = found["Configuration 2 is above the baseline", "own rates"]
    assert (two["agree"], two["patients"], two["images"], two["seeds"]) == (2, 2, 2, 2)
    assert "it agrees (2 of 2 seeds)" in two["sentence"]
    assert "The difference survives" in two["sentence"]
    one = found["Configuration 1 is above the baseline", "own rates"]
    assert (one["agree"], one["patients"], one["images"]) == (1, 0, 1)
    assert "agrees in part" in one["sentence"]
    assert "does not survive" in one["sentence"]
    assert "below zero in 1." in one["sentence"]
    between = found["Configuration 2 is above configuration 1", "own rates"]
    assert "disagrees (0 of 2 seeds). The interval" in between["sentence"]
    none = found["Radiomics add nothing to the baseline's AUC", "34 features"]
    assert (none["agree"], none["patients"], none["level"]) == (1, 1, "patient")
    assert "shows no difference, not that there is none" in none["sentence"]
    seeds[2]["config_2_own_minus_baseline"] = {
        "image": {"auc_difference": clear["auc_difference"] | {"rarer_class": 4}}
    }
    few = findings(seeds, (OWN,))[0]["sentence"]
    assert "No verdict: the rarer class has 4 patients" in few
    assert "survives" not in few
    assert "agrees" not in few


def test_rows_that_were_not_run_are_left_out(tmp_path: Path) -> None:
    made_up_seed(tmp_path, 3, (TABLE_6,))
    for name in ("model_1_at_source_1", "radiomics_34", "radiomics_32"):
        for path in (tmp_path / name).iterdir():
            path.unlink()
    numbers = seed_numbers(tmp_path, (TABLE_6,), Resampling(20))
    assert "radiomics_34" not in numbers["rows"]
    assert "model_1_at_source_1" not in numbers["in_domain"]
    assert not [key for key in numbers["differences"] if "radiomics" in key]
    text = tables_text(gathered({3: numbers | {"counts": {}}}, COLLECTIONS, False))
    assert "Radiomics" not in text
    assert "nothing about women" not in text
    assert "A smoke run" not in text
    smoke = tables_text(gathered({3: numbers | {"counts": {}}}, SMOKE, True))
    assert "A smoke run: few patients" in smoke.split("## ")[0]


def test_bad_options_are_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in (
        (["--target", "x"], "--start-1, --start-2 is missing"),
        (["--target", "x", "--start-1", "a", "--start-2", "b", "--smoke"], "belong to the synthetic study"),
        (["--target", str(tmp_path / "none"), "--start-1", "a", "--start-2", "b"], "is not there"),
        (
            ["--target", "x", "--start-1", "a", "--start-2", "b", "--features", "c.csv"],
            "not a table of the 34 features",
        ),
        (["--seed", "1", "--seed", "1"], "seeds [1, 1]"),
    ):
        assert main(["tables", "-o", str(tmp_path / "out"), *words]) == 2
        said = capsys.readouterr().err
        assert told in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_size_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "request.json", {"size": {}, "given": {}})
    with pytest.raises(MammoError, match="tables of another size"):
        thesis_tables(tmp_path, SMOKE)
    (tmp_path / "request.json").rename(tmp_path / "other.json")
    with pytest.raises(MammoError, match="holds no tables"):
        thesis_tables(tmp_path, SMOKE)


def _never(*_: object, **__: object) -> None:
    raise AssertionError("computed again")


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_whole_of_it_in_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """To its tables; again without computing a row; then the same rows from prepared sites and two models."""
    folder = tmp_path / "tables"
    words = ["tables", "--smoke", "-o", str(folder), "--workers", "1"]
    assert main(words) == 0
    assert capsys.readouterr().out.rstrip().endswith(f"tables: {folder / 'tables.md'}")
    assert_every_number_is_in_the_json(folder)
    tables = read_json(folder / "tables.json")
    assert set(tables["rows"]) == {row.key for row in target_rows(BOTH)}
    place = folder / "seed_1"
    for site in ("film", "ffdm_site_1", "ffdm_site_2"):
        check_leakage(open_records(place / "prepared" / site).rows)
    assert (
        len(pd.read_csv(place / "features_34.csv").columns) == len(pd.read_csv(place / "features_32.csv").columns) + 2
    )

    (place / "numbers.json").unlink()
    (folder / "tables.json").unlink()
    with monkeypatch.context() as patch:
        for name in ("run", "make_study", "prepare_site", "score_site", "fit_patient_model", "extract_features"):
            patch.setattr(experiment, name, _never)
        assert main(words) == 0
    assert read_json(folder / "tables.json") == tables

    sites = Sites(
        place / "prepared" / "ffdm_site_2", place / "source_1", place / "source_2", place / "prepared" / "film",
        features=place / "features_34.csv",
    )  # fmt: skip
    size = replace(SMOKE, families=(TABLE_6,))
    thesis_tables(tmp_path / "given", size, (1,), sites, 1, lambda line: None)
    given = read_json(tmp_path / "given" / "tables.json")
    assert set(given["in_domain"]) == {"model_1_at_source_1", "model_2_at_source_1"}
    for key in ("baseline", "radiomics_34", "config_2_table_6"):  # the same seed, data and model: the same numbers
        assert given["rows"][key] == tables["rows"][key]

"""Table 2: its recipes, its study, its numbers by other means, and the whole of it in small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mammo_tf.adaptation.domains import FEWEST
from mammo_tf.adaptation.rungs import RUNGS
from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.experiments.ffdm_to_dbt import experiment, ladder, ladder_text
from mammo_tf.experiments.ffdm_to_dbt.figures import policy_figure, read_policies
from mammo_tf.experiments.ffdm_to_dbt.recipes import (
    DBT,
    FFDM,
    PAPER,
    SMOKE,
    base_recipe,
    last_layer_recipe,
    scored_recipe,
)
from mammo_tf.experiments.ffdm_to_dbt.rows import DIFFERENCES, ROWS, difference_numbers, row_numbers
from mammo_tf.experiments.ffdm_to_dbt.study import with_both
from mammo_tf.experiments.ffdm_to_dbt.tables import gathered, tables_text
from mammo_tf.files import read_json, write_json
from mammo_tf.models import ResNetPatch, SpotTune
from mammo_tf.recipes import Recipe, load_recipe
from mammo_tf.study import make_manifest

PIPELINES = Path(__file__).parents[3] / "pipelines"


def test_the_base_model_is_that_of_its_page() -> None:
    """Section 2.3 stands in two places: the page to read, and the experiment that needs it in the package."""
    page, ours = load_recipe(PIPELINES / "ffdm_patches.py"), base_recipe(PAPER)
    assert (page.network, page.training, page.task) == (ours.network, ours.training, ours.task)
    (theirs,), (stage,) = page.stages, ours.stages
    assert replace(theirs, name=stage.name) == stage
    assert page.phases[0].plan == ours.phases[0].plan


@pytest.mark.parametrize("variant", ["recipe", "base", "last-layer", "spottune"])
def test_the_adaptations_are_those_of_the_paper(variant: str) -> None:
    recipe = load_recipe(PIPELINES / "ffdm_to_dbt.py", variant)
    assert Recipe.from_json(recipe.to_json()) == recipe
    (stage,) = recipe.stages
    assert (stage.rate, stage.decay, stage.kept) == (5e-5, "coupled", "val_auc")
    assert stage.weight_decay == (5e-4 if variant == "base" else 1e-4)
    assert stage.trainable == (("output",) if variant == "last-layer" else ("all",))
    if variant in ("recipe", "spottune"):
        assert recipe.network == SpotTune(ResNetPatch(), test_policy="drawn")
    assert recipe.needs_start == (variant != "base")
    assert recipe.scoring == scored_recipe(PAPER).scoring


def _manifest(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    listed = [
        {"image_id": str(number), "patient_id": patient, "modality": modality, "label": label, "split": split,
         "path": f"{number}.png"}
        for number, (patient, modality, label, split) in enumerate(rows)
    ]  # fmt: skip
    return make_manifest(listed)


def _both(split: str, first: str) -> list[tuple[str, str, str, str]]:
    women = ((f"{first}1", "malignant"), (f"{first}2", "normal"))
    return [(patient, modality, label, split) for patient, label in women for modality in (FFDM, DBT)]


def test_patients_of_validation_and_test_have_both() -> None:
    whole = [*_both("train", "a"), *_both("validation", "b"), *_both("test", "c")]
    alone = [("d", FFDM, "malignant", "test"), ("e", DBT, "normal", "validation")]
    further = [("f", FFDM, "normal", "train"), ("g", "FILM", "normal", "train"), ("h", FFDM, "normal", "")]
    kept = with_both(_manifest([*whole, *alone, *further]))
    assert set(kept["patient_id"]) == {"a1", "a2", "b1", "b2", "c1", "c2", "f"}
    with pytest.raises(MammoError) as caught:
        with_both(_manifest([*whole[:8], *alone]))
    assert caught.value.code == "modality_missing" and "split test" in str(caught.value)
    one_class = [row for row in whole if row[0] != "c1"]
    with pytest.raises(MammoError) as caught:
        with_both(_manifest(one_class))
    assert caught.value.code == "class_missing"


def _predictions(folder: Path, seed: int, draws: int = 3) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = [
        {"image_id": f"i{image}", "patient_id": f"p{image // 4}", "split": "test", "label": image % 4 // 3,
         "score": generator.random() * 0.5 + 0.4 * (image % 4 // 3), "patch_seed": draw}
        for image in range(48) for draw in range(draws)
    ]  # fmt: skip
    folder.mkdir(parents=True)
    table = pd.DataFrame(rows)
    table.to_csv(folder / "predictions_test.csv", index=False)
    return table


def test_a_row_is_the_mean_over_the_draws(tmp_path: Path) -> None:
    table = _predictions(tmp_path / "row", 0)
    found = row_numbers(tmp_path / "row", 200)
    each = [roc_auc_score(part["label"], part["score"]) for _, part in table.groupby("patch_seed")]
    assert found["draws"] == pytest.approx(each)
    assert found["auc"] == pytest.approx(np.mean(each))
    assert found["deviation"] == pytest.approx(np.std(each, ddof=1))
    assert found["low"] < found["auc"] < found["high"]
    assert (found["patients"], found["images"], found["positive"]) == (12, 48, 12)
    _predictions(tmp_path / "single", 0, draws=1)
    assert row_numbers(tmp_path / "single", 50)["deviation"] is None


def test_differences_are_paired(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 1)):
        _predictions(tmp_path / name, seed)
    found = difference_numbers(tmp_path / "one", tmp_path / "two", 200)
    rows = [row_numbers(tmp_path / name, 10)["auc"] for name in ("one", "two")]
    assert found["difference"] == pytest.approx(rows[1] - rows[0])
    same = difference_numbers(tmp_path / "one", tmp_path / "one", 50)
    assert (same["difference"], same["low"], same["high"]) == (0, 0, 0)


def test_the_table_says_each_number_of_its_json() -> None:
    def numbers(shift: float) -> dict[str, object]:
        row = {"auc": 0.8 + shift, "low": 0.7, "high": 0.9, "deviation": 0.012, "draws": [], "patients": 3}
        difference = {"difference": 0.02 + shift, "low": -0.1, "high": 0.1}
        return {
            "rows": {row_.key: row for row_ in ROWS},
            "differences": {key: difference for key, _, _ in DIFFERENCES},
        }

    tables = gathered({1: numbers(0.0), 2: numbers(0.04)}, PAPER, synthetic=False)
    tables["seconds"] = {"1": {"base": 3.0}, "2": {}}
    text = tables_text(tables)
    assert "| FFDM | MIP with HM | SpotTune | 0.830 ± 0.002 | 0.820 (0.800 to 0.840) | 0.800 ± 0.012 (0.700 to" in text
    assert "| SpotTune | +0.074 | +0.040 (+0.020 to +0.060) | +0.020 (-0.100 to +0.100) |" in text
    assert "mammo-tf tables ffdm-to-dbt --seed 1 --seed 2 --manifest ..." in text
    assert "synthetic" not in text


def test_the_rows_of_the_ladder_are_trained_as_the_table_is() -> None:
    known = {rung.name for rung in RUNGS}
    assert {row.rung for row in ladder.ROWS} <= known and len({row.key for row in ladder.ROWS}) == len(ladder.ROWS)
    settings = ladder.ladder_settings(PAPER, 7)
    (stage,) = last_layer_recipe(PAPER).stages
    assert replace(settings.first, name=stage.name) == stage
    assert settings.training == replace(last_layer_recipe(PAPER).training, seed=7)
    assert (settings.samples, settings.draws) == (PAPER.samples[1], PAPER.draws)
    assert SMOKE.both[0] >= FEWEST, "the smoke run is to show the harmonised rows too"


def test_a_finished_table_gets_the_rows_of_the_ladder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(experiment, "_paper_rows", lambda *arguments: done.append("paper"))
    monkeypatch.setattr(experiment, "climb", lambda *arguments: done.append("ladder"))
    monkeypatch.setattr(experiment, "ladder_numbers", lambda *arguments: {})
    write_json(tmp_path / "numbers.json", {})  # by a version that knew no ladder
    for _ in range(2):
        experiment._one_seed(tmp_path, SMOKE, 1, None, 1, lambda line: None)
    assert done == ["ladder"]


def test_a_row_of_the_ladder_is_climbed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def climbed(row: ladder.LadderRow, *rest: object) -> dict[str, object]:
        if row.rung == "everything" and "stop" not in done:
            done.append("stop")
            raise MammoError("disk_full", "the disk is full")
        done.append(row.key)
        return {}

    monkeypatch.setattr(ladder, "open_grounds", lambda *arguments: SimpleNamespace(site=None))
    monkeypatch.setattr(ladder, "_harmonised", lambda site, say: (None, "the target has 4 training patients"))
    monkeypatch.setattr(ladder, "_climbed", climbed)
    arguments = (tmp_path, tmp_path, tmp_path, tmp_path / "ladder", SMOKE, 1, lambda line: None)
    with pytest.raises(MammoError):
        ladder.climb(*arguments)
    ladder.climb(*arguments)
    ladder.climb(*arguments)
    plain = [row.key for row in ladder.ROWS if not row.harmonised]
    assert [one for one in done if one != "stop"] == plain
    told = read_json(tmp_path / "ladder" / "rungs" / "spottune_harmonised" / "row.json")
    assert told == {"why_not": "the target has 4 training patients"}


def test_the_ladder_is_compared_with_test_only(tmp_path: Path) -> None:
    table = _predictions(tmp_path / "mip", 0)
    for row in ladder.ROWS:
        folder = tmp_path / "ladder" / "rungs" / row.key
        if row.scored:
            _predictions(folder, int(row.harmonised))
        write_json(folder / "row.json", {"needs": "labels", "patients": 60, "threshold": "carried", "at_own": None})
    write_json(tmp_path / "ladder" / "rungs" / "spottune_harmonised" / "row.json", {"why_not": "no blocks"})
    found = ladder.ladder_numbers(tmp_path, 100)
    each = [roc_auc_score(part["label"], part["score"]) for _, part in table.groupby("patch_seed")]
    assert found["everything"]["auc"]["draws"] == pytest.approx(each)
    assert found["everything"]["difference"]["difference"] == 0
    apart = found["untouched_harmonised"]["difference"]["difference"]
    assert apart == pytest.approx(found["untouched_harmonised"]["auc"]["auc"] - np.mean(each)) and apart != 0
    assert "auc" not in found["new_threshold"]
    text = "\n".join(ladder_text.lines_of(ladder_text.gathered({1: found, 2: found}), (1, 2)))
    mean = f"{found['untouched_harmonised']['auc']['auc']:.3f}"
    assert f"| MIP harmonised | test only | 60 patients | {mean} ({mean} to {mean}) | {mean} ± " in text
    assert "| MIP harmonised | SpotTune |  |  | does not apply: no blocks | does not apply: no blocks |" in text
    assert "| MIP | threshold chosen anew | 60 patients | none | none |" in text


def test_options_of_the_other_tables_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "ffdm-to-dbt", "-o", str(tmp_path / "a"), "--pairs", "3"]) == 2
    assert "--pairs does not belong to the tables of ffdm-to-dbt" in capsys.readouterr().err
    assert main(["tables", "-o", str(tmp_path / "a"), "--manifest", "x.csv"]) == 2
    assert "--manifest does not belong to the tables of end2end" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_whole_of_it_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "table"
    assert main(["tables", "ffdm-to-dbt", "--smoke", "-o", str(folder)]) == 0
    text = (folder / "tables.md").read_text()
    assert "A smoke run" in text
    tables = read_json(folder / "tables.json")
    assert set(tables["rows"]) == {row.key for row in ROWS}
    base = tables["rows"]["base"]["seeds"]["1"]
    assert len(base["draws"]) == SMOKE.draws and base["patients"] == SMOKE.both[2]
    climbed = tables["ladder"]["rows"]
    assert set(climbed) == {row.key for row in ladder.ROWS}
    assert climbed["untouched"]["seeds"]["1"]["difference"]["difference"] == 0, "the same patches as in the table"
    assert all("why_not" not in one["seeds"]["1"] for one in climbed.values())
    policies = read_policies(folder / "seed_1" / "mip_spottune" / "policies.csv")
    assert len(policies) == 4 * SMOKE.both[2] * SMOKE.draws
    assert policies.filter(like="chosen_").isin([0, 1]).all(axis=None)
    assert len(policy_figure({"MIP": policies}).axes) == 1
    for name in ("figure_1_samples", "figure_2_cdfs", "figure_3_policies"):
        assert (folder / "figures" / "seed_1" / f"{name}.png").stat().st_size > 5000
    monkeypatch.setattr(experiment, "_one_seed", lambda *arguments: None)  # finished: nothing is computed again
    assert main(["tables", "ffdm-to-dbt", "--smoke", "-o", str(folder)]) == 0
    assert (folder / "tables.md").read_text() == text
    given = ["--manifest", str(folder / "seed_1" / "study" / "manifest.csv")]
    assert main(["tables", "ffdm-to-dbt", "--smoke", "-o", str(folder), *given]) == 2

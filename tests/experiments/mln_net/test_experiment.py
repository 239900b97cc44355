"""MLN-net's tables: recipes of the pages, volumes as slices, what stands in a table, and the whole of it in small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.adaptation.domains import FEWEST
from mammo_tf.cli.main import main
from mammo_tf.data import NO_AUGMENTATION, DomainSampling, SourceLooks, TileSampling
from mammo_tf.data.domains import PAPER_BRANCHES
from mammo_tf.errors import MammoError
from mammo_tf.experiments.mln_net import experiment, harmonised, study
from mammo_tf.experiments.mln_net.rows import AUGMENTATION_ROWS, CURVE_ROWS, EVERY_ROW, METRICS, ROWS, Row
from mammo_tf.experiments.mln_net.sizes import DBT, FFDM, FILM, PAPER, PHANTOM, SITE_2, SMOKE, MlnSize
from mammo_tf.experiments.mln_net.study import machine_rows
from mammo_tf.experiments.mln_net.tables import MORE, gathered, tables_text
from mammo_tf.files import read_json, write_json
from mammo_tf.models import SmallUNet, SwinUnet
from mammo_tf.phantom import PatientGroup
from mammo_tf.reading import Facts
from mammo_tf.recipes import Recipe, load_recipe
from mammo_tf.recipes.recipe import Evaluation
from mammo_tf.study import Finding, findings_from_json, findings_to_json, make_manifest
from mammo_tf.training import Segmentation

PIPELINES = Path(__file__).parents[3] / "pipelines"


def test_mln_net_is_that_of_the_paper() -> None:
    recipe = load_recipe(PIPELINES / "mln_net.py")
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.network == SwinUnet(branches=3)
    (stage,) = recipe.stages
    assert (stage.epochs, stage.weight_decay, stage.decay, stage.optimizer) == (100, 1e-3, "coupled", "adam")
    plan = recipe.phases[0].plan
    assert isinstance(plan, DomainSampling) and isinstance(plan.plan, TileSampling)
    assert (plan.plan.tiling.size, plan.plan.tiling.cut, plan.branches) == ((512, 512), (2, 2), PAPER_BRANCHES)
    assert recipe.training.batch_size == 4 * 3, "four pictures, each in three branches"
    assert isinstance(recipe.task, Segmentation) and (recipe.task.loss, recipe.task.metric) == ("dice", "cosine")


@pytest.mark.parametrize(("variant", "metric", "pairs"), [
    ("no-choice", "none", 2), ("euclidean", "euclidean", 2), ("euclidean-plus", "euclidean+", 2),
    ("cosine-plus", "cosine+", 2), ("literal", "literal", 2), ("mean-3", "cosine", 6), ("random-2", "cosine", 2),
])  # fmt: skip
def test_the_ablation_changes_one_thing(variant: str, metric: str, pairs: int) -> None:
    recipe, whole = load_recipe(PIPELINES / "mln_net_ablation.py", variant), load_recipe(PIPELINES / "mln_net.py")
    assert isinstance(recipe.task, Segmentation) and recipe.task.metric == metric
    assert (recipe.network, recipe.training, recipe.stages) == (whole.network, whole.training, whole.stages)
    plan = recipe.phases[0].plan
    assert isinstance(plan, DomainSampling)
    assert len(plan.branches[1]) == pairs
    assert (plan.branches[0], plan.branches[2]) == (PAPER_BRANCHES[0], PAPER_BRANCHES[2])


@pytest.mark.parametrize("size", [PAPER, PHANTOM, SMOKE])
def test_every_row_takes_as_many_steps(size: object) -> None:
    assert len({row.key for row in EVERY_ROW}) == len(EVERY_ROW)
    steps = set()
    for row in EVERY_ROW:
        recipe = row.recipe(size)  # type: ignore[arg-type]
        assert Recipe.from_json(recipe.to_json()) == recipe
        phase = recipe.phases[0]
        assert phase.plan is not None
        plan = phase.plan.plan if isinstance(phase.plan, DomainSampling) else phase.plan
        assert isinstance(plan, TileSampling)
        looks = len(phase.plan.branches) if isinstance(phase.plan, DomainSampling) else 1
        if row.key.startswith("sadn"):
            looks = 1  # a step for each branch
        one = (plan.samples or 1) * looks / recipe.training.batch_size
        if plan.samples is None and any(isinstance(one, SourceLooks) for one in recipe.training.augmentation.intensity):
            one *= 3  # every tile once, in batches three times as large
        steps.add(one)
        assert row.trained in {"", *(other.key for other in ROWS if not other.trained)}
    assert len(steps) == 1


def test_sadn_is_that_of_the_publication() -> None:
    recipe = next(row for row in ROWS if row.key == "sadn").recipe(PAPER)
    assert recipe.network == SmallUNet(classes=2, width=16, norm="batch", branches=2, own_statistics=True)
    task = recipe.task
    assert isinstance(task, Segmentation)
    assert (task.loss, task.answer, task.metric) == ("class_dice", "larger", "dual_normalization")
    plan = recipe.phases[0].plan
    assert isinstance(plan, DomainSampling)
    assert plan.run == recipe.training.batch_size == PAPER.batch, "a step a domain"
    assert not task.drift
    (drifting,) = (row for row in EVERY_ROW if row.key == "sadn_drift")
    assert drifting.trained == "sadn" and drifting not in ROWS
    assert drifting.recipe(PAPER).task == replace(task, drift=True, choice="piece")


def test_a_volume_is_the_slices_around_its_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Facts(path="a.dcm", rows=8, columns=8, frames=40, slice_distance_mm=1.0)
    monkeypatch.setattr(study, "volume_facts", lambda path: facts)
    seen = [
        Finding("mass", "malignant", box=(0, 0, 2, 2), frame=20),
        Finding("amorphous_cluster", "high_risk", box=(1, 1, 4, 4), frame=1),
    ]
    rows = make_manifest([
        {"image_id": "a", "patient_id": "p", "label": "malignant", "path": "a.dcm", "findings": findings_to_json(seen)},
        {"image_id": "b", "patient_id": "q", "label": "normal", "path": "b.dcm", "findings": ""},
    ])  # fmt: skip
    found = study.slices(rows, tmp_path, 3)
    assert list(zip(found["image_id"], found["frame"], strict=True)) == [
        ("a", "1"), ("a", "3"), ("b", "18"), ("b", "20"), ("b", "22"),
    ]  # fmt: skip
    for text in found.loc[found["image_id"] == "a", "findings"]:
        (told,) = findings_from_json(text)
        assert (told.kind, told.frame) == ("amorphous_cluster", None), "the mass lies in other slices"
    with pytest.raises(MammoError) as caught:
        study.machine_rows(rows, tmp_path, SITE_2, SMOKE)
    assert caught.value.code == "nothing_usable"


def _numbers(dsc: float | None) -> dict[str, dict[str, float | None]]:
    values = {name: {"value": 0.5, "low": 0.4, "high": 0.6, "n": 12} for name in (*METRICS, *MORE)}
    empty = {"value": None, "low": None, "high": None, "n": 0}
    return {**values, "dsc": empty if dsc is None else {"value": dsc, "low": dsc - 0.1, "high": dsc + 0.1, "n": 12}}


def test_the_table_tells_what_is_there(tmp_path: Path) -> None:
    for seed, dsc in ((1, 0.25), (2, 0.35), (3, None)):
        write_json(tmp_path / f"seed_{seed}" / FFDM / "mln_net" / f"on_{DBT}" / "numbers.json", _numbers(dsc))
    write_json(tmp_path / "seed_1" / FFDM / "mln_net_r" / f"on_{SITE_2}" / "numbers.json", _numbers(0.1))
    text = tables_text(gathered(tmp_path, (1, 2, 3), PHANTOM, True))
    assert "| MLN-net | 78.9, 23.3 |" in text
    assert "| 30.0 (25.0 to 35.0, 2 seeds) |" in text
    assert "## Trained on ffdm_site_1, tested on ffdm_site_2" in text and "Swin-Unet |" not in text
    one = tables_text(gathered(tmp_path, (1,), SMOKE, True))
    assert "| 25.0 (15.0 to 35.0) |" in one and "A smoke run" in one
    assert "| MLN-net-R | 50.0 (40.0 to 60.0)" in one


def test_what_cannot_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seeds in ((), (1, 1), (-1,)):
        with pytest.raises(MammoError) as caught:
            experiment.mln_net(tmp_path / "out", SMOKE, seeds)
        assert caught.value.code == "seeds_wrong"
    with pytest.raises(MammoError, match=f"nothing is trained on '{FILM}'") as caught:
        experiment.mln_net(tmp_path / "out", SMOKE, sources=(FFDM, FILM))
    assert caught.value.code == "source_unknown"
    assert main(["tables", "mln-net", "-o", str(tmp_path / "out"), "--pairs", "3"]) == 2
    assert "--pairs does not belong to the tables of mln-net" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_rows_of_figures_8_and_9_are_those_of_the_page() -> None:
    page = PIPELINES / "mln_net_ablation.py"
    for row in (*AUGMENTATION_ROWS, *CURVE_ROWS):
        variant = row.key.removeprefix("mln_net_").removeprefix("swin_unet_").replace("_", "-")
        assert row.recipe(PAPER) == load_recipe(page, variant)
        assert not row.published, "no number of theirs is known here"


def test_conventional_augmentation_crops_scales_and_flips() -> None:
    """The map of a tile's draws: sides of 0.8 to 1.2, middles up to a tenth away, mirrored or not, never turned."""
    recipes = {row.key: row.recipe(PHANTOM) for row in AUGMENTATION_ROWS}
    conventional, flipped = (recipes[f"swin_unet_{one}"].training.augmentation for one in ("conventional", "flipped"))
    generator, middle = np.random.default_rng(0), np.array([31.5, 31.5, 1])
    draws = np.stack([conventional.matrix(generator, (64, 64)) for _ in range(400)])
    sides, away = draws[:, [0, 1], [0, 1]], draws @ middle - middle[:2]
    assert np.abs(draws[:, [0, 1], [1, 0]]).max() < 1e-9, "never turned"
    assert {tuple(signs) for signs in np.sign(sides)} == {(a, b) for a in (-1, 1) for b in (-1, 1)}
    assert 0.79 < np.abs(sides).min() < 0.85 and 1.15 < np.abs(sides).max() < 1.26, "scaled"
    assert 4 < np.abs(away).max() < 64 * 0.1 * 1.26, "cropped elsewhere"
    only = np.stack([flipped.matrix(generator, (64, 64)) for _ in range(40)])
    np.testing.assert_allclose(np.abs(only[:, [0, 1], [0, 1]]), 1)
    np.testing.assert_allclose(only @ middle - middle[:2], 0, atol=1e-9)
    same = replace(recipes["swin_unet_conventional"].training, augmentation=NO_AUGMENTATION)
    assert same == next(row for row in ROWS if row.key == "swin_unet").recipe(PHANTOM).training


@pytest.mark.parametrize(("arguments", "told"), [
    (["mln-net", "--rows", "unet", "unnet"], "--rows does not know 'unnet'. Name some of unet, resnet, "),
    (["mln-net", "--rows", "mln_net_random_4"], "mln_net_random_3, mln_net_mean_2, mln_net_mean_3"),
    (["mln-net", "--sources", "film"], "--sources does not know 'film'. Name some of ffdm_site_1, dbt"),
    (["ffdm-to-dbt", "--rows", "unet"], "--rows does not belong to the tables of ffdm-to-dbt"),
    (["end2end", "--sources", "dbt"], "--sources does not belong to the tables of end2end"),
])  # fmt: skip
def test_parts_that_are_not_there(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tables", *arguments, "-o", str(tmp_path / "out"), "--smoke"]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_parts_are_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []

    def one_source(place: Path, size: object, seed: int, source: str, rows: list[Row], *rest: object) -> None:
        asked.append((source, [row.key for row in rows]))

    monkeypatch.setattr(experiment, "_one_source", one_source)
    parts = ["--rows", "swin_unet_flipped", "unet", "--rows", "unet", "--sources", DBT]
    assert main(["tables", "mln-net", "-o", str(tmp_path / "out"), "--smoke", *parts]) == 0
    assert main(["tables", "mln-net", "-o", str(tmp_path / "out"), "--smoke"]) == 0
    assert asked[0] == (DBT, ["unet", "swin_unet_flipped"])
    assert asked[1:] == [(source, [row.key for row in ROWS]) for source in (FFDM, DBT)]


def test_a_training_that_is_taken_over_is_done_where_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    write_json(tmp_path / "prepared" / FILM / "index.json", {"complete": True})
    monkeypatch.setattr(experiment, "_trained", lambda recipe, out, *rest: done.append(f"{recipe.name} in {out.name}"))
    monkeypatch.setattr(experiment, "_scored", lambda model, *rest: done.append(f"scored {model.parent.name}"))
    monkeypatch.setattr(experiment, "row_numbers", lambda out: {})
    chosen = [row for row in ROWS if row.key == "mln_net_r"]
    experiment._one_source(tmp_path, SMOKE, 1, FFDM, chosen, None, 1, lambda line: None)
    assert done == ["mln_net in mln_net", *["scored mln_net"] * 4]


def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the experiment does, told instead of done."""
    done: list[str] = []

    def fitted(source: Path, target: Path, out: Path, say: object) -> None:
        done.append(f"{target.parent.parent.name}/{target.name} to {source.name}")
        write_json(out, {})

    def scored(model: Path, data: Path, recipe: Recipe, out: Path, look: Path | None = None) -> None:
        done.append(f"{model.parent.name} on {data.name}" + ("" if look is None else f" as {look.stem}"))
        write_json(out / "metrics.json", {})

    def trained(recipe: Recipe, out: Path, *rest: object) -> None:
        done.append(f"trained {out.name}")
        write_json(out / "proof.json", {})

    monkeypatch.setattr(experiment, "_trained", trained)
    monkeypatch.setattr(experiment, "_scored", scored)
    monkeypatch.setattr(experiment, "write_harmonising", fitted)
    monkeypatch.setattr(experiment, "training_patients", lambda data: 4 if "few" in str(data) else 5)
    monkeypatch.setattr(experiment, "row_numbers", lambda out: {})
    monkeypatch.setattr(experiment, "paired_numbers", lambda before, after, evaluation: {"of": before.parent.name})
    return done


def test_a_harmonised_row_trains_nothing_and_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = _stand_ins(monkeypatch)
    for place in ("prepared", "unlabelled/prepared"):
        write_json(tmp_path / place / FILM / "index.json", {"complete": True})
    write_json(tmp_path / FFDM / "swin_unet" / "proof.json", {})  # trained before such rows were thought of
    chosen = [row for row in ROWS if row.key == "swin_unet_harmonised"]
    arguments = (tmp_path, SMOKE, 1, FFDM, chosen, None, 1, lambda line: None)
    experiment._one_source(*arguments)
    machines = (FFDM, DBT, SITE_2, FILM)
    assert sorted(done[:4]) == sorted(f"unlabelled/{machine} to {FFDM}" for machine in machines)
    untouched = [f"swin_unet on {machine}" for machine in machines]
    assert done[4:] == [*untouched, *[f"{one} as {one.removeprefix('swin_unet on ')}" for one in untouched]]
    paired = tmp_path / FFDM / "swin_unet_harmonised" / f"on_{SITE_2}" / "paired.json"
    assert read_json(paired) == {"of": "swin_unet"}
    experiment._one_source(*arguments)
    assert len(done) == 12, "what is finished is not computed again"


@pytest.mark.parametrize("size", [PAPER, PHANTOM, SMOKE])
def test_every_size_has_women_enough_to_harmonise(size: MlnSize) -> None:
    assert size.patients[0] >= FEWEST, "a run of all rows is not to stop at the harmonised ones"


def test_a_machine_of_too_few_training_patients_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, said = _stand_ins(monkeypatch), list[str]()
    place = tmp_path / "few"
    write_json(place / "prepared" / FILM / "index.json", {"complete": True})
    given = experiment.Given(tmp_path / "manifest.csv", tmp_path)
    chosen = [row for row in ROWS if row.key == "mln_net_harmonised"]
    experiment._one_source(place, SMOKE, 1, FFDM, chosen, given, 1, said.append)
    assert f"{FILM} is not harmonised to {FFDM}: 4 patients of training, 5 are the fewest" in said
    assert done == ["trained mln_net", *(f"mln_net on {machine}" for machine in (FFDM, DBT, SITE_2, FILM))]


def test_unlabelled_women_are_others_and_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    def study(folder: Path, groups: list[PatientGroup], machines: object, seed: int, *rest: object, **more: object):  # type: ignore[no-untyped-def]
        seen.update(seed=seed, group=groups[0])
        findings = findings_to_json([Finding("amorphous_cluster", "high_risk", box=(1, 1, 4, 4), frame=9)])
        return make_manifest([
            {"image_id": "a", "patient_id": "p00000", "label": "malignant", "path": "a.dcm", "findings": findings,
             "site": DBT, "split": "train"},
        ])  # fmt: skip

    monkeypatch.setattr(harmonised, "make_study", study)
    table = harmonised.unlabelled_study(tmp_path, PHANTOM, 3, 1)
    assert seen["seed"] != 3 and seen["group"] == PatientGroup("unlabelled", 25, (FFDM, DBT, SITE_2, FILM), "train")
    assert (table["label"] == "").all() and (table["findings"] == "").all() and "p00000" not in set(table["patient_id"])
    facts = Facts(path="a.dcm", rows=8, columns=8, frames=40, slice_distance_mm=1.0)
    monkeypatch.setattr("mammo_tf.experiments.mln_net.study.volume_facts", lambda path: facts)
    assert list(machine_rows(table, tmp_path, DBT, PHANTOM)["frame"]) == ["20"], "the middle, not where the cluster is"
    harmonised.unlabelled_study(tmp_path, SMOKE, 3, 1)
    assert isinstance(seen["group"], PatientGroup) and seen["group"].patients == 5


def test_the_paired_difference_is_of_the_same_pictures(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [
        {"image_id": f"i{image}", "frame": frame, "patient_id": f"p{image // 2}", "split": "test",
         "label": int(image % 4 < 2), "score": 0.5, "dsc": generator.random()}
        for image in range(24) for frame in ("3", "5")
    ]  # fmt: skip
    before = pd.DataFrame(rows)
    after = before.assign(dsc=before["dsc"] * 0.5 + 0.25).sample(frac=1, random_state=1)
    after.loc[after["image_id"] == "i0", "dsc"] = np.nan  # nothing called
    for name, table in (("before", before), ("after", after)):
        (tmp_path / name).mkdir()
        table.to_csv(tmp_path / name / "predictions_test.csv", index=False)
    found = harmonised.paired_numbers(tmp_path / "before", tmp_path / "after", Evaluation(replicates=200))
    kept = [table[table["label"] == 1]["dsc"].fillna(0).mean() for table in (before, after)]
    assert found["untouched"]["value"] == pytest.approx(kept[0])
    assert found["harmonised"]["value"] == pytest.approx(kept[1])
    assert found["difference"]["value"] == pytest.approx(kept[1] - kept[0])
    assert found["difference"]["n"] == 24, "twelve pictures, two frames each"
    assert found["difference"]["low"] < found["difference"]["value"] < found["difference"]["high"]


def test_the_tables_tell_what_harmonising_did(tmp_path: Path) -> None:
    def number(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 12}

    for seed, value in ((1, -0.02), (2, 0.04)):
        on_film = tmp_path / f"seed_{seed}" / FFDM / "swin_unet_harmonised" / f"on_{FILM}"
        paired = {"untouched": number(0.3), "harmonised": number(0.3 + value), "difference": number(value)}
        write_json(on_film / "paired.json", paired)
    text = tables_text(gathered(tmp_path, (1, 2), PHANTOM, True))
    told = "| Swin-Unet, harmonised | film | 30.0 (30.0 to 30.0) | 31.0 (28.0 to 34.0) | -2.0 (-12.0 to +8.0) | +4.0 ("
    assert told in text
    assert "Harmonised, trained on dbt" not in text


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_whole_of_it_in_small(tmp_path: Path) -> None:
    out = tmp_path / "mln"
    assert main(["tables", "mln-net", "-o", str(out), "--smoke", "--workers", "2"]) == 0
    tables = read_json(out / "tables.json")
    for source, targets in ((FFDM, (FFDM, DBT)), (DBT, (DBT, FFDM))):
        assert set(tables["rows"][source]) == {row.key for row in ROWS}
        for row in ROWS:
            assert set(tables["rows"][source][row.key]) >= set(targets)
    choice = out / "seed_1" / FFDM / "mln_net" / f"on_{DBT}" / "segmentations_test.csv"
    table = pd.read_csv(choice)
    distances = table[[f"distance_{branch}" for branch in range(3)]].to_numpy()
    assert (distances.argmin(axis=1) == table["branch"]).all()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("numbers.json")}
    assert main(["tables", "mln-net", "-o", str(out), "--smoke", "--seed", "1"]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("numbers.json")} == before

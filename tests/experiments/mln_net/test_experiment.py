"""MLN-net's tables: recipes of the pages, volumes as slices, what stands in a table, and the whole of it in small."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mammo_tf.cli.main import main
from mammo_tf.data import DomainSampling, SourceLooks, TileSampling
from mammo_tf.data.domains import PAPER_BRANCHES
from mammo_tf.errors import MammoError
from mammo_tf.experiments.mln_net import experiment, study
from mammo_tf.experiments.mln_net.rows import AUGMENTATION_ROWS, CURVE_ROWS, EVERY_ROW, METRICS, ROWS, Row
from mammo_tf.experiments.mln_net.sizes import DBT, FFDM, FILM, PAPER, PHANTOM, SITE_2, SMOKE
from mammo_tf.experiments.mln_net.tables import MORE, gathered, tables_text
from mammo_tf.files import read_json, write_json
from mammo_tf.models import SwinUnet
from mammo_tf.reading import Facts
from mammo_tf.recipes import Recipe, load_recipe
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
        if row.key == "sadn":
            looks = 1  # a step for each branch
        one = (plan.samples or 1) * looks / recipe.training.batch_size
        if plan.samples is None and any(isinstance(one, SourceLooks) for one in recipe.training.augmentation.intensity):
            one *= 3  # every tile once, in batches three times as large
        steps.add(one)
        assert row.trained in {"", *(other.key for other in ROWS if not other.trained)}
    assert len(steps) == 1


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
        variant = row.key.removeprefix("mln_net_").replace("_", "-")
        assert row.recipe(PAPER) == load_recipe(page, "conventional" if row in AUGMENTATION_ROWS else variant)
        assert not row.published, "no number of theirs is known here"


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
    (tmp_path / "prepared" / FILM).mkdir(parents=True)
    (tmp_path / "prepared" / FILM / "index.json").touch()
    monkeypatch.setattr(experiment, "_trained", lambda recipe, out, *rest: done.append(f"{recipe.name} in {out.name}"))
    monkeypatch.setattr(experiment, "_scored", lambda model, *rest: done.append(f"scored {model.parent.name}"))
    monkeypatch.setattr(experiment, "row_numbers", lambda out: {})
    chosen = [row for row in ROWS if row.key == "mln_net_r"]
    experiment._one_source(tmp_path, SMOKE, 1, FFDM, chosen, None, 1, lambda line: None)
    assert done == ["mln_net in mln_net", *["scored mln_net"] * 4]


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

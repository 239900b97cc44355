"""Recipes: JSON both ways, fields from the command line, wrong ones told, tables of the thesis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.fields import set_field, set_fields
from mammo_tf.imaging.intensity_steps import MaximumScale, SubtractMean
from mammo_tf.models import NETWORKS, described, description_of
from mammo_tf.recipes import Phase, Recipe, load_recipe, smoke
from mammo_tf.recipes.inputs import geometry_of, with_mean
from mammo_tf.recipes.recipe import Preparation
from mammo_tf.study import Projection
from mammo_tf.training import Stage

PIPELINES = Path(__file__).parents[2] / "pipelines"
NAMES = ("end2end_baseline", "end2end_finetune_config1", "end2end_finetune_config2")


@pytest.mark.parametrize("variant", ["recipe", "as-run"])
@pytest.mark.parametrize("name", NAMES)
def test_every_pipeline_travels_as_json(name: str, variant: str) -> None:
    recipe = load_recipe(PIPELINES / f"{name}.py", variant)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.name.startswith(name)
    assert Recipe.from_json(smoke(recipe).to_json()) == smoke(recipe)


@pytest.mark.parametrize("variant", ["recipe", "in-mm"])
def test_the_patch_model_is_section_2_of_its_paper(variant: str) -> None:
    recipe = load_recipe(PIPELINES / "ffdm_patches.py", variant)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json(smoke(recipe).to_json()) == smoke(recipe)
    (phase,), (stage,) = recipe.phases, recipe.stages
    assert (phase.plan.rows, phase.plan.columns, phase.plan.samples, phase.plan.draws) == (512, 512, 40_000, 3)
    assert (phase.plan.pixels, phase.plan.mm) == ((1024, None) if variant == "recipe" else (None, 71.68))
    assert (stage.rate, stage.epochs, stage.weight_decay, stage.decay) == (5e-5, 100, 5e-4, "coupled")
    assert (stage.optimizer, stage.kept) == ("adam", "val_auc")
    augmentation = recipe.training.augmentation
    assert (augmentation.rotation, augmentation.shift_pixels, augmentation.zoom) == (30, 20, 0)
    assert augmentation.horizontal_flip and augmentation.vertical_flip
    assert augmentation.intensity[0].deviation == 1 / 4095
    assert recipe.training.class_balance == "balanced_sampling"
    assert recipe.network.build((512, 512, 1)).count_params() == 5_954_242 + 22_144


@pytest.mark.parametrize(
    ("name", "first"), [(NAMES[1], ("block_2", "output")), (NAMES[2], ("block_1", "block_2", "output"))]
)
def test_fine_tuning_is_table_6_and_table_7(name: str, first: tuple) -> None:
    recipe = load_recipe(PIPELINES / f"{name}.py")
    one, two = recipe.stages
    assert (one.trainable, two.trainable) == (first, ("all",))
    assert (one.rate, two.rate) == (2e-4, 2e-7)
    assert (one.weight_decay, two.weight_decay) == (1e-4, 1.5e-3)
    assert (one.dropout, two.dropout) == (0.2, 0.5)
    assert (one.epochs, two.epochs) == (50, 30)
    assert {(stage.rate_patience, stage.stop_patience, stage.optimizer) for stage in recipe.stages} == {(2, 3, "adam")}
    assert recipe.training.batch_size == 16
    assert (recipe.preparation.preset, recipe.preparation.mean) == ("start", "start"), "the source's mean"
    augmentation = recipe.training.augmentation
    assert (augmentation.rotation, augmentation.shift, augmentation.zoom) == (10, 0.05, 0.1)
    assert augmentation.horizontal_flip
    assert not augmentation.vertical_flip


@pytest.mark.parametrize("name", NAMES)
def test_as_run_stops_by_the_loss_and_keeps_by_the_auc(name: str) -> None:
    stages = load_recipe(PIPELINES / f"{name}.py", "as-run").phases[-1].stages
    assert {(stage.monitor, stage.kept) for stage in stages} == {("val_loss", "val_auc")}


def test_the_source_is_trained_as_the_text_says() -> None:
    """Pictures are stretched, nothing else; the journal's recipe has none of the thesis's patiences."""
    recipe = load_recipe(PIPELINES / "end2end_baseline.py")
    assert recipe.preparation.preset == "legacy"
    assert {stage.rate_patience for stage in recipe.stages} == {0}
    assert [stage.stop_patience for stage in recipe.stages] == [0, 0, 10, 0, 0]
    (stage,) = load_recipe(PIPELINES / "end2end_second_source.py").stages
    assert (stage.rate, stage.weight_decay, stage.dropout, stage.epochs) == (1e-6, 0.01, 0.0, 50)
    assert (stage.stop_patience, stage.optimizer) == (10, "adam")


def test_how_scores_become_numbers_is_a_field() -> None:
    recipe = load_recipe(PIPELINES / "end2end_baseline.py")
    assert recipe.evaluation.aggregates == {"breast": "mean", "patient": "maximum"}
    assert not recipe.evaluation.resampling.also_cases
    for path, text in (("evaluation.exam", "noisy_or"), ("evaluation.images_too", "true")):
        recipe = set_field(recipe, path, text)
    assert recipe.evaluation.aggregates["exam"] == "noisy_or"
    assert recipe.evaluation.resampling.also_cases
    with pytest.raises(MammoError, match="aggregates are mean, maximum, noisy_or"):
        set_field(recipe, "evaluation.exam", "median")


def test_auto_levels_are_a_field() -> None:
    recipe = set_field(load_recipe(PIPELINES / "end2end_baseline.py"), "preparation.auto_levels", "true")
    steps = geometry_of(recipe, None, None).intensity_steps
    assert steps[0] == MaximumScale(255.0)
    assert isinstance(steps[1], SubtractMean)


@pytest.mark.parametrize("preset", ["default", "legacy", "native"])
def test_white_is_a_field(preset: str) -> None:
    recipe = set_field(load_recipe(PIPELINES / "end2end_baseline.py"), "preparation.preset", preset)
    plain, unit = geometry_of(recipe, None, None), geometry_of(set_field(recipe, "preparation.white", "1"), None, None)
    picture = np.random.default_rng(0).random((4, 4)).astype(np.float32)
    scaled, units = (with_mean(steps, 0.0).intensity(picture) for steps in (plain, unit))
    np.testing.assert_allclose(units * 255, scaled, rtol=2e-6)
    assert plain.geometry_steps == unit.geometry_steps
    own = set_field(set_field(recipe, "preparation.white", "1"), "preparation.auto_levels", "true")
    assert geometry_of(own, None, None).intensity_steps[0] == MaximumScale(1.0)
    for preparation, words in (
        ({"white": 0.0}, "from 1e-06 to 1e.06, not 0"),
        ({"white": 1.0, "preset": "start"}, "start model"),
    ):
        with pytest.raises(MammoError, match=words):
            Preparation(**preparation)  # type: ignore[arg-type]


def test_what_becomes_of_volumes_is_a_field() -> None:
    assert Preparation().volumes() is None
    assert Preparation(projection="slab", slab_mm=10.0).volumes() == Projection("slab", slab_mm=10.0)
    for wrong, code in (
        ({"projection": "minip"}, "projection_wrong"),
        ({"projection": "slab"}, "projection_wrong"),
        ({"slab_mm": 10.0}, "recipe_wrong"),
    ):
        with pytest.raises(MammoError) as caught:
            Preparation(**wrong)
        assert caught.value.code == code
    recipe = load_recipe(PIPELINES / "end2end_baseline.py")
    assert geometry_of(recipe, None, None).projection == Projection()
    slices = set_field(recipe, "preparation.projection", "slice")
    assert geometry_of(slices, None, None).projection == Projection("slice")


def test_fields_are_set_by_their_paths() -> None:
    recipe = load_recipe(PIPELINES / "end2end_finetune_config2.py")
    assert set_field(recipe, "training.batch_size", "4").training.batch_size == 4
    assert set_field(recipe, "phases.0.stages.stage_2.rate", "1e-5").stages[1].rate == 1e-5
    assert recipe.path("stages.stage_2.rate") == "phases.0.stages.stage_2.rate"
    assert [recipe.path(same) for same in ("stages.stage_3.rate", "training.seed")] == [
        "stages.stage_3.rate", "training.seed",
    ]  # fmt: skip
    assert set_field(recipe, "phases.0.stages.0.epochs", "3").stages[0].epochs == 3
    assert set_field(recipe, "phases.0.stages.0.trainable", '["all"]').stages[0].trainable == ("all",)
    assert set_field(recipe, "training.class_balance", "batch_weights").training.class_balance == "batch_weights"
    assert set_field(recipe, "training.augmentation.fill", "nearest").training.augmentation.fill == "nearest"
    assert set_field(recipe, "preparation.mean", "44").preparation.mean == 44.0
    assert set_field(recipe, "start", "12").start == "12"
    assert set_field(recipe, "start", "null").start is None


def test_fields_that_belong_together_are_checked_together() -> None:
    recipe = load_recipe(PIPELINES / "end2end_baseline.py")
    sizes = [("preparation.rows", "256"), ("preparation.columns", "192"), ("start", "7")]
    preparation = set_fields(recipe, sizes).preparation
    assert (preparation.rows, preparation.columns) == (256, 192)
    with pytest.raises(MammoError, match="not a finite number"):
        set_fields(recipe, [("evaluation.mean", "NaN")])


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("training.batchsize", "4", "Did you mean training.batch_size"),
        ("trainig.batch_size", "4", "Did you mean training.batch_size"),
        ("phases.0.stages.stage_3.rate", "1", "no field 'phases.0.stages.stage_3.rate'"),
        ("training.batch_size", "many", "is 'many', not a whole number"),
        ("training.batch_size", "0", "training.batch_size is 1 or more"),
        ("training.class_balance", "magic", "is one of none, batch_weights, balanced_sampling"),
        ("phases.0.stages.stage_1.dropout", "1.5", "dropout lies from 0 to below 1"),
        ("task.positives", '["cancer"]', "positive label 'cancer' is unknown. Known are normal"),
        ("task.kind", "clasification", "Did you mean classification"),
        ("phases.0.stages.stage_1.monitor", "val_dice", "a classification gives val_loss, val_auc"),
        ("phases.0.stages.stage_1.epochs", "2.5", "not a whole number"),
        ("phases.0.stages.stage_1.name", "../../other", "name is that of a folder"),
        ("phases.0.stages.stage_1.rate", "1e-320", "rate, weight_decay and clip_norm are from 1e-37 to 1e"),
        ("phases.0.stages.stage_1.weight_decay", "1e39", "are from 1e-37 to"),
        ("phases.0.stages.stage_1.clip_norm", "1e300", "are from 1e-37 to"),
        ("phases.0.stages.stage_1.rate_floor", "-1", "rate_floor is 0 or more"),
        ("name", "a/b", "name is that of a folder, of at most 100 bytes, not 'a/b'"),
        ("phases.0.stages.stage_1.epochs", "99999999999", "epochs is 1 or more, up to 1000000"),
        ("phases.0.batch_size", "99999999999999999999", "batch_size is 1 or more, up to 65536"),
        ("training.batch_size", "2147483648", "training.batch_size is 1 or more, up to 65536"),
        ("training.accumulate", "2147483648", "training.accumulate is 1 or more, up to 65536"),
        ("training.seed", "4294967296", "training.seed is 0 or more, up to 2147483647"),
        ("preparation.mean", "1e300", "preparation.mean is a number up to"),
        ("evaluation.mean", "-1e300", "evaluation.mean is a number up to"),
        ("network.dropout", "1", "end2end: dropout lies from 0 to below 1, not at 1"),
        ("network.weight_decay", "-1", "end2end: weight_decay is 0 or more, not -1"),
        ("network.width", "1e300", "end2end: width is above 0, up to 16, not 1e.300"),
        ("evaluation.replicates", "0", "0 resamples make no interval"),
        ("evaluation.replicates", "99999999999", "Take 1000 or more, up to 10000000"),
    ],
)
def test_a_wrong_field_is_told(path: str, text: str, message: str) -> None:
    with pytest.raises(MammoError, match=message):
        set_field(load_recipe(PIPELINES / "end2end_finetune_config2.py"), path, text)


def test_recipe_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(MammoError, match="is not there"):
        load_recipe(tmp_path / "none.py")
    path = tmp_path / "one.py"
    path.write_text("def recipe(:\n")
    with pytest.raises(MammoError, match="cannot be run as a recipe"):
        load_recipe(path)
    path.write_text("def recipe():\n    return 3\n")
    with pytest.raises(MammoError, match="gives no Recipe"):
        load_recipe(path)
    with pytest.raises(MammoError, match="has no variant 'as-run'. It has recipe"):
        load_recipe(path, "as-run")
    path.write_text("def recipe():\n    assert False\n")
    with pytest.raises(MammoError, match="recipe fails: AssertionError"):
        load_recipe(path)
    for text in ("import sys\nsys.exit(0)\n", "def recipe():\n    exit('no')\n"):
        path.write_text(text)
        with pytest.raises(MammoError) as caught:
            load_recipe(path)
        assert caught.value.code == "not_a_recipe"


def test_a_recipe_file_has_dataclasses_of_its_own(tmp_path: Path) -> None:
    """With annotations that are looked up later, in the file's module."""
    (tmp_path / "own.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass, replace\n"
        "from mammo_tf.pipelines import whole_image\n\n"
        "@dataclass(frozen=True)\nclass Mine:\n    epochs: int = 7\n\n"
        "def recipe():\n    return replace(whole_image.recipe(), name=f'mine_{Mine().epochs}')\n"
    )
    assert load_recipe(tmp_path / "own.py").name == "mine_7"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", " a", "a\nb", "a\0", "\ud800", "\u00fc" * 51])
def test_names_that_no_folder_can_have(name: str) -> None:
    for made in (lambda: Stage(name, ("all",), 1e-3, 1), lambda: Recipe(name, "")):
        with pytest.raises(MammoError, match="name is that of a folder"):
            made()


def test_stages_that_are_named_by_digits() -> None:
    """A name counts before a number, and may be given one."""
    stages = tuple(Stage(name, ("all",), 1e-3, 1) for name in ("1", "0"))
    recipe = Recipe("x", "", phases=(Phase(stages),))
    assert [stage.epochs for stage in set_field(recipe, recipe.path("stages.1.epochs"), "7").stages] == [7, 1]
    assert set_field(recipe, recipe.path("stages.0.name"), "12").stages[1].name == "12"


def test_stages_have_names_of_their_own() -> None:
    stage = Stage("one", ("all",), 1e-3, 1)
    with pytest.raises(MammoError, match="different names"):
        Recipe("x", "", phases=(Phase((stage, replace(stage, rate=1.0))),))


def test_a_network_of_ones_own_as_the_docs_write_it() -> None:
    """Registered in the reader's file, it is a recipe's network like any other, in JSON and by --set too."""
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    code = page[page.index("@NETWORKS.register") :].split("```")[0]
    names = {
        "NETWORKS": NETWORKS, "dataclass": dataclass, "replace": replace, "ClassVar": ClassVar, "keras": keras,
        "layers": keras.layers, "described": described, "__name__": __name__,
    }  # fmt: skip
    exec(code, names)
    recipe = set_fields(Recipe("own", "", network=names["LittleNet"]()), [("network.filters", "3")])
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert smoke(recipe).network.filters == 2
    model = recipe.network.build((32, 32, 3))
    recipe.task.check_network(model, "the network")
    assert description_of(model) == recipe.network
    with pytest.raises(MammoError, match="Did you mean little_net"):
        set_fields(recipe, [("network.kind", "litle_net")])

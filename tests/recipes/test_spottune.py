"""SpotTune in a recipe: it grows out of a start model, and a stopped stage goes on with the generator's state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pytest

from mammo_tf.data import NO_AUGMENTATION
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import ResNetPatch, SpotTune, described, description_of, named_layers, resnet_patch
from mammo_tf.models.policy import GumbelPolicy
from mammo_tf.recipes import Phase, Preparation, Recipe, Training, smoke
from mammo_tf.recipes.smoke_study import smoke_material
from mammo_tf.recipes.trainer import Trainer
from mammo_tf.records import Records
from mammo_tf.serving import export_bundle
from mammo_tf.training import ModelCard, ModelFile, Stage, load_model
from mammo_tf.training.checkpoints import restore_variables, save_state
from mammo_tf.training.stages import prepare_stage

STAGE = Stage("spottune", ("all",), 1e-2, 1, weight_decay=1e-4, decay="coupled", optimizer="sgd")
RECIPE = Recipe(
    "spottune", "adapted", network=SpotTune(ResNetPatch(), temperature=2.0), phases=(Phase((STAGE,)),),
    needs_start=True, preparation=Preparation(preset="legacy", channels=1), training=Training(16, NO_AUGMENTATION),
)  # fmt: skip
STEPS = Preprocessing.preset("legacy", (128, 128), channels=1)


@dataclass(frozen=True)
class Flat:
    """The smallest classifier."""

    kind: ClassVar[str] = "flat"

    def build(self, shape: tuple) -> keras.Model:
        pictures = keras.Input(shape)
        tensor = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 9, 16, name="first")(pictures))
        return described(keras.Model(pictures, keras.layers.Dense(2, "softmax")(tensor)), self)


@dataclass(frozen=True)
class Followed:
    """A network that is made out of another: one more layer behind what there was."""

    kind: ClassVar[str] = "followed"
    network: Flat = Flat()

    def grow(self, before: keras.Model, shape: tuple) -> keras.Model:
        tensor = keras.layers.Dense(2, "softmax", name="behind")(before.output)
        return described(keras.Model(before.input, tensor), self)


def test_a_network_that_is_made_out_of_another_grows_from_a_start_model(records: Records, tmp_path: Path) -> None:
    """From a start model of the one it is made out of; one of its own kind is trained on as it is."""
    keras.utils.set_random_seed(0)
    recipe = replace(RECIPE, network=Followed(), phases=(Phase((replace(STAGE, trainable=("behind",)),)),))
    start = Flat().build((128, 128, 1))
    kernel = start.get_layer("first").kernel.numpy()
    grown = _trained(recipe, start, records, tmp_path / "one")
    assert [layer.name for layer in grown.layers if layer.weights][-1] == "behind"
    np.testing.assert_array_equal(grown.get_layer("first").kernel, kernel)
    again = _trained(recipe, grown, records, tmp_path / "two")
    assert [layer.name for layer in again.layers] == [layer.name for layer in grown.layers]


def _trained(recipe: Recipe, start: keras.Model, records: Records, folder: Path) -> keras.Model:
    trainer = Trainer(recipe, folder, records, STEPS, lambda line: None)
    return trainer.all_phases(ModelFile(start, ModelCard(preprocessing=STEPS)))


@pytest.mark.long
def test_a_start_model_is_adapted(records: Records, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    start = resnet_patch((128, 128, 1), (1,), 2)
    kernel = start.get_layer("block_1_conv_2").kernel.numpy()
    trained = _trained(RECIPE, start, records, tmp_path)
    assert description_of(trained) == SpotTune(ResNetPatch((1,), 2), temperature=2.0)
    layers = dict(named_layers(trained))
    np.testing.assert_array_equal(layers["block_1_frozen/block_1_conv_2"].kernel, kernel)
    assert not np.array_equal(layers["block_1_tuned/block_1_conv_2"].kernel, kernel)


def test_a_model_that_draws_is_not_exported(tmp_path: Path) -> None:
    random = SpotTune(ResNetPatch((1,), 2), test_policy="drawn").build((128, 128, 1))
    with pytest.raises(MammoError, match="the layer policy of .* draws at inference") as caught:
        export_bundle(ModelFile(random, ModelCard(preprocessing=STEPS)), tmp_path / "saved")
    assert caught.value.code == "scores_random"
    assert not (tmp_path / "saved").exists()


def test_a_checkpoint_holds_the_generator(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = prepare_stage(SpotTune(ResNetPatch((1,), 2)).build((16, 16, 1)), STAGE)
    pictures = np.random.default_rng(0).normal(size=(64, 16, 16, 1)).astype(np.float32)
    policy = next(layer for layer in model.layers if isinstance(layer, GumbelPolicy))
    drawing = keras.Model(model.input, policy.output)
    drawing(pictures, training=True)
    save_state(tmp_path / "state.npz", model, [], {"epoch": 0})
    expected = [np.asarray(drawing(pictures, training=True)) for _ in range(2)]
    assert not np.array_equal(*expected)
    keras.utils.set_random_seed(2)
    other = prepare_stage(model, STAGE)
    restore_variables(tmp_path / "state.npz", other)
    drawing = keras.Model(other.input, next(layer for layer in other.layers if isinstance(layer, GumbelPolicy)).output)
    for values in expected:
        np.testing.assert_array_equal(drawing(pictures, training=True), values)


def test_a_smoke_run_starts_from_the_network_that_is_made_use_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammo_tf.recipes.smoke_study.make_study", lambda *arguments, **more: None)
    _, start = smoke_material(smoke(RECIPE), tmp_path, None)
    assert start is not None
    assert description_of(load_model(start).model) == ResNetPatch().small()


def test_a_recipe_with_spottune_is_json() -> None:
    assert Recipe.from_json(RECIPE.to_json()) == RECIPE

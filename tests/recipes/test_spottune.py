"""SpotTune in a recipe: it grows out of a start model, and a stopped stage goes on with the generator's state."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from mammo_tf.data import NO_AUGMENTATION
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import ResNetPatch, SpotTune, description_of, named_layers, resnet_patch, with_test_policy
from mammo_tf.models.policy import GumbelPolicy
from mammo_tf.recipes import Phase, Preparation, Recipe, Training, smoke, train
from mammo_tf.recipes.smoke_study import smoke_material
from mammo_tf.records import Records
from mammo_tf.serving import export_bundle
from mammo_tf.training import ModelCard, ModelFile, Stage, load_model, save_model
from mammo_tf.training.checkpoints import restore_variables, save_state
from mammo_tf.training.stages import prepare_stage

STAGE = Stage("spottune", ("all",), 1e-2, 1, weight_decay=1e-4, decay="coupled", optimizer="sgd")
RECIPE = Recipe(
    "spottune", "adapted", network=SpotTune(ResNetPatch(), temperature=2.0), phases=(Phase((STAGE,)),),
    needs_start=True, preparation=Preparation(preset="legacy", channels=1), training=Training(16, NO_AUGMENTATION),
)  # fmt: skip
STEPS = Preprocessing.preset("legacy", (128, 128), channels=1)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("start") / "start.keras"
    save_model(path, resnet_patch((128, 128, 1), (1,), 2), ModelCard(preprocessing=STEPS))
    return path


def test_a_start_model_grows(start: Path, records: Records, tmp_path: Path) -> None:
    trained, before = train(RECIPE, tmp_path / "run", records.folder, start).model, load_model(start).model
    assert description_of(trained) == SpotTune(ResNetPatch((1,), 2), temperature=2.0)
    layers = dict(named_layers(trained))
    kernel = before.get_layer("block_1_conv_2").kernel
    np.testing.assert_array_equal(layers["block_1_frozen/block_1_conv_2"].kernel, kernel)
    assert not np.array_equal(layers["block_1_tuned/block_1_conv_2"].kernel, kernel)
    random = ModelFile(with_test_policy(trained, "drawn"), ModelCard(preprocessing=STEPS))
    with pytest.raises(MammoError, match="the layer policy of .* draws at inference") as caught:
        export_bundle(random, tmp_path / "saved")
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

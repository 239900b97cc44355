"""A patch model from recipe to bundle: what is trained, measured, shown, served, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from mammo_tf.data import Augmentation, GaussianNoise, ImagePatchSampling
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import auc, read_predictions
from mammo_tf.files import read_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.models import NETWORKS
from mammo_tf.recipes import Evaluation, Phase, Preparation, Recipe, Training, run
from mammo_tf.recipes.inputs import geometry_of
from mammo_tf.recipes.report import finish_run
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.serving.export import export_bundle
from mammo_tf.serving.predict import predict
from mammo_tf.study import read_manifest
from mammo_tf.training import Stage, load_model


@NETWORKS.register
@dataclass(frozen=True)
class Spot:
    """Brightness around the middle of a patch, learned."""

    kind: ClassVar[str] = "spot"

    def build(self, shape: tuple) -> keras.Model:
        pictures = keras.Input(shape, name="pictures")
        tensor = keras.layers.Conv2D(4, 5, 2, "same", activation="relu")(pictures)
        tensor = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, 2, activation="relu")(tensor))
        return keras.Model(pictures, keras.layers.Dense(2, "softmax")(tensor))

    def small(self) -> Self:
        return self


RECIPE = Recipe(
    name="patches",
    about="patches of images",
    network=Spot(),
    preparation=Preparation(preset="native", channels=1, tile=64),
    training=Training(
        batch_size=8,
        class_balance="balanced_sampling",
        augmentation=Augmentation(30.0, 0.0, 0.0, vertical_flip=True, intensity=(GaussianNoise(),), shift_pixels=1.0),
    ),
    evaluation=Evaluation(replicates=50),
    phases=(
        Phase(
            (Stage("patches", ("all",), 1e-2, 3, monitor="val_auc", stop_patience=0),),
            ImagePatchSampling(16, 16, pixels=32, samples=64, draws=2),
        ),
    ),
)


@pytest.fixture(scope="module")
def native(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("native") / "records"
    prepare(read_manifest(films), films.parent, folder, Preprocessing.preset("native", (152, 144), channels=1), tile=64)
    return open_records(folder)


@pytest.fixture(scope="module")
def folder(native: Records, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "patches"
    finish_run(run(RECIPE, folder, native.folder))
    return folder


def test_each_image_has_a_row_a_draw(folder: Path, native: Records) -> None:
    log = pd.read_csv(folder / "log.csv")
    assert len(log) == 3
    table = read_predictions(folder / "predictions_test.csv")
    names = native.rows.loc[native.rows["split"] == "test", "image_id"]
    assert table.groupby("image_id")["patch_seed"].apply(sorted).to_dict() == {name: ["0", "1"] for name in names}
    metrics = read_json(folder / "metrics.json")
    assert metrics["test"]["patch"]["auc"]["value"] == pytest.approx(auc(table["label"], table["score"]))
    means = table.groupby("image_id").agg({"label": "first", "score": "mean"})
    assert metrics["test"]["image"]["auc"]["value"] == pytest.approx(auc(means["label"], means["score"]))
    assert metrics["test"]["image"]["auc"]["value"] > 0.9  # a bright disc in the middle of each positive


def test_the_report_shows_the_patches(folder: Path) -> None:
    examples = read_json(folder / "figures" / "examples.json")
    assert len(examples) >= 4
    for example in examples:
        assert cv2.imread(str(folder / "figures" / example["picture"]), cv2.IMREAD_UNCHANGED).shape == (16, 16)
    assert (folder / "report.html").is_file()


def test_scores_do_not_depend_on_the_other_images(folder: Path, films: Path, tmp_path: Path) -> None:
    """Prepared anew, whole instead of in tiles, with fewer images and in another order: the same patches and scores."""
    manifest = read_manifest(films)
    some = manifest[(manifest["split"] != "train") | (manifest["image_id"] == "p0_CC")][::-1].reset_index(drop=True)
    steps = Preprocessing.preset("native", (160, 150), channels=1)
    prepare(some, films.parent, tmp_path / "records", steps)
    preparation = replace(RECIPE.preparation, preset="start", mean="start", tile=None)
    evaluation = replace(RECIPE.evaluation, plan=RECIPE.phases[0].plan)
    recipe = replace(RECIPE, name="again", phases=(), preparation=preparation, evaluation=evaluation)
    run(recipe, tmp_path / "run", tmp_path / "records", start=folder)
    first, second = (
        read_predictions(place / "predictions_test.csv").set_index(["image_id", "patch_seed"])["score"]
        for place in (folder, tmp_path / "run")
    )
    pd.testing.assert_series_equal(first, second.loc[first.index], rtol=1e-5)


def test_a_bundle_takes_patches(folder: Path, native: Records, tmp_path: Path) -> None:
    model_file = load_model(folder / "model.keras")
    assert (model_file.card.patch.rows, model_file.card.patch.pixels) == (16, 32)
    bundle = export_bundle(model_file, tmp_path / "models", "spot")
    position = int(native.positions("test")[0])
    patch = native.region(position, (40, 72, 30, 62))
    cv2.imwrite(str(tmp_path / "patch.png"), patch)
    cv2.imwrite(str(tmp_path / "whole.png"), native.picture(position))
    report = predict(bundle, [tmp_path / "patch.png", tmp_path / "whole.png"], tmp_path / "scores.csv")
    assert (report.images, report.rejects) == (1, 1)
    assert "not_a_patch" in report.rejects_path.read_text()
    small = patch.astype(np.float64).reshape(16, 2, 16, 2).mean(axis=(1, 3))
    expected = model_file.model.predict(
        model_file.preprocessing.intensity((np.rint(small) / 65535).astype(np.float32))[None], verbose=0
    )
    assert report.predictions["score"].iloc[0] == pytest.approx(float(expected[0, 1]), abs=1e-4)


def test_whole_pictures_and_patches_are_not_one_model(folder: Path, native: Records, tmp_path: Path) -> None:
    for plan, code in (
        (replace(RECIPE.phases[0].plan, pixels=400), "patch_too_large"),
        (replace(RECIPE.phases[0].plan, pixels=None, mm=9.0), "spacing_missing"),
    ):
        recipe = replace(RECIPE, phases=(replace(RECIPE.phases[0], plan=plan),))
        with pytest.raises(MammoError) as caught:
            run(recipe, tmp_path / code, native.folder)
        assert caught.value.code == code


def test_a_recipe_of_patches_goes_to_json_and_back() -> None:
    recipe = replace(RECIPE, evaluation=replace(RECIPE.evaluation, plan=ImagePatchSampling(draws=3)))
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.scoring.draws == 3
    assert RECIPE.scoring == RECIPE.phases[0].plan


def test_a_manifest_is_prepared_to_the_size_of_the_pictures_not_of_the_patches(folder: Path) -> None:
    start = load_model(folder / "model.keras")
    asked = Recipe("further", "", preparation=Preparation(preset="start", mean="start"))
    assert start.model.inputs[0].shape[1:3] == (16, 16)
    assert geometry_of(asked, start, None).size == (152, 144)

"""Models of tiles and of patches behind harmonising: what is measured is what `predict` and the bundle give."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from mammo_tf.adaptation.harmonising import fit
from mammo_tf.data import ImagePatchSampling, TileSampling
from mammo_tf.data.sampling import Cases
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.imaging.steps import run_intensity
from mammo_tf.imaging.tiles import Tiling
from mammo_tf.imaging.warp import affine
from mammo_tf.recipes import Evaluation, Preparation, Recipe, run
from mammo_tf.recipes.scores import patch_input
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.serving import export_bundle, open_scorer
from mammo_tf.serving.predict import predict
from mammo_tf.training import ModelCard, Segmentation, load_model, save_model

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from little_unet import LittleUNet  # noqa: E402 - a network that someone brings along

STEPS = Preprocessing.preset("native", (160, 160), mean=40.0, channels=1)
TILES = TileSampling(Tiling(64, 48, overlap=0.2, least_breast=0.05))
PATCHES = ImagePatchSampling(32, 32, pixels=48, draws=2, leave_out=True)


@pytest.fixture(scope="module")
def site(
    films: Path, soft_films: tuple[pd.DataFrame, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Films of a machine that smooths and darkens, eight patients of them for testing, and what carries them back."""
    root = tmp_path_factory.mktemp("pieces")
    manifest, soft = soft_films
    found = {}
    for name, folder in (("sharp", films.parent), ("soft", soft)):
        prepare(manifest, folder, root / f"{name}_records", STEPS, workers=1)
        found[name] = open_records(root / f"{name}_records")
    fit(found["sharp"], found["soft"]).save(root / "soft.json")
    return {"records": found["soft"], "pictures": soft, "file": root / "soft.json"}


def _recipe(file: Path, sampling: Any, **facts: Any) -> Recipe:
    asked = Preparation(preset="start", mean="start", channels=1, harmonising=str(file))
    evaluation = Evaluation(replicates=20, plan=sampling)
    return Recipe("scored", "as it came", preparation=asked, evaluation=evaluation, needs_start=True, **facts)


def _measured(out: Path, asked: Recipe, records: Records, card: ModelCard, network: keras.Model) -> pd.DataFrame:
    """Predictions of test of a run that measures the network behind the site's harmonising."""
    save_model(out.parent / f"{out.name}.keras", network, card)
    run(asked, out, records.folder, start=out.parent / f"{out.name}.keras")
    return pd.read_csv(out / "predictions_test.csv")


def test_predict_gives_what_was_measured_of_tiles(site: dict[str, Any], tmp_path: Path) -> None:
    """By the run folder and by its bundle; harmonised by themselves, tiles give other scores."""
    records, task = site["records"], Segmentation(threshold=0.505)
    keras.utils.set_random_seed(4)
    network = LittleUNet(4).build((64, 48, 1))
    card = ModelCard(task=task, preprocessing=STEPS, tiling=TILES.tiling)
    table = _measured(tmp_path / "run", _recipe(site["file"], TILES, task=task), records, card, network)
    stored = load_model(tmp_path / "run" / "model.keras")
    assert stored.preprocessing is not None
    assert stored.preprocessing.whole_steps == Harmonising.load(site["file"]).steps
    bundle = export_bundle(stored, tmp_path / "saved", "tiles")
    files = [site["pictures"] / Path(place).name for place in table["path"]] if "path" in table else []
    files = files or [
        site["pictures"] / Path(place).name for place in records.rows.set_index("image_id")["path"][table["image_id"]]
    ]
    measured = table["score"].to_numpy()
    for number, source in enumerate((tmp_path / "run", bundle)):
        predict(source, files, tmp_path / f"p{number}.csv", workers=1)
        found = pd.read_csv(tmp_path / f"p{number}.csv")["score"].to_numpy()
        np.testing.assert_allclose(found, measured, rtol=0, atol=1e-5)
    plain = _measured(
        tmp_path / "plain", replace(_recipe(site["file"], TILES, task=task), preparation=Preparation(
            preset="start", mean="start", channels=1)), records, card, network,
    )  # fmt: skip
    assert np.abs(plain["score"] - measured).max() > 1e-3, "else nothing is harmonised"


def test_a_bundle_scores_patches_of_harmonised_pictures_as_measured(site: dict[str, Any], tmp_path: Path) -> None:
    records: Records = site["records"]
    pictures = keras.Input((32, 32, 1))
    edges = keras.layers.Conv2D(1, 3, padding="same", use_bias=False)(pictures)
    tensor = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(0.05)(keras.layers.ReLU()(edges)))
    network = keras.Model(pictures, keras.layers.Dense(2, "softmax")(tensor))
    network.layers[1].set_weights([np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)[..., None, None]])
    network.layers[-1].set_weights([np.array([[-1, 1]], np.float32), np.zeros(2, np.float32)])
    asked = _recipe(site["file"], PATCHES)
    card = ModelCard(task=asked.task, preprocessing=STEPS, patch=patch_input(asked))
    table = _measured(tmp_path / "run", asked, records, card, network)
    assert table["score"].std() > 0.01
    positions = records.positions("test")
    labels = asked.task.truth(records.rows.iloc[positions])
    plan = PATCHES.scoring_plan(records, Cases(positions, labels, asked.task.wanted))
    draws, cut, alone = plan.epoch(0), [], []
    steps = Harmonising.load(site["file"]).steps
    for position, matrix in zip(draws.positions.tolist(), draws.matrices, strict=True):
        picture, breast = records.picture(position) / np.float32(65535), records.breast(position)
        piece, mask = affine(picture, matrix, size=plan.size), affine(breast, matrix, fill=0.0, size=plan.size)
        for step in steps:
            picture, piece = run_intensity(step, picture, breast), run_intensity(step, piece, mask)
        cut.append(affine(picture, matrix, size=plan.size))
        alone.append(piece)
    named = pd.DataFrame({
        "image_id": records.rows["image_id"].iloc[draws.positions].to_numpy(),
        "patch_seed": draws.columns["patch_seed"],
    })  # fmt: skip
    wanted = named.merge(table, on=["image_id", "patch_seed"], how="left", validate="one_to_one")["score"].to_numpy()
    bundle = export_bundle(load_model(tmp_path / "run" / "model.keras"), tmp_path / "saved", "patches")
    for source in (tmp_path / "run", bundle):
        scorer = open_scorer(source)
        found = scorer.score(np.clip(np.stack(cut), 0, 1)).score
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3)
        by_themselves = scorer.score(np.clip(np.stack(alone), 0, 1)).score
        assert np.abs(by_themselves - wanted).max() > 0.01

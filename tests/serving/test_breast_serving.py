"""A model behind a step that needs the breast: both signatures, the file and Keras give one score; errors are told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.band_steps import ContrastBands
from mammo_tf.imaging.geometry_steps import CropBreast, FindBreast, Fit, Place
from mammo_tf.imaging.intensity_steps import Channels, HistogramLookup, Scale, SubtractMean
from mammo_tf.imaging.stitching import Stitcher
from mammo_tf.imaging.tiles import Tiling, placed_tiles
from mammo_tf.imaging.warp import affine
from mammo_tf.models import flip_averaged
from mammo_tf.reading import read
from mammo_tf.serving import Bundle, export_bundle, open_bundle, open_scorer
from mammo_tf.serving.predict import predict
from mammo_tf.serving.predict_inputs import Candidate
from mammo_tf.serving.predict_picture import prepare_picture
from mammo_tf.serving.predict_tiles import score_pictures
from mammo_tf.training import ModelCard, ModelFile, Segmentation, Threshold, save_model
from mammo_tf.training.model_card import PatchInput

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from little_unet import LittleUNet  # noqa: E402 - a network that someone brings along

INTENSITY = (
    HistogramLookup(tuple((np.linspace(0, 1, 4096) ** 0.7 * 4095).tolist()), keep_black=True),
    ContrastBands((0.8, 1.6, 3.2), (1.6, 0.7, 1.3)),
    Scale(255),
    SubtractMean(50.0),
)
WHOLE = Preprocessing((CropBreast(), Fit(64, 48)), (*INTENSITY, Channels(3)))


@pytest.fixture(scope="module")
def banded(film_files: list[Path], spreading: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A little classifier, its files, what it is given of eight films, and its scores of them."""
    keras.utils.set_random_seed(5)
    pictures = keras.Input((64, 48, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 5, 4, activation="relu")(pictures))
    model = keras.Model(pictures, keras.layers.Dense(2, "softmax")(pooled))
    files = film_files[:8]
    inputs = np.stack([WHOLE(read(path).pixels) for path in files])
    spreading(model, inputs)
    folder = tmp_path_factory.mktemp("banded")
    card = ModelCard(preprocessing=WHOLE, thresholds=(Threshold("image", 0.4, "largest G-mean"),))
    save_model(folder / "model.keras", model, card)
    told: list[str] = []
    asked = [Candidate(path, path.name) for path in files]
    bundle = export_bundle(ModelFile(model, card), folder / "saved", validation=asked, say=told.append)
    scores = np.asarray(model.predict(inputs, verbose=0))[:, 1]
    assert scores.std() > 0.05
    prepared = [WHOLE.geometry(read(path).pixels) for path in files]
    return {
        "model": model, "file": folder / "model.keras", "bundle": bundle, "files": files, "inputs": inputs,
        "scores": scores, "told": told, "pictures": np.stack([one.picture for one in prepared]),
        "breasts": np.stack([one.breast_mask for one in prepared if one.breast_mask is not None]),
    }  # fmt: skip


@pytest.fixture(scope="module")
def opened(banded: dict[str, Any]) -> Bundle:
    return open_bundle(banded["bundle"])


def test_both_signatures_give_the_scores_of_keras(banded: dict[str, Any], opened: Bundle) -> None:
    for breasts in (banded["breasts"], banded["breasts"].astype(np.uint8)):
        scored = opened.score_float(banded["pictures"], breasts)
        np.testing.assert_allclose(scored.score, banded["scores"], rtol=0, atol=1e-5)
    scored = opened.score_png([path.read_bytes() for path in banded["files"]])
    np.testing.assert_allclose(scored.score, banded["scores"], rtol=0, atol=1e-3)  # a pixel of an outline may differ
    other = opened.score_float(banded["pictures"], np.ones_like(banded["breasts"])).score
    assert np.abs(other - banded["scores"]).max() > 1e-3
    assert opened.score_float(np.zeros((0, 64, 48)), np.zeros((0, 64, 48), np.bool_)).score.shape == (0,)


def test_the_bundle_says_what_it_takes_and_how_far_its_signatures_are_apart(banded: dict[str, Any]) -> None:
    said = json.loads((banded["bundle"] / "assets.extra" / "bundle.json").read_text())
    assert said["signatures"]["serving_float"]["inputs"] == {
        "picture": {"dtype": "float32", "shape": [None, 64, 48]}, "breast": {"dtype": "bool", "shape": [None, 64, 48]},
    }  # fmt: skip
    assert set(said["signatures"]["serving_default"]["inputs"]) == {"png"}
    assert said["gap"]["images"] == 8
    assert said["gap"]["largest_difference"] < 1e-3
    assert "rank correlation 1.000" in banded["told"][0]


@pytest.mark.parametrize("flips", [None, True])
def test_file_and_bundle_alike_with_flips_and_without(banded: dict[str, Any], flips: bool | None) -> None:
    model = flip_averaged(banded["model"]) if flips else banded["model"]
    expected = np.asarray(model(banded["inputs"]))[:, 1]
    for source in (banded["file"], banded["bundle"]):
        scorer = open_scorer(source, flips)
        found = scorer.score(banded["pictures"], banded["breasts"]).score
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_predict_hands_the_breast_over(banded: dict[str, Any], tmp_path: Path) -> None:
    predict(banded["bundle"], banded["files"], tmp_path / "p.csv", batch_size=3, workers=1)
    table = pd.read_csv(tmp_path / "p.csv")
    np.testing.assert_allclose(table["score"], banded["scores"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("breast", "code"),
    [
        (None, "breast_missing"),
        (np.ones((2, 48, 64), np.bool_), "breast_wrong"),
        (np.ones((1, 64, 48), np.bool_), "breast_wrong"),
        (np.full((2, 64, 48), 255, np.uint8), "breast_wrong"),
        (np.stack([np.ones((64, 48), np.bool_), np.zeros((64, 48), np.bool_)]), "breast_wrong"),
    ],
)
def test_a_wrong_breast(banded: dict[str, Any], opened: Bundle, breast: Any, code: str) -> None:
    for ask in (opened.score_float, open_scorer(banded["file"]).score):
        with pytest.raises(MammoError) as caught:
            ask(np.full((2, 64, 48), 0.2, np.float32), breast)
        assert caught.value.code == code
        assert caught.value.remedy


def test_a_client_of_the_graph_is_told_of_an_empty_breast(opened: Bundle) -> None:
    signature = opened._loaded.signatures["serving_float"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="a breast mask is empty"):
        signature(picture=tf.zeros((1, 64, 48)), breast=tf.zeros((1, 64, 48), tf.bool))


def test_tiles_are_cut_with_their_breast(film_files: list[Path], tmp_path: Path) -> None:
    keras.utils.set_random_seed(4)
    tiling = Tiling(64, 48, (2, 2), overlap=0.2)
    steps = Preprocessing((FindBreast(), Place(160, 160)), (*INTENSITY, Channels(1)))
    network = LittleUNet(2).build((64, 48, 1))
    save_model(tmp_path / "m.keras", network, ModelCard(task=Segmentation(), preprocessing=steps, tiling=tiling))
    picture = prepare_picture(Candidate(film_files[0], "p.png"), steps)
    found = score_pictures(open_scorer(tmp_path / "m.keras"), [picture], Segmentation())
    assert picture.breast_mask is not None
    levels = np.rint(picture.picture * 65535).astype(np.uint16)
    stitcher = Stitcher((160, 160))
    for tile in placed_tiles((0, picture.stored_size[0], 0, picture.stored_size[1]), picture.breast_mask, tiling):
        cut, mask = (affine(one, tile.matrix, fill=0.0, size=tiling.size) for one in (levels, picture.breast_mask))
        values = steps.intensity(cut / np.float32(65535), mask)
        stitcher.add(np.asarray(network(values[None]))[0, ..., 0], tile.matrix)
    assert found.mask is not None
    np.testing.assert_allclose(found.mask[0], stitcher.result(), atol=1e-5)


def test_a_patch_does_not_show_its_breast(banded: dict[str, Any], tmp_path: Path) -> None:
    """`serving_float` is given it; there is no `serving_default`, and a file that is a patch has no score."""
    card = ModelCard(preprocessing=WHOLE, patch=PatchInput(64, 48, 30), thresholds=(Threshold("image", 0.4, "mean"),))
    told: list[str] = []
    bundle = open_bundle(export_bundle(ModelFile(banded["model"], card), tmp_path, say=told.append))
    assert told == [
        "the bundle has no serving_default: a step needs the breast, and a patch or a tile does not show it"
    ]
    assert set(bundle.description["signatures"]) == {"serving_float"}
    assert [one.signature for one in bundle.card.thresholds] == ["serving_float"]
    found = bundle.score_float(banded["pictures"], banded["breasts"]).score
    np.testing.assert_allclose(found, banded["scores"], rtol=0, atol=1e-5)
    with pytest.raises(MammoError, match="does not show it") as caught:
        bundle.score_png([banded["files"][0].read_bytes()])
    assert caught.value.code == "signature_missing"
    cv2.imwrite(str(tmp_path / "p.png"), np.full((30, 30), 20000, np.uint16))
    scorer = open_scorer(bundle.folder)
    picture = prepare_picture(Candidate(tmp_path / "p.png", "p.png"), scorer.preprocessing)
    with pytest.raises(MammoError, match="does not show it") as caught:
        score_pictures(scorer, [picture], scorer.card.task)
    assert caught.value.code == "breast_missing"

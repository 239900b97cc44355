"""A model behind a step that needs the breast: both signatures, the file and Keras give one score; errors are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from mammo_tf.data import graph_breast
from mammo_tf.errors import MammoError
from mammo_tf.files import read_json, write_json
from mammo_tf.imaging import Preprocessing, breast
from mammo_tf.imaging.band_steps import ContrastBands
from mammo_tf.imaging.geometry_steps import CropBreast, FindBreast, Fit, Place
from mammo_tf.imaging.intensity_steps import Channels, HistogramLookup, Scale, SubtractMean
from mammo_tf.imaging.steps import run_intensity
from mammo_tf.imaging.tiles import Tiling, placed_tiles
from mammo_tf.imaging.warp import affine
from mammo_tf.models import flip_averaged
from mammo_tf.reading import read
from mammo_tf.serving import Bundle, Scored, Scorer, export_bundle, open_bundle, open_scorer
from mammo_tf.serving.bundle_place import DESCRIPTION
from mammo_tf.serving.predict import predict
from mammo_tf.serving.predict_inputs import Candidate
from mammo_tf.serving.predict_picture import PredictPicture, prepare_picture
from mammo_tf.serving.predict_tiles import score_pictures
from mammo_tf.serving.signatures import CUT
from mammo_tf.training import ModelCard, ModelFile, Segmentation, Threshold, load_model, save_model
from mammo_tf.training.model_card import PatchInput

INTENSITY = (
    HistogramLookup(tuple((np.linspace(0, 1, 4096) ** 0.7 * 4095).tolist()), keep_black=True),
    ContrastBands((0.8, 1.6, 3.2), (1.6, 0.7, 1.3)),
    Scale(255),
    SubtractMean(50.0),
)
SEGMENT, SEGMENT_IN_FILES = graph_breast.segment, breast.segment
WHOLE = Preprocessing((CropBreast(), Fit(64, 48)), (*INTENSITY, Channels(3)))


@pytest.fixture(scope="module")
def banded(film_files: list[Path], spreading: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A little classifier, its files, what it is given of eight films, and its scores of them.

    The breast is what is bright, here and in the graph, which is quick; a longer test looks for it as all others do.
    """
    with pytest.MonkeyPatch.context() as patch:
        for where in (breast, graph_breast):
            patch.setattr(where, "segment", lambda values: values > 3000)
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
        bundle = export_bundle(ModelFile(model, card), folder / "saved")
        scores = np.asarray(model.predict(inputs, verbose=0))[:, 1]
        assert scores.std() > 0.05
        prepared = [WHOLE.geometry(read(path).pixels) for path in files]
        yield {
            "model": model, "file": folder / "model.keras", "bundle": bundle, "files": files, "inputs": inputs,
            "scores": scores, "scorer": open_scorer(folder / "model.keras"),
            "pictures": np.stack([one.picture for one in prepared]),
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
    np.testing.assert_allclose(scored.score, banded["scores"], rtol=0, atol=1e-5)
    other = opened.score_float(banded["pictures"], np.ones_like(banded["breasts"])).score
    assert np.abs(other - banded["scores"]).max() > 1e-3
    assert opened.score_float(np.zeros((0, 64, 48)), np.zeros((0, 64, 48), np.bool_)).score.shape == (0,)


def test_the_bundle_says_what_it_takes(opened: Bundle) -> None:
    said = opened.description["signatures"]
    assert said["serving_float"]["inputs"] == {
        "picture": {"dtype": "float32", "shape": [None, 64, 48]}, "breast": {"dtype": "bool", "shape": [None, 64, 48]},
    }  # fmt: skip
    assert set(said["serving_default"]["inputs"]) == {"png"}


@pytest.mark.long
def test_export_measures_how_far_its_signatures_are_apart(
    banded: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the breast looked for in the graph and in files; a pixel of its outline may differ."""
    monkeypatch.setattr(graph_breast, "segment", SEGMENT)
    told: list[str] = []
    asked = [Candidate(path, path.name) for path in banded["files"]]
    model_file = load_model(banded["file"])
    gap = open_bundle(export_bundle(model_file, tmp_path, validation=asked, say=told.append)).description["gap"]
    assert gap["images"] == 8
    assert gap["largest_difference"] < 1e-3
    assert "rank correlation 1.000" in told[0]


@pytest.mark.long
@pytest.mark.parametrize("flips", [None, True])
def test_file_and_bundle_alike_with_flips_and_without(banded: dict[str, Any], flips: bool | None) -> None:
    model = flip_averaged(banded["model"]) if flips else banded["model"]
    expected = np.asarray(model(banded["inputs"]))[:, 1]
    for source in (banded["file"], banded["bundle"]):
        scorer = open_scorer(source, flips)
        found = scorer.score(banded["pictures"], banded["breasts"]).score
        mirrored_before = flips and source == banded["bundle"]  # the pyramid then starts at the other edge
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 if mirrored_before else 1e-5)


@pytest.mark.long
def test_predict_hands_the_breast_over(banded: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breast, "segment", SEGMENT_IN_FILES)  # as the processes that read files do
    expected = [WHOLE(read(path).pixels) for path in banded["files"]]
    predict(banded["bundle"], banded["files"], tmp_path / "p.csv", batch_size=3, workers=1)
    scores = np.asarray(banded["model"](np.stack(expected)))[:, 1]
    np.testing.assert_allclose(pd.read_csv(tmp_path / "p.csv")["score"], scores, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, "breast_missing"),
        (np.ones((2, 48, 64), np.bool_), "breast_wrong"),
        (np.ones((1, 64, 48), np.bool_), "breast_wrong"),
        (np.full((2, 64, 48), 255, np.uint8), "breast_wrong"),
        (np.stack([np.ones((64, 48), np.bool_), np.zeros((64, 48), np.bool_)]), "breast_wrong"),
    ],
)
def test_a_wrong_breast(banded: dict[str, Any], opened: Bundle, given: Any, code: str) -> None:
    for ask in (opened.score_float, banded["scorer"].score):
        with pytest.raises(MammoError) as caught:
            ask(np.full((2, 64, 48), 0.2, np.float32), given)
        assert caught.value.code == code
        assert caught.value.remedy


def test_a_client_of_the_graph_is_told_of_an_empty_breast(opened: Bundle) -> None:
    signature = opened._loaded.signatures["serving_float"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="a breast mask is empty"):
        signature(picture=tf.zeros((1, 64, 48)), breast=tf.zeros((1, 64, 48), tf.bool))


def _given(film: Path, tiling: Tiling | None) -> tuple[PredictPicture, Any, Any]:
    """A film of which the breast is looked for, and what a model with these steps is given of it."""
    steps = Preprocessing((FindBreast(), Place(160, 160)), (*INTENSITY, Channels(1)))
    given: list[Any] = []

    def score(pictures: Any, breast: Any = None) -> Scored:
        given.append((pictures, breast))
        return Scored({"score": pictures.max(axis=(1, 2)), "mask": pictures})

    scorer = Scorer(Path("model.keras"), steps, ModelCard(preprocessing=steps, tiling=tiling), score)
    found = prepare_picture(Candidate(film, "p.png"), steps)
    assert found.breast_mask is not None
    score_pictures(scorer, [found], Segmentation())
    ((pictures, breasts),) = given
    return found, pictures, breasts


def test_predict_gives_the_breast_of_a_whole_picture(film_files: list[Path]) -> None:
    found, pictures, breasts = _given(film_files[0], None)
    np.testing.assert_array_equal(pictures, found.picture[None])
    np.testing.assert_array_equal(breasts, found.breast_mask[None])


def test_predict_gives_tiles_of_the_harmonised_picture(film_files: list[Path]) -> None:
    tiling = Tiling(64, 48, (2, 2), overlap=0.2)
    found, pictures, breasts = _given(film_files[0], tiling)
    assert breasts is None, "the graph has no step that asks for it"
    carried = found.picture
    for step in INTENSITY[:2]:
        carried = run_intensity(step, carried, found.breast_mask)
    placed = placed_tiles((0, found.stored_size[0], 0, found.stored_size[1]), found.breast_mask, tiling)
    assert len(pictures) == len(placed) > 1
    alone = []
    for given, tile in zip(pictures, placed, strict=True):
        wanted, plain = (affine(one, tile.matrix, size=tiling.size) for one in (carried, found.picture))
        np.testing.assert_allclose(given, wanted, rtol=0, atol=1e-4)
        by_itself = INTENSITY[1].intensity(
            INTENSITY[0].intensity(plain), affine(found.breast_mask, tile.matrix, fill=0.0, size=tiling.size)
        )
        alone.append(np.abs(given - by_itself).max())
    assert max(alone) > 0.02, "a tile by itself is something else"


def test_a_model_of_patches_is_served_patches_of_harmonised_pictures(banded: dict[str, Any], tmp_path: Path) -> None:
    """The bundle says by which steps; there is no `serving_default`, and a file that is a patch has no score."""
    card = ModelCard(preprocessing=WHOLE, patch=PatchInput(64, 48, 30), thresholds=(Threshold("image", 0.4, "mean"),))
    told: list[str] = []
    bundle = open_bundle(export_bundle(ModelFile(banded["model"], card), tmp_path, say=told.append))
    assert told == [f"the bundle has no serving_default: {CUT}"]
    assert set(bundle.description["signatures"]) == {"serving_float", "metadata"}
    assert set(bundle.description["signatures"]["serving_float"]["inputs"]) == {"picture"}
    assert [one["step"] for one in bundle.description["whole_steps"]] == ["histogram_lookup", "contrast_bands"]
    assert bundle.preprocessing.whole_steps == INTENSITY[:2]
    assert bundle.graph_preprocessing.intensity_steps == (*INTENSITY[2:], Channels(3))
    assert [one.signature for one in bundle.card.thresholds] == ["serving_float"]
    pairs = zip(banded["pictures"], banded["breasts"], strict=True)
    carried = np.stack(
        [run_intensity(INTENSITY[1], INTENSITY[0].intensity(picture), breast) for picture, breast in pairs]
    )
    np.testing.assert_allclose(bundle.score_float(np.clip(carried, 0, 1)).score, banded["scores"], rtol=0, atol=1e-5)
    with pytest.raises(MammoError, match="whole pictures before patches") as caught:
        bundle.score_png([banded["files"][0].read_bytes()])
    assert caught.value.code == "signature_missing"
    cv2.imwrite(str(tmp_path / "p.png"), np.full((30, 30), 20000, np.uint16))
    save_model(tmp_path / "model.keras", banded["model"], card)
    for scorer in (open_scorer(bundle.folder), open_scorer(tmp_path / "model.keras")):
        picture = prepare_picture(Candidate(tmp_path / "p.png", "p.png"), scorer.preprocessing)
        with pytest.raises(MammoError, match="whole pictures before patches") as caught:
            score_pictures(scorer, [picture], scorer.card.task)
        assert caught.value.code == "breast_missing"


def test_a_bundle_that_harmonises_pieces_by_themselves_is_refused(banded: dict[str, Any], tmp_path: Path) -> None:
    card = ModelCard(preprocessing=WHOLE, patch=PatchInput(64, 48, 30))
    folder = export_bundle(ModelFile(banded["model"], card), tmp_path)
    described = read_json(folder / DESCRIPTION)
    described["graph_preprocessing"]["intensity"] = WHOLE.to_json()["intensity"]  # as bundles were written
    del described["signatures"]["metadata"], described["sha256"]  # which these had not
    write_json(folder / DESCRIPTION, described)
    with pytest.raises(MammoError, match="harmonises patches or tiles by themselves") as caught:
        open_bundle(folder)
    assert caught.value.code == "bundle_older"

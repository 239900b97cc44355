"""A model that sees tiles, asked about whole pictures: the mask is that of its tiles, in stored geometry."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.stitching import Stitcher
from mammo_tf.imaging.tiles import Tiling, placed_tiles
from mammo_tf.imaging.warp import affine
from mammo_tf.serving import export_bundle
from mammo_tf.serving.predict import predict
from mammo_tf.training import ModelCard, Segmentation, load_model, save_model

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from little_unet import LittleUNet  # noqa: E402 - a network that someone brings along

CANVAS = (160, 160)
TILING = Tiling(64, 48, (2, 2), overlap=0.2, least_breast=0.05)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(4)
    network = LittleUNet(4).build((64, 48, 1))
    steps = Preprocessing.preset("native", CANVAS, mean=40.0, channels=1)
    path = tmp_path_factory.mktemp("tiled") / "model.keras"
    save_model(path, network, ModelCard(task=Segmentation(threshold=0.505), preprocessing=steps, tiling=TILING))
    return path


def by_hand(model: Path, file: Path) -> np.ndarray:
    """Probability of every prepared pixel of a film, piece by piece through Keras."""
    loaded = load_model(model)
    assert loaded.preprocessing is not None
    pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    prepared = loaded.preprocessing.geometry(pixels)
    stitcher = Stitcher(CANVAS)
    assert prepared.breast_mask is not None
    levels = np.rint(prepared.picture * 65535).astype(np.uint16)
    for tile in placed_tiles((0, pixels.shape[0], 0, pixels.shape[1]), prepared.breast_mask, TILING):
        cut = affine(levels, tile.matrix, fill=0.0, size=TILING.size).astype(np.float32) / 65535
        given = loaded.model.predict(loaded.preprocessing.intensity(cut)[None], verbose=0)[0, ..., 0]
        stitcher.add(given, tile.matrix)
    return stitcher.result()


def test_file_and_bundle_give_the_mask_of_the_tiles(model: Path, films: Path, tmp_path: Path) -> None:
    files = sorted(films.parent.glob("*.png"))[:3]
    bundle = export_bundle(load_model(model), tmp_path / "saved", "tiles")
    expected = [by_hand(model, file) for file in files]
    assert load_model(model).card.tiling == TILING
    for number, source in enumerate((model, bundle)):
        output = tmp_path / str(number) / "p.csv"
        report = predict(source, files, output, tmp_path / str(number) / "sheet.png")
        assert (report.images, report.rejects) == (3, 0)
        table = pd.read_csv(output)
        np.testing.assert_allclose(table["score"], [one.max() for one in expected], atol=1e-5)
        for image_id, file, probability in zip(table["image_id"], files, expected, strict=True):
            mask = cv2.imread(str(output.parent / "p_masks" / f"{image_id}.png"), cv2.IMREAD_UNCHANGED) > 0
            stored = cv2.imread(str(file), cv2.IMREAD_UNCHANGED).shape
            assert mask.shape == stored
            wanted = probability[: stored[0], : stored[1]] >= 0.505
            assert 0 < wanted.mean() < 1
            assert (mask != wanted).mean() < 1e-3
        assert report.sheets


def test_a_picture_that_the_canvas_does_not_hold_is_refused(model: Path, films: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    first = cv2.imread(str(sorted(films.parent.glob("*.png"))[0]), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(large), cv2.resize(first, (200, 200)))
    report = predict(model, [large, sorted(films.parent.glob("*.png"))[0]], tmp_path / "p.csv")
    assert (report.images, report.rejects) == (1, 1)
    assert "larger than 160x160" in (tmp_path / "p_rejects.csv").read_text()

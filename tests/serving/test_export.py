import json
import os
import subprocess
import sysconfig
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.files import digest
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.geometry_steps import ResizeHeight
from mammo_tf.models import activation_map_model, flip_averaged
from mammo_tf.reading import read
from mammo_tf.serving import c_loader, export_bundle, open_bundle
from mammo_tf.training import ModelCard, ModelFile

QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture(params=["served", "wide"])
def either(request):
    """A network of plain convolutions, and one with Winograd's."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def little():
    """A model of few layers, for what has nothing to do with them."""
    layers = [keras.Input((128, 128, 3)), keras.layers.Conv2D(4, 9, 8), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([*layers, keras.layers.Dense(2, "softmax")])
    return ModelFile(model, ModelCard(preprocessing=Preprocessing.preset("legacy", (128, 128))))


def described(bundle):
    return json.loads((bundle / "assets.extra" / "bundle.json").read_text())


def close_to_keras(scores, served):
    assert served["scores"].std() > 0.05
    np.testing.assert_allclose(scores, served["scores"], rtol=0, atol=1e-5)


@pytest.mark.long
def test_saved_model_cli_gives_the_scores_of_keras(either, film_files, tmp_path):
    np.save(tmp_path / "png.npy", np.array([path.read_bytes() for path in film_files]))
    command = Path(sysconfig.get_path("scripts")) / "saved_model_cli"
    subprocess.run(
        [command, "run", "--dir", either["bundle"], "--tag_set", "serve", "--signature_def", "serving_default",
         "--inputs", f"png={tmp_path / 'png.npy'}", "--outdir", tmp_path],
        check=True, capture_output=True, env=QUIET,
    )  # fmt: skip
    close_to_keras(np.load(tmp_path / "score.npy"), either)


def test_tensorflows_c_loader_gives_the_scores_of_keras(either, film_files):
    png = {"png": np.array([path.read_bytes() for path in film_files], object)}
    close_to_keras(c_loader.run(either["bundle"], "serving_default", png)["score"], either)


def test_the_c_loader_says_what_the_graph_refuses(either):
    with pytest.raises(MammoError, match="picture 0 of the batch: not a PNG file"):
        c_loader.run(either["bundle"], "serving_default", {"png": np.array([b"GIF89a"], object)})


def test_a_bundle_says_what_it_is(served):
    said = described(served["bundle"])
    model_file = served["model_file"]
    assert Preprocessing.from_json(said["graph_preprocessing"]) == model_file.preprocessing
    card = ModelCard.from_json(said["card"])
    assert card.preprocessing == model_file.preprocessing
    assert (card.threshold("image"), card.origin, card.flips) == (0.4, "films", False)
    assert card.identity == model_file.card.identity
    assert said["input_size"] == [128, 128]
    assert said["winograd"] is True
    assert said["signatures"]["serving_default"] == {
        "inputs": {"png": {"dtype": "string", "shape": [None]}},
        "outputs": {
            "decision": {"dtype": "int32", "shape": [None]},
            "heatmap": {"dtype": "float32", "shape": [None, 1, 1]},
            "score": {"dtype": "float32", "shape": [None]},
        },
    }
    assert said["signatures"]["serving_float"]["inputs"]["picture"]["shape"] == [None, 128, 128]
    graph = {path for path in served["bundle"].rglob("*") if path.is_file()} - {
        served["bundle"] / "assets.extra" / "bundle.json"
    }
    assert {served["bundle"] / name: value for name, value in said["digests"].items()} == {
        path: digest(path) for path in graph
    }


def test_variables_are_stored_once(either):
    stored = sum(path.stat().st_size for path in (either["bundle"] / "variables").glob("*.data-*"))
    needed = 4 * either["model_file"].model.count_params()
    assert needed <= stored < 1.05 * needed


def test_a_model_of_the_preset_graph_is_served_as_it_was_trained(served, film_files, tmp_path):
    preprocessing = Preprocessing.preset("graph", (128, 128))
    model = served["model_file"].model
    bundle = open_bundle(export_bundle(ModelFile(model, ModelCard(preprocessing=preprocessing)), tmp_path))
    prepared = np.stack([preprocessing.geometry(read(path).pixels).picture for path in film_files])
    expected = np.asarray(model(np.stack([preprocessing.intensity(picture) for picture in prepared])))[:, 1]
    assert expected.std() > 0.05
    np.testing.assert_allclose(bundle.score_float(prepared).score, expected, rtol=0, atol=1e-5)
    scored = bundle.score_png([path.read_bytes() for path in film_files])
    np.testing.assert_allclose(scored.score, expected, rtol=0, atol=1e-5)


@pytest.mark.long
def test_flips_are_the_mean_over_four(served, film_files, tmp_path):
    bundle = open_bundle(export_bundle(served["model_file"], tmp_path, "flips", flips=True))
    model = served["model_file"].model
    prepared = np.stack([bundle.preprocessing.geometry(read(path).pixels).picture for path in film_files])
    inputs = np.stack([bundle.preprocessing.intensity(picture) for picture in prepared])
    averaged = np.asarray(flip_averaged(model)(inputs))[:, 1]
    assert np.abs(averaged - np.asarray(model(inputs))[:, 1]).max() > 1e-3
    scored = bundle.score_float(prepared)
    np.testing.assert_allclose(scored.score, averaged, rtol=0, atol=1e-5)
    maps = np.asarray(activation_map_model(model)(inputs))[..., 0]
    np.testing.assert_allclose(scored.heatmap, maps, rtol=1e-4, atol=1e-4)
    assert bundle.card.flips is True


def test_versions_count_on(little, tmp_path):
    (tmp_path / "end2end" / "7").mkdir(parents=True)
    (tmp_path / "end2end" / "7" / "there").touch()
    assert export_bundle(little, tmp_path, "end2end").name == "8"
    assert export_bundle(little, tmp_path, "end2end").name == "9"
    assert sorted(path.name for path in (tmp_path / "end2end").iterdir()) == ["7", "8", "9"]


@pytest.mark.long
def test_two_exports_at_once_both_land(little, tmp_path, monkeypatch):
    """Both have looked for the next number before either takes it."""
    from mammo_tf.serving import bundle_place

    both, truth = threading.Barrier(2), bundle_place.versions

    def together(parent):
        found = truth(parent)
        both.wait()
        return found

    monkeypatch.setattr(bundle_place, "versions", together)
    folders = []
    threads = [
        threading.Thread(target=lambda: folders.append(export_bundle(little, tmp_path, "end2end"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(folder.name for folder in folders) == ["1", "2"]
    for folder in folders:
        open_bundle(folder)
    assert len(list((tmp_path / "end2end").iterdir())) == 2


def test_nothing_is_left_of_a_failed_export(served, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(MammoError) as caught:
        export_bundle(served["model_file"], tmp_path)
    assert caught.value.code == "disk_full"
    assert list((tmp_path / "end2end").iterdir()) == []


def wrong(served, code, tmp_path, preprocessing=None, model=None, **arguments):
    model_file = ModelFile(model or served["model_file"].model, ModelCard(preprocessing=preprocessing))
    with pytest.raises(MammoError) as caught:
        export_bundle(model_file, tmp_path, **arguments)
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_served_is_refused(served, tmp_path):
    legacy = Preprocessing.preset("legacy", (128, 128))
    wrong(served, "preprocessing_missing", tmp_path)
    wrong(served, "size_differs", tmp_path, Preprocessing.preset("legacy", (64, 128)))
    wrong(served, "size_differs", tmp_path, Preprocessing.preset("legacy", (128, 128), channels=1))
    wrong(served, "size_open", tmp_path, Preprocessing((ResizeHeight(128),), legacy.intensity_steps))
    wrong(served, "name_wrong", tmp_path, legacy, name="../elsewhere")
    three = keras.Sequential([keras.Input((128, 128, 3)), keras.layers.GlobalAveragePooling2D()])
    wrong(served, "outputs_wrong", tmp_path, legacy, three)


def test_a_sequential_model_is_served(little, tmp_path):
    bundle = open_bundle(export_bundle(little, tmp_path))
    assert bundle.score_float(np.full((2, 128, 128), 0.2)).heatmap.shape == (2, 15, 15)


def test_a_network_without_a_map_has_a_score_alone(served, tmp_path):
    pictures = keras.Input((128, 128, 3))
    flat = keras.layers.Flatten()(keras.layers.AveragePooling2D(32)(pictures))
    model = keras.Model(pictures, keras.layers.Dense(2, "softmax")(flat))
    preprocessing = Preprocessing.preset("legacy", (128, 128))
    bundle = open_bundle(export_bundle(ModelFile(model, ModelCard(preprocessing=preprocessing)), tmp_path))
    scored = bundle.score_float(np.full((2, 128, 128), 0.2))
    assert scored.heatmap is None
    assert scored.score.shape == (2,)

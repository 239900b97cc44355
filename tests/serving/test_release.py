"""What a release holds, the gate before it, and what the gate stops: then nothing is written."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from mammo_tf.data import graph_preprocessing
from mammo_tf.errors import MammoError
from mammo_tf.files import digest
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.geometry_steps import Resize
from mammo_tf.imaging.intensity_steps import Channels, Scale
from mammo_tf.models import resnet_patch, swin_unet, unet
from mammo_tf.models.spottune import spottune, with_test_policy
from mammo_tf.serving import export_bundle, open_bundle, release
from mammo_tf.serving.onnx_twin import open_twin
from mammo_tf.serving.predict_inputs import Candidate
from mammo_tf.serving.samples import encoded
from mammo_tf.training import ModelCard, ModelFile, Segmentation
from mammo_tf.training.model_card import PatchInput

EXTRA = "assets.extra"


def parts(run=None, intended_use=""):
    """All but the bill of materials, which takes eight seconds; `test_journey` has it."""
    return {name: part for name, part in release.parts(run, intended_use).items() if name != "bill_of_materials"}


@pytest.fixture(scope="module")
def released(served, film_files, tmp_path_factory):
    """The bundle of `served` as it is shipped, from a run folder with a recipe and numbers."""
    folder = tmp_path_factory.mktemp("released")
    (folder / "recipe.json").write_text(json.dumps({"name": "films"}))
    number = {"value": 0.91, "low": 0.85, "high": 0.96, "n": 40, "how": "bootstrap over 20 patients"}
    (folder / "metrics.json").write_text(json.dumps({"test": {"image": {"auc": number}}, "validation": {}}))
    told: list[str] = []
    validation = [Candidate(path, path.name) for path in film_files]
    bundle = export_bundle(
        served["model_file"], folder / "saved", "films", winograd=True, validation=validation,
        parts=parts(folder, "To sort films of an archive."), say=told.append,
    )  # fmt: skip
    return {"bundle": bundle, "told": told, "said": json.loads((bundle / EXTRA / "bundle.json").read_text())}


def test_everything_lies_next_to_the_graph_and_every_file_has_a_digest(released):
    names = {path.name for path in (released["bundle"] / EXTRA).iterdir()}
    assert names == {
        "bundle.json", "recipe.json", "metrics.json", "model.onnx", "tf_serving_warmup_requests", "MODEL_CARD.md",
        "model_card.json",
    }  # fmt: skip
    digests = released["said"]["digests"]
    assert {f"{EXTRA}/{name}" for name in names - {"bundle.json"}} < set(digests)
    assert all(digest(released["bundle"] / name) == value for name, value in digests.items())
    assert open_bundle(released["bundle"]).card.identity


def test_the_gate_compared_four_ways_on_pictures_whose_scores_spread(released, served):
    checks = released["said"]["checks"]
    assert set(checks["largest_difference"]) == {
        "saved_model", "c_loader", "onnx_runtime", "c_loader, serving_default"
    }  # fmt: skip
    assert max(checks["largest_difference"].values()) < 1e-5
    assert checks["pictures"] == 8 and not checks["made_up"]
    low, high = checks["scores"]
    np.testing.assert_allclose([low, high], [served["scores"].min(), served["scores"].max()], atol=1e-5)
    assert all(took > 0 for took in checks["milliseconds"].values())
    assert any("agree with Keras" in line and "8 validation pictures" in line for line in released["told"])


def test_the_twin_gives_what_the_bundle_gives(released):
    twin, bundle = open_twin(released["bundle"] / EXTRA / "model.onnx"), open_bundle(released["bundle"])
    pictures = np.random.default_rng(1).random((3, 128, 128), np.float32)
    found, expected = twin({"picture": pictures}), bundle.score_float(pictures).named
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_allclose(found[name], values, atol=1e-5, rtol=1e-4)


def test_warm_up_requests_show_nobody(released, film_files):
    path = released["bundle"] / EXTRA / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(one).predict_log.request
        for one in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    assert [one.model_spec.signature_name for one in logs] == ["serving_float", "serving_default"]
    assert {one.model_spec.name for one in logs} == {"films"}
    png = tf.make_ndarray(logs[1].inputs["png"])[0]
    assert png.startswith(b"\x89PNG") and png not in [file.read_bytes() for file in film_files]
    assert released["said"]["warm_up"] == {"file": path.name, "requests": 2, "made_up": True}


def test_the_model_card_is_a_page_that_tells_the_numbers(released):
    page = (released["bundle"] / EXTRA / "MODEL_CARD.md").read_text()
    for told in (
        "# films\n", "To sort films of an archive.", "| image | AUC | 0.910 (0.850 to 0.960) | 40 |",
        "| image | 0.4 | largest G-mean | any |", "on 8 validation pictures", "rank correlation",
        "does not say which machines", "Terms of use of the data: not told", released["said"]["card"]["identity"],
    ):  # fmt: skip
        assert told in page
    stored = json.loads((released["bundle"] / EXTRA / "model_card.json").read_text())
    assert ModelCard.from_json(stored) == open_bundle(released["bundle"]).card


@pytest.mark.parametrize("name", ["model.onnx", "MODEL_CARD.md", "tf_serving_warmup_requests", "metrics.json"])
def test_a_changed_byte_is_refused_by_name(released, name):
    path = released["bundle"] / EXTRA / name
    kept = path.read_bytes()
    try:
        path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        with pytest.raises(MammoError, match=f"{name} is not what was exported"):
            open_bundle(released["bundle"])
    finally:
        path.write_bytes(kept)


def test_a_threshold_that_was_changed_by_hand_is_refused(released):
    path = released["bundle"] / EXTRA / "bundle.json"
    kept = path.read_text()
    said = json.loads(kept)
    said["card"]["thresholds"][0]["value"] += 0.01
    try:
        path.write_text(json.dumps(said))
        with pytest.raises(MammoError, match=r"bundle.json is not what was exported"):
            open_bundle(released["bundle"])
        path.write_text(json.dumps({key: value for key, value in said.items() if key != "sha256"}))
        with pytest.raises(MammoError, match=r"bundle.json is not what was exported"):
            open_bundle(released["bundle"])
    finally:
        path.write_text(kept)


def little(activation="relu"):
    pictures = keras.Input((32, 32, 1))
    tensor = keras.layers.Conv2D(4, 5, 2, activation=activation)(pictures)
    tensor = keras.layers.GlobalAveragePooling2D()(tensor)
    steps = Preprocessing.preset("default", (32, 32), channels=1)
    return ModelFile(keras.Model(pictures, keras.layers.Dense(2, "softmax")(tensor)), ModelCard(preprocessing=steps))


def test_a_convolution_of_long_strides_is_converted_too(tmp_path):
    """tf2onnx gave other scores for it while an empty batch was padded: the gate had stopped it."""
    pictures = keras.Input((32, 32, 3))
    tensor = keras.layers.Conv2D(4, 7, 4, "same", activation="relu")(pictures)
    tensor = keras.layers.Conv2D(8, 5, 8, "same", activation="relu")(tensor)
    model = keras.Model(pictures, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(tensor)))
    card = ModelCard(preprocessing=Preprocessing.preset("default", (32, 32)))
    bundle = export_bundle(ModelFile(model, card), tmp_path, "strides", parts=parts())
    twin = open_twin(bundle / EXTRA / "model.onnx")
    assert twin({"picture": np.zeros((0, 32, 32), np.float32)})["score"].shape == (0,)


def refused(model_file, folder):
    """What export says, and that it left nothing."""
    with pytest.raises(MammoError) as caught:
        export_bundle(model_file, folder, "bad", parts=parts())
    assert list((folder / "bad").iterdir()) == []
    return caught.value


def test_an_operation_that_onnx_does_not_have_is_caught(tmp_path):
    """Keras' exact GELU becomes Erfc, which tf2onnx writes into the file all the same."""
    error = refused(little(keras.activations.gelu), tmp_path)
    assert error.code == "onnx_refused" and "Erfc" in error.sentence
    assert "erf" in error.remedy


def test_a_graph_that_is_not_what_keras_computes_is_caught(tmp_path, monkeypatch):
    twin = graph_preprocessing.INTENSITY[Scale]
    monkeypatch.setitem(graph_preprocessing.INTENSITY, Scale, lambda step, values: twin(step, values) * 1.1)
    error = refused(little("relu"), tmp_path)
    assert error.code == "outputs_differ"
    assert error.sentence.startswith("saved_model gives another ")


def test_a_release_without_validation_pictures_is_tried_on_made_up_ones(tmp_path):
    told: list[str] = []
    bundle = export_bundle(little("relu"), tmp_path, "little", parts=parts(), say=told.append)
    checks = json.loads((bundle / EXTRA / "bundle.json").read_text())["checks"]
    assert checks["made_up"] and any("made-up pictures" in line for line in told)
    assert "No run was exported with it" in (bundle / EXTRA / "MODEL_CARD.md").read_text()


@pytest.mark.long
def test_a_network_with_branches_is_released(tmp_path):
    """Masks of every branch, and the choice among them."""
    keras.utils.set_random_seed(1)
    model = swin_unet((64, 64, 1), embed_dim=8, depths=(1,) * 4, heads=(1, 1, 2, 2), window=2, branches=3)
    steps = Preprocessing.preset("default", (64, 64), channels=1)
    bundle = export_bundle(
        ModelFile(model, ModelCard(preprocessing=steps, task=Segmentation(metric="none"))), tmp_path, parts=parts()
    )
    assert "mask" in json.loads((bundle / EXTRA / "bundle.json").read_text())["signatures"]["serving_float"]["outputs"]


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ((), "terms_unknown"),
        (("CC BY 4.0", "CC BY-NC 4.0"), "terms_forbid"),
        (("for non-commercial use",), "terms_forbid"),
        (("Research use only",), "terms_forbid"),
        (("CC BY 4.0", "not told of a part of the data"), "terms_unknown"),
        (("CC BY-NC 4.0", "not told of a part of the data"), "terms_forbid"),
        (("CC BY 4.0",), None),
    ],
)
def test_what_was_trained_on_non_commercial_data_is_not_called_commercial(terms, code):
    card = ModelCard(terms=terms)
    if code is None:
        release.check_commercial(card)
        return
    with pytest.raises(MammoError) as caught:
        release.check_commercial(card)
    assert caught.value.code == code


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    known = release.find_spec
    monkeypatch.setattr(release, "find_spec", lambda name: None if name == "tf2onnx" else known(name))
    with pytest.raises(MammoError, match=r"tf2onnx, not installed here. pip install 'mammo_tf\[release\]'"):
        release.parts()
    assert set(release.page_alone()) == {"model_card"}


def test_an_encoded_picture_is_a_png_of_sixteen_bits():
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    decoded = tf.io.decode_png(encoded(values), 1, tf.uint16).numpy()[..., 0]
    np.testing.assert_array_equal(decoded, np.rint(values * 65535))


@pytest.mark.long
@pytest.mark.parametrize("family", ["patch", "spottune", "unet", "branches", "flips"])
def test_every_family_passes_the_gate(family, tmp_path):
    """A patch network, SpotTune by the likelier way, U-Net, a U-Net of branches, and a mean over flips."""
    keras.utils.set_random_seed(2)
    steps = Preprocessing((Resize(64, 64),), (Channels(1),))
    card = ModelCard(preprocessing=steps)
    if family in ("patch", "spottune"):
        model = resnet_patch((64, 64, 1), blocks=(1, 1, 1), width=8)
        card = replace(card, patch=PatchInput(64, 64, 96))
        if family == "spottune":
            model = with_test_policy(spottune(model), "argmax")
    elif family == "flips":
        pictures = keras.Input((64, 64, 1))
        pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(6, 5, 2, activation="relu")(pictures))
        model = keras.Model(pictures, keras.layers.Dense(2, "softmax")(pooled))
        card = replace(card, flips=True)
    else:
        model = unet((64, 64, 1), classes=2, width=4, levels=3, branches=3 if family == "branches" else 1)
        card = replace(card, task=Segmentation(metric="none" if family == "branches" else "cosine"))
    told: list[str] = []
    bundle = export_bundle(ModelFile(model, card), tmp_path, family, parts=parts(), say=told.append)
    checks = json.loads((bundle / EXTRA / "bundle.json").read_text())["checks"]
    assert max(checks["largest_difference"].values()) < 1e-4
    assert set(checks["largest_difference"]) >= {"saved_model", "c_loader", "onnx_runtime"}

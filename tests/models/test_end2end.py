"""End2End, layer for layer as the golden tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.models import end2end, end2end_from_patch, patch_body, patch_classifier

sys.path.insert(0, str(Path(__file__).parent))
from check_model import check_model  # noqa: E402 - it lies next to this file

CASES = {
    "vgg16_512x1": ("vgg16", "512x1"),
    "vgg16_512-512-1024x2": ("vgg16", "512-512-1024x2"),
    "resnet50_512-512-1024x2_keras2.0.8": ("resnet50", "512-512-1024x2"),
    "resnet50_512-512-1024x2_keras2.0.5": ("resnet50_padded", "512-512-1024x2"),
}


def _table(golden: Path) -> dict:
    return json.loads((golden / "end2end" / "models_1152x896.json").read_text())


def _check_layers(layers: list, expected: list[dict]) -> None:
    assert [layer.name for layer in layers] == [row["name"] for row in expected]
    for layer, row in zip(layers, expected, strict=True):
        assert layer.count_params() == row["params"], row["name"]
        config, wanted = layer.get_config(), row.get("config", {})
        for key in ("filters", "strides", "kernel_size", "padding", "pool_size", "momentum", "epsilon", "units"):
            if key in wanted:
                assert json.loads(json.dumps(config[key])) == wanted[key], (row["name"], key)
        if "activation" in wanted:
            assert config["activation"] == wanted["activation"]
        if "kernel_regularizer" in wanted:
            assert (config["kernel_regularizer"] is None) == (wanted["kernel_regularizer"] is None), row["name"]


@pytest.mark.parametrize("case", CASES)
def test_full_width_equals_the_table(case: str, golden: Path) -> None:
    table = _table(golden)[case]
    backbone, top = CASES[case]
    model = end2end(backbone, top)
    assert model.count_params() == table["total_params"]
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == table["trainable_params"]
    _check_layers(model.layers, table["layers"])
    shapes = [tuple(row["output_shape"]) for row in table["layers"]]
    assert [layer.output.shape for layer in model.layers[2:]] == shapes[2:]
    inner = next(row for row in table["layers"] if row["name"] == "model_1")["layers"]
    if isinstance(inner, str):
        other = _table(golden)[inner.removeprefix("same as ")]["layers"]
        inner = next(row for row in other if row["name"] == "model_1")["layers"]
    _check_layers(model.get_layer("model_1").layers, inner)


def test_the_thesis_model_has_its_number_of_parameters() -> None:
    assert end2end().count_params() == 19_439_426


@pytest.mark.parametrize(("backbone", "parameters"), [("vgg16", 14_717_253), ("resnet50", 23_597_957)])
def test_patch_classifier_parameters(backbone: str, parameters: int) -> None:
    assert patch_classifier(backbone).count_params() == parameters


@pytest.mark.parametrize(
    ("backbone", "top", "size"),
    [
        ("vgg16", "512x1", (128, 160, 3)),
        ("vgg16", "512-512-1024x2", (64, 32, 3)),
        ("resnet50", "512-512-1024x2", (65, 70, 1)),
    ],
)
def test_what_every_model_must_pass(backbone: str, top: str, size: tuple, tmp_path: Path) -> None:
    check_model(end2end(backbone, top, size, width=1 / 32), tmp_path)


@pytest.mark.parametrize("backbone", ["vgg16", "resnet50", "resnet50_padded"])
def test_patch_model_becomes_the_body(backbone: str) -> None:
    patch = patch_classifier(backbone, (64, 64, 3), classes=3, width=1 / 32)
    whole = end2end_from_patch(patch, "512-512-1024x2", (96, 128, 3))
    pictures = np.random.default_rng(1).normal(0, 30, (1, 96, 128, 3)).astype(np.float32)
    last = "block5_pool" if backbone == "vgg16" else "activation_49"
    features = keras.Model(patch.input, patch.get_layer(last).output)
    expected = patch_body(patch)(pictures)
    np.testing.assert_array_equal(whole.get_layer("model_1")(pictures), expected)
    patches = pictures[:, :64, :64]
    np.testing.assert_allclose(features(patches), whole.get_layer("model_1")(patches), atol=1e-5)


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(MammoError, match="100x200 pixels are too few"):
        end2end(input_shape=(100, 200, 3), width=1 / 32)
    with pytest.raises(MammoError, match="top '513x1' is unknown"):
        end2end(top="513x1", width=1 / 32)
    with pytest.raises(MammoError, match="backbone 'vgg17' is unknown"):
        end2end("vgg17", width=1 / 32)
    with pytest.raises(MammoError, match="does not say what it was built with"):
        patch_body(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))


@pytest.mark.long
def test_the_jax_backend_gives_the_same_outputs(tmp_path: Path) -> None:
    """Models use `keras.ops` alone; checked where JAX is installed."""
    pytest.importorskip("jax")
    model = end2end(input_shape=(128, 128, 3), width=1 / 32)
    pictures = np.random.default_rng(0).normal(0, 30, (2, 128, 128, 3)).astype(np.float32)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "pictures.npy", pictures)
    code = (
        "import keras, numpy as np; from mammo_tf.models import flip_averaged;"
        f"m = keras.models.load_model(r'{tmp_path}/model.keras');"
        f"np.save(r'{tmp_path}/outputs.npy', m.predict(np.load(r'{tmp_path}/pictures.npy'), verbose=0))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), model(pictures), atol=1e-5)

"""End2End files with layers of tensorflow-addons: answers of Keras 2.15, nothing half mapped, the unknown by name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.models import description_of, import_legacy, read_legacy, rebuild
from mammo_tf.models.replacements import GroupNormalised, WeightNormalised
from mammo_tf.training import legacy_training

ROOT = Path(__file__).resolve().parents[2]
BOTH_BATCH_NORMALISATIONS = ("batch_normalization_1", "batch_normalization_2")
RESIDUAL = (*range(1, 3), 4, 3, *range(5, 10), 11, 10, *range(12, 15))  # as Keras counts: the shortcut's comes later
REPLACED = {
    "group_norm": {(GroupNormalised, BOTH_BATCH_NORMALISATIONS)},
    "weight_norm": {
        (WeightNormalised, (*(f"model_1/block5_conv{one}" for one in (1, 2, 3)), "conv2d_1", "conv2d_2", "dense_1"))
    },
    "own_function": {(GroupNormalised, BOTH_BATCH_NORMALISATIONS)},
    "both": {
        (GroupNormalised, tuple(f"batch_normalization_{one}" for one in RESIDUAL)),
        (WeightNormalised, tuple(f"conv2d_{one}" for one in RESIDUAL)),
    },
}
Change = Callable[[list[dict[str, Any]]], None]


def pictures(folder: Path) -> np.ndarray:
    stored = np.load(folder / "inputs.npz")
    return np.repeat(stored["img8"][..., None].astype(np.float32), 3, axis=-1) - stored["mean"]


def answers(model: keras.Model, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the network gives, and what its pooling does."""
    both = keras.Model(model.input, [model.output, model.get_layer("global_average_pooling2d_1").output])
    given, pooled = both(taken)
    return np.asarray(given), np.asarray(pooled)


@pytest.mark.parametrize("name", REPLACED)
def test_answers_are_those_of_keras_2_with_tensorflow_addons(name: str, golden: Path, tmp_path: Path) -> None:
    folder = golden / "addons"
    found, expected = read_legacy(folder / f"{name}.h5"), np.load(folder / f"{name}.npz")
    assert len(found.table) == len(found.model.weights)
    assert found.left_out == ("optimizer_weights",)
    assert {(type(one), one.layers) for one in found.replaced} == REPLACED[name]
    found.model.save(tmp_path / "model.keras")
    for model in (found.model, keras.models.load_model(tmp_path / "model.keras")):
        given, pooled = answers(model, pictures(folder))
        np.testing.assert_allclose(given, expected["y"], atol=1e-5)
        np.testing.assert_allclose(pooled, expected["pooled"], atol=1e-5)


def test_the_description_builds_the_network_again(golden: Path) -> None:
    model = import_legacy(golden / "addons" / "weight_norm.h5")
    said = description_of(model)
    again = said.build((160, 128, 3))
    again.set_weights(model.get_weights())
    taken = pictures(golden / "addons")[:1]
    np.testing.assert_allclose(again(taken), model(taken), atol=1e-6)
    assert description_of(rebuild(model, dropout=0.5)) == said


def test_groups_and_epsilon_are_the_files(golden: Path) -> None:
    (replaced,) = read_legacy(golden / "addons" / "group_norm.h5").replaced
    assert (replaced.groups, replaced.epsilon) == (4, 1e-3)


def test_an_unknown_layer_is_named(golden: Path) -> None:
    told = r"holds the layer instance_normalization \(Addons>InstanceNormalization\), where batch_normalization_1"
    with pytest.raises(MammoError, match=told) as caught:
        import_legacy(golden / "addons" / "unknown.h5")
    assert caught.value.code == "layer_unexpected"
    assert "GroupNormalization and WeightNormalization are known" in str(caught.value.remedy)


def changed(golden: Path, folder: Path, name: str, change: Change) -> Path:
    """A copy of a file with another configuration."""
    path = folder / "changed.h5"
    shutil.copy(golden / "addons" / f"{name}.h5", path)
    path.chmod(0o644)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)
    return path


def _config(layers: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(layer["config"] for layer in layers if layer["class_name"] == f"Addons>{kind}")


def _set(kind: str, **settings: Any) -> Change:
    return lambda layers: _config(layers, kind).update(settings)


def _around_another(layers: list[dict[str, Any]]) -> None:
    _config(layers, "WeightNormalization")["layer"]["class_name"] = "DepthwiseConv2D"


def _other_padding_inside(layers: list[dict[str, Any]]) -> None:
    _config(layers, "WeightNormalization")["layer"]["config"]["padding"] = "valid"


def _in_the_place_of_an_activation(layers: list[dict[str, Any]]) -> None:
    one = next(layer for layer in layers if layer["class_name"] == "Activation")
    one["class_name"] = "Addons>GroupNormalization"


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("group_norm", _set("GroupNormalization", groups=3), "with groups 3, which do not divide 8 channels"),
        ("group_norm", _set("GroupNormalization", groups="a"), "with groups 'a', which do not divide"),
        ("group_norm", _set("GroupNormalization", epsilon=None), "group_normalization with epsilon None"),
        ("group_norm", _set("GroupNormalization", center=False), "with center False, where True is known"),
        ("group_norm", _set("GroupNormalization", axis=1), "with axis 1, where -1 is known"),
        ("group_norm", _in_the_place_of_an_activation, r"\(GroupNormalization\), where activation_1 \(Activation\)"),
        ("weight_norm", _around_another, r"WeightNormalization around DepthwiseConv2D\), where Conv2D and Dense are"),
        ("weight_norm", _other_padding_inside, "with padding 'valid', where 'same' is known"),
        ("weight_norm", _set("WeightNormalization", layer=None), "WeightNormalization around nothing"),
    ],
)
def test_what_is_not_known_of_a_known_layer_is_refused(
    name: str, change: Change, told: str, golden: Path, tmp_path: Path
) -> None:
    with pytest.raises(MammoError, match=told) as caught:
        import_legacy(changed(golden, tmp_path, name, change))
    assert caught.value.code == "layer_unexpected"


@pytest.mark.parametrize("settings", [True, [[]], None, {}, "x"])
def test_settings_that_are_none_are_refused(settings: Any, golden: Path, tmp_path: Path) -> None:
    def change(layers: list[dict[str, Any]]) -> None:
        layers[5]["config"] = settings

    with pytest.raises(MammoError, match="holds a network that is not End2End"):
        import_legacy(changed(golden, tmp_path, "group_norm", change))


def _never_run(path: Path, wrapper: str) -> None:
    """As a file is whose model was built and never asked."""
    with h5py.File(path, "r+") as file:
        group = file["model_weights"][wrapper][wrapper]
        group["initialized:0"][()] = False
        group["g:0"][:] = 1.0


def test_lengths_of_a_layer_that_was_never_run(golden: Path, tmp_path: Path) -> None:
    path = changed(golden, tmp_path, "weight_norm", lambda layers: None)
    _never_run(path, "weight_normalization_5")
    dense = import_legacy(path).get_layer("dense_1")
    np.testing.assert_allclose(dense.kernel, dense.direction, atol=1e-6)
    _never_run(path, "weight_normalization_3")
    with pytest.raises(MammoError, match=r"weight_normalization_3 .* was never run: it has no lengths"):
        import_legacy(path)


@pytest.mark.long
def test_the_files_can_be_made_anew(golden: Path, tmp_path: Path) -> None:
    """In the environment that `make legacy-fixtures` makes; processors round differently, so answers are its own."""
    python = Path(os.environ.get("MAMMO_TF_LEGACY_PYTHON", ROOT / ".venv-legacy" / "bin" / "python"))
    if not python.is_file():
        pytest.skip(f"{python} is not there: make legacy-fixtures makes it")
    quiet = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [python, golden / "addons" / "make_fixtures.py", tmp_path]
    subprocess.run(command, check=True, timeout=600, env=quiet, capture_output=True)
    for name in ("group_norm", "weight_norm", "both", "own_function"):
        found, expected = read_legacy(tmp_path / f"{name}.h5"), np.load(tmp_path / f"{name}.npz")
        given, pooled = answers(found.model, pictures(tmp_path))
        np.testing.assert_allclose(given, expected["y"], atol=1e-5)
        np.testing.assert_allclose(pooled, expected["pooled"], atol=1e-5)
        committed = read_legacy(golden / "addons" / f"{name}.h5")
        assert legacy_training(found.training) == legacy_training(committed.training)
    for name in ("optimizers.json", "inputs.npz"):
        assert (tmp_path / name).read_bytes() == (golden / "addons" / name).read_bytes()
    ways, kept = (np.load(folder / "optimizers.npz") for folder in (tmp_path, golden / "addons"))
    for name in kept.files:
        np.testing.assert_allclose(ways[name], kept[name], atol=1e-5)

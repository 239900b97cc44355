"""Published Keras 2 files: outputs as the golden answers, nothing executed, nothing half mapped."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.models import end2end, flip_averaged, import_legacy, patch_body, patch_classifier, read_legacy

WHOLE = {
    "vgg16_512x1_w16": (2e-5, 1e-4),
    "vgg16_512x1_w32_resumed_opt": (2e-5, 1e-4),
    "vgg16_512-512-1024x2_w32_opt": (2e-5, 1e-4),
    "resnet50_512-512-1024x2_w32_k208": (3e-4, 1e-3),
    "resnet50_512-512-1024x2_w32_k205": (3e-4, 1e-3),
}


LONG = "resnet50_512-512-1024x2_w32_k205"  # as ..._k208, of another version of Keras


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.long) if one == LONG else one for one in WHOLE])
def test_outputs_equal_the_golden_ones(name: str, golden: Path, tmp_path: Path) -> None:
    folder, (tolerance, inner) = golden / "end2end", WHOLE[name]
    pictures = np.load(folder / "inputs.npz")["x"]
    expected = np.load(folder / f"{name}.npz")
    model = import_legacy(folder / f"{name}.h5")
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(model(pictures), expected["y"], atol=tolerance)
    np.testing.assert_allclose(flip_averaged(model)(pictures), expected["y_flipavg"], atol=tolerance)
    flips = [pictures, pictures[:, :, ::-1], pictures[:, ::-1], pictures[:, ::-1, ::-1]]
    np.testing.assert_allclose([model(version) for version in flips], expected["y64_flips"], atol=tolerance)
    np.testing.assert_allclose(model.get_layer("model_1")(pictures), expected["body"], atol=inner, rtol=inner)
    block = "max_pooling2d_1" if "512x1" in name else "activation_6"
    for layer, key in ((block, "top_block1"), ("global_average_pooling2d_1", "gap")):
        part = keras.Model(model.input, model.get_layer(layer).output)
        np.testing.assert_allclose(part(pictures), expected[key], atol=inner, rtol=inner)


def test_patch_file_and_its_conversion(golden: Path) -> None:
    folder = golden / "end2end"
    pictures, expected = np.load(folder / "inputs.npz")["x"], np.load(folder / "vgg16_patch_w32.npz")
    model = import_legacy(folder / "vgg16_patch_w32.h5")
    top, bottom, left, right = expected["crop"]
    np.testing.assert_allclose(model(pictures[:, top:bottom, left:right]), expected["y"], atol=2e-5)
    np.testing.assert_allclose(patch_body(model)(pictures), expected["body"], atol=1e-4, rtol=1e-4)


def test_every_array_is_in_the_table_and_optimiser_state_is_named(golden: Path) -> None:
    found = read_legacy(golden / "end2end" / "vgg16_512x1_w32_resumed_opt.h5")
    assert len(found.table) == len(found.model.weights)
    assert found.left_out == ("optimizer_weights",)
    assert found.keras_version == "2.0.8"
    fresh = read_legacy(golden / "end2end" / "vgg16_512x1_w16.h5")
    assert [row.stored for row in fresh.table if row.layer == "dense_1"] == [
        "dense_1/dense_1_1/kernel", "dense_1/dense_1_1/bias",
    ]  # fmt: skip


@pytest.fixture
def damaged(golden: Path, tmp_path: Path) -> Path:
    path = tmp_path / "file.h5"
    shutil.copy(golden / "end2end" / "vgg16_512x1_w16.h5", path)
    path.chmod(0o644)
    return path


def _rename(path: Path, group: str, change: dict[str, str]) -> None:
    with h5py.File(path, "r+") as file:
        attributes = file["model_weights"][group].attrs
        names = [change.get(name.decode(), name.decode()) for name in attributes["weight_names"]]
        for old, new in change.items():
            file["model_weights"][group].move(old, new)
        attributes["weight_names"] = np.array(names, dtype="S")


def test_a_file_that_does_not_map_is_refused(damaged: Path) -> None:
    _rename(damaged, "conv2d_2", {"conv2d_2/bias:0": "conv2d_2/offset:0"})
    with pytest.raises(MammoError, match="has no bias for the layer conv2d_2"):
        import_legacy(damaged)


def test_an_array_too_many_is_refused(damaged: Path) -> None:
    with h5py.File(damaged, "r+") as file:
        group = file["model_weights"]["dense_1"]
        group["dense_1_1/extra:0"] = np.zeros(2)
        group.attrs["weight_names"] = np.array([*group.attrs["weight_names"], b"dense_1_1/extra:0"], dtype="S")
    with pytest.raises(MammoError, match="1 arrays have no layer, first dense_1/dense_1_1/extra"):
        import_legacy(damaged)


def test_a_wrong_shape_and_a_value_that_is_not_finite_are_refused(damaged: Path) -> None:
    with h5py.File(damaged, "r+") as file:
        group = file["model_weights"]["conv2d_1"]
        group["conv2d_1/bias:0"][0] = np.nan
    with pytest.raises(MammoError, match="not finite"):
        import_legacy(damaged)
    with h5py.File(damaged, "r+") as file:
        group = file["model_weights"]["conv2d_1"]
        del group["conv2d_1/bias:0"]
        group["conv2d_1/bias:0"] = np.zeros(7)
    with pytest.raises(MammoError, match="has the shape"):
        import_legacy(damaged)


def test_code_in_the_configuration_is_never_run(damaged: Path) -> None:
    with h5py.File(damaged, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"].append(
            {"name": "evil", "class_name": "Lambda", "config": {"name": "evil", "function": ["boom", None, None]}}
        )
        file.attrs["model_config"] = np.bytes_(json.dumps(config))
    with pytest.raises(MammoError, match=r"holds the layer evil \(Lambda\)"):
        import_legacy(damaged)


def _outer(layers: list, name: str) -> dict:
    return next(layer for layer in layers if layer["config"]["name"] == name)


def _lambda_for_dropout(layers: list) -> None:
    layers[layers.index(_outer(layers, "dropout_1"))]["class_name"] = "Lambda"


def _other_activation(layers: list) -> None:
    _outer(layers, "activation_2")["config"]["activation"] = "tanh"


def _other_stride_inside(layers: list) -> None:
    _outer(_outer(layers, "model_1")["config"]["layers"], "block1_pool")["config"]["strides"] = [1, 1]


def _rewired(layers: list) -> None:
    _outer(layers, "conv2d_2")["inbound_nodes"][0][0][0] = "dropout_1"


def _left_out(layers: list) -> None:
    layers.remove(_outer(layers, "dense_1"))


def _inside(layers: list, name: str) -> dict:
    return _outer(_outer(layers, "model_1")["config"]["layers"], name)


def _other_axis(layers: list) -> None:
    _outer(layers, "batch_normalization_1")["config"]["axis"] = 1


def _kept_axes(layers: list) -> None:
    _outer(layers, "global_average_pooling2d_1")["config"]["keepdims"] = True


def _untold_activation(layers: list) -> None:
    del _outer(layers, "dense_1")["config"]["activation"]


def _untold_stride(layers: list) -> None:
    _inside(layers, "block1_pool")["config"]["strides"] = [2, 2]  # as pool_size
    del _inside(layers, "block1_conv1")["config"]["padding"]


def _registered(layers: list) -> None:
    _outer(layers, "dense_1")["registered_name"] = "evil>Dense"


def _of_another_module(layers: list) -> None:
    _inside(layers, "block1_conv1")["module"] = "evil.layers"


def _other_output_inside(layers: list) -> None:
    _outer(layers, "model_1")["config"]["output_layers"] = [["block1_pool", 0, 0]]


def _other_rate(layers: list) -> None:
    _outer(layers, "dropout_1")["config"]["rate"] = 1.5


def _rate_in_words(layers: list) -> None:
    _outer(layers, "dropout_1")["config"]["rate"] = "x"


def _other_decay(layers: list) -> None:
    _outer(layers, "conv2d_1")["config"]["kernel_regularizer"] = {"class_name": "L1", "config": {"l1": 1}}


def _decay_in_words(layers: list) -> None:
    _outer(layers, "conv2d_1")["config"]["kernel_regularizer"] = "l2"


def _no_settings(layers: list) -> None:
    del _inside(layers, "block1_conv2")["class_name"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_lambda_for_dropout, r"holds the layer dropout_1 \(Lambda\), where dropout_1 \(Dropout\) is known"),
        (_other_activation, "holds the layer activation_2 with activation 'tanh', where 'relu' is known"),
        (_other_stride_inside, r"holds the layer block1_pool with strides \[1, 1\], where \(2, 2\) is known"),
        (_rewired, "feeds the layer conv2d_2 from dropout_1, where max_pooling2d_1 is known"),
        (_left_out, r"lacks the layer dense_1 \(Dense\)"),
        (_other_axis, "batch_normalization_1 with axis 1, where"),
        (_kept_axes, "global_average_pooling2d_1 with keepdims True, where False is known"),
        (_untold_activation, "dense_1 with no activation, which is None then, where 'softmax' is known"),
        (_untold_stride, "block1_conv1 with no padding, which is 'valid' then, where 'same' is known"),
        (_registered, r"holds the layer dense_1 \(evil>Dense of keras\), which is not Keras' own"),
        (_of_another_module, r"block1_conv1 \(Conv2D of evil.layers\), which is not Keras' own"),
        (_other_output_inside, "has the output_layers block1_pool, where .* is known"),
        (_other_rate, "dropout_1 with rate 1.5, which is no share below 1"),
        (_rate_in_words, "dropout_1 with rate 'x'"),
        (_other_decay, "conv2d_1 with kernel_regularizer .*'l1': 1.*, where l2 is known"),
        (_decay_in_words, "conv2d_1 with kernel_regularizer 'l2'"),
        (_no_settings, "holds a layer without a name, a class or settings"),
    ],
)
def test_a_network_that_is_another_one_is_refused_by_its_layer(change: Any, told: str, damaged: Path) -> None:
    with h5py.File(damaged, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = np.bytes_(json.dumps(config))
    with pytest.raises(MammoError, match=told) as caught:
        import_legacy(damaged)
    assert caught.value.code == "layer_unexpected"


@pytest.mark.parametrize("key", ["input_layers", "output_layers"])
def test_other_ends_of_a_network_are_refused(key: str, damaged: Path) -> None:
    with h5py.File(damaged, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"][key] = [["dropout_1", 0, 0]]
        file.attrs["model_config"] = np.bytes_(json.dumps(config))
    with pytest.raises(MammoError, match=f"has the {key} dropout_1, where"):
        import_legacy(damaged)


@pytest.mark.parametrize(
    "config",
    [
        "[1, 2]", "null", '"a"', '{"a":', "[" * 60_000, "[" * 900 + "]" * 900, "1" * 301,
        '{"class_name": "Model", "config": {"layers": [1]}}',
    ],
)  # fmt: skip
def test_a_configuration_that_is_none_is_refused(config: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("model_weights").attrs["layer_names"] = np.array([], dtype="S1")
        file.attrs["model_config"] = np.bytes_(config)
    with pytest.raises(MammoError) as caught:
        import_legacy(tmp_path / "a.h5")
    assert caught.value.code in ("network_unknown", "not_a_legacy_file")


@pytest.mark.parametrize(
    ("backbone", "top"), [("vgg16", "512x1"), ("resnet50_padded", "512-512-1024x2"), ("vgg16", "")]
)
def test_what_keras_3_saved_again_is_read(backbone: str, top: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    if top:
        model = end2end(backbone, top, (128, 128, 3), 1 / 64, dropout=0.25)
    else:
        model = patch_classifier(backbone, (64, 64, 3), 3, 1 / 64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / "again.h5")
    model.save(tmp_path / "again.keras")
    found = read_legacy(tmp_path / "again.h5")
    assert found.keras_version == keras.__version__
    for old, new in zip(model.get_weights(), found.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(MammoError, match="is a Keras 3 file .* already. Give it to mammo-tf run --start"):
        read_legacy(tmp_path / "again.keras")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MammoError, match="is not there"):
        import_legacy(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(MammoError, match="cannot be read as a Keras 2 file"):
        import_legacy(tmp_path / "text.h5")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"a"]
    with pytest.raises(MammoError, match="holds no full Keras 2 model"):
        import_legacy(tmp_path / "weights.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": []})
        file.create_group("model_weights").attrs["layer_names"] = np.array([], dtype="S1")
    with pytest.raises(MammoError, match="not End2End"):
        import_legacy(tmp_path / "other.h5")

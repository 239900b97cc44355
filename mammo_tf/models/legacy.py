"""Full-model files of Keras 2, and what Keras 3 saved again as `.h5`: arrays by name, nothing is executed.

The architecture comes from our own builders. The stored configuration is read as data, to tell which of the known
networks the file holds, and which of its layers are replaced by those of tensorflow-addons that are known; a file that
is not one of them, or not wholly, is refused by the name of the layer.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any, TypeGuard

import h5py
import keras
import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.files import DAMAGED
from mammo_tf.json_text import parsed_json
from mammo_tf.models.end2end import end2end, patch_classifier
from mammo_tf.models.legacy_addons import WRAPPED, Arrays, found_replacements, in_our_words, without_copies
from mammo_tf.models.legacy_layers import MODELS, check_network, stored_layers, unexpected
from mammo_tf.models.networks import description_of
from mammo_tf.models.rebuild import named_layers
from mammo_tf.models.replacements import Replacement, with_replacements

REMEDY = "Known are the End2End files (VGG16 or ResNet50; tops 512x1 and 512-512-1024x2; patch classifiers)"
DEFAULT_SIZE = (1152, 896)


@dataclass(frozen=True)
class LegacyLayer:
    """One line of the table of layers: where an array lay in the file, where it went, its shape."""

    stored: str
    layer: str
    variable: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class LegacyImport:
    """What a file gave.

    Attributes:
        model: its description says what of it is replaced.
        table: of its arrays.
        keras_version: which wrote the file.
        left_out: groups of the file that were not taken, such as the state of the optimiser.
        training: the file's training configuration, as it is; None where there is none.
    """

    model: keras.Model
    table: tuple[LegacyLayer, ...]
    keras_version: str
    left_out: tuple[str, ...]
    training: Any = None

    @property
    def replaced(self) -> tuple[Replacement, ...]:
        """The layers of tensorflow-addons, as ours."""
        return tuple(getattr(description_of(self.model), "replaced", ()))


def import_legacy(path: str | Path) -> keras.Model:
    """The model of a published Keras 2 `.h5` file, its weights in our architecture; see `read_legacy`."""
    return read_legacy(path).model


def read_legacy(path: str | Path) -> LegacyImport:
    """Reads a full-model file of Keras 2 and maps every array of it.

    Quirks that are met: weights of the nested body listed trainable first, names with a counter (`dense_1_1/kernel:0`),
    node indices that point at a node that is not there, old key spellings, optimiser state (left out and said so),
    names that Keras gave (`conv2d`, `group_normalization_1`): layers are known by where they stand.

    Raises:
        MammoError: `file_missing`, `not_a_legacy_file`, `weights_only`, `network_unknown`, `layer_unexpected`,
            `array_missing`, `array_unused`, `shape_differs`, `not_finite`.
    """
    path = Path(path)
    if not path.is_file():
        raise MammoError("file_missing", f"{path} is not there")
    if zipfile.is_zipfile(path):
        sentence = f"{path} is a Keras 3 file (.keras) already"
        named = "as it is" if path.suffix == ".keras" else "under a name that ends in .keras"
        raise MammoError("not_a_legacy_file", sentence, f"Give it to mammo-tf run --start {named}")
    try:
        with h5py.File(path, "r") as file:
            if "model_weights" not in file or "model_config" not in file.attrs:
                code = "weights_only" if "layer_names" in file.attrs else "not_a_legacy_file"
                raise MammoError(code, f"{path} holds no full Keras 2 model (configuration and weights)", REMEDY)
            config = in_our_words(parsed_json(_text(file.attrs["model_config"])), path)
            training = parsed_json(_text(file.attrs["training_config"])) if "training_config" in file.attrs else None
            version = _text(file.attrs.get("keras_version", "unknown"))
            arrays = without_copies(_arrays(file["model_weights"]), path)
            left_out = tuple(name for name in ("optimizer_weights",) if name in file)
    except DAMAGED as error:
        raise MammoError("not_a_legacy_file", f"{path} cannot be read as a Keras 2 file: {error}") from error
    plain = _build(config, path, version)
    model = with_replacements(plain, found_replacements(config, plain, path))
    places = check_network(config, model, path)
    return LegacyImport(model, tuple(_assign(model, arrays, places, path)), version, left_out, training)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _names(group: h5py.Group, key: str) -> list[str]:
    if key in group.attrs:
        return [_text(name) for name in group.attrs[key]]
    chunks = takewhile(lambda number: f"{key}{number}" in group.attrs, count())
    return [_text(name) for number in chunks for name in group.attrs[f"{key}{number}"]]


def _arrays(weights: h5py.Group) -> Arrays:
    """Keyed by group, layer and variable: names inside two groups may be equal, or differ from their group's."""
    arrays = {}
    for group in _names(weights, "layer_names"):
        for name in _names(weights[group], "weight_names"):
            layer, _, variable = name.split(":")[0].rpartition("/")
            arrays[group, layer.rpartition("/")[2], variable] = np.asarray(weights[group][name], np.float32)
    return arrays


def _build(config: Any, path: Path, version: str) -> keras.Model:
    """The published network that a file holds, whatever of it is replaced."""
    try:
        if config["class_name"] not in MODELS:
            raise KeyError("no model of connected layers")
        outer = stored_layers(config)
        nested = [layer for layer in outer if layer["class_name"] in MODELS]
        body = stored_layers(nested[0]) if nested else outer
        if not all(isinstance(layer["config"], dict) and layer["config"]["name"] for layer in (*outer, *body)):
            raise TypeError("a layer without settings or a name")
        inner = {layer.get(WRAPPED) or layer["config"]["name"]: layer for layer in body}
        backbone = _backbone(inner)
        filters = inner["block1_conv1" if backbone == "vgg16" else "conv1"]["config"]["filters"]
        first = next(layer for layer in outer if layer["class_name"] == "InputLayer")
        shape = first["config"].get("batch_input_shape") or first["config"]["batch_shape"]
        size, channels = _size(shape), shape[3]
        classes = 2 if nested else next(layer["config"]["units"] for layer in outer if "units" in layer["config"])
        if not all(type(number) is int and number > 0 for number in (channels, classes, filters)):
            raise ValueError("no numbers of channels, classes and filters")
    except (KeyError, IndexError, StopIteration, TypeError, AttributeError, ValueError) as error:
        sentence = f"{path} (written by Keras {version}) holds a network that is not End2End"
        raise MammoError("network_unknown", sentence, REMEDY) from error
    rate, width = _rate(outer, path), filters / 64
    if not nested:
        return patch_classifier(backbone, (size[0], size[1], channels), classes, width, dropout=rate)
    top = "512x1" if any(layer["class_name"] == "MaxPooling2D" for layer in outer) else "512-512-1024x2"
    rows, columns = (size[0] or DEFAULT_SIZE[0]), (size[1] or DEFAULT_SIZE[1])
    return end2end(backbone, top, (rows, columns, channels), width, rate, _decay(outer, path))


def _backbone(inner: dict[str, Any]) -> str:
    if "block5_conv3" in inner:
        return "vgg16"
    if "res5c_branch2c" in inner:
        padded = any(layer["class_name"] == "ZeroPadding2D" for layer in inner.values())
        return "resnet50_padded" if padded else "resnet50"
    raise KeyError("no known backbone")


def _size(shape: Any) -> list[int | None]:
    """Rows and columns of an input, None where they are open."""
    size = list(shape[1:3])
    if len(size) != 2 or not all(side is None or (isinstance(side, int) and side > 0) for side in size):
        raise ValueError("no size of a picture")
    return size


def _rate(outer: list[dict[str, Any]], path: Path) -> float:
    dropouts = [layer["config"] for layer in outer if layer["class_name"] == "Dropout"]
    rate = dropouts[0].get("rate", dropouts[0].get("p", 0.0)) if dropouts else 0.0
    if not _is_number(rate) or not 0 <= rate < 1:
        raise unexpected(path, f"holds the layer {dropouts[0]['name']} with rate {rate!r}, which is no share below 1")
    return float(rate)


def _decay(outer: list[dict[str, Any]], path: Path) -> float:
    """Weight decay of the top, by its first convolution; 0 where the file tells none."""
    first: dict[str, Any] = next((layer["config"] for layer in outer if "filters" in layer["config"]), {})
    regularizer = first.get("kernel_regularizer")
    if regularizer is None:
        return 0.0
    found = regularizer.get("config") if isinstance(regularizer, dict) else None
    decay = found.get("l2") if isinstance(found, dict) and not found.get("l1") else None
    if not _is_number(decay) or decay < 0:
        raise unexpected(
            path, f"holds the layer {first['name']} with kernel_regularizer {regularizer!r}, where l2 is known"
        )
    return round(float(decay), 9)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _assign(model: keras.Model, arrays: Arrays, places: dict[str, str], path: Path) -> list[LegacyLayer]:
    rows = []
    for place, layer in named_layers(model):
        if isinstance(layer, keras.Model) or not layer.weights:
            continue
        group, _, stored = places[place].partition("/")
        values = []
        for weight in layer.weights:
            key = _stored_key(arrays, group, stored or group, weight.name)
            if key is None:
                raise MammoError("array_missing", f"{path} has no {weight.name} for the layer {place}", REMEDY)
            array = arrays.pop(key)
            if array.shape != tuple(weight.shape):
                needed = tuple(weight.shape)
                sentence = f"{path}: {'/'.join(key)} has the shape {array.shape}, the layer {place} needs {needed}"
                raise MammoError("shape_differs", sentence, REMEDY)
            if not np.isfinite(array).all():
                raise MammoError("not_finite", f"{path}: {'/'.join(key)} holds values that are not finite")
            values.append(array)
            rows.append(LegacyLayer("/".join(key), place, weight.name, array.shape))
        layer.set_weights(values)
    if arrays:
        raise MammoError(
            "array_unused", f"{path}: {len(arrays)} arrays have no layer, first {'/'.join(next(iter(arrays)))}", REMEDY
        )
    return rows


def _stored_key(arrays: Arrays, group: str, layer: str, variable: str) -> tuple[str, str, str] | None:
    if (group, layer, variable) in arrays:
        return group, layer, variable
    counted = [key for key in arrays if key[0] == group and key[2] == variable and _counted(key[1], layer)]
    return counted[0] if len(counted) == 1 and group == layer else None


def _counted(stored: str, layer: str) -> bool:
    """Whether `stored` is the layer's name with the counter that Keras 2 added (`dense_1_1` for `dense_1`)."""
    return stored.startswith(f"{layer}_") and stored.removeprefix(f"{layer}_").isdigit()

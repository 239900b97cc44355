"""What a stored configuration says of its layers, held against the network that it is taken for; nothing is run."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import keras

from mammo_tf.errors import MammoError

COMPUTING = (  # keys of a configuration that change what comes out
    "filters", "units", "kernel_size", "pool_size", "strides", "padding", "data_format", "dilation_rate", "groups",
    "activation", "use_bias", "epsilon", "center", "scale", "axis", "keepdims", "dtype",
)  # fmt: skip
WRITERS = ("keras", "tf_keras", "tensorflow")  # first words of the modules of layers that are Keras' own
MODELS = ("Model", "Functional")
REMEDY = "It is another network than the published ones; load it with Keras, and save it as .keras"
ADDONS = "Addons>"  # in front of the classes of tensorflow-addons
ADDONS_REMEDY = "Of tensorflow-addons GroupNormalization and WeightNormalization are known (docs/migration.md)"


def stored_layers(config: Any) -> list[dict[str, Any]]:
    """The layers that a model's configuration lists, in their order."""
    inner = config.get("config", {}) if isinstance(config, dict) else {}
    return list(inner.get("layers", [])) if isinstance(inner, dict) else []


def check_network(config: dict[str, Any], model: keras.Model, path: Path) -> dict[str, str]:
    """Refuses a configuration whose layers, settings or connections are not those of the network that we built.

    A setting that the file does not tell is Keras' default, as Keras itself would take it.

    Args:
        config: a model's, with the layers of `stored_layers`.
        model: what the file is taken for.
        path: for the message.

    Returns:
        The path of each of our layers, nested ones included, to that of the stored one: layers are known by where they
        stand, not by their names.

    Raises:
        MammoError: `layer_unexpected`.
    """
    places: dict[str, str] = {}
    sources: dict[str, str] = {}  # stored name -> ours
    for there, ours in zip_longest(stored_layers(config), model.layers):
        if there is None:
            raise unexpected(path, f"lacks the layer {ours.name} ({type(ours).__name__})")
        name, kind = _name_and_kind(there, path)
        known = "" if ours is None else f", where {ours.name} ({type(ours).__name__}) is known"
        if ours is None or (type(ours).__name__ != kind and not (kind in MODELS and isinstance(ours, keras.Model))):
            raise unexpected(path, f"holds the layer {name} ({kind}){known}")
        sources[name], places[ours.name] = ours.name, name
        if isinstance(ours, keras.Model):
            inner = check_network(there, ours, path)
            places |= {f"{ours.name}/{place}": f"{name}/{stored}" for place, stored in inner.items()}
        else:
            _check_settings(there["config"], ours, path)
        found = [sources.get(source, source) for source in _sources(there.get("inbound_nodes", []))]
        wanted = _parents(ours, model)
        if found != wanted:
            raise unexpected(path, f"feeds the layer {name} from {_told(found)}, where {_told(wanted)} is known")
    for key, tensors in (("input_layers", model.inputs), ("output_layers", model.outputs)):
        found = [sources.get(source, source) for source in _sources(config["config"].get(key))]
        wanted = [tensor._keras_history.operation.name for tensor in tensors]
        if found != wanted:
            raise unexpected(path, f"has the {key} {_told(found)}, where {_told(wanted)} is known")
    return places


def _name_and_kind(layer: Any, path: Path) -> tuple[str, str]:
    """Name and class of a stored layer, which must be one of Keras' own."""
    config = layer.get("config") if isinstance(layer, dict) else None
    name, kind = (config.get("name"), layer.get("class_name")) if isinstance(config, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(kind, str):
        raise unexpected(path, "holds a layer without a name, a class or settings")
    if layer.get("name", name) != name:
        raise unexpected(path, f"holds the layer {name} under another name, {layer['name']!r}")
    registered, module = layer.get("registered_name") or kind, layer.get("module") or WRITERS[0]
    if registered != kind or str(module).split(".")[0] not in WRITERS:
        raise unexpected(path, f"holds the layer {name} ({registered} of {module}), which is not Keras' own")
    return name, kind


def _told(names: list[str]) -> str:
    return " and ".join(names) or "nothing"


def _check_settings(config: dict[str, Any], ours: keras.Layer, path: Path) -> None:
    known = ours.get_config()
    defaults = inspect.signature(type(ours).__init__).parameters
    for key in (key for key in COMPUTING if key in known):
        if key in config:
            value, told = config[key], f"{key} {config[key]!r}"
        elif key in defaults and defaults[key].default is not inspect.Parameter.empty:
            value, told = defaults[key].default, f"no {key}, which is {defaults[key].default!r} then"
        else:
            value, told = None, f"no {key}"
        if _meant(key, value, ours) != _meant(key, known[key], ours):
            raise unexpected(path, f"holds the layer {config['name']} with {told}, where {known[key]!r} is known")


def _meant(key: str, value: Any, ours: keras.Layer) -> Any:
    """A setting's value in one of the ways in which it can be written."""
    if key == "axis":
        value = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
        return value % len(ours.output.shape) if isinstance(value, int) else value
    if key == "dtype":
        value = value.get("config", {}).get("name", value) if isinstance(value, dict) else value
        return value or "float32"
    usual = {"activation": "linear", "data_format": "channels_last", "strides": getattr(ours, "pool_size", None)}
    return _plain(usual.get(key) if value is None else value)


def _plain(value: Any) -> Any:
    """As JSON has it; numbers to seven digits, as float32 leaves them."""
    if isinstance(value, list | tuple):
        plain = [_plain(item) for item in value]
        same = bool(plain) and not isinstance(plain[0], list) and all(item == plain[0] for item in plain)
        return plain[0] if same else plain  # 2 stands for (2, 2)
    return round(value, 7) if isinstance(value, float) else value


def _sources(nodes: Any) -> Iterator[str]:
    """Names of the layers that feed a layer in its model, as Keras 2 or Keras 3 write them."""
    if isinstance(nodes, dict):
        history = nodes.get("keras_history")
        if history:
            yield str(history[0])
        else:
            for value in nodes.values():
                yield from _sources(value)
    elif isinstance(nodes, list):
        if len(nodes) >= 3 and isinstance(nodes[0], str) and isinstance(nodes[1], int):
            yield nodes[0]
        else:
            for value in nodes:
                yield from _sources(value)


def _parents(layer: keras.Layer, model: keras.Model) -> list[str]:
    """Names of the layers that feed a layer inside a model, in the order of its arguments."""
    names = {inner.name for inner in model.layers}
    for node in layer._inbound_nodes:
        found = [tensor._keras_history.operation.name for tensor in node.input_tensors]
        if found and set(found) <= names:
            return found
    return []


def unexpected(path: Path, sentence: str) -> MammoError:
    """The refusal of a network that is another one than those that are known."""
    return MammoError("layer_unexpected", f"{path} {sentence}", ADDONS_REMEDY if ADDONS in sentence else REMEDY)

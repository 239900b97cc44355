"""What a stored configuration says of its layers, held against the network that it is taken for; nothing is run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import keras

from mammo_tf.errors import MammoError

COMPUTING = (  # keys of a configuration that change what comes out
    "filters", "units", "kernel_size", "pool_size", "strides", "padding", "data_format", "dilation_rate", "groups",
    "activation", "use_bias", "epsilon", "center", "scale",
)  # fmt: skip
MODELS = ("Model", "Functional")
REMEDY = "It is another network than the published ones; load it with Keras, and save it as .keras"


def stored_layers(config: Any) -> list[dict[str, Any]]:
    """The layers that a model's configuration lists, in their order."""
    inner = config.get("config", {})
    return list(inner.get("layers", [])) if isinstance(inner, dict) else []


def check_layers(stored: list[dict[str, Any]], model: keras.Model, path: Path) -> None:
    """Refuses a configuration whose layers, settings or connections are not those of the network that we built.

    Args:
        stored: of `stored_layers`.
        model: what the file is taken for.
        path: for the message.

    Raises:
        MammoError: `layer_unexpected`.
    """
    sources: dict[str, str] = {}  # stored name -> ours
    for there, ours in zip_longest(stored, model.layers):
        if there is None:
            raise _unexpected(path, f"lacks the layer {ours.name} ({type(ours).__name__})")
        name, kind = there["config"]["name"], there["class_name"]
        known = "" if ours is None else f", where {ours.name} ({type(ours).__name__}) is known"
        if ours is None or (type(ours).__name__ != kind and not (kind in MODELS and isinstance(ours, keras.Model))):
            raise _unexpected(path, f"holds the layer {name} ({kind}){known}")
        sources[name] = ours.name
        if isinstance(ours, keras.Model):
            check_layers(stored_layers(there), ours, path)
        else:
            _check_settings(there["config"], ours, path)
        found = [sources.get(source, source) for source in _sources(there.get("inbound_nodes", []))]
        wanted = _parents(ours, model)
        if found != wanted:
            told = " and ".join(found) or "nothing"
            raise _unexpected(path, f"feeds the layer {name} from {told}, where {' and '.join(wanted)} is known")


def _check_settings(config: dict[str, Any], ours: keras.Layer, path: Path) -> None:
    known = ours.get_config()
    for key in COMPUTING:
        if key in config and key in known and _plain(config[key]) != _plain(known[key]):
            sentence = f"{config['name']} with {key} {config[key]!r}, where {known[key]!r} is known"
            raise _unexpected(path, f"holds the layer {sentence}")


def _plain(value: Any) -> Any:
    """As JSON has it; numbers to seven digits, as float32 leaves them."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
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


def _unexpected(path: Path, sentence: str) -> MammoError:
    return MammoError("layer_unexpected", f"{path} {sentence}", REMEDY)

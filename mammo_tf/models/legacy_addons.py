"""Layers of tensorflow-addons in a stored configuration, told in terms of ours; nothing is run.

Two are known: GroupNormalization where the network has a batch normalisation, and WeightNormalization around a
convolution or a dense layer. Answers of tensorflow-addons 0.23 are in `tests/golden/addons`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models.legacy_layers import MODELS, stored_layers, unexpected
from mammo_tf.models.replacements import GroupNormalised, Replacement, WeightNormalised
from mammo_tf.models.weight_normalization import WEIGHT_NORMALIZED

GROUP, WEIGHT = "Addons>GroupNormalization", "Addons>WeightNormalization"
NORMALISED = {plain.__name__: ours.__name__ for plain, ours in WEIGHT_NORMALIZED.items()}
WRAPPED = "wrapped"  # of a layer without its wrapper: the name that it had inside
COPY = "data_dep_init"  # of a wrapped layer, with which its first lengths were found
Arrays = dict[tuple[str, str, str], np.ndarray]


def in_our_words(config: Any, path: Path) -> Any:
    """The configuration with the known layers of tensorflow-addons as layers of ours, under the names they were stored.

    Args:
        config: a model's, or that of a nested one.
        path: for the message.

    Raises:
        MammoError: `layer_unexpected` for WeightNormalization around another layer.
    """
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        return config
    told = [_one(layer, path) for layer in stored_layers(config)]
    return {**config, "config": {**config["config"], "layers": told}}


def _one(layer: Any, path: Path) -> Any:
    kind = layer.get("class_name") if isinstance(layer, dict) else None
    if kind in MODELS:
        return in_our_words(layer, path)
    if kind == GROUP:
        return {**layer, "class_name": "GroupNormalization"}
    if kind != WEIGHT:
        return layer
    config = layer.get("config")
    inner = config.get("layer") if isinstance(config, dict) else None
    wrapped = inner.get("config") if isinstance(inner, dict) else None
    if not isinstance(config, dict) or not isinstance(inner, dict) or not isinstance(wrapped, dict):
        raise unexpected(path, f"holds a layer {WEIGHT} around nothing")
    if inner.get("class_name") not in tuple(NORMALISED):
        known = " and ".join(NORMALISED)
        told = (
            f"holds the layer {config.get('name')} ({WEIGHT} around {inner.get('class_name')}), where {known} are known"
        )
        raise unexpected(path, told)
    ours = {**wrapped, "name": config.get("name")}
    return {**layer, "class_name": NORMALISED[inner["class_name"]], "config": ours, WRAPPED: wrapped.get("name")}


def found_replacements(config: Any, model: keras.Model, path: Path) -> tuple[Replacement, ...]:
    """What of a network is replaced in a file: each kind of replacement once, with the paths of our layers.

    Args:
        config: as `in_our_words` gives it.
        model: ours, as published; layers stand in the same order.
        path: for the message.

    Raises:
        MammoError: `layer_unexpected` for groups or an epsilon that are not numbers.
    """
    groups: dict[tuple[int, float], list[str]] = {}
    weights: list[str] = []
    _look(config, model, "", groups, weights, path)
    found: list[Replacement] = [
        GroupNormalised(tuple(paths), count, epsilon) for (count, epsilon), paths in groups.items()
    ]
    return (*found, *([WeightNormalised(tuple(weights))] if weights else []))


def _look(
    config: Any,
    model: keras.Model,
    before: str,
    groups: dict[tuple[int, float], list[str]],
    weights: list[str],
    path: Path,
) -> None:
    for there, ours in zip(stored_layers(config), model.layers, strict=False):
        place = f"{before}{ours.name}"
        if not isinstance(there, dict) or not isinstance(there.get("config"), dict):
            continue
        kind = there.get("class_name")
        if isinstance(ours, keras.Model):
            _look(there, ours, f"{place}/", groups, weights, path)
        elif kind == "GroupNormalization" and type(ours) is layers.BatchNormalization:
            groups.setdefault(_groups(there["config"], ours, path), []).append(place)
        elif type(ours) in WEIGHT_NORMALIZED and kind == NORMALISED[type(ours).__name__]:
            weights.append(place)


def _groups(config: dict[str, Any], ours: keras.Layer, path: Path) -> tuple[int, float]:
    """Number of groups, and epsilon to seven digits, as float32 leaves it."""
    count, epsilon = config.get("groups", 32), config.get("epsilon", 1e-3)
    channels = int(ours.input.shape[-1])
    if type(count) is not int or count < 1 or channels % count:
        told = f"holds the layer {config.get('name')} with groups {count!r}, which do not divide {channels} channels"
        raise unexpected(path, told)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise unexpected(path, f"holds the layer {config.get('name')} with epsilon {epsilon!r}")
    return count, float(f"{epsilon:.7g}")


def without_copies(arrays: Arrays, path: Path) -> Arrays:
    """The arrays as our layers have them: `length` for `g`, and without what was for the first batch alone.

    A layer that was never run has lengths of 1 in the file, and would have begun with the norms of its kernel.

    Raises:
        MammoError: `layer_unexpected` for one that was never run and would have begun from its first batch.
    """
    begun = {key[:2]: bool(array) for key, array in arrays.items() if key[2] == "initialized"}
    copied = {key[0] for key in arrays if key[1] == COPY}
    kept: Arrays = {}
    for (group, layer, variable), array in arrays.items():
        if layer == COPY or ((group, layer) in begun and variable == "initialized"):
            continue
        ran = begun.get((group, layer), True)
        if variable == "g" and not ran and group in copied:
            raise unexpected(path, f"holds the layer {layer} ({WEIGHT}), which was never run: it has no lengths")
        if variable == "g" and not ran:
            array = np.sqrt(np.square(arrays[group, layer, "kernel"]).sum(axis=(*range(_rank(arrays, group, layer)),)))
        kept[group, layer, "length" if variable == "g" and (group, layer) in begun else variable] = array
    return kept


def _rank(arrays: Arrays, group: str, layer: str) -> int:
    """Axes of a layer's kernel in front of its filters."""
    if (group, layer, "kernel") not in arrays:
        raise MammoError("array_missing", f"the layer {layer} has lengths and no kernel")
    return arrays[group, layer, "kernel"].ndim - 1

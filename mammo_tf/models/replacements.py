"""Layers of a network in the place of those that its builder makes: part of its description, so that it travels."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models.networks import described, description_of
from mammo_tf.models.rebuild import named_layers
from mammo_tf.models.weight_normalization import WEIGHT_NORMALIZED


@dataclass(frozen=True)
class GroupNormalised:
    """Batch normalisations that are group normalisations: of each picture itself, over groups of its channels.

    Attributes:
        layers: paths of the batch normalisations, `batch_normalization_1`, `model_1/bn2a_branch2a`.
        groups: how many; they divide the channels.
        epsilon: added to the variance.
    """

    kind: ClassVar[str] = "group_normalization"
    layers: tuple[str, ...]
    groups: int = 32
    epsilon: float = 1e-3

    def made_from(self, layer: keras.Layer) -> keras.Layer | None:
        """The group normalisation of the same name; None in the place of another layer."""
        if type(layer) is not layers.BatchNormalization:
            return None
        return layers.GroupNormalization(self.groups, epsilon=self.epsilon, name=layer.name, dtype=layer.dtype_policy)

    def small(self) -> Self:
        """One group, which divides every number of channels."""
        return replace(self, groups=1)


@dataclass(frozen=True)
class WeightNormalised:
    """Convolutions and dense layers whose kernels are directions and lengths (`models.weight_normalization`).

    Attributes:
        layers: their paths, `conv2d_1`, `dense_1`, `model_1/block5_conv1`.
    """

    kind: ClassVar[str] = "weight_normalization"
    layers: tuple[str, ...]

    def made_from(self, layer: keras.Layer) -> keras.Layer | None:
        """The same layer with weight normalisation; None in the place of another layer."""
        normalised = WEIGHT_NORMALIZED.get(type(layer))
        return None if normalised is None else normalised.from_config(layer.get_config())

    def small(self) -> Self:
        """The same."""
        return self


Replacement = GroupNormalised | WeightNormalised


def with_replacements(model: keras.Model, replaced: Sequence[Replacement]) -> keras.Model:
    """A new model with the named layers replaced; the others keep their weights, and the description tells it.

    Args:
        model: functional, nested models included; it stays as it is, and is given back where nothing is replaced.
        replaced: next to those that the description of the model already has.

    Raises:
        MammoError: `layer_unknown`, with the nearest path; `layer_unfit` for a layer of another class, or groups that
            do not divide its channels.
    """
    if not replaced:
        return model
    named = dict(named_layers(model))
    made: dict[int, keras.Layer] = {}
    for one in replaced:
        for path in one.layers:
            if path not in named:
                near = difflib.get_close_matches(path, named, 1)
                remedy = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(named)}"
                raise MammoError("layer_unknown", f"the model {model.name} has no layer {path!r}", remedy)
            layer = one.made_from(named[path])
            if layer is None:
                kind = type(named[path]).__name__
                raise MammoError("layer_unfit", f"the layer {path} is a {kind}, which has no {one.kind}")
            if isinstance(one, GroupNormalised):
                _check_groups(one, path, named[path])
            made[id(named[path])] = layer

    def changed(layer: keras.Layer) -> keras.Layer:
        return made.get(id(layer)) or type(layer).from_config(layer.get_config())

    def called(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, layers.GroupNormalization):  # which takes neither `mask` nor `training`
            return layer(args[0])
        return layer(*args, **kwargs)

    renewed = keras.models.clone_model(model, clone_function=changed, call_function=called, recursive=True)
    for (path, layer), (_, before) in zip(named_layers(renewed), named_layers(model), strict=True):
        if layer.weights and not isinstance(layer, keras.Model) and id(before) not in made:
            layer.set_weights(before.get_weights())
            layer.trainable = named[path].trainable
    said: Any = description_of(model)
    return described(renewed, said and replace(said, replaced=(*said.replaced, *replaced)))


def _check_groups(wanted: GroupNormalised, path: str, layer: keras.Layer) -> None:
    channels = int(layer.input.shape[-1])
    if wanted.groups < 1 or channels % wanted.groups:
        sentence = f"the layer {path} has {channels} channels, which are not in {wanted.groups} groups of one size"
        raise MammoError("layer_unfit", sentence, "Name a number of groups that divides the channels")


def kept(replaced: Sequence[Replacement], path_of: Callable[[str], str | None]) -> tuple[Replacement, ...]:
    """What of it is replaced in a part of the model, or in one around it.

    Args:
        replaced: by the paths of the model.
        path_of: gives a layer's path there; None for a layer that is elsewhere.
    """
    found = [(one, tuple(path for path in map(path_of, one.layers) if path is not None)) for one in replaced]
    return tuple(replace(one, layers=paths) for one, paths in found if paths)

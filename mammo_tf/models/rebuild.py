"""A model built again from its configuration, so that new rates are truly in force.

Changing `Dropout.rate` or a kernel's regulariser on a living model changes nothing, or nothing that the compiled step
sees. Each training stage therefore starts from a model made by `rebuild`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models.networks import described, description_of
from mammo_tf.models.normalization import MultiBatchNormalization

PROBABILITIES = (keras.activations.softmax, keras.activations.sigmoid)
DROPOUTS = (layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D)


def rebuild(
    model: keras.Model,
    dropout: float | None = None,
    weight_decay: float | None = None,
    synchronized: bool | None = None,
    dtype: str | None = None,
    input_shape: tuple[int, int, int] | None = None,
) -> keras.Model:
    """A new model of the same layers, names and weights, with what is named here changed; None leaves it as it is.

    Args:
        model: functional model, nested models included.
        dropout: rate of every dropout layer, in [0, 1).
        weight_decay: L2 factor of every kernel that has a regulariser (0 switches it off and can be undone).
        synchronized: whether batch statistics are taken over all devices.
        dtype: policy ("float32", "mixed_bfloat16", "mixed_float16"); softmax and sigmoid stay float32.
        input_shape: rows, columns, channels of another input; only for networks that pool over the whole picture.

    Layers keep their `trainable`, the model its description. The model is not compiled.

    Raises:
        MammoError: `size_too_small` for an `input_shape` that leaves no pixel after all poolings.
    """

    def changed(layer: keras.layers.Layer) -> keras.layers.Layer:
        config: dict[str, Any] = layer.get_config()
        if dropout is not None and isinstance(layer, DROPOUTS):
            config["rate"] = dropout
        if weight_decay is not None and getattr(layer, "kernel_regularizer", None) is not None:
            config["kernel_regularizer"] = keras.regularizers.L2(weight_decay)
        if synchronized is not None and isinstance(layer, layers.BatchNormalization | MultiBatchNormalization):
            config["synchronized"] = synchronized
        if dtype is not None and isinstance(layer, layers.Layer) and not isinstance(layer, layers.InputLayer):
            config["dtype"] = "float32" if getattr(layer, "activation", None) in PROBABILITIES else dtype
        return type(layer).from_config(config)

    first = next((layer.name for layer in model.layers if isinstance(layer, layers.InputLayer)), None)
    inputs = None if input_shape is None else keras.Input(input_shape, name=first)
    try:
        renewed = keras.models.clone_model(model, inputs, clone_function=changed, recursive=True)
    except ValueError as error:
        if input_shape is None:
            raise
        sentence = f"{input_shape[0]}x{input_shape[1]} pixels are too few for {model.name}"
        raise MammoError("size_too_small", sentence, "Prepare larger pictures") from error
    renewed.set_weights(model.get_weights())
    for (_, layer), (_, before) in zip(named_layers(renewed), named_layers(model), strict=True):
        if not isinstance(layer, keras.Model):
            layer.trainable = before.trainable
    return described(renewed, description_of(model))


def named_layers(model: keras.Model, prefix: str = "") -> list[tuple[str, keras.layers.Layer]]:
    """Every layer with its path (`model_1/block1_conv1`), nested models before what they hold, in order."""
    found: list[tuple[str, keras.layers.Layer]] = []
    for layer in model.layers:
        path = f"{prefix}{layer.name}"
        found.append((path, layer))
        if isinstance(layer, keras.Model):
            found += named_layers(layer, f"{path}/")
    return found

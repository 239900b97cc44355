"""Layers whose weights stay as they are, whatever a stage, a callback or `trainable = True` asks for."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


class _Frozen(layers.Layer):
    """Creates every weight as one that is not trained, in the order of the layer that it is made from."""

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        return super().add_weight(*args, **{**kwargs, "trainable": False})


@keras.saving.register_keras_serializable("mammo_tf")
class FrozenConv2D(_Frozen, layers.Conv2D):
    """A convolution with fixed kernel and bias."""


@keras.saving.register_keras_serializable("mammo_tf")
class FrozenBatchNormalization(_Frozen, layers.BatchNormalization):
    """A batch normalisation in inference mode for good: scale, offset and statistics are fixed."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return super().call(inputs, training=False, mask=mask)

"""What tells a network from every other: its weights, and its layers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import keras
import numpy as np

# what a stage, a device or another size of the picture changes, and the answer does not hang on
PASSING = (
    "trainable", "dtype", "kernel_regularizer", "rate", "seed", "synchronized", "batch_shape", "build_config",
    "input_shape", "shape", "module", "registered_name", "kernel_initializer", "bias_initializer",
)  # fmt: skip


def weights_digest(model: keras.Model) -> str:
    """SHA-256, as hexadecimal text, over shapes and values of all weights in the model's order.

    Names of layers, the optimiser and seeds of dropout do not enter, so a model that is saved and read again, rebuilt
    for other pictures or exported keeps its digest. Values count as float32, which is what variables are here.
    """
    sums = hashlib.sha256()
    for weight in model.weights:
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight), "<f4")
        sums.update(f"{values.shape}".encode())
        sums.update(values.tobytes())
    return sums.hexdigest()


def architecture_digest(model: keras.Model) -> str:
    """SHA-256, as hexadecimal text, over the layers and how they are joined.

    Initialisers, rates of dropout and decay, dtypes and the size of the picture do not enter: what is left
    decides what the same weights say of the same picture.
    """
    text = json.dumps(_lasting(model.get_config()), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in PASSING}
    if isinstance(value, list | tuple):
        return [_lasting(item) for item in value]
    return value

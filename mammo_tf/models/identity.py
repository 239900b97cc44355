"""What tells a network from every other: its weights."""

from __future__ import annotations

import hashlib

import keras
import numpy as np


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

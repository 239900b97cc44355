"""3x3 convolutions by Winograd's minimal filtering F(m x m, 3 x 3), to be weighed against oneDNN's direct ones.

An output tile of m x m pixels comes from an input tile of a x a, a = m + 2: both are transformed by small matrices, and
in between each of the a x a places is one matrix product over the channels. F(2) takes 16 multiplications where the
direct form takes 36, F(4) 36 for 144, and rounds more. Source: Lavin and Gray, Fast Algorithms for Convolutional Neural
Networks, CVPR 2016. XLA makes one pass of each transform; the products stay with TensorFlow's own matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

FEWEST_CHANNELS = 256  # below, the transforms cost more than the products save
INPUT = {
    2: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    4: (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
}
KERNEL = {
    2: ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    4: (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
}
OUTPUT = {
    2: ((1, 1, 1, 0), (0, 1, -1, -1)),
    4: ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
}


class WinogradConv2D(keras.layers.Conv2D):
    """`Conv2D` of 3x3, stride 1, `same` padding; the same weights and, but for rounding, the same outputs.

    Args:
        tile: m, 2 or 4; where rows or columns are no multiple of it, the edge tiles are cut.
    """

    def __init__(self, *args: Any, tile: int = 2, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tile = tile

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        rows, columns = inputs.shape[1:3]
        inside = self.tile + 2
        places = _compiled(tf, _to_tiles)(inputs, self.tile)
        small = tf.constant(np.asarray(KERNEL[self.tile], np.float32))
        kernel = tf.einsum("ai,ijck,bj->abck", small, tf.convert_to_tensor(self.kernel), small)
        kernel = tf.reshape(kernel, [inside * inside, *self.kernel.shape[2:]])
        products = tf.matmul(places, kernel)
        shape = (tf.shape(inputs)[0], -(-rows // self.tile), -(-columns // self.tile))
        outputs = _compiled(tf, _from_tiles)(products, self.tile, *shape)[:, :rows, :columns]
        return self.activation(outputs + self.bias)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tile": self.tile}


def _compiled(tf: Any, function: Any) -> Any:
    return tf.function(function, jit_compile=True)


def _combined(matrix: Sequence[Sequence[float]], parts: Sequence[Any]) -> list[Any]:
    """Each row of the matrix times the parts; zeros and ones cost nothing."""
    return [
        sum(part if factor == 1 else part * factor for factor, part in zip(row, parts, strict=True) if factor)
        for row in matrix
    ]


def _to_tiles(inputs: Any, tile: int) -> Any:
    """`[batch, rows, columns, channels]` to `[places, batch x tiles, channels]`."""
    import tensorflow as tf

    batch, rows, columns, channels = inputs.shape
    down, across = -(-rows // tile), -(-columns // tile)
    margins = [[1, (down + 1) * tile - rows - 1], [1, (across + 1) * tile - columns - 1]]
    padded = tf.pad(inputs, [[0, 0], *margins, [0, 0]])
    by_row = tf.reshape(padded, [batch, down + 1, tile, (across + 1) * tile, channels])
    places: list[Any] = []
    inside = range(tile + 2)
    for row in _combined(INPUT[tile], [by_row[:, i // tile : down + i // tile, i % tile] for i in inside]):
        cut = tf.reshape(row, [batch, down, across + 1, tile, channels])
        places += _combined(INPUT[tile], [cut[:, :, j // tile : across + j // tile, j % tile] for j in inside])
    return tf.reshape(tf.stack(places), [len(inside) ** 2, batch * down * across, channels])


def _from_tiles(products: Any, tile: int, batch: int, down: int, across: int) -> Any:
    """`[places, batch x tiles, filters]` to `[batch, rows, columns, filters]`, whole tiles."""
    import tensorflow as tf

    inside = tile + 2
    filters = products.shape[-1]
    square = tf.reshape(products, [inside, inside, batch, down, across, filters])
    rows = _combined(OUTPUT[tile], [square[i] for i in range(inside)])
    done = [tf.stack(_combined(OUTPUT[tile], [row[j] for j in range(inside)]), 3) for row in rows]
    return tf.reshape(tf.stack(done, 2), [batch, down * tile, across * tile, filters])


def with_winograd(model: keras.Model, tile: int) -> keras.Model:
    """A copy of the model, its weights included, whose 3x3 convolutions of many channels are Winograd's."""

    def changed(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] >= FEWEST_CHANNELS:
            return WinogradConv2D.from_config({**config, "tile": tile})
        return type(layer).from_config(config)

    renewed = keras.models.clone_model(model, clone_function=changed, recursive=True)
    renewed.set_weights(model.get_weights())
    return renewed

"""3x3 convolutions by Winograd's minimal filtering F(2 x 2, 3 x 3), which a CPU computes faster.

An output tile of 2x2 pixels comes from an input tile of 4x4: both are transformed by sums and differences, and in
between each of the 16 places is one matrix product over the channels: 16 multiplications where the plain form takes 36.
The transforms grow with the channels, the savings with their square. Source: Lavin and Gray, Fast Algorithms for
Convolutional Neural Networks, CVPR 2016.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from mammo_tf.models.frozen import FrozenConv2D
from mammo_tf.models.rebuild import named_layers

FEWEST_CHANNELS = 256  # going in and coming out; below, the transforms cost more than the products save
FEWEST_PIXELS = 64  # below, transforming the kernel costs more
_ROWS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
KERNEL = np.einsum("ai,bj->abij", _ROWS, _ROWS).reshape(16, 9).astype(np.float32)


class WinogradConvolution(layers.Layer):
    """A `Conv2D` that `suits`, computed in the other way with the same weights; equal but for rounding.

    It lives in memory alone: what is saved is the model that it was made from.

    Args:
        convolution: the built layer, whose name and variables it shares.
    """

    def __init__(self, convolution: layers.Conv2D) -> None:
        super().__init__(name=convolution.name, dtype=convolution.dtype_policy)
        self.convolution = convolution

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(self.convolution.compute_output_shape(input_shape))

    def call(self, inputs: Any) -> Any:
        rows, columns = inputs.shape[1:3]
        if rows is None or columns is None or rows * columns < FEWEST_PIXELS:
            return self.convolution(inputs)
        outputs = convolved(inputs, self.convolution.kernel)
        if self.convolution.use_bias:
            outputs = ops.add(outputs, self.convolution.bias)
        return self.convolution.activation(outputs)


def with_winograd(model: keras.Model) -> keras.Model:
    """The same model, its layers and variables shared, whose convolutions that `suits` names are Winograd's.

    Args:
        model: functional, nested models included; it stays as it is.

    Returns:
        A model to be called, with the same outputs but for rounding (1e-6 of their size), or `model` itself where none
        suits. Its layers are those of `model`, whose tensors their `input` and `output` name: save and take apart that.
    """
    if not any(suits(layer) for _, layer in named_layers(model)):
        return model

    def changed(layer: layers.Layer) -> layers.Layer:
        return WinogradConvolution(layer) if suits(layer) else layer

    return keras.models.clone_model(model, clone_function=changed, recursive=True)


def suits(layer: layers.Layer) -> bool:
    """Whether a layer is a 3x3 convolution of stride 1 in float32 with channels enough to gain from Winograd's way."""
    return (
        type(layer) in (layers.Conv2D, FrozenConv2D)
        and (layer.kernel_size, layer.strides, layer.dilation_rate) == ((3, 3), (1, 1), (1, 1))
        and (layer.padding, layer.groups, layer.data_format) == ("same", 1, "channels_last")
        and layer.compute_dtype == "float32"
        and min(layer.kernel.shape[2:]) >= FEWEST_CHANNELS
    )


def convolved(inputs: Any, kernel: Any) -> Any:
    """Convolution of stride 1 with `same` padding.

    Positions of tiles are kept in one axis, a row of tiles after the other with one tile more than is needed at the end
    of each row and of each picture: the neighbour below or to the right is then a shift along this axis, which costs no
    copy. What the tiles in excess give is cut off.

    Args:
        inputs: float32 `[batch, rows, columns, channels]`; rows and columns known when traced.
        kernel: float32 `[3, 3, channels, filters]`.

    Returns:
        float32 `[batch, rows, columns, filters]`.
    """
    rows, columns, channels = inputs.shape[1:]
    filters = kernel.shape[-1]
    batch, down, across = ops.shape(inputs)[0], -(-rows // 2) + 1, -(-columns // 2) + 1
    transformed = ops.reshape(ops.matmul(KERNEL, ops.reshape(kernel, [9, -1])), [16, channels, filters])
    padded = ops.pad(inputs, [[0, 0], [1, 2 * down - rows - 1], [1, 2 * across - columns - 1], [0, 0]])
    parities = ops.transpose(ops.reshape(padded, [batch * down, 2, across, 2, channels]), [1, 3, 0, 2, 4])
    planes = ops.reshape(parities, [4, -1, channels])  # even and odd rows by even and odd columns
    by_row = [_tiled(planes[column], planes[2 + column], across) for column in (0, 1)]
    products = [
        [ops.matmul(place, transformed[4 * row + column]) for column, place in enumerate(_tiled(even, odd, 1))]
        for row, (even, odd) in enumerate(zip(*by_row, strict=True))
    ]
    by_column = [_untiled(places) for places in zip(*products, strict=True)]
    pixels = [ops.stack(_untiled(places), axis=1) for places in zip(*by_column, strict=True)]
    tiles = ops.pad(ops.stack(pixels), [[0, 0], [0, across + 1], [0, 0], [0, 0]])
    tiles = ops.transpose(ops.reshape(tiles, [2, batch * down, 2 * across, filters]), [1, 0, 2, 3])
    return ops.reshape(tiles, [batch, 2 * down, 2 * across, filters])[:, :rows, :columns]


def _tiled(even: Any, odd: Any, step: int) -> list[Any]:
    """The four transformed inputs along one axis; `[positions, channels]`, the next tile lies `step` positions on."""
    here, below = slice(None, -step), slice(step, None)
    first, second, third, fourth = even[here], odd[here], even[below], odd[below]
    return [first - third, second + third, third - second, second - fourth]


def _untiled(places: Any) -> list[Any]:
    """The two outputs along one axis from four products."""
    first, second, third, fourth = places
    return [first + second + third, second - third - fourth]

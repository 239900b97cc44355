"""The layers of Swin-Unet, on pictures of features `[batch, rows, columns, features]`, by `keras.ops` alone.

Names of weights are those of the published PyTorch layout, so that its files can be read (`load_torch_weights`); facts
and answers in `tests/golden/swin_unet`. Sources: Liu et al., *Swin Transformer: Hierarchical Vision Transformer using
Shifted Windows*; Cao et al., *Swin-Unet: Unet-like Pure Transformer for Medical Image Segmentation*.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from mammo_tf.models.device_noise import uniform_noise

MASKED = -100.0  # what attention between parts of a picture that are no neighbours gets


def small_normal() -> keras.initializers.Initializer:
    """What a weight starts from; one for each, as an initialiser draws the same numbers whenever it is asked."""
    return keras.initializers.RandomNormal(stddev=0.02)


def gelu(tensor: Any) -> Any:
    """0.5 x (1 + erf(x / sqrt 2)), exact, in operations that ONNX has."""
    return 0.5 * tensor * (1.0 + ops.erf(tensor / math.sqrt(2.0)))


def position_index(window: int) -> NDArray[np.int64]:
    """Row of the table of relative positions for each pair of places in a window, `[window^2, window^2]`."""
    places = np.stack(np.meshgrid(np.arange(window), np.arange(window), indexing="ij")).reshape(2, -1)
    down, across = places[:, :, None] - places[:, None, :] + window - 1
    return np.asarray(down * (2 * window - 1) + across)


def shift_mask(rows: int, columns: int, window: int, shift: int) -> NDArray[np.float32]:
    """0, or `MASKED` between places that the shift brought together, `[windows, window^2, window^2]`."""
    regions = np.zeros((rows, columns), np.int64)
    cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for number, (down, across) in enumerate((down, across) for down in cuts for across in cuts):
        regions[down, across] = number
    cut = regions.reshape(rows // window, window, columns // window, window)
    parts = cut.transpose(0, 2, 1, 3).reshape(-1, window * window)
    return np.where(parts[:, None, :] != parts[:, :, None], np.float32(MASKED), np.float32(0))


@keras.saving.register_keras_serializable("mammo_tf")
class WindowAttention(layers.Layer):
    """Attention of many heads within windows, which may be shifted against the picture.

    Args:
        heads: of attention; they divide the features.
        window: side of a window; it divides rows and columns.
        shift: of the windows, down and right.
        qkv_bias: whether queries, keys and values have one.
        qk_scale: of the queries; None for one over the square root of a head's features.
    """

    def __init__(
        self, heads: int, window: int, shift: int = 0, qkv_bias: bool = True, qk_scale: float | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv_bias, self.qk_scale = qkv_bias, qk_scale

    def build(self, input_shape: Any) -> None:
        rows, columns, features = (int(size) for size in input_shape[1:])
        self.qkv_kernel = self.add_weight(name="qkv_kernel", shape=(features, 3 * features), initializer=small_normal())
        if self.qkv_bias:
            self.qkv_shift = self.add_weight(name="qkv_bias", shape=(3 * features,), initializer="zeros")
        sides = (2 * self.window - 1) ** 2
        table = {"name": "relative_position_bias_table", "shape": (sides, self.heads)}
        self.table = self.add_weight(**table, initializer=small_normal())
        self.proj_kernel = self.add_weight(name="proj_kernel", shape=(features, features), initializer=small_normal())
        self.proj_bias = self.add_weight(name="proj_bias", shape=(features,), initializer="zeros")
        self.index = position_index(self.window).reshape(-1)
        self.mask = shift_mask(rows, columns, self.window, self.shift) if self.shift else None
        self.built = True

    def call(self, tensor: Any) -> Any:
        rows, columns, features = (int(size) for size in tensor.shape[1:])
        side, heads, each = self.window, self.heads, int(tensor.shape[-1]) // self.heads
        down, across, places = rows // side, columns // side, side * side
        if self.shift:
            tensor = ops.roll(tensor, (-self.shift, -self.shift), axis=(1, 2))
        tensor = ops.reshape(tensor, (-1, down, side, across, side, features))
        tensor = ops.reshape(ops.transpose(tensor, (0, 1, 3, 2, 4, 5)), (-1, places, features))
        mixed = ops.matmul(tensor, self.qkv_kernel)
        if self.qkv_bias:
            mixed = mixed + self.qkv_shift
        mixed = ops.transpose(ops.reshape(mixed, (-1, places, 3, heads, each)), (2, 0, 3, 1, 4))
        queries, keys, values = ops.unstack(mixed)  # slices would add up their gradients in arrays of zeros
        queries = queries * (self.qk_scale or each**-0.5)
        found = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2)))
        bias = ops.reshape(ops.take(self.table, self.index, axis=0), (places, places, heads))
        found = ops.cast(found, "float32") + ops.cast(ops.transpose(bias, (2, 0, 1)), "float32")[None]
        if self.mask is not None:
            found = ops.reshape(found, (-1, down * across, heads, places, places)) + self.mask[None, :, None]
            found = ops.reshape(found, (-1, heads, places, places))
        found = ops.cast(ops.softmax(found), self.compute_dtype)
        tensor = ops.reshape(ops.transpose(ops.matmul(found, values), (0, 2, 1, 3)), (-1, places, features))
        tensor = ops.matmul(tensor, self.proj_kernel) + self.proj_bias
        tensor = ops.reshape(tensor, (-1, down, across, side, side, features))
        tensor = ops.reshape(ops.transpose(tensor, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, features))
        return ops.roll(tensor, (self.shift, self.shift), axis=(1, 2)) if self.shift else tensor

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def torch_weights(self) -> dict[str, tuple[Any, bool]]:
        """Published name -> the variable, and whether it is turned (a matrix of a linear layer)."""
        found = {
            "qkv.weight": (self.qkv_kernel, True),
            "relative_position_bias_table": (self.table, False),
            "proj.weight": (self.proj_kernel, True),
            "proj.bias": (self.proj_bias, False),
        }
        return found | ({"qkv.bias": (self.qkv_shift, False)} if self.qkv_bias else {})

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("heads", "window", "shift", "qkv_bias", "qk_scale")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("mammo_tf")
class Mlp(layers.Layer):
    """Two linear layers with `gelu` in between.

    Args:
        hidden: features in between.
    """

    def __init__(self, hidden: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = hidden

    def build(self, input_shape: Any) -> None:
        features = int(input_shape[-1])
        self.first = self.add_weight(name="fc1_kernel", shape=(features, self.hidden), initializer=small_normal())
        self.first_bias = self.add_weight(name="fc1_bias", shape=(self.hidden,), initializer="zeros")
        self.second = self.add_weight(name="fc2_kernel", shape=(self.hidden, features), initializer=small_normal())
        self.second_bias = self.add_weight(name="fc2_bias", shape=(features,), initializer="zeros")
        self.built = True

    def call(self, tensor: Any) -> Any:
        tensor = gelu(ops.matmul(tensor, self.first) + self.first_bias)
        return ops.matmul(tensor, self.second) + self.second_bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def torch_weights(self) -> dict[str, tuple[Any, bool]]:
        """As `WindowAttention.torch_weights`."""
        return {
            "fc1.weight": (self.first, True),
            "fc1.bias": (self.first_bias, False),
            "fc2.weight": (self.second, True),
            "fc2.bias": (self.second_bias, False),
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden}


@keras.saving.register_keras_serializable("mammo_tf")
class DropPath(layers.Layer):
    """In training leaves the branch of a block out of some examples, and scales it up in the others.

    Args:
        rate: share of the examples, from 0 to below 1.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, tensor: Any, training: bool = False) -> Any:
        if not training or not self.rate:
            return tensor
        shape = (ops.shape(tensor)[0], *[1] * (len(tensor.shape) - 1))
        drawn = uniform_noise(shape, self.seed_generator)
        kept = ops.cast(drawn >= self.rate, tensor.dtype)
        return tensor * kept / (1.0 - self.rate)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable("mammo_tf")
class SpaceToDepth(layers.Layer):
    """Two by two neighbours become features: even and odd rows of even columns, then those of odd columns."""

    def call(self, tensor: Any) -> Any:
        parts = [tensor[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return ops.concatenate(parts, axis=-1)


@keras.saving.register_keras_serializable("mammo_tf")
class DepthToSpace(layers.Layer):
    """Features become `factor` by `factor` neighbours: features are read as (row, column, features).

    Args:
        factor: by which rows and columns grow.
    """

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, tensor: Any) -> Any:
        rows, columns, features = (int(size) for size in tensor.shape[1:])
        side, left = self.factor, features // self.factor**2
        tensor = ops.reshape(tensor, (-1, rows, columns, side, side, left))
        return ops.reshape(ops.transpose(tensor, (0, 1, 3, 2, 4, 5)), (-1, rows * side, columns * side, left))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("mammo_tf")
class AddPosition(layers.Layer):
    """Adds a learned value to every place of a picture of features."""

    def build(self, input_shape: Any) -> None:
        self.position = self.add_weight(name="absolute_pos_embed", shape=input_shape[1:], initializer=small_normal())
        self.built = True

    def call(self, tensor: Any) -> Any:
        return tensor + self.position[None]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

"""The patch network of method A: a residual network of 29 layers and 5.95 million parameters.

29 = first convolution + 9 bottleneck blocks of three convolutions + dense layer. Layers and parameters:
`tests/models/test_resnet_patch.py`. Bottlenecks: He et al., Deep Residual Learning for Image Recognition, CVPR 2016.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, ClassVar, Self

import keras
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models.networks import MOST, NETWORKS, Shape, described
from mammo_tf.models.residual import ResidualBlock

EXPANSION = 4
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}
SMOKE_WIDTH = 4
STEM = "stem_pool"


@NETWORKS.register
@dataclass(frozen=True)
class ResNetPatch:
    """The patch network, see `resnet_patch`.

    Attributes:
        blocks: bottleneck blocks of each stage.
        width: filters of the first convolution and of the first stage; those of each later stage double.
        weight_decay: L2 factor of all kernels when it is built.
    """

    kind: ClassVar[str] = "resnet_patch"
    blocks: tuple[int, ...] = (2, 3, 4)
    width: int = 64
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not self.blocks or min(self.blocks) < 1:
            sentence = f"each stage of a resnet_patch has one block or more, not {tuple(self.blocks)}"
            raise MammoError("blocks_wrong", sentence)
        if max(self.blocks) > MOST:
            raise MammoError("blocks_wrong", f"each stage of a resnet_patch has at most {MOST} blocks")
        if not 1 <= self.width <= MOST:
            raise MammoError("width_wrong", f"a resnet_patch has one filter or more, up to {MOST}, not {self.width}")
        if not 0 <= self.weight_decay < math.inf:
            raise MammoError("decay_wrong", f"weight_decay of a resnet_patch is 0 or more, not {self.weight_decay:g}")

    def build(self, shape: Shape) -> keras.Model:
        """The network, its weights drawn again; errors as `resnet_patch`."""
        return resnet_patch(shape, self.blocks, self.width, self.weight_decay)

    def grow(self, before: keras.Model, shape: Shape) -> keras.Model:
        """Raises `cannot_grow`: the patch network starts from nothing."""
        raise MammoError("cannot_grow", f"a resnet_patch takes nothing over from {before.name}", "Put it first")

    def small(self) -> Self:
        """One narrow block a stage."""
        return replace(self, blocks=(1,) * len(self.blocks), width=SMOKE_WIDTH)

    def residual_stages(self) -> tuple[tuple[ResidualBlock, ...], ...]:
        """`block_1` (behind the pooling), `block_2`, ..., counted through all stages."""
        ends = list(accumulate(self.blocks))
        return tuple(
            tuple(_block(number) for number in range(end - count + 1, end + 1))
            for end, count in zip(ends, self.blocks, strict=True)
        )

    def residual_width(self) -> int:
        """`width`."""
        return self.width


def _block(number: int) -> ResidualBlock:
    return ResidualBlock(f"block_{number}", f"block_{number - 1}" if number > 1 else STEM, f"block_{number}")


def resnet_patch(
    input_shape: Shape = (512, 512, 1),
    blocks: tuple[int, ...] = (2, 3, 4),
    width: int = 64,
    weight_decay: float = 0.0,
) -> keras.Model:
    """The patch network: first convolution, stages of bottleneck blocks, global average pooling, softmax.

    A 7x7 convolution of stride 2, batch normalisation, ReLU and 3x3 max pooling of stride 2 come first. The first block
    of each later stage halves rows and columns in its 3x3 convolution.

    Args:
        input_shape: rows, columns, channels; float32 pictures after `Preprocessing`.
        blocks: bottleneck blocks of each stage, 1 or more.
        width: filters of the first convolution and of the first stage; those of each later stage double.
        weight_decay: L2 factor of all kernels (loss + factor x sum of squares). The paper's decay is that of a stage:
            `Stage(decay="coupled")`.

    Returns:
        Pictures `[batch, rows, columns, channels]` to probabilities `[batch, 2]` of negative and positive. As default
        29 layers with 5,954,242 trainable parameters, and 22,144 moving statistics.

    Raises:
        MammoError: `blocks_wrong`, `width_wrong`, `decay_wrong`, `size_too_small`.
    """
    description = ResNetPatch(tuple(blocks), width, weight_decay)
    smallest = 2 ** (len(blocks) + 1)
    if min(size or smallest for size in input_shape[:2]) < smallest:
        sentence = f"{input_shape[0]}x{input_shape[1]} pixels are too few for a resnet_patch of {len(blocks)} stages"
        raise MammoError("size_too_small", sentence, f"Rows and columns must be {smallest} or more")
    pictures = keras.Input(input_shape, name="input_1")
    features = layers.GlobalAveragePooling2D(name="pool")(trunk(pictures, blocks, width, weight_decay))
    outputs = layers.Dense(
        2, activation="softmax", kernel_regularizer=keras.regularizers.L2(weight_decay), dtype="float32", name="output"
    )(features)  # probabilities stay float32 under mixed precision
    model = keras.Model(pictures, outputs, name="resnet_patch")
    return described(model, description)


def trunk(tensor: Any, blocks: tuple[int, ...], width: int, weight_decay: float) -> Any:
    """Everything in front of the pooling: pictures to features `[batch, rows / stride, columns / stride, filters]`.

    The stride is 2^(stages + 1), the filters 4 x width x 2^(stages - 1): 16 and 1024 as default. Arguments as
    `resnet_patch`.
    """

    def convolved(tensor: Any, name: str, filters: int, size: int, stride: int = 1) -> Any:
        tensor = layers.Conv2D(
            filters, size, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(weight_decay), name=name,
        )(tensor)  # fmt: skip
        return layers.BatchNormalization(**BATCH_NORM, name=f"{name}_norm")(tensor)

    def bottleneck(tensor: Any, name: str, filters: int, stride: int, projected: bool) -> Any:
        shortcut = convolved(tensor, f"{name}_shortcut", EXPANSION * filters, 1, stride) if projected else tensor
        tensor = layers.ReLU(name=f"{name}_relu_1")(convolved(tensor, f"{name}_conv_1", filters, 1))
        tensor = layers.ReLU(name=f"{name}_relu_2")(convolved(tensor, f"{name}_conv_2", filters, 3, stride))
        tensor = convolved(tensor, f"{name}_conv_3", EXPANSION * filters, 1)
        return layers.ReLU(name=name)(layers.Add(name=f"{name}_add")([tensor, shortcut]))

    tensor = layers.ReLU(name="stem_relu")(convolved(tensor, "stem", width, 7, 2))
    tensor = layers.MaxPooling2D(3, 2, "same", name=STEM)(tensor)
    number = 0
    for stage, count in enumerate(blocks):
        for first in (True, *[False] * (count - 1)):
            number += 1
            stride = 2 if first and stage else 1
            tensor = bottleneck(tensor, f"block_{number}", width * 2**stage, stride, projected=first)
    return tensor

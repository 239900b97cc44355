"""The two bodies of End2End: VGG16 and ResNet50 as the Keras 2.0 files have them.

Names, order and hyper-parameters follow the tables of `tests/golden/end2end/models_1152x896.json`. ResNet50 differs
from `keras.applications`: batch normalisation epsilon 1e-3, stride in the first 1x1 convolution, first pooling without
padding, old layer names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from keras import layers

from mammo_tf.models.residual import ResidualBlock

VGG16_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
RESNET50_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
BATCH_NORM = {"momentum": 0.99, "epsilon": 1e-3}


def scaled(filters: int, width: float) -> int:
    """Number of filters at a fraction of the full width, never under one."""
    return max(1, round(filters * width))


def vgg16(tensor: Any, width: float) -> Any:
    """Thirteen 3x3 convolutions with ReLU and five poolings, `block1_conv1` to `block5_pool`; stride 32."""
    for block, (filters, repetitions) in enumerate(VGG16_BLOCKS, 1):
        for repetition in range(1, repetitions + 1):
            tensor = layers.Conv2D(
                scaled(filters, width), 3, padding="same", activation="relu", name=f"block{block}_conv{repetition}"
            )(tensor)
        tensor = layers.MaxPooling2D(2, name=f"block{block}_pool")(tensor)
    return tensor


def resnet50(tensor: Any, width: float, padded_stem: bool) -> Any:
    """ResNet50 up to `activation_49`; stride 32.

    Args:
        tensor: pictures `[batch, rows, columns, channels]`.
        width: fraction of the full number of filters.
        padded_stem: zero padding of 3 and a valid first convolution (Keras up to 2.0.6) instead of a `same` one (from
            2.0.7): equal shapes, different values.
    """
    activations, additions = count(1), count(1)

    def normalised(tensor: Any, name: str) -> Any:
        return layers.BatchNormalization(**BATCH_NORM, name=name)(tensor)

    def activated(tensor: Any) -> Any:
        return layers.Activation("relu", name=f"activation_{next(activations)}")(tensor)

    if padded_stem:
        tensor = layers.ZeroPadding2D(3, name="zero_padding2d_1")(tensor)
    padding = "valid" if padded_stem else "same"
    tensor = layers.Conv2D(scaled(64, width), 7, strides=2, padding=padding, name="conv1")(tensor)
    tensor = activated(normalised(tensor, "bn_conv1"))
    tensor = layers.MaxPooling2D(3, strides=2, name="max_pooling2d_1")(tensor)
    for stage, (filters, units) in enumerate(RESNET50_STAGES, 2):
        narrow, wide = scaled(filters, width), scaled(4 * filters, width)
        for unit in "abcdef"[:units]:
            first = unit == "a"
            stride = 2 if first and stage > 2 else 1
            inputs = tensor
            tensor = layers.Conv2D(narrow, 1, strides=stride, name=f"res{stage}{unit}_branch2a")(inputs)
            tensor = activated(normalised(tensor, f"bn{stage}{unit}_branch2a"))
            tensor = layers.Conv2D(narrow, 3, padding="same", name=f"res{stage}{unit}_branch2b")(tensor)
            tensor = activated(normalised(tensor, f"bn{stage}{unit}_branch2b"))
            tensor = layers.Conv2D(wide, 1, name=f"res{stage}{unit}_branch2c")(tensor)
            if first:
                inputs = layers.Conv2D(wide, 1, strides=stride, name=f"res{stage}{unit}_branch1")(inputs)
            tensor = normalised(tensor, f"bn{stage}{unit}_branch2c")
            if first:
                inputs = normalised(inputs, f"bn{stage}{unit}_branch1")
            tensor = activated(layers.Add(name=f"add_{next(additions)}")([tensor, inputs]))
    return tensor


def resnet50_blocks(prefix: str) -> tuple[tuple[ResidualBlock, ...], ...]:
    """The residual blocks of `resnet50` by stage, `res2a` to `res5c`; `prefix` leads to its layers (`model_1/`)."""
    units = sum(count for _, count in RESNET50_STAGES)
    last = [f"{prefix}max_pooling2d_1", *(f"{prefix}activation_{3 * number + 4}" for number in range(units))]
    ways = iter(zip(last, last[1:], strict=False))  # three activations a block, behind that of the stem
    return tuple(
        tuple(ResidualBlock(f"res{stage}{unit}", *next(ways)) for unit in "abcdef"[:count])
        for stage, (_, count) in enumerate(RESNET50_STAGES, 2)
    )


# name -> function of (pictures, width); a new backbone is a function above and a line here
BACKBONES: dict[str, Callable[[Any, float], Any]] = {
    "vgg16": vgg16,
    "resnet50": partial(resnet50, padded_stem=False),
    "resnet50_padded": partial(resnet50, padded_stem=True),
}
RESIDUAL_BACKBONES = ("resnet50", "resnet50_padded")  # those that `resnet50_blocks` speaks of

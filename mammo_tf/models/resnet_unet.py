"""A residual network as the way down of a U-Net, for every pixel a class.

Sources: He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016 (34 layers, basic blocks); Ronneberger et
al., *U-Net: Convolutional Networks for Biomedical Image Segmentation*, MICCAI 2015. Trained parameters for one channel
in and one class out: 21,278,400 on the way down, 24,430,097 in all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models.networks import NETWORKS, Shape
from mammo_tf.models.norms import check_norm
from mammo_tf.models.pixel_network import PROBABILITIES, activation_of, check_counts, enter, finish, head

STAGES = 4


@NETWORKS.register
@dataclass(frozen=True)
class ResNetUNet:
    """The network, see `resnet_unet`.

    Attributes:
        classes, width, blocks, norm, branches: as there.
    """

    kind: ClassVar[str] = "resnet_unet"
    classes: int = 1
    width: int = 64
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    norm: str = "batch"
    branches: int = 1

    def __post_init__(self) -> None:
        check_counts(self.kind, classes=self.classes, width=self.width, blocks=min(self.blocks))
        check_norm(self.kind, self.norm, self.branches)
        if self.width % 4:
            sentence = f"width of a resnet_unet is {self.width}, which does not divide by 4"
            raise MammoError("network_wrong", sentence, "The last features are a quarter of it")

    def build(self, shape: Shape) -> keras.Model:
        """The network, its weights drawn again; errors as `resnet_unet`."""
        return _build(shape, self)

    def grow(self, before: keras.Model, shape: Shape) -> keras.Model:
        """Raises `cannot_grow`: the network starts from nothing."""
        raise MammoError("cannot_grow", f"a resnet_unet takes nothing over from {before.name}", "Put it first")

    def small(self) -> Self:
        """One narrow block a stage."""
        return replace(self, blocks=(1, 1, 1, 1), width=min(self.width, 4))


def resnet_unet(
    input_shape: Shape,
    classes: int = 1,
    width: int = 64,
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3),
    norm: str = "batch",
    branches: int = 1,
    ending: str = PROBABILITIES,
) -> keras.Model:
    """A residual network as the way down of a U-Net.

    Down: a 7x7 convolution and 3x3 max pooling, of stride 2 each, then four stages of basic blocks; the first block of
    each later stage halves rows and columns. Up, five times: nearest upsampling, joined with the features of that size
    (none at the last), two 3x3 convolutions. A 3x3 convolution last.

    Args:
        input_shape: rows, columns, channels; rows and columns divide by 32, or are open.
        classes: for every pixel; of one a sigmoid is taken, of more a softmax.
        width: features of the first stage, a multiple of 4; those of each later one double.
        blocks: of each stage.
        norm: between convolution and ReLU, see `norms.normaliser`.
        branches: that the normalisation keeps apart; with several the model takes `[picture, branch]`.
        ending: "probabilities" or "logits".

    Returns:
        Pictures float32 `[batch, rows, columns, channels]` to `[batch, rows, columns, classes]`.

    Raises:
        MammoError: `network_wrong`; `size_undivided` with the nearest sizes that work; `size_open`.
    """
    return _build(input_shape, ResNetUNet(classes, width, blocks, norm, branches), ending)


def _build(shape: Shape, wanted: ResNetUNet, ending: str = PROBABILITIES) -> keras.Model:
    entry = enter(wanted.kind, shape, 2 ** (STAGES + 1), wanted.norm, wanted.branches)

    def convolved(tensor: Any, name: str, features: int, size: int = 3, stride: int = 1) -> Any:
        tensor = layers.Conv2D(
            features, size, stride, padding="same", use_bias=wanted.norm == "none", kernel_initializer="he_normal",
            name=name,
        )(tensor)  # fmt: skip
        return entry.normalise(tensor, f"{name}_norm")

    def activated(tensor: Any, name: str, features: int, size: int = 3, stride: int = 1) -> Any:
        return layers.ReLU(name=f"{name}_relu")(convolved(tensor, name, features, size, stride))

    def block(tensor: Any, name: str, features: int, stride: int) -> Any:
        shortcut = convolved(tensor, f"{name}_shortcut", features, 1, stride) if stride > 1 else tensor
        tensor = activated(tensor, f"{name}_conv_1", features, stride=stride)
        tensor = convolved(tensor, f"{name}_conv_2", features)
        return layers.ReLU(name=name)(layers.Add(name=f"{name}_add")([tensor, shortcut]))

    tensor = activated(entry.picture, "stem", wanted.width, 7, 2)
    skips = [tensor]
    tensor = layers.MaxPooling2D(3, 2, "same", name="stem_pool")(tensor)
    for stage, count in enumerate(wanted.blocks):
        for number in range(1, count + 1):
            stride = 2 if stage and number == 1 else 1
            tensor = block(tensor, f"stage_{stage + 1}_block_{number}", wanted.width * 2**stage, stride)
        skips.append(tensor)
    features = wanted.width * 2 ** (STAGES - 1)
    for number, skip in enumerate((*reversed(skips[:-1]), None), 1):
        features //= 2
        tensor = layers.UpSampling2D(name=f"up_{number}")(tensor)
        tensor = tensor if skip is None else layers.Concatenate(name=f"up_{number}_join")([tensor, skip])
        tensor = activated(activated(tensor, f"up_{number}_conv_1", features), f"up_{number}_conv_2", features)
    output = head(tensor, wanted.classes, size=3, activation=activation_of(wanted.classes, ending))
    return finish(entry, output, wanted)

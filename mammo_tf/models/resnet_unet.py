"""A residual network as the way down, and of a U-Net or of a fully convolutional network the way up; a class a pixel.

Sources: He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016 (34 layers of basic blocks, 50 of
bottlenecks); Ronneberger et al., *U-Net: Convolutional Networks for Biomedical Image Segmentation*, MICCAI 2015; Long
et al., *Fully Convolutional Networks for Semantic Segmentation*, CVPR 2015 (FCN-8s). Trained parameters for one channel
in and one class out: 21,278,400 down the 34 layers, 23,501,760 down the 50, 24,430,097 for 34 and U-Net in all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.models.networks import NETWORKS, Shape
from mammo_tf.models.norms import check_norm
from mammo_tf.models.pixel_network import PROBABILITIES, activation_of, check_counts, enter, finish, head

STAGES = 4
UNET, FCN_8S = "unet", "fcn_8s"  # ways up
WIDENED = 4  # the features behind a bottleneck, times those within


@NETWORKS.register
@dataclass(frozen=True)
class ResNetUNet:
    """The network, see `resnet_unet`.

    Attributes:
        classes, width, blocks, norm, branches, bottleneck, decoder: as there.
    """

    kind: ClassVar[str] = "resnet_unet"
    classes: int = 1
    width: int = 64
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    norm: str = "batch"
    branches: int = 1
    bottleneck: bool = False
    decoder: str = UNET

    def __post_init__(self) -> None:
        check_counts(self.kind, classes=self.classes, width=self.width, blocks=min(self.blocks))
        check_norm(self.kind, self.norm, self.branches)
        if self.decoder not in (UNET, FCN_8S):
            sentence = f"the decoder of a resnet_unet is {UNET} or {FCN_8S}, not {self.decoder!r}"
            raise MammoError("network_wrong", sentence)
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
    bottleneck: bool = False,
    decoder: str = UNET,
    ending: str = PROBABILITIES,
) -> keras.Model:
    """A residual network as the way down, and one of two ways up.

    Down: a 7x7 convolution and 3x3 max pooling, of stride 2 each, then four stages of blocks; the first block of each
    later stage halves rows and columns (by its first convolution). Up by `unet`, five times: nearest upsampling, joined
    with the features of that size (none at the last), two 3x3 convolutions; a 3x3 convolution last. Up by `fcn_8s`:
    classes by 1x1 convolutions at a 32nd, a 16th and an 8th of the size, the coarser doubled by a transposed
    convolution, which begins as bilinear interpolation and learns, and added to the finer; bilinear to full size.

    Args:
        input_shape: rows, columns, channels; rows and columns divide by 32, or are open.
        classes: for every pixel; of one a sigmoid is taken, of more a softmax.
        width: features of the first stage, a multiple of 4; those of each later one double.
        blocks: of each stage.
        norm: between convolution and ReLU, see `norms.normaliser`.
        branches: that the normalisation keeps apart; with several the model takes `[picture, branch]`.
        bottleneck: blocks of 1x1, 3x3 and 1x1 convolutions, four times as many features behind them (50 layers), in
            place of two 3x3 ones (34).
        decoder: "unet" or "fcn_8s".
        ending: "probabilities" or "logits".

    Returns:
        Pictures float32 `[batch, rows, columns, channels]` to `[batch, rows, columns, classes]`.

    Raises:
        MammoError: `network_wrong`; `size_undivided` with the nearest sizes that work; `size_open`.
    """
    return _build(input_shape, ResNetUNet(classes, width, blocks, norm, branches, bottleneck, decoder), ending)


@keras.saving.register_keras_serializable(package="mammo_tf")
class BilinearKernel(keras.initializers.Initializer):
    """Of a transposed convolution: bilinear interpolation, each class to itself (Long et al. 2015)."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """The kernel `[rows, columns, classes, classes]`."""
        rows, columns = (self._weights(size) for size in shape[:2])
        kernel = rows[:, None, None, None] * columns[None, :, None, None] * np.eye(*shape[2:])
        return keras.ops.convert_to_tensor(kernel, dtype or "float32")

    @staticmethod
    def _weights(size: int) -> NDArray[np.float64]:
        half = (size + 1) // 2
        centre = half - 1.0 if size % 2 else half - 0.5
        return 1 - np.abs(np.arange(size) - centre) / half


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
        behind = features * (WIDENED if wanted.bottleneck else 1)
        shortcut = tensor
        if stride > 1 or tensor.shape[-1] != behind:
            shortcut = convolved(tensor, f"{name}_shortcut", behind, 1, stride)
        if wanted.bottleneck:
            tensor = activated(tensor, f"{name}_conv_1", features, 1, stride)
            tensor = activated(tensor, f"{name}_conv_2", features)
            tensor = convolved(tensor, f"{name}_conv_3", behind, 1)
        else:
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
    if wanted.decoder == FCN_8S:
        return finish(entry, _classes_added(skips[-3:], wanted, ending), wanted)
    features = wanted.width * 2 ** (STAGES - 1)
    for number, skip in enumerate((*reversed(skips[:-1]), None), 1):
        features //= 2
        tensor = layers.UpSampling2D(name=f"up_{number}")(tensor)
        tensor = tensor if skip is None else layers.Concatenate(name=f"up_{number}_join")([tensor, skip])
        tensor = activated(activated(tensor, f"up_{number}_conv_1", features), f"up_{number}_conv_2", features)
    output = head(tensor, wanted.classes, size=3, activation=activation_of(wanted.classes, ending))
    return finish(entry, output, wanted)


def _classes_added(features: list[Any], wanted: ResNetUNet, ending: str) -> Any:
    """The way up of FCN-8s, from features at an 8th, a 16th and a 32nd of the size."""
    total: Any = None
    for at, tensor in reversed(list(enumerate(features))):
        size = 8 * 2**at
        found = head(tensor, wanted.classes, f"classes_{size}")
        if total is not None:
            total = layers.Conv2DTranspose(
                wanted.classes, 4, 2, padding="same", use_bias=False, kernel_initializer=BilinearKernel(),
                dtype="float32", name=f"doubled_{2 * size}",
            )(total)  # fmt: skip
            found = layers.Add(dtype="float32", name=f"added_{size}")([total, found])
        total = found
    total = layers.UpSampling2D(8, interpolation="bilinear", dtype="float32", name="full_size")(total)
    return layers.Activation(activation_of(wanted.classes, ending), dtype="float32", name="output")(total)

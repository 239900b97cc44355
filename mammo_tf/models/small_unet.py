"""The small U-Net of federated and of dual-normalisation papers: narrow, nearest upsampling, a sigmoid for each class.

Sources: Zhou et al., *Generalizable Cross-modality Medical Image Segmentation via Style Augmentation and Dual
Normalization*, CVPR 2022 (batch normalisation by domain); Liu et al., *FedDG: Federated Domain Generalization on
Medical Image Segmentation via Episodic Learning in Continuous Frequency Space*, CVPR 2021 (instance normalisation);
answers in `tests/golden/baselines`. Trained parameters for one channel in and one class out: 3,179,569 with instance
normalisation, 3,189,297 with batch normalisation of two branches; a branch has 4,864.
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

LEVELS = 5


@NETWORKS.register
@dataclass(frozen=True)
class SmallUNet:
    """The small U-Net, see `small_unet`.

    Attributes:
        classes, width, norm, branches, own_statistics: as there.
    """

    kind: ClassVar[str] = "small_unet"
    classes: int = 1
    width: int = 16
    norm: str = "instance"
    branches: int = 1
    own_statistics: bool = False

    def __post_init__(self) -> None:
        check_counts(self.kind, classes=self.classes, width=self.width)
        check_norm(self.kind, self.norm, self.branches, self.own_statistics)

    def build(self, shape: Shape) -> keras.Model:
        """The network, its weights drawn again; errors as `small_unet`."""
        return _build(shape, self)

    def grow(self, before: keras.Model, shape: Shape) -> keras.Model:
        """Raises `cannot_grow`: the network starts from nothing."""
        raise MammoError("cannot_grow", f"a small_unet takes nothing over from {before.name}", "Put it first")

    def small(self) -> Self:
        """Two filters at the top."""
        return replace(self, width=min(self.width, 2))


def small_unet(
    input_shape: Shape,
    classes: int = 1,
    width: int = 16,
    norm: str = "instance",
    branches: int = 1,
    own_statistics: bool = False,
    ending: str = PROBABILITIES,
) -> keras.Model:
    """The small U-Net.

    Args:
        input_shape: rows, columns, channels; rows and columns divide by 16, or are open.
        classes: for every pixel, a sigmoid each, as published; `Segmentation.loss` and `Segmentation.answer` say which
            of two it trains and reads.
        width: features of the first level; those of each deeper one double.
        norm: behind every convolution but the last, see `norms.normaliser`.
        branches: that the normalisation keeps apart; with several the model takes `[picture, branch]`.
        own_statistics: of batch normalisation with branches, see `MultiBatchNormalization`.
        ending: "probabilities" or "logits".

    Returns:
        Pictures float32 `[batch, rows, columns, channels]` to `[batch, rows, columns, classes]`. Layers bear the
        published names: `convd1` to `convd5`, `convu4` to `convu1`, `seg1`, whose input are the 2 x width features that
        the papers call the embedding.

    Raises:
        MammoError: `network_wrong`; `size_undivided` with the nearest sizes that work; `size_open`.
    """
    return _build(input_shape, SmallUNet(classes, width, norm, branches, own_statistics), ending)


def _build(shape: Shape, wanted: SmallUNet, ending: str = PROBABILITIES) -> keras.Model:
    step = 2 ** (LEVELS - 1)
    entry = enter(wanted.kind, shape, step, wanted.norm, wanted.branches, wanted.own_statistics)

    def convolved(tensor: Any, block: str, number: int, features: int, size: int = 3, relu: bool = True) -> Any:
        initial = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")  # a new one draws anew
        tensor = layers.Conv2D(
            features, size, padding="same", kernel_initializer=initial, name=f"{block}.conv{number}"
        )(tensor)
        tensor = entry.normalise(tensor, f"{block}.bn{number}")
        return layers.ReLU(name=f"{block}.relu{number}")(tensor) if relu else tensor

    tensor, levels = entry.picture, []
    for level in range(1, LEVELS + 1):
        block, features = f"convd{level}", wanted.width * 2 ** (level - 1)
        tensor = layers.MaxPooling2D(name=f"{block}.pool")(tensor) if level > 1 else tensor
        for number in (1, 2, 3):
            tensor = convolved(tensor, block, number, features, relu=number > 1)
        levels.append(tensor)
    for level in range(LEVELS - 1, 0, -1):
        block, features = f"convu{level}", wanted.width * 2**level
        tensor = convolved(tensor, block, 1, features) if level < LEVELS - 1 else tensor
        tensor = layers.UpSampling2D(name=f"{block}.up")(tensor)
        tensor = convolved(tensor, block, 2, features // 2, size=1)
        tensor = layers.Concatenate(name=f"{block}.join")([levels[level - 1], tensor])
        tensor = convolved(tensor, block, 3, features)
    return finish(entry, head(tensor, wanted.classes, "seg1", activation=activation_of(1, ending)), wanted)

"""U-Net: down by convolutions and pooling, up again with skip connections, for every pixel a class.

Source: Ronneberger et al., *U-Net: Convolutional Networks for Biomedical Image Segmentation*, MICCAI 2015, with same
padding, so that the answer is as large as the picture. Trained parameters for one channel in and one class out:
31,030,593; with batch normalisation behind each 3x3 convolution 31,042,369; of half the width 7,765,409.
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


@NETWORKS.register
@dataclass(frozen=True)
class UNet:
    """U-Net, see `unet`.

    Attributes:
        classes, width, levels, norm, branches, dropout: as there.
    """

    kind: ClassVar[str] = "unet"
    classes: int = 1
    width: int = 64
    levels: int = 5
    norm: str = "batch"
    branches: int = 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_counts(self.kind, classes=self.classes, width=self.width, levels=self.levels)
        check_norm(self.kind, self.norm, self.branches)
        if not 0 <= self.dropout < 1:
            raise MammoError("network_wrong", f"dropout of a unet lies from 0 to below 1, not at {self.dropout:g}")

    def build(self, shape: Shape) -> keras.Model:
        """The network, its weights drawn again; errors as `unet`."""
        return _build(shape, self)

    def grow(self, before: keras.Model, shape: Shape) -> keras.Model:
        """Raises `cannot_grow`: the network starts from nothing."""
        raise MammoError("cannot_grow", f"a unet takes nothing over from {before.name}", "Put it first")

    def small(self) -> Self:
        """Four filters at the top."""
        return replace(self, width=min(self.width, 4))


def unet(
    input_shape: Shape,
    classes: int = 1,
    width: int = 64,
    levels: int = 5,
    norm: str = "batch",
    branches: int = 1,
    dropout: float = 0.0,
    ending: str = PROBABILITIES,
) -> keras.Model:
    """U-Net.

    On each level two 3x3 convolutions with ReLU; 2x2 max pooling on the way down; on the way up a 2x2 transposed
    convolution that halves the features, joined behind those of the way down; a 1x1 convolution last.

    Args:
        input_shape: rows, columns, channels; rows and columns divide by 2^(levels - 1), or are open.
        classes: for every pixel; of one a sigmoid is taken, of more a softmax.
        width: features of the first level; those of each deeper one double.
        levels: the deepest included.
        norm: between convolution and ReLU, see `norms.normaliser`.
        branches: that the normalisation keeps apart; with several the model takes `[picture, branch]`.
        dropout: rate behind the deepest level.
        ending: "probabilities" or "logits".

    Returns:
        Pictures float32 `[batch, rows, columns, channels]` to `[batch, rows, columns, classes]`.

    Raises:
        MammoError: `network_wrong`; `size_undivided` with the nearest sizes that work; `size_open`.
    """
    return _build(input_shape, UNet(classes, width, levels, norm, branches, dropout), ending)


def _build(shape: Shape, wanted: UNet, ending: str = PROBABILITIES) -> keras.Model:
    entry = enter(wanted.kind, shape, 2 ** (wanted.levels - 1), wanted.norm, wanted.branches)

    def convolved(tensor: Any, path: str, features: int) -> Any:
        for number in (1, 2):
            tensor = layers.Conv2D(
                features, 3, padding="same", kernel_initializer="he_normal", name=f"{path}_conv_{number}"
            )(tensor)
            tensor = layers.ReLU(name=f"{path}_relu_{number}")(entry.normalise(tensor, f"{path}_norm_{number}"))
        return tensor

    tensor, skips = entry.picture, []
    for level in range(1, wanted.levels + 1):
        tensor = convolved(tensor, f"down_{level}", wanted.width * 2 ** (level - 1))
        if level < wanted.levels:
            skips.append(tensor)
            tensor = layers.MaxPooling2D(name=f"down_{level}_pool")(tensor)
    tensor = layers.Dropout(wanted.dropout, name="dropout")(tensor)
    for level in range(wanted.levels - 1, 0, -1):
        features = wanted.width * 2 ** (level - 1)
        tensor = layers.Conv2DTranspose(
            features, 2, strides=2, kernel_initializer="he_normal", name=f"up_{level}_transposed"
        )(tensor)
        tensor = layers.Concatenate(name=f"up_{level}_join")([skips[level - 1], tensor])
        tensor = convolved(tensor, f"up_{level}", features)
    output = head(tensor, wanted.classes, activation=activation_of(wanted.classes, ending))
    return finish(entry, output, wanted)

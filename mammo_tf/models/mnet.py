"""M-net: a U-Net that sees the picture at four scales, is supervised at four depths, and answers with their mean.

Source: Fu et al., *Joint Optic Disc and Cup Segmentation Based on Multi-Label Deep Network and Polar Transformation*,
IEEE TMI 2018, without the polar transformation, which is of the optic disc; answers in `tests/golden/baselines`.
Trained parameters for one channel in and one class out: 8,538,596.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras
from keras import layers, ops

from mammo_tf.errors import MammoError
from mammo_tf.models.networks import NETWORKS, Shape
from mammo_tf.models.norms import check_norm
from mammo_tf.models.pixel_network import check_counts, enter, finish, head

SIDES = 4
WEIGHTS = (0.1, 0.1, 0.1, 0.1, 0.6)  # of the sides and of their mean in the loss


@NETWORKS.register
@dataclass(frozen=True)
class MNet:
    """M-net, see `mnet`.

    Attributes:
        classes, width, norm, branches, deep_supervision: as there.
    """

    kind: ClassVar[str] = "mnet"
    classes: int = 1
    width: int = 32
    norm: str = "none"
    branches: int = 1
    deep_supervision: bool = True

    def __post_init__(self) -> None:
        check_counts(self.kind, classes=self.classes, width=self.width)
        check_norm(self.kind, self.norm, self.branches)

    @property
    def output_weights(self) -> tuple[float, ...]:
        """How much each map counts in the loss, see `networks.output_weights_of`."""
        return WEIGHTS if self.deep_supervision else (1.0,)

    def build(self, shape: Shape) -> keras.Model:
        """The network, its weights drawn again; errors as `mnet`."""
        return _build(shape, self)

    def grow(self, before: keras.Model, shape: Shape) -> keras.Model:
        """Raises `cannot_grow`: the network starts from nothing."""
        raise MammoError("cannot_grow", f"an mnet takes nothing over from {before.name}", "Put it first")

    def small(self) -> Self:
        """Two filters at the top."""
        return replace(self, width=min(self.width, 2))


def mnet(
    input_shape: Shape,
    classes: int = 1,
    width: int = 32,
    norm: str = "none",
    branches: int = 1,
    deep_supervision: bool = False,
) -> keras.Model:
    """M-net.

    Args:
        input_shape: rows, columns, channels; rows and columns divide by 16, or are open.
        classes: for every pixel, a sigmoid each.
        width: features of the first level; those of each deeper one double.
        norm: between each 3x3 convolution and its ReLU, see `norms.normaliser`; published without.
        branches: that the normalisation keeps apart; with several the model takes `[picture, branch]`.
        deep_supervision: give the four sides in front of their mean, deepest first, so that each can be trained.

    Returns:
        Pictures float32 `[batch, rows, columns, channels]` to probabilities `[batch, rows, columns, classes]`, with
        `deep_supervision` `[batch, rows, columns, 5 x classes]`, the answer last. Layers bear the published names.

    Raises:
        MammoError: `network_wrong`; `size_undivided` with the nearest sizes that work; `size_open`.
    """
    return _build(input_shape, MNet(classes, width, norm, branches, deep_supervision))


@keras.saving.register_keras_serializable("mammo_tf")
class SideOutputs(layers.Layer):
    """Probabilities of the sides to their mean, in float32 under mixed precision too.

    Args:
        kept: the sides stand in front of their mean.
    """

    def __init__(self, kept: bool, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.kept = kept

    def call(self, sides: Any) -> Any:
        mean = sum(sides[1:], start=sides[0]) / len(sides)
        return ops.concatenate([*sides, mean], axis=-1) if self.kept else mean

    def compute_output_shape(self, input_shape: Any) -> Any:
        maps = len(input_shape) + 1 if self.kept else 1
        return (*input_shape[0][:-1], maps * input_shape[0][-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kept": self.kept}


def _build(shape: Shape, wanted: MNet) -> keras.Model:
    entry = enter(wanted.kind, shape, 2**SIDES, wanted.norm, wanted.branches)

    def convolved(tensor: Any, name: str, features: int) -> Any:
        convolution = layers.Conv2D(features, 3, padding="same", kernel_initializer="he_normal", name=name)
        return layers.ReLU(name=f"{name}_relu")(entry.normalise(convolution(tensor), f"{name}_norm"))

    def twice(tensor: Any, block: int, features: int) -> Any:
        return convolved(convolved(tensor, f"block{block}_conv1", features), f"block{block}_conv2", features)

    picture, tensor, skips = entry.picture, entry.picture, []
    for block in range(1, SIDES + 1):
        features = wanted.width * 2 ** (block - 1)
        if block > 1:
            picture = layers.AveragePooling2D(2, name=f"block{block}_picture")(picture)
            pooled = layers.MaxPooling2D(name=f"block{block - 1}_pool")(tensor)
            seen = convolved(picture, f"block{block}_input1", features)
            tensor = layers.Concatenate(name=f"block{block}_join")([seen, pooled])
        tensor = twice(tensor, block, features)
        skips.append(tensor)
    tensor = twice(layers.MaxPooling2D(name=f"block{SIDES}_pool")(tensor), SIDES + 1, wanted.width * 2**SIDES)
    sides = []
    for level in range(SIDES - 1, -1, -1):
        block, features = 2 * SIDES + 1 - level, wanted.width * 2**level
        up = layers.Conv2DTranspose(features, 2, strides=2, name=f"block{block}_dconv")(tensor)
        tensor = twice(layers.Concatenate(name=f"block{block}_join")([up, skips[level]]), block, features)
        # a 1x1 convolution of a picture blown up is that of the picture, blown up, and needs less memory
        side = head(tensor, wanted.classes, f"side_{block}3", activation="sigmoid")
        sides.append(layers.UpSampling2D(2**level, dtype="float32", name=f"side_{block}3_up")(side) if level else side)
    return finish(entry, SideOutputs(wanted.deep_supervision, name="average")(sides), wanted)

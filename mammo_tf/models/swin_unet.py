"""Swin-Unet: windows of attention, down and up again, for every pixel a class; with branches the network of MLN-net.

Parameters, from `tests/golden/swin_unet`: 27,168,900 in the published configuration (224x224, three channels, nine
classes). The paper of MLN-net counts 83.6 million, and 84.9 million with multiple layer normalisation; nearest are
depths 2-2-18-2 with window 8, 84,041,796, and three branches add 149,760 to that, not 1.3 million.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, Self

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.models.branch_network import PictureMean
from mammo_tf.models.networks import NETWORKS, Shape, described
from mammo_tf.models.normalization import ELEMENT, REDUCTIONS, MultiLayerNormalization
from mammo_tf.models.pixel_network import check_counts
from mammo_tf.models.swin_layers import (
    AddPosition,
    DepthToSpace,
    DropPath,
    Mlp,
    SpaceToDepth,
    WindowAttention,
    small_normal,
)

STAGES = 4
BUFFERS = ("attn_mask", "relative_position_index")  # of the published layout; computed here


@NETWORKS.register
@dataclass(frozen=True)
class SwinUnet:
    """Swin-Unet, see `swin_unet`.

    Attributes:
        classes, patch_size, embed_dim, depths, heads, window, branches, mlp_ratio, qkv_bias, qk_scale, patch_norm,
            absolute_position, drop_path, reduction: as there.
    """

    kind: ClassVar[str] = "swin_unet"
    classes: int = 2
    patch_size: int = 4
    embed_dim: int = 96
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    window: int = 8
    branches: int = 1
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    qk_scale: float | None = None
    patch_norm: bool = True
    absolute_position: bool = False
    drop_path: float = 0.1
    reduction: str = ELEMENT

    def __post_init__(self) -> None:
        if self.reduction not in REDUCTIONS or (self.reduction != ELEMENT and self.branches == 1):
            sentence = f"the reduction of a swin_unet is one of {', '.join(REDUCTIONS)}, not {self.reduction!r}"
            if self.reduction in REDUCTIONS:
                sentence = f"the reduction {self.reduction!r} of a swin_unet belongs to several branches"
            raise MammoError("network_wrong", sentence)
        counts = (self.classes, self.patch_size, self.embed_dim, self.window, self.branches, *self.depths, *self.heads)
        for count in counts:
            check_counts(self.kind, **{"every number": count})
        for stage, heads in enumerate(self.heads):
            if (self.embed_dim * 2**stage) % heads:
                sentence = f"{heads} heads do not divide the {self.embed_dim * 2**stage} features of stage {stage + 1}"
                raise MammoError("network_wrong", f"swin_unet: {sentence}")
        if not 0 < self.mlp_ratio <= 100:
            raise MammoError("network_wrong", f"mlp_ratio is above 0, up to 100, not {self.mlp_ratio:g}")
        if not 0 <= self.drop_path < 1:
            raise MammoError("network_wrong", f"drop_path lies from 0 to below 1, not at {self.drop_path:g}")

    def build(self, shape: Shape) -> keras.Model:
        """The network, its weights drawn again; errors as `swin_unet`."""
        return _build(shape, self)

    def grow(self, before: keras.Model, shape: Shape) -> keras.Model:
        """Raises `cannot_grow`: the network starts from nothing, or from a file (`load_torch_weights`)."""
        raise MammoError("cannot_grow", f"a swin_unet takes nothing over from {before.name}", "Put it first")

    def small(self) -> Self:
        """One narrow block a stage."""
        return replace(self, embed_dim=12, depths=(1, 1, 1, 1), heads=(1, 2, 3, 4), window=min(self.window, 4))

    def windows(self, size: tuple[int, int]) -> list[tuple[int, int]] | None:
        """Side of the windows, and their shift, by stage; None where the size does not divide into them."""
        found = []
        for stage in range(STAGES):
            step = self.patch_size * 2**stage
            if size[0] % step or size[1] % step:
                return None
            rows, columns = size[0] // step, size[1] // step
            window, shift = (self.window, self.window // 2) if min(rows, columns) > self.window else (0, 0)
            window = window or min(rows, columns)
            if rows % window or columns % window:
                return None
            found.append((window, shift))
        return found


def swin_unet(
    input_shape: Shape,
    classes: int = 2,
    patch_size: int = 4,
    embed_dim: int = 96,
    depths: tuple[int, int, int, int] = (2, 2, 2, 2),
    heads: tuple[int, int, int, int] = (3, 6, 12, 24),
    window: int = 8,
    branches: int = 1,
    mlp_ratio: float = 4.0,
    qkv_bias: bool = True,
    qk_scale: float | None = None,
    patch_norm: bool = True,
    absolute_position: bool = False,
    drop_path: float = 0.1,
    ending: str = "probabilities",
    reduction: str = ELEMENT,
) -> keras.Model:
    """Swin-Unet.

    Patches of `patch_size` pixels become features; three stages of blocks, each followed by a merging of two by two
    neighbours, a fourth at the bottom, and the same way up with skip connections. Blocks of odd number shift their
    windows by half. The stage's window is `window`, or all that is left where rows or columns are no more than that.

    Args:
        input_shape: rows, columns, channels; each stage must divide into its windows.
        classes: for every pixel.
        patch_size: pixels of a patch's side.
        embed_dim: features of the first stage; those of each later one double.
        depths: blocks of each stage; the way up has those of the first three.
        heads: of attention, by stage.
        window: side of the windows, in patches.
        branches: of `MultiLayerNormalization`; with several the model takes `[picture, branch]`.
        mlp_ratio: hidden features of a block over its features.
        qkv_bias, qk_scale: see `WindowAttention`.
        patch_norm: normalise after the patch embedding.
        absolute_position: learn a value for every place too.
        drop_path: of the last block; rises evenly from 0 at the first.
        ending: "probabilities", by softmax, of one class by sigmoid; "logits"; or "tokens", the features before the
            way to pixels.
        reduction: of `MultiLayerNormalization`, what its branches are compared by.

    Returns:
        Pictures float32 `[batch, rows, columns, channels]` to `[batch, rows, columns, classes]`. Layers bear the names
        of the published layout: `layers.*` on the way down, `layers_up.*` and `concat_back_dim.*` on the way up.

    Raises:
        MammoError: `network_wrong`; `size_undivided` with the nearest sizes that work.
    """
    described_as = SwinUnet(
        classes, patch_size, embed_dim, depths, heads, window, branches, mlp_ratio, qkv_bias, qk_scale,
        patch_norm, absolute_position, drop_path, reduction,
    )  # fmt: skip
    return _build(input_shape, described_as, ending)


def _build(shape: Shape, wanted: SwinUnet, ending: str = "probabilities") -> keras.Model:
    rows, columns, channels = shape
    if rows is None or columns is None:
        raise MammoError("size_open", "a swin_unet is built for pictures of one size", "Name rows and columns")
    windows = wanted.windows((rows, columns))
    if windows is None:
        raise MammoError("size_undivided", *_nearest(wanted, (rows, columns)))
    picture = keras.Input((rows, columns, channels), name="image")
    branch = keras.Input((), dtype="int32", name="branch") if wanted.branches > 1 else None
    rates = np.linspace(0, wanted.drop_path, sum(wanted.depths))
    firsts = np.cumsum((0, *wanted.depths))

    def norm(tensor: Any, name: str) -> Any:
        layer = MultiLayerNormalization(wanted.branches, reduction=wanted.reduction, name=name)
        return layer(tensor) if branch is None else layer(tensor, branch)

    def linear(tensor: Any, name: str, features: int, bias: bool = False) -> Any:
        return layers.Dense(features, use_bias=bias, kernel_initializer=small_normal(), name=name)(tensor)

    def blocks(tensor: Any, name: str, stage: int) -> Any:
        features = wanted.embed_dim * 2**stage
        window, shift = windows[stage]
        for number in range(wanted.depths[stage]):
            path, rate = f"{name}.blocks.{number}", float(rates[firsts[stage] + number])
            attention = WindowAttention(
                wanted.heads[stage], window, shift if number % 2 else 0, wanted.qkv_bias, wanted.qk_scale,
                name=f"{path}.attn",
            )  # fmt: skip
            found = DropPath(rate, name=f"{path}.drop_1")(attention(norm(tensor, f"{path}.norm1")))
            tensor = layers.Add(name=f"{path}.add_1")([tensor, found])
            mlp = Mlp(int(features * wanted.mlp_ratio), name=f"{path}.mlp")
            found = DropPath(rate, name=f"{path}.drop_2")(mlp(norm(tensor, f"{path}.norm2")))
            tensor = layers.Add(name=f"{path}.add_2")([tensor, found])
        return tensor

    def expand(tensor: Any, name: str, factor: int, features: int) -> Any:
        wide = linear(tensor, f"{name}.expand", features * factor**2)
        return norm(DepthToSpace(factor, name=f"{name}.space")(wide), f"{name}.norm")

    side = wanted.patch_size
    seen = picture if branch is None else PictureMean(wanted.branches, name="picture")(picture, branch)
    tensor = layers.Conv2D(
        wanted.embed_dim, side, side, kernel_initializer=_convolution(), name="patch_embed.proj",
        bias_initializer=keras.initializers.RandomUniform(*(np.array([-1, 1]) / (side * np.sqrt(channels)))),
    )(seen)  # fmt: skip
    tensor = norm(tensor, "patch_embed.norm") if wanted.patch_norm else tensor
    tensor = AddPosition(name="absolute_position")(tensor) if wanted.absolute_position else tensor
    skips = []
    for stage in range(STAGES):
        skips.append(tensor)
        tensor = blocks(tensor, f"layers.{stage}", stage)
        if stage < STAGES - 1:
            path = f"layers.{stage}.downsample"
            merged = norm(SpaceToDepth(name=f"{path}.merge")(tensor), f"{path}.norm")
            tensor = linear(merged, f"{path}.reduction", wanted.embed_dim * 2 ** (stage + 1))
    tensor = norm(tensor, "norm")
    tensor = expand(tensor, "layers_up.0", 2, wanted.embed_dim * 4)
    for number in range(1, STAGES):
        stage = STAGES - 1 - number
        joined = layers.Concatenate(name=f"skip.{number}")([tensor, skips[stage]])
        tensor = linear(joined, f"concat_back_dim.{number}", wanted.embed_dim * 2**stage, bias=True)
        tensor = blocks(tensor, f"layers_up.{number}", stage)
        if stage:
            tensor = expand(tensor, f"layers_up.{number}.upsample", 2, wanted.embed_dim * 2 ** (stage - 1))
    tensor = norm(tensor, "norm_up")
    if ending != "tokens":
        tensor = expand(tensor, "up", wanted.patch_size, wanted.embed_dim)
        tensor = layers.Conv2D(
            wanted.classes, 1, use_bias=False, kernel_initializer=_convolution(), dtype="float32", name="output",
            activation=("softmax" if wanted.classes > 1 else "sigmoid") if ending == "probabilities" else None,
        )(tensor)  # fmt: skip
    inputs = picture if branch is None else [picture, branch]
    return described(keras.Model(inputs, tensor, name="swin_unet"), wanted)


def _nearest(wanted: SwinUnet, size: tuple[int, int]) -> tuple[str, str]:
    """What is wrong with a size, and the nearest sizes that work."""
    step = wanted.patch_size * 2 ** (STAGES - 1)
    tall, wide = (range(max(step, (side // step - 8) * step), (side // step + 10) * step, step) for side in size)
    fitting = [one for one in product(tall, wide) if wanted.windows(one)]

    def closest(candidates: list[tuple[int, int]]) -> str:
        best = min(candidates, key=lambda one: abs(one[0] - size[0]) + abs(one[1] - size[1]))
        return f"{best[0]}x{best[1]}"

    below = [one for one in fitting if one[0] <= size[0] and one[1] <= size[1]]
    above = [one for one in fitting if one[0] >= size[0] and one[1] >= size[1]]
    sentence = f"{size[0]}x{size[1]} pixels do not divide into windows of {wanted.window} on every stage of a swin_unet"
    nearest = " or ".join(closest(part) for part in (below, above) if part)
    return sentence, f"Take {nearest or 'another window'}, or pad the picture to the larger one"


def load_torch_weights(model: keras.Model, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Sets the weights from those of the published PyTorch network; every branch gets the same gain and shift.

    Args:
        model: as `swin_unet` builds it.
        arrays: name -> array, the PyTorch state; buffers are passed over.

    Raises:
        MammoError: `weights_differ` naming what is missing, what is left over, and what is of another shape; nothing is
            set then.
    """
    set_torch_weights(model, arrays)


def set_torch_weights(model: keras.Model, arrays: Mapping[str, NDArray[Any]], parts: tuple[str, ...] = ("",)) -> None:
    """As `load_torch_weights`, of those weights alone whose name begins with one of `parts`."""
    named = {f"{layer.name}.{name}": how for layer in model.layers for name, how in _torch_weights(layer).items()}
    wanted = {name: how for name, how in named.items() if name.startswith(parts)}
    given = {name: values for name, values in arrays.items() if name.rpartition(".")[2] not in BUFFERS}
    wrong, found = [], {}
    for name, (variable, turned) in wanted.items():
        if name.endswith("absolute_pos_embed") and "absolute_pos_embed" in given:
            given[name] = given.pop("absolute_pos_embed").reshape(variable.shape)
        if name not in given:
            wrong.append(f"{name} is missing")
            continue
        values = _turned(np.asarray(given[name]), turned)
        if isinstance(turned, str):
            values = np.broadcast_to(values, variable.shape) if values.shape == variable.shape[1:] else values
        if values.shape != tuple(variable.shape):
            wrong.append(f"{name} is {list(given[name].shape)}, of this network {list(variable.shape)}")
        found[name] = values
    wrong += [f"{name} is of no use here" for name in given if name not in wanted]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        sentence = f"the weights are those of another network: {'; '.join(wrong[:3])}{more}"
        raise MammoError("weights_differ", sentence, "Build swin_unet with the arguments of the file")
    for name, (variable, _) in wanted.items():
        variable.assign(found[name])


def _torch_weights(layer: Any) -> dict[str, tuple[Any, bool | str]]:
    """As `WindowAttention.torch_weights`; of a normalisation the second is "branches"."""
    if isinstance(layer, MultiLayerNormalization):
        return {"weight": (layer.gamma, "branches"), "bias": (layer.beta, "branches")}
    if isinstance(layer, layers.Dense | layers.Conv2D):
        found: dict[str, tuple[Any, bool | str]] = {"weight": (layer.kernel, True)}
        return found | ({"bias": (layer.bias, False)} if layer.use_bias else {})
    if isinstance(layer, AddPosition):
        return {"absolute_pos_embed": (layer.position, False)}
    return dict(layer.torch_weights()) if hasattr(layer, "torch_weights") else {}


def _turned(values: NDArray[Any], turned: bool | str) -> NDArray[Any]:
    """(out, in) to (in, out), (out, in, rows, columns) to (rows, columns, in, out)."""
    if turned is not True:
        return values
    return values.transpose(2, 3, 1, 0) if values.ndim == 4 else values.T


def _convolution() -> keras.initializers.Initializer:
    """PyTorch's own for a convolution."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")

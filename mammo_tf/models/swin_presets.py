"""The encoder of a Swin-Unet from a Swin Transformer of keras-hub, for whoever has its published weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.models.swin_unet import set_torch_weights

ENCODER = ("patch_embed.", "layers.", "norm.")


def load_swin_encoder(model: keras.Model, backbone: Any) -> None:
    """Sets patch embedding, stages and bottom normalisation from a backbone of keras-hub; the way up stays as it is.

    A model of one channel takes the sum over the backbone's channels, which is what three equal channels give. Every
    branch of a normalisation gets the same gain and shift. What the backbone was trained on, and its licence, are told
    by its preset; the presets see pictures normalised by ImageNet's mean and deviation.

    Args:
        model: of `swin_unet`.
        backbone: `keras_hub.models.SwinTransformerBackbone`, say `.from_preset("swin_tiny_patch4_window7_224")`.

    Raises:
        MammoError: `weights_differ` where the model's features, heads, windows, or depths on the way down are others;
            nothing is set then. `backbone_unknown` for something else.
    """
    arrays = encoder_arrays(backbone)
    channels = int(model.inputs[0].shape[-1])
    if channels == 1:
        arrays["patch_embed.proj.weight"] = arrays["patch_embed.proj.weight"].sum(axis=1, keepdims=True)
    set_torch_weights(model, arrays, ENCODER)


def encoder_arrays(backbone: Any) -> dict[str, NDArray[Any]]:
    """Weights of a keras-hub Swin Transformer by the names and in the layout of the PyTorch state of a Swin-Unet.

    Raises:
        MammoError: `backbone_unknown`.
    """
    if not all(hasattr(backbone, name) for name in ("patch_embedding", "stages", "norm")):
        sentence = f"{type(backbone).__name__} is no Swin Transformer of keras-hub"
        raise MammoError("backbone_unknown", sentence, "Give keras_hub.models.SwinTransformerBackbone")
    found: dict[str, Any] = {}

    def norm(name: str, layer: Any) -> None:
        found.update({f"{name}.weight": _array(layer.gamma), f"{name}.bias": _array(layer.beta)})

    def dense(name: str, layer: Any) -> None:
        found[f"{name}.weight"] = _array(layer.kernel).T
        if layer.bias is not None:
            found[f"{name}.bias"] = _array(layer.bias)

    patches = backbone.patch_embedding
    found["patch_embed.proj.weight"] = _array(patches.proj.kernel).transpose(3, 2, 0, 1)
    found["patch_embed.proj.bias"] = _array(patches.proj.bias)
    if patches.norm is not None:
        norm("patch_embed.norm", patches.norm)
    for number, stage in enumerate(backbone.stages):
        for at, block in enumerate(stage.blocks):
            path = f"layers.{number}.blocks.{at}"
            found[f"{path}.attn.relative_position_bias_table"] = _array(block.attn.relative_position_bias_table)
            for name, layer in (("norm1", block.norm1), ("norm2", block.norm2)):
                norm(f"{path}.{name}", layer)
            dense(f"{path}.attn.qkv", block.attn.qkv)
            dense(f"{path}.attn.proj", block.attn.proj)
            dense(f"{path}.mlp.fc1", block.mlp.fc1)
            dense(f"{path}.mlp.fc2", block.mlp.fc2)
        if stage.downsample is not None:
            norm(f"layers.{number}.downsample.norm", stage.downsample.norm)
            dense(f"layers.{number}.downsample.reduction", stage.downsample.reduction)
    norm("norm", backbone.norm)
    return found


def _array(variable: Any) -> NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(variable))

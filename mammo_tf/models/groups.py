"""Parts of a network by name or pattern, so that a stage can say what it trains."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

import keras
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models.end2end import BODY
from mammo_tf.models.normalization import MULTIPLE, MultiBatchNormalization
from mammo_tf.models.rebuild import named_layers
from mammo_tf.models.residual import residual_blocks

ALL = "all"
NORMALISATIONS = (
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.GroupNormalization,
    *MULTIPLE,
)
BATCH_NORMALISATIONS = (layers.BatchNormalization, MultiBatchNormalization)


def layer_groups(model: keras.Model) -> dict[str, tuple[str, ...]]:
    """Names of parts and the paths of their layers with weights, in order.

    Every layer (`conv2d_1`, `model_1/block5_conv1`) and nested model is a part of its own. Every network has `all`,
    `output` (the layers that give what the model gives) and `normalisation` (batch, layer and group normalisations,
    those with branches among them).
    End2End models also have `backbone`, `block_1` and `block_2`; in the VGG16 body and the VGG16 patch model `block1`
    to `block5` are the backbone's own blocks. Residual blocks are parts by the names that the model's description gives
    them: `block_1` to `block_9` of a `resnet_patch`, `res2a` to `res5c` of a ResNet50 body.
    """
    named = dict(named_layers(model))
    leaves = [path for path, layer in named.items() if layer.weights and not isinstance(layer, keras.Model)]
    groups: dict[str, tuple[str, ...]] = {path: (path,) for path in leaves}
    for path, layer in named.items():
        if isinstance(layer, keras.Model):
            groups[path] = tuple(leaf for leaf in leaves if leaf.startswith(f"{path}/"))
    for number in range(1, 6):
        block = tuple(leaf for leaf in leaves if leaf.rpartition("/")[2].startswith(f"block{number}_"))
        if block:
            groups[f"block{number}"] = block
    for name, inside in residual_blocks(model).items():
        groups[name] = tuple(path for path in inside if path in leaves)
    last = {output._keras_history.operation.name for output in model.outputs}
    groups["output"] = tuple(leaf for leaf in leaves if leaf in last)
    groups["normalisation"] = tuple(leaf for leaf in leaves if isinstance(named[leaf], NORMALISATIONS))
    if BODY in groups:
        groups["backbone"] = groups[BODY]
        head = [leaf for leaf in leaves if "/" not in leaf and leaf not in groups["output"]]
        half = len(head) // 2
        groups["block_1"], groups["block_2"] = tuple(head[:half]), tuple(head[half:])
    groups[ALL] = tuple(leaves)
    return groups


def matching_layers(model: keras.Model, parts: Sequence[str]) -> set[str]:
    """Paths of the layers that are named, by a part of `layer_groups` or by a pattern over paths (`encoder/*`).

    Raises:
        MammoError: `part_unknown` with the nearest name.
    """
    groups = layer_groups(model)
    wanted: set[str] = set()
    for part in parts:
        found = groups.get(part) or tuple(leaf for leaf in groups[ALL] if fnmatchcase(leaf, part))
        if not found and part in groups:
            raise MammoError("part_unknown", f"the part {part!r} of the model {model.name} has no weights to train")
        if not found:
            near = difflib.get_close_matches(part, groups, 1)
            remedy = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(sorted(groups))}"
            raise MammoError("part_unknown", f"the model {model.name} has no part {part!r}", remedy)
        wanted |= set(found)
    return wanted


def set_trainable(model: keras.Model, parts: Sequence[str], batch_norm: bool = True) -> tuple[str, ...]:
    """Makes the named parts trainable and everything else not, and returns the paths of the trainable layers.

    A layer that is not trainable keeps its weights; if it is a batch normalisation it also keeps its statistics and
    uses them. So do the kept layers of `models.spottune`, whatever is named. The model must be compiled afterwards,
    with a new optimiser.

    Args:
        model: functional model, nested models included.
        parts: names or patterns, see `matching_layers`.
        batch_norm: False keeps every batch normalisation as it is, wherever it lies.

    Raises:
        MammoError: `part_unknown` with the nearest name; `nothing_trainable`.
    """
    wanted = matching_layers(model, parts)
    chosen = []
    for path, layer in named_layers(model):
        if isinstance(layer, keras.Model) or not layer.weights:
            continue
        layer.trainable = path in wanted and (batch_norm or not isinstance(layer, BATCH_NORMALISATIONS))
        if layer.trainable and layer.trainable_weights:
            chosen.append(path)
    if not chosen:
        listed = ", ".join(parts)
        raise MammoError("nothing_trainable", f"the parts {listed} of {model.name} hold nothing that can be trained")
    return tuple(chosen)

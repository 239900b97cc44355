"""Normalisations by name, so that one network has the forms of several papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models.networks import MOST
from mammo_tf.models.normalization import EPSILON, MOMENTUM, MultiBatchNormalization, MultiLayerNormalization

NORMS = ("none", "batch", "layer", "instance")
APART = ("batch", "layer")  # those that can keep branches apart
Normalise = Callable[[Any, str], Any]


def check_norm(kind: str, norm: str, branches: int = 1, own_statistics: bool = False) -> None:
    """Refuses what no normalisation can do.

    Args:
        kind: of the network, for messages.
        norm, branches, own_statistics: as for `normaliser`.

    Raises:
        MammoError: `network_wrong`.
    """
    if norm not in NORMS:
        raise MammoError("network_wrong", f"the norm of a {kind} is one of {', '.join(NORMS)}, not {norm!r}")
    if not 1 <= branches <= MOST:
        raise MammoError("network_wrong", f"a {kind} has one branch or more, up to {MOST}, not {branches}")
    if branches > 1 and norm not in APART:
        sentence = f"a {kind} with norm {norm!r} has nothing that could keep {branches} branches apart"
        raise MammoError("network_wrong", sentence, f"Take one branch, or the norm {' or '.join(APART)}")
    if own_statistics and (norm != "batch" or branches == 1):
        sentence = f"own_statistics of a {kind} belong to the norm 'batch' with several branches"
        raise MammoError("network_wrong", sentence, "Leave own_statistics at false")


def normaliser(norm: str, branches: int = 1, branch: Any = None, own_statistics: bool = False) -> Normalise:
    """What normalises a tensor `[batch, rows, columns, features]` by a layer of the given name.

    Args:
        norm: "none"; "batch", over batch and places (momentum 0.9), with several branches `MultiBatchNormalization`;
            "layer", over the features of each place, `MultiLayerNormalization`; or "instance", over the places of each
            feature and example, without gain and shift.
        branches: kept apart.
        branch: of each example, whole numbers `[batch]`; None where there is one branch.
        own_statistics: see `MultiBatchNormalization`.

    Returns:
        A function of tensor and layer name.
    """

    def normalise(tensor: Any, name: str) -> Any:
        if norm == "none":
            return tensor
        if norm == "instance":
            return layers.GroupNormalization(-1, epsilon=EPSILON, center=False, scale=False, name=name)(tensor)
        if norm == "layer":
            multiple = MultiLayerNormalization(branches, name=name)
            return multiple(tensor) if branch is None else multiple(tensor, branch)
        if branch is None:
            return layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)(tensor)
        return MultiBatchNormalization(branches, own_statistics=own_statistics, name=name)(tensor, branch)

    return normalise

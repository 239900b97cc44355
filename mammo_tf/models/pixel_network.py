"""What convolutional networks that classify every pixel have in common: the way in, and the way out."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models.branch_network import PictureMean
from mammo_tf.models.networks import MOST, Description, Shape, described
from mammo_tf.models.norms import Normalise, normaliser

PROBABILITIES, LOGITS = "probabilities", "logits"  # what a network ends in


class Entry(NamedTuple):
    """The way into a network.

    Attributes:
        inputs: the picture, or `[picture, branch]`.
        picture: tensor `[batch, rows, columns, channels]` that the first layer takes.
        normalise: see `norms.normaliser`.
    """

    inputs: Any
    picture: Any
    normalise: Normalise


def enter(kind: str, shape: Shape, step: int, norm: str, branches: int = 1, own_statistics: bool = False) -> Entry:
    """Inputs of a network.

    Args:
        kind: of the network, for messages.
        shape: rows, columns, channels; open rows and columns for a network of one branch.
        step: rows and columns must divide by it.
        norm, branches, own_statistics: see `norms.normaliser`.

    Raises:
        MammoError: `size_undivided` with the nearest sizes that work; `size_open`.
    """
    size = shape[:2]
    if any(side is not None and (side < step or side % step) for side in size):
        below, above = ([max(step, (side or step) // step * step + more) for side in size] for more in (0, step))
        sentence = f"{size[0]}x{size[1]} pixels do not divide by {step}, as a {kind} needs it"
        nearest = f"Take {below[0]}x{below[1]} or {above[0]}x{above[1]}, or pad the picture to the larger one"
        raise MammoError("size_undivided", sentence, nearest)
    if branches > 1 and None in size:
        raise MammoError("size_open", f"a {kind} with branches is built for pictures of one size", "Name both")
    picture = keras.Input(shape, name="image")
    if branches == 1:
        return Entry(picture, picture, normaliser(norm))
    branch = keras.Input((), dtype="int32", name="branch")
    seen = PictureMean(branches, name="picture")(picture, branch)
    return Entry([picture, branch], seen, normaliser(norm, branches, branch, own_statistics))


def head(tensor: Any, classes: int, name: str = "output", size: int = 1, activation: str | None = None) -> Any:
    """A convolution to classes, float32 under mixed precision too.

    Args:
        tensor: features `[batch, rows, columns, features]`.
        classes: for every pixel.
        name: of the layer.
        size: of its kernel.
        activation: "sigmoid", "softmax", or None for logits.
    """
    return layers.Conv2D(classes, size, padding="same", activation=activation, dtype="float32", name=name)(tensor)


def activation_of(classes: int, ending: str) -> str | None:
    """The activation of a head: of one class a sigmoid, of more a softmax; none where logits are asked for.

    Raises:
        MammoError: `network_wrong` for another ending.
    """
    if ending not in (PROBABILITIES, LOGITS):
        raise MammoError("network_wrong", f"a network ends in {PROBABILITIES} or {LOGITS}, not in {ending!r}")
    return None if ending == LOGITS else "sigmoid" if classes == 1 else "softmax"


def finish(entry: Entry, output: Any, description: Description) -> keras.Model:
    """The model, named and described."""
    return described(keras.Model(entry.inputs, output, name=description.kind), description)


def check_counts(kind: str, **counts: int) -> None:
    """Refuses a number below 1, or above any that a network has.

    Raises:
        MammoError: `network_wrong`.
    """
    for name, count in counts.items():
        if not 1 <= count <= MOST:
            raise MammoError("network_wrong", f"{name} of a {kind} is 1 or more, up to {MOST}, not {count}")

"""Where the residual blocks of a network are: its description says so, nothing is guessed from layer names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import keras

from mammo_tf.models.networks import description_of
from mammo_tf.models.rebuild import named_layers


@dataclass(frozen=True)
class ResidualBlock:
    """A part of a network with one way in and one way out.

    Attributes:
        name: of the block.
        before: path (`models.named_layers`) of the layer whose output goes in.
        last: path of the layer whose output comes out: the activation behind the addition.
    """

    name: str
    before: str
    last: str


@runtime_checkable
class Residual(Protocol):
    """A description of a network that may have residual blocks."""

    def residual_stages(self) -> tuple[tuple[ResidualBlock, ...], ...]:
        """Stages of blocks in order, each block behind the one before it; empty where there is none."""

    def residual_width(self) -> int:
        """Number of filters of the 1x1 and 3x3 convolutions of the first stage; those of later ones double."""


def residual_blocks(model: keras.Model) -> dict[str, tuple[str, ...]]:
    """Names of residual blocks and the paths of their layers; empty where the model's description names none."""
    description = description_of(model)
    if not isinstance(description, Residual):
        return {}
    paths = [path for path, _ in named_layers(model)]  # by depth: what lies between way in and way out is the block
    return {
        block.name: tuple(paths[paths.index(block.before) + 1 : paths.index(block.last) + 1])
        for stage in description.residual_stages()
        for block in stage
    }

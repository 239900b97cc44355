"""What a network was built with, as a frozen description that travels with it; nothing is guessed from layer names.

A description is told from others by its `kind`; `models.description_of` gives that of a model, `training.save_model`
writes it into the file. A method with a network of its own, in this room or in a recipe file, writes the description
next to its builder and registers it: `@NETWORKS.register`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Protocol, Self, runtime_checkable

import keras

from mammo_tf.fields import Kinds

Shape = tuple[int | None, int | None, int]
ATTRIBUTE = "network_description"
NETWORKS = Kinds()
MOST = 10_000  # filters, blocks, branches, classes: more come to no end


class Description(Protocol):
    """What every description of a network can do."""

    kind: ClassVar[str]

    def build(self, shape: Shape) -> keras.Model:
        """The network, its weights drawn again, for pictures of `shape` (rows, columns, channels)."""

    def grow(self, before: keras.Model, shape: Shape) -> keras.Model:
        """The network with what it can take over from the model of the phase before.

        Raises:
            MammoError: `cannot_grow` where there is nothing that it could take over.
        """

    def small(self) -> Self:
        """The same network in a size for smoke runs."""


@runtime_checkable
class MadeOutOf(Protocol):
    """A description of a network that is made out of a trained one."""

    @property
    def network(self) -> Description:
        """The one that it is made out of."""


Network = Annotated[Description, NETWORKS]


def described(model: keras.Model, description: Description | None) -> keras.Model:
    """The same model object, which now says what it was built with."""
    setattr(model, ATTRIBUTE, description)
    return model


def description_of(model: keras.Model) -> Description | None:
    """What a model was built with; None where it does not say (another's file, or one of version 0.1)."""
    found: Description | None = getattr(model, ATTRIBUTE, None)
    return found


def branches_of(model: keras.Model) -> int:
    """How many branches a network keeps apart; where there are several its second input is each picture's branch."""
    return int(getattr(description_of(model), "branches", 1))


def output_weights_of(model: keras.Model) -> tuple[float, ...]:
    """How much each map of a network for pixels counts in the loss; the last map is what the network answers.

    Several only where the description has `output_weights`: a network that is supervised at several depths.
    """
    return tuple(getattr(description_of(model), "output_weights", (1.0,)))


def started_as(wanted: Description, start: keras.Model | None = None) -> Description:
    """Which description a start model stands for: `wanted`, or the network that this is made out of.

    A start model takes the place of the wanted network; of one that is made out of another (`spottune`) it takes that
    one's, unless it is such a network itself.

    Args:
        wanted: the network of a recipe.
        start: the start model; None for one that is still to be made.
    """
    said = None if start is None else description_of(start)
    again = said is not None and said.kind == wanted.kind
    return wanted.network if isinstance(wanted, MadeOutOf) and not again else wanted

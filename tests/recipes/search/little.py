"""A recipe whose trials take a second, with a space; also what the command line is given."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import keras

from mammo_tf.data import Augmentation
from mammo_tf.models import NETWORKS
from mammo_tf.recipes import Evaluation, Phase, Preparation, Recipe, Training
from mammo_tf.recipes.search import Number, OneOf, Space
from mammo_tf.training import Stage


@NETWORKS.register
@dataclass(frozen=True)
class Blot:
    """Brightness, learned."""

    kind: ClassVar[str] = "blot"
    filters: int = 2

    def build(self, shape: tuple[int, ...]) -> keras.Model:
        """One convolution."""
        pictures = keras.Input(shape, name="pictures")
        tensor = keras.layers.Conv2D(self.filters, 8, 8, activation="relu")(pictures)
        tensor = keras.layers.Dropout(0.1)(keras.layers.GlobalMaxPooling2D()(tensor))
        return keras.Model(pictures, keras.layers.Dense(2, "softmax", name="output")(tensor))

    def grow(self, before: Any, shape: tuple[int, ...]) -> keras.Model:
        """Anew."""
        return self.build(shape)

    def small(self) -> Self:
        """Itself."""
        return self


def recipe() -> Recipe:
    """Three epochs."""
    return Recipe(
        name="blot",
        about="brightness",
        network=Blot(),
        preparation=Preparation(preset="legacy", channels=1, rows=128, columns=128, white=1.0),
        training=Training(batch_size=14, augmentation=Augmentation(rotation=0, shift=0.02, zoom=0)),
        evaluation=Evaluation(replicates=20),
        phases=(Phase((Stage("one", ("all",), 1e-2, 3),)),),
    )


def two_stages() -> Recipe:
    """Four epochs."""
    stages = (Stage("one", ("all",), 1e-2, 2), Stage("two", ("all",), 1e-3, 2))
    return replace(recipe(), name="two_stages", phases=(Phase(stages),))


def other() -> Recipe:
    """Two phases, which hyperband cannot count."""
    one = recipe()
    phases = (Phase((Stage("before", ("all",), 1e-2, 1),), network=Blot()), *one.phases)
    return Recipe("other", "two phases", phases, Blot(), preparation=one.preparation, training=one.training)


def space() -> Space:
    """A rate, a choice and the warp."""
    return Space(
        {
            "stages.one.rate": Number(1e-3, 1.0, log=True),
            "stages.one.optimizer": OneOf(("adam", "sgd")),
            "training.augmentation.shift": Number(0.0, 0.1),
        }
    )


def unknown() -> Space:
    """A field that is not there."""
    return Space({"stages.one.rat": Number(1e-3, 1.0)})


def empty() -> Space:
    """A range that is empty."""
    return Space({"stages.one.rate": Number(1e-3, 1e-3)})

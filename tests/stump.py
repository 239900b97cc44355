"""A backbone of two convolutions, for tests of what happens around a network: End2End's head is traced in a second."""

from __future__ import annotations

from typing import Any

from keras import layers

from mammo_tf.models.backbones import BACKBONES, scaled

STUMP = "stump"


def stump(tensor: Any, width: float) -> Any:
    """Stride 32, as every backbone."""
    tensor = layers.Conv2D(scaled(256, width), 7, 4, "same", activation="relu", name="block1_conv1")(tensor)
    return layers.Conv2D(scaled(512, width), 5, 8, "same", activation="relu", name="block2_conv1")(tensor)


BACKBONES[STUMP] = stump

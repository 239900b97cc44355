"""Random numbers of a batch that several devices share: each example meets those that it would meet on one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


def uniform_noise(shape: Sequence[Any], generator: keras.random.SeedGenerator) -> Any:
    """Numbers from 0 to below 1, float32; in a step of several devices the rows of this one's examples.

    Generators of a layer have the same state on all devices. Every one draws for the whole batch, and takes its own.

    Args:
        shape: examples on this device first.
        generator: whose state moves on.
    """
    number, devices = _place()
    if devices == 1:
        return keras.random.uniform(shape, dtype="float32", seed=generator)
    whole = keras.random.uniform((shape[0] * devices, *shape[1:]), dtype="float32", seed=generator)
    return whole[number * shape[0] : (number + 1) * shape[0]]


def _place() -> tuple[Any, int]:
    """Which device this is of how many in a step; on other backends than TensorFlow's a batch is one tensor."""
    if keras.backend.backend() != "tensorflow":
        return 0, 1
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return (0, 1) if context is None else (context.replica_id_in_sync_group, context.num_replicas_in_sync)

"""Sums over all devices that share a batch, for losses that are ratios of sums."""

from __future__ import annotations

from typing import Any

import keras


def over_devices(values: Any) -> Any:
    """The sum of what every device has, on each of them; on one device, and elsewhere than in a step, the same.

    Its gradient is the sum over the devices of theirs, so a loss of such sums, which Keras divides by the number of
    devices before gradients are added up, has the gradient that one device would give it. On other backends than
    TensorFlow's a batch is one tensor, whatever devices hold it.

    Args:
        values: a tensor, of one shape everywhere.
    """
    if keras.backend.backend() != "tensorflow":
        return values
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

"""One device or several: the strategy that a model is built and trained under."""

from __future__ import annotations

from functools import cache

import tensorflow as tf


@cache  # two strategies in a process share TensorFlow's collective groups, and the second one's shapes may not fit
def make_strategy() -> tf.distribute.Strategy:
    """`MirroredStrategy` over all GPUs, or over all logical CPU devices, if there are several; else the default one."""
    for kind in ("GPU", "CPU"):
        devices = tf.config.list_logical_devices(kind)
        if len(devices) > 1:
            return tf.distribute.MirroredStrategy([device.name for device in devices])
        if devices and kind == "GPU":
            break
    return tf.distribute.get_strategy()


def replicas(strategy: tf.distribute.Strategy) -> int:
    """Number of devices that share a batch."""
    return int(strategy.num_replicas_in_sync)

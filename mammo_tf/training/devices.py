"""One device or several: the strategy that a model is built and trained under."""

from __future__ import annotations

from functools import cache

import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.training.cluster import cluster_strategy, in_cluster


@cache  # two strategies in a process share TensorFlow's collective groups, and the second one's shapes may not fit
def make_strategy() -> tf.distribute.Strategy:
    """The strategy of all machines of a cluster, where this is one of them; else `MirroredStrategy` over all GPUs, or
    over all logical CPU devices, if there are several; else the default one."""
    if in_cluster():
        return cluster_strategy()
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


def check_shared(batch_size: int, precision: str, devices: int, clipped: bool = False) -> None:
    """Refuses a batch or a precision that several devices cannot share.

    Args:
        batch_size: images in a batch, over all devices; Keras' reductions want as many on each device.
        precision: dtype policy.
        devices: number of devices that share a batch.
        clipped: whether the norm of all gradients is limited; Keras does so on each device before they are added up.

    Raises:
        MammoError: `batch_undivided`, `clipping_unsafe`; those of `check_scaling`.
    """
    if batch_size % devices:
        below = batch_size // devices * devices
        nearest = " or ".join(str(size) for size in (below, below + devices) if size)
        raise MammoError(
            "batch_undivided", f"batches of {batch_size} images cannot be shared out evenly to {devices} devices",
            f"Take batches of {nearest}",
        )  # fmt: skip
    if clipped and devices > 1:
        sentence = f"clip_norm on {devices} devices would shorten each one's gradient by itself"
        raise MammoError("clipping_unsafe", sentence, "Leave clip_norm out, or train on one device")
    if precision == "mixed_float16":
        check_scaling(devices)


def check_scaling(devices: int) -> None:
    """Refuses loss scaling on several devices.

    Keras' `LossScaleOptimizer` asks whether gradients are finite before they are added up over devices, and one
    device's overflow goes into the weights of all.

    Raises:
        MammoError: `precision_unsafe`.
    """
    if devices > 1:
        raise MammoError(
            "precision_unsafe", f"mixed_float16 on {devices} devices lets one device's overflow into the weights",
            "Take mixed_bfloat16 or float32, or one device",
        )  # fmt: skip

"""One device or several: the strategy that a model is built and trained under."""

from __future__ import annotations

import os
from functools import cache

import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.training.cluster import cluster_strategy, in_cluster
from mammo_tf.training.computation import Computation

DEVICES = "MAMMO_TF_DEVICES"


@cache  # two strategies in a process share TensorFlow's collective groups, and the second one's shapes may not fit
def make_strategy() -> tf.distribute.Strategy:
    """The strategy of all machines of a cluster, where this is one of them; else `MirroredStrategy` over all GPUs, or
    over all logical CPU devices, if there are several; else the default one.

    The environment's `MAMMO_TF_DEVICES` asks for so many devices: the first GPUs, or parts of the processor.

    Raises:
        MammoError: `devices_missing`, `devices_late`.
    """
    if in_cluster():
        return cluster_strategy()
    devices = _devices(int(os.environ.get(DEVICES) or 0))
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


def _devices(wanted: int) -> list[str]:
    """Names of the devices that train, all that there are where 0 are wanted."""
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU" and wanted > 1:
        parts = [tf.config.LogicalDeviceConfiguration()] * wanted
        try:
            tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
        except RuntimeError as error:
            sentence = f"TensorFlow has begun, and the processor cannot be made {wanted} devices any more"
            raise MammoError("devices_late", sentence, f"Set {DEVICES} before anything is built") from error
    found = [device.name for device in tf.config.list_logical_devices(kind)]
    if wanted > len(found):
        raise MammoError(
            "devices_missing", f"{wanted} devices are asked for, and there are {len(found)}: {', '.join(found)}"
        )
    return found[:wanted] if wanted else found


def keep_determinism() -> None:
    """Every operation gives the same bytes for the same input, on one kind of device and one number of threads.

    Call it before TensorFlow does anything else. docs/determinism.md has what it costs, and what it does not promise.
    """
    tf.config.experimental.enable_op_determinism()


def replicas(strategy: tf.distribute.Strategy) -> int:
    """Number of devices that share a batch."""
    return int(strategy.num_replicas_in_sync)


def check_shared(
    batch_size: int, computation: Computation, devices: int, clipped: bool = False, averaged: bool = False
) -> None:
    """Refuses what Keras does not do, or does wrong: of a step on several devices, and of updates by several batches.

    Args:
        batch_size: images in a batch, over all devices; Keras' reductions want as many on each device.
        computation: how a step is computed.
        devices: number of devices that share a batch.
        clipped: whether the norm of all gradients is limited; Keras does so on each device before they are added up.
        averaged: whether a moving average of the weights is kept; Keras takes it at every batch.

    Raises:
        MammoError: `batch_undivided`, `clipping_unsafe`, `accumulation_unsafe`, `xla_unsafe`, `cache_unsafe`; those of
            `check_scaling`.
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
    if computation.precision == "mixed_float16":
        check_scaling(devices)
    if computation.accumulate > 1:
        _check_accumulation(computation, devices, averaged)
    if computation.cache_features and devices > 1:
        sentence = f"features of a frozen body are not shared out to {devices} devices"
        raise MammoError("cache_unsafe", sentence, "Leave training.cache_features out")
    if computation.xla and devices > 1:
        raise MammoError("xla_unsafe", f"XLA compiles no step of {devices} devices", "Leave training.xla out")


def _check_accumulation(computation: Computation, devices: int, averaged: bool) -> None:
    if devices > 1:
        sentence = f"gradients of {computation.accumulate} batches cannot be added up on {devices} devices"
        raise MammoError("accumulation_unsafe", sentence, "Take larger batches, which the devices share")
    if averaged:
        sentence = "Keras averages the weights at every batch, also where several make one update"
        raise MammoError("accumulation_unsafe", sentence, "Leave the stage's average out, or training.accumulate")
    if computation.precision == "mixed_float16":
        sentence = "an overflow of one batch would be added to the gradients of the others"
        raise MammoError("accumulation_unsafe", sentence, "Take mixed_bfloat16 or float32 with training.accumulate")


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

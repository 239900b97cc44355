"""What a device says when it fails under a step, as a sentence: its memory is full, or it does not answer any more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from mammo_tf.errors import MammoError

FULL = re.compile(r"(?:OOM|out of memory|failed to allocate)[^\n]*", re.IGNORECASE)
LOST = re.compile(r"[^\n]*(?:CUDA|cuDNN|cuBLAS|NCCL|GPU)[^\n]*", re.IGNORECASE)
OF_LOST = (tf.errors.InternalError, tf.errors.UnavailableError, tf.errors.UnknownError, tf.errors.AbortedError)
LONGEST = 300  # letters of what TensorFlow says, whose messages are pages


@contextmanager
def device_errors(batch_size: int) -> Iterator[None]:
    """Tells of a device that fails in a line; other errors pass.

    Args:
        batch_size: pictures of a step.

    Raises:
        MammoError: `device_full` where memory does not suffice for the step, `device_lost` where a device has failed.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        remedy = (
            "Take a smaller training.batch_size, with training.accumulate for updates as before, or smaller pictures"
        )
        told = _told(FULL, error)
        raise MammoError(
            "device_full", f"a device lacks memory for a step of {batch_size} pictures: {told}", remedy
        ) from error
    except OF_LOST as error:
        if LOST.search(error.message or "") is None:
            raise
        remedy = "Look at it (nvidia-smi, mammo-tf doctor); the same command goes on with the devices that are there"
        raise MammoError("device_lost", f"a device has failed: {_told(LOST, error)}", remedy) from error


def _told(pattern: re.Pattern[str], error: tf.errors.OpError) -> str:
    found = pattern.search(error.message or "")
    return (found.group(0) if found else (error.message or type(error).__name__)).strip().split("\n")[0][:LONGEST]

"""Records to batches: one stream for training, one for inference. Both read, warp once, and finish in the graph."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.data.graph_preprocessing import intensity
from mammo_tf.data.plans import Plan
from mammo_tf.errors import MammoError
from mammo_tf.imaging.intensity_steps import Equalize, MaximumScale
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.warp import affine
from mammo_tf.records import Records

RAISED = re.compile(r"MammoError: (.+)")
LOG = logging.getLogger("mammo_tf")
IDENTITY = np.eye(2, 3)
WHOLE_PICTURE = (Equalize, MaximumScale)  # steps that look at more than one pixel at a time


def training_stream(
    records: Records,
    plan: Plan,
    batch_size: int,
    preprocessing: Preprocessing | None = None,
    first_epoch: int = 0,
    replicas: int = 1,
    batch_weights: bool = False,
) -> tf.data.Dataset:
    """Batches of one epoch after the other, for ever; the same for the same plan and first epoch.

    Args:
        records: prepared images.
        plan: what an epoch sees.
        batch_size: images in a batch; the last one of an epoch may be smaller.
        preprocessing: its intensity half is run; by default that of the records.
        first_epoch: where to go on after a pause.
        replicas: devices. A last batch smaller than that cannot be shared out: it is dropped, with a word in the log;
            as every epoch has another order, no image is left out for good.
        batch_weights: each image weighs 1 / (share of its class in this batch), as the thesis ran it.

    Returns:
        Dictionaries `image` float32 `[batch, rows, columns, channels]`, `label` float32 `[batch, classes]` one-hot,
        `weight` float32 `[batch]`.

    Raises:
        MammoError: `nothing_to_train` for an empty plan; `record_damaged` while running.
    """
    count = len(plan)
    if count == 0:
        raise MammoError(
            "nothing_to_train", "the plan of an epoch holds no picture", "Look at the split and the labels"
        )
    left = count % batch_size
    dropped = 0 < left < replicas
    if dropped:
        LOG.warning("the last %d of %d images are left out of each epoch: fewer than %d devices", left, count, replicas)
    batches = steps_per_epoch(plan, batch_size, replicas)

    def one_epoch(number: Any) -> tf.data.Dataset:
        draws = tf.numpy_function(_drawn(plan), [number], (tf.int64, tf.float64, tf.int64), stateful=False)
        pieces = tf.data.Dataset.from_tensor_slices(tuple(draws))
        return _batches(pieces, records, plan, batch_size, preprocessing).take(batches)

    epochs = tf.data.Dataset.counter(first_epoch, dtype=tf.int64).flat_map(one_epoch)

    def finished(pictures: Any, labels: Any, _: Any) -> dict[str, Any]:
        one_hot = tf.one_hot(tf.ensure_shape(labels, [None]), plan.classes)
        weight = class_weights(one_hot) if batch_weights else tf.ones_like(one_hot[:, 0])
        return {"image": pictures, "label": one_hot, "weight": weight}

    return epochs.map(finished).prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(plan: Plan, batch_size: int, replicas: int = 1) -> int:
    """Batches that `training_stream` gives for one epoch."""
    whole, left = divmod(len(plan), batch_size)
    return whole + (left >= max(1, replicas))


def inference_stream(
    records: Records,
    plan: Plan,
    batch_size: int,
    preprocessing: Preprocessing | None = None,
    padded: bool = False,
) -> tf.data.Dataset:
    """Every picture of the plan once, in its order.

    Args:
        records, plan, batch_size, preprocessing: as for `training_stream`; the plan's first epoch is taken.
        padded: fill the last batch with black pictures of weight 0, so that several devices can share it.

    Returns:
        Dictionaries `image` float32 `[batch, rows, columns, channels]`, `label` one-hot float32 `[batch, classes]`,
        `weight` float32 `[batch]` (1, and 0 for padding), `position` int64 `[batch]` in the records (-1 for padding).
    """
    draws = plan.epoch(0)
    if padded and len(draws.positions) % batch_size:
        missing = batch_size - len(draws.positions) % batch_size
        draws = type(draws)(
            np.concatenate([draws.positions, np.full(missing, -1)]),
            np.concatenate([draws.matrices, np.repeat(IDENTITY[None], missing, axis=0)]),
            np.concatenate([draws.labels, np.zeros(missing, np.int64)]),
        )
    pieces = tf.data.Dataset.from_tensor_slices(tuple(draws))

    def finished(pictures: Any, labels: Any, positions: Any) -> dict[str, Any]:
        weight = tf.cast(positions >= 0, tf.float32)
        one_hot = tf.one_hot(tf.ensure_shape(labels, [None]), plan.classes)
        return {"image": pictures, "label": one_hot, "weight": weight, "position": positions}

    batches = _batches(pieces, records, plan, batch_size, preprocessing).map(finished)
    return batches.prefetch(tf.data.AUTOTUNE)


@contextmanager
def stream_errors() -> Iterator[None]:
    """Hands on what a stream's reader says (`record_damaged`) as itself, not as TensorFlow's wrapping of it.

    Raises:
        MammoError: `stream_failed`, with the sentence of the error that was raised inside the stream.
    """
    try:
        yield
    except tf.errors.OpError as error:
        found = RAISED.search(error.message or "")
        if found is None:
            raise
        raise MammoError("stream_failed", found.group(1)) from error


def _drawn(plan: Plan) -> Any:
    def drawn(number: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        draws = plan.epoch(int(number))
        return draws.positions, draws.matrices, draws.labels

    return drawn


def _batches(
    pieces: tf.data.Dataset,
    records: Records,
    plan: Plan,
    batch_size: int,
    preprocessing: Preprocessing | None,
) -> tf.data.Dataset:
    """(positions, matrices, labels) to batches (pictures, labels, positions)."""
    cv2.setNumThreads(1)  # one thread a picture: the stream runs several pictures at once
    steps = preprocessing or records.preprocessing
    size, augmentation = plan.size, plan.augmentation
    level = augmentation.fill if isinstance(augmentation.fill, str) else augmentation.fill * 65535

    def piece(position: NDArray[np.int64], matrix: NDArray[np.float64]) -> NDArray[np.uint16]:
        if position < 0:
            return np.zeros(size, np.uint16)
        picture = records.picture(int(position))
        if picture.shape == size and np.array_equal(matrix, IDENTITY):
            return picture
        return affine(picture, matrix, augmentation.interpolation, level, size)

    def loaded(position: Any, matrix: Any, label: Any) -> tuple[Any, Any, Any]:
        picture = tf.numpy_function(piece, [position, matrix], tf.uint16, stateful=False)
        return tf.ensure_shape(picture, size), label, position

    as_input = _as_input(steps)

    def finished(pictures: Any, labels: Any, positions: Any) -> tuple[Any, Any, Any]:
        images = tf.ensure_shape(as_input(pictures), [None, *size, steps.channels])
        return images, labels, positions

    return pieces.map(loaded, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size).map(finished)


def _as_input(steps: Preprocessing) -> Any:
    """uint16 `[batch, rows, columns]` to float32 `[batch, rows, columns, channels]`: the intensity half in the graph.

    Where every step looks at one pixel at a time, the half is a table of 65536 values, itself made in the graph, so
    that the result is the same to the bit; XLA looks up and repeats channels in one pass over the batch.
    """
    if any(isinstance(step, WHOLE_PICTURE) for step in steps.intensity_steps):
        return lambda pictures: intensity(steps, tf.cast(pictures, tf.float32) / 65535.0)
    levels = tf.range(65536)[None, None]
    table = intensity(steps, tf.cast(levels, tf.float32) / 65535.0)[0, 0, :, 0]

    @tf.function(jit_compile=True)
    def looked_up(pictures: Any) -> Any:
        return tf.repeat(tf.gather(table, tf.cast(pictures, tf.int32))[..., None], steps.channels, axis=-1)

    return looked_up


def class_weights(one_hot: Any) -> Any:
    """1 / (share of its class in this batch) for each sample, float32 `[batch]`.

    Source: `tests/golden/end2end/preprocess.npz`, `m_weights_w`.

    Args:
        one_hot: float32 `[batch, classes]`.
    """
    shares = tf.reduce_mean(one_hot, axis=0)
    return tf.reduce_sum(one_hot * tf.math.divide_no_nan(1.0, shares), axis=1)

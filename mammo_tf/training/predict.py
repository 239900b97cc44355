"""A model over records, in the order of the plan: all probabilities at once, or batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.data import inference_stream, stream_errors
from mammo_tf.data.plans import Plan
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.records import Records
from mammo_tf.training.device_errors import device_errors


def predict_probabilities(
    model: keras.Model,
    records: Records,
    plan: Plan,
    batch_size: int,
    preprocessing: Preprocessing | None = None,
    padded: bool = False,
) -> NDArray[np.float64]:
    """Probabilities of every class for every picture of the plan, once and in order.

    Args:
        model: classifier.
        records, plan, batch_size, preprocessing, padded: as for `data.inference_stream`.

    Returns:
        float64 `[n, classes]`.

    Raises:
        MammoError: `stream_failed` where a record is damaged; `size_differs` if the pictures do not fit the model.
    """
    stream = inference_stream(records, plan, batch_size, preprocessing, padded)
    with stream_errors(), device_errors(batch_size):
        probabilities = model.predict(stream.map(_image), verbose=0)
    return np.asarray(probabilities, np.float64)[: len(plan)]


def predicted_batches(model: keras.Model, stream: tf.data.Dataset) -> Iterator[tuple[dict[str, NDArray[Any]], Any]]:
    """Batches of an inference stream with what a model gives for them, so that memory holds one batch at a time.

    Args:
        model: one picture in, or a picture and its `branch`; built under the strategy whose devices are to
            share a batch.
        stream: an `inference_stream`, padded for several devices.

    Yields:
        The batch without its pictures and without padding, and the output for it, an array, or a list of those of a
        model that has several.
    """
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1 or _devices(model) > 1
    alone = tf.data.Options()
    alone.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    with stream_errors():
        for batch in stream:
            pictures = batch.pop("image")
            given = (pictures, batch["branch"]) if len(model.inputs) > 1 else pictures
            with device_errors(len(pictures)):
                if several:
                    one = tf.data.Dataset.from_tensors((given,)).with_options(alone)
                    outputs = model.predict(one, verbose=0)
                else:
                    outputs = model.predict_on_batch(given)
            real = batch["weight"].numpy() > 0
            yield {name: values.numpy()[real] for name, values in batch.items()}, _real(outputs, real)


def _real(outputs: Any, real: NDArray[np.bool_]) -> Any:
    if isinstance(outputs, list) and len(outputs) > 1:
        return [np.asarray(one)[real] for one in outputs]
    return np.asarray(outputs[0] if isinstance(outputs, list) else outputs)[real]


def _devices(model: keras.Model) -> int:
    strategy = getattr(model, "distribute_strategy", None)
    return 1 if strategy is None else int(strategy.num_replicas_in_sync)


def _image(batch: dict[str, Any]) -> Any:
    return batch["image"]

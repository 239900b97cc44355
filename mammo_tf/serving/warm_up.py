"""Warm-up requests: what TensorFlow Serving asks a new version before it takes calls, so that none waits for tracing.

They hold a made-up picture. Requests of validation pictures would ship patients' images with the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.serving.parts import Made
from mammo_tf.serving.samples import made_up
from mammo_tf.serving.signatures import FLOAT_SIGNATURE, PNG_SIGNATURE

FILE = "tf_serving_warmup_requests"  # TensorFlow Serving looks for this name


def write(made: Made) -> dict[str, Any]:
    """Writes a request for each signature that scores, and replays what was written.

    Raises:
        MammoError: `warm_up_failed` where the SavedModel does not answer one.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    samples = made_up(made, count=1)
    asked: dict[str, dict[str, NDArray[Any]]] = {FLOAT_SIGNATURE: dict(samples.inputs)}
    if samples.png:
        asked[PNG_SIGNATURE] = {"png": np.array(samples.png, object)}
    path = made.extra / FILE
    with tf.io.TFRecordWriter(str(path)) as records:
        for signature, inputs in asked.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = made.name, signature
            for name, values in inputs.items():
                request.inputs[name].CopyFrom(_proto(values))
            records.write(log.SerializeToString())
    replayed = replay(path, tf.saved_model.load(str(made.folder)).signatures)
    return {"file": FILE, "requests": replayed, "made_up": True}


def replay(path: Path, signatures: Mapping[str, Any]) -> int:
    """Asks a SavedModel everything that a file of warm-up requests asks.

    Args:
        path: of the file.
        signatures: of the loaded SavedModel.

    Returns:
        How many requests were answered.

    Raises:
        MammoError: `warm_up_failed`.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    count = 0
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        name = request.model_spec.signature_name
        try:
            inputs = {key: tf.constant(tf.make_ndarray(one)) for key, one in request.inputs.items()}
            score = signatures[name](**inputs)["score"].numpy()
        except (KeyError, tf.errors.OpError, ValueError, TypeError) as error:
            raise MammoError("warm_up_failed", f"{name} does not answer warm-up request {count}: {error}") from error
        if not np.isfinite(score).all():
            raise MammoError("warm_up_failed", f"{name} answers warm-up request {count} with {score}")
        count += 1
    return count


def _proto(values: NDArray[Any]) -> Any:
    if values.dtype == object:
        return tf.make_tensor_proto(values.tolist(), tf.string)
    return tf.make_tensor_proto(values)

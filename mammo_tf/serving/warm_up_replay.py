"""Requests that lie next to a model, replayed when it is loaded: the first caller need not wait for the graph.

As TensorFlow Serving does: `assets.extra/tf_serving_warmup_requests`, a TFRecord of `PredictionLog`.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from mammo_tf.errors import MammoError
from mammo_tf.serving.refusals import RequestError
from mammo_tf.serving.saved_model import DEFAULT_SIGNATURE, SavedModel
from mammo_tf.serving.tensor_protos import array_of

REQUESTS = Path("assets.extra") / "tf_serving_warmup_requests"
MOST = 1000  # records, as TensorFlow Serving has it
LARGEST = 2**31  # bytes of a tensor


def warm_up(folder: Path, model: SavedModel) -> int:
    """Replays the predict requests of a model's folder, if there are any; their number.

    Raises:
        MammoError: `warm_up_failed`.
    """
    path = folder / REQUESTS
    if not path.is_file():
        return 0
    number = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).take(MOST).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.WhichOneof("log_type") != "predict_log":
                continue
            request = log.predict_log.request
            signature = model.signatures[request.model_spec.signature_name or DEFAULT_SIGNATURE]
            fed = {signature.inputs[name].name: array_of(name, one, LARGEST) for name, one in request.inputs.items()}
            model.run(list(fed), list(fed.values()), [place.name for place in signature.outputs.values()])
            number += 1
    except (RequestError, KeyError, tf.errors.OpError, ValueError) as error:
        said = error.sentence if isinstance(error, RequestError) else str(error)
        sentence = f"{path}: the request {number} cannot be replayed: {said[:200]}"
        raise MammoError("warm_up_failed", sentence, "Export the model again") from error
    return number

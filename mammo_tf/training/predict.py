"""A model over records: probabilities in the order of the plan."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mammo_tf.data import inference_stream, stream_errors
from mammo_tf.data.plans import Plan
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.records import Records


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
    with stream_errors():
        probabilities = model.predict(stream.map(_image), verbose=0)
    return np.asarray(probabilities, np.float64)[: len(plan)]


def _image(batch: dict[str, Any]) -> Any:
    return batch["image"]

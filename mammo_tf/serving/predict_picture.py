"""One picture for `predict`: read and prepared; runs in worker processes, without TensorFlow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.reading import read
from mammo_tf.serving.predict_inputs import Candidate, file_row


class PredictPicture(NamedTuple):
    """A picture after `geometry`, its manifest row, and its mean in [0, 1]."""

    row: dict[str, Any]
    picture: NDArray[np.float32]
    grey_mean: float


def prepare_picture(candidate: Candidate, preprocessing: Preprocessing) -> PredictPicture:
    """Reads a candidate and runs the geometry half; errors as `read` and `Preprocessing.geometry`."""
    picture = read(candidate.file, laterality=candidate.laterality, view=candidate.view)
    prepared = preprocessing.geometry(picture.pixels).picture
    row = candidate.row or file_row(picture.facts, candidate.place)
    return PredictPicture(row, prepared, float(prepared.mean(dtype=np.float64)))

"""One picture for `predict` and `export`: read and prepared; runs in worker processes, without TensorFlow."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.levels import as_uint16
from mammo_tf.imaging.preprocessing import GeometryResult, Preprocessing
from mammo_tf.reading import Picture, read_told
from mammo_tf.serving.predict_inputs import Candidate, file_row


class PredictPicture(NamedTuple):
    """A picture after `geometry`.

    Attributes:
        row: of its manifest.
        picture: float32 `[rows, columns]` in [0, 1].
        grey_mean: its mean.
        affine: float64 `[2, 3]`, maps prepared (x, y, 1) to stored (x, y).
        stored_size: rows and columns of the stored picture.
        breast_mask: bool `[rows, columns]`, or None where no step looked for the breast.
        warnings: what was doubtful when it was read.
        candidate: what it was read from.
        encoded: the picture before `geometry` as a PNG file, for a server that prepares it itself; else None.
    """

    row: dict[str, Any]
    picture: NDArray[np.float32]
    grey_mean: float
    affine: NDArray[np.float64]
    stored_size: tuple[int, int]
    breast_mask: NDArray[np.bool_] | None
    warnings: tuple[str, ...]
    candidate: Candidate
    encoded: bytes | None = None


def prepare_picture(candidate: Candidate, preprocessing: Preprocessing) -> PredictPicture:
    """Reads a candidate and runs the geometry half; errors as those of the three calls."""
    picture = read_told(candidate.file, candidate.told, preprocessing.projection)
    return _prepared(candidate, preprocessing, picture)


def _prepared(candidate: Candidate, preprocessing: Preprocessing, picture: Picture) -> PredictPicture:
    prepared = preprocessing.geometry(picture.pixels)
    row = {**(candidate.row or file_row(picture.facts, candidate.place)), **candidate.part}
    grey_mean = float(prepared.picture.mean(dtype=np.float64))
    size = (picture.pixels.shape[0], picture.pixels.shape[1])
    return PredictPicture(
        row, prepared.picture, grey_mean, prepared.affine, size, prepared.breast_mask, picture.facts.warnings, candidate
    )


def prepare_encoded(candidate: Candidate, preprocessing: Preprocessing) -> PredictPicture:
    """As `prepare_picture`, with the picture as a PNG file next to it."""
    picture = read_told(candidate.file, candidate.told, preprocessing.projection)
    return _prepared(candidate, preprocessing, picture)._replace(encoded=_png(picture.pixels))


def prepare_both(candidate: Candidate, preprocessing: Preprocessing) -> tuple[GeometryResult, bytes]:
    """The picture after the geometry half, and as the PNG file that a client of a server sends; errors as above."""
    picture = read_told(candidate.file, candidate.told, preprocessing.projection)
    return preprocessing.geometry(picture.pixels), _png(picture.pixels)


def _png(pixels: NDArray[np.float32]) -> bytes:
    _, encoded = cv2.imencode(".png", as_uint16(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return encoded.tobytes()

"""The files of one exam to results, with a model that stays open."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.predictions import Probability
from mammo_tf.guard import guarded
from mammo_tf.reading.dicom_file import open_dicom
from mammo_tf.serving.dicom_results import ImageResult, image_result
from mammo_tf.serving.predict_inputs import Candidate, find_inputs, pictures_of
from mammo_tf.serving.predict_picture import PredictPicture, prepare_picture
from mammo_tf.serving.predict_tiles import score_pictures
from mammo_tf.serving.scorer import Scorer
from mammo_tf.serving.signatures import task_of
from mammo_tf.study import Reject

OF_SLICES = (CTImageStorage, SecondaryCaptureImageStorage)  # of which tomosynthesis comes with an object a slice


def score_exam(
    scorer: Scorer, files: Sequence[Path], workers: int, batch_size: int = 2
) -> tuple[list[ImageResult], list[Reject]]:
    """What a model says of the images of an exam, and which files it cannot use.

    Files are read and prepared in worker processes: one that breaks its decoder is a reject. Slices of one series, an
    object each, are one volume.

    Args:
        scorer: the model.
        files: DICOM objects, all that lies in their folder.
        workers: processes.
        batch_size: pictures that the network sees at once.
    """
    candidates, rejects = _candidates(files)
    pictures = pictures_of(candidates, scorer.preprocessing.projection, workers)
    results: list[ImageResult] = []
    stored = scorer.card.calibration
    probability: Probability | None = None if stored is None else stored.function
    ready: list[PredictPicture] = []
    work = partial(prepare_picture, preprocessing=scorer.preprocessing)
    with closing(guarded(work, pictures, max(1, min(workers, len(pictures))))) as outcomes:
        for picture, outcome in zip(pictures, outcomes, strict=True):
            if isinstance(outcome, MammoError):
                rejects.append(Reject.of(picture.place, outcome, picture.file))
                continue
            ready.append(outcome)
            if len(ready) == batch_size:
                results += _scored(scorer, ready, probability)
                ready = []
    results += _scored(scorer, ready, probability)
    return results, rejects


def _candidates(files: Sequence[Path]) -> tuple[list[Candidate], list[Reject]]:
    """What there is to score. Where an object may be a slice, the folder tells which belong together."""
    if not any(map(_may_be_slice, files)):
        return [Candidate(file, file.name) for file in files], []
    found = find_inputs(files[0].parent)
    return found.candidates, found.rejects


def _may_be_slice(path: Path) -> bool:
    try:
        with open_dicom(path) as file:
            return file.header.text("SOPClassUID") in OF_SLICES
    except Exception:  # noqa: BLE001 - what is wrong with it is told where it is read
        return False


def _scored(scorer: Scorer, ready: Sequence[PredictPicture], probability: Probability | None) -> list[ImageResult]:
    if not ready:
        return []
    scored = score_pictures(scorer, ready, task_of(scorer.card))
    return [image_result(scorer, item, scored, number, probability) for number, item in enumerate(ready)]

"""Results of images to a folder of DICOM objects, a folder an exam, each exam whole or refused."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_folder, disk_errors
from mammo_tf.guard import guarded
from mammo_tf.reading import read_told
from mammo_tf.reading.identity import keyed_hash
from mammo_tf.serving.dicom_capture import make_capture
from mammo_tf.serving.dicom_masks import make_mask
from mammo_tf.serving.dicom_report import Exam, SourceResults, make_report
from mammo_tf.serving.dicom_results import ImageResult, ModelFacts
from mammo_tf.serving.dicom_source import Source, read_source
from mammo_tf.serving.predict_inputs import Candidate
from mammo_tf.study import Projection, Reject, write_rejects
from mammo_tf.study.table_output import REJECTS


@dataclass(frozen=True)
class DicomReport:
    """What was written.

    Attributes:
        folder: holds a folder an exam and `rejects.csv`.
        exams: how many were written.
        files: how many objects.
        rejects: images without a DICOM result.
    """

    folder: Path
    exams: int
    files: int
    rejects: tuple[Reject, ...]

    @property
    def rejects_path(self) -> Path:
        """The table of them."""
        return self.folder / REJECTS


@dataclass(frozen=True)
class Making:
    """How results are made into objects.

    Attributes:
        model: who says so.
        projection: what becomes of a volume.
        captures: whether a secondary capture of each image is made as well.
    """

    model: ModelFacts
    projection: Projection
    captures: bool = False


def write_exams(folder: str | Path, results: Sequence[ImageResult], making: Making) -> DicomReport:
    """Writes the objects of every exam; the folder appears at the end, whole.

    Each exam lies in a folder of its own, named by the keyed hash of its study, which its owner alone may read: the
    objects name the patient. An image that cannot have a result, and with it the rest of an exam that mixes patients,
    is a row of `rejects.csv`.

    Raises:
        MammoError: `folder_exists`; those of `files.disk_errors`.
    """
    with atomic_folder(folder) as beside:
        rejects: list[Reject] = []
        exams = files = 0
        for study, images in by_study(results, rejects).items():
            try:
                objects = exam_objects(study, images, making)
            except MammoError as error:
                rejects += [Reject.of(one.candidate.place, error, one.candidate.file) for one in images]
                continue
            write_objects(beside / keyed_hash("exam", study), objects)
            exams, files = exams + 1, files + len(objects)
        write_rejects(rejects, beside / REJECTS)
    return DicomReport(Path(folder), exams, files, tuple(rejects))


def by_study(results: Iterable[ImageResult], rejects: list[Reject]) -> dict[str, list[ImageResult]]:
    """Results by Study Instance UID; what has none is added to the rejects."""
    found: dict[str, list[ImageResult]] = {}
    for result in results:
        candidate = result.candidate
        try:
            found.setdefault(read_source(candidate).study, []).append(result)
        except MammoError as error:
            rejects.append(Reject.of(candidate.place, error, candidate.file))
    return found


def exam_objects(study: str, results: Sequence[ImageResult], making: Making) -> dict[str, Dataset]:
    """The objects of one exam by file name: `report.dcm`, `region_01.dcm`, `capture_01.dcm`, ...

    Raises:
        MammoError: `patients_differ`; `result_impossible` where highdicom refuses what a header says; those of
            `read_source`, and for captures those of `reading.read_told`.
    """
    sources: dict[str, tuple[Source, list[ImageResult]]] = {}
    for result in results:
        source = read_source(result.candidate)
        sources.setdefault(source.image.SOPInstanceUID, (source, []))[1].append(result)
    if len({source.patient for source, _ in sources.values()}) > 1:
        sentence = "images of one study name several patients, so that nobody knows whose result it would be"
        raise MammoError("patients_differ", sentence, "Correct the Patient IDs in the archive")
    try:
        return _made(study, list(sources.values()), making)
    except MammoError:
        raise
    except Exception as error:  # highdicom raises nearly anything for a header that it does not take
        sentence = f"no result can be made of what the header says ({type(error).__name__})"
        raise MammoError("result_impossible", sentence, "Score it without --dicom-out") from error


def _made(study: str, sources: Sequence[tuple[Source, list[ImageResult]]], making: Making) -> dict[str, Dataset]:
    parts = []
    for number, (source, results) in enumerate(sources, 1):
        parts.append(SourceResults(source, tuple(results), make_mask(source, results, making.model, number)))
    objects: dict[str, Dataset] = {"report.dcm": make_report(Exam(study, tuple(parts)), making.model)}
    masks = [part.mask.object for part in parts if part.mask is not None and part.mask.object is not None]
    objects |= {f"region_{number:02d}.dcm": mask for number, mask in enumerate(masks, 1)}
    if making.captures:
        shown = [(part, result) for part in parts for result in part.results]
        pictures = _pictures([result.candidate for _, result in shown], making.projection)
        for number, ((part, result), pixels) in enumerate(zip(shown, pictures, strict=True), 1):
            objects[f"capture_{number:02d}.dcm"] = make_capture(part, result, pixels, making.model, number)
    return objects


def _pictures(candidates: Sequence[Candidate], projection: Projection) -> list[NDArray[np.float32]]:
    """The pictures once more, decoded where a decoder that fails costs the exam and not the command."""
    found = []
    with closing(guarded(partial(_pixels, projection=projection), candidates)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome, MammoError):
                raise outcome
            found.append(outcome)
    return found


def _pixels(candidate: Candidate, projection: Projection) -> NDArray[np.float32]:
    return read_told(candidate.file, candidate.told, projection).pixels.astype(np.float32, copy=False)


def write_objects(folder: Path, objects: dict[str, Dataset]) -> None:
    """Writes an exam's objects into a new folder that its owner alone may read, and waits until the disk has them."""
    with disk_errors(folder):
        folder.mkdir(mode=0o700)
        for name, one in objects.items():
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream:
                one.save_as(stream, enforce_file_format=True)
                stream.flush()
                os.fsync(stream.fileno())

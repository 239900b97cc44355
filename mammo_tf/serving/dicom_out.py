"""The DICOM results of `mammo-tf predict`: gathered image by image, written at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.predictions import Probability
from mammo_tf.files import disk_errors
from mammo_tf.serving.bundle import Scored
from mammo_tf.serving.dicom_extra import check_extra
from mammo_tf.serving.dicom_results import ImageResult, ModelFacts, image_result
from mammo_tf.serving.predict_picture import PredictPicture
from mammo_tf.serving.scorer import Scorer

if TYPE_CHECKING:
    from mammo_tf.serving.dicom_exams import DicomReport


class DicomOut:
    """Where results go as DICOM objects, an exam a folder (`dicom_exams.write_exams`)."""

    def __init__(self, folder: str | Path, captures: bool = False) -> None:
        """Looks at the folder before the work, which may take hours.

        Args:
            folder: new or empty.
            captures: whether a secondary capture of each image is made too.

        Raises:
            MammoError: `extra_missing`, `folder_exists`; those of `files.disk_errors`.
        """
        check_extra()
        self.folder = Path(folder)
        self._captures = captures
        self._results: list[ImageResult] = []
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise MammoError("folder_exists", f"{self.folder} exists already", "Name another folder or remove it")
        with disk_errors(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)

    def take(
        self, scorer: Scorer, probability: Probability | None, item: PredictPicture, scored: Scored, number: int
    ) -> None:
        """Keeps what the model says of a picture; arguments as for `dicom_results.image_result`."""
        self._results.append(image_result(scorer, item, scored, number, probability))

    def write(self, scorer: Scorer) -> DicomReport:
        """Writes the folder."""
        from mammo_tf.serving.dicom_exams import Making, write_exams  # highdicom: not where nobody asks for it

        making = Making(ModelFacts.of(scorer), scorer.preprocessing.projection, self._captures)
        return write_exams(self.folder, self._results, making)

"""A picture for viewers that show neither reports nor segmentations: region, score and decision drawn into the image.

It is a picture of a result, made smaller and in colour, and says so: it is not for diagnosis.
"""

from __future__ import annotations

import textwrap

import cv2
import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from mammo_tf import __version__
from mammo_tf.serving import dicom_codes as named
from mammo_tf.serving.dicom_codes import MAKER, plain, result_uid
from mammo_tf.serving.dicom_extra import unheard
from mammo_tf.serving.dicom_report import SourceResults
from mammo_tf.serving.dicom_results import ImageResult, ModelFacts

SERIES_NUMBER = 9703
LONGEST = 1600  # pixels of the longer side
ORANGE, WHITE = (255, 160, 40), (255, 255, 255)
LETTERS = 46  # of a line
NARROWEST = 480  # columns that lines have room in


def make_capture(
    part: SourceResults, result: ImageResult, pixels: NDArray[np.float32], model: ModelFacts, number: int
) -> SCImage:
    """The secondary capture of one picture.

    Args:
        part: the object and what was said of it.
        result: of the picture.
        pixels: the picture as a viewer shows it, `[rows, columns]` in [0, 1].
        model: who says so.
        number: of the instance in its series.
    """
    image = part.source.image
    drawn = draw(pixels, result, model)
    shares = [
        image.StudyInstanceUID, image.SOPInstanceUID, model.identity, model.name, model.version, __version__,
        repr((result.score, result.decision, result.abstains, model.threshold, str(result.candidate.part))),
        "" if result.region is None else str(hash_of(result)),
    ]  # fmt: skip
    orientation = [str(one) for one in image.get("PatientOrientation") or []]
    with unheard():
        made = SCImage(
            pixel_array=drawn,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            study_instance_uid=image.StudyInstanceUID,
            series_instance_uid=result_uid("capture series", image.StudyInstanceUID, model.identity, model.version),
            series_number=SERIES_NUMBER,
            sop_instance_uid=result_uid("capture", *shares),
            instance_number=number,
            manufacturer=MAKER,
            manufacturer_model_name=plain(model.name),
            software_versions=__version__,
            patient_orientation=("A", "F"),
            series_description=plain(f"Captures of {model.name}"),
        )
    made.PatientOrientation = orientation if len(orientation) == 2 else []
    if result.laterality in named.SIDES:
        made.ImageLaterality = result.laterality
    made.BurnedInAnnotation = "YES"
    made.ImageComments = plain("Result of a model, reduced and drawn into; not for diagnosis", 1024)
    made.SourceImageSequence = [_reference(one) for one in part.source.images]
    part.source.put_modules(made)
    return made


def draw(pixels: NDArray[np.float32], result: ImageResult, model: ModelFacts) -> NDArray[np.uint8]:
    """The picture that is burned: uint8 `[rows, columns, 3]`, lines of text below the image."""
    rows, columns = pixels.shape
    scale = min(1.0, LONGEST / max(rows, columns))
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    grey = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    shown = np.repeat(np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)
    if result.region is not None:
        marked = cv2.resize(result.region.stored().astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(marked, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(shown, outlines, -1, ORANGE, max(1, round(size[1] / 500)))
    width = max(NARROWEST, size[0])
    lines = [line for text in words(result, model) for line in textwrap.wrap(text, LETTERS)]
    letter = width / NARROWEST * 0.5
    step = round(34 * letter)
    band = np.zeros((step * len(lines) + step // 2, width, 3), np.uint8)
    for number, line in enumerate(lines, 1):
        place = (round(10 * letter), step * number - step // 6)
        cv2.putText(band, line, place, cv2.FONT_HERSHEY_SIMPLEX, letter, WHITE, max(1, round(letter)), cv2.LINE_AA)
    wide = np.pad(shown, ((0, 0), (0, width - size[0]), (0, 0)))
    return np.concatenate([wide, band])


def words(result: ImageResult, model: ModelFacts) -> list[str]:
    """What is written below the image; no name, no date."""
    told = f"Score {result.score:.3f}"
    if model.threshold is not None:
        told += f", positive from {model.threshold:.3f}"
    called = {True: "Called POSITIVE", False: "Called negative", None: "No decision"}[result.decision]
    decision = "NOT JUDGED: unlike the training" if result.abstains else called
    side = f"{result.laterality} {result.view}".strip() or "Image"
    maker = f"{plain(model.name)} {plain(model.version)}, {MAKER} {__version__}. Not for diagnosis."
    return [f"{side}: {decision}", told, maker]


def hash_of(result: ImageResult) -> str:
    """What tells a region from another."""
    assert result.region is not None
    return str(result_uid("pixels", result.region.packed.hex(), repr(result.region.affine.tolist())))


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return item

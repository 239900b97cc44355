"""Regions of one source object as a DICOM segmentation, pixel by pixel in its geometry.

A picture that is a projection of frames marks each of them: the projection does not tell in which one a finding lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from mammo_tf import __version__
from mammo_tf.serving.dicom_codes import MAKER, plain, result_uid
from mammo_tf.serving.dicom_extra import unheard
from mammo_tf.serving.dicom_results import ImageResult, ModelFacts
from mammo_tf.serving.dicom_source import Source

SERIES_NUMBER = 9702
COLOUR = CIELabColor(65.0, 45.0, 70.0)  # orange


class Mask(NamedTuple):
    """A segmentation object and how much it marks.

    Attributes:
        object: the DICOM object; None where the source does not tell the place of its frames.
        pixels: marked pixels, over all frames.
        source_frames: stored numbers of the source's frames that it marks; empty for a source of one frame.
    """

    object: Segmentation | None
    pixels: int
    source_frames: tuple[int, ...] = ()


def make_mask(source: Source, results: Sequence[ImageResult], model: ModelFacts, number: int) -> Mask | None:
    """The segmentation of one source.

    Args:
        source: the object, or the slices.
        results: its pictures: one, or of a volume one a slab or frame.
        model: who says so.
        number: of the instance in its series.

    Returns:
        None where no picture has a region.
    """
    marked = _by_frame(source, results)
    if not marked:
        return None
    pixels = sum(int(one.sum()) for one in marked.values())
    if len(source.frames) > 1 and not _has_places(source):
        return Mask(None, pixels)
    frames, image = len(source.frames), source.image
    stack = np.zeros((frames, int(image.Rows), int(image.Columns)), np.uint8)
    for place, one in marked.items():
        stack[source.frames[place] - 1 if len(source.images) == 1 else place] |= one
    shares = [image.StudyInstanceUID, image.SOPInstanceUID, model.identity, str(model.segments), _digest(stack)]
    with unheard():
        made = Segmentation(
            source_images=[_measured(one) for one in source.images],
            pixel_array=stack if frames > 1 else stack[0],
            segmentation_type="BINARY",
            segment_descriptions=[_segment(model, result_uid("region", *shares))],
            series_instance_uid=result_uid("mask series", source.study, model.identity, model.version),
            series_number=SERIES_NUMBER,
            sop_instance_uid=result_uid("mask", *shares, model.name, model.version, __version__),
            instance_number=number,
            manufacturer=MAKER,
            manufacturer_model_name=plain(model.name),
            software_versions=__version__,
            device_serial_number=model.identity[:16] or "unknown",
            series_description=plain(f"{label(model)} of {model.name}"),
            content_label="REGION",
            content_description=plain(rule(model)),
            omit_empty_frames=True,
        )
    made.PatientOrientation = image.get("PatientOrientation") or ""
    source.put_modules(made)
    return Mask(made, pixels, tuple(sorted(source.frames[place] for place in marked)) if frames > 1 else ())


def label(model: ModelFacts) -> str:
    """What a viewer writes next to the region."""
    return "Findings" if model.segments else "Evidence"


def rule(model: ModelFacts) -> str:
    """How pixels were marked, in 64 letters."""
    if model.segments:
        return "Probability reaches the model's threshold of pixels"
    return "Heat map from half of its maximum on; image called positive"


def _by_frame(source: Source, results: Sequence[ImageResult]) -> dict[int, NDArray[np.bool_]]:
    """Marked pixels of the frames by their places in true order; those where nothing is marked are left out."""
    marked: dict[int, NDArray[np.bool_]] = {}
    for result in results:
        if result.region is None:
            continue
        stored = result.region.stored()
        for place in source.covered(result.candidate):
            marked[place] = marked[place] | stored if place in marked else stored
    return marked


def _measured(image: Dataset) -> Dataset:
    """A header as highdicom takes it: of a projection without its spacing.

    It would write that as pixel measures without a slice thickness, and not read them again. Pixels of such a mask are
    those of the image that it names, one by one.
    """
    if "FrameOfReferenceUID" in image or "PixelSpacing" not in image:
        return image
    without = Dataset()
    without.update({element.tag: element for element in image if element.keyword != "PixelSpacing"})
    return without


def _has_places(source: Source) -> bool:
    """Whether the frames of a volume have places in a frame of reference, as a segmentation of several needs."""
    image = source.image
    if "FrameOfReferenceUID" not in image:
        return False
    if len(source.images) > 1:
        return all("ImagePositionPatient" in one and "ImageOrientationPatient" in one for one in source.images)
    groups = image.get("PerFrameFunctionalGroupsSequence") or []
    shared = image.get("SharedFunctionalGroupsSequence") or []
    turned = [*shared, *groups[:1]]
    return (
        len(groups) == len(source.frames)
        and all("PlanePositionSequence" in group for group in groups)
        and any("PlaneOrientationSequence" in group for group in turned)
        and any("PixelMeasuresSequence" in group for group in turned)
    )


def _segment(model: ModelFacts, tracking: UID) -> SegmentDescription:
    made_by = AlgorithmIdentificationSequence(
        name=plain(model.name),
        family=codes.DCM.ArtificialIntelligence,
        version=plain(model.version),
        source=MAKER,
        parameters={"identity": model.identity, "rule": rule(model)},
    )
    lesion = (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Lesion)
    region = (codes.SCT.SpatialAndRelationalConcept, codes.DCM.SelectedRegion)
    category, kind = lesion if model.segments else region
    return SegmentDescription(
        segment_number=1,
        segment_label=label(model),
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="AUTOMATIC",
        algorithm_identification=made_by,
        tracking_uid=tracking,
        tracking_id=label(model),
        anatomic_regions=[codes.SCT.Breast],
        display_color=COLOUR,
    )


def _digest(stack: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.packbits(stack).tobytes()).hexdigest()

"""Regions of one source object as a DICOM segmentation, pixel by pixel in its geometry.

A picture that is a projection of frames marks each of them: the projection does not tell in which one a finding lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation

from mammo_tf import __version__
from mammo_tf.serving.dicom_codes import MAKER, plain, result_uid
from mammo_tf.serving.dicom_extra import unheard
from mammo_tf.serving.dicom_results import ImageResult, ModelFacts
from mammo_tf.serving.dicom_source import Source

SERIES_NUMBER = 9702
# highdicom would write the spacing of a projection as pixel measures without a slice thickness, and not read them
# again. Pixels of its mask are those of the image that it names, one by one.
SPACING = ("PixelSpacing",)
OF_FRAMES = (
    *SPACING, "SOPClassUID", "NumberOfFrames", "FrameOfReferenceUID", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "DimensionOrganizationSequence", "DimensionIndexSequence",
)  # fmt: skip
COLOUR = CIELabColor(65.0, 45.0, 70.0)  # orange


class Mask(NamedTuple):
    """A segmentation object and how much it marks.

    Attributes:
        object: the DICOM object; None where the source does not tell the place of its frames.
        pixels: marked pixels, over all frames.
        source_frames: stored numbers of the source's frames that it marks; empty where its one frame is of the
            source as a whole.
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
    laid = _laid_out(source, marked)
    if laid is None:
        return Mask(None, sum(int(one.sum()) for one in marked.values()))
    images, stack = laid
    made = _object(source, images, stack, model, number)
    several = tuple(sorted(source.frames[place] for place in marked)) if len(stack) > 1 else ()
    return Mask(made, int(stack.sum()), several)


def _laid_out(
    source: Source, marked: Mapping[int, NDArray[np.bool_]]
) -> tuple[list[Dataset], NDArray[np.uint8]] | None:
    """Headers and pixels, uint8 `[frames, rows, columns]`, as highdicom takes them; None where it cannot.

    Frames without places cannot be told apart in a segmentation. Where all of them are marked alike they need not: one
    frame then refers to the object as a whole, which highdicom is shown as if it were a mammogram.
    """
    frames, image = len(source.frames), source.image
    if frames > 1 and not _has_places(source):
        first, *others = marked.values()
        alike = len(marked) == frames and all(one is first or np.array_equal(one, first) for one in others)
        if len(source.images) > 1 or not alike:
            return None
        projection = _without(image, OF_FRAMES)
        projection.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
        return [projection], first.astype(np.uint8)[None]
    stack = np.zeros((frames, int(image.Rows), int(image.Columns)), np.uint8)
    for place, one in marked.items():
        stack[source.frames[place] - 1 if len(source.images) == 1 else place] |= one
    return [one if "FrameOfReferenceUID" in one else _without(one, SPACING) for one in source.images], stack


def _object(
    source: Source, images: list[Dataset], stack: NDArray[np.uint8], model: ModelFacts, number: int
) -> Segmentation:
    image = source.image
    shares = [image.StudyInstanceUID, image.SOPInstanceUID, model.identity, str(model.segments), _digest(stack)]
    with unheard():
        made = Segmentation(
            source_images=images,
            pixel_array=stack if len(stack) > 1 else stack[0],
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
    made.ContentCreatorName = ""  # which has to be there, and nobody has drawn it
    made.PatientOrientation = image.get("PatientOrientation") or ""
    source.put_modules(made)
    _name_class(made, image)
    return made


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


def _without(image: Dataset, keywords: Collection[str]) -> Dataset:
    """A header without some elements; those that are left are shared."""
    without = Dataset()
    without.update({element.tag: element for element in image if element.keyword not in keywords})
    return without


def _name_class(made: Dataset, image: Dataset) -> None:
    """Every reference to an image gets the image's own class, whatever highdicom was shown."""
    for element in made:
        for item in element.value if element.VR == "SQ" else ():
            if item.get("ReferencedSOPInstanceUID") == image.SOPInstanceUID:
                item.ReferencedSOPClassUID = image.SOPClassUID
            _name_class(item, image)


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

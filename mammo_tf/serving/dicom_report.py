"""What a model says of an exam as a Comprehensive SR after template TID 1500, Measurement Report.

First the exam (TID 1501): its score, put together of those of the images, and its decision. Then a group for each image
(TID 1501): score, operating point, decision, and whether there is a region; for each region a group (TID 1410, of a
volume TID 1411) that refers to the segmentation. Every group names the algorithm (TID 4019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import highdicom.sr as sr
import pandas as pd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mammo_tf import __version__
from mammo_tf.evaluation.levels import at_level
from mammo_tf.serving import dicom_codes as named
from mammo_tf.serving.dicom_codes import MAKER, plain, result_uid
from mammo_tf.serving.dicom_extra import unheard
from mammo_tf.serving.dicom_masks import Mask
from mammo_tf.serving.dicom_results import ImageResult, ModelFacts
from mammo_tf.serving.dicom_source import Source

SERIES_NUMBER = 9701
AnyCode = sr.CodedConcept | Code


@dataclass(frozen=True)
class SourceResults:
    """What was said of one object: its pictures, of a volume one a slab or frame, and their segmentation."""

    source: Source
    results: tuple[ImageResult, ...]
    mask: Mask | None = None


@dataclass(frozen=True)
class Exam:
    """All images of a study that were scored.

    Attributes:
        study: its Study Instance UID.
        parts: its objects.
    """

    study: str
    parts: tuple[SourceResults, ...] = field(repr=False)

    @property
    def results(self) -> list[ImageResult]:
        """Of all images."""
        return [result for part in self.parts for result in part.results]

    @property
    def score(self) -> float:
        """The score of the level exam (`evaluation.levels`): the maximum over breasts of the mean over views."""
        rows = [
            {
                "split": "", "label": 0, "patient_id": "p", "exam_id": "e", "image_id": str(number),
                "laterality": result.laterality, "frame": str(place), "score": result.score,
            }
            for number, part in enumerate(self.parts) for place, result in enumerate(part.results)
        ]  # fmt: skip
        cases = at_level(pd.DataFrame(rows), "exam")
        assert cases is not None
        return float(cases["score"].iloc[0])

    def decision(self, model: ModelFacts) -> bool | None:
        """By the operating point of exams, else whether an image is called positive; None where nothing decides.

        An exam with no image that is called positive and one that the model does not judge is not decided.
        """
        if model.threshold is None and model.exam_threshold is None:
            return None
        if any(result.decision for result in self.results) and model.exam_threshold is None:
            return True
        if any(result.abstains for result in self.results):
            return None
        return False if model.exam_threshold is None else self.score >= model.exam_threshold


def make_report(exam: Exam, model: ModelFacts) -> sr.ComprehensiveSR:
    """The report of an exam."""
    masks = [part.mask.object for part in exam.parts if part.mask is not None and part.mask.object is not None]
    images = [image for part in exam.parts for image in part.source.images]
    first = exam.parts[0].source
    said = [repr((r.score, r.probability, r.decision, r.abstains, r.distance, r.why)) for r in exam.results]
    point = repr((model.threshold, model.exam_threshold))
    shares = [exam.study, model.identity, model.name, model.version, __version__, point, *said]
    shares += [one.SOPInstanceUID for one in (*images, *masks)]
    with unheard():
        made = sr.ComprehensiveSR(
            evidence=[*images, *masks],
            content=_content(exam, model, images),
            series_instance_uid=result_uid("report series", exam.study, model.identity, model.version),
            series_number=SERIES_NUMBER,
            sop_instance_uid=result_uid("report", *shares),
            instance_number=1,
            manufacturer=MAKER,
            manufacturer_model_name=plain(model.name),
            software_versions=__version__,
            device_serial_number=model.identity[:16] or "unknown",
            series_description=plain(f"Report of {model.name}"),
            coding_schemes=named.scheme(),
            is_complete=True,
            is_final=False,
        )
    first.put_modules(made)
    return made


def _content(exam: Exam, model: ModelFacts, images: Sequence[Dataset]) -> sr.MeasurementReport:
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=result_uid("device", model.identity, model.name, model.version),
            name=plain(model.name),
            manufacturer_name=MAKER,
            model_name=plain(f"{model.name} {model.version}"),
            serial_number=model.identity or None,
        ),
    )
    groups: list[Any] = [_exam_group(exam, model)]
    for number, part in enumerate(exam.parts, 1):
        groups += [_image_group(part, result, model, number) for result in part.results]
        if part.mask is not None and part.mask.object is not None:
            groups.append(_region_group(part, part.mask, model, number))
    volumes = any(len(part.source.frames) > 1 for part in exam.parts)
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=named.TOMOSYNTHESIS if volumes else codes.SCT.Mammography,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=[image for image in images if _describable(image)] or None,
    )


def _describable(image: Dataset) -> bool:
    """Whether highdicom can say in the image library what an image is: some lack what it asks for."""
    try:
        sr.ImageLibraryEntryDescriptors(image)
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def _algorithm(model: ModelFacts) -> sr.AlgorithmIdentification:
    parameters = [f"identity={model.identity}", f"positive: {model.positive}", f"package: {MAKER} {__version__}"]
    if model.threshold is not None:
        parameters.append(f"operating point of images: {model.threshold!r}, {model.rule}")
    if model.limit is not None:
        parameters.append(f"abstains beyond a distance from the training domain of {model.limit!r}")
    parameters.append("score: mean over four flips" if model.flips else "score: of the picture as it is")
    return sr.AlgorithmIdentification(
        name=plain(model.name),
        version=plain(model.version),
        parameters=[plain(one, 1024) for one in parameters],
        family=codes.DCM.ArtificialIntelligence,
        manufacturer=MAKER,
    )


def _measurement(
    name: AnyCode, value: float, unit: AnyCode = named.NO_UNITS, derivation: AnyCode | None = None
) -> sr.Measurement:
    return sr.Measurement(name=name, value=float(value), unit=unit, derivation=derivation)


def _decision(decision: bool | None, abstains: bool) -> list[sr.QualitativeEvaluation]:
    if decision is None and not abstains:
        return []
    value = named.INDETERMINATE if decision is None else named.POSITIVE if decision else named.NEGATIVE
    return [sr.QualitativeEvaluation(named.DECISION, value)]


def _exam_group(exam: Exam, model: ModelFacts) -> sr.MeasurementsAndQualitativeEvaluations:
    measurements = [_measurement(named.SCORE, exam.score, derivation=codes.SCT.Maximum)]
    if model.exam_threshold is not None:
        measurements.append(_measurement(named.OPERATING_POINT, model.exam_threshold))
    decision = exam.decision(model)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(result_uid("exam", exam.study, model.identity), "Exam"),
        algorithm_id=_algorithm(model),
        finding_sites=[sr.FindingSite(codes.SCT.Breast)],
        measurements=measurements,
        qualitative_evaluations=_decision(decision, any(one.abstains for one in exam.results)) or None,
    )


def _words(part: SourceResults, result: ImageResult, number: int) -> str:
    """`Image 2 L MLO`, of a part of a volume with its frames; the file is not named, its name may be a name."""
    frames = [part.source.frames[place] for place in part.source.covered(result.candidate)]
    where = f" frames {min(frames)} to {max(frames)}" if len(part.results) > 1 else ""
    return plain(f"Image {number} {result.laterality} {result.view}".rstrip() + where)


def _site(result: ImageResult) -> sr.FindingSite:
    return sr.FindingSite(codes.SCT.Breast, laterality=named.SIDES.get(result.laterality))


def _image_group(
    part: SourceResults, result: ImageResult, model: ModelFacts, number: int
) -> sr.MeasurementsAndQualitativeEvaluations:
    measurements = [_measurement(named.SCORE, result.score)]
    if result.probability is not None and model.cancer:
        measurements.append(_measurement(named.CANCER, 100 * result.probability, named.PERCENT))
    elif result.probability is not None:
        measurements.append(_measurement(named.PROBABILITY, 100 * result.probability, named.PERCENT))
    if model.threshold is not None:
        measurements.append(_measurement(named.OPERATING_POINT, model.threshold))
    if result.distance is not None:
        measurements.append(_measurement(named.DOMAIN_DISTANCE, result.distance))
    told = result.why
    if result.region is not None and part.mask is not None and part.mask.object is None:
        told = "no_geometry"
    words = _words(part, result, number)
    share = result_uid("image", part.source.image.SOPInstanceUID, words, model.identity)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(share, words),
        algorithm_id=_algorithm(model),
        finding_sites=[_site(result)],
        measurements=measurements,
        qualitative_evaluations=[
            *_decision(result.decision, result.abstains),
            sr.QualitativeEvaluation(named.REGION, named.REGION_STATES[told]),
        ],
        source_images=_sources(part, result),
    )


def _sources(part: SourceResults, result: ImageResult) -> list[sr.SourceImageForMeasurementGroup]:
    source, covered = part.source, part.source.covered(result.candidate)
    if len(source.images) > 1:
        chosen = [source.images[place] for place in covered]
        return [sr.SourceImageForMeasurementGroup(one.SOPClassUID, one.SOPInstanceUID) for one in chosen]
    image = source.image
    frames = sorted(source.frames[place] for place in covered) if len(covered) < len(source.frames) else None
    return [sr.SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID, frames)]


def _region_group(part: SourceResults, mask: Mask, model: ModelFacts, number: int) -> Any:
    segmentation, source = mask.object, part.source
    assert segmentation is not None
    description = segmentation.SegmentSequence[0]
    common: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(description.TrackingUID, f"Region of image {number}"),
        "algorithm_id": _algorithm(model),
        "finding_type": Code(
            description.SegmentedPropertyTypeCodeSequence[0].CodeValue,
            description.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator,
            description.SegmentedPropertyTypeCodeSequence[0].CodeMeaning,
        ),
        "finding_sites": [_site(part.results[0])],
        "measurements": [_measurement(codes.SCT.Area, float(mask.pixels), named.PIXELS)],
    }
    uids = (segmentation.SOPClassUID, segmentation.SOPInstanceUID)
    if not mask.source_frames:
        image = sr.SourceImageForSegmentation(source.image.SOPClassUID, source.image.SOPInstanceUID)
        frame = sr.ReferencedSegmentationFrame(*uids, frame_number=1, segment_number=1, source_image=image)
        del frame[0].ReferencedSOPSequence[0].ReferencedSegmentNumber  # PS3.3, C.18.4: not next to a frame's number
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_segment=frame, **common)
    images = [sr.SourceImageForSegmentation(one.SOPClassUID, one.SOPInstanceUID) for one in source.images]
    segment = sr.ReferencedSegment(*uids, segment_number=1, source_images=images)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **common)

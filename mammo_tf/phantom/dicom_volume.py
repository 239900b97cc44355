"""What a Breast Tomosynthesis object has that a mammogram has not: frames, and functional groups that describe them."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID

from mammo_tf.phantom.exposure import StoredPicture

TYPE = ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"]
MOVED_TO_GROUPS = (
    "PixelSpacing", "ImagerPixelSpacing", "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence",
    "RescaleIntercept", "RescaleSlope", "RescaleType", "ImageLaterality", "ViewPosition", "PatientOrientation",
    "PartialView", "DetectorType", "PresentationIntentType", "QualityControlImage",
)  # fmt: skip
STACK_POSITION = (Tag("InStackPositionNumber"), Tag("FrameContentSequence"))


def as_volume(dataset: Dataset, picture: StoredPicture, laterality: str, organisation: UID) -> None:
    """Turns the data set of a mammogram into that of a Breast Tomosynthesis object, pixels aside.

    What the object's modules keep in functional groups is moved there; frames are numbered from the detector upwards.

    Args:
        dataset: with the attributes of a digital mammogram.
        picture: a volume, see `StoredPicture`.
        laterality: L or R.
        organisation: UID of the frames' dimensions and frame of reference.
    """
    moved = Dataset()
    for name in MOVED_TO_GROUPS:
        if name in dataset:
            moved[name] = dataset[name]
            del dataset[name]
    dataset.ImageType = TYPE
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique = "TOMOSYNTHESIS"
    dataset.ContentQualification = "PRODUCT"
    dataset.DeviceSerialNumber = dataset.SoftwareVersions = "1"
    dataset.AcquisitionDateTime = dataset.StudyDate + dataset.StudyTime
    dataset.AcquisitionContextSequence = Sequence([])
    dataset.FrameOfReferenceUID = organisation
    dataset.PositionReferenceIndicator = ""
    dataset.NumberOfFrames = str(len(picture.pixels))
    dataset.DimensionOrganizationSequence = Sequence([_item(DimensionOrganizationUID=organisation)])
    dataset.DimensionOrganizationType = "3D"
    pointer, group = STACK_POSITION
    index = _item(DimensionOrganizationUID=organisation, DimensionIndexPointer=pointer, FunctionalGroupPointer=group)
    dataset.DimensionIndexSequence = Sequence([index])
    dataset.SharedFunctionalGroupsSequence = Sequence([_shared(moved, picture, laterality)])
    frames = [_frame(number, picture.slice_mm) for number in range(1, len(picture.pixels) + 1)]
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)


def _item(**values: object) -> Dataset:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item


def _picked(moved: Dataset, *names: str) -> Dataset:
    item = Dataset()
    for name in names:
        if name in moved:
            item[name] = moved[name]
    return item


def _shared(moved: Dataset, picture: StoredPicture, laterality: str) -> Dataset:
    thickness = f"{picture.slice_mm:.6g}"
    measures = _picked(moved, "PixelSpacing")
    measures.SliceThickness = measures.SpacingBetweenSlices = thickness
    region = _item(CodeValue="76752008", CodingSchemeDesignator="SCT", CodeMeaning="Breast")
    groups = _item(
        PixelMeasuresSequence=Sequence([measures]),
        PlaneOrientationSequence=Sequence([_item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])]),
        FrameAnatomySequence=Sequence([_item(FrameLaterality=laterality, AnatomicRegionSequence=Sequence([region]))]),
        PixelValueTransformationSequence=Sequence([_picked(moved, "RescaleIntercept", "RescaleSlope", "RescaleType")]),
        XRay3DFrameTypeSequence=Sequence([_frame_type()]),
    )
    display = _picked(moved, "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence")
    if len(display):
        groups.FrameVOILUTSequence = Sequence([display])
    return groups


def _frame_type() -> Dataset:
    return _item(
        FrameType=TYPE,
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="TOMOSYNTHESIS",
    )


def _frame(number: int, slice_mm: float) -> Dataset:
    content = _item(StackID="1", InStackPositionNumber=number, FrameAcquisitionNumber=1, DimensionIndexValues=[number])
    height = f"{(number - 0.5) * slice_mm:.6g}"
    return _item(
        FrameContentSequence=Sequence([content]),
        PlanePositionSequence=Sequence([_item(ImagePositionPatient=["0", "0", height])]),
    )

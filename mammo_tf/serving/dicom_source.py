"""The object that a result is about: what of its header a result needs, the patient's and the study's modules apart.

The modules go from the source's header to the result's as the bytes that they are, in memory alone: no name is read
here. What else of the package meets a source sees `Source.images`, which hold none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from mammo_tf.errors import MammoError
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.frames import frame_order
from mammo_tf.reading.layout import layout
from mammo_tf.reading.read import file_kind
from mammo_tf.reading.slices import slices
from mammo_tf.serving.dicom_extra import unheard
from mammo_tf.serving.predict_inputs import Candidate

PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID", "PatientBirthDate", "PatientBirthTime",
    "PatientSex", "OtherPatientNames", "EthnicGroup", "PatientComments", "PatientIdentityRemoved",
    "DeidentificationMethod", "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID",
    "AccessionNumber", "StudyDescription", "PhysiciansOfRecord", "PatientAge", "PatientSize", "PatientWeight",
)  # fmt: skip
MUST_BE_THERE = (  # of both modules, empty where nobody knows
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber",
)  # fmt: skip
OF_THE_IMAGE = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "Rows",
    "Columns", "NumberOfFrames", "PixelSpacing", "ImagerPixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "PatientOrientation", "FrameOfReferenceUID", "PositionReferenceIndicator", "ImagePositionPatient",
    "ImageOrientationPatient", "LossyImageCompression", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "DimensionOrganizationType",
    "DimensionOrganizationSequence", "DimensionIndexSequence", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
NAMED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True)
class Source:
    """What was scored, as a result refers to it.

    Attributes:
        images: headers without patient: one object, or the slices of a folder in true order.
        frames: of one object the stored numbers of its frames, counted from 1, in true order.
        study: its Study Instance UID.
        patient: its Patient ID, to be compared and not to be told.
    """

    images: tuple[Dataset, ...]
    frames: tuple[int, ...]
    study: str
    patient: bytes = field(repr=False)
    _modules: Mapping[int, Any] = field(repr=False)

    @property
    def image(self) -> Dataset:
        """The object, or the first slice."""
        return self.images[0]

    def covered(self, candidate: Candidate) -> list[int]:
        """Which frames a picture was made of: their places in true order, counted from 0."""
        told = candidate.told
        first, count = int(told.get("frame") or 0), int(told.get("slab") or 0)
        total = len(self.frames)
        return list(range(total)) if not first else list(range(first - 1, min(total, first - 1 + max(1, count))))

    def put_modules(self, result: Dataset) -> None:
        """Gives an object the patient's and the study's modules, and the character set that they are written in."""
        for keyword in (*PATIENT_AND_STUDY, "SpecificCharacterSet"):
            if keyword in result:
                del result[keyword]
        for element in self._modules.values():
            result[element.tag] = deepcopy(element)
        for keyword in MUST_BE_THERE:
            if keyword not in result:
                setattr(result, keyword, "")


def read_source(candidate: Candidate) -> Source:
    """The header of what was scored.

    Raises:
        MammoError: `source_not_dicom` for a picture without a header; `patient_missing`, `study_missing`;
            `source_unusable` where the header does not name the object, or cannot be read by this road; those of
            `reading.slices` for a folder.
    """
    path = candidate.file
    frames: tuple[int, ...] = ()
    if path.is_dir():
        files = slices(path, int(candidate.told.get("series") or 0))[0]
    else:
        if file_kind(path) != "dicom":
            remedy = "Results of PNG and TIFF files are in the table alone"
            raise MammoError("source_not_dicom", "not a DICOM object: there is no study to put a result into", remedy)
        files, frames = [path], _true_order(path)
    headers = [_header(file) for file in files]
    modules = _modules(headers[0])
    study, patient = _text(headers[0], "StudyInstanceUID"), _bytes(headers[0], "PatientID")
    if not patient:
        sentence = "the header has no Patient ID, and a result without a patient finds its way to nobody"
        raise MammoError("patient_missing", sentence, "Give the object a Patient ID")
    if not study:
        raise MammoError("study_missing", "the header has no Study Instance UID", "Give the object a study")
    images = tuple(_stripped(header) for header in headers)
    return Source(images, frames or tuple(range(1, len(images) + 1)), study, patient, modules)


def _true_order(path: Path) -> tuple[int, ...]:
    with refusals(path), open_dicom(path) as file:
        return tuple(number + 1 for number in frame_order(file.header, layout(file).frames)[0])


def _header(path: Path) -> Dataset:
    """The header as pydicom reads it; a reader of ours has found it sound before."""
    try:
        with unheard():
            return pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except Exception as error:  # pydicom raises nearly anything, with values of the header in it
        raise _unusable("cannot be read by pydicom") from error


def _unusable(what: str) -> MammoError:
    return MammoError("source_unusable", f"the header {what}", "Leave it out, or repair the object")


def _modules(header: Dataset) -> dict[int, RawDataElement | DataElement]:
    found: dict[int, RawDataElement | DataElement] = {}
    for keyword in ("SpecificCharacterSet", *PATIENT_AND_STUDY):
        tag = tag_for_keyword(keyword)
        if tag is not None and tag in header:
            element = header.get_item(tag)
            if isinstance(element, RawDataElement):
                value = element.value or b""
                element = element._replace(VR=dictionary_VR(tag), value=value, length=len(value))
            found[tag] = element
    return found


def _bytes(header: Dataset, keyword: str) -> bytes:
    element = header.get_item(keyword) if keyword in header else None
    value = None if element is None else element.value
    if isinstance(value, bytes):
        return value.strip(b" \0")
    return str(value or "").strip().encode()


def _text(header: Dataset, keyword: str) -> str:
    return _bytes(header, keyword).decode("ascii", "replace")


def _stripped(header: Dataset) -> Dataset:
    """What of a header is about the image; the modules of patient and study are there and empty."""
    image = Dataset()
    try:
        with unheard():
            for keyword in OF_THE_IMAGE:
                if keyword in header:
                    image[keyword] = deepcopy(header[keyword])
            list(image.iterall())  # what is wrong with a value shows now
    except Exception as error:  # as above
        raise _unusable("holds a value that is none") from error
    for keyword in NAMED:
        if not image.get(keyword):
            raise _unusable(f"has no {keyword}")
    for keyword in MUST_BE_THERE:
        setattr(image, keyword, "")
    image.setdefault("Modality", "MG")
    return image

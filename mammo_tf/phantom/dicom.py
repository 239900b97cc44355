"""Writes a phantom picture as a DICOM file, byte for byte the same for the same study and seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from mammo_tf.phantom.dicom_volume import as_volume
from mammo_tf.phantom.exposure import StoredPicture
from mammo_tf.phantom.machine import Machine

NOTE = "Synthetic phantom made by mammo_tf. Not a patient, not clinical data."
DATE, TIME = "20200101", "120000"
IMPLEMENTATION = UID("2.25.310482914117356091")
STORAGE = {
    "FILM": SecondaryCaptureImageStorage,
    "FFDM": DigitalMammographyXRayImageStorageForPresentation,
    "DBT": BreastTomosynthesisImageStorage,
}
TRANSFER_SYNTAXES = {"explicit": ExplicitVRLittleEndian, "rle": RLELossless, "jpeg_ls": JPEGLSLossless}
VIEW_CODES = {
    "CC": ("399162004", "cranio-caudal"),
    "MLO": ("399368009", "medio-lateral oblique"),
}
ORIENTATION = {
    ("L", "CC"): ["A", "R"],
    ("R", "CC"): ["P", "L"],
    ("L", "MLO"): ["A", "FR"],
    ("R", "MLO"): ["P", "FL"],
}


@dataclass(frozen=True)
class Identity:
    """Whose picture it is: identifiers, side, view, age in years, and the seed text that makes its UIDs."""

    patient_id: str
    exam_id: str
    image_id: str
    laterality: str
    view: str
    age: int
    seed: str


def make_uid(*parts: str) -> UID:
    """A UID (2.25 and 128 bits) from texts; the same texts give the same UID."""
    number = int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:16], "big")
    return UID(f"2.25.{number}")


def write_dicom(path: Path, picture: StoredPicture, machine: Machine, who: Identity, compressed_mm: float) -> None:
    """Writes one file.

    Args:
        path: the file; its folder must exist.
        picture: the picture with the chest wall at the left edge; right breasts are mirrored here. A volume becomes a
            Breast Tomosynthesis object of several frames.
        machine: who made it.
        who: see `Identity`.
        compressed_mm: thickness of the compressed breast.
    """
    film = machine.modality == "FILM"
    storage = STORAGE[machine.modality]
    dataset = FileDataset(str(path), {}, preamble=b"\0" * 128)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = storage
    meta.MediaStorageSOPInstanceUID = make_uid("image", who.seed, who.image_id)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = "MAMMO_TF"
    dataset.file_meta = meta
    dataset.SOPClassUID = storage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    _patient(dataset, who)
    _series(dataset, machine, who, film)
    _pixels(dataset, picture, machine, who.laterality == "R")
    if film:
        dataset.Modality = "RG"
        dataset.ConversionType = "DF"
        dataset.NominalScannedPixelSpacing = [_number(picture.spacing_mm)] * 2
        dataset.Laterality = who.laterality
    else:
        dataset.Modality = "MG"
        dataset.PresentationIntentType = "FOR PRESENTATION"
        dataset.ImagerPixelSpacing = [_number(picture.spacing_mm)] * 2
        dataset.BodyPartThickness = _number(round(compressed_mm, 1))
        dataset.PositionerType = "MAMMOGRAPHIC"
        dataset.PositionerPrimaryAngle = "0" if who.view == "CC" else "45"
        dataset.DetectorType = "DIRECT"
        dataset.PresentationLUTShape = "INVERSE" if machine.presentation.photometric == "MONOCHROME1" else "IDENTITY"
    dataset.PixelSpacing = [_number(picture.spacing_mm)] * 2
    if machine.modality == "DBT":
        as_volume(dataset, picture, who.laterality, make_uid("frames", who.seed, who.image_id))
    if machine.transfer_syntax != "explicit":
        dataset.compress(TRANSFER_SYNTAXES[machine.transfer_syntax], generate_instance_uid=False)
    with config.disable_value_validation():
        dataset.save_as(path, enforce_file_format=True)


def _number(value: float) -> str:
    return f"{value:.6g}"


def _code(value: str, designator: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, designator, meaning
    return item


def _patient(dataset: FileDataset, who: Identity) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = f"PHANTOM^{who.patient_id.upper()}"
    dataset.PatientID = who.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "F"
    dataset.PatientAge = f"{who.age:03d}Y"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = DATE
    dataset.StudyTime = dataset.ContentTime = TIME
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.StudyInstanceUID = make_uid("study", who.seed, who.exam_id)
    dataset.SeriesInstanceUID = make_uid("series", who.seed, who.image_id)
    dataset.SeriesNumber = "1"
    dataset.InstanceNumber = "1"
    dataset.ImageComments = NOTE


def _series(dataset: FileDataset, machine: Machine, who: Identity, film: bool) -> None:
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.Manufacturer = f"mammo_tf phantom {machine.manufacturer}"
    dataset.ManufacturerModelName = machine.model
    dataset.InstitutionName = f"PHANTOM {machine.name}"
    dataset.BodyPartExamined = "BREAST"
    dataset.ViewPosition = who.view
    dataset.ImageLaterality = who.laterality
    dataset.PatientOrientation = ORIENTATION[who.laterality, who.view]
    dataset.AnatomicRegionSequence = Sequence([_code("76752008", "SCT", "Breast")])
    view = _code(VIEW_CODES[who.view][0], "SCT", VIEW_CODES[who.view][1])
    view.ViewModifierCodeSequence = Sequence([])
    dataset.ViewCodeSequence = Sequence([view])
    dataset.BreastImplantPresent = "NO"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    if not film:
        dataset.PartialView = "NO"
        dataset.QualityControlImage = "NO"


def _pixels(dataset: FileDataset, picture: StoredPicture, machine: Machine, mirrored: bool) -> None:
    look = machine.presentation
    pixels = picture.pixels[..., ::-1] if mirrored else picture.pixels
    small = look.bits <= 8
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = look.photometric
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated = 8 if small else 16
    dataset.BitsStored = look.bits
    dataset.HighBit = look.bits - 1
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    window = picture.window
    if window.table is not None:
        item = Dataset()
        item.LUTDescriptor = [len(window.table) % 65536, 0, 16 if look.bits > 8 else 8]
        # Entries fill all 16 bits, as the standard wants them spread over the range that they declare.
        item.add_new("LUTData", "OW", _spread(window.table, look.bits))
        dataset.VOILUTSequence = Sequence([item])
    elif window.kind != "none":
        dataset.WindowCenter, dataset.WindowWidth = _number(window.centre), _number(window.width)
        if window.kind == "sigmoid":
            dataset.VOILUTFunction = "SIGMOID"
    kind = "u1" if small else "<u2"
    data = np.ascontiguousarray(pixels.astype(kind)).tobytes()
    dataset.add_new("PixelData", "OB" if small else "OW", data + b"\0" * (len(data) % 2))


def _spread(table: np.ndarray, bits: int) -> bytes:
    top = 65535 if bits > 8 else 255
    return np.rint(table.astype(np.float64) * (top / ((1 << bits) - 1))).astype("<u2").tobytes()

"""What kind of object a DICOM file is: a mammogram, a film, a tomosynthesis; or a page, a cut-out, a container, a test.

The rules are those of golden/dicom/traits/README.md, and of what archives hold next to mammograms.
"""

from __future__ import annotations

import re

from mammo_tf.errors import MammoError
from mammo_tf.reading import codes
from mammo_tf.reading.data_set import DataSet, holders
from mammo_tf.reading.dicom_file import DicomFile

_OF_THE_SERIES = ("SeriesDescription", "ProtocolName")
_SPECIMEN_IN = ("SeriesDescription", "ViewName", "ProtocolName")
# What only a machine that makes X-ray pictures writes.
_XRAY_FACTS = (
    "KVP", "Exposure", "ExposureInuAs", "ExposureTime", "XRayTubeCurrent", "DetectorType", "DetectorID",
    "DetectorDescription", "AnodeTargetMaterial", "FilterMaterial", "BodyPartThickness", "CompressionForce",
    "DistanceSourceToDetector", "OrganDose", "EntranceDoseInmGy",
)  # fmt: skip
_SCREEN = re.compile(r"SCREEN[ _-]*(SAVE|SAVER|SHOT|CAPTURE|DUMP|COPY|GRAB)S?\b", re.IGNORECASE)
_SURE_PAGE = re.compile(r"\b(REPORTS?|CAD)\b", re.IGNORECASE)  # whatever the class of the object
_PAGE = re.compile(  # of what was captured: a "screen" may be short for screening
    r"\b(SCREENS?|DOSE|SUMMARY|WORKSHEET|KEY IMAGES?|PRINT(OUT)?|LETTERS?|CONSENT|FORMS?|DOCUMENTS?|TITLE|PAGES?"
    r"|HEAT ?MAPS?|QUESTIONNAIRES?|NOTES?)\b",
    re.IGNORECASE,
)
_CUT_OUT = re.compile(r"\b(CROP(S|PED)?|CUT[ -]?OUTS?|(?<!NIPPLE )PATCH(ES)?|THUMBNAILS?)\b", re.IGNORECASE)
_MASK = re.compile(r"\b(ROIS?|(?<!UNSHARP )MASKS?|SEGMENTATIONS?)\b", re.IGNORECASE)
_BREAST = re.compile(r"\b(TOMOS[IY]NT\w+|DBT|BREASTS?|MAMM(O|A|ARY|OGRA\w+))\b", re.IGNORECASE)
_FILM_CONVERSIONS = ("DF", "SI")  # digitised film, scanned image
_DRAWN_CONVERSIONS = ("DV", "DRW", "SYN")  # digitised video, drawing, synthetic
_WORKSTATION = "WSD"
_EIGHT_BITS = 8
_CODE_STRING = re.compile(r"[A-Z0-9 _]{1,16}")


def object_modality(file: DicomFile, frames: int, told: str | None = None) -> str:
    """FFDM, DBT or FILM.

    Args:
        file: opened.
        frames: how many it holds.
        told: what a table says; DBT makes a tomosynthesis of a CT image or a secondary capture, whose headers often
            do not tell.

    Raises:
        MammoError: `wrong_modality`, `projections`.
    """
    header, sop_class, word = file.header, file.sop_class, file.header.text("Modality").upper()
    if sop_class in codes.PROJECTION_CLASSES:
        raise MammoError(
            "projections", "raw projections of a tomosynthesis, not its slices", "Take the reconstructed slices"
        )
    if sop_class == codes.TOMOSYNTHESIS_CLASS or (sop_class in codes.CT_CLASSES and _is_breast_ct(header)):
        return "DBT"
    if told == "DBT" and sop_class in (*codes.CT_CLASSES, *codes.SECONDARY_CAPTURE_CLASSES):
        return "DBT"
    digitised = header.text("ConversionType").upper() in _FILM_CONVERSIONS
    image_type = header.texts("ImageType")
    if word == "MG" or (not word and sop_class in codes.MAMMOGRAPHY_CLASSES):
        if digitised:
            return "FILM"
        slices = "TOMOSYNTHESIS" in image_type and not is_synthetic(image_type)
        if slices or frames > 1:
            return "DBT"
        return "FILM" if _is_taken_for_film(file) else "FFDM"
    breast = _says_breast(header)
    if breast and (word == "RG" or (not word and digitised)):
        return "FILM"
    if breast and word in ("DX", "CR"):
        return "FFDM"
    if not word and sop_class in codes.DIGITAL_XRAY_CLASSES:
        # Stripped headers of public collections look like this; without side and view they are refused later.
        file.warnings.append("nothing in the header says that this is a breast")
        return "FFDM"
    said = f"modality {word!r}" if _CODE_STRING.fullmatch(word) else "no modality"
    raise MammoError("wrong_modality", f"the header does not say that this is a mammogram: {said}", "Leave it out")


def is_synthetic(image_type: list[str]) -> bool:
    """Whether a picture was computed from tomosynthesis."""
    return any(word in ("TOMO_2D", "GENERATED_2D") for word in image_type)


def _is_taken_for_film(file: DicomFile) -> bool:
    """Whether a picture that a workstation captured is a film: no machine that made it is told."""
    conversion = file.header.text("ConversionType").upper()
    captured = file.sop_class in codes.SECONDARY_CAPTURE_CLASSES or conversion == _WORKSTATION
    if not captured or _has_xray_facts(file.header):
        return False
    file.warnings.append("a secondary capture that tells nothing of a detector is taken for a digitised film")
    return True


def _is_breast_ct(header: DataSet) -> bool:
    """Whether slices stored as CT are of a breast: by a word of the series, unless the body part is another."""
    return _may_be_breast(header) and bool(_word(header, _OF_THE_SERIES, _BREAST))


def _may_be_breast(header: DataSet) -> bool:
    return header.text("BodyPartExamined").upper() in ("", "BREAST")


def is_breast_by_study(file: DicomFile) -> bool:
    """Whether a file is a CT image that names no other body part: a breast, if its study holds mammograms."""
    return file.sop_class in codes.CT_CLASSES and _may_be_breast(file.header)


def is_slice(file: DicomFile, modality: str, frames: int) -> bool:
    """Whether a file of one frame is a slice of a volume: of a tomosynthesis, or a secondary capture with a place."""
    captured = file.sop_class in codes.SECONDARY_CAPTURE_CLASSES and _has_place(file.header)
    return frames == 1 and (modality == "DBT" or captured)


def _has_place(header: DataSet) -> bool:
    return any(header.texts(keyword) for keyword in ("SliceThickness", "SliceLocation", "ImagePositionPatient"))


def _says_breast(header: DataSet) -> bool:
    if header.text("BodyPartExamined").upper() == "BREAST" or header.text("PositionerType").upper() == "MAMMOGRAPHIC":
        return True
    regions = [holder.sequence("AnatomicRegionSequence") for holder in holders(header, "FrameAnatomySequence")]
    return any(code(item) in codes.BREAST_CODES for region in regions for item in region)


def code(item: DataSet) -> tuple[str, str]:
    """Designator and value of a code sequence's item."""
    return item.text("CodingSchemeDesignator").upper(), item.text("CodeValue")


def _has_xray_facts(header: DataSet) -> bool:
    return any(header.texts(keyword) for keyword in _XRAY_FACTS)


def _word(header: DataSet, keywords: tuple[str, ...], words: re.Pattern[str]) -> str:
    """The first such word in these elements, in lower case; no other text of theirs leaves this room."""
    found = (words.search(" ".join(header.texts(keyword)).replace("_", " ")) for keyword in keywords)
    return next((match.group().lower() for match in found if match), "")


def refuse_unusual(file: DicomFile, bits_stored: int) -> None:
    """Refuses what is no picture of a patient's whole breast.

    Raises:
        MammoError: `for_processing`, `quality_control`, `specimen`; `screen_capture` for screens, pages of reports and
            drawings; `cut_out`, `roi_mask`; `container` for a picture that stands in for data of a vendor's own.
    """
    header = file.header
    if file.sop_class in codes.PROCESSING_CLASSES or header.text("PresentationIntentType").upper() == "FOR PROCESSING":
        raise MammoError(
            "for_processing", "raw data for processing, not for presentation", "Take the file for presentation"
        )
    if header.text("QualityControlImage").upper() == "YES":
        file.judge("quality_control", "a quality control image, not a patient", "Leave it out")
    views = [codes.VIEW_OF_CODE.get(code(item)) for item in header.sequence("ViewCodeSequence")]
    specimen = _word(header, _SPECIMEN_IN, re.compile("SPECIMEN", re.IGNORECASE))
    if codes.SPECIMEN in views or header.sequence("SpecimenDescriptionSequence") or specimen:
        file.judge("specimen", "a tissue specimen, not a breast", "Leave it out")
    _refuse_pages(file)
    _refuse_parts(file)
    _refuse_containers(file, bits_stored)


def _refuse_pages(file: DicomFile) -> None:
    header, captured = file.header, file.sop_class in codes.SECONDARY_CAPTURE_CLASSES
    if _word(header, ("ImageType", *_OF_THE_SERIES), _SCREEN):
        file.judge("screen_capture", "a capture of a screen, by image type or description", "Leave it out")
    described = ("ImageType", *_OF_THE_SERIES)
    word = _word(header, described, _SURE_PAGE) or (_word(header, described, _PAGE) if captured else "")
    if word and not _has_xray_facts(header):
        file.judge("screen_capture", f"a page and not a picture, by its description ({word})", "Leave it out")
    conversion = header.text("ConversionType").upper()
    if captured and conversion in _DRAWN_CONVERSIONS and not _has_xray_facts(header):
        file.judge("screen_capture", f"drawn or synthesised, by its conversion type ({conversion})", "Leave it out")


def _refuse_parts(file: DicomFile) -> None:
    header = file.header
    mask, cut_out = (_word(header, ("ImageType", *_OF_THE_SERIES), words) for words in (_MASK, _CUT_OUT))
    if mask:
        remedy = "Name it as the mask of a finding, not as a picture"
        file.judge("roi_mask", f"a mask and not a picture, by its description ({mask})", remedy)
    if cut_out:
        file.judge("cut_out", f"a part of a picture, by its description ({cut_out})", "Leave it out")


def _refuse_containers(file: DicomFile, bits_stored: int) -> None:
    header = file.header
    if file.sop_class not in codes.SECONDARY_CAPTURE_CLASSES:
        return
    says_slices = "TOMOSYNTHESIS" in header.texts("ImageType") and not header.text("NumberOfFrames")
    payload = any(
        tag >> 16 & 1 and element.value is None and not element.items for tag, element in header.elements.items()
    )
    if payload or (says_slices and not _has_place(header) and bits_stored <= _EIGHT_BITS):
        remedy = "Export the volume as Breast Tomosynthesis Image Storage"
        file.judge("container", "a vendor's container: its picture stands in for data of the vendor's own", remedy)

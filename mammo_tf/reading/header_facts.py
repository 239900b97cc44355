"""From a DICOM header to facts, or to the refusal of a picture that is not a screening mammogram.

The rules are those of golden/dicom/traits/README.md.
"""

from __future__ import annotations

import re

from mammo_tf.errors import MammoError
from mammo_tf.reading import codes
from mammo_tf.reading.data_set import DataSet, holders
from mammo_tf.reading.dicom_file import DicomFile
from mammo_tf.reading.display import choose_voi, display_rules
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.for_processing import RAW, choose_raw_voi, refuse_raw
from mammo_tf.reading.identity import keyed_hash
from mammo_tf.reading.layout import Layout
from mammo_tf.reading.object_kind import (
    code,
    is_for_processing,
    object_modality,
    refuse_unusual,
    synthetic_evidence,
)
from mammo_tf.reading.side_and_view import TEXTS, side_and_view
from mammo_tf.reading.vendor_words import modifiers_in
from mammo_tf.study.cells import RANGES, YEARS

# Contact views have 1.0 to 1.1, magnification views 1.5 and more.
MAGNIFIED_FROM = 1.3
_NOT_SCREENING = "Leave it out: screening views alone are read"
_NAME_LETTERS = 3
_SLICES_MM = (0.01, 100.0)  # between slices; no breast has two that are farther apart


def header_facts(
    file: DicomFile,
    shape: Layout,
    voi: str,
    laterality: str | None,
    view: str | None,
    keep_identifiers: bool = False,
    told_modality: str | None = None,
    for_processing: bool = False,
) -> Facts:
    """The facts of a file whose pixels have been found sound.

    Args:
        file, shape: the opened file and its layout.
        voi: as for `read`.
        laterality, view: what a table says; counts before the header.
        keep_identifiers: image, patient and exam as the header has them, not as keyed hashes; but one that holds a part
            of the patient's name or the birth date is hashed nevertheless.
        told_modality: as `told` of `object_modality`.
        for_processing: takes a raw picture, which is refused else.

    Raises:
        MammoError: `wrong_modality`, `projections`, `for_processing`, `quality_control`, `specimen`,
            `magnification`, `spot`, `implant_displaced`, `tangential`, `implant`, `laterality_missing`,
            `laterality_both`, `laterality_contradictory`, `view_missing`, `view_contradictory`, `bad_value`,
            `voi_unknown`, `value_unknown`, `screen_capture`, `cut_out`, `roi_mask`, `subtracted`, `container`.
    """
    check_given(laterality, view)
    header, warnings = file.header, file.warnings
    modality = object_modality(file, shape.frames, told_modality)
    raw = is_for_processing(file)
    if raw:
        refuse_raw(header, shape, modality, asked=for_processing)
    refuse_unusual(file, shape.bits_stored)
    modifiers = _modifiers(header)
    magnification = _magnification(header, warnings)
    _refuse_diagnostic(file, tuple(modifiers), magnification)
    _refuse_described(file, magnification)
    told = side_and_view(header, laterality, view, warnings)
    synthetic = synthetic_evidence(header, warnings) if modality == "FFDM" else ""
    spacing, source = _spacing(header, magnification, warnings)
    rules = display_rules(header, shape, warnings)
    burned_in = _yes(header, "BurnedInAnnotation")
    if burned_in:
        warnings.append("the header says that lettering in the picture may identify somebody")
    if raw:
        warnings.append(RAW)

    def identified(kind: str, value: str) -> str:
        if keep_identifiers and not tells_who(header, value):
            return value
        if keep_identifiers:
            warnings.append(f"the identifier of the {kind} holds a name or a birth date and is hashed")
        return keyed_hash(kind, value)

    return Facts(
        path=file.path,
        rows=shape.rows,
        columns=shape.columns,
        frames=shape.frames,
        bits=shape.bits_stored,
        modality=modality,
        laterality=told.laterality,
        view=told.view,
        modifiers=tuple(modifiers),
        implant=_yes(header, "BreastImplantPresent"),
        spacing_mm=spacing,
        spacing_source=source,
        slice_distance_mm=_slice_distance(header, warnings),
        manufacturer=header.text("Manufacturer"),
        model=header.text("ManufacturerModelName"),
        voi=choose_raw_voi(voi) if raw else choose_voi(rules, voi),
        windows=rules.windows,
        padding=rules.padding,
        photometric=shape.photometric,
        flipped=_yes(header, "FieldOfViewHorizontalFlip"),
        partial=_yes(header, "PartialView"),
        synthetic_2d=bool(synthetic),
        burned_in=burned_in,
        age=_age(header, warnings),
        for_processing=raw,
        evidence="; ".join((told.evidence, *_beside(modifiers, synthetic))),
        image_id=identified("image", header.text("SOPInstanceUID") or file.meta.text("MediaStorageSOPInstanceUID")),
        patient_id=identified("patient", header.text("PatientID")),
        exam_id=identified("exam", header.text("StudyInstanceUID")),
        accepted=tuple(file.let_in),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def tells_who(header: DataSet, identifier: str) -> bool:
    """Whether an identifier holds a part of the patient's name (three Latin letters or more) or the birth date."""
    words = [word for text in header.texts("PatientName") for word in re.split(r"[\W_]+", text)]
    words = [word.casefold() for word in words if len(word) >= _NAME_LETTERS or not word.isascii()]
    words += header.texts("PatientBirthDate")
    plain = re.sub(r"[-./ ]", "", identifier)
    return any(word in text for word in words if word for text in (identifier.casefold(), plain.casefold()))


def check_given(laterality: str | None, view: str | None) -> None:
    """Refuses a side or a view that a caller gives and that there is not: `value_unknown`."""
    for what, word, known in (("laterality", laterality, ("L", "R")), ("view", view, codes.VIEW_WORDS)):
        if word and word not in known:
            raise MammoError("value_unknown", f"{what} {word!r} is unknown", f"Known are {', '.join(known)}")


def _yes(header: DataSet, keyword: str) -> bool | None:
    return {"YES": True, "NO": False}.get(header.text(keyword).upper())


def _refuse_diagnostic(file: DicomFile, modifiers: tuple[str, ...], magnification: float | None) -> None:
    header = file.header
    refused = [word for word in codes.REFUSED_MODIFIERS if word in modifiers]
    if magnification is not None and magnification > MAGNIFIED_FROM:
        file.judge("magnification", f"a magnification view (factor {magnification:g})", _NOT_SCREENING)
    for word in refused:
        file.judge(word, f"a diagnostic view: {word.replace('_', ' ')}", _NOT_SCREENING)
    if any("SPOT" in text.upper() for text in header.texts("PaddleDescription")):
        file.judge("spot", "a spot compression view, by its paddle", _NOT_SCREENING)
    if _yes(header, "BreastImplantPresent"):
        file.judge("implant", "the header says that there is an implant", _NOT_SCREENING)


def _refuse_described(file: DicomFile, magnification: float | None) -> None:
    """Refuses a diagnostic view or a specimen by free text; a magnification that is told as a number counts."""
    header = file.header
    for name in ("ViewPosition", *TEXTS):
        for word, piece in modifiers_in(" ".join(header.texts(name))).items():
            if word == "magnification" and magnification is not None:
                file.warnings.append(f"{name} '{piece}' is a magnification view; the factor {magnification:g} counts")
            elif word == codes.SPECIMEN:
                file.judge("specimen", f"a tissue specimen, by its {name} ('{piece}')", "Leave it out")
            else:
                sentence = f"a diagnostic view, by its {name} ('{piece}'): {word.replace('_', ' ')}"
                file.judge(word, sentence, _NOT_SCREENING)


def _modifiers(header: DataSet) -> dict[str, str]:
    """View modifiers as words, with the code of each; some makers write their sequence next to that of the view."""
    items = [m for view in header.sequence("ViewCodeSequence") for m in view.sequence("ViewModifierCodeSequence")]
    items += header.sequence("ViewModifierCodeSequence")
    found = [(codes.MODIFIER_OF_CODE.get(code(item)), item.text("CodeValue")) for item in items]
    known = {word: value for word, value in found[::-1] if word}
    return dict(reversed(known.items()))


def _beside(modifiers: dict[str, str], synthetic: str) -> list[str]:
    """The evidence for modifiers and for a picture computed from tomosynthesis, where there is any."""
    written = ", ".join(f"{value} {word}" for word, value in modifiers.items())
    found = [f"modifiers: ViewModifierCodeSequence {written}"] if written else []
    return [*found, *([f"kind: {synthetic}"] if synthetic else [])]


def _magnification(header: DataSet, warnings: list[str]) -> float | None:
    for holder in (header, *header.sequence("XRay3DAcquisitionSequence")):
        for factor in holder.decimals("EstimatedRadiographicMagnificationFactor")[:1]:
            if factor >= 1:
                return factor
            if factor:  # what lies between tube and detector is never made smaller
                warnings.append(f"a magnification factor of {factor:g} cannot be and is ignored")
    return None


def _spacing(
    header: DataSet, magnification: float | None, warnings: list[str]
) -> tuple[tuple[float, float] | None, str | None]:
    measures = holders(header, "PixelMeasuresSequence")[1:]
    imager = "ImagerPixelSpacing" if magnification is None else "ImagerPixelSpacing/ERMF"
    places = [(header, "PixelSpacing", "PixelSpacing", 1.0)]
    places += [(item, "PixelSpacing", "PixelMeasuresSequence", 1.0) for item in measures]
    places.append((header, "ImagerPixelSpacing", imager, magnification or 1.0))
    places.append((header, "NominalScannedPixelSpacing", "NominalScannedPixelSpacing", 1.0))
    for holder, keyword, source, divisor in places:
        try:
            values = holder.decimals(keyword)
        except MammoError:
            values = [0.0]
        if len(values) == 2 and min(values) > 0:
            low, high = RANGES["spacing_row_mm"]
            row, column = values[0] / divisor, values[1] / divisor
            if low <= min(row, column) and max(row, column) <= high:
                return (row, column), source
            warnings.append(f"{keyword} of {row:g} x {column:g} mm cannot be and is ignored")
        elif values:
            warnings.append(f"{keyword} is not two positive numbers and is ignored")
    return None, None


def _slice_distance(header: DataSet, warnings: list[str]) -> float | None:
    for holder in holders(header, "PixelMeasuresSequence"):
        for distance in holder.decimals("SpacingBetweenSlices")[:1]:
            if _SLICES_MM[0] <= distance <= _SLICES_MM[1]:
                return distance
            if distance:
                warnings.append(f"SpacingBetweenSlices of {distance:g} mm cannot be and is ignored")
    return None


def _age(header: DataSet, warnings: list[str]) -> float | None:
    text = header.text("PatientAge")
    if not (len(text) == 4 and text[:3].isdecimal() and text[3] in YEARS):
        return None
    years = int(text[:3]) * YEARS[text[3]]
    low, high = RANGES["age"]
    if low <= years <= high:
        return years
    if years:  # 0 is what programs write where they do not know it
        warnings.append("an age that no woman has is ignored")
    return None

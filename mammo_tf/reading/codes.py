"""Words and codes of views, view modifiers and kinds of objects (DICOM PS3.16 CID 4014 and 4015, PS3.6 annex A).

Old codes stand under the designators SRT, SNM3 and 99SDM, new ones under SCT; they are paired as in pydicom's
dictionary (golden/dicom/traits).
"""

from __future__ import annotations

OLD_DESIGNATORS = ("SRT", "SNM3", "99SDM")
NEW_DESIGNATORS = ("SCT",)

SPECIMEN = "specimen"
_VIEWS = (
    ("CC", "R-10242", "399162004"),
    ("MLO", "R-10226", "399368009"),
    ("ML", "R-10224", "399260004"),
    ("LM", "R-10228", "399352003"),
    ("LMO", "R-10230", "399099002"),
    ("XCCL", "R-1024A", "399192008"),
    ("XCCM", "R-1024B", "399101009"),
    ("FB", "R-10244", "399196006"),
    ("SIO", "R-102D0", "399188001"),
    ("ISO", "R-40AAA", "441555000"),
    (SPECIMEN, "G-8310", "127457009"),
)
_MODIFIERS = (
    ("magnification", "R-102D6", "399163009"),
    ("spot", "R-102D7", "399055006"),
    ("implant_displaced", "R-102D5", "399209000"),
    ("tangential", "R-102C2", "399110001"),
    ("rolled_lateral", "R-102D3", "399197002"),
    ("rolled_medial", "R-102D4", "399226006"),
    ("rolled_superior", "R-102C9", "415670009"),
    ("rolled_inferior", "R-102CA", "414493004"),
    ("cleavage", "R-102D2", "399161006"),
    ("axillary_tail", "R-102D1", "399011000"),
    ("axillary_tissue", "R-40AB2", "442580003"),
    ("nipple_in_profile", "R-40AB3", "442581004"),
    ("anterior_compression", "P2-00161", "441752004"),
    ("infra_mammary_fold", "R-40ABE", "442593008"),
)
# Diagnostic views: what they show is not a breast as screening shows it.
REFUSED_MODIFIERS = ("magnification", "spot", "implant_displaced", "tangential")


def _by_code(rows: tuple[tuple[str, str, str], ...]) -> dict[tuple[str, str], str]:
    codes = {(designator, old): word for word, old, _ in rows for designator in OLD_DESIGNATORS}
    return codes | {(designator, new): word for word, _, new in rows for designator in NEW_DESIGNATORS}


# (designator, code value) -> word
VIEW_OF_CODE = _by_code(_VIEWS)
MODIFIER_OF_CODE = _by_code(_MODIFIERS)
# Words that View Position may hold. AT (axillary tail) and CV (cleavage) are written there by some vendors.
VIEW_WORDS = (*(word for word, _, _ in _VIEWS if word != SPECIMEN), "AT", "CV")

MAMMOGRAPHY_CLASSES = ("1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.1.2.1")
DIGITAL_XRAY_CLASSES = ("1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1.1")
PROCESSING_CLASSES = ("1.2.840.10008.5.1.4.1.1.1.2.1", "1.2.840.10008.5.1.4.1.1.1.1.1")
CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")
SECONDARY_CAPTURE_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.7",
    *(f"1.2.840.10008.5.1.4.1.1.7.{number}" for number in range(1, 5)),
)
TOMOSYNTHESIS_CLASS = "1.2.840.10008.5.1.4.1.1.13.1.3"
PROJECTION_CLASSES = ("1.2.840.10008.5.1.4.1.1.13.1.4", "1.2.840.10008.5.1.4.1.1.13.1.5")
BREAST_CODES = (("SCT", "76752008"), *((designator, "T-04000") for designator in OLD_DESIGNATORS))

"""What the parts of a DICOM result are called: codes of DICOM and SNOMED CT, and our own where they have none."""

from __future__ import annotations

import hashlib

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes
from pydicom.uid import UID

SCHEME = "99MAMMOTF"
MAKER = "mammo_tf"


def _own(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, SCHEME, meaning)


SCORE = _own("SCORE", "Score of the positive class")
PROBABILITY = _own("PROBABILITY", "Calibrated probability of the positive class")
OPERATING_POINT = _own("OPERATINGPOINT", "Score from which a case is called positive")
DOMAIN_DISTANCE = _own("DOMAINDISTANCE", "Distance of the image from the training domain")
DECISION = _own("DECISION", "Decision at the operating point")
REGION = _own("REGION", "Region of the model")
REGION_STATES = {
    "written": _own("REGIONWRITTEN", "Written as a segmentation"),
    "empty": _own("REGIONEMPTY", "None: the model marks no pixel"),
    "negative": _own("REGIONNEGATIVE", "None: the image is not called positive"),
    "undecided": _own("REGIONUNDECIDED", "None: the model does not decide"),
    "no_map": _own("REGIONNOMAP", "None: the model gives neither mask nor heat map"),
    "no_geometry": _own("REGIONNOGEOMETRY", "None: the source does not tell the place of its frames"),
}
CANCER = codes.DCM.ProbabilityOfCancer
POSITIVE, NEGATIVE, INDETERMINATE = codes.SCT.Positive, codes.SCT.Negative, codes.SCT.Indeterminate
PERCENT = codes.UCUM.Percent
NO_UNITS = codes.UCUM.NoUnits
PIXELS = CodedConcept("{pixels}", "UCUM", "Pixels")
TOMOSYNTHESIS = CodedConcept("450566007", "SCT", "Digital breast tomosynthesis")
SIDES = {"L": codes.SCT.Left, "R": codes.SCT.Right}


def scheme() -> list[CodingSchemeIdentificationItem]:
    """What tells a reader whose codes those of `SCHEME` are."""
    return [CodingSchemeIdentificationItem(SCHEME, name="Results of mammo_tf", responsible_organization=MAKER)]


def result_uid(*parts: str) -> UID:
    """A UID (2.25 and 128 bits) that is the same for the same parts, and tells none of them."""
    number = int.from_bytes(hashlib.sha256("\n".join(("mammo_tf result", *parts)).encode()).digest()[:16], "big")
    return UID(f"2.25.{number}")


def plain(text: str, letters: int = 64) -> str:
    """A text that any character set of DICOM can write, on one line, not longer than an element may hold."""
    kept = "".join(one if one.isascii() and one.isprintable() and one not in '\\"' else "?" for one in text)
    return kept.strip()[:letters] or "unnamed"

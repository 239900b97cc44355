"""Reports of ours read back: scores and decisions out of a DICOM SR, or the reason why a file is not one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.dataset import Dataset

from mammo_tf.errors import MammoError
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.serving.dicom_extra import unheard

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
TEMPLATE, MAKER, SCHEME = "1500", "mammo_tf", "99MAMMOTF"
GROUP = ("125007", "DCM")
SOURCES = (("121112", "DCM"), ("260753009", "SCT"))
DECISIONS: Mapping[str, bool | None] = {"10828004": True, "260385009": False, "82334004": None}
PROBABILITIES = (("PROBABILITY", SCHEME), ("111047", "DCM"))
DEPTH = 12  # of the content tree; ours has 5


class ReadResult(NamedTuple):
    """What a report says of an image or of the exam.

    Attributes:
        name: `Exam`, or `Image 2 L MLO`.
        images: SOP Instance UIDs of what it was made from; empty for the exam.
        score: in [0, 1].
        probability: in [0, 1], or None.
        threshold: from which a score is positive, or None.
        decision: None where there is none.
        abstains: whether the model says that it does not judge this.
        distance: of the image from the training domain, or None.
        region: code of what became of the region, such as `REGIONWRITTEN`; "" for the exam.
    """

    name: str
    images: tuple[str, ...]
    score: float
    probability: float | None
    threshold: float | None
    decision: bool | None
    abstains: bool
    distance: float | None
    region: str


@dataclass(frozen=True)
class ReadReport:
    """A report of ours.

    Attributes:
        model, version, identity: of the model, as `ModelFacts` has them.
        exam: what it says of the exam.
        images: of each image.
        segmentations: SOP Instance UIDs of the segmentations that it refers to.
    """

    model: str
    version: str
    identity: str
    exam: ReadResult
    images: tuple[ReadResult, ...]
    segmentations: tuple[str, ...]


def read_results(path: str | Path) -> ReadReport:
    """Reads the report of an exam.

    Raises:
        MammoError: `results_foreign` for anything that is not a report of this package, `results_damaged` for one that
            lacks what each of them has; `truncated`; those of `reading.dicom_file.refusals`.
    """
    path = Path(path)
    with refusals(path):
        header = _report(path)
        with open_dicom(path):
            pass  # pydicom reads a report that lost its end without a word
        try:
            with unheard():
                return _read(header)
        except MammoError:
            raise
        except Exception as error:  # what is not there raises nearly anything
            sentence = "a report of mammo_tf that lacks a part of it"
            raise MammoError("results_damaged", sentence, "Fetch it again, or score the exam again") from error


def _report(path: Path) -> Dataset:
    remedy = "Name a report.dcm that mammo-tf predict --dicom-out wrote"
    if not path.is_file():
        path.stat()
        raise MammoError("results_foreign", "a folder, not a report", remedy)
    try:
        with unheard():
            header = pydicom.dcmread(path, stop_before_pixels=True)
            found = header.get("SOPClassUID"), header.get("Manufacturer"), _template(header)
    except OSError:
        raise
    except Exception as error:  # pydicom raises nearly anything for a file that is damaged or none of its own
        raise MammoError("results_foreign", "not a DICOM file that can be read", remedy) from error
    if found != (COMPREHENSIVE_SR, MAKER, TEMPLATE):
        what = "a DICOM object of another kind" if found[0] != COMPREHENSIVE_SR else "a report of other software"
        raise MammoError("results_foreign", what, remedy)
    return header


def _template(header: Dataset) -> str:
    items = header.get("ContentTemplateSequence") or [Dataset()]
    return str(items[0].get("TemplateIdentifier", ""))


def _read(header: Dataset) -> ReadReport:
    groups = [_Group(item) for item in _walk(header) if item.ValueType == "CONTAINER" and _name(item) == GROUP]
    scored = [group for group in groups if group.has("SCORE", SCHEME)]
    exam, images = scored[0].result, tuple(group.result for group in scored[1:])
    texts = scored[0].algorithm
    marked = [item for group in groups for item in _walk(group.item) if _name(item) in _SEGMENTS]
    uids = (item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in marked)
    identity = next(text.partition("=")[2] for text in texts["111002"] if text.startswith("identity="))
    return ReadReport(
        texts["111001"][0], texts["111003"][0], identity, exam, images, tuple(dict.fromkeys(map(str, uids)))
    )


_SEGMENTS = (("121214", "DCM"), ("121191", "DCM"))  # Referenced Segmentation Frame, Referenced Segment


def _walk(item: Dataset, depth: int = DEPTH) -> Iterator[Dataset]:
    for one in item.get("ContentSequence") or []:
        yield one
        if depth:
            yield from _walk(one, depth - 1)


def _code(item: Dataset) -> tuple[str, str]:
    return str(item.CodeValue), str(item.CodingSchemeDesignator)


def _name(item: Dataset) -> tuple[str, str]:
    names = item.get("ConceptNameCodeSequence")
    return _code(names[0]) if names else ("", "")


class _Group:
    """A measurement group, its items by name."""

    def __init__(self, item: Dataset) -> None:
        self.item = item
        self._items: dict[tuple[str, str], list[Dataset]] = {}
        for one in item.ContentSequence:
            self._items.setdefault(_name(one), []).append(one)

    def has(self, value: str, scheme: str) -> bool:
        """Whether there is an item of that name."""
        return (value, scheme) in self._items

    def _number(self, *names: tuple[str, str]) -> float | None:
        for name in names:
            for item in self._items.get(name, []):
                value = item.MeasuredValueSequence[0]
                return float(value.get("FloatingPointValue", value.NumericValue))
        return None

    def _value(self, value: str, scheme: str) -> str:
        items = self._items.get((value, scheme))
        return str(items[0].ConceptCodeSequence[0].CodeValue) if items else ""

    @property
    def algorithm(self) -> dict[str, list[str]]:
        """Name, version and parameters of the algorithm by their codes (TID 4019)."""
        names = ("111001", "111002", "111003")
        return {name: [str(item.TextValue) for item in self._items.get((name, "DCM"), [])] for name in names}

    @property
    def result(self) -> ReadResult:
        """What the group says."""
        score = self._number(("SCORE", SCHEME))
        if score is None:
            raise MammoError("results_damaged", "a group has no score", "Fetch it again")
        probability = self._number(*PROBABILITIES)
        decision = self._value("DECISION", SCHEME)
        images = [item for name in SOURCES for item in self._items.get(name, []) if item.ValueType == "IMAGE"]
        return ReadResult(
            name=str(self._items["112039", "DCM"][0].TextValue),
            images=tuple(str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in images),
            score=score,
            probability=None if probability is None else probability / 100,
            threshold=self._number(("OPERATINGPOINT", SCHEME)),
            decision=DECISIONS[decision] if decision else None,
            abstains=decision == "82334004",
            distance=self._number(("DOMAINDISTANCE", SCHEME)),
            region=self._value("REGION", SCHEME),
        )

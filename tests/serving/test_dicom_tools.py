"""Results as other software sees them: dciodvfy (dicom3tools), dsrdump and dcmdump (DCMTK), dicom-validator."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from mammo_tf.reading import inspect_file
from mammo_tf.serving.dicom_out import DicomOut
from mammo_tf.serving.dicom_read import read_results
from mammo_tf.serving.predict import predict

sys.path.insert(0, str(Path(__file__).parent))
import dicom_objects as made  # noqa: E402 - objects that more than one file of tests asks for

pytestmark = pytest.mark.long
OUR_CODES = "Unrecognized defined term <99MAMMOTF> for value 1 of attribute <Coding Scheme Designator>"
SOURCES_OWN = "Retired Person Name form"  # a name without a caret, copied as it is


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a tool of Debian's; the test is skipped, with a word, where it is not installed."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed; make setup-long does it where there is apt-get")
    return subprocess.run([name, *map(str, arguments)], capture_output=True, text=True, errors="replace", check=False)


@pytest.fixture(scope="module")
def objects(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Reports, segmentations and captures of two models for exams of films, volumes, and single golden images."""
    folder = tmp_path_factory.mktemp("tools")
    for number, frames in ((1, 0), (2, 0), (3, 5)):
        made.write_exam(folder / "in", number, bright=number != 2, frames=frames)
    for name in ("traits/complete", "traits/spacing_imager_only", "traits/spacing_missing", "traits/name_japanese",
                 "traits/film_modality_rg", "dbt/shuffled", "dbt/shuffled_j2k", "dbt/sc_multiframe"):  # fmt: skip
        shutil.copy(golden / "dicom" / f"{name}.dcm", folder / "in")
    for model in (made.save_classifier(folder / "c.keras", threshold=0.05), made.save_segmenter(folder / "s.keras")):
        out = DicomOut(folder / model.stem, captures=True)
        report = predict(model, folder / "in", folder / f"{model.stem}.csv", dicom_out=out)
        assert report.dicom is not None
        assert report.dicom.exams >= 8
    return sorted(folder.glob("?/*/*.dcm"))


def test_dciodvfy_finds_nothing_but_our_own_codes(objects: list[Path]) -> None:
    assert {path.name[:6] for path in objects} == {"report", "region", "captur"}
    said = {}
    for path in objects:
        lines = tool("dciodvfy", path).stderr.splitlines()
        told = [line for line in lines if line.startswith(("Error", "Warning"))]
        told = [line for line in told if OUR_CODES not in line and SOURCES_OWN not in line]
        if told:
            said[f"{path.parent.name}/{path.name}"] = told
    assert said == {}


@pytest.fixture(scope="module")
def faults() -> Callable[[pydicom.Dataset], list[str]]:
    """What dicom-validator says of an object: where, and what."""
    pytest.importorskip("dicom_validator", reason="dicom-validator is not installed; make setup-long does it")
    from dicom_edition import edition
    from dicom_validator.validator.error_handler import NullValidationResultHandler
    from dicom_validator.validator.iod_validator import IODValidator
    from dicom_validator.validator.validation_result import Status

    info = edition()

    def said(one: pydicom.Dataset) -> list[str]:
        result = IODValidator(one, info, error_handler=NullValidationResultHandler()).validate()
        assert result.status in (Status.Passed, Status.Failed)
        found = (result.module_errors or {}).items()
        return [f"{module} {tag} {error.code.name}" for module, errors in found for tag, error in errors.items()]

    return said


def test_dicom_validator_finds_nothing(objects: list[Path], faults: Callable[[pydicom.Dataset], list[str]]) -> None:
    """By the edition of the standard of dicom-standard's wheel."""
    said = {f"{path.parent.name}/{path.name}": faults(pydicom.dcmread(path)) for path in objects}
    assert {name: found for name, found in said.items() if found} == {}


def without(one: pydicom.Dataset, kind: str, lost: str) -> pydicom.Dataset:
    """An object whose content items of a value type have lost an element, at every depth; or the object, of ''."""
    if one.get("ValueType", "") == kind and lost in one:
        delattr(one, lost)
    for item in one.get("ContentSequence", []):
        without(item, kind, lost)
    return one


@pytest.mark.parametrize(
    ("name", "kind", "lost"),
    [
        ("report", "NUM", "MeasuredValueSequence"),
        ("report", "CODE", "ConceptCodeSequence"),
        ("report", "IMAGE", "ReferencedSOPSequence"),
        ("report", "CONTAINER", "ContinuityOfContent"),
        ("report", "CONTAINER", "PatientID"),
        ("report", "UIDREF", "UID"),
        ("region", "", "ContentCreatorName"),
        ("region", "", "SegmentSequence"),
        ("capture", "", "ConversionType"),
    ],
)
def test_dicom_validator_finds_what_is_lost(
    name: str, kind: str, lost: str, objects: list[Path], faults: Callable[[pydicom.Dataset], list[str]]
) -> None:
    """So that its silence means something."""
    path = next(one for one in objects if one.name.startswith(name))
    found = faults(without(pydicom.dcmread(path), kind, lost))
    tag = str(pydicom.tag.Tag(lost))
    assert any(tag in one and one.endswith("TagMissing") for one in found), found


def test_dcmtk_reads_every_object(objects: list[Path]) -> None:
    for path in objects:
        assert tool("dcmdump", "-q", path).returncode == 0
        if path.name == "report.dcm":
            shown = tool("dsrdump", path)
            assert shown.returncode == 0, shown.stderr
            assert not [line for line in shown.stderr.splitlines() if line.startswith(("E:", "F:"))]
            report = read_results(path)
            assert 'CODE:(,,"Algorithm Family")=(123110,DCM,"Artificial Intelligence")' in shown.stdout
            assert shown.stdout.count('NUM:(,,"Score of the positive class")') == 1 + len(report.images)
            shown_score = shown.stdout.split('"Score of the positive class")="')[1].split('"')[0]
            assert float(shown_score) == pytest.approx(report.exam.score, abs=1e-12)


def test_a_result_is_not_taken_for_a_mammogram(objects: list[Path]) -> None:
    from mammo_tf.errors import MammoError

    for path in objects:
        with pytest.raises(MammoError):
            inspect_file(path)

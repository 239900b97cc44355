"""Side, view and kind in free text: the spellings of makers and hospitals, and what is never taken from a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading.vendor_words import in_text, modifiers_in, projection_name, synthetic_name

Write = Callable[..., Any]
BTO = "1.2.840.10008.5.1.4.1.1.13.1.3"
DESCRIBED = "SeriesDescription"


@pytest.mark.parametrize(
    ("text", "side", "view", "written"),
    [
        ("R CC", "R", "CC", "R CC"),
        ("L MLO Tomosynthesis Reconstruction", "L", "MLO", "L MLO"),
        ("ROUTINE3D_VOL_0000_LCC", "L", "CC", "LCC"),
        ("V-Preview RMLO", "R", "MLO", "RMLO"),
        ("RXCCL", "R", "XCCL", "RXCCL"),
        ("Rt MLO", "R", "MLO", "RT MLO"),
        ("CC Left", "L", "CC", "CC LEFT"),
        ("R-ML", "R", "ML", "R ML"),
        ("L CC C-View", "L", "CC", "L CC"),
        ("MLO", "", "MLO", "MLO"),
        ("left breast", "L", "", "LEFT"),
        ("L CC, L MLO", "L", "", "L CC L MLO"),  # a whole side
        ("R CC L CC", "", "CC", "R CC L CC"),
        ("5 CC contrast", "", "", ""),
        ("10 ml", "", "", ""),
        ("Doe^Jane", "", "", ""),
        ("R. Lambert", "", "", ""),
        ("look at the clip", "", "", ""),
        ("CC MLO", "", "", ""),
        ("left and right", "", "", ""),
        ("", "", "", ""),
    ],
)
def test_what_a_text_says(text: str, side: str, view: str, written: str) -> None:
    assert in_text(text) == ((side, view), written)


@given(st.text())
def test_nothing_but_codes_is_taken_from_a_text(text: str) -> None:
    for piece in (in_text(text).written, *modifiers_in(text).values()):
        assert set(piece.split()) <= {
            *("L", "R", "LT", "RT", "LEFT", "RIGHT"),
            *(f"{side}{view}" for side in ("", "L", "R", "LEFT", "RIGHT")
              for view in ("CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM")),
            *("MAG", "MAGNIFICATION", "MAGNIFIED", "SPOT", "EKLUND", "TAN", "TANGENTIAL"),
            *("SPEC", "LSPEC", "RSPEC", "SPECIMEN"),
        } or piece.endswith("ID")  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["L CC C-View", "R MLO S-View", "V-Preview LCC", "Insight 2D", "INSIGHT2D", "Intelligent 2D", "Synthetic 2D RCC",
     "Synthesized_2D", "C View", "generated 2D", "synthesised mammogram"],
)  # fmt: skip
def test_names_of_synthetic_pictures(text: str) -> None:
    assert synthetic_name(text)


@pytest.mark.parametrize("text", ["CC VIEW", "L CC", "XCCL view", "2D", "Review", "MLO VIEW", "SEC VIEW", "Preview"])
def test_what_is_no_name_of_a_synthetic_picture(text: str) -> None:
    assert not synthetic_name(text)


def test_names_of_projections() -> None:
    assert projection_name("L MLO Tomosynthesis Projection") == "TOMOSYNTHESIS PROJECTION"
    assert projection_name("TOMO_PROJ") == "TOMO PROJ"
    assert not projection_name("L MLO Tomosynthesis Reconstruction")
    assert not projection_name("maximum projection")


def facts_of(write_dicom: Write, folder: Path, **elements: Any) -> Any:
    write_dicom(folder / "a.dcm", **elements)
    return reading.inspect_file(folder / "a.dcm")


def test_the_evidence_names_the_elements(write_dicom: Write, tmp_path: Path) -> None:
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "R-10242", "SRT", "a text"
    rolled = Dataset()
    rolled.CodeValue, rolled.CodingSchemeDesignator, rolled.CodeMeaning = "R-102D3", "SRT", "a text"
    view.ViewModifierCodeSequence = Sequence([rolled])
    facts = facts_of(
        write_dicom, tmp_path, ViewCodeSequence=Sequence([view]), ImageType=["DERIVED", "PRIMARY", "TOMO_2D"]
    )
    assert facts.evidence == (
        "laterality: ImageLaterality L; view: ViewPosition CC, ViewCodeSequence R-10242 CC; "
        "modifiers: ViewModifierCodeSequence R-102D3 rolled_lateral; kind: ImageType TOMO_2D"
    )
    assert facts.warnings == ()


def test_modifiers_that_stand_next_to_the_view_code_count(write_dicom: Write, tmp_path: Path) -> None:
    magnified = Dataset()
    magnified.CodeValue, magnified.CodingSchemeDesignator, magnified.CodeMeaning = "R-102D6", "SRT", "x"
    with pytest.raises(MammoError) as caught:
        facts_of(write_dicom, tmp_path, ViewModifierCodeSequence=Sequence([magnified]))
    assert caught.value.code == "magnification"


def test_free_text_counts_where_the_standard_is_silent(write_dicom: Write, tmp_path: Path) -> None:
    silent = {"drop": ("ImageLaterality", "ViewPosition")}
    facts = facts_of(write_dicom, tmp_path, **silent, SeriesDescription="Jane Doe ROUTINE3D_VOL_0000_RMLO")
    assert (facts.laterality, facts.view) == ("R", "MLO")
    assert facts.evidence == "laterality: SeriesDescription 'RMLO'; view: SeriesDescription 'RMLO'"
    assert facts.warnings == (
        "the laterality stands in free text, next to the view and nowhere else (SeriesDescription 'RMLO')",
        "the view stands in free text, and nowhere else (SeriesDescription 'RMLO')",
    )


def test_free_text_never_overrules_and_its_contradiction_is_a_warning(write_dicom: Write, tmp_path: Path) -> None:
    facts = facts_of(write_dicom, tmp_path, SeriesDescription="R MLO", AcquisitionDeviceProcessingDescription="RCC")
    assert (facts.laterality, facts.view) == ("L", "CC")
    assert facts.warnings == (
        "free text says another laterality: (0018,1400) 'RCC', SeriesDescription 'R MLO' against ImageLaterality L, "
        "which counts",
        "free text says another view: SeriesDescription 'R MLO' against ViewPosition CC, which counts",
    )


def test_texts_that_contradict_each_other_are_refused_with_both(write_dicom: Write, tmp_path: Path) -> None:
    silent = {"drop": ("ImageLaterality", "ViewPosition")}
    with pytest.raises(MammoError, match=r"SeriesDescription 'L CC', ProtocolName 'R CC'") as caught:
        facts_of(write_dicom, tmp_path, **silent, SeriesDescription="L CC", ProtocolName="R CC")
    assert caught.value.code == "laterality_contradictory"
    with pytest.raises(MammoError, match=r"ImageLaterality R, ViewPosition LCC"):
        facts_of(write_dicom, tmp_path, ImageLaterality="R", ViewPosition="LCC")


def test_a_picture_of_cr_with_a_view_position_alone(write_dicom: Write, tmp_path: Path) -> None:
    facts = facts_of(write_dicom, tmp_path, drop=("ImageLaterality",), Modality="CR", ViewPosition="RCC")
    assert (facts.laterality, facts.view, facts.evidence) == (
        "R", "CC", "laterality: ViewPosition RCC; view: ViewPosition RCC",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("elements", "evidence"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}, "ImageType GENERATED_2D"),
        ({"ImageType": ["DERIVED", "PRIMARY", "TOMO_2D", "LEFT"]}, "ImageType TOMO_2D"),
        ({"ImageType": ["DERIVED", "PRIMARY", "X", "GENERATED_2D"], "sop_class": BTO}, "ImageType GENERATED_2D"),
        ({"SeriesDescription": "L CC C-View"}, "SeriesDescription 'C-VIEW'"),
        ({"ProtocolName": "V-Preview LCC"}, "ProtocolName 'V-PREVIEW'"),
        ({"SeriesDescription": "Insight 2D"}, "SeriesDescription 'INSIGHT 2D'"),
    ],
)  # fmt: skip
def test_pictures_computed_from_tomosynthesis(
    elements: dict[str, Any], evidence: str, write_dicom: Write, tmp_path: Path
) -> None:
    facts = facts_of(write_dicom, tmp_path, **elements)
    assert (facts.modality, facts.synthetic_2d) == ("FFDM", True)
    assert facts.evidence.endswith(f"; kind: {evidence}")
    assert bool(facts.warnings) == ("'" in evidence)
    table, _ = reading.collections.collect("folder", tmp_path)
    assert list(table["modality"]) == ["S2D"]


def test_an_original_picture_stays_one_whatever_a_text_says(write_dicom: Write, tmp_path: Path) -> None:
    facts = facts_of(write_dicom, tmp_path, ImageType=["ORIGINAL", "PRIMARY"], SeriesDescription="L CC C-View")
    assert not facts.synthetic_2d
    assert any("'C-VIEW'" in warning and "ImageType ORIGINAL counts" in warning for warning in facts.warnings)


@pytest.mark.parametrize(
    ("elements", "code", "words"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY", "TOMO_PROJ", "LEFT"]}, "projections", "TOMO_PROJ"),
        ({DESCRIBED: "L CC Tomosynthesis Projection"}, "projections", "'TOMOSYNTHESIS PROJECTION'"),
        ({"ImageType": ["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION"]}, "subtracted", "SUBTRACTION"),
        ({DESCRIBED: "R CC Mag"}, "magnification", "'MAG'"),
        ({DESCRIBED: "L MLO spot"}, "spot", "'SPOT'"),
        ({"ViewPosition": "LCCID"}, "implant_displaced", "'LCCID'"),
        ({DESCRIBED: "L CC ID"}, "implant_displaced", "'CCID'"),
        ({"ViewPosition": "LSPEC"}, "specimen", "'LSPEC'"),
    ],
)  # fmt: skip
def test_what_is_refused_by_its_words(
    elements: dict[str, Any], code: str, words: str, write_dicom: Write, tmp_path: Path
) -> None:
    with pytest.raises(MammoError) as caught:
        facts_of(write_dicom, tmp_path, **elements)
    assert (caught.value.code, words in caught.value.sentence) == (code, True)
    assert caught.value.remedy


def test_numbers_and_tables_count_before_such_words(write_dicom: Write, tmp_path: Path) -> None:
    facts = facts_of(write_dicom, tmp_path, SeriesDescription="L CC Mag", EstimatedRadiographicMagnificationFactor=1.07)
    assert any("the factor 1.07 counts" in warning for warning in facts.warnings)
    write_dicom(tmp_path / "a.dcm", SeriesDescription="Tomosynthesis Projection")
    assert reading.inspect_file(tmp_path / "a.dcm", modality="FFDM").modality == "FFDM"

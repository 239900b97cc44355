"""Side and view as words: where they stand, what they say, and what is told where they say nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading.side_and_view import understood

Write = Callable[..., Any]
ELSEWHERE = "AcquisitionDeviceProcessingDescription"


@pytest.mark.parametrize(
    ("word", "side", "view"),
    [
        ("CC", "", "CC"), ("mlo", "", "MLO"), ("LM", "", "LM"), ("LMO", "", "LMO"), ("LCC", "L", "CC"),
        ("RMLO", "R", "MLO"), ("R-MLO", "R", "MLO"), ("L_CC", "L", "CC"), ("Left CC", "L", "CC"),
        ("LLM", "L", "LM"), ("RML", "R", "ML"), ("LLMO", "L", "LMO"), ("RXCCL", "R", "XCCL"), ("MLO R", "R", "MLO"),
        ("LAT", "", ""), ("L AT", "L", "AT"), ("CCL", "", ""), ("MLO high contrast", "", ""), ("", "", ""),
        ("L", "", ""), ("XLCC", "", ""), ("CC MLO", "", ""),
    ],
)  # fmt: skip
def test_what_a_word_says(word: str, side: str, view: str) -> None:
    assert understood(word) == (side, view)


@pytest.mark.parametrize(
    ("elements", "drop", "side", "view"),
    [
        ({"ViewPosition": "LCC"}, (), "L", "CC"),
        ({"ViewPosition": "RMLO"}, ("ImageLaterality",), "R", "MLO"),
        ({"ViewPosition": "R-MLO", "ImageLaterality": "R"}, (), "R", "MLO"),
        ({"ImageLaterality": "RIGHT"}, (), "R", "CC"),
        ({ELSEWHERE: "MLO"}, ("ViewPosition",), "L", "MLO"),
        ({ELSEWHERE: "RMLO", "ViewPosition": ""}, ("ImageLaterality",), "R", "MLO"),
        ({ELSEWHERE: "MLO"}, (), "L", "CC"),  # View Position counts
    ],
)
def test_where_side_and_view_stand(
    elements: dict[str, str], drop: tuple[str, ...], side: str, view: str, write_dicom: Write, tmp_path: Path
) -> None:
    write_dicom(tmp_path / "a.dcm", drop=drop, **elements)
    facts = reading.inspect_file(tmp_path / "a.dcm")
    assert (facts.laterality, facts.view) == (side, view)
    assert any("next to the view" in warning for warning in facts.warnings) == ("ImageLaterality" in drop)


@pytest.mark.parametrize(
    ("elements", "code", "words"),
    [
        ({"ViewPosition": "RCC"}, "laterality_contradictory", "L and R"),
        ({"ViewPosition": "LAT"}, "view_missing", "'LAT'"),
        ({"ViewPosition": "", ELSEWHERE: "MLO thin breast"}, "view_missing", "no view"),
        ({"ViewPosition": "CC MLO"}, "view_missing", "'CC MLO'"),
        ({"ImageLaterality": "U", "ViewPosition": "CC"}, "laterality_missing", "'U'"),
        ({"Modality": "US"}, "wrong_modality", "'US'"),
    ],
)
def test_a_word_that_is_not_understood_is_told_with_the_remedy(
    elements: dict[str, str], code: str, words: str, write_dicom: Write, tmp_path: Path
) -> None:
    write_dicom(tmp_path / "a.dcm", **elements)
    _, (reject,) = reading.collections.collect("folder", tmp_path)
    assert (reject.code, words in reject.reason) == (code, True)
    assert reject.remedy


def test_a_text_in_place_of_a_word_is_not_repeated(write_dicom: Write, tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", ViewPosition="Doe^Jane, born 1950")
    with pytest.raises(MammoError) as caught:
        reading.inspect_file(tmp_path / "a.dcm")
    assert "Doe" not in str(caught.value)
    assert "a text that is no code" in str(caught.value)


def test_a_table_counts_before_words(write_dicom: Write, tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", ViewPosition="RCC")
    facts = reading.inspect_file(tmp_path / "a.dcm", laterality="L", view="MLO")
    assert (facts.laterality, facts.view, len(facts.warnings)) == ("L", "MLO", 2)

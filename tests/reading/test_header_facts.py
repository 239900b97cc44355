"""Facts and refusals by the header: golden/dicom/traits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError

TRAITS = Path(__file__).parents[1] / "golden" / "dicom" / "traits"
CASES = json.loads((TRAITS / "expected.json").read_text())
ACCEPTED = [name for name, case in CASES.items() if case["decision"] == "accept"]
REFUSED = [name for name, case in CASES.items() if case["decision"] == "refuse"]
# What takes more than the header of one file, and where it is told: (here, test_read), (test_folder).
NOT_BY_HEADER = ("laterality_against_picture.dcm", "duplicate_b_same_uid.dcm", "duplicate_c_same_picture.dcm")


def test_there_are_as_many_cases_as_the_readme_says() -> None:
    assert (len(ACCEPTED), len(REFUSED)) == (54, 30)


@pytest.mark.parametrize("name", ACCEPTED)
def test_facts_of_an_accepted_file(name: str) -> None:
    facts = reading.inspect_file(TRAITS / name)
    for key, due in CASES[name]["facts"].items():
        value = getattr(facts, key)
        if key == "spacing_mm" and due is not None:
            np.testing.assert_allclose(value, due, rtol=1e-6)
        elif key in ("modifiers", "windows"):
            assert [list(item) if isinstance(item, tuple) else item for item in value] == due
        else:
            assert value == due, key


@pytest.mark.parametrize("name", [name for name in ACCEPTED if "frames" not in CASES[name]["facts"]])
def test_an_accepted_file_can_be_read(name: str) -> None:
    picture = reading.read(TRAITS / name)
    assert picture.pixels.shape == (32, 24)
    assert picture.facts == reading.inspect_file(TRAITS / name)


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in NOT_BY_HEADER])
def test_a_file_that_is_no_screening_view_is_refused(name: str) -> None:
    for function in (reading.inspect_file, reading.read):
        with pytest.raises(MammoError) as caught:
            function(TRAITS / name)
        assert caught.value.code == CASES[name]["code"]
        assert str(caught.value).startswith(str(TRAITS / name))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("spacing_zero.dcm", "PixelSpacing"),
        ("burned_in.dcm", "lettering"),
        ("window_decimal_comma.dcm", "decimal comma"),
        ("window_count_mismatch.dcm", "not equal in number"),
        ("window_text.dcm", "not a number"),
        ("window_width_zero.dcm", "too narrow"),
    ],
)
def test_what_is_doubtful_is_told(name: str, part: str) -> None:
    assert any(part in warning for warning in reading.inspect_file(TRAITS / name).warnings)


def test_a_table_supplies_what_a_stripped_header_lacks() -> None:
    facts = reading.inspect_file(TRAITS / "stripped_header.dcm", laterality="L", view="CC")
    assert (facts.laterality, facts.view, facts.modality) == ("L", "CC", "FFDM")
    assert reading.read(TRAITS / "laterality_missing.dcm", laterality="R").facts.laterality == "R"
    assert reading.read(TRAITS / "view_missing.dcm", view="MLO").facts.view == "MLO"


def test_a_table_counts_before_the_header_and_says_so() -> None:
    facts = reading.inspect_file(TRAITS / "complete.dcm", laterality="L", view="CC")
    assert (facts.laterality, facts.view) == ("L", "CC")
    assert len(facts.warnings) == 2


@pytest.mark.parametrize("given", [{"laterality": "left"}, {"view": "XYZ"}])
def test_a_side_or_view_that_there_is_not_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(MammoError) as caught:
        reading.inspect_file(TRAITS / "complete.dcm", **given)
    assert caught.value.code == "value_unknown"


def test_age_in_years() -> None:
    assert reading.inspect_file(TRAITS / "complete.dcm").age == 55

"""The text files of DDSM, in the form that its authors describe."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reading.ddsm_files import read_ics, read_overlay

ICS = """ics_version 1.0
filename B-3024-1
DATE_OF_STUDY 2 7 1995
PATIENT_AGE 42
FILM
FILM_TYPE REGULAR
DENSITY 4
DATE_DIGITIZED 7 22 1997
DIGITIZER LUMISYS
SELECTED
LEFT_CC LINES 4696 PIXELS_PER_LINE 3024 BITS_PER_PIXEL 12 RESOLUTION 50 OVERLAY
RIGHT_MLO LINES 4664 PIXELS_PER_LINE 3120 BITS_PER_PIXEL 12 RESOLUTION 43.5 NON_OVERLAY
"""
OVERLAY = """TOTAL_ABNORMALITIES 2
ABNORMALITY 1
LESION_TYPE CALCIFICATION TYPE PLEOMORPHIC DISTRIBUTION CLUSTERED
LESION_TYPE MASS SHAPE IRREGULAR MARGINS N/A
ASSESSMENT 5
SUBTLETY 3
PATHOLOGY MALIGNANT
TOTAL_OUTLINES 2
BOUNDARY
10 20 2 2 2 4 4 6 6 6 0 0 #
\tCORE
11 21 2 4 6 0 #
ABNORMALITY 2
LESION_TYPE MASS SHAPE OVAL MARGINS OBSCURED
ASSESSMENT 2
SUBTLETY 3
PATHOLOGY BENIGN_WITHOUT_CALLBACK
TOTAL_OUTLINES 1
BOUNDARY
50 60 3 3 5 5 7 7
1 1 #
"""


def test_a_case(tmp_path: Path) -> None:
    (tmp_path / "a.ics").write_text(ICS)
    case = read_ics(tmp_path / "a.ics")
    assert (case.name, case.age, case.density, case.digitizer) == ("B-3024-1", "42", "D", "LUMISYS")
    left, right = case.films
    assert (left.side, left.view, left.rows, left.columns, left.bits) == ("L", "CC", 4696, 3024, 12)
    assert (left.resolution_um, left.has_overlay) == (50, True)
    assert (right.side, right.view, right.resolution_um, right.has_overlay) == ("R", "MLO", 43.5, False)


@pytest.mark.parametrize("age", ["0", "131", "unknown", "9" * 5000])
def test_an_age_that_cannot_be_is_not_known(age: str, tmp_path: Path) -> None:
    (tmp_path / "a.ics").write_text(ICS.replace("PATIENT_AGE 42", f"PATIENT_AGE {age}"))
    assert read_ics(tmp_path / "a.ics").age == ""


def test_the_boundary_of_an_abnormality_is_walked_from_its_first_pixel(tmp_path: Path) -> None:
    (tmp_path / "a.OVERLAY").write_text(OVERLAY)
    first, second = read_overlay(tmp_path / "a.OVERLAY")
    assert (first.kinds, first.assessment, first.pathology) == (("calcification", "mass"), "5", "MALIGNANT")
    assert first.outline == ((10, 20), (13, 20), (13, 22), (10, 22))
    assert second.outline == ((50, 60), (52, 62), (50, 64), (48, 62))
    assert second.pathology == "BENIGN_WITHOUT_CALLBACK"


def test_an_overlay_without_abnormalities_has_none(tmp_path: Path) -> None:
    """Found by mutation: an error of Python's."""
    (tmp_path / "a.OVERLAY").write_text("TOTAL_ABNORMALITIES 0\n")
    assert read_overlay(tmp_path / "a.OVERLAY") == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("filename", "name", "names no case or no film"),
        ("_", "-", "names no case or no film"),
        ("LINES", "ROWS", "describes the film LEFT_CC in a way"),
        ("43.5", "4.3.5", "describes the film RIGHT_MLO in a way"),
        ("4664", "9" * 5000, "describes the film RIGHT_MLO in a way"),
    ],
)
def test_a_case_that_cannot_be_read_is_one_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.ics").write_text(ICS.replace(old, new))
    with pytest.raises(MammoError, match=message) as caught:
        read_ics(tmp_path / "a.ics")
    assert caught.value.code == "ics_broken"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("TOTAL_ABNORMALITIES 2", "TOTAL_ABNORMALITIES 3", "has 2 abnormalities and says 3"),
        ("PATHOLOGY MALIGNANT", "PATHOLOGY DOUBTFUL", "the pathology 'DOUBTFUL'"),
        ("10 20 2 2", "10 20 9 2", "not a column, a row and steps until #"),
        ("1 1 #\n", "1 1\n", "not a column, a row and steps until #"),
        ("10 20 2 2 2 4 4 6 6 6 0 0 #", "10 20 2 2 2 2 #", "a boundary that is a line"),
        ("\nBOUNDARY\n10", "\nEDGE\n10", "with no boundary"),
    ],
)
def test_an_overlay_that_cannot_be_read_is_one_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.OVERLAY").write_text(OVERLAY.replace(old, new, 1))
    with pytest.raises(MammoError, match=message) as caught:
        read_overlay(tmp_path / "a.OVERLAY")
    assert caught.value.code == "overlay_broken"


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.ics").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(MammoError, match="cannot be read as text"):
        read_ics(tmp_path / "a.ics")

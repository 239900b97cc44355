"""Identities are weighed: what a real archive looks like passes in silence, what cannot be is said in one line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.study import identity_line, make_manifest
from mammo_tf.study.identities import ALIKE, PLACEHOLDER, SIDE_OR_VIEW, doubtful

VIEWS = [(side, view) for side in "LR" for view in ("CC", "MLO")]


def _manifest(rows: Iterable[tuple[str, str, str, str]], **more: str) -> pd.DataFrame:
    """Rows of patient, exam, side, view."""
    named = ("patient_id", "exam_id", "laterality", "view")
    listed = [dict(zip(named, row, strict=True)) | more for row in rows]
    return make_manifest(
        [row | {"image_id": str(n), "path": f"{n}.dcm", "label": "normal"} for n, row in enumerate(listed)]
    )


def test_a_plain_archive_passes_in_silence() -> None:
    women = [f"P{number:04d}" for number in range(12)]
    assert not identity_line(_manifest((woman, f"e{woman}", *view) for woman in women for view in VIEWS))
    hashed = [hashlib.sha256(woman.encode()).hexdigest()[:20] for woman in women]
    assert not identity_line(_manifest((woman, "1", *view) for woman in hashed for view in VIEWS)), "visits by number"
    assert not identity_line(_manifest(("one", "e", *view) for view in VIEWS)), "one woman's four views"
    years = [(woman, f"{woman}{year}", *view) for woman in ("a", "b") for year in range(5) for view in VIEWS]
    assert not identity_line(_manifest(years)), "years of two women"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(f"{w}{s}{v}", "", s, v) for w in range(4) for s, v in VIEWS], "every one of 16 patients has one image"),
        ([(str(w), "", "", "") for w in range(5)], "every one of 5 patients has one image"),
        ([(f"{w}x{s}", "", s, v) for w in range(4) for s, v in VIEWS], "no patient has images of two sides"),
        ([(f"{w}x{v}", "", s, v) for w in range(4) for s, v in VIEWS], "no patient has images of two views"),
        ([("p", f"e{w}", s, v) for w in range(5) for s, v in VIEWS], "all 20 images are of one patient"),
        ([("p", "", "", "") for _ in range(20)], "all 20 images are of one patient"),
        ([("a", "", "", "")] * 26 + [("b", "", "", "")] * 4, "one patient has 26 images of the same side and view"),
        ([("a", "e", "L", "CC")] * 7 + [("b", "f", "R", "CC")] * 2, "7 images of the same side and view in one exam"),
        ([(f"{w}-{n}", f"e{w}", "L", v) for w in range(3) for n in "ab" for _, v in VIEWS], "3 of 3 exams are of more"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(rows: list[tuple[str, str, str, str]], said: str) -> None:
    line = identity_line(_manifest(rows))
    assert said in line
    assert line.startswith("patients in doubt: ")
    assert "Give patient_id in the table of labels" in line
    assert "\n" not in line


def test_frames_of_one_file_are_one_image() -> None:
    table = _manifest([("p", "e", "L", "CC")] * 30 + [("q", "f", "R", "CC")])
    table["path"] = ["volume.dcm"] * 30 + ["other.dcm"]
    assert not identity_line(table)


@pytest.mark.parametrize(
    ("names", "doubt"),
    [
        (["P_1_LEFT_CC", "P_1_LEFT_MLO", "P_2_LEFT_CC"], SIDE_OR_VIEW),
        (["Mass-Training_P_00001_LEFT_CC", "Mass-Training_P_00001_RIGHT_CC"], SIDE_OR_VIEW),
        (["007L", "007R"], SIDE_OR_VIEW),
        (["12LCC", "12RMLO"], SIDE_OR_VIEW),
        (["7 links", "7 rechts"], SIDE_OR_VIEW),
        (["L-17", "R-17"], SIDE_OR_VIEW),
        (["A_CC", "B_CC", "C_CC", "D"], SIDE_OR_VIEW),
        (["P1Left", "P1Right"], SIDE_OR_VIEW),
        (["L1", "R1"], SIDE_OR_VIEW),
        (["LCC1", "RCC1"], SIDE_OR_VIEW),
        (["L-1", "R-2", "L-3"], SIDE_OR_VIEW),
        (["17", "17.0"], ALIKE),
        (["1", "000001"], ALIKE),
        (["A-1", "A_1"], ALIKE),
        (["A1", "A-1"], ALIKE),
        (["P1", "P1 (1)"], ALIKE),
        (["P1.1", "P1.2", "P2", "P3"], ALIKE),
        (["P1_1", "P1_2", "P20_1", "P20_2", "P3", "P4"], ALIKE),
        (["17_1", "17_2", "42", "99"], ALIKE),
        ([f"P{woman}_{visit}" for woman in range(20) for visit in range(2)], ALIKE),
        (["P1", "P1.1"], ALIKE),
        (["P1", "P1 - Copy"], ALIKE),
        (["P1", "P1_copy"], ALIKE),
        (["P1", "p1 (Copy) 2", "P2"], ALIKE),
        (["P1 - Copy", "P1 - Copy (2)"], ALIKE),
        (["12", "Copy of 12", "Kopie von 12"], ALIKE),
        (["a 1", "a 1 ", "A1"], ALIKE),
        (["P_00001", "P_00001_1"], ALIKE),
        (["removed"], PLACEHOLDER),
        (["DUMMY", "17"], PLACEHOLDER),
        (["Anonymous_1", "17"], PLACEHOLDER),
        (["anonymous patient", "17"], PLACEHOLDER),
        (["PATIENT^ANON", "17"], PLACEHOLDER),
        (["xxxx", "17"], PLACEHOLDER),
        (["123456", "17"], PLACEHOLDER),
        (["Anonymous", "P1"], PLACEHOLDER),
        (["0", "17"], PLACEHOLDER),
        (["0000", "17"], PLACEHOLDER),
        (["N/A", "17"], PLACEHOLDER),
        (["train_images", "17"], PLACEHOLDER),
        (["-", "17"], PLACEHOLDER),
        (["99999", "17"], PLACEHOLDER),
        (["111111", "17"], PLACEHOLDER),
        (["NN", "17"], PLACEHOLDER),
        (["test1", "17"], PLACEHOLDER),
        (["Sample", "17"], PLACEHOLDER),
        (["sample_2", "Demo-1", "17"], PLACEHOLDER),
        (["John Doe", "17"], PLACEHOLDER),
        (["not available", "17"], PLACEHOLDER),
        (["nan", "17"], PLACEHOLDER),
        (["1.23457E+15", "17"], PLACEHOLDER),
        (["1,2e+10", "17"], PLACEHOLDER),
        (["#REF!", "17"], PLACEHOLDER),
        (["####", "17"], PLACEHOLDER),
        (["Mu\u0308ller7", "M\u00fcller7", "17"], ALIKE),
        (["p1\u200b", "p1", "17"], ALIKE),
    ],
)
def test_doubtful_identifiers(names: list[str], doubt: str) -> None:
    found = doubtful(names)
    assert set(found.values()) == {doubt}
    assert set(names) - {"17", "P1", "P2", "P3", "P4", "42", "99", "D"} <= set(found)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20, unique=True), st.sampled_from(["", "P_", "MG-"]))
def test_numbers_and_hashes_are_not_doubted(numbers: list[int], before: str) -> None:
    assert not doubtful(f"{before}{number:010d}" for number in numbers)
    assert not doubtful(hashlib.sha256(str(number).encode()).hexdigest()[:20] for number in numbers)


@pytest.mark.parametrize(
    "names",
    [
        [f"R-{number:03d}" for number in range(40)],
        [f"P-{number}" for number in range(6)],
        [f"{site}.{number:03d}" for site in ("01", "02") for number in range(30)],
        [f"Anonymous_{number}" for number in range(50)],
        [f"Patient{number}" for number in range(9)],
        [str(number) for number in range(123440, 123470)],
        [f"{site}{number:04d}" for site in ("A", "B", "M") for number in range(20)],
        [f"{site}-{number}" for site in (12, 13) for number in range(1, 6)],
        [f"{site}-{number}" for site in range(11, 23) for number in range(1, 6)],
        [f"2019_{number}" for number in range(1, 7)],
        [f"S1-{number}" for number in range(1, 6)],
        [*(f"S1-{number}" for number in range(1, 6)), *(f"{number}" for number in range(100234, 100240))],
        [*(f"2019_{number}" for number in range(1, 7)), *(f"{number}" for number in range(10, 18))],
        [f"1.2.840.55.{number}" for number in range(1, 8)],
        [f"1.2.840.{study}.{number}" for study in range(20) for number in (1, 2)],
        ["1.2.840.55", "1.2.840.55.1"],
        [str(number) for number in range(99990, 100010)],
        ["AB", "CD", "NN"],
        ["COPYRIGHT1", "Copeland"],
        [f"sample_{number}" for number in range(9)],
        ["101", "111", "130"],
    ],
)
def test_names_that_a_site_may_give(names: list[str]) -> None:
    assert not doubtful(names)


@pytest.mark.parametrize("name", ["999", "0001111", "P-9999", "NN", "P000"])
def test_one_sign_for_many_pictures_names_nobody(name: str) -> None:
    others = [f"{name[:1]}{number:05d}" for number in range(20, 90, 7)]
    assert doubtful([*(4 * others), *(40 * [name])]) == ({} if name == "0001111" else {name: PLACEHOLDER})
    assert not doubtful([*(4 * others), *(4 * [name])]) or name == "NN"


@pytest.mark.parametrize(
    ("exams_of", "patients", "said"),
    [
        (lambda patient: [f"e{patient}"], 36, ""),
        (lambda patient: ["first"], 12, ""),
        (lambda patient: [str(visit) for visit in range(patient % 6 + 1)], 36, ""),  # six visits
        (lambda patient: [str(visit) for visit in range(2 if patient == 3 else 1)], 12, ""),
        (lambda patient: [str(patient % 2)], 12, "2 of 2 exams are of more than one patient"),
        (lambda patient: [f"{patient % 6}"], 36, "6 of 6 exams are of more than one patient"),
        (lambda patient: [f"e{patient // 6}"], 72, "12 of 12 exams are of more than one patient"),
        (lambda patient: ["e"], 2, "1 of 1 exams are of more than one patient"),
    ],
)
def test_exams_of_many_patients_are_told_unless_they_are_numbers_of_visits(
    exams_of: Callable[[int], list[str]], patients: int, said: str
) -> None:
    rows = [(f"p{patient}", exam, *view) for patient in range(patients) for exam in exams_of(patient) for view in VIEWS]
    line = identity_line(_manifest(rows))
    assert said in line
    assert bool(line) == bool(said)

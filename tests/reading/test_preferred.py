"""One picture an exam, side and view: which, whatever the order of the files, and never one of another study."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import generate_uid

from mammo_tf import reading
from mammo_tf.cli.main import main
from mammo_tf.reading import preferred
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.preferred import RULE, Listed, not_preferred
from mammo_tf.serving.predict_inputs import find_inputs
from tests.reading.conftest import breast

Write = Callable[..., Any]
S2D = {"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}
FILM = {"ConversionType": "DF", "Modality": "RG"}
RAW = {"PresentationIntentType": "FOR PROCESSING"}


def collected(root: Path, **options: Any) -> tuple[list[str], dict[str, str]]:
    table, rejects = reading.collections.collect("folder", root, **options)
    return list(table["path"]), {reject.path: reject.reason for reject in rejects if reject.code == "not_preferred"}


def write_each(write_dicom: Write, root: Path, **files: dict[str, Any]) -> None:
    """Files of one study, each of other pixels."""
    for number, (name, elements) in enumerate(sorted(files.items())):
        pixels = elements.pop("pixels", breast(3000, seed=number))
        write_dicom(root / f"{name}.dcm", pixels, **elements)


@pytest.mark.parametrize(
    ("better", "worse", "step"),
    [
        ({}, S2D, "the kind of picture"),
        (S2D, FILM, "the kind of picture"),
        ({}, FILM, "the kind of picture"),
        (S2D, {**FILM, "AcquisitionDate": "20240102"}, "the kind of picture"),
        ({}, RAW, "processed before raw"),
        ({}, {"pixels": breast(3000)[:, :98]}, "the larger matrix"),
        ({"AcquisitionDate": "20240102"}, {"AcquisitionDate": "20240101", "ContentDate": "20250101"}, "the latest"),
        (
            {"AcquisitionDate": "20240101", "AcquisitionTime": "101500.5"},
            {"AcquisitionDate": "20240101", "AcquisitionTime": "1015"},
            "the latest",
        ),
        ({"ContentDate": "20240101"}, {}, "the latest"),
    ],
)
@pytest.mark.parametrize("names", ["ab", "ba"])
def test_each_step_of_the_rule(
    names: str, better: dict[str, Any], worse: dict[str, Any], step: str, write_dicom: Write, tmp_path: Path
) -> None:
    write_each(write_dicom, tmp_path, **{names[0]: dict(better), names[1]: dict(worse)})
    rows, passed = collected(tmp_path, for_processing=True)
    assert rows == [f"{names[0]}.dcm"]
    sentence = f"{names[0]}.dcm is preferred for this exam, side and view: {step}"
    assert passed == {f"{names[1]}.dcm": sentence}
    assert sorted(collected(tmp_path, for_processing=True, keep_all=True)[0]) == ["a.dcm", "b.dcm"]


def test_where_nothing_tells_pictures_apart_the_first_path_counts_and_that_is_said(
    write_dicom: Write, tmp_path: Path
) -> None:
    write_each(write_dicom, tmp_path, a={}, b={})
    rows, passed = collected(tmp_path)
    assert rows == ["a.dcm"]
    assert "the first path, as nothing else tells them apart" in passed["b.dcm"]


def test_what_has_no_rival(write_dicom: Write, tmp_path: Path) -> None:
    """Other studies, sides, views and modifiers; volumes, parts of a large breast, pictures without a header."""
    write_each(
        write_dicom, tmp_path,
        a={}, another_study={"StudyInstanceUID": generate_uid()}, other_side={"ImageLaterality": "R"},
        other_view={"ViewPosition": "MLO"}, part_1={"PartialView": "YES"}, part_2={"PartialView": "YES"},
        volume={"pixels": np.stack([breast(3000, seed=9)] * 3)}, without_study={"StudyInstanceUID": ""},
    )  # fmt: skip
    cv2.imwrite(str(tmp_path / "bare.png"), breast(3000, seed=50))
    (tmp_path / "labels.csv").write_text("path,laterality,view\nbare.png,L,CC\n")
    rows, passed = collected(tmp_path)
    assert len(rows) == 9
    assert passed == {}


def test_a_table_that_makes_one_exam_of_two_studies_mixes_none(write_dicom: Write, tmp_path: Path) -> None:
    write_each(write_dicom, tmp_path, a={}, b={"StudyInstanceUID": generate_uid()})
    (tmp_path / "labels.csv").write_text("path,exam_id\na.dcm,1\nb.dcm,1\n")
    assert collected(tmp_path) == (["a.dcm", "b.dcm"], {})


def test_a_label_that_is_left_out_with_its_picture_is_told(
    write_dicom: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "archive"
    root.mkdir()
    write_each(write_dicom, root, a={}, b=dict(S2D), c=dict(S2D))
    (root / "labels.csv").write_text("path,label\nc.dcm,malignant\n")
    _, passed = collected(root)
    assert passed["b.dcm"].endswith("view: the kind of picture")
    assert passed["c.dcm"].endswith("view: the kind of picture; left out with it: label that the table gives it")
    assert main(["manifest", "folder", str(root), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "2 pictures are not the preferred ones of their exam, side and view, 1 with a label or findings in" in said


def test_predict_scores_every_picture_of_a_folder(write_dicom: Write, tmp_path: Path) -> None:
    write_each(write_dicom, tmp_path, a={}, b=dict(S2D))
    assert [one.place for one in find_inputs(tmp_path).candidates] == ["a.dcm", "b.dcm"]


def test_a_re_pack_next_to_its_dicom_file_is_not_a_second_woman(write_dicom: Write, tmp_path: Path) -> None:
    write_each(write_dicom, tmp_path, a={}, b={"ViewPosition": "MLO"})
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), breast(3000, seed=ord(name[0])))
    (tmp_path / "labels.csv").write_text("path,label\nb.png,normal\n")
    table, rejects = reading.collections.collect("folder", tmp_path)
    assert list(table["path"]) == ["a.dcm", "b.dcm", "b.png", "c.png"]
    (told,) = (reject for reject in rejects if reject.code == "duplicate")
    assert (told.path, told.reason) == ("a.png", "called like a.dcm: a re-pack of it?")
    assert len(collected(tmp_path, keep_all=True)[0]) == 5


KINDS = ("FFDM", "S2D", "FILM", "DBT", "")


@st.composite
def archives(draw: st.DrawFn) -> list[Listed]:
    """Pictures of few exams, sides and views, so that there are rivals."""
    listed = []
    for number in range(draw(st.integers(1, 12))):
        kind, exam = draw(st.sampled_from(KINDS)), draw(st.sampled_from(["", "e1", "e2"]))
        row = {"path": f"{number}.dcm", "exam_id": exam, "patient_id": "p", "modality": kind}
        row |= {"laterality": draw(st.sampled_from(["L", "R", ""])), "view": draw(st.sampled_from(["CC", "MLO", ""]))}
        facts = Facts(
            Path(f"{number}.dcm"), draw(st.sampled_from([10, 20])), 10, exam_id=exam,
            for_processing=draw(st.booleans()), partial=draw(st.sampled_from([None, False, True])),
            modifiers=draw(st.sampled_from([(), ("rolled_lateral",)])), frames=draw(st.sampled_from([1, 1, 3])),
        )  # fmt: skip
        listed.append(Listed(facts.path, row, facts))
    return listed


def _key(one: Listed) -> tuple[Any, ...] | None:
    row = one.row
    rivals = row["modality"] in ("FFDM", "S2D", "FILM") and one.facts.frames == 1 and not one.facts.partial
    known = row["exam_id"] and row["laterality"] and row["view"]
    return (row["exam_id"], row["laterality"], row["view"], one.facts.modifiers) if rivals and known else None


@given(archives(), st.dictionaries(st.integers(0, 11), st.sampled_from(["", "20240101", "20240102"])), st.randoms())
def test_one_picture_an_exam_side_and_view_in_any_order(
    listed: Sequence[Listed], dates: dict[int, str], dice: random.Random
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preferred, "when_taken", lambda path: dates.get(int(path.stem), ""))
        passed = not_preferred(listed)
        shuffled = list(listed)
        dice.shuffle(shuffled)
        assert not_preferred(shuffled) == passed
    kept = [_key(one) for one in listed if one.row["path"] not in passed]
    assert {key for key in map(_key, listed) if key} == {key for key in kept if key}
    assert len([key for key in kept if key]) == len({key for key in kept if key})
    assert kept.count(None) == sum(_key(one) is None for one in listed)  # what has no rival is never lost
    by_path = {one.row["path"]: one for one in listed}
    for path, reject in passed.items():
        first = by_path[reject.reason.split(" is preferred")[0]]
        assert _key(first) == _key(by_path[path])
        ranks = [
            (("FFDM", "S2D", "FILM").index(one.row["modality"]), one.facts.for_processing, -one.facts.rows)
            for one in (first, by_path[path])
        ]
        assert ranks[0] <= ranks[1]


def test_the_rule_stands_in_the_docs_word_for_word() -> None:
    page = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text()
    assert RULE in " ".join(page.split())


def test_dates_are_in_no_output(write_dicom: Write, tmp_path: Path) -> None:
    write_each(write_dicom, tmp_path, a={"AcquisitionDate": "19870605"}, b={"AcquisitionDate": "19870604"})
    table, rejects = reading.collections.collect("folder", tmp_path)
    assert "1987060" not in table.to_csv() + str(rejects)

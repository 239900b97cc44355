"""`shift` as it is typed: what it says and writes, and bad input in one line with nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.adaptation.shift_files import matching_warning, shift_of_predictions
from mammo_tf.cli.main import main
from mammo_tf.evaluation import read_predictions

NAMES = {"label": "cancer", "score": "p", "patient": "woman"}
COLUMNS = ["--columns", "label=cancer,score=p,patient=woman", "--columns", "score=p,patient=woman"]
FEW = ["--replicates", "99"]


def _scores(name: str, patients: int, share: float, seed: int, gain: float = 1.0) -> pd.DataFrame:
    """Two images a patient. A machine changes the scores by a power."""
    generator = np.random.default_rng(seed)
    person = np.arange(patients).repeat(2)
    labels = (person < share * patients).astype(int)
    scores = 1 / (1 + np.exp(2 - 2.5 * labels - generator.normal(size=len(person))))
    table = pd.DataFrame({"cancer": labels, "p": scores**gain, "woman": [f"{name}{one}" for one in person]})
    return table.assign(age=50 + person % 9, manufacturer="X")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shift")
    theirs = _scores("a", 400, 0.1, 0)
    more = _scores("b", 200, 0.4, 1)
    made = {
        "theirs": theirs, "more": more.drop(columns="cancer"), "labelled": more,
        "moved": _scores("c", 200, 0.1, 2, 0.5).assign(age=70, manufacturer="Y", split=["train"] * 4 + ["test"] * 396),
        "bare": theirs.drop(columns="cancer"), "well": theirs.assign(cancer=0), "few": more.iloc[:40],
        "percent": more.assign(p=100 * more["p"]), "constant": more.assign(p=0.5),
        "empty": more.assign(p=[*more["p"][:9], None, *more["p"][10:]]), "matched": more.assign(score_before=0.1),
        "rounded": theirs.assign(p=theirs["p"].round(6), woman="z" + theirs["woman"]),
        "part": theirs.astype({"cancer": object}).assign(cancer=[*theirs["cancer"][:700], *[""] * 100]),
    }  # fmt: skip
    for name, table in made.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def _words(files: Path, site: str, *more: str, reference: str = "theirs") -> list[str]:
    path = f"{files}/{site}.csv" if site else f"{files}"
    return ["shift", f"{files}/{reference}.csv", path, *COLUMNS, *FEW, *more]


def test_the_verdict_comes_first_then_the_numbers(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(_words(files, "more", "-o", f"{tmp_path}/out")) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("the shift is one of prevalence: more.csv has the scores of positive and negative")
    assert shown[1].startswith("do not match scores: at the threshold")
    assert "theirs.csv: 400 patients, 40 positive, a share of 0.100" in shown
    assert "more.csv: 200 patients" in shown
    assert any(line.startswith("prevalence of more.csv if nothing else differs: 0.") for line in shown)
    assert "note: compared are scores of patients" in shown
    stored = json.loads((tmp_path / "out" / "shift.json").read_text())
    assert stored["sentence"] + "." == shown[0]
    assert stored["kind"] == "prevalence"
    assert stored["prevalence_low"] < 0.4 < stored["prevalence_high"]
    assert stored["notes"] == ["compared are scores of patients"]
    drawn = (tmp_path / "out" / "shift.svg").read_text()
    assert "nearest mixture of theirs.csv" in drawn
    assert (tmp_path / "out" / "shift.png").stat().st_size > 10_000


def test_other_patients_and_other_machines_are_told(files: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(_words(files, "moved", "--level", "image")) == 0
    shown = capsys.readouterr().out
    for part in (
        "the shift is one of acquisition and of patients", "median age 54 and 70", "another case mix alone",
        "note: manufacturer Y (396 rows of moved.csv) is not in theirs.csv", "moved.csv: 4 rows of the split 'train'",
        "compared are scores of images",
    ):  # fmt: skip
        assert part in shown, part
    assert "if nothing else differs" not in shown


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("bare", "bare.csv has no labels: whether there is a shift can be told, not which"),
        ("well", "well.csv has labels of one class alone, 0"),
        ("part", "part.csv: 100 rows without a label are left out"),
    ],
)
def test_references_that_are_not_labelled_throughout(
    reference: str, says: str, files: Path, capsys: pytest.CaptureFixture
) -> None:
    words = _words(files, "more", reference=reference)
    if reference == "bare":
        words[words.index("--columns") + 1] = "score=p,patient=woman"
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert says in shown
    assert ("it cannot be told which" in shown) == (reference != "part")


@pytest.mark.parametrize(
    ("site", "more", "says"),
    [
        ("few", "", "few.csv: scores of 20 patients are too few to tell a shift. Gather 25 or more"),
        ("percent", "", "divide percentages by 100"),
        ("constant", "", "constant.csv: all 200 scores are 0.5"),
        ("empty", "", "empty.csv, row 11: score '' is not a finite number"),
        ("matched", "", "matched.csv has a column score_before"),
        ("theirs", "", "are the same file"),
        ("", "", "is a model or a folder, and shift compares files of scores. Score pictures of both sites"),
        ("more", "--prevalence 30", "a prevalence of 30 is not a share of patients. Give 0 to 1"),
        ("more", "--threshold nan", "not a finite number"),
        ("more", "--replicates 20", "Take 999"),
        ("more", "--level exam", "nothing tells the exams of theirs.csv. Take one of image, patient"),
        ("more", "--level lesion", "level 'lesion' is unknown"),
        ("more", "--patient sum", "'sum' is unknown"),
        ("nothing", "", "nothing.csv are not there"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    site: str, more: str, says: str, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(_words(files, site, *more.split(), "-o", f"{tmp_path}/out")) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_before_scores_are_matched_it_is_said_whether_that_is_right(files: Path) -> None:
    theirs, more = (read_predictions(files / f"{name}.csv", NAMES) for name in ("theirs", "labelled"))
    told = matching_warning(theirs, more, ("THEIRS", "OURS"))
    assert told.startswith("the shift is one of prevalence: OURS")
    assert "; do not match scores: at the threshold" in told
    assert matching_warning(theirs.assign(label=-1), more, ("THEIRS", "OURS")) == ""


def test_scores_that_stand_in_both_are_told(files: Path) -> None:
    theirs, copy = (read_predictions(files / f"{name}.csv", NAMES) for name in ("theirs", "rounded"))
    found, notes = shift_of_predictions(theirs, copy.assign(label=-1), replicates=99)
    assert found.kind == "none"
    assert notes[0].startswith("800 scores of the site stand in the reference too")


def test_fewer_views_are_no_shift_of_images(files: Path) -> None:
    theirs = read_predictions(files / "theirs.csv", NAMES)
    more = read_predictions(files / "part.csv", NAMES, unlabelled=True).assign(score=_scores("d", 400, 0.1, 5)["p"])
    one = more.assign(patient_id="d" + more["patient_id"]).iloc[::2]
    _, notes = shift_of_predictions(theirs, one, replicates=99)
    assert notes[-1] == "compared are scores of images"  # one image a patient: there is no level patient
    three = more.assign(patient_id=[f"d{place // 3}" for place in range(800)])
    _, notes = shift_of_predictions(theirs, three, replicates=99)
    assert "a patient has 2.0 images in the reference and 3.0 in the site: scores of patients differ" in notes[-2]


def test_prevalence_that_labels_of_the_site_tell_makes_it_both(files: Path) -> None:
    theirs, more = (read_predictions(files / f"{name}.csv", NAMES) for name in ("theirs", "labelled"))
    found, _ = shift_of_predictions(theirs, more.assign(score=more["score"] ** 0.4), replicates=99)
    assert found.kind == "both"
    assert "prevalence 0.100 and 0.400" in found.sentence

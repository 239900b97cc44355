"""Who is who: patients who are not named, spelled otherwise, in two splits; rows that are copies under other names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, compute_metrics, read_predictions
from mammo_tf.evaluation.copies import check_rows_apart, copied_rows
from mammo_tf.evaluation.identities import check_patients_apart, patient_notes

FEW = Resampling(20)


def read(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    table.to_csv(folder / "p.csv", index=False)
    return read_predictions(folder / "p.csv")


def test_without_patients_there_is_no_level_patient_and_nobody_is_invented(
    metrics_table: pd.DataFrame, tmp_path: Path
) -> None:
    named = metrics_table.drop(columns="exam_id")
    table = read(named.rename(columns={"patient_id": "PatientID"}), tmp_path)
    assert "patient_id" not in table
    found = compute_metrics(table, resampling=FEW)["test"]
    assert list(found) == ["image"], "nobody says which images make up a breast"
    assert found["image"]["auc"]["how"].startswith("bootstrap over 160 images (no patient is named)")
    assert found["image"]["sensitivity"]["how"].startswith("at the threshold; bootstrap over 160 images")
    (note,) = patient_notes(table)
    assert "no patient column: every row counts as a patient" in note
    assert note.endswith("--columns patient=PatientID")
    exams = read(named.drop(columns="patient_id").assign(exam_id=named["patient_id"]), tmp_path)
    told = compute_metrics(exams, resampling=FEW)["test"]
    assert list(told) == ["image", "breast", "exam"]
    assert told["image"]["auc"]["how"].startswith("bootstrap over 40 exams (no patient is named)")


def test_two_names_of_one_column_are_refused(metrics_table: pd.DataFrame, tmp_path: Path) -> None:
    metrics_table.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(MammoError, match="--columns names one column twice: breast and breast_id are one") as caught:
        read_predictions(tmp_path / "p.csv", {"breast": "image_id", "breast_id": "patient_id"})
    assert caught.value.code == "option_wrong"


def test_a_patient_for_every_image_is_told(metrics_table: pd.DataFrame, tmp_path: Path) -> None:
    table = read(metrics_table.assign(Subject_No=metrics_table["patient_id"], patient_id=range(240)), tmp_path)
    assert "patient" not in compute_metrics(table, resampling=FEW)["test"]
    (note,) = patient_notes(table)
    assert "every image has a patient_id of its own" in note
    assert note.endswith("--columns patient=Subject_No")


def test_identifiers_are_read_without_blanks_and_one_spelling_more_is_told(
    metrics_table: pd.DataFrame, tmp_path: Path
) -> None:
    blanks = metrics_table.assign(patient_id=metrics_table["patient_id"] + [" ", ""] * 120)
    assert read(blanks, tmp_path)["patient_id"].nunique() == 60
    upper = metrics_table.assign(
        patient_id=[name.upper() if row % 2 else name for row, name in enumerate(metrics_table["patient_id"])]
    )
    notes = patient_notes(upper)
    assert any("'p0' and 'P0' differ in their spelling alone" in note for note in notes)


@pytest.mark.parametrize("spelled", [str.upper, "{} ".format, "{}\t".format])
def test_nobody_is_on_both_sides_of_a_threshold_by_another_spelling(
    metrics_table: pd.DataFrame, spelled: object
) -> None:
    test = metrics_table["split"] == "test"
    names = metrics_table["patient_id"].where(~test, metrics_table["patient_id"].str.replace("p2", "p1"))
    table = metrics_table.assign(patient_id=names.where(~test, names.map(spelled)))
    with pytest.raises(MammoError, match="is in validation, where thresholds are chosen, and in another split"):
        check_patients_apart(table, "validation")


def test_no_image_is_on_both_sides_of_a_threshold_whosever_it_is(metrics_table: pd.DataFrame) -> None:
    """Numbers that begin again are no names."""
    table = metrics_table.reset_index(drop=True).astype({"image_id": "object"})
    rows = [int((table["split"] == split).argmax()) for split in ("validation", "test")]
    table.loc[rows, "image_id"] = ["I 7a", "i7A"]
    with pytest.raises(MammoError, match=r"image 'I 7a' \(also spelled 'i7A'\) is in validation"):
        check_patients_apart(table, "validation")
    table.loc[rows, "image_id"] = "007"
    check_patients_apart(table, "validation")


def test_an_exam_of_two_patients_in_two_splits_is_told(metrics_table: pd.DataFrame) -> None:
    """Exams that are called alike for every patient are no exam of two."""
    table = metrics_table.replace({"split": {"validation": "val"}})
    table = table.assign(exam_id="e" + table["patient_id"])
    assert not any("exam '" in note for note in patient_notes(table))
    test = table["split"] == "test"
    other = table.loc[~test, "exam_id"].iloc[0]
    shared = table.assign(exam_id=table["exam_id"].where(table["exam_id"] != table.loc[test, "exam_id"].iloc[0], other))
    assert any(f"exam {other!r} is one patient's in" in note for note in patient_notes(shared))
    assert not any("exam '" in note for note in patient_notes(table.assign(exam_id="first")))


def test_the_same_women_in_other_splits_are_told(metrics_table: pd.DataFrame) -> None:
    table = metrics_table.replace({"split": {"validation": "val"}}).replace({"patient_id": {"p30": "p3"}})
    notes = patient_notes(table)
    assert "1 patient is both in 'val' and in 'test', such as 'p3': that is no test of a model" in notes


@pytest.mark.parametrize("decimals", [3, 4, 9])
def test_the_same_rows_under_other_names_choose_no_threshold(metrics_table: pd.DataFrame, decimals: int) -> None:
    test = metrics_table[metrics_table["split"] == "test"]
    copy = test.assign(split="validation", patient_id="x" + test["patient_id"], score=test["score"].round(decimals))
    with pytest.raises(MammoError, match=r"1\d\d rows of 'test' have label and score") as caught:
        check_rows_apart(pd.concat([test, copy.sample(frac=1, random_state=0)]), "validation")
    assert caught.value.code == "threshold_on_test"
    if decimals == 3:
        return  # a few of so coarse scores may be chance
    part = pd.concat([copy.iloc[:20], metrics_table[metrics_table["split"] == "validation"]])
    (note,) = check_rows_apart(pd.concat([test, part]), "validation")
    assert "are they the same images?" in note


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([2, 3, 4, 9]), st.integers(20, 300))
def test_other_rows_are_no_copies_however_coarse_their_scores_are(seed: int, decimals: int, rows: int) -> None:
    generator = np.random.default_rng(seed)
    first, second = (
        pd.DataFrame({"label": np.arange(rows) % 2, "score": np.round(generator.beta(2, 3, rows), decimals)})
        for _ in range(2)
    )
    assert copied_rows(first, second) < 0.5 * rows
    grid = first.assign(score=np.round(first["score"] * 20) / 20)
    assert copied_rows(grid, grid) == 0 or rows < 45, "scores on a grid say nothing"

"""Results that are seldom what they seem, cells that are no numbers, and exact intervals where resamples are alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, compare, compute_metrics, ensemble_predictions, read_predictions
from mammo_tf.evaluation.proportions import auc_variance, clopper_pearson, separated_auc_low
from mammo_tf.evaluation.rates import rate_numbers, rates_elsewhere
from mammo_tf.evaluation.suspicions import score_notes

FEW = Resampling(50)


def said(table: pd.DataFrame, **changed: object) -> str:
    table = table.assign(**changed)
    return "\n".join(score_notes(table, compute_metrics(table, resampling=Resampling(2))))


def test_odd_results_are_told(metrics_table: pd.DataFrame) -> None:
    table = metrics_table
    assert said(table) == ""
    assert "which are the labels" in said(table, score=table["label"])
    assert "the AUC per image is 1" in said(table, score=table["score"] + table["label"])
    assert "are scores reversed" in said(table, score=1 - table["score"])
    assert "percentages? divide them by 100" in said(table, score=100 * table["score"])
    assert "grades of a reader, as BI-RADS' are?" in said(table, score=1 + np.round(4 * table["score"]))
    assert "a score of 0 to 10, or percentages?" in said(table, score=10 * table["score"])
    assert "percentages? divide them by 100" in said(table, score=np.round(100 * table["score"]))
    assert "not probabilities" in said(table, score=table["score"] - 2)
    assert "scores are 0.5, so they rank nothing" in said(table, score=0.5)
    assert "take two values, 0 and 1, as calls do" in said(table, score=(table["score"] > 0.5).astype(float))
    metrics = compute_metrics(table, resampling=Resampling(2), threshold=25.0)
    assert any("the threshold 25.000 calls nothing positive" in note for note in score_notes(table, metrics))


@pytest.mark.parametrize(
    ("label", "score", "says"),
    [
        ("malignant", "0.2", r"label 'malignant' is not 0 or 1. Write 1 for positive .* 'malignant' \(1\), '0' \(1\)"),
        ("1", "66,23%", "Write 0.6623 for '66,23%'"),
        ("1", "66 %", "Write 0.66 for '66 %'"),
        ("1", '"0,66"', "Write 0.66 for '0,66'"),
        ("1", "nan", "score 'nan' is not a finite number"),
        ("1", "-inf", "score '-inf' is not a finite number"),
        ("2", "0.1", "label '2' is not 0 or 1"),
    ],
)
def test_cells_that_are_no_numbers_say_what_to_write(label: str, score: str, says: str, tmp_path: Path) -> None:
    score = f'"{score}"' if "," in score and '"' not in score else score
    (tmp_path / "p.csv").write_text(f"label,score\n{label},{score}\n0,0.5\n")
    with pytest.raises(MammoError, match=says):
        read_predictions(tmp_path / "p.csv")


def test_booleans_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("label,score\nTRUE,0.2\nfalse,0.1\n True ,0.3\n0,0.3\n1.0,0.4\n")
    assert read_predictions(tmp_path / "p.csv")["label"].tolist() == [1, 0, 1, 0, 1]


def test_a_rate_of_none_or_all_has_an_exact_interval_over_patients() -> None:
    """0 of 4 positives: 1 - 0.025^(1/4) = 0.602 at most, whatever the number of their images."""
    patients = np.repeat(np.arange(20), 2)
    labels = (patients < 4).astype(int)
    found = rate_numbers(labels, np.zeros(40), 0.5, patients, FEW)
    assert found["sensitivity"]["value"] == 0
    assert (found["sensitivity"]["low"], found["sensitivity"]["high"]) == pytest.approx((0, 1 - 0.025**0.25))
    assert "Clopper and Pearson's, of 4 independent patients" in found["sensitivity"]["how"]
    assert found["specificity"]["low"] == pytest.approx(0.025 ** (1 / 16))
    assert found["recall_rate"]["high"] == pytest.approx(clopper_pearson(0, 20).high)
    alone = rate_numbers(np.array([1, 1, 0, 0]), np.array([0.9, 0.1, 0.9, 0.1]), 0.5, np.zeros(4), FEW)
    assert alone["sensitivity"]["low"] is None, "one patient has no interval"
    assert "every resample gives the same" in alone["sensitivity"]["why"]


def test_an_auc_of_one_has_an_interval(metrics_table: pd.DataFrame) -> None:
    z = stats.norm.ppf(0.975)
    assert separated_auc_low(1, 1) == pytest.approx(1 / (1 + z**2))
    low = separated_auc_low(12, 30)
    assert 1 - low == pytest.approx(z * auc_variance(low, 12, 30) ** 0.5)
    for turned in (1, -1):
        table = metrics_table.assign(score=turned * metrics_table["label"] + 0.01 * metrics_table["score"])
        numbers = compute_metrics(table, resampling=FEW)["test"]["image"]
        ends = (numbers["auc"]["low"], numbers["auc"]["high"])
        assert ends == pytest.approx(
            (separated_auc_low(20, 40), 1) if turned == 1 else (0, 1 - separated_auc_low(20, 40))
        )
        assert numbers["auc_delong"]["low"] is None


def test_rates_at_a_stated_prevalence() -> None:
    """Sensitivity 0.8, specificity 0.9, five in a thousand: 0.004 true and 0.0995 false alarms."""
    counts = [np.array(float(count)) for count in (8, 9, 81, 2)]
    found = {rate.name: float(rate.of(*counts)) for rate in rates_elsewhere(0.005)}
    assert found["recall_rate_at_stated_prevalence"] == pytest.approx(0.1035)
    assert found["ppv_at_stated_prevalence"] == pytest.approx(0.004 / 0.1035)
    assert found["npv_at_stated_prevalence"] == pytest.approx(0.8955 / 0.8965)
    with pytest.raises(MammoError, match="a prevalence of 1 does not exist"):
        rates_elsewhere(1)


def test_few_patients_give_no_verdict(metrics_table: pd.DataFrame) -> None:
    test = metrics_table[metrics_table["split"] == "test"]
    few = test[test["patient_id"].isin([f"p{number}" for number in (20, 22, 24, 26, *range(21, 60, 2))])]
    better = few.assign(score=few["score"] + few["label"])
    number = compare(few, better, resampling=FEW)["test"]["image"]["auc_difference"]
    assert number["rarer_class"] == 4
    assert "the rarer class has 4 patients" in number["caution"]
    assert number["p_least"] == pytest.approx(2 / 51, abs=2e-3)
    whole = compare(test, test.assign(score=test["score"] + test["label"]), resampling=FEW)["test"]["image"]
    assert "caution" not in whole["auc_difference"]
    same = compare(test, test, resampling=FEW)["test"]["image"]["auc_difference"]
    assert (same["value"], same["low"]) == (0, None)


def test_what_was_chosen_on_the_same_cases_says_so(metrics_table: pd.DataFrame) -> None:
    metrics = compute_metrics(metrics_table, resampling=FEW, calibration="platt")
    for name in ("sensitivity", "ppv", "recall_rate", "brier_calibrated"):
        assert "here: too good" in metrics["validation"]["image"][name]["caution"]
        assert "caution" not in metrics["test"]["image"][name]
    assert "caution" not in metrics["validation"]["image"]["prevalence"]
    given = compute_metrics(metrics_table, resampling=FEW, threshold=0.5)
    assert "caution" not in given["validation"]["image"]["sensitivity"]
    test = metrics_table[metrics_table["split"] == "test"]
    called = test.loc[test["label"] == 1, "score"] >= 0.5
    assert given["test"]["image"]["sensitivity"]["value"] == pytest.approx(called.mean())
    with pytest.raises(MammoError, match="not a finite number"):
        compute_metrics(metrics_table, threshold=float("nan"))


def test_a_second_table_of_other_patients_is_refused_or_told(metrics_table: pd.DataFrame) -> None:
    renamed = metrics_table.assign(patient_id="hash " + metrics_table["patient_id"])
    assert compare(metrics_table, renamed, resampling=Resampling(2))
    shifted = metrics_table.assign(patient_id=np.roll(metrics_table["patient_id"], 4))
    with pytest.raises(MammoError, match="has the patient 'p0' in one table and 'p59' in the other"):
        compare(metrics_table, shifted, resampling=Resampling(2))
    turned = metrics_table.replace({"split": {"test": "validation", "validation": "test"}})
    with pytest.raises(MammoError, match="has the split 'validation' in one table"):
        compare(metrics_table, turned, resampling=Resampling(2))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"laterality": ["left", "right", "left", "left"] * 60}, "'i1' has the side 'L' in one table and 'R'"),
        ({"laterality": ["R", "R", "L", "L"] * 60}, "has the side 'L' in one table and 'R' in the other"),
        ({"laterality": ["L", "L", "R", "L", *["L", "L", "R", "R"] * 59]}, "'i3' has the side 'R' in one table"),
        ({"view": ["MLO", "CC"] * 120}, "has the view 'CC' in one table and 'MLO' in the other"),
        ({"exam_id": ["other", *["1"] * 239]}, "'i0' has the exam '1' in one table and 'other' in the other"),
        ({"exam_id": [f"e{number // 3}" for number in range(240)]}, "'i0' has the exam '1' in one table and 'e0'"),
    ],
)
def test_another_side_view_or_exam_of_an_image_is_refused(
    changed: dict[str, list[str]], told: str, metrics_table: pd.DataFrame
) -> None:
    table = metrics_table.assign(exam_id="1", view=["CC", "MLO"] * 120)
    with pytest.raises(MammoError, match=told) as caught:
        compare(table, table.assign(**changed), resampling=Resampling(2))
    codes = {"laterality": "sides_differ", "view": "views_differ", "exam_id": "exams_differ"}
    assert caught.value.code == codes[next(iter(changed))]
    with pytest.raises(MammoError, match=f"gives images another {next(iter(changed))}"):
        ensemble_predictions([table, table.assign(**changed)])


def test_other_words_for_sides_and_exams_are_taken(metrics_table: pd.DataFrame) -> None:
    table = metrics_table.assign(exam_id="1", view=["CC", "MLO"] * 120)
    for told in (["left", "left", "right", "right"], ["l", "Left", "R", "RIGHT"], ["gauche", "gauche", "d", "d"]):
        assert compare(table, table.assign(laterality=told * 60), resampling=Resampling(2))
    words = {"laterality": ["L", "", "", "R"] * 60, "view": ""}
    hashed = {"exam_id": [f"e{number // 4}" for number in range(240)], "patient_id": "hash " + table["patient_id"]}
    assert compare(table, table.assign(**words, **hashed), resampling=Resampling(2))

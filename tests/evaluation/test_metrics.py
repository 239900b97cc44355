"""Predictions to metrics: levels, thresholds fixed on validation, comparisons, anyone's files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import (
    OperatingRule,
    Resampling,
    at_level,
    auc,
    bootstrap,
    compare,
    compute_metrics,
    delong_paired,
    make_predictions,
    read_predictions,
    write_predictions,
)
from mammo_tf.study import make_manifest


def _table(patients: int = 60, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows, labels, scores = [], [], []
    for patient in range(patients):
        for side in "LR":
            sick = side == "L" and patient % 2 == 0
            for view in ("CC", "MLO"):
                rows.append(
                    {
                        "image_id": f"{patient}{side}{view}",
                        "patient_id": f"p{patient}",
                        "laterality": side,
                        "view": view,
                        "split": "validation" if patient < patients // 3 else "test",
                        "label": "normal",
                        "path": "x",
                    }  # fmt: skip
                )
                labels.append(int(sick))
                scores.append(1 / (1 + np.exp(-generator.normal(1.5 if sick else 0.0))))
    return make_predictions(make_manifest(rows), labels, scores)


def test_writing_and_reading_keep_the_scores(tmp_path: Path) -> None:
    table = _table()
    table["score"] = table["score"].astype(np.float32).astype(np.float64)
    write_predictions(table, tmp_path / "predictions.csv")
    back = read_predictions(tmp_path / "predictions.csv")
    assert (back["score"].astype(np.float32) == table["score"].astype(np.float32)).all()
    assert back["label"].tolist() == table["label"].tolist()


def test_levels_and_missing_views() -> None:
    table = _table(2).iloc[:-1]
    breasts, patients = at_level(table, "breast"), at_level(table, "patient")
    assert breasts is not None
    assert patients is not None
    assert len(breasts) == 4
    assert len(patients) == 2
    first = table[(table["patient_id"] == "p0") & (table["laterality"] == "L")]
    assert breasts["score"].iloc[0] == pytest.approx(first["score"].mean())
    assert patients["score"].iloc[1] == breasts[breasts["patient_id"] == "p1"]["score"].max()
    assert patients["label"].tolist() == [1, 0]
    assert at_level(table.assign(laterality=""), "breast") is None


def test_the_threshold_is_fixed_on_validation() -> None:
    table = _table()
    metrics = compute_metrics(table, resampling=Resampling(50))
    assert set(metrics) == {"validation", "test"}
    for level in ("image", "breast", "patient"):
        threshold = metrics["validation"][level]["threshold"]["value"]
        assert metrics["test"][level]["threshold"]["value"] == threshold
        cases = at_level(table, level)
        assert cases is not None
        test = cases[cases["split"] == "test"]
        called = test["score"] >= threshold
        assert metrics["test"][level]["sensitivity"]["value"] == pytest.approx(called[test["label"] == 1].mean())
        assert metrics["test"][level]["specificity"]["value"] == pytest.approx(1 - called[test["label"] == 0].mean())
        assert metrics["test"][level]["accuracy"]["value"] == pytest.approx((called == test["label"]).mean())
        number = metrics["test"][level]["auc"]
        assert number["value"] == pytest.approx(auc(test["label"], test["score"]))
        assert number["low"] < number["value"] < number["high"]
        assert "over 40 patients" in number["how"]
    json.dumps(metrics.to_json(), allow_nan=False)


def test_one_class_has_no_number_and_says_why() -> None:
    table = _table()
    table.loc[table["split"] == "validation", "label"] = 0
    metrics = compute_metrics(table, resampling=Resampling(20))
    number = metrics["validation"]["image"]["auc"]
    assert number["value"] is None
    assert "all 80 cases are negative" in number["why"]
    assert metrics["test"]["image"]["threshold"]["value"] is None
    assert "sensitivity" not in metrics["test"]["image"]


def test_scores_that_rank_everything_backwards_have_no_threshold() -> None:
    table = _table()
    metrics = compute_metrics(table.assign(score=1.0 - table["label"]), resampling=Resampling(20))
    number = metrics["test"]["image"]["threshold"]
    assert number["value"] is None
    assert "better than calling nothing positive" in number["why"]
    assert metrics["test"]["image"]["auc"]["value"] == 0.0
    json.dumps(metrics.to_json(), allow_nan=False)


def test_paired_comparison() -> None:
    first = _table()
    second = first.assign(score=first["score"] + 0.3 * first["label"])
    found = compare(first, second.sample(frac=1, random_state=0), resampling=Resampling(200))["test"]["image"]
    test = first["split"] == "test"
    expected = delong_paired(first["label"][test], second["score"][test], first["score"][test])
    assert found["auc_difference"]["value"] == pytest.approx(expected.difference)
    assert found["auc_difference"]["low"] > 0
    assert found["auc_difference_delong"]["p"] == pytest.approx(expected.p)


def test_one_level_is_compared_as_with_all() -> None:
    first = _table()
    second = first.assign(score=first["score"] + 0.3 * first["label"])
    every, one = (compare(first, second, resampling=Resampling(50), levels=which) for which in (None, ("breast",)))
    assert {split: list(levels) for split, levels in one.items()} == {split: ["breast"] for split in every}
    assert all(one[split]["breast"] == every[split]["breast"] for split in every)


def test_a_comparison_of_different_cases_is_refused() -> None:
    first = _table()
    with pytest.raises(MammoError, match="have no image_id in common"):
        compare(first, first.assign(image_id=first["image_id"] + "x"))
    with pytest.raises(MammoError, match="different labels"):
        compare(first, first.assign(label=1 - first["label"]))
    with pytest.raises(MammoError, match="more than one row"):
        compare(first, first.assign(image_id="a"))
    with pytest.raises(MammoError, match="no column 'case'"):
        compare(first, first, join="case")


def test_anyones_columns(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("id,woman,cancer,p\n1,a,1,0.9\n2,a,0,0.2\n3,b,0,1e-3\n")
    table = read_predictions(
        tmp_path / "other.csv", {"label": "cancer", "score": "p", "patient": "woman", "image": "id"}
    )
    assert table["patient_id"].tolist() == ["a", "a", "b"]
    assert set(table["split"]) == {"test"}
    metrics = compute_metrics(table, resampling=Resampling(20))
    assert metrics["test"]["image"]["auc"]["value"] == 1.0
    assert "breast" not in metrics["test"]
    assert metrics["test"]["patient"]["auc"]["n"] == 2


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a,b\n1,2\n", {}, "has no column 'label'"),
        ("label,score\n1,2\n", {"label": "cancer"}, "has no column 'cancer'"),
        ("label,score\n1,2\n", {"colour": "label"}, "names 'colour'"),
        ("label,score\n2,0.1\n", {}, "row 2: label '2' is not 0 or 1"),
        ("label,score\n1,\n", {}, "row 2: score '' is not a finite number"),
        ("", {}, "has no rows"),
        ("label;score\n1;0,2\n", {}, "another separator than the comma"),
        ("patient_id,label,score\na,1,1,04\n", {}, "row 2: 4 fields, the header has 3"),
        ("label,label,score\n1,0,0.2\n", {}, "the column 'label' twice"),
        ("patient_id,label,score\na,1,0.2\n\n,0,0.1\n", {}, "row 4: patient_id is empty, and not everywhere"),
        ("patient_id,label,score\na,1,0.2\nNaN,0,0.1\n", {}, "row 3: patient_id 'NaN' is what programs write"),
        ("pair_id,label,score\na,1,0.2\n nan ,0,0.1\n", {}, "row 3: pair_id 'nan' is what programs write"),
        ("patient_id,label,score\na,1,0.2\n\nb,7,0.1\n", {}, "row 4: label '7' is not 0 or 1"),
    ],
)
def test_bad_files_are_told(text: str, columns: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text(text)
    with pytest.raises(MammoError, match=message):
        read_predictions(tmp_path / "file.csv", columns)


def test_quick_intervals_equal_the_plain_bootstrap() -> None:
    table = _table()
    test = table[table["split"] == "test"]
    metrics = compute_metrics(table, resampling=Resampling(200, 4))["test"]["image"]
    threshold = metrics["threshold"]["value"]
    labels, scores, patients = test["label"], test["score"], test["patient_id"]

    def sensitivity(truth: np.ndarray, values: np.ndarray) -> float:
        return float(np.mean(values[truth == 1] >= threshold))

    for name, statistic in (("auc", auc), ("sensitivity", sensitivity)):
        plain = bootstrap(statistic, labels, scores, patients, 200, seed=4)
        assert metrics[name]["value"] == pytest.approx(plain.value)
        assert (metrics[name]["low"], metrics[name]["high"]) == pytest.approx((plain.low, plain.high))
    other = scores + 0.1 * labels

    def difference(truth: np.ndarray, values: np.ndarray) -> float:
        return auc(truth, values[:, 1]) - auc(truth, values[:, 0])

    plain = bootstrap(difference, labels, np.column_stack([scores, other]), patients, 200, seed=4)
    found = compare(test, test.assign(score=other), resampling=Resampling(200, 4))["test"]["image"]["auc_difference"]
    assert (found["low"], found["high"]) == pytest.approx((plain.low, plain.high))


def test_columns_are_read_from_the_file_as_it_is(tmp_path: Path) -> None:
    """`label` is the score in this file: the order of the options must not matter."""
    (tmp_path / "file.csv").write_text("cancer,label,patient\n1,0.2,a\n0,0.7,b\n")
    for columns in ({"label": "cancer", "score": "label"}, {"score": "label", "label": "cancer"}):
        table = read_predictions(tmp_path / "file.csv", columns)
        assert table["label"].tolist() == [1, 0]
        assert table["score"].tolist() == [0.2, 0.7]


def test_rows_without_identifiers_are_not_compared_by_their_place(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("label,score\n1,0.2\n0,0.7\n")
    table = read_predictions(tmp_path / "file.csv")
    with pytest.raises(MammoError, match="no column 'image_id' to join by"):
        compare(table, table)
    (tmp_path / "twice.csv").write_text("image_id,label,score\na,1,0.2\na,0,0.7\n")
    with pytest.raises(MammoError, match="image_id 'a' stands there twice"):
        read_predictions(tmp_path / "twice.csv")


def test_a_threshold_chosen_on_test_is_refused() -> None:
    with pytest.raises(MammoError) as caught:
        compute_metrics(_table(), threshold_split="test")
    assert caught.value.code == "threshold_on_test"


def test_rules_and_intervals_are_told_with_the_numbers() -> None:
    table = _table()
    plain = compute_metrics(table, resampling=Resampling(50))["test"]["image"]
    found = compute_metrics(
        table,
        resampling=Resampling(50, method="bca", stratified=True, also_cases=True),
        rule=OperatingRule("sensitivity", 1.0),
    )["test"]["image"]
    assert found["auc"]["value"] == plain["auc"]["value"]
    assert "within each class, 50 resamples, bca" in found["auc"]["how"]
    assert found["threshold"]["value"] < plain["threshold"]["value"]
    assert "sensitivity 1.0 or more" in found["threshold"]["how"]
    for name in ("auc", "sensitivity", "specificity", "accuracy"):
        beside = found[name]["cases_resampled"]
        assert beside["low"] < found[name]["value"] < beside["high"]
        assert "cases_resampled" not in plain[name]


def test_resampling_images_makes_intervals_too_short_where_views_agree() -> None:
    """Four images of a patient with one score hold no more than one image does."""
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(60), 4)
    labels = np.repeat(np.arange(60) % 2, 4)
    scores = np.repeat(np.arange(60) % 2 + generator.normal(0, 1.5, 60), 4)
    table = make_predictions(
        make_manifest(
            [
                {"image_id": str(row), "patient_id": str(who), "split": "test", "label": "normal", "path": "x"}
                for row, who in enumerate(patients)
            ]
        ),
        labels,
        scores,
    )
    number = compute_metrics(table, resampling=Resampling(400, also_cases=True))["test"]["image"]["auc"]
    beside = number["cases_resampled"]
    assert (number["high"] - number["low"]) > 1.6 * (beside["high"] - beside["low"])


def test_noisy_or_of_views() -> None:
    table = _table(4)
    cases = at_level(table, "breast", {"breast": "noisy_or"})
    assert cases is not None
    views = table[(table["patient_id"] == "p1") & (table["laterality"] == "R")]["score"]
    found = cases[cases["case_id"] == f"p1 {table['exam_id'].iloc[0]} R"]["score"].iloc[0]
    assert found == pytest.approx(1 - (1 - views).prod())
    with pytest.raises(MammoError, match="probabilities"):
        at_level(table.assign(score=2.0), "breast", {"breast": "noisy_or"})


def test_brier_and_calibration_error_before_and_after() -> None:
    table = _table(200)
    table["score"] = table["score"] ** 5  # ranks as before, probabilities far off
    numbers = compute_metrics(table, resampling=Resampling(50), calibration="platt")["test"]["image"]
    test = table[table["split"] == "test"]
    assert numbers["brier"]["value"] == pytest.approx(((test["label"] - test["score"]) ** 2).mean())
    assert numbers["brier"]["low"] < numbers["brier"]["value"] < numbers["brier"]["high"]
    assert numbers["ece_calibrated"]["value"] < numbers["ece"]["value"]
    assert numbers["brier_calibrated"]["value"] < numbers["brier"]["value"]
    assert "platt on validation" in numbers["ece_calibrated"]["how"]
    logits = compute_metrics(table.assign(score=table["score"] - 5), resampling=Resampling(20))["test"]["image"]
    assert "brier" not in logits
    table.loc[table["split"] == "validation", "label"] = 0
    without = compute_metrics(table, resampling=Resampling(20), calibration="isotonic")["test"]["image"]
    assert without["ece_calibrated"]["value"] is None
    assert "negative" in without["ece_calibrated"]["why"]
    with pytest.raises(MammoError, match="'beta' is unknown"):
        compute_metrics(_table(), calibration="beta")

"""Subgroups: the numbers are those of the part by itself, at the threshold of all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, auc, compute_metrics, make_predictions, subgroup_metrics
from mammo_tf.evaluation.subgroups import banded
from mammo_tf.study import Finding, findings_to_json, make_manifest

FEW = Resampling(50)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    generator = np.random.default_rng(1)
    rows, labels = [], []
    for patient in range(90):
        sick = patient % 3 == 0
        for side in "LR":
            positive = sick and side == "L"
            size = 5 + patient % 25
            finding = Finding("mass" if patient % 2 else "calcification", "malignant", box=(10, 10, 10 + size, 12))
            for view in ("CC", "MLO"):
                rows.append(
                    {
                        "image_id": f"{patient}{side}{view}",
                        "patient_id": f"p{patient}",
                        "laterality": side,
                        "view": view,
                        "split": "validation" if patient < 30 else "test",
                        "label": "malignant" if positive else "normal",
                        "density": "ABCD"[patient % 4],
                        "manufacturer": "" if patient == 40 else "one",
                        "age": str(40 + patient % 40),
                        "spacing_row_mm": "1",
                        "spacing_column_mm": "1",
                        "findings": findings_to_json([finding] if positive else []),
                        "path": "x",
                    }
                )
                labels.append(int(positive))
    scores = 1 / (1 + np.exp(-generator.normal(np.array(labels) * 1.5, 1)))
    return make_predictions(make_manifest(rows), labels, scores)


def test_a_part_is_what_it_is_by_itself(table: pd.DataFrame) -> None:
    whole = compute_metrics(table, resampling=FEW)
    found = subgroup_metrics(table, "density", "image", resampling=FEW)
    assert list(found["test"]) == ["A", "B", "C", "D"]
    for density, numbers in found["test"].items():
        part = table[(table["split"] == "test") & (table["density"] == density)]
        assert numbers["auc"]["value"] == auc(part["label"], part["score"])
        assert numbers["auc"]["n"] == len(part)
        assert numbers["threshold"]["value"] == whole["test"]["image"]["threshold"]["value"]


def test_lesions_are_set_against_all_negatives(table: pd.DataFrame) -> None:
    found = subgroup_metrics(table, "finding_kind", "breast", resampling=FEW)["test"]
    assert list(found) == ["calcification", "mass"]
    negatives = 60 * 2 - 20
    assert found["mass"]["auc"]["n"] + found["calcification"]["auc"]["n"] == 2 * negatives + 20
    sizes = subgroup_metrics(table, "finding_size_mm", "breast", resampling=FEW)["test"]
    assert list(sizes) == ["under 10 mm", "10-19 mm", "20 mm and over"]


def test_a_breast_takes_the_value_of_its_positive_view(table: pd.DataFrame) -> None:
    changed = table.assign(note=np.where((table["view"] == "MLO") & (table["label"] == 1), "seen", "not"))
    changed["label"] = np.where(changed["view"] == "CC", 0, changed["label"])
    found = subgroup_metrics(changed, "note", "breast", resampling=FEW)["test"]
    assert found["seen"]["auc"]["value"] is None  # positive breasts only, and it says so
    assert "positive" in found["seen"]["auc"]["why"]


def test_bands_and_unknown() -> None:
    ages = banded(pd.Series(["49", "50", "59.5", "70", "", "x"]), "age")
    assert ages.tolist() == ["under 50", "50-59", "50-59", "70 and over", "unknown", "unknown"]
    assert banded(pd.Series(["061Y", "049Y"]), "age").tolist() == ["60-69", "under 50"]
    assert banded(pd.Series(["GE", " "]), "manufacturer").tolist() == ["GE", "unknown"]


def test_bad_input(table: pd.DataFrame) -> None:
    with pytest.raises(MammoError, match="no column 'vendor'"):
        subgroup_metrics(table, "vendor")
    with pytest.raises(MammoError, match="chosen on the test split"):
        subgroup_metrics(table, "density", threshold_split="test")
    with pytest.raises(MammoError, match="no breasts"):
        subgroup_metrics(table.drop(columns=["laterality"]), "density")

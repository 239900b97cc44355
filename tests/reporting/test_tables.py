"""Tables and sentences: what is shown, and what is said of an interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mammo_tf.evaluation import auc, bootstrap, read_predictions
from mammo_tf.evaluation.number_text import REPORT_DIFFERENCE
from mammo_tf.reporting import Report
from mammo_tf.reporting.tables import answer, cell, subgroups


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.01, 0.2, "lies above zero"), (-0.2, -0.01, "became worse"), (-0.1, 0.2, "has not been shown")],
)
def test_answer_says_what_the_interval_allows(low: float, high: float, said: str) -> None:
    number = {"value": (low + high) / 2, "low": low, "high": high, "n": 12, "how": ""}
    assert said in answer("A against B", "image", {"auc_difference": number})
    assert "12 images" in answer("A against B", "image", {"auc_difference": number})


def test_too_few_patients_get_no_verdict() -> None:
    number = {"value": 0.1, "low": 0.01, "high": 0.2, "n": 12, "how": "", "caution": "the rarer class has 4 patients"}
    said = answer("A against B", "image", {"auc_difference": number})
    assert said.endswith("No verdict: the rarer class has 4 patients.")
    assert "lies above" not in said


def test_answer_without_a_number_says_why() -> None:
    assert "all negative" in answer("A", "breast", {"auc_difference": {"value": None, "why": "all negative"}})
    alone = {"value": 0.1, "low": None, "high": None, "n": 4}
    assert "without an interval" in answer("A", "breast", {"auc_difference": alone})


def test_cells() -> None:
    assert cell({"value": 0.71249, "low": 0.5, "high": 0.9}).text == "0.712"
    assert cell({"value": -0.05, "low": -0.1, "high": 0.01}, form=REPORT_DIFFERENCE).interval == "−0.100 to +0.010"
    assert cell({"value": None, "why": "one class"}).why == "one class"
    assert cell(None).value is None


def test_subgroups_equal_the_bootstrap(run: Report) -> None:
    table = read_predictions(run.entries[0].predictions)
    density, manufacturer, view = subgroups({"M": table})
    assert density.values == ("A", "B", "C", "D")
    assert len(manufacturer.values) == 3
    part = table[table["view"] == "CC"]
    found, n, positives = view.rows["M"][0]
    drawn = bootstrap(auc, part["label"], part["score"], part["patient_id"], replicates=1000)
    assert (n, positives) == (len(part), part["label"].sum())
    assert found.value == drawn.value
    assert found.interval == f"{drawn.low:.3f}–{drawn.high:.3f}"


def test_subgroups_of_one_class_and_of_many_values(run: Report) -> None:
    table = read_predictions(run.entries[0].predictions)
    many = table.assign(manufacturer=[f"m{row % 20}" for row in range(len(table))], density="", view="CC")
    (only,) = subgroups({"M": many})
    assert (len(only.values), only.left_out) == (12, 8)
    table["density"] = ["A" if label else "B" for label in table["label"]]
    assert [found.why for found, _, _ in subgroups({"M": table})[0].rows["M"]] == ["one class only"] * 2
    assert subgroups({"M": table.drop(columns=["density", "manufacturer", "view"])}) == ()
    assert subgroups({}) == ()


def test_ages_in_bands_and_lesions_against_all_negatives() -> None:
    labels = np.arange(60) % 3 == 0
    table = pd.DataFrame(
        {
            "patient_id": np.arange(60).astype(str),
            "label": labels.astype(int),
            "score": np.linspace(0, 1, 60),
            "age": [str(45 + row) if row % 7 else "" for row in range(60)],
            "finding_kind": np.where(labels, np.where(np.arange(60) % 2, "mass", "calcification"), ""),
        }
    )
    found = {group.title: group for group in subgroups({"M": table})}
    assert found["Age"].values == ("under 50", "50-59", "60-69", "70 and over")
    kinds = found["Kind of finding, against all negative images"]
    assert kinds.values == ("calcification", "mass")
    assert [row[1:] for row in kinds.rows["M"]] == [(50, 10), (50, 10)]

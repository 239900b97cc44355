"""`metrics.json` as a type, and a number as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, compute_metrics, read_metrics
from mammo_tf.evaluation.number_text import (
    DIFFERENCE,
    LEGEND,
    REPORT_DIFFERENCE,
    SIX_DIGITS,
    TABLE,
    TABLE_DIFFERENCE,
    ends_text,
    number_line,
    number_text,
    p_text,
    threshold_text,
    value_text,
)
from mammo_tf.files import write_json

NUMBER: dict[str, Any] = {"value": 0.7124, "low": 0.64, "high": 0.7844, "n": 9, "how": "a way"}
NONE: dict[str, Any] = {"value": None, "low": None, "high": None, "n": 9, "how": "a way", "why": "one class"}
SPLITS: dict[str, Any] = {"test": {"image": {"auc": NUMBER}, "patient": {"auc": NONE}}}


def test_the_file_is_a_mapping_of_splits_and_says_what_was_put_together(tmp_path: Path) -> None:
    metrics = Metrics(SPLITS, {"breast": "noisy_or", "patient": "mean"})
    write_json(tmp_path / "metrics.json", metrics.to_json())
    back = read_metrics(tmp_path / "metrics.json")
    assert back == metrics
    assert (list(back), len(back), "aggregates" in back) == (["test"], 1, False)
    assert back["test"]["image"]["auc"]["value"] == 0.7124
    assert not Metrics()


def test_files_of_earlier_versions_took_the_defaults(tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", SPLITS)
    assert read_metrics(tmp_path / "metrics.json").aggregates == {"breast": "mean", "patient": "maximum"}


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        ([], "is not a group of splits"),
        ({"test": 3}, "a split that does not hold levels"),
        ({"test": {"woman": {}}}, "has the level 'woman'"),
        ({"test": {"image": {"auc": 0.7}}}, "has 'auc' without a value"),
        ({"aggregates": "mean"}, "has the aggregates 'mean'"),
        ({"aggregates": {"breast": "median"}}, "'median' is unknown"),
    ],
)
def test_what_is_not_metrics_is_refused_in_a_line(stored: Any, says: str, tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", stored)
    with pytest.raises(MammoError, match=says):
        read_metrics(tmp_path / "metrics.json")


def test_no_split_is_called_like_a_key_beside_the_splits(metrics_table: Any) -> None:
    with pytest.raises(MammoError, match="a split is called 'aggregates'") as caught:
        compute_metrics(metrics_table.assign(split="aggregates"))
    assert caught.value.code == "split_wrong"


def test_number_text() -> None:
    assert number_text(NUMBER) == "0.712 (0.640 to 0.784)"
    assert number_text(NUMBER, LEGEND) == "0.712 (0.640–0.784)"
    assert number_text({**NUMBER, "low": None}) == "0.712", "an interval has two ends or none"
    assert (number_text(NONE), number_text(NONE, LEGEND), number_text(NONE, TABLE)) == ("- (one class)", "none", "-")
    assert number_text(None) == ""
    beside = {**NUMBER, "cases_resampled": {"low": 0.66, "high": 0.75}}
    assert number_text(beside, TABLE) == "0.712 (0.640 to 0.784) [0.660 to 0.750]"
    assert number_text(beside) == "0.712 (0.640 to 0.784)"
    below = {"value": -0.1, "low": -0.2, "high": 0.05}
    assert number_text(below, DIFFERENCE) == number_text(below, TABLE_DIFFERENCE) == "-0.100 (-0.200 to +0.050)"
    assert ends_text(below, REPORT_DIFFERENCE) == "−0.200 to +0.050"


def test_a_line_says_n_tests_and_why_there_is_no_interval() -> None:
    assert number_line(NUMBER) == "0.712 (0.640 to 0.784), n 9"
    assert number_line(NONE) == "- (one class)"
    beside = {**NUMBER, "cases_resampled": {"low": 0.66, "high": 0.75}, "p": 0.03456, "q": 0.069}
    assert number_line(beside) == (
        "0.712 (0.640 to 0.784) [images resampled: 0.660 to 0.750], n 9, p 0.0346, q 0.069"
    )  # fmt: skip
    thin = {**NUMBER, "low": None, "high": None, "why": "no interval: 30% of the resamples have no value"}
    assert number_line(thin) == "0.712 (no interval: 30% of the resamples have no value), n 9"


def test_signs() -> None:
    values = (0.0721, -0.0721, 0.0001, -0.0001)
    assert [value_text(value, REPORT_DIFFERENCE) for value in values] == ["+0.072", "−0.072", "0.000", "0.000"]
    assert [value_text(value) for value in values] == ["0.072", "-0.072", "0.000", "0.000"]
    assert [value_text(value, DIFFERENCE) for value in values] == ["+0.072", "-0.072", "+0.000", "-0.000"]


@pytest.mark.parametrize(("p", "text"), [(None, "—"), (0.0004, "< 0.001"), (0.0341, "0.034"), (1.0, "1.000")])
def test_p(p: float | None, text: str) -> None:
    assert p_text(p) == text


def test_the_floor_of_p_is_told_and_a_caution_stands_behind_the_number() -> None:
    assert p_text(0.0198, 2 / 101) == "≤ 0.020"
    floor = {**NUMBER, "p": 2 / 101, "p_least": 2 / 101, "caution": "few"}
    assert number_line(floor) == (
        "0.712 (0.640 to 0.784) (few), n 9, p 0.0198, the least that so many resamples can give"
    )  # fmt: skip
    beside = {**NUMBER, "cases_resampled": {"low": 0.66, "high": 0.75}}
    assert "[breasts resampled: 0.660 to 0.750]" in number_line(beside, "breasts")
    assert "resampled" not in number_line(beside, "patients")
    assert number_text({"value": 0.7527942, "low": 0.6412, "high": 0.8634}, SIX_DIGITS) == "0.752794 (0.641 to 0.863)"


@pytest.mark.parametrize(
    ("threshold", "text"),
    [
        (0.5, "0.500"), (0.50012, "0.50012"), (0.99997, "0.99997"), (0.9999999871, "0.9999999871"), (1.0, "1.000"),
        (float(np.float32(0.3)), "0.300"), (0.25341239, "0.2534123"), (25.0, "25.000"), (-1.5, "-1.500"),
        (0.0, "0.000"), (3.2e-6, "0.0000032"),
    ],
)  # fmt: skip
def test_a_threshold_has_the_digits_that_it_needs(threshold: float, text: str) -> None:
    assert threshold_text(threshold) == text


@given(st.floats(-50, 50).filter(lambda value: abs(value) > 1e-6))
def test_a_shown_threshold_calls_its_own_case(threshold: float) -> None:
    shown = float(threshold_text(threshold))
    assert shown <= threshold
    assert threshold - shown <= 1e-6 * abs(threshold)

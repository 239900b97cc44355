"""Intervals of shares and McNemar's test against the golden answers, and sample sizes against simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import auc, delong
from mammo_tf.evaluation.proportions import (
    auc_variance,
    clopper_pearson,
    mcnemar,
    patients_in_all,
    sample_for_auc,
    sample_for_share,
    wilson,
)

ANSWERS = json.loads((Path(__file__).parents[1] / "golden" / "statistics" / "statistics.json").read_text())


def test_wilson_and_clopper_pearson() -> None:
    for case in ANSWERS["proportions"]:
        assert list(wilson(case["k"], case["n"])) == pytest.approx(case["wilson95"], abs=1e-9)
        assert list(clopper_pearson(case["k"], case["n"])) == pytest.approx(case["clopper_pearson95"], abs=1e-9)


def test_mcnemar() -> None:
    for case in ANSWERS["mcnemar"]:
        found = mcnemar(case["b"], case["c"])
        expected = (case["exact_p"], case["chi2_continuity"], case["chi2_plain"])
        assert tuple(found) == pytest.approx(expected, abs=1e-12)
    assert mcnemar(0, 0).p == 1.0


def test_hanley_and_mcneil_variance() -> None:
    for case in ANSWERS["roc_cases"].values():
        labels = np.array(case["y"])
        area = auc(labels, case["score_a"])
        found = auc_variance(area, int(labels.sum()), int((1 - labels).sum()))
        assert found == pytest.approx(case["hanley_mcneil_var_a"], abs=1e-12)


@given(st.floats(0.5, 0.99), st.floats(0.03, 0.5), st.floats(0.05, 0.95))
def test_the_fewest_patients_that_are_enough(area: float, width: float, prevalence: float) -> None:
    found = sample_for_auc(area, width, prevalence)
    assert found.width <= width
    assert found.positives + found.negatives == found.patients
    wider = sample_for_auc(area, width * 1.2, prevalence)
    assert wider.patients <= found.patients


def test_a_simulated_study_of_that_size_has_that_width() -> None:
    """Binormal scores of AUC 0.8: the mean width of DeLong's interval is the one asked for, within 10 %."""
    found = sample_for_auc(0.8, 0.12)
    generator = np.random.default_rng(0)
    labels = np.repeat([1, 0], [found.positives, found.negatives])
    apart = 2**0.5 * 0.8416212
    widths = []
    for _ in range(60):
        interval = delong(labels, generator.normal(0, 1, len(labels)) + apart * labels)
        widths.append(interval.high - interval.low)
    assert np.mean(widths) == pytest.approx(0.12, rel=0.1)


def test_sample_for_a_share() -> None:
    needed = sample_for_share(0.9, 0.1)
    ends = wilson(round(0.9 * needed), needed)
    assert ends.high - ends.low == pytest.approx(0.1, abs=0.003)
    assert sample_for_share(0.9, 0.05) > needed


def test_studies_that_are_none() -> None:
    for wrong in ((1.0, 0.1), (0.4, 0.1), (0.8, 0.0), (0.8, 1.0)):
        with pytest.raises(MammoError) as caught:
            sample_for_auc(*wrong)
        assert caught.value.code == "sample_wrong"
    with pytest.raises(MammoError, match="3 of 2"):
        wilson(3, 2)


def test_patients_in_all() -> None:
    assert patients_in_all(3, 0.3) == 10
    assert patients_in_all(1, 1 - 0.9) == 10
    assert patients_in_all(141, 0.3) == 470
    for part in (0, 1, 1.5, -0.5, float("nan")):
        with pytest.raises(MammoError, match="does not lie between 0 and 1"):
            patients_in_all(3, part)
    for width, prevalence in ((1e-200, 0.5), (0.1, 1e-320)):
        with pytest.raises(MammoError, match="do not make a study"):
            sample_for_auc(0.8, width, prevalence)

"""Scores are those that the metrics were made of, aggregates included."""

from __future__ import annotations

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, Resampling, auc, compute_metrics, read_predictions
from mammo_tf.reporting import Report, scores_at


@pytest.mark.parametrize("breast", ["mean", "maximum", "noisy_or"])
@pytest.mark.parametrize("patient", ["mean", "maximum", "noisy_or"])
def test_aggregates_are_those_of_the_metrics(run: Report, breast: str, patient: str) -> None:
    table = read_predictions(run.entries[0].predictions)
    metrics = compute_metrics(table, aggregates={"breast": breast, "patient": patient}, resampling=Resampling(10))
    for level in ("image", "breast", "patient"):
        scores = scores_at("M", table, metrics, "test", level)
        assert scores is not None
        assert auc(scores.labels, scores.scores) == pytest.approx(metrics["test"][level]["auc"]["value"], abs=1e-12)
        assert scores.disagreement() == ""
        swapped = scores_at("M", table.assign(score=1 - table["score"]), metrics, "test", level)
        assert swapped is not None
        assert "the predictions give" in swapped.disagreement()
        fewer = scores_at("M", table[table["patient_id"] != "p2"], metrics, "test", level)
        assert fewer is not None
        assert "counts" in fewer.disagreement()


def test_split_that_is_not_there(run: Report) -> None:
    table = read_predictions(run.entries[0].predictions)
    with pytest.raises(MammoError) as caught:
        scores_at("M", table, Metrics({"test": {}}), "holdout", "image")
    assert caught.value.code == "split_missing"
    assert "test" in caught.value.remedy
    assert scores_at("M", table, Metrics({"test": {}}), "test", "breast") is None

"""Ensembles: each rule once by hand, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import auc, ensemble_predictions


def table(scores: list[float], order: list[int] | None = None) -> pd.DataFrame:
    found = pd.DataFrame(
        {
            "image_id": [str(number) for number in range(len(scores))],
            "patient_id": [str(number) for number in range(len(scores))],
            "split": ["validation", "validation", "test", "test"],
            "label": [0, 1, 0, 1],
            "score": scores,
        }
    )
    return found if order is None else found.iloc[order]


ONE, OTHER = table([0.1, 0.9, 0.2, 0.5]), table([0.3, 0.5, 0.6, 0.7], [3, 1, 0, 2])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("mean", [0.2, 0.7, 0.4, 0.6]),
        ("maximum", [0.3, 0.9, 0.6, 0.7]),
        ("mean_logit", [expit((logit(a) + logit(b)) / 2) for a, b in ((0.1, 0.3), (0.9, 0.5), (0.2, 0.6), (0.5, 0.7))]),
        ("mean_rank", [0.5, 1.0, 0.75, 0.75]),
    ],
)
def test_each_rule(rule: str, expected: list[float]) -> None:
    found = ensemble_predictions([ONE, OTHER], rule)
    assert found["image_id"].tolist() == ONE["image_id"].tolist()
    np.testing.assert_allclose(found["score"], expected)


def test_independent_models_together_are_better() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 400)
    base = pd.DataFrame({"image_id": np.arange(400).astype(str), "split": "test", "label": labels})
    models = [base.assign(score=expit(labels + generator.normal(0, 1.5, 400))) for _ in range(5)]
    single = [auc(labels, model["score"]) for model in models]
    for rule in ("mean", "mean_logit", "mean_rank"):
        assert auc(labels, ensemble_predictions(models, rule)["score"]) > max(single) + 0.03


def test_bad_input() -> None:
    with pytest.raises(MammoError, match="'vote' is unknown"):
        ensemble_predictions([ONE, OTHER], "vote")
    with pytest.raises(MammoError, match="not an ensemble"):
        ensemble_predictions([ONE])
    with pytest.raises(MammoError, match=r"other images than table 1 \(3 and 4\)"):
        ensemble_predictions([ONE, OTHER.iloc[:3]])
    with pytest.raises(MammoError, match="other labels"):
        ensemble_predictions([ONE, OTHER.assign(label=0)])
    with pytest.raises(MammoError, match="probabilities"):
        ensemble_predictions([ONE, OTHER.assign(score=3.0)], "mean_logit")
    with pytest.raises(MammoError, match="not unique"):
        ensemble_predictions([ONE, pd.concat([OTHER, OTHER])])


def test_a_probability_of_one_model_is_not_that_of_all() -> None:
    first = table([0.1, 0.9, 0.2, 0.8]).assign(probability=0.123)
    assert "probability" not in ensemble_predictions([first, table([0.3, 0.7, 0.4, 0.6])])
    for name in ("split", "patient_id"):
        other = table([0.3, 0.7, 0.4, 0.6]).assign(**{name: "elsewhere"})
        with pytest.raises(MammoError, match=f"another {name}"):
            ensemble_predictions([first, other])

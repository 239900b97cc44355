"""Benjamini and Hochberg: known answers, and what must hold for any p-values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Metrics, adjusted, benjamini_hochberg

PS = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_by_hand() -> None:
    """m = 4: 0.01 x 4, 0.03 x 2, 0.04 x 4/3, 0.5; the second is no more than the third."""
    np.testing.assert_allclose(benjamini_hochberg([0.04, 0.01, 0.5, 0.03]), [0.16 / 3, 0.04, 0.5, 0.16 / 3])


def test_the_answers_of_the_paper() -> None:
    """Benjamini and Hochberg 1995, section 3.1: 15 p-values, four of them called at a rate of 0.05."""
    ps = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
          0.7590, 1.0]  # fmt: skip
    assert (benjamini_hochberg(ps) <= 0.05).sum() == 4


@given(PS, st.randoms())
def test_laws(ps: list[float], random: object) -> None:
    q = benjamini_hochberg(ps)
    assert (q >= np.array(ps)).all()
    assert (q <= 1).all()
    order = np.argsort(ps, kind="stable")
    assert (np.diff(q[order]) >= 0).all(), "who has the smaller p has no larger q"
    shuffled = list(range(len(ps)))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(benjamini_hochberg(np.array(ps)[shuffled]), q[shuffled])
    assert q.max() == pytest.approx(max(ps)), "the largest p stays what it is"


def test_what_is_no_test_is_not_counted() -> None:
    np.testing.assert_allclose(benjamini_hochberg([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert benjamini_hochberg([]).shape == (0,)
    for wrong in ([1.5], [-0.1], [[0.1]]):
        with pytest.raises(MammoError, match="from 0 to 1"):
            benjamini_hochberg(wrong)


def test_comparisons_get_q_level_by_level() -> None:
    def comparison(image: float, patient: float | None) -> Metrics:
        number = {"value": 0.1, "low": 0.0, "high": 0.2, "n": 9, "how": ""}
        levels = {"image": {"auc_difference": {**number, "p": image}}, "patient": {"auc_difference": number}}
        if patient is not None:
            levels["patient"] = {"auc_difference": {**number, "p": patient}}
        return Metrics({"test": levels})  # type: ignore[dict-item]

    found = adjusted({"a": comparison(0.01, 0.02), "b": comparison(0.04, None)})
    assert found["a"]["test"]["image"]["auc_difference"]["q"] == pytest.approx(0.02)
    assert found["b"]["test"]["image"]["auc_difference"]["q"] == pytest.approx(0.04)
    assert found["a"]["test"]["patient"]["auc_difference"]["q"] == 0.02
    assert "q" not in found["b"]["test"]["patient"]["auc_difference"]
    alone = {"a": comparison(0.01, 0.02)}
    assert adjusted(alone) == alone

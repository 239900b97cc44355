"""The reliability diagram says what `evaluation.reliability` finds."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import reliability
from mammo_tf.reporting.palette import svg_text
from mammo_tf.reporting.reliability import reliability_figure


def test_points_and_errors_of_both_series() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.random(200)
    labels = (generator.random(200) < probabilities**2).astype(int)
    found = reliability(labels, probabilities)
    text = svg_text(reliability_figure(labels, {"as it is": probabilities, "squared": probabilities**2}))
    assert f"as it is  ECE {found.ece:.3f}" in text
    assert f"squared  ECE {reliability(labels, probabilities**2).ece:.3f}" in text
    first = f"predicted {found.predicted[0]:.2f}, observed {found.observed[0]:.2f}, {found.counts[0]} cases"
    assert f"<title>as it is: {first}</title>" in text


def test_one_class_and_nothing() -> None:
    assert "ECE 0.500" in svg_text(reliability_figure([0, 0], {"a": [0.4, 0.6]}))
    with pytest.raises(MammoError, match="needs probabilities"):
        reliability_figure([0, 1], {})
    with pytest.raises(MammoError, match="outside 0 to 1"):
        reliability_figure([0, 1], {"a": [0.4, 6.0]})

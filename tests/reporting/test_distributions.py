"""The figure of distributions says what share of each sample reaches the threshold."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reporting.distributions import distributions_figure
from mammo_tf.reporting.palette import svg_text


def test_every_sample_of_every_machine_is_told() -> None:
    scores = np.linspace(0, 1, 1001)
    panels = {
        "$\\frac$ by $A$": {"reference": scores, "matched": scores},
        "another": {"reference": scores, "matched": scores**2},
    }
    text = svg_text(distributions_figure(panels, 0.81))
    assert text.count("<title>reference: 19.1% of 1001 scores reach the threshold</title>") == 2
    assert "<title>matched: 10.1% of 1001 scores reach the threshold</title>" in text
    assert "$\\frac$ by $A$" in text
    assert text.count(">threshold 0.810<") == 1
    assert "threshold" not in svg_text(distributions_figure(panels))


def test_nothing_to_draw() -> None:
    for panels in ({}, {"a": {"reference": []}}):
        with pytest.raises(MammoError, match="need scores"):
            distributions_figure(panels)

"""The figure of a shift: what is drawn, and names that Matplotlib would take for formulae."""

from __future__ import annotations

import numpy as np
import pytest

from mammo_tf.reporting.palette import svg_text
from mammo_tf.reporting.shift_figure import shift_figure


@pytest.mark.parametrize("mixed", [True, False])
def test_the_site_is_drawn_beside_what_may_explain_it(mixed: bool) -> None:
    score = np.linspace(0, 1, 50)
    mixture = 0.3 * score**0.2 + 0.7 * score if mixed else None
    figure = shift_figure(score, score, score**0.5, mixture, ("a$b$.csv", "site_b.csv"), 0.3)
    upper, lower = figure.axes
    assert [len(axes.lines) for axes in (upper, lower)] == ([3, 3] if mixed else [2, 2])
    np.testing.assert_allclose(lower.lines[0].get_ydata(), score**0.5 - score)
    if mixed:
        np.testing.assert_allclose(lower.lines[1].get_ydata(), score**0.5 - mixture)
        text = svg_text(figure)
        assert ">nearest mixture of a$b$.csv, 30.0% positive</text>" in text
        assert ">site_b.csv minus each of the others</text>" in text

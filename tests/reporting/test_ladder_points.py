"""Operating points: who shares one, what was intended, numbers that do not cover each other, limits of both figures."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from mammo_tf.reporting.ladder_points import point_limits, points_figure
from mammo_tf.reporting.ladder_rows import ladder_rows, places_text
from mammo_tf.reporting.palette import svg_text

sys.path.insert(0, str(Path(__file__).parents[1]))
from ladder_example import INTENDED, make_ladder  # noqa: E402 - it lies above this file

TOLERANCE = 0.055


@pytest.mark.parametrize(
    ("which", "labels"),
    [("at_carried", {"1–4", "5", "6", "8", "9", "10", "11", "12", "13", "14"}),
     ("at_own", {str(place) for place in (*range(1, 7), *range(8, 15))})],
)  # fmt: skip
def test_rungs_of_one_point_share_it(which: str, labels: set[str]) -> None:
    rows = ladder_rows(make_ladder())
    limits = point_limits(rows, INTENDED, TOLERANCE)
    assert limits is not None
    figure = points_figure(rows, which, limits, INTENDED, TOLERANCE)
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == labels
    points = [line for line in axes.lines if line.get_marker() in "osD"]
    assert len(points) == len(labels)
    chosen = rows[5].test[which]
    assert [chosen["specificity"]["value"]] in [list(line.get_xdata()) for line in points]  # type: ignore[arg-type]
    assert [chosen["specificity"]["low"], chosen["specificity"]["high"]] in [
        list(line.get_xdata())
        for line in axes.lines  # type: ignore[arg-type]
    ], "the interval of the choice is drawn"
    assert "sensitivity 0.832, specificity 0.814, each within 0.055" in svg_text(figure)


def test_the_box_is_what_is_tolerated_and_lies_within_the_limits() -> None:
    rows = ladder_rows(make_ladder())
    limits = point_limits(rows, INTENDED, TOLERANCE)
    assert limits is not None
    (axes,) = points_figure(rows, "at_own", limits, INTENDED, TOLERANCE).axes
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    for box in boxes:
        assert box.get_x() == pytest.approx(0.8143 - TOLERANCE)  # specificity lies along x
        assert box.get_y() + box.get_height() == pytest.approx(0.8317 + TOLERANCE)
        assert box.get_width() == box.get_height() == pytest.approx(2 * TOLERANCE)
        assert limits[0][0] < box.get_x() and box.get_x() + box.get_width() < limits[0][1]
    assert boxes
    assert np.diff(limits)[0] == pytest.approx(np.diff(limits)[1])
    (axes,) = points_figure(rows, "at_own", limits, None, TOLERANCE).axes
    assert not axes.patches


def test_numbers_of_points_that_lie_close_do_not_cover_each_other() -> None:
    rows = ladder_rows(make_ladder())
    limits = point_limits(rows, INTENDED, TOLERANCE)
    assert limits is not None
    figure = points_figure(rows, "at_own", limits, INTENDED, TOLERANCE)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent().shrunk(0.8, 0.6) for text in figure.axes[0].texts]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_without_a_point_there_are_no_limits() -> None:
    ladder = make_ladder()
    for rung in ladder["rungs"]:
        if not rung["why_not"]:
            rung["test"] |= {"at_carried": None, "at_own": None}
    assert point_limits(ladder_rows(ladder), INTENDED, TOLERANCE) is None


def test_numbers_in_a_row_are_a_range() -> None:
    assert places_text([3, 1, 2, 7]) == "1–3, 7"
    assert places_text([1, 2, 9]) == "1, 2, 9"

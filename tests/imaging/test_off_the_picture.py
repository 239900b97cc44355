"""Side and view read off the picture: the conventions, what is not clear, and that nothing else is questioned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.imaging.breast import segment
from mammo_tf.imaging.off_the_picture import (
    CC_TO,
    MLO_FROM,
    OTHER_SIDE,
    OTHER_VIEW,
    Seen,
    question_lines,
    questions,
    seen,
)

ROWS, COLUMNS = 300, 220


def cc() -> np.ndarray:
    """A breast with its chest wall at the left, pointed and dark above and below."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    radius = np.abs(y - 150) / 120 + (x / 140) ** 2
    return np.where(radius < 1, 0.02 + 0.6 * (1 - np.minimum(radius, 1)) ** 1.3, 0).astype(np.float32)


def mlo() -> np.ndarray:
    """The same, with an axilla up to the picture's edge and a bright muscle in its corner."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    picture = np.maximum(cc(), np.where((y < 160) & (x < 100), np.float32(0.2), 0))
    return np.maximum(picture, np.where(x / 90 + y / 170 < 1, np.float32(0.6), 0))


@pytest.mark.parametrize(("picture", "view"), [(cc(), "CC"), (mlo(), "MLO")])
@pytest.mark.parametrize("laterality", ["L", "R"])
def test_side_and_view_are_seen(picture: np.ndarray, view: str, laterality: str) -> None:
    turned = picture if laterality == "L" else np.ascontiguousarray(picture[:, ::-1])
    for pixels in (turned, np.rint(turned * 255).astype(np.uint8), np.rint(turned * 65535).astype(np.uint16)):
        found = seen(pixels, segment(pixels))
        assert (found.laterality, found.view) == (laterality, view)
    assert (found.score > MLO_FROM) == (view == "MLO")
    assert (found.score < CC_TO) == (view == "CC")


@given(st.integers(1, 4), st.sampled_from([0, 1]))
@settings(max_examples=8, deadline=None)
def test_the_size_does_not_matter(factor: int, which: int) -> None:
    picture = np.kron((cc(), mlo())[which], np.ones((factor, factor), np.float32))
    found = seen(picture, segment(picture))
    assert (found.laterality, found.view) == ("L", ("CC", "MLO")[which])


def test_what_is_not_clear_is_not_told() -> None:
    nothing = np.zeros((50, 40), np.float32)
    assert seen(nothing, segment(nothing)) == Seen()
    y, x = np.mgrid[:200, :200]
    middle = ((y - 100) ** 2 + (x - 100) ** 2 < 80**2).astype(np.float32)
    assert seen(middle, segment(middle)).laterality == ""
    assert questions(Seen(), "R", "MLO") == ()


@given(
    st.sampled_from(["", "L", "R"]),
    st.sampled_from(["", "CC", "MLO"]),
    st.sampled_from(["", "L", "R"]),
    st.sampled_from(["", "CC", "MLO", "ML", "XCCL"]),
)
def test_only_what_both_tell_is_questioned(side: str, view: str, laterality: str, told: str) -> None:
    asked = questions(Seen(side, view, 0.0), laterality, told)
    assert (OTHER_SIDE in asked) == (bool(side) and bool(laterality) and side != laterality)
    assert (OTHER_VIEW in asked) == (bool(view) and told in ("CC", "MLO") and view != told)


def test_all_pictures_have_a_line() -> None:
    assert question_lines([(), ("another",)]) == []
    one, two = question_lines([(OTHER_SIDE,), (OTHER_SIDE, OTHER_VIEW)])
    assert one.startswith("2 pictures do not hang as their laterality says")
    assert two.startswith("1 picture looks like MLO where CC is told")

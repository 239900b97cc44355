"""Overlays: outlines lie on the edges of masks, the near view shows findings, many fit the page, bad files are told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.reporting import Overlay, Report, near_window, outlines, overlay_figure, render_report
from mammo_tf.reporting.overlays import LARGEST_SHARE, MOST_CORNERS, NEAREST, Outline, fitting_overlays


def filled(parts: tuple[Outline, ...], size: tuple[int, int], finer: int = 16) -> NDArray[np.bool_]:
    """Which centres of pixels lie inside an odd number of outlines."""
    drawn = np.zeros((size[0] * finer, size[1] * finer), np.int64)
    for one in parts:
        inside = np.zeros(drawn.shape, np.uint8)
        cv2.fillPoly(inside, [np.rint(np.array(one) * finer - 0.5).astype(np.int32)], 1)
        drawn += inside
    return drawn[finer // 2 :: finer, finer // 2 :: finer] % 2 == 1


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    pixels = np.random.default_rng(0).integers(0, 255, (500, 400)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "whole.png"), pixels)
    cv2.imwrite(str(tmp_path / "near.png"), pixels[300:400, 200:280])
    square = ((210.0, 310.0), (210.0, 320.0), (220.0, 320.0), (220.0, 310.0))
    window = (200, 300, 280, 400)
    return Overlay(
        tmp_path / "whole.png", (500, 400), (square,), (), tmp_path / "near.png", window, "A <b>", "Dice 0.50"
    )


@settings(max_examples=40, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.booleans()))
def test_outlines_enclose_the_mask_and_nothing_else(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(filled(outlines(mask), mask.shape), mask)  # type: ignore[arg-type]


def test_one_pixel_is_outlined_at_its_place() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[7, 12] = True
    (corners,) = outlines(mask)
    x, y = np.array(corners).T
    assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx((12, 13, 7, 8), abs=0.25)


def test_a_mask_in_thousands_of_places_is_outlined_coarser() -> None:
    mask = np.zeros((301, 201), np.bool_)
    mask[::3, ::3] = True
    found = outlines(mask)
    assert 0 < sum(map(len, found)) <= MOST_CORNERS
    corners = np.concatenate([np.array(one) for one in found])
    assert (corners >= 0).all()
    assert (corners <= [201, 301]).all()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_near_window_has_the_shape_of_the_picture_and_holds_the_mask(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(100, 600)), data.draw(st.integers(100, 600))
    top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    bottom, right = data.draw(st.integers(top + 1, rows)), data.draw(st.integers(left + 1, columns))
    mask = np.zeros((rows, columns), np.bool_)
    mask[top:bottom, left:right] = True
    window = near_window(mask)
    if window is None:
        largest = max((bottom - top) / rows, (right - left) / columns, NEAREST / min(rows, columns))
        assert largest > LARGEST_SHARE / 2, "a small finding has a near view"
        return
    x0, y0, x1, y1 = window
    assert 0 <= x0 <= left
    assert right <= x1 <= columns
    assert 0 <= y0 <= top
    assert bottom <= y1 <= rows
    assert (y1 - y0) / rows == pytest.approx((x1 - x0) / columns, abs=1 / min(rows, columns))


def test_no_mask_has_no_outline_and_no_window() -> None:
    nothing = np.zeros((90, 80), np.bool_)
    assert outlines(nothing) == ()
    assert near_window(nothing) is None


def test_both_views_carry_the_outlines_and_the_words(overlay: Overlay) -> None:
    root = ElementTree.fromstring(overlay_figure(overlay, "one"))
    assert root.get("aria-label") == "A <b>. Dice 0.50"
    whole, near = root.iter("image")
    assert (whole.get("width"), whole.get("height")) == ("400", "500")
    assert (near.get("x"), near.get("y"), near.get("width"), near.get("height")) == ("200", "300", "80", "100")
    assert root.find("svg").get("viewBox") == "200 300 80 100"  # type: ignore[union-attr]
    assert [path.get("class") for path in root.iter("path")] == ["halo", "true"]
    alone = dataclasses.replace(overlay, near=None, window=None)
    assert 'class="example single overlay" viewBox="0 0 400 500"' in overlay_figure(alone)


def test_many_overlays_fit_the_page_and_the_best_is_not_dropped(overlay: Overlay) -> None:
    many = [dataclasses.replace(overlay, title=str(place)) for place in range(7)]
    one = len(overlay_figure(overlay, "overlay-0", 120))
    smaller = fitting_overlays(many, 7 * one)
    assert len(smaller) == 7, "pictures get smaller before they are left out"
    fewer = fitting_overlays(many, 3 * one)
    assert [shown.title for shown, _ in fewer] == ["0", "3", "6"]
    assert sum(len(figure) for _, figure in fewer) <= 3 * one
    assert fitting_overlays(many, 10) == []


def test_the_report_says_what_it_leaves_out(overlay: Overlay, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report("t", "l", overlays=(overlay,) * 3)
    assert render_report(report).count('class="example overlay"') == 3
    monkeypatch.setattr("mammo_tf.reporting.report.OVERLAYS_BUDGET", 10)
    text = render_report(report)
    assert 'class="example overlay"' not in text
    assert "3 more are left out" in text


@pytest.mark.parametrize("name", ["picture", "near"])
def test_pictures_that_are_gone_or_broken_are_told(overlay: Overlay, name: str, tmp_path: Path) -> None:
    with pytest.raises(MammoError) as caught:
        overlay_figure(dataclasses.replace(overlay, **{name: tmp_path / "none.png"}))
    assert caught.value.code == "file_missing"
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(MammoError) as broken:
        overlay_figure(dataclasses.replace(overlay, **{name: tmp_path / "bad.png"}))
    assert broken.value.code == "picture_broken"

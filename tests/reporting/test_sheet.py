import cv2
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reporting.sheet import SheetPicture, thumbnail, write_sheet
from mammo_tf.study import Reject


def picture(number, **more):
    drawn = np.zeros((288, 224), np.float32)
    cv2.ellipse(drawn, (0, 144), (60 + number * 5, 120), 0, 0, 360, 0.5, -1)
    return SheetPicture(thumbnail(drawn), "L CC", f"film_{number}.png", **more)


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_COLOR)


def test_a_thumbnail_keeps_aspect_and_white():
    small = thumbnail(np.ones((1000, 500)), rows=100)
    assert small.shape == (100, 50)
    assert small.dtype == np.uint8
    assert small.min() == 255
    assert thumbnail(np.full((10, 20), 0.5)).shape == (10, 20)
    assert thumbnail(np.zeros((2, 3000)), rows=100).shape == (1, 100)


def test_pages_and_what_an_earlier_sheet_left(tmp_path):
    pages = write_sheet(tmp_path / "sheet.png", [picture(number % 9, score=0.4) for number in range(50)], "many")
    assert [page.name for page in pages] == ["sheet.png", "sheet-2.png", "sheet-3.png"]
    heights = [read(page).shape[0] for page in pages]
    assert heights[0] == heights[1] > heights[2]
    write_sheet(tmp_path / "sheet.png", [picture(0)], "one")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_the_same_bytes_each_time(tmp_path):
    for name in ("a.png", "b.png"):
        write_sheet(tmp_path / name, [picture(0, score=0.5)], "same", threshold=0.3)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def colours(tmp_path, **more):
    (page,) = write_sheet(tmp_path / "sheet.png", [picture(8, **more)], "colours", threshold=0.5)
    return read(page).astype(int)


def test_the_heat_map_is_a_contour_around_its_peak(tmp_path):
    peak = np.zeros((9, 7), np.float32)
    peak[5, 1] = 3.0
    with_map = np.argwhere(np.abs(colours(tmp_path, heatmap=peak) - colours(tmp_path)).sum(axis=2) > 60)
    # The picture is 2.3 inches high at 130 dots, under margin and heading; its width keeps the aspect.
    rows, columns = with_map.mean(axis=0)
    assert abs(rows - 130 * (0.15 + 0.35 + 2.3 * 5.5 / 9)) < 8
    assert abs(columns - 130 * (0.15 + 2.3 * 224 / 288 * 1.5 / 7)) < 8


def test_nothing_is_drawn_off_the_breast(tmp_path):
    off = np.zeros((9, 7), np.float32)
    off[0, 6] = off[8, 6] = 3.0
    np.testing.assert_array_equal(colours(tmp_path, heatmap=off), colours(tmp_path))


def test_captions_of_a_sheet_differ(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("mammo_tf.reporting.sheet._write", lambda figure, x, y, text, **style: written.append(text))
    names = [f"a_very_long_collection_name/patient_{number:03d}/view_of_the_left_breast.dcm" for number in range(12)]
    write_sheet(tmp_path / "s.png", [SheetPicture(picture(0).thumbnail, "L CC", name) for name in names], "twelve")
    shown = [text for text in written if "..." in text]
    assert len(set(shown)) == 12
    assert all(f"patient_{number:03d}" in text for number, text in enumerate(shown))


@pytest.mark.parametrize("heatmap", [np.full((1, 1), 2.0, np.float32), -np.ones((9, 7), np.float32)])
def test_a_map_that_says_nothing_is_not_drawn(tmp_path, heatmap):
    np.testing.assert_array_equal(colours(tmp_path, heatmap=heatmap), colours(tmp_path))


def test_refusals_alone_make_a_page(tmp_path):
    rejects = [Reject(f"deep/folder/{number}.dcm", "volume", "a volume of 4 frames") for number in range(60)]
    (page,) = write_sheet(
        tmp_path / "sheet.png", [], "nothing scored, $x^2", rejects, remark="All of them were refused"
    )
    drawn = read(page)
    assert drawn.shape[0] > 130 * 40 * 0.19
    assert (drawn < 128).any()


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(MammoError) as caught:
        write_sheet(tmp_path / "sheet.jpg", [], "")
    assert caught.value.code == "not_a_png"

"""Findings lie where they were seen: masks of the picture's own size, shapes that meet it, nothing too small."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom import dcmread

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.records import PreparedImage
from mammo_tf.records.prepare_image import prepare_image, reduced
from mammo_tf.study import Finding, Reject, findings_to_json

TRAITS = Path(__file__).parents[1] / "golden" / "dicom"
STEPS = Preprocessing.preset("legacy", (100, 60))
MASK = np.zeros((400, 240), np.uint8)
MASK[240:280, 80:120] = 255


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A picture of 400 x 240 pixels, and masks of it: right, smaller, larger, empty, as DICOM without a view."""
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "film.png"), rng.integers(20000, 60000, (400, 240), dtype=np.uint16))
    sizes = {"right": (240, 400), "smaller": (209, 348), "larger": (480, 800)}
    for name, size in sizes.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.resize(MASK, size, interpolation=cv2.INTER_NEAREST))
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros_like(MASK))
    file = dcmread(TRAITS / "traits" / "complete.dcm")
    for name in ("ViewPosition", "ViewCodeSequence", "ImageLaterality", "WindowCenter", "WindowWidth"):
        if name in file:
            delattr(file, name)
    file.Rows, file.Columns, file.PhotometricInterpretation = 400, 240, "MONOCHROME1"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 8, 8, 7, 0
    file.set_pixel_data(MASK, "MONOCHROME2", 8)
    file.save_as(tmp_path / "mask.dcm", enforce_file_format=True)
    return tmp_path


def _prepared(root: Path, finding: Finding) -> PreparedImage | Reject:
    return prepare_image({"path": "film.png", "findings": findings_to_json([finding])}, root, STEPS)


def _masks(root: Path, finding: Finding) -> np.ndarray:
    found = _prepared(root, finding)
    assert isinstance(found, PreparedImage)
    return found.finding_masks[0]


@pytest.mark.parametrize("shape", [{"mask": "right.png"}, {"mask": "mask.dcm"}, {"box": (80, 240, 120, 280)}])
def test_a_finding_lies_where_it_was_seen(shape: dict, root: Path) -> None:
    found = _masks(root, Finding("mass", "malignant", **shape))
    rows, columns = np.nonzero(found)
    assert (rows.mean(), columns.mean()) == pytest.approx((64.5, 24.5), abs=0.6)
    assert 100 <= rows.size <= 121, "a quarter of 40 pixels along each side"


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"mask": "smaller.png"}, "the mask smaller.png has 348 x 209 pixels, the picture 400 x 240"),
        ({"mask": "larger.png"}, "the mask larger.png has 800 x 480 pixels, the picture 400 x 240"),
        ({"mask": "empty.png"}, "the mask empty.png is 0 everywhere"),
        ({"mask": "film.png"}, "the mask film.png has "),
        ({"mask": "gone.png"}, "the mask gone.png"),
        ({"mask": "../right.png"}, "'../right.png' leaves the data root"),
        ({"box": (240, 10, 260, 20)}, "the box 240, 10, 260, 20 lies outside the picture of 400 x 240 pixels"),
        ({"circle": (-9, -9, 8)}, "the circle -9, -9, 8 lies outside"),
        ({"circle": (246, 406, 8)}, "the circle 246, 406, 8 lies outside"),
        ({"contour": ((230, 500), (300, 410), (300, 500))}, "the contour 230, 500, 300, 410, 300, 500 lies outside"),
    ],
)
def test_geometry_that_does_not_fit_is_refused(shape: dict, message: str, root: Path) -> None:
    found = _prepared(root, Finding("mass", "malignant", **shape))
    assert isinstance(found, Reject)
    assert found.path == "film.png"
    assert message in found.reason


def test_what_meets_the_picture_is_taken(root: Path) -> None:
    for shape in ({"box": (239, 399, 500, 500)}, {"circle": (-3, 4, 8)}, {"contour": ((-9, 0), (9, 0), (0, 9))}):
        assert _masks(root, Finding("mass", "benign", **shape)).any()
    assert not _masks(root, Finding("mass", "benign")).any()


@given(
    scale=st.floats(0.3, 5), offset=st.floats(0, 3), x=st.integers(0, 199), y=st.integers(0, 249),
    extent=st.integers(1, 4),
)  # fmt: skip
def test_nothing_is_too_small_to_survive(scale: float, offset: float, x: int, y: int, extent: int) -> None:
    """Every stored pixel of a speck sets the pixel of the small picture in which its centre lies, and no far one."""
    mask = np.zeros((250, 200), np.bool_)
    mask[y : y + extent, x : x + extent] = True
    size = (int(250 / scale) + 2, int(200 / scale) + 2)
    found = reduced(mask, size, np.array([[scale, 0, -offset], [0, scale, offset / 2]]))
    rows, columns = np.nonzero(found)
    exact = (x + offset) / scale, (y - offset / 2) / scale
    assume(all(abs(place % 1 - 0.5) > 1e-9 for place in exact))  # half-way between two pixels either may be set
    expected = np.rint(exact)
    if 0 <= expected[0] < size[1] and 0 <= expected[1] < size[0]:
        assert found[int(expected[1]), int(expected[0])]
    middle = x + (extent - 1) / 2, y + (extent - 1) / 2
    stored = columns * scale - offset, rows * scale + offset / 2
    for there, centre in zip(stored, middle, strict=True):
        assert (np.abs(there - centre) <= extent / 2 + scale / 2 + 1e-6).all()


def test_a_row_may_name_a_frame(tmp_path: Path) -> None:
    for name in ("shuffled.dcm", "single_frame.dcm"):
        shutil.copy(TRAITS / "dbt" / name, tmp_path / name)
    expected = list(reading.frames(tmp_path / "shuffled.dcm"))
    for number in (1, 2, len(expected)):
        picture = reading.read_row({"path": "shuffled.dcm", "frame": str(number)}, tmp_path)
        np.testing.assert_array_equal(picture.pixels, expected[number - 1])
    single = reading.read(tmp_path / "single_frame.dcm").pixels
    np.testing.assert_array_equal(reading.read_row({"path": "single_frame.dcm", "frame": "1"}, tmp_path).pixels, single)
    cv2.imwrite(str(tmp_path / "film.png"), np.eye(9, dtype=np.uint8))
    for path, frame, message in (
        ("shuffled.dcm", "99", f"frame 99 is asked for, and the file has {len(expected)}"),
        ("single_frame.dcm", "2", "frame 2 is asked for, and the file has 1"),
        ("film.png", "2", "frame 2 is asked for, and the file is one picture"),
    ):
        with pytest.raises(MammoError, match=message):
            reading.read_row({"path": path, "frame": frame}, tmp_path)

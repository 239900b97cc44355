"""Example pictures: layers, outlines in picture pixels, one scale for maps, bad files told."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reporting import Example, example_figure
from mammo_tf.study import Finding


def pictures_of(text: str) -> list[np.ndarray]:
    found = re.findall(r"base64,([^\"]+)", text)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_UNCHANGED) for one in found]


@pytest.fixture
def example(tmp_path: Path) -> Example:
    pixels = np.full((100, 60), 30000, np.uint16)
    pixels[:, 30:] = 0
    cv2.imwrite(str(tmp_path / "picture.png"), pixels)
    values = np.full((10, 6), -2.0, np.float32)
    values[2, 1] = 4.0
    np.save(tmp_path / "map.npy", values)
    finding = Finding("mass", "malignant", circle=(15.0, 25.0, 5.0))
    return Example(tmp_path / "picture.png", tmp_path / "map.npy", "A title", 0.5, (finding,))


def test_layers(example: Example) -> None:
    text = example_figure(example, "e")
    root = ElementTree.fromstring(text)
    grey, heat = pictures_of(text)
    assert grey.shape == (100, 60)
    assert grey.max() == 255
    assert (grey[:, 30:] == 0).all()
    row, column = np.unravel_index(heat[..., 3].argmax(), heat.shape[:2])
    assert abs((row + 0.5) / heat.shape[0] - 0.25) < 0.02
    assert abs((column + 0.5) / heat.shape[1] - 0.25) < 0.02
    assert (heat[heat.shape[0] // 2 :, :, 3] == 0).all(), "evidence against is not shown"
    box = next(rect for rect in root.iter("rect") if rect.get("class") == "finding")
    left, top = float(box.get("x", "")), float(box.get("y", ""))
    assert 8 < left <= 10
    assert 18 < top <= 20
    assert left + float(box.get("width", "")) >= 20
    assert root.get("aria-label") == "A title. malignant mass"


def test_nothing_glows_off_the_breast(tmp_path: Path) -> None:
    pixels = np.zeros((240, 180), np.uint16)
    cv2.ellipse(pixels, (0, 120), (100, 100), 0, 0, 360, 30000, -1)
    cv2.imwrite(str(tmp_path / "breast.png"), pixels)
    values = np.zeros((8, 6), np.float32)
    values[3, 1], values[0, 5], values[7, 5] = 1.0, 1.0, 0.8
    np.save(tmp_path / "map.npy", values)
    _, heat = pictures_of(example_figure(Example(tmp_path / "breast.png", tmp_path / "map.npy", "t", 0.5)))
    assert heat[36:48, 10:24, 3].max() > 150
    assert heat[..., 3][:, 50:].max() == 0


def test_maps_share_a_scale(example: Example) -> None:
    own, common = (pictures_of(example_figure(example, "e", strongest=top))[1][..., 3].max() for top in (None, 8.0))
    assert abs(int(own) - 2 * int(common)) < 12


def test_pictures_are_made_smaller(example: Example) -> None:
    assert pictures_of(example_figure(example, "e", rows=50))[0].shape == (50, 30)


def test_map_without_evidence_is_clear(example: Example) -> None:
    assert example.heatmap is not None
    np.save(example.heatmap, np.full((3, 3), -1.0, np.float32))
    assert pictures_of(example_figure(example))[1][..., 3].max() == 0


def test_bad_files_are_told(example: Example, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    np.save(tmp_path / "flat.npy", np.zeros(4, np.float32))
    np.save(tmp_path / "nan.npy", np.full((2, 2), np.nan, np.float32))
    np.save(tmp_path / "object.npy", np.array([[{}]], object), allow_pickle=True)
    (tmp_path / "empty.npy").write_bytes(b"")
    cases = [(tmp_path / "none.png", None, "file_missing"), (tmp_path / "text.png", None, "picture_broken")]
    cases += [
        (example.picture, tmp_path / f"{name}.npy", "heatmap_broken") for name in ("flat", "nan", "object", "empty")
    ]
    cases += [(example.picture, tmp_path / "none.npy", "file_missing")]
    for picture, heatmap, code in cases:
        with pytest.raises(MammoError) as caught:
            example_figure(Example(picture, heatmap, "t", None))
        assert caught.value.code == code

"""Shapes of the VGG Image Annotator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.reading.via_regions import read_regions
from mammo_tf.study import Finding


def _write(path: Path, *shapes: dict | str, name: str = "P1_L_DM_MLO .jpg") -> Path:
    rows = ["#filename,file_size,region_shape_attributes,region_attributes\n"]
    for shape in shapes:
        text = (shape if isinstance(shape, str) else json.dumps(shape)).replace('"', '""')
        rows.append(f'{name},1,"{text}","{{}}"\n')
    path.write_text("".join(rows))
    return path


def test_every_shape_lies_where_it_was_drawn(tmp_path: Path) -> None:
    shapes = read_regions(
        _write(
            tmp_path / "a.csv",
            {"name": "polygon", "all_points_x": [1, 9, 5], "all_points_y": [2, 2, 8]},
            {"name": "polyline", "all_points_x": [1.5, 3.5], "all_points_y": [2, 7]},
            {"name": "point", "cx": 4, "cy": 5},
            {"name": "circle", "cx": 4, "cy": 5, "r": 2.5},
            {"name": "rect", "x": 4, "y": 5, "width": 2, "height": 3},
            {"name": "ellipse", "cx": 50, "cy": 60, "rx": 20, "ry": 5, "theta": np.pi / 2},
            "{}",
        )
    )
    findings = [Finding("finding", "benign", **shape) for shape in shapes["p1_l_dm_mlo"]]
    assert findings[0].contour == ((1, 2), (9, 2), (5, 8))
    assert findings[1].box == (1, 2, 4, 8)
    assert findings[2].box == (4, 5, 5, 6)
    assert findings[3].circle == (4, 5, 2.5)
    assert findings[4].box == (4, 5, 6, 8)
    assert findings[5].bounds() == pytest.approx((45, 40, 55, 80))
    assert len(findings) == 6


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("{", "row 2: region_shape_attributes cannot be read"),
        ({"name": "polygon", "all_points_x": [1], "all_points_y": []}, "zip"),
        ({"name": "circle", "cx": 1, "cy": 2}, "'r'"),
        ({"name": "star"}, "the shape 'star' is unknown"),
        ('{"name": "point", "cx": NaN, "cy": 1}', "not a number"),
    ],
)
def test_a_region_that_cannot_be_read_is_one_line(shape: dict | str, message: str, tmp_path: Path) -> None:
    with pytest.raises(MammoError, match=message) as caught:
        read_regions(_write(tmp_path / "a.csv", shape))
    assert caught.value.code == "table_broken"

"""Two views of one volume."""

import numpy as np
import pytest

from mammo_tf.phantom.anatomy import DEPTH_VOXELS, PLANE_VOXELS, STRETCH, draw_woman
from mammo_tf.phantom.drawing import draw_lump
from mammo_tf.phantom.ink import Lump
from mammo_tf.phantom.projection import VIEWS, column_sums, make_outline, pectoral_edge, to_picture


def test_sums_along_the_beam_keep_what_is_there():
    volume = np.zeros((PLANE_VOXELS, PLANE_VOXELS, DEPTH_VOXELS), dtype=np.float32)
    volume[50:70, 60:90, 20:40] = 1
    for view in VIEWS:
        picture = column_sums(view) @ volume.reshape(-1, DEPTH_VOXELS)
        assert picture.sum() == pytest.approx(volume.sum(), rel=5e-3)  # sampled, not splatted


def test_slabs_add_up_to_the_whole():
    whole = column_sums("MLO").toarray()
    slabs = sum(column_sums("MLO", (low, low + 40.0)).toarray() for low in (-80.0, -40.0, 0.0, 40.0))
    assert np.abs(whole - slabs).max() < 1e-6


@pytest.mark.parametrize("view", VIEWS)
def test_a_place_of_the_volume_lands_where_points_land(view):
    point = np.array([40.0, 18.0, -12.0])  # x, y, z in mm
    volume = np.zeros((PLANE_VOXELS, PLANE_VOXELS, DEPTH_VOXELS), dtype=np.float32)
    middle = (PLANE_VOXELS - 1) / 2
    index = tuple(np.round([point[1] + middle, point[2] + middle, point[0] - 0.5]).astype(int))
    volume[index] = 1
    picture = column_sums(view) @ volume.reshape(-1, DEPTH_VOXELS)
    up = np.average(np.arange(PLANE_VOXELS), weights=picture.sum(axis=1))
    along = np.average(np.arange(DEPTH_VOXELS), weights=picture.sum(axis=0))
    column, row = to_picture(point, view)
    centre_row = to_picture(np.zeros(3), view)[1]
    assert (centre_row - row) / STRETCH == pytest.approx(up - middle, abs=1)
    assert column / STRETCH == pytest.approx(along + 0.5, abs=1)


def test_views_share_the_depth_of_a_place():
    point = np.array([33.0, 20.0, 10.0])
    cc, mlo = (to_picture(point, view) for view in VIEWS)
    assert cc[0] == mlo[0]
    # Seen straight from above the height over the table does not matter, in the oblique view it does.
    higher = point + [0, 0, 15]
    assert to_picture(higher, "CC") == pytest.approx(cc)
    assert to_picture(higher, "MLO")[1] < mlo[1]


def test_outlines_are_d_shaped():
    woman = draw_woman(np.random.default_rng(1), "B", 50)
    cc, mlo = (make_outline(woman, view, 0.6) for view in VIEWS)
    assert cc.thickness_mm.max() == pytest.approx(woman.thickness_cc_mm)
    assert not cc.muscle.any() and mlo.muscle.any()
    assert (cc.thickness_mm[:, 0] > 0).sum() * 0.6 == pytest.approx(2 * woman.half_width_mm, abs=2)
    widest = np.flatnonzero((cc.thickness_mm > 0).any(axis=0)).max() * 0.6
    assert woman.depth_mm < widest < woman.depth_mm + 8
    assert (cc.skin_mm >= -1e-5).all() and (cc.skin_mm <= cc.thickness_mm + 1e-5).all()
    assert (mlo.muscle[0] > 0).sum() * 0.6 == pytest.approx(pectoral_edge(woman, np.array(0.0)), abs=2)


def test_lumps_are_drawn_where_their_centre_projects():
    lump = Lump((40.0, 12.0, -8.0), (8.0, 6.0), 0.3, 4.0, np.zeros((6, 2)))
    for view in VIEWS:
        added = np.zeros((360, 280), dtype=np.float32)
        mask = draw_lump(added, lump, view, 0.6, np.random.default_rng(0))
        rows, columns = np.nonzero(mask)
        assert ((columns.mean() + 0.5) * 0.6, (rows.mean() + 0.5) * 0.6) == pytest.approx(
            tuple(to_picture(np.array(lump.position_mm), view)), abs=0.4
        )
        assert added.max() == pytest.approx(4.0, rel=0.02)
        assert mask.sum() * 0.36 == pytest.approx(np.pi * 48, rel=0.03)

"""A breast in layers: what a projection adds up, at its height over the detector."""

import numpy as np
import pytest

from mammo_tf.phantom import CONSPICUOUS, load_machine
from mammo_tf.phantom.compression import Compression
from mammo_tf.phantom.exam import Patient, StudyPlan, project_breasts, take_apart
from mammo_tf.phantom.layers import LAYER_MM
from mammo_tf.phantom.projection import VIEWS, make_outline

SPACING_MM = 0.8


@pytest.fixture(scope="module")
def plan():
    return StudyPlan(4, (load_machine("dbt"),), SPACING_MM, CONSPICUOUS)


@pytest.fixture(scope="module")
def patient():
    return Patient("p", 13, ("malignant", "normal"), 55, "B", "", "", "", (0,))


@pytest.fixture(scope="module")
def views(plan, patient):
    return project_breasts(plan, patient)


@pytest.mark.parametrize("view", VIEWS)
def test_layers_add_up_to_the_projection(plan, patient, views, view):
    seen = views["L", view]
    layers = take_apart(plan, patient, seen, "L", view)
    for name, tolerance in (("thickness_mm", 1e-4), ("gland_mm", 1e-4), ("calcium_mm", 5e-3)):
        parts = getattr(layers, name)
        assert parts.min() >= 0
        np.testing.assert_allclose(parts.sum(axis=0), getattr(seen.projection, name), atol=tolerance)
    assert layers.calcium_mm.sum() == pytest.approx(seen.projection.calcium_mm.sum(), rel=1e-5)
    assert (layers.gland_mm <= layers.thickness_mm + 1e-4).all()
    assert np.diff(layers.heights_mm) == pytest.approx(np.full(len(layers.heights_mm) - 1, 2 * layers.heights_mm[0]))
    assert 2 * layers.heights_mm[0] <= LAYER_MM
    total = seen.breast.woman.thickness_mm(view)
    assert layers.heights_mm[-1] + layers.heights_mm[0] == pytest.approx(total)
    assert all(0 < height < total for height in layers.findings_mm)
    assert len(layers.findings_mm) == len(seen.projection.findings) > 0


def test_layers_are_the_same_twice(plan, patient, views):
    first, second = (take_apart(plan, patient, views["R", "CC"], "R", "CC") for _ in range(2))
    np.testing.assert_array_equal(first.gland_mm, second.gland_mm)


def test_layers_differ_in_their_texture(plan, patient, views):
    """Neighbouring layers are alike in the large and differ in the small; layers far apart differ in both."""
    gland = take_apart(plan, patient, views["L", "CC"], "L", "CC").gland_mm
    middle = len(gland) // 2
    inside = gland[middle] > 0.05

    def alike(first, second):
        return np.corrcoef(gland[first][inside], gland[second][inside])[0, 1]

    assert alike(middle, middle + 1) > alike(middle, middle + 5)
    assert alike(middle, middle + 1) < 0.995


@pytest.mark.parametrize("view", VIEWS)
def test_points_higher_along_the_beam_lie_higher(views, view):
    breast = views["L", view].breast
    total = breast.woman.thickness_mm(view)
    compression = Compression(breast, view, make_outline(breast.woman, view, SPACING_MM), SPACING_MM)
    angle = 0.0 if view == "CC" else np.pi / 4
    beam = np.linspace(-60, 60, 25)
    points = np.stack([np.full(25, 25.0), -beam * np.sin(angle), beam * np.cos(angle)], axis=1)
    heights = compression.heights(points)
    assert (np.diff(heights) >= 0).all() and heights[0] == pytest.approx(0, abs=1.0)
    assert heights[-1] == pytest.approx(total, abs=1.0)
    assert heights[12] == pytest.approx(total / 2, abs=1.0)  # the nipple's axis is the middle

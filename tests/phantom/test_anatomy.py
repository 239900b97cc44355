"""The breast in three dimensions."""

import numpy as np
import pytest

from mammo_tf.phantom.anatomy import (
    DENSITY_CLASSES,
    DEPTH_VOXELS,
    PLANE_VOXELS,
    draw_woman,
    inside_points,
    make_breast,
    power_law_volume,
    skin_level,
)


def woman_of(density="B", seed=0):
    return draw_woman(np.random.default_rng(seed), density, 50)


def test_noise_is_a_power_law_of_exponent_three():
    noise = power_law_volume(np.random.default_rng(0))
    assert noise.dtype == np.float32 and noise.shape == (PLANE_VOXELS, PLANE_VOXELS, DEPTH_VOXELS)
    assert noise.std() == pytest.approx(1, abs=1e-4)
    power = np.abs(np.fft.fftn(noise)[..., : DEPTH_VOXELS // 2]) ** 2
    plane = np.fft.fftfreq(PLANE_VOXELS)
    depth = np.fft.fftfreq(DEPTH_VOXELS)[: DEPTH_VOXELS // 2]
    radius = np.sqrt(plane[:, None, None] ** 2 + plane[None, :, None] ** 2 + depth[None, None, :] ** 2)
    band = (radius > 0.03) & (radius < 0.4)
    slope = np.polyfit(np.log(radius[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-3, abs=0.05)


def test_a_breast_follows_its_seed():
    woman = woman_of()
    first, again, other = (make_breast(np.random.default_rng(seed), woman, "L") for seed in (1, 1, 2))
    assert np.array_equal(first.tissue, again.tissue) and np.array_equal(first.strands.points, again.strands.points)
    assert not np.array_equal(first.tissue, other.tissue)


def test_density_classes_hold_more_and_more_gland():
    shares = []
    for density in DENSITY_CLASSES:
        breast = make_breast(np.random.default_rng(3), woman_of(density, 3), "L")
        shares.append(float(breast.tissue.sum() / breast.inside.sum()))
        assert breast.tissue.min() >= 0 and breast.tissue.max() <= 1
    assert shares == sorted(shares) and shares[0] < 0.12 and shares[-1] > 0.25


def test_gland_lies_towards_the_nipple_and_not_under_the_skin():
    breasts = [make_breast(np.random.default_rng(seed), woman_of("B", seed), "L") for seed in range(4)]
    along = sum(breast.tissue.sum(axis=(0, 1)) / np.maximum(breast.inside.sum(axis=(0, 1)), 1) for breast in breasts)
    depth = int(min(breast.woman.depth_mm for breast in breasts) / 1.15)
    assert along[depth // 3 : 2 * depth // 3].mean() > 2 * along[: depth // 12].mean()
    for breast in breasts:
        assert breast.tissue[breast.inside < 1].max() < 1e-6


def test_women_stay_in_their_ranges():
    for seed in range(60):
        woman = woman_of("ABCD"[seed % 4], seed)
        assert 35 <= woman.thickness_cc_mm <= 70 and 35 <= woman.thickness_mlo_mm <= 70
        points = inside_points(np.random.default_rng(seed), woman, 50, 0.1, 0.9, 0.6)
        assert points.shape == (50, 3) and skin_level(woman, *points.T).max() < 0.6

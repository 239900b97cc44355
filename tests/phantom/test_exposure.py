"""The physics and the look of digital machines."""

from dataclasses import replace

import numpy as np
import pytest

from mammo_tf.phantom.drawing import Projection
from mammo_tf.phantom.exposure import expose, present
from mammo_tf.phantom.machine import load_machine

from .conftest import shown_pixels


def slab(gland_mm=20.0, spacing_mm=0.6):
    """Fat of 50 mm with a step of gland, 20 mm of it in the right half, over half of the field."""
    shape = (round(216 / spacing_mm), round(168 / spacing_mm))
    thickness = np.zeros(shape, dtype=np.float32)
    thickness[:, : shape[1] // 2] = 50
    gland = np.zeros(shape, dtype=np.float32)
    gland[:, shape[1] // 4 : shape[1] // 2] = gland_mm
    empty = np.zeros(shape, dtype=np.float32)
    return Projection(thickness, gland, empty, empty, spacing_mm, 50.0, ())


@pytest.fixture
def clean():
    """A machine without scatter, blur, noise and processing."""
    machine = load_machine("ffdm_site_1")
    detector = replace(
        machine.detector, scatter_to_primary=0.0, blur_mm=0.0, photons_per_mm2=1e8, grain=0.0, grain_mm=0.0
    )
    processing = replace(machine.processing, equalise=0.0, sharpen=0.0, local_contrast=0.0, denoise_mm=0.0)
    return replace(machine, detector=detector, processing=processing)


def log_step(machine, projection=None):
    signal = expose(projection or slab(), machine, np.random.default_rng(0))
    depth = -np.log(signal.quanta)
    columns = depth.shape[1]
    left, right = (slice(columns // 16, columns // 8), slice(5 * columns // 16, 7 * columns // 16))
    return float(depth[:, right].mean() - depth[:, left].mean()), float(depth[:, left].std())


def test_the_beam_follows_beer_and_lambert(clean):
    step, _ = log_step(clean)
    assert step == pytest.approx((clean.beam.gland_per_mm - clean.beam.fat_per_mm) * 20, rel=2e-3)


def test_scatter_takes_contrast_from_small_things(clean):
    strip = slab(gland_mm=0.0)
    strip.gland_mm[:, 60:70] = 10  # 6 mm wide, far narrower than the scatter spreads

    def contrast(scatter_to_primary):
        machine = replace(clean, detector=replace(clean.detector, scatter_to_primary=scatter_to_primary))
        depth = -np.log(expose(strip, machine, np.random.default_rng(0)).quanta[150:210])
        return depth[:, 62:68].mean() - depth[:, 54:58].mean()

    assert contrast(0.5) == pytest.approx(contrast(0.0) / 1.5, rel=0.1)


def test_noise_follows_the_dose(clean):
    noises = [
        log_step(replace(clean, detector=replace(clean.detector, photons_per_mm2=dose)))[1] for dose in (1e4, 4e4)
    ]
    assert noises[0] == pytest.approx(2 * noises[1], rel=0.05)
    photons = 1e4 * 0.36
    bright = (1 + np.exp(-0.52)) / 2  # the mean of the breast over the signal behind plain fat
    assert noises[0] == pytest.approx(np.sqrt(bright / photons), rel=0.1)


def test_blur_softens_edges(clean):
    def edge(blur_mm):
        machine = replace(clean, detector=replace(clean.detector, blur_mm=blur_mm))
        quanta = expose(slab(), machine, np.random.default_rng(0)).quanta.mean(axis=0)
        return np.abs(np.diff(np.log(quanta[40:100]))).max()

    assert edge(0.6) < 0.6 * edge(0.0)


def test_machines_have_their_own_pixels(clean):
    machine = replace(clean, spacing_factor=1.5, field_mm=(180.0, 150.0))
    picture = present(expose(slab(), machine, np.random.default_rng(0)), machine)
    assert picture.spacing_mm == pytest.approx(0.9)
    assert picture.pixels.shape == (200, 167)
    assert picture.offset_mm == (pytest.approx(18.0, abs=0.7), 0.0)


@pytest.mark.parametrize("voi", ["none", "window", "sigmoid", "table"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_every_way_to_store_shows_the_same(clean, voi, photometric):
    def shown(machine):
        picture = present(expose(slab(), machine, np.random.default_rng(0)), machine)
        return shown_pixels(picture, machine)

    look = replace(clean.presentation, curve="sigmoid", voi=voi, photometric=photometric)
    plain = replace(clean.presentation, curve="sigmoid", voi="none", photometric="MONOCHROME2")
    difference = shown(replace(clean, presentation=look)) - shown(replace(clean, presentation=plain))
    assert np.abs(difference).max() < 5e-3


def test_dense_is_bright_and_air_is_dark():
    for name in ("ffdm_site_1", "ffdm_site_2"):
        machine = load_machine(name)
        shown = shown_pixels(present(expose(slab(), machine, np.random.default_rng(0)), machine), machine)
        columns = shown.shape[1]
        middle = shown[20:-20]
        fat, gland, air = (
            middle[:, int(low * columns) : int(high * columns)].mean()
            for low, high in ((0.05, 0.15), (0.35, 0.42), (0.75, 0.9))
        )
        assert air < 0.02 < fat < gland

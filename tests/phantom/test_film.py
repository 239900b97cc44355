"""Film: curve, lettering, borders, digitiser."""

from dataclasses import replace

import numpy as np
import pytest

from mammo_tf.phantom.exposure import expose, present
from mammo_tf.phantom.film import develop
from mammo_tf.phantom.machine import load_machine

from .conftest import shown_pixels
from .test_exposure import slab


def developed(machine, text="L CC", mirrored=False, seed=0):
    signal = expose(slab(), machine, np.random.default_rng(seed))
    return develop(signal, machine, np.random.default_rng([seed, 1]), text, mirrored)


@pytest.mark.parametrize(("name", "bits"), [("film", 12), ("film_8bit", 8)])
def test_dense_is_bright_on_film(name, bits):
    machine = load_machine(name)
    picture = developed(machine)
    assert picture.pixels.max() < 1 << bits
    shown = shown_pixels(picture, machine)
    columns = shown.shape[1]
    fat, gland = (shown[30:-30, int(a * columns) : int(b * columns)].mean() for a, b in ((0.05, 0.2), (0.3, 0.45)))
    air = np.median(shown[30:-30, int(0.6 * columns) : int(0.8 * columns)])
    assert air < 0.1 < fat < gland


def test_letters_lie_clear_of_the_breast_and_are_bright():
    machine = load_machine("film")
    film = replace(machine.film, scratches=0.0, dust=0.0, plate_edge_mm=0.0, border_mm=0.0)
    with_letters, without = replace(machine, film=film), replace(machine, film=replace(film, letters=False))
    for seed in range(8):
        first, second = (shown_pixels(developed(m, seed=seed), m) for m in (with_letters, without))
        bright = first > 0.6
        outside = ~developed(without, seed=seed).inside
        assert (bright & outside).sum() > 30
        assert not ((second > 0.6) & outside).any()


def test_edges_and_damage_never_touch_the_chest_walls_side_margin():
    machine = load_machine("film")
    film = replace(machine.film, scratches=0.0, dust=0.0, letters=False, plate_edge_mm=15.0, border_mm=10.0)
    seen = 0
    for seed in range(10):
        shown = shown_pixels(developed(replace(machine, film=film), seed=seed), machine)
        middle = shown[shown.shape[0] // 3 : 2 * shown.shape[0] // 3]
        seen += int(middle[:, -2:].mean() > 0.8)
        assert middle[:, :3].mean() < 0.8
    assert 2 <= seen <= 10


def test_characteristic_curve_passes_through_its_target():
    machine = load_machine("film")
    film = replace(
        machine.film, scratches=0.0, dust=0.0, letters=False, plate_edge_mm=0.0, border_mm=0.0, digitiser_noise=0.0
    )
    detector = replace(machine.detector, photons_per_mm2=1e8, grain=0.0, scatter_to_primary=0.0, blur_mm=0.0)
    plain = replace(machine, film=film, detector=detector)
    signal = expose(slab(gland_mm=0.0), plain, np.random.default_rng(0))
    picture = develop(signal, plain, np.random.default_rng(0), "", False)
    density = (1 - shown_pixels(picture, plain)) * film.digitiser_density
    assert np.median(density[picture.inside]) == pytest.approx(film.target_density, abs=0.02)


def test_a_digital_machine_has_no_film():
    machine = load_machine("ffdm_site_1")
    signal = expose(slab(), machine, np.random.default_rng(0))
    assert present(signal, machine).pixels.dtype == np.uint16
    with pytest.raises(ValueError, match="no film"):
        develop(signal, machine, np.random.default_rng(0), "L CC", False)

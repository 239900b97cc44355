"""The slope of the power spectrum: of the tissue, of mammograms, and of a sweep's slices and their maximum."""

from dataclasses import replace

import numpy as np
import pytest

from mammo_tf.phantom import load_machine
from mammo_tf.phantom.exam import StudyPlan, project_breasts, render
from mammo_tf.phantom.projection import VIEWS

from .conftest import patients_of, shown_pixels

SQUARE_MM, SPACING_MM = 40, 0.3
SEED = 3
HEIGHTS = (0.25, 0.5, 0.75)  # of the slices that are measured, as shares of the compressed breast


def full_square(projection):
    """Row and column in pixels of a 40 mm square where the breast has its full thickness; None if there is none."""
    size = round(SQUARE_MM / projection.spacing_mm)
    full = (projection.thickness_mm > 0.995 * projection.compressed_mm).astype(np.float64)
    total = np.pad(full.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    count = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    places = np.argwhere(count > size * size - 0.5)
    if not len(places):
        return None
    return places[np.argmin(((places - np.median(places, axis=0)) ** 2).sum(axis=1))]


def spectrum_slope(square, spacing_mm):
    """Minus the slope of log power over log frequency, 0.1-0.7 cycles/mm; plane off, Hann window on."""
    size = len(square)
    rows, columns = np.mgrid[:size, :size]
    plane = np.stack([rows.ravel(), columns.ravel(), np.ones(size * size)], axis=1)
    values = square.astype(np.float64)
    values -= (plane @ np.linalg.lstsq(plane, values.ravel(), rcond=None)[0]).reshape(size, size)
    window = np.hanning(size)
    power = np.abs(np.fft.fft2(values * window[:, None] * window)) ** 2
    axis = np.fft.fftfreq(size, spacing_mm)
    frequency = np.hypot(axis[:, None], axis[None, :])
    edges = np.geomspace(0.1, 0.7, 9)
    bands = [(frequency >= low) & (frequency < high) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    points = [(np.log(frequency[band].mean()), np.log(power[band].mean())) for band in bands if band.any()]
    return -np.polyfit(*np.array(points).T, 1)[0]


def tissue_slope(projection, corner):
    """Of the log transmission, before any machine."""
    size = round(SQUARE_MM / projection.spacing_mm)
    cut = tuple(slice(first, first + size) for first in corner)
    return spectrum_slope(0.046 * projection.thickness_mm[cut] + 0.026 * projection.gland_mm[cut], SPACING_MM)


def square_of(picture, machine, corner):
    """The same square of a machine's picture as a viewer shows it: [rows, columns], of a volume [slices, ...]."""
    size = round(SQUARE_MM / picture.spacing_mm)
    row, column = np.round((corner * SPACING_MM - picture.offset_mm) / picture.spacing_mm).astype(int)
    return shown_pixels(picture, machine)[..., row : row + size, column : column + size]


def slopes_of(machines, patients):
    """Slopes of the left CC views of several women: two arrays [machines, women].

    The first is of pictures, or of slices (the mean of three); the second of pictures, or of the slices' maximum.
    """
    plan = StudyPlan(SEED, tuple(machines), SPACING_MM, 1.0)
    single, maxima = [], []
    for patient in patients_of(patients, SEED):
        seen = project_breasts(plan, patient)["L", "CC"]
        corner = full_square(seen.projection)
        if corner is None:
            continue
        single.append([])
        maxima.append([])
        for site, machine in enumerate(machines):
            picture = render(plan, patient, seen, site, "L", "CC")
            square = square_of(picture, machine, corner)
            shown = square.reshape(-1, *square.shape[-2:])
            chosen = sorted({int(len(shown) * height) for height in HEIGHTS})
            single[-1].append(np.mean([spectrum_slope(shown[one], picture.spacing_mm) for one in chosen]))
            maxima[-1].append(spectrum_slope(shown.max(axis=0), picture.spacing_mm))
    return np.array(single).T, np.array(maxima).T


@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_the_slope_of_a_power_law_is_its_exponent(exponent):
    rng = np.random.default_rng(0)
    axis = np.fft.fftfreq(256, SPACING_MM)
    frequency = np.hypot(axis[:, None], axis[None, :])
    frequency[0, 0] = np.inf
    found = []
    for _ in range(24):
        noise = np.fft.fft2(rng.standard_normal((256, 256))) * frequency ** (-exponent / 2)
        size = round(SQUARE_MM / SPACING_MM)
        found.append(spectrum_slope(np.fft.ifft2(noise).real[:size, :size], SPACING_MM))
    assert np.mean(found) == pytest.approx(exponent, abs=0.15)


@pytest.mark.parametrize("view", VIEWS)
def test_mean_slope_of_tissue_lies_in_2_5_to_3_5(view):
    plan = StudyPlan(SEED, (), SPACING_MM, 1.0)
    slopes = []
    for patient in patients_of(11, SEED):
        for (_, seen), (projection, _, _) in project_breasts(plan, patient).items():
            corner = full_square(projection) if seen == view else None
            slopes += [] if corner is None else [tissue_slope(projection, corner)]
    assert len(slopes) >= 10
    assert 2.5 < np.mean(slopes) < 3.5


def as_mammograms(machine):
    """The same detector, dose and processing without a sweep."""
    return replace(machine, tomosynthesis=None)


def with_slices(machine, **changes):
    """Slices 10 mm apart, which are quicker made and do not change what a slice shows."""
    return replace(machine, tomosynthesis=replace(machine.tomosynthesis, slice_mm=10.0, **changes))


def without_noise(machine):
    return replace(machine, detector=replace(machine.detector, photons_per_mm2=1e8, grain=0.0))


@pytest.mark.long
def test_slices_are_flatter_than_mammograms_of_the_same_detector():
    swept = load_machine("dbt")
    (mammograms, slices), _ = slopes_of([as_mammograms(swept), with_slices(swept)], 2)
    assert (slices < mammograms).all()
    assert 1.7 < slices.mean() < 2.7


@pytest.mark.long
@pytest.mark.timeout(900)  # eight women in slices of a millimetre at 0.3 mm
def test_slopes_of_mammograms_slices_and_their_maximum():
    swept = load_machine("dbt")
    machines = [load_machine("ffdm_site_1"), load_machine("ffdm_site_2"), as_mammograms(swept), swept]
    single, maxima = slopes_of(machines, 8)
    assert single.mean(axis=1) == pytest.approx([2.49, 2.93, 2.64, 2.16], abs=0.03)
    assert maxima[-1].mean() == pytest.approx(2.59, abs=0.03)
    assert (single[3] < single[2]).all()


@pytest.mark.long
@pytest.mark.timeout(900)  # eight women, four times
def test_what_makes_the_slope_of_slices():
    """Back-projection steepens, its filter and the noise flatten (docs/phantom.md)."""
    swept = load_machine("dbt")
    quiet = without_noise(swept)
    machines = [as_mammograms(quiet), with_slices(quiet, low_frequencies=1.0), with_slices(quiet), with_slices(swept)]
    mammograms, unfiltered, filtered, noisy = slopes_of(machines, 8)[0]
    assert (unfiltered > mammograms + 0.5).all()
    assert (filtered < unfiltered - 0.3).all()
    assert (noisy < filtered - 0.6).all()
    print([round(slopes.mean(), 3) for slopes in (mammograms, unfiltered, filtered, noisy)])

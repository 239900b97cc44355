"""Harmonising fitted on pictures whose processing is known, its file, and what is said of it."""

import json
from contextlib import contextmanager
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mammo_tf.adaptation.harmonising import fit, fit_halves
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.band_steps import ContrastBands
from mammo_tf.imaging.bands import SCALES, apply_gains, statistics
from mammo_tf.imaging.domain_histogram import domain_histogram
from mammo_tf.imaging.harmonising import Harmonising, with_harmonising
from mammo_tf.imaging.intensity_steps import HistogramLookup, HistogramMatch
from mammo_tf.imaging.periphery_steps import Periphery
from mammo_tf.imaging.steps import run_intensity

SHAPE = (96, 80)
rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
BREAST = np.hypot((rows - 48) / 44, columns / 70) < 1
EVEN = (0.6, 0.6)


@contextmanager
def refused(code):
    with pytest.raises(MammoError) as caught:
        yield
    assert caught.value.code == code


def texture(seed, level=0.5, sharpness=(1.0,) * 5):
    """Noise of falling amplitude in [0, 1]; its contrast by scale is that of the processing `sharpness`."""
    generator = np.random.default_rng(seed)
    across, along = np.fft.fftfreq(SHAPE[0])[:, None], np.fft.fftfreq(SHAPE[1])[None]
    noise = np.fft.fft2(generator.normal(size=SHAPE)) / np.maximum(np.hypot(across, along), 1 / 96) ** 1.2
    values = np.real(np.fft.ifft2(noise))
    picture = np.clip(level + 0.08 * (values - values.mean()) / values.std(), 0, 1).astype(np.float32)
    return apply_gains(picture, BREAST, SCALES, sharpness)


def site(seeds, curve=1.0, **changed):
    return [(texture(seed, **changed) ** np.float32(curve) * BREAST, BREAST) for seed in seeds]


@pytest.fixture(scope="module")
def plain():
    return site(range(8))


@pytest.fixture(scope="module")
def vendor():
    """Another machine: sharper, brighter and of other women."""
    return site(range(100, 108), curve=0.6, sharpness=(1.8, 1.5, 1.3, 1.1, 1.0))


@pytest.fixture(scope="module")
def fitted(plain, vendor):
    return fit(plain, vendor, spacings_mm=EVEN)


def after(harmonising, pictures):
    behind = []
    for picture, breast in pictures:
        for step in harmonising:
            picture = run_intensity(step, picture, breast)
        behind.append((picture, breast))
    return behind


def spreads(pictures, scales=SCALES):
    return np.array(statistics(*zip(*pictures, strict=True), scales).robust)


def test_behind_the_steps_a_site_has_the_contrast_and_the_levels_of_the_source(plain, vendor, fitted):
    assert [type(step) for step in fitted] == [HistogramLookup, ContrastBands, Periphery]
    wanted, before = spreads(plain), spreads(vendor)
    matched = spreads([(fitted.curve.intensity(one), breast) for one, breast in vendor])
    found = spreads(after(fitted, vendor))
    assert (abs(np.log(before / wanted)) > 0.2).sum() >= 2
    np.testing.assert_allclose(found, wanted, rtol=0.12)
    assert abs(np.log(found / wanted)).sum() < 0.4 * abs(np.log(matched / wanted)).sum()
    np.testing.assert_allclose(fitted.robust_ratios, wanted / matched, rtol=1e-6)
    means = [np.mean([one[breast].mean() for one, breast in part]) for part in (plain, vendor, after(fitted, vendor))]
    assert abs(means[1] - means[0]) > 0.1 and abs(means[2] - means[0]) < 0.01
    assert fitted.curve_shift == pytest.approx(
        np.mean([abs(fitted.curve.intensity(one) - one)[breast].mean() for one, breast in vendor]), abs=2e-4
    )


def test_a_rim_along_the_skin_is_undone(plain):
    """What a sharp vendor draws there, of a width that no gain of a band within the breast could take away."""
    inside = cv2.distanceTransform(np.pad(BREAST.astype(np.uint8), ((0, 0), (90, 0)), "edge"), cv2.DIST_L2, 5)[:, 90:]
    rim = (0.4 * np.exp(-inside / 3)).astype(np.float32)
    rimmed = [(np.clip(picture + rim * BREAST, 0, 1), BREAST) for picture, _ in site(range(100, 108))]
    found = fit(plain, rimmed, spacings_mm=EVEN)
    assert found.periphery is not None and found.periphery.scales == (16.0, 4.0)
    skin = BREAST & (inside < 4)

    def apart(pictures):
        means = [np.mean([picture[skin].mean() for picture, _ in part]) for part in (pictures, plain)]
        return abs(means[0] - means[1])

    without = [(run_intensity(found.contrast, found.curve.intensity(one), mask), mask) for one, mask in rimmed]
    assert apart(rimmed) > 0.15 and apart(without) > 0.08
    assert apart(after(found, rimmed)) < 0.02


def test_a_site_to_itself_is_left_alone(plain):
    itself = fit(plain, iter(plain), spacings_mm=EVEN)
    np.testing.assert_allclose(itself.robust_ratios, 1, atol=3e-3)
    assert itself.curve_shift < 1e-3
    for (before, breast), (behind, _) in zip(plain, after(itself, plain), strict=True):
        np.testing.assert_allclose(behind[breast], before[breast], atol=2e-3)
    assert [note.code for note in notes(itself)][0] == "harmonising_needless"


def test_scales_are_equal_in_mm_where_both_spacings_are_known(plain, vendor):
    coarser = fit(plain, vendor, spacings_mm=(0.6, 0.8))
    assert coarser.in_mm
    np.testing.assert_allclose(coarser.source.bands.scales, SCALES)
    np.testing.assert_allclose(coarser.target.bands.scales, np.array(SCALES) * 0.75)
    assert tuple(coarser)[1].scales == coarser.target.bands.scales
    for spacings in ((None, None), (0.6, None)):
        unknown = fit(plain, vendor, spacings_mm=spacings)
        assert not unknown.in_mm and unknown.target.bands.scales == SCALES
        assert "harmonising_in_pixels" in [note.code for note in notes(unknown)]
    finest = fit(plain, vendor, spacings_mm=(0.6, 1.3))  # 0.48 mm are 0.37 of these pixels
    np.testing.assert_allclose(finest.target.bands.scales_mm, (0.96, 1.92, 3.84, 7.68))
    with refused("scales_wrong"):
        fit(plain, vendor, scales_mm=(0.2,), spacings_mm=EVEN)


@pytest.mark.parametrize("curve", [0.6, 1.0, 1.5])
def test_a_curve_alone_is_undone_by_the_curve(plain, curve):
    one = fit(plain, site(range(8), curve=curve))
    np.testing.assert_allclose(one.robust_ratios, 1, rtol=0.01)
    np.testing.assert_allclose(one.plain_ratios, 1, rtol=0.02)


def test_the_file_gives_back_every_digit(fitted, tmp_path):
    fitted.save(tmp_path / "one.json")
    assert Harmonising.load(tmp_path / "one.json") == fitted
    assert list(tmp_path.iterdir()) == [tmp_path / "one.json"]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda stored: stored.update(what="else"), "harmonising_wrong", "does not hold a harmonising"),
        (lambda stored: stored.update(patients_in_both=3), "harmonising_wrong", "is not what was written"),
        (lambda stored: stored.update(more=3), "harmonising_wrong", "more"),
        (lambda stored: stored.pop("target"), "harmonising_wrong", "target"),
        (lambda stored: stored["target"]["bands"].update(robust=[1, 2]), "statistics_wrong", "not 5 numbers"),
        (lambda stored: stored["target"]["bands"].update(images=9), "statistics_wrong", "of 8 images"),
        (lambda stored: stored["target"].update(size=[9, 9]), "preprocessing_differs", "96x80 and 9x9"),
        (lambda stored: stored["source"]["histogram"].update(geometry=["fit"]), "preprocessing_differs", "geometry"),
    ],
)
def test_a_changed_file_is_refused_in_a_line(change, code, words, fitted, tmp_path):
    path = tmp_path / "one.json"
    fitted.save(path)
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))
    with pytest.raises(MammoError) as caught:
        Harmonising.load(path)
    assert caught.value.code == code and words in str(caught.value) and str(path) in str(caught.value)


def changed(harmonising, **statistics_of_target):
    """The same with other numbers of the target's bands, as factors."""
    bands = harmonising.target.bands
    values = {name: tuple(np.array(getattr(bands, name)) * factor) for name, factor in statistics_of_target.items()}
    return replace(harmonising, target=replace(harmonising.target, bands=replace(bands, **values)))


def test_what_is_said_of_it(plain, fitted):
    itself = fit(plain, plain, spacings_mm=EVEN)

    def codes(one):
        return [note.code for note in notes(one)]

    always = ["harmonising_few_patients", "harmonising_few_patients", "harmonising_threshold"]
    assert codes(itself) == ["harmonising_needless", *always]
    assert codes(changed(itself, robust=0.79, plain=0.79)) == always  # a ratio of 1.27
    assert codes(changed(itself, robust=2.1, plain=2.1)) == ["harmonising_strong", *always]
    edge = changed(itself, plain=(1 / 1.6, 1, 1, 1, 1))
    first = notes(edge)[0]
    assert first.code == "harmonising_doubtful"
    assert "scale 0.48 mm is 1.00, the plain one 1.60" in first.sentence


def test_film_edges_are_noticed(plain, vendor):
    edged = [(picture.copy(), breast) for picture, breast in vendor]
    for picture, breast in edged:
        picture[:, :2] = np.where(breast[:, :2], np.random.default_rng(1).integers(0, 2, (SHAPE[0], 2)), 0)
    assert notes(fit(plain, edged))[0].code == "harmonising_doubtful"


def test_dark_and_bright_halves_are_fitted_apart(plain):
    target = [*site(range(20, 24), level=0.3), *site(range(30, 35), level=0.7)]
    dark, bright = fit_halves(plain, target)
    assert (dark.target.histogram.images, bright.target.histogram.images) == (4, 5)
    expected = domain_histogram(one[breast] for one, breast in target[:4])
    assert dark.target.histogram.cdf == expected.cdf
    with refused("too_few_patients"):
        fit_halves(plain, target[:4])


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda pairs: pairs[:4], "too_few_patients", "the target has 4 pictures. Take 25 consecutive patients, 5 at"),
        (lambda pairs: [*pairs, (pairs[0][0], BREAST & False)], "mask_empty", "image 8"),
        (lambda pairs: [*pairs, (pairs[0][0], BREAST & (columns < 3))], "mask_empty", "image 8"),
        (lambda pairs: [*pairs, (pairs[0][0], BREAST[1:])], "mask_wrong", "image 8"),
        (lambda pairs: [*pairs, (pairs[0][0].astype(np.uint8), BREAST)], "pixels_wrong", "uint8"),
        (lambda pairs: [(one * 0 + 0.5, breast) for one, breast in pairs], "statistic_zero", "the target's"),
    ],
)  # fmt: skip
def test_pictures_that_cannot_be_are_refused_in_a_line(call, code, words, plain):
    with pytest.raises(MammoError) as caught:
        fit(plain, call(plain))
    assert caught.value.code == code and words in str(caught.value)


def test_it_stands_in_place_of_what_carries_to_another_look(fitted):
    model = Preprocessing.preset("default", SHAPE)
    made = with_harmonising(model, fitted)
    assert made.intensity_steps == (*fitted.steps, *model.intensity_steps)
    matched = replace(model, intensity_steps=(HistogramMatch((0.1, 1.0)), *model.intensity_steps))
    for one in (matched, made, with_harmonising(made, fitted.steps)):
        assert with_harmonising(one, fitted.steps) == made
    with refused("breast_missing"):
        with_harmonising(Preprocessing.preset("legacy", SHAPE), fitted)
    assert Preprocessing.from_json(made.to_json()) == made

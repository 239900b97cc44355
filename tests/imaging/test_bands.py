"""Bands against exact Gaussians of SciPy, the laws they obey, the statistics of a domain, and its file."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mammo_tf.errors import MammoError
from mammo_tf.imaging import blurs
from mammo_tf.imaging.bands import (
    EROSION,
    SCALES,
    BandStatistics,
    apply_gains,
    bands,
    gains,
    statistics,
    transform,
)
from mammo_tf.imaging.blur_plan import plan


def texture(shape, power, seed=0):
    """Noise whose amplitude falls as 1 / frequency^power, in [0, 1]; tissue is near 1.5."""
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=shape))
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size) for size in shape), indexing="ij"))
    frequency[0, 0] = 1 / max(shape)
    made = np.fft.ifft2(noise / frequency**power).real
    return np.clip(0.5 + 0.12 * made / made.std(), 0, 1).astype(np.float32)


def breast(shape, odd=True):
    """Half an ellipse at the left edge; with a hole and a tongue that is one pixel wide."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] / np.array(shape)[:, None, None]
    mask = ((rows - 0.5) / 0.45) ** 2 + (columns / 0.85) ** 2 < 1
    if odd:
        mask[shape[0] // 4 : shape[0] // 4 + 9, 30:41] = False
        mask[shape[0] // 3, :] = True
    return mask


def exact(image, mask, scales):
    """The bands by SciPy's Gaussians in float64."""
    inside = mask.astype(np.float64)
    steps = [np.where(mask, image, 0).astype(np.float64)]
    for scale in scales:
        above, below = (ndimage.gaussian_filter(part, scale, mode="constant") for part in (steps[0], inside))
        steps.append(np.where(mask, above / np.maximum(below, 1e-300), 0))
    return [finer - coarser for finer, coarser in zip(steps, steps[1:], strict=False)] + [steps[-1]]


def spreads(found, mask):
    reach = np.hypot(*np.mgrid[-EROSION : EROSION + 1, -EROSION : EROSION + 1]) <= EROSION + 0.5
    eroded = ndimage.binary_erosion(mask, reach)
    low, high = np.percentile(np.stack(found[:-1])[:, eroded], (16, 84), axis=1)
    return (high - low) / 2, np.stack(found[:-1])[:, mask].std(axis=1)


@pytest.mark.parametrize("scales", [SCALES, (1, 2, 4), (0.7, 3, 11), (0.5, 1.0, 1.4, 2.0, 9.0), (1.5, 1.55, 6.0)])
def test_statistics_are_within_one_percent_of_exact_gaussians(scales):
    shape = (301, 233)
    mask = breast(shape)
    for power in (0.0, 1.5, 2.0):
        image = texture(shape, power)
        expected = exact(image, mask, scales)
        robust, plain = spreads(expected, mask)
        found = statistics([image], [mask], scales)
        np.testing.assert_allclose(found.robust, robust, rtol=0.01)
        np.testing.assert_allclose(found.plain, plain, rtol=0.01)
        if power == 1.5:
            for one, other in zip(bands(image, mask, scales), expected, strict=True):
                assert (one - other)[mask].std() < 0.05 * other[mask].std()


def test_blurs_of_the_picture_itself_are_exact():
    mask = breast((90, 77))
    image = texture((90, 77), 1.0)
    for one, other in zip(bands(image, mask, (0.8,)), exact(image, mask, (0.8,)), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_the_plan_of_the_standard_scales():
    assert [(blur.level, len(blur.kernel)) for blur in plan(SCALES)] == [(0, 7), (1, 5), (1, 11), (2, 11), (3, 11)]
    assert all(abs(sum(blur.kernel) - 1) < 1e-12 and min(blur.kernel) > 0 for blur in plan(SCALES))


def test_tiles_leave_no_trace(monkeypatch):
    image, mask = texture((203, 310), 1.5), breast((203, 310))
    factors = (1.5, 0.7, 1.2, 0.9, 1.3)
    expected = apply_gains(image, mask, SCALES, factors)
    monkeypatch.setattr(blurs, "TILE", (32, 48))
    np.testing.assert_allclose(apply_gains(image, mask, SCALES, factors), expected, atol=1e-6)


SMALL = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31), st.floats(0.05, 1.0))
SOME_SCALES = st.sampled_from([SCALES, (1.0, 2.0, 4.0), (0.7, 3.0, 11.0), (0.5,), (2.5, 2.6, 40.0)])


def small(rows, columns, seed, share):
    generator = np.random.default_rng(seed)
    return generator.random((rows, columns), np.float32), generator.random((rows, columns)) < share


@settings(max_examples=40, deadline=None)
@given(SMALL, SOME_SCALES, st.floats(0.1, 1.0))
def test_laws(drawn, scales, factor):
    image, mask = small(*drawn)
    found = bands(image, mask, scales)
    inside = np.where(mask, image, 0)
    np.testing.assert_allclose(sum(found), inside, atol=1e-6)
    np.testing.assert_allclose(apply_gains(image, mask, scales, [1.0] * len(scales)), inside, atol=1e-6)
    for one, other in zip(bands(image * np.float32(factor), mask, scales), found, strict=True):
        np.testing.assert_allclose(one, other * factor, atol=1e-6)
    other = np.where(mask, image, np.float32("nan"))
    doubled = [2.0] + [0.5] * (len(scales) - 1)
    out = apply_gains(image, mask, scales, doubled)
    np.testing.assert_array_equal(apply_gains(other, mask, scales, doubled), out)
    assert out.dtype == np.float32 and out.min() >= 0 and out.max() <= 1 and not out[~mask].any()
    expected = sum(gain * band for gain, band in zip([*doubled, 1.0], found, strict=True))
    np.testing.assert_allclose(out, np.clip(expected, 0, 1), atol=2e-6)


def made(seed=0, **changed):
    values = {"scales": SCALES, "spacing_mm": 0.6, "robust": (0.01, 0.02, 0.03, 0.04, 0.05), "plain": (0.1,) * 5}
    return BandStatistics(**(values | {"images": 3} | changed))


def test_a_domain_to_itself_changes_nothing_and_a_sharper_one_is_undone():
    shape = (160, 121)
    mask = breast(shape)
    pictures = [0.25 + 0.5 * texture(shape, 1.5, seed) for seed in range(3)]
    factors = (1.6, 1.4, 1.2, 1.0, 0.8)
    sharper = [apply_gains(picture, mask, SCALES, factors) for picture in pictures]
    source, target = (statistics(iter(some), (mask for _ in some), spacing_mm=0.6) for some in (pictures, sharper))
    assert source.images == 3 and source.scales_mm == pytest.approx([0.48, 0.96, 1.92, 3.84, 7.68])
    np.testing.assert_array_equal(transform(pictures[0], mask, source, source), np.where(mask, pictures[0], 0))
    np.testing.assert_allclose(gains(source, target), 1 / np.array(factors), rtol=0.2)
    back = [transform(picture, mask, source, target) for picture in sharper]
    for was, changed, carried in zip(pictures, sharper, back, strict=True):
        assert (carried - was)[mask].std() < 0.5 * (changed - was)[mask].std()


def test_two_columns_of_film_edge_move_the_plain_statistic_alone():
    image, mask = np.float32(0.3) * texture((200, 150), 1.5), np.ones((200, 150), bool)
    edged = image.copy()
    edged[:, :2] = 1.0
    without, found = (statistics([one], [mask]) for one in (image, edged))
    np.testing.assert_allclose(found.robust[:2], without.robust[:2], rtol=0.02)  # wider blurs see the edge from afar
    assert found.plain[0] > 3 * without.plain[0]


def test_a_file_gives_back_every_digit(tmp_path):
    for one in (made(), made(spacing_mm=None, robust=(1 / 3,) * 5)):
        one.save(tmp_path / "a.json")
        assert BandStatistics.load(tmp_path / "a.json") == one


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"robust": [0.1, 0.2]}, "statistics_wrong", "robust is 0.1, 0.2, not 5 numbers"),
        ({"plain": [0.1, 0.2, -1, 0, 0]}, "statistics_wrong", "plain"),
        ({"scales": [3.0, 2.0, 1.0, 4.0, 5.0]}, "scales_wrong", "the scales are 3, 2, 1, 4, 5"),
        ({"spacing_mm": 0.0}, "statistics_wrong", "spacing"),
        ({"images": 4}, "statistics_wrong", "is not what was written"),
        ({"images": 0}, "statistics_wrong", "0 images"),
        ({"format": 2}, "statistics_wrong", "does not hold statistics of bands"),
        ({"what": "average cumulative histogram"}, "statistics_wrong", "does not hold statistics of bands"),
        ({"further": 1}, "statistics_wrong", "further"),
        ({"robust": "much"}, "statistics_wrong", "robust"),
    ],
)
def test_other_files_are_refused_in_a_line(tmp_path, change, code, words):
    made().save(tmp_path / "a.json")
    stored = json.loads((tmp_path / "a.json").read_text()) | change
    (tmp_path / "a.json").write_text(json.dumps(stored))
    with pytest.raises(MammoError) as caught:
        BandStatistics.load(tmp_path / "a.json")
    assert caught.value.code == code and words in str(caught.value) and "a.json" in str(caught.value)


IMAGE, MASK = np.full((40, 30), 0.5, np.float32), np.ones((40, 30), bool)
THIN = np.zeros((40, 30), bool)
THIN[:, 10:20] = True
NAN = np.where(np.arange(30) == 3, np.float32("nan"), IMAGE)


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda: statistics([IMAGE] * 2, [MASK, ~MASK]), "mask_empty", "image 1"),
        (lambda: statistics([IMAGE] * 3, [MASK, MASK, THIN]), "mask_empty", "image 2"),
        (lambda: statistics([IMAGE] * 2, [MASK]), "masks_differ", "only 1 masks"),
        (lambda: statistics([IMAGE], [MASK[1:]]), "mask_wrong", "image 0"),
        (lambda: statistics([], []), "images_missing", "no image"),
        (lambda: statistics([IMAGE, NAN], [MASK] * 2), "pixels_wrong", "image 1"),
        (lambda: statistics([IMAGE], [MASK], ()), "scales_wrong", "none"),
        (lambda: statistics([IMAGE], [MASK], (1, 2), spacing_mm=-1), "statistics_wrong", "-1"),
        (lambda: apply_gains(NAN, MASK, (1, 2), (1, 1)), "pixels_wrong", "nan"),
        (lambda: apply_gains(IMAGE * 255, MASK, (1, 2), (1, 2)), "pixels_wrong", "127.5"),
        (lambda: apply_gains(np.ones((4, 4), np.uint8), np.ones((4, 4), bool), (1,), (1,)), "pixels_wrong", "uint8"),
        (lambda: apply_gains(IMAGE[None], MASK, (1,), (1,)), "pixels_wrong", "(1, 40, 30)"),
        (lambda: apply_gains(IMAGE, MASK.astype(float), (1,), (1,)), "mask_wrong", "float64"),
        (lambda: apply_gains(IMAGE, MASK, (1, 1), (1, 1)), "scales_wrong", "1, 1"),
        (lambda: apply_gains(IMAGE, MASK, (0.1, 1), (1, 1)), "scales_wrong", "0.1"),
        (lambda: apply_gains(IMAGE, MASK, (1, float("nan")), (1, 1)), "scales_wrong", "nan"),
        (lambda: apply_gains(IMAGE, MASK, (1, 2), (1,)), "gains_wrong", "not 2 numbers"),
        (lambda: apply_gains(IMAGE, MASK, (1, 2), (1, -1)), "gains_wrong", "-1"),
        (lambda: gains(made(), made(scales=(1.0, 2, 3, 4, 5))), "scales_differ", "7.68 and 0.6, 1.2, 1.8, 2.4, 3 mm"),
        (lambda: gains(made(), made(scales=(1.0, 2, 3, 4, 5), spacing_mm=None)), "scales_differ", "2, 3, 4, 5 pixels"),
        (lambda: gains(made(), made(spacing_mm=0.3)), "scales_differ", "7.68 and 0.24, 0.48, 0.96, 1.92, 3.84 mm"),
        (lambda: gains(made(), made(robust=(1, 0, 1, 1, 1))), "statistic_zero", "of the band of scale 1.6"),
        (lambda: gains(made(robust=(0,) * 5), made()), "statistic_zero", "the source's"),
        (lambda: transform(IMAGE, ~MASK, made(), made()), "mask_empty", "empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_line(call, code, words):
    with pytest.raises(MammoError) as caught:
        call()
    assert caught.value.code == code and words in str(caught.value)


def test_an_empty_mask_gives_a_black_picture():
    assert not apply_gains(IMAGE, ~MASK, SCALES, [1.5] * 5).any()

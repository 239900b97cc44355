from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.data import graph_breast
from mammo_tf.data import graph_preprocessing as graph
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing, breast, parts, steps
from mammo_tf.imaging.band_steps import ContrastBands
from mammo_tf.imaging.geometry_steps import (
    CropBreast,
    FindBreast,
    Fit,
    MaskBreast,
    Resize,
    ResizeHeight,
    ThresholdBox,
    TopBits,
)
from mammo_tf.imaging.intensity_steps import (
    Channels,
    Equalize,
    HistogramLookup,
    HistogramMatch,
    MaximumScale,
    Scale,
    SubtractMean,
)
from mammo_tf.imaging.levels import as_uint16
from mammo_tf.imaging.periphery_steps import Periphery

GOLDEN = Path(__file__).parents[1] / "golden" / "end2end"
A_HUNDREDTH_LEVEL = 0.01 / 65535
CHANNELS = (Channels(1),)


def smooth_noise(rows, columns, seed):
    """uint16, edges and flat parts included."""
    generator = np.random.default_rng(seed)
    picture = generator.integers(0, 65536, (rows, columns)).astype(np.uint16)
    picture[generator.random((rows, columns)) < 0.2] = 65535
    picture[: rows // 5] = 0
    picture[:, columns - columns // 4 :] = 0
    return picture


def test_every_step_has_a_twin():
    assert set(graph.GEOMETRY) == set(steps.GEOMETRY.values())
    assert set(graph.INTENSITY) == set(steps.INTENSITY.values())


RESIZES = st.one_of(
    st.builds(Resize, st.integers(1, 40), st.integers(1, 40), st.sampled_from(["cubic", "area"])),
    st.builds(Fit, st.integers(1, 40), st.integers(1, 40), st.sampled_from(["cubic", "area"])),
    st.builds(ResizeHeight, st.integers(1, 40), st.sampled_from(["cubic", "area"])),
)
BOXES = st.builds(ThresholdBox, st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0, 0.5))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(0, 99),
    st.lists(BOXES | st.just(TopBits()), max_size=2), RESIZES,
)  # fmt: skip
def test_geometry_equals_numpy(rows, columns, seed, before, resize):
    preprocessing = Preprocessing((*before, resize), CHANNELS)
    picture = smooth_noise(rows, columns, seed)
    expected = preprocessing.geometry(picture).picture
    result = graph.geometry(preprocessing, tf.constant(picture)).picture.numpy()
    np.testing.assert_allclose(result, expected, rtol=0, atol=A_HUNDREDTH_LEVEL)


LOOKUP = HistogramLookup(tuple(np.sort(np.random.default_rng(0).random(4096)) * 4095), keep_black=True)
COUNTS = np.random.default_rng(1).integers(0, 3, 4096)
MATCH = HistogramMatch(tuple((np.cumsum(COUNTS) / COUNTS.sum()).tolist()))
SKIN = Periphery((11.0, 2.5), ((-0.3, 0.2, -0.1, 0.1, 0.2, 0.05, 0.0), (0.2, 0.1, 0.0, -0.1, 0.0, 0.02, 0.01)))
BANDS = ContrastBands((0.8, 1.6, 3.2), (1.4, 0.7, 1.2))
INTENSITIES = [
    (BANDS, Channels(1)),
    (LOOKUP, BANDS, ContrastBands((2.0,), (0.5,)), Scale(255), SubtractMean(52.18), Channels(3)),
    (LOOKUP, BANDS, SKIN, *CHANNELS),
    (Scale(65535, 0.003891), SubtractMean(52.18), Channels(3)),
    (LOOKUP, Scale(255), Channels(1)),
    (MaximumScale(255.0), Equalize(), SubtractMean(59.6), Channels(1)),
    *((replace(MATCH, keep_black=black), Channels(1)) for black in (True, False)),
    (HistogramMatch((0.0,) * 2000 + (0.25,) * 2000 + (1.0,) * 96), Channels(1)),
]


@pytest.mark.parametrize("intensity", INTENSITIES)
def test_intensity_equals_numpy(intensity):
    preprocessing = Preprocessing((FindBreast(),), intensity)
    pictures = np.stack([smooth_noise(30, 20, seed) for seed in range(3)]) / np.float32(65535)
    pictures[1] *= 0.3
    pictures = np.concatenate([pictures, np.zeros((1, 30, 20)), np.full((1, 30, 20), 0.4)]).astype(np.float32)
    breasts = np.zeros(pictures.shape, np.bool_)
    for number in range(len(breasts)):
        breasts[number, number : 25 - number, : 8 + 3 * number] = True
    expected = np.stack([preprocessing.intensity(*pair) for pair in zip(pictures, breasts, strict=True)])
    result = graph.intensity(preprocessing, tf.constant(pictures), tf.constant(breasts)).numpy()
    assert result.dtype == np.float32
    white = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6 * white)
    if not preprocessing.needs_breast:
        np.testing.assert_array_equal(graph.intensity(preprocessing, tf.constant(pictures)).numpy(), result)


def test_a_breast_that_is_missing_or_of_another_shape_is_told():
    preprocessing = Preprocessing((FindBreast(),), (ContrastBands((1.0,), (2.0,)), *CHANNELS))
    pictures = tf.zeros((2, 30, 20))
    for breasts, code in ((None, "breast_missing"), (tf.ones((2, 20, 30), tf.bool), "breast_wrong")):
        with pytest.raises(MammoError) as caught:
            graph.intensity(preprocessing, pictures, breasts)
        assert caught.value.code == code

    @tf.function(input_signature=[tf.TensorSpec([None, 30, 20]), tf.TensorSpec([None, 30, 20], tf.bool)])
    def run(pictures, breasts):
        return graph.intensity(preprocessing, pictures, breasts)

    with pytest.raises(tf.errors.InvalidArgumentError, match="another shape"):
        run(pictures, tf.ones((1, 30, 20), tf.bool))
    assert not run(tf.ones((2, 30, 20)), tf.zeros((2, 30, 20), tf.bool)).numpy().any()


def test_both_halves_hand_the_breast_on(monkeypatch):
    for where in (breast, graph_breast):
        monkeypatch.setattr(where, "segment", lambda values: values > 9000)
    preprocessing = Preprocessing((CropBreast(), Fit(48, 32)), (LOOKUP, BANDS, Scale(255), *CHANNELS))
    picture = film(200, 90, 0.1, 3)
    expected = preprocessing(picture)
    result = graph.preprocess(preprocessing, tf.constant(picture)).numpy()
    np.testing.assert_allclose(result, expected, rtol=0, atol=255e-6)
    found = preprocessing.geometry(picture).breast_mask
    assert 0.2 < found.mean() < 0.9
    assert (expected[found] > 0).mean() > 0.9
    assert not expected[~found].any()


@pytest.mark.parametrize("name", ["g_pred_ddsm_96x75", "g_pred_inbreast_96x75"])
def test_legacy_in_the_graph(name):
    picture = cv2.imread(str(GOLDEN / "mammo16.png"), cv2.IMREAD_UNCHANGED)
    with np.load(GOLDEN / "preprocess.npz") as arrays:
        answer = arrays[name]
    preset = Preprocessing.preset("legacy", (96, 75), mean=52.18 if "ddsm" in name else 44.33)
    result = graph.preprocess(preset, tf.constant(picture)).numpy()
    np.testing.assert_allclose(result, answer, rtol=0, atol=0.004)


@pytest.mark.parametrize("preset", ["legacy", "graph"])
def test_a_large_reduction(preset):
    preprocessing = Preprocessing.preset(preset, (288, 224))
    picture = smooth_noise(1024, 832, 7)
    expected = preprocessing.geometry(picture).picture
    result = graph.geometry(preprocessing, tf.constant(picture)).picture.numpy()
    assert np.abs(result - expected).max() <= A_HUNDREDTH_LEVEL


def test_saved_model_takes_any_size(tmp_path):
    preprocessing = Preprocessing.preset("graph", (32, 24))

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.uint16)])
    def serve(picture):
        prepared = graph.preprocess(preprocessing, picture)
        assert prepared.shape == (32, 24, 3)
        return prepared

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": serve})
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    for rows, columns in ((60, 50), (11, 90), (32, 24)):
        picture = smooth_noise(rows, columns, 3)
        result = next(iter(loaded(picture=tf.constant(picture)).values())).numpy()
        np.testing.assert_allclose(result, preprocessing(picture), rtol=0, atol=0.01)


def film(rows, columns, glow, seed):
    """A breast at the left, uint16, with a letter beyond it, a bright line on top, a bar across it, film that glows."""
    generator = np.random.default_rng(seed)
    down, across = np.mgrid[:rows, :columns]
    depth = np.clip(1 - ((down - 0.45 * rows) / (0.4 * rows)) ** 2 - (across / (0.7 * columns)) ** 2, 0, 1) ** 0.5
    picture = depth * (0.4 + 0.5 * cv2.GaussianBlur(generator.random((rows, columns)), (0, 0), 5))
    if glow:
        picture = np.maximum(picture, generator.normal(glow, 0.01, picture.shape))
    picture[3 : rows // 10, -columns // 6 : -3] = 0.9
    picture[: rows // 60] = 1
    picture[rows // 2 : rows // 2 + 3, : columns // 2] = 0
    return (np.clip(picture, 0, 1) * 65535).astype(np.uint16)


def test_the_breast_is_where_numpy_finds_it():
    """Films larger and smaller than what is looked at, flat and glowing, with a bar across and letters."""
    preprocessing = Preprocessing((CropBreast(), MaskBreast(), Fit(96, 64), MaskBreast()), CHANNELS)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.uint16)], autograph=False)
    def prepare(picture):
        return graph.geometry(preprocessing, picture)

    for number, (rows, columns, glow) in enumerate([(1300, 900, 0), (700, 300, 0.1), (140, 200, 0.05), (200, 90, 0)]):
        picture = film(rows, columns, glow, number)
        turned = picture[:, ::-1] if number % 2 else picture
        values, mask = (part.numpy() for part in prepare(tf.constant(turned)))
        expected = preprocessing.geometry(turned)
        assert 0.2 < breast.segment(turned).mean() < 0.8
        assert np.count_nonzero(mask != expected.breast_mask) <= 2
        difference = np.abs(values - expected.picture)
        assert np.quantile(difference, 0.98) <= A_HUNDREDTH_LEVEL
        assert difference.mean() < 2e-4
    for picture in (np.zeros((90, 70)), np.full((50, 60), 300)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="no breast stands out"):
            prepare(tf.constant(picture, tf.uint16))


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(40, 70), st.integers(36, 60)),
    radius=st.sampled_from([0.4, 1, 2.4, 6.144, 15.36]),
    share=st.floats(0.0, 1.0),
    seed=st.integers(0, 99),
)
def test_opening_is_that_of_opencv(size, radius, share, seed):
    """To the pixel, also where tissue touches an edge."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random(size), None, 1 + seed % 5)
    mask = noise >= np.quantile(noise, share)
    np.testing.assert_array_equal(graph_breast._opened(tf.constant(mask), radius), parts.opened(mask, radius))


@pytest.mark.real
def test_the_breast_of_real_films(real_data):
    find = tf.function(graph_breast.segment, [tf.TensorSpec([None, None], tf.float32)], autograph=False)
    for path in sorted((real_data / "ddsm_tissue" / "images").glob("*.png"))[:6]:
        picture = as_uint16(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        mask, expected = find(tf.constant(picture, tf.float32)).numpy(), breast.segment(picture)
        assert 2 * np.count_nonzero(mask & expected) / (mask.sum() + expected.sum()) > 0.999

from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.data import graph_preprocessing as graph
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing, steps
from mammo_tf.imaging.geometry_steps import Fit, Resize, ResizeHeight, ThresholdBox, TopBits
from mammo_tf.imaging.intensity_steps import Channels, Equalize, HistogramLookup, MaximumScale, Scale, SubtractMean

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


def test_every_step_has_a_twin_or_needs_a_segmentation():
    without = {kind.name for kind in steps.GEOMETRY.values() if kind not in graph.GEOMETRY}
    assert without == {"mask_breast", "crop_breast"}
    assert set(graph.INTENSITY) == set(steps.INTENSITY.values())


RESIZES = st.one_of(
    st.builds(Resize, st.integers(1, 40), st.integers(1, 40), st.sampled_from(["cubic", "area"])),
    st.builds(Fit, st.integers(1, 40), st.integers(1, 40), st.sampled_from(["cubic", "area"])),
    st.builds(ResizeHeight, st.integers(1, 40), st.sampled_from(["cubic", "area"])),
)
BOXES = st.builds(ThresholdBox, st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0, 0.5))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(0, 99),
    st.lists(BOXES | st.just(TopBits()), max_size=2), RESIZES,
)  # fmt: skip
def test_geometry_equals_numpy(rows, columns, seed, before, resize):
    preprocessing = Preprocessing((*before, resize), CHANNELS)
    picture = smooth_noise(rows, columns, seed)
    expected = preprocessing.geometry(picture).picture
    result = graph.geometry(preprocessing, tf.constant(picture)).numpy()
    np.testing.assert_allclose(result, expected, rtol=0, atol=A_HUNDREDTH_LEVEL)


LOOKUP = HistogramLookup(tuple(np.sort(np.random.default_rng(0).random(4096)) * 4095), keep_black=True)
INTENSITIES = [
    (Scale(65535, 0.003891), SubtractMean(52.18), Channels(3)),
    (LOOKUP, Scale(255), Channels(1)),
    (MaximumScale(255.0), Equalize(), SubtractMean(59.6), Channels(1)),
]


@pytest.mark.parametrize("intensity", INTENSITIES)
def test_intensity_equals_numpy(intensity):
    preprocessing = Preprocessing((), intensity)
    pictures = np.stack([smooth_noise(30, 20, seed) for seed in range(3)]) / np.float32(65535)
    pictures[1] *= 0.3
    pictures = np.concatenate([pictures, np.zeros((1, 30, 20)), np.full((1, 30, 20), 0.4)]).astype(np.float32)
    expected = np.stack([preprocessing.intensity(picture) for picture in pictures])
    result = graph.intensity(preprocessing, tf.constant(pictures)).numpy()
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["g_pred_ddsm_96x75", "g_pred_inbreast_96x75"])
def test_legacy_in_the_graph(name):
    picture = cv2.imread(str(GOLDEN / "mammo16.png"), cv2.IMREAD_UNCHANGED)
    with np.load(GOLDEN / "preprocess.npz") as arrays:
        answer = arrays[name]
    preset = Preprocessing.preset("legacy", (96, 75), mean=52.18 if "ddsm" in name else 44.33)
    result = graph.preprocess(preset, tf.constant(picture)).numpy()
    np.testing.assert_allclose(result, answer, rtol=0, atol=0.004)


@pytest.mark.parametrize("preset", ["legacy", "default"])
def test_a_large_reduction(preset):
    preprocessing = Preprocessing.preset(preset, (288, 224)).for_graph()
    picture = smooth_noise(1024, 832, 7)
    expected = preprocessing.geometry(picture).picture
    result = graph.geometry(preprocessing, tf.constant(picture)).numpy()
    assert np.abs(result - expected).max() <= A_HUNDREDTH_LEVEL


def test_saved_model_takes_any_size(tmp_path):
    preprocessing = Preprocessing.preset("default", (32, 24)).for_graph()

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


def test_breast_steps_are_refused():
    with pytest.raises(MammoError, match="crop_breast") as caught:
        graph.geometry(Preprocessing.preset("default", (8, 8)), tf.zeros((9, 9), tf.uint16))
    assert caught.value.code == "step_not_in_graph"

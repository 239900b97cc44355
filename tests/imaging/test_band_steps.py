"""Contrast bands as a step: what it takes, where it may stand, and that it is given the breast."""

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.band_steps import ContrastBands
from mammo_tf.imaging.geometry_steps import CropBreast, FindBreast, Fit, MaskBreast, Patch, Resize, ThresholdBox
from mammo_tf.imaging.intensity_steps import Channels, Equalize, HistogramLookup, MaximumScale, Scale, SubtractMean
from mammo_tf.imaging.periphery_steps import Periphery

BANDS = ContrastBands((1.0, 2.0), (2.0, 1.0))
SKIN = Periphery((16.0, 4.0), ((0.1,) * 7, (0.0,) * 7))
LOOKUP = HistogramLookup(tuple((np.linspace(0, 1, 4096) ** 0.8 * 4095).tolist()))


def refused(function, *arguments):
    with pytest.raises(MammoError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("scales", "gains"),
    [
        ((), ()),
        ((1.0,), (1.0, 2.0)),
        ((1.0, 1.0), (1.0, 1.0)),
        ((2.0, 1.0), (1.0, 1.0)),
        ((0.0, 1.0), (1.0, 1.0)),
        ((-1.0, 1.0), (1.0, 1.0)),
        ((1.0, np.inf), (1.0, 1.0)),
        ((np.nan,), (1.0,)),
        ((0.01,), (1.0,)),
        ((1.0, 1e6), (1.0, 1.0)),
        ((1.0,), (np.inf,)),
        ((1.0,), (0.0,)),
        ((1.0,), (-1.0,)),
    ],
)
def test_wrong_parameters(scales, gains):
    error = refused(ContrastBands, scales, gains)
    assert error.code == "step_parameter_wrong"
    assert "contrast_bands" in error.sentence


@pytest.mark.parametrize("scales", ["0.8", [0.8, "1.6"], None, {"mm": 0.8}])
def test_wrong_json(scales):
    value = {"geometry": [], "intensity": [{"step": "contrast_bands", "scales": scales, "gains": [1.0, 1.0]}]}
    assert refused(Preprocessing.from_json, value).code == "step_parameter_wrong"


def test_json_gives_whole_numbers_back_as_numbers():
    value = {"step": "contrast_bands", "scales": [1, 2], "gains": [2, 1]}
    steps = {"geometry": [{"step": "find_breast"}], "intensity": [value, {"step": "channels", "channels": 1}]}
    assert Preprocessing.from_json(steps).intensity_steps[0] == BANDS


@pytest.mark.parametrize("geometry", [(), (Resize(8, 8),), (ThresholdBox(), Fit(8, 8))])
def test_a_geometry_that_never_looks_for_the_breast_is_refused(geometry):
    error = refused(Preprocessing, geometry, (BANDS, Channels(1)))
    assert error.code == "breast_missing"
    assert "find_breast, crop_breast, mask_breast" in error.remedy


@pytest.mark.parametrize("step", [FindBreast(), CropBreast(), MaskBreast()])
def test_a_geometry_that_looks_for_the_breast(step):
    preprocessing = Preprocessing((step, Fit(8, 8)), (BANDS, Channels(1)))
    assert preprocessing.needs_breast
    assert preprocessing.finds_breast
    assert refused(preprocessing.for_graph).code == "breast_missing"


def test_who_cuts_a_patch_cuts_its_breast():
    preprocessing = Preprocessing((Patch(8, 8),), (BANDS, Channels(1)))
    assert not preprocessing.finds_breast
    assert refused(preprocessing, np.full((8, 8), 0.5)).code == "breast_missing"


@pytest.mark.parametrize(
    ("intensity", "where"),
    [
        ((Scale(255), BANDS), "behind 'scale'"),
        ((LOOKUP, MaximumScale(255.0), Equalize(), BANDS), "behind 'maximum_scale'"),
        ((BANDS, SubtractMean(0.1), BANDS), "behind 'mean'"),
        ((SKIN, BANDS), "the intensity step 'contrast_bands' stands behind 'periphery'"),
        ((SKIN, LOOKUP), "in front of 'histogram_lookup'"),
        ((Scale(255), SKIN), "the intensity step 'periphery' stands behind 'scale'"),
        ((BANDS, LOOKUP), "in front of 'histogram_lookup'"),
    ],
)
def test_the_order_of_steps(intensity, where):
    error = refused(Preprocessing, (FindBreast(),), (*intensity, Channels(1)))
    assert error.code == "step_order_wrong"
    assert where in error.sentence


def test_the_step_is_given_the_breast_that_geometry_found():
    rows, columns = np.mgrid[:300, :200]
    inside = ((rows - 150) / 120) ** 2 + (columns / 120) ** 2 < 1
    texture = 0.4 + 0.2 * ((rows // 6 + columns // 6) % 2)
    pixels = np.where(inside, texture, 0.02)  # what lies outside is not black
    preprocessing = Preprocessing((FindBreast(), Fit(150, 100)), (LOOKUP, BANDS, Scale(255), Channels(1)))
    prepared = preprocessing.geometry(pixels)
    network_input = preprocessing(pixels)[..., 0]
    np.testing.assert_array_equal(
        network_input, preprocessing.intensity(prepared.picture, prepared.breast_mask.astype(np.uint8))[..., 0]
    )
    assert not network_input[~prepared.breast_mask].any()
    deep = (((rows - 150) / 100) ** 2 + (columns / 100) ** 2 < 1)[::2, ::2]
    plain = Preprocessing((FindBreast(),), (LOOKUP, Scale(255), Channels(1))).intensity(prepared.picture)[..., 0]
    assert network_input[deep].std() > 1.1 * plain[deep].std()
    unchanged = Preprocessing((FindBreast(),), (ContrastBands((1.0, 4.0), (1.0, 1.0)), Channels(1)))
    back = unchanged.intensity(prepared.picture, prepared.breast_mask)[..., 0]
    np.testing.assert_allclose(back, np.where(prepared.breast_mask, prepared.picture, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("breast", "code"),
    [
        (None, "breast_missing"),
        (np.ones((4, 6), np.bool_), "breast_wrong"),
        (np.ones((1, 6, 4), np.bool_), "breast_wrong"),
        (np.zeros((6, 4), np.bool_), "breast_wrong"),
        (np.full((6, 4), 255, np.uint8), "breast_wrong"),
        (np.full((6, 4), np.nan), "breast_wrong"),
    ],
)
def test_a_wrong_breast(breast, code):
    preprocessing = Preprocessing((FindBreast(),), (BANDS, Channels(1)))
    assert refused(preprocessing.intensity, np.full((6, 4), 0.5), breast).code == code
    plain = Preprocessing((), (Scale(255), Channels(1)))
    assert not plain.needs_breast
    assert plain.intensity(np.full((6, 4), 0.5), breast).shape == (6, 4, 1)

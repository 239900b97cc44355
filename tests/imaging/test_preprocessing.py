import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing, steps
from mammo_tf.imaging.band_steps import ContrastBands
from mammo_tf.imaging.breast import box, segment_by_threshold
from mammo_tf.imaging.geometry_steps import (
    CropBreast,
    FindBreast,
    Fit,
    MaskBreast,
    Patch,
    Place,
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
from mammo_tf.imaging.periphery_steps import Periphery
from mammo_tf.imaging.preprocessing import PRESETS
from mammo_tf.imaging.warp import map_points

GOLDEN = Path(__file__).parents[1] / "golden" / "end2end"
ONE_LEVEL = 0.004  # one level of a 16-bit file after x 0.003891: README, tolerances


@pytest.fixture(scope="module")
def answers():
    with np.load(GOLDEN / "preprocess.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def mammo16():
    return cv2.imread(str(GOLDEN / "mammo16.png"), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def mammo12():
    return cv2.imread(str(GOLDEN / "mammo12.png"), cv2.IMREAD_UNCHANGED)


def plain(*geometry, intensity=(), channels=1):
    return Preprocessing(tuple(geometry), (*intensity, Channels(channels)))


RAW = (Scale(65535),)
TO_255 = (Scale(65535, 0.003891),)


def test_rescaled(answers, mammo16):
    result = plain(Resize(192, 150), intensity=TO_255)(mammo16)[..., 0]
    np.testing.assert_allclose(result, answers["a_size192x150_rescale"], atol=ONE_LEVEL)


def test_by_height_on_the_levels_of_the_file(answers, mammo16):
    result = plain(ResizeHeight(150), intensity=RAW)(mammo16)[..., 0]
    np.testing.assert_allclose(result, answers["b_height150_raw"], atol=1.01)


def test_maximum_scale(answers, mammo16, mammo12):
    result = plain(ResizeHeight(150), intensity=(MaximumScale(255.0),))(mammo16)[..., 0]
    np.testing.assert_allclose(result, answers["c_height150_scale255"], atol=ONE_LEVEL)
    result = plain(ResizeHeight(150), intensity=(MaximumScale(4095.0),))(mammo12)[..., 0]
    np.testing.assert_allclose(result, answers["d_12bit_height150_scale4095"], atol=1.01)


def test_eight_top_bits(answers, mammo16):
    steps_255 = (TopBits(), Resize(144, 112, levels=255))
    result = plain(*steps_255, intensity=(Scale(255),))(mammo16)[..., 0]
    difference = np.abs(result - answers["e_gs255_144x112"])
    assert difference.max() < 1.001  # OpenCV's 8-bit path is fixed-point arithmetic
    assert (difference > 1e-3).mean() < 0.005


def test_full_size(answers, mammo16):
    result = plain(Resize(1152, 896), intensity=TO_255)(mammo16)[..., 0]
    np.testing.assert_allclose(result[500:560, 300:380], answers["f_1152x896_rescale_crop"], atol=ONE_LEVEL)
    statistics = [result.mean(dtype=float), result.std(dtype=float), result.min(), result.max()]
    np.testing.assert_allclose(statistics, answers["f_1152x896_rescale_stats"], atol=1e-3)
    np.testing.assert_allclose(result.mean(1, dtype=float), answers["f_1152x896_rescale_rowmean"], atol=1e-3)
    np.testing.assert_allclose(result.mean(0, dtype=float), answers["f_1152x896_rescale_colmean"], atol=1e-3)


@pytest.mark.parametrize(("name", "mean"), [("g_pred_ddsm_96x75", 52.18), ("g_pred_inbreast_96x75", 44.33)])
def test_legacy_preset(answers, mammo16, name, mean):
    legacy = Preprocessing.preset("legacy", (96, 75), mean=mean)
    np.testing.assert_allclose(legacy(mammo16), answers[name], atol=ONE_LEVEL)
    np.testing.assert_allclose(legacy(mammo16 / 65535), answers[name], atol=ONE_LEVEL)


def test_legacy_batch_in_iterator_order(answers):
    legacy = Preprocessing.preset("legacy", (48, 40))
    batch = np.stack([legacy(picture) for picture in answers["l_iter_files"]])
    np.testing.assert_allclose(batch, answers["l_iter_x"], atol=ONE_LEVEL)


def test_equalized(answers, mammo16):
    intensity = (MaximumScale(255.0), Equalize(), SubtractMean(59.6))
    result = plain(Resize(144, 112), intensity=intensity)(mammo16)
    difference = np.abs(result - answers["h_pred_equalize_144x112"])
    assert difference.max() < 1.001
    assert (difference > 1e-3).mean() < 0.005


def test_one_channel_of_12_bits(answers, mammo12):
    intensity = (MaximumScale(255.0), SubtractMean(52.18))
    result = plain(Resize(144, 112), intensity=intensity)(mammo12)
    np.testing.assert_allclose(result, answers["i_pred_1ch_12bit"], atol=255 / 4095 + 1e-3)
    assert (np.abs(result - answers["i_pred_1ch_12bit"]) > 1e-3).mean() < 0.005


def test_the_right_size_already(answers, mammo12):
    result = plain(Resize(300, 240), intensity=(Scale(65535, 255 / 4095),))(mammo12)[..., 0]
    np.testing.assert_allclose(result[100:140, 0:120], answers["j_same_size_noresize"], atol=1e-3)


def test_threshold_segmentation(answers, mammo16):
    picture = plain(ResizeHeight(300), intensity=RAW)(mammo16)[..., 0]
    mask = segment_by_threshold(picture)
    top, bottom, left, right = box(mask)
    assert [left, top, right - left, bottom - top] == answers["k_segment_bbox"].tolist()
    cropped = np.where(mask, picture, 0)[top:bottom, left:right]
    assert sorted(cropped.shape) == sorted(answers["k_segment_shape"].tolist())
    np.testing.assert_allclose(cropped.mean(1, dtype=float), answers["k_segment_rowmean"], atol=1)


def breast_picture(rows=300, columns=200, side="left"):
    row, column = np.mgrid[:rows, :columns]
    inside = ((row - rows / 2) / (0.4 * rows)) ** 2 + (column / (0.6 * columns)) ** 2 < 1
    picture = np.where(inside, 0.5, 0.0)
    return picture if side == "left" else picture[:, ::-1]


@pytest.mark.parametrize("side", ["left", "right"])
def test_default_preset_pads_away_from_the_chest_wall(side):
    default = Preprocessing.preset("default", (100, 90), mean=0.0, channels=1)
    picture = breast_picture(side=side)
    result = default.geometry(picture)
    assert result.picture.shape == result.breast_mask.shape == default.size == (100, 90)
    edge = result.picture[:, 0] if side == "left" else result.picture[:, -1]
    assert edge.mean() > 0.3
    far = result.picture[:, -20:] if side == "left" else result.picture[:, :20]
    assert far.max() == 0
    places = np.argwhere(result.breast_mask)[:, ::-1]
    stored = np.rint(map_points(result.affine, places)).astype(int)
    inside = picture[stored[:, 1].clip(0, 299), stored[:, 0].clip(0, 199)] > 0
    assert inside.mean() > 0.95


def test_affine_maps_prepared_to_stored():
    picture = np.zeros((400, 300), np.float32)
    picture[50:350, 0:200] = 0.3
    picture[180:204, 76:100] = 1.0
    for step in (Fit(100, 100), Resize(57, 91, "area"), Resize(800, 600), ResizeHeight(120)):
        result = plain(ThresholdBox(), step).geometry(picture)
        weight = np.where(result.picture > 0.4, result.picture - 0.3, 0)
        row, column = np.mgrid[: weight.shape[0], : weight.shape[1]]
        centre = [(column * weight).sum() / weight.sum(), (row * weight).sum() / weight.sum()]
        np.testing.assert_allclose(map_points(result.affine, np.array(centre)), [87.5, 191.5], atol=0.5)


def test_geometry_lies_on_the_grid_of_16_bits(mammo16):
    for preset in ("legacy", "default"):
        picture = Preprocessing.preset(preset, (96, 80)).geometry(mammo16).picture
        assert picture.dtype == np.float32
        stored = np.rint(picture * 65535).astype(np.uint16)
        np.testing.assert_array_equal(stored / np.float32(65535), picture)


def test_eight_bits_are_raised_to_sixteen(mammo16):
    eight = (mammo16 >> 8).astype(np.uint8)
    legacy = Preprocessing.preset("legacy", (96, 75))
    np.testing.assert_array_equal(legacy(eight), legacy(eight.astype(np.uint16) * 257))
    np.testing.assert_array_equal(legacy(eight), legacy(eight / np.float32(255)))


ALL = Preprocessing(
    (FindBreast(), MaskBreast(), CropBreast(0.1), ThresholdBox(0.03, 0.1), TopBits(), Fit(9, 8),
     ResizeHeight(7), Resize(5, 6, "area", 255), Place(9, 9), Patch(3, 4, 9)),
    (HistogramLookup((0.1, 1 / 3, 4095.0), keep_black=True), HistogramMatch((0.1, 1 / 3, 1.0)),
     ContrastBands((0.8, 5 / 3), (1 / 3, 1.0)), Periphery((16 / 3,), ((1 / 3,) * 7,)), Scale(255, 0.1),
     MaximumScale(255.0), Equalize(), SubtractMean(1 / 7), Channels(1)),
)  # fmt: skip


def test_json_both_ways():
    text = json.dumps(ALL.to_json())
    back = Preprocessing.from_json(json.loads(text))
    assert back == ALL
    assert back.digest() == ALL.digest()
    assert len(ALL.digest()) == 64
    assert {step.name for step in (*ALL.geometry_steps, *ALL.intensity_steps)} == {*steps.GEOMETRY, *steps.INTENSITY}
    presets = [Preprocessing.preset(name, (5, 6)) for name in PRESETS]
    assert len({preset.digest() for preset in (ALL, *presets)}) == 1 + len(PRESETS)


def test_what_a_graph_does_to_the_last_level():
    default = Preprocessing.preset("default", (5, 6))
    assert default.for_graph() == Preprocessing.preset("graph", (5, 6))
    assert [step.name for step in default.for_graph().geometry_steps] == ["threshold_box", "fit"]
    legacy = Preprocessing.preset("legacy", (5, 6))
    assert legacy.for_graph() == legacy
    assert legacy.channels == 3
    assert ALL.size == (3, 4)
    assert plain(ResizeHeight(7)).size is None


def test_histogram_lookup():
    table = tuple(np.linspace(0, 4095, 4096) ** 2 / 4095)
    step = HistogramLookup(table)
    values = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64)
    np.testing.assert_allclose(step.intensity(values), values**2, atol=1e-6)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("preprocessing_broken", {"geometry": []}),
        ("step_unknown", {"geometry": [{"step": "resise"}], "intensity": []}),
        ("step_unknown", {"geometry": [{"step": "scale", "levels": 255}], "intensity": []}),
        ("step_unknown", {"geometry": ["resize"], "intensity": []}),
        ("step_parameter_unknown", {"geometry": [{"step": "resize", "rows": 1, "colums": 2}], "intensity": []}),
        ("step_parameter_missing", {"geometry": [{"step": "resize", "rows": 1}], "intensity": []}),
        ("step_parameter_wrong", {"geometry": [{"step": "resize", "rows": 1.5, "columns": 2}], "intensity": []}),
        ("step_parameter_wrong", {"geometry": [{"step": "resize", "rows": 0, "columns": 2}], "intensity": []}),
        ("step_parameter_wrong", {"geometry": [{"step": "resize", "rows": True, "columns": 2}], "intensity": []}),
        ("step_parameter_wrong", {"geometry": [], "intensity": [{"step": "histogram_lookup", "table": "abc"}]}),
        ("step_parameter_wrong", {"geometry": [], "intensity": [{"step": "histogram_lookup", "table": [0.0, 5000.0]}]}),
        ("channels_missing", {"geometry": [], "intensity": [{"step": "scale", "levels": 255}]}),
    ],
)  # fmt: skip
def test_bad_descriptions(code, value):
    with pytest.raises(MammoError) as caught:
        Preprocessing.from_json(value)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((2, 3, 3)), np.zeros((0, 4)), np.full((4, 4), 1.1), np.full((4, 4), np.nan), np.full((4, 4), -1e-3),
     np.zeros((4, 4), np.int32)],
)  # fmt: skip
def test_bad_pixels(pixels):
    with pytest.raises(MammoError) as caught:
        Preprocessing.preset("legacy", (8, 8))(pixels)
    assert caught.value.code == "pixels_wrong"


def test_a_blank_picture_is_no_breast():
    with pytest.raises(MammoError) as caught:
        Preprocessing.preset("default", (8, 8))(np.zeros((90, 70)))
    assert caught.value.code == "breast_not_found"
    assert not Preprocessing.preset("default", (8, 8), mean=0.0).for_graph()(np.zeros((90, 70))).any()


def test_unknown_preset():
    with pytest.raises(MammoError, match="legasy"):
        Preprocessing.preset("legasy", (8, 8))

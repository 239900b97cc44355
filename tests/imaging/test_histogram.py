import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mammo_tf.errors import MammoError
from mammo_tf.imaging.histogram import RULES, average_cdf, match, matching_lut

GOLDEN = Path(__file__).parents[1] / "golden" / "histogram"
ARRAYS = dict(np.load(GOLDEN / "histogram.npz"))
TINY = json.loads((GOLDEN / "tiny_exact.json").read_text())["cases"]
WEIGHTS = {"mean": "image", "pooled": "pixel"}
SOURCES = [ARRAYS[f"src{i}"] for i in range(3)]
REFERENCES = {
    "4096": [ARRAYS[f"ref4096_{i}"] for i in range(4)],
    "256": [ARRAYS[f"ref256_{i}"] for i in range(3)],
}


def background_of(masked):
    return 0 if masked == "bg0" else None


def source_cdf(masked, kind):
    images = SOURCES[:1] if kind == "own0" else SOURCES
    return average_cdf(images, 4096, background_of(masked), WEIGHTS.get(kind, "image"))


def reference_cdf(masked, levels, kind):
    if levels == "single4096":
        return average_cdf(REFERENCES["4096"][:1], 4096, background_of(masked))
    return average_cdf(REFERENCES[levels], int(levels), background_of(masked), WEIGHTS[kind])


@pytest.mark.parametrize("name", [name for name in ARRAYS if name.startswith(("FS_", "FR_"))])
def test_average_cdf(name):
    parts = name.split("_")
    cdf = source_cdf(*parts[1:]) if parts[0] == "FS" else reference_cdf(*parts[1:])
    np.testing.assert_allclose(cdf, ARRAYS[name], rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in ARRAYS if name.startswith("lut_") and "rawinterp" not in name])
def test_matching_lut(name):
    _, masked, kind, _, levels, reference_kind, rule = name.split("_")
    source, reference = source_cdf(masked, kind), reference_cdf(masked, levels, reference_kind)
    lut, answer = matching_lut(source, reference, rule), ARRAYS[name]
    apart = np.ones(lut.size, bool)
    if masked == "bg0":
        apart[0] = False  # the level of background, which `match` leaves alone
    if rule in ("last", "exact"):  # these jump where F_S meets a plateau's value: README, tolerances
        apart &= np.abs(source[:, None] - np.unique(reference)[None, :]).min(axis=1) > 1e-12
    assert apart.mean() > 0.05
    np.testing.assert_allclose(lut[apart], answer[apart], rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", TINY)
@pytest.mark.parametrize("rule", RULES)
def test_tiny_cases(case, rule):
    source = np.cumsum(case["source_counts"]) / np.sum(case["source_counts"])
    reference = np.cumsum(case["reference_counts"]) / np.sum(case["reference_counts"])
    lut, answer = matching_lut(source, reference, rule), np.array(case["lut_float"][rule])
    apart = np.abs(source[:, None] - reference[None, :]).min(axis=1) > 1e-12
    if rule not in ("last", "exact"):
        apart[:] = True
    np.testing.assert_allclose(lut[apart], answer[apart], rtol=0, atol=1e-12)


def test_as_scikit_image_does():
    lut = matching_lut(source_cdf("all", "own0"), reference_cdf("all", "single4096", ""), "support")
    np.testing.assert_allclose(lut[SOURCES[0]], ARRAYS["skimage_src0_to_ref4096_0"], rtol=0, atol=1e-10)
    lut = matching_lut(source_cdf("bg0", "own0"), reference_cdf("bg0", "single4096", ""), "support")
    breast = SOURCES[0][SOURCES[0] > 0]
    np.testing.assert_allclose(lut[breast], ARRAYS["skimage_src0_to_ref4096_0_bg0"], rtol=0, atol=1e-10)


def test_match_integers_and_floats():
    lut = matching_lut(source_cdf("bg0", "mean"), reference_cdf("bg0", "4096", "mean"))
    image = SOURCES[1]
    whole = match(image, lut, background=0)
    assert whole.dtype == image.dtype
    np.testing.assert_array_equal(whole, np.rint(lut)[image] * (image > 0))
    floats = match((image / 4095).astype(np.float32), lut, background=0.0)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, lut[image] / 4095 * (image > 0), atol=1e-7)


def test_match_to_another_number_of_levels():
    lut = matching_lut(source_cdf("all", "mean"), reference_cdf("all", "256", "mean"))
    assert match(SOURCES[0] / 4095, lut, levels=256).max() <= 1
    back = matching_lut(reference_cdf("all", "256", "mean"), source_cdf("all", "mean"))
    assert match(REFERENCES["256"][0], back).dtype == np.uint16


@pytest.mark.parametrize("shape", [(0, 5), (7,), (2, 3, 4), (2, 1, 3, 600)])
def test_match_takes_any_shape(shape):
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    found = match(image, np.arange(4096.0)[::-1], background=0)
    np.testing.assert_array_equal(found, np.where(image == 0, 0, 4095 - image))
    assert found.shape == shape


def test_floats_and_integers_are_counted_alike():
    floats = average_cdf((image / 4095 for image in SOURCES), background=0.0)
    np.testing.assert_array_equal(floats, average_cdf(SOURCES, background=0))


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 31)),
    arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 31)),
    st.sampled_from(RULES),
)
def test_laws(source, reference, rule):
    source_average, reference_average = average_cdf([source], 32), average_cdf([reference], 32)
    lut = matching_lut(source_average, reference_average, rule)
    assert (np.diff(lut) >= -1e-9).all()
    assert lut.min() >= 0
    assert lut.max() <= 31
    if rule == "first":
        assert lut.max() <= reference.max()
        used = np.unique(source)
        own = matching_lut(source_average, source_average, rule)[used]
        np.testing.assert_allclose(own, used, atol=1e-9)


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("images_missing", lambda: average_cdf([])),
        ("image_empty", lambda: average_cdf([np.zeros((3, 3))], background=0)),
        ("levels_wrong", lambda: average_cdf([np.full((2, 2), 4096)])),
        ("levels_wrong", lambda: average_cdf([np.full((2, 2), np.nan)])),
        ("levels_wrong", lambda: average_cdf([np.zeros((2, 2), bool)])),
        ("levels_wrong", lambda: match(np.full((2, 2), 9), np.arange(4.0))),
        ("levels_wrong", lambda: match(np.zeros((2, 2), np.uint16), np.arange(4.0), background=4)),
        ("levels_wrong", lambda: match(np.zeros((2, 2), np.uint8), np.arange(4.0), background=-1)),
        ("weight_unknown", lambda: average_cdf([np.zeros((2, 2))], weight="mean")),
        ("rule_unknown", lambda: matching_lut(np.array([0.5, 1]), np.array([0.5, 1]), "raw")),
        ("cdf_wrong", lambda: matching_lut(np.array([0.5, 0.9]), np.array([0.5, 1]))),
    ],
)
def test_bad_input(code, call):
    with pytest.raises(MammoError) as caught:
        call()
    assert caught.value.code == code

"""OpenBreast's features against the golden answers, the definition of each once more in plain loops, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mammo_tf.errors import MammoError
from mammo_tf.radiomics import FEATURES_32, FEATURES_34, OpenBreastFeatures, features
from mammo_tf.radiomics.fractal import surface_areas
from mammo_tf.radiomics.regions import inner_breast, largest_square, scaled, standardised, window, window_centres
from mammo_tf.radiomics.texture import (
    COOCCURRENCE_NAMES,
    RUN_NAMES,
    Cooccurrence,
    cooccurrence_counts,
    cooccurrence_features,
    run_length_features,
    runs_of,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "openbreast"
SHAPE = (300, 220)
ON_BIN_BORDERS = ("ient", *COOCCURRENCE_NAMES, *RUN_NAMES)


class Case:
    """One golden view with its masks."""

    def __init__(self, number: int) -> None:
        with np.load(GOLDEN / f"case{number}.npz") as file:
            self.stored = {name: file[name] for name in file.files}
        self.image = self.stored["image"].astype(np.float64)
        self.names = [str(name) for name in self.stored["feature_names"]]
        self.answers = dict(zip(map(str, self.stored["variant_names"]), self.stored["features"], strict=True))

    def mask(self, name: str) -> np.ndarray:
        if name == "nomask":
            return np.ones(SHAPE, bool)
        key = {"mask": "mask_packed", "segmask": "seg_mask_packed"}.get(name, f"{name}_mask_packed")
        return np.unpackbits(self.stored[key])[: SHAPE[0] * SHAPE[1]].reshape(SHAPE).astype(bool)


@pytest.fixture(scope="module", params=[0, 1, 2], ids=["left CC", "right CC", "left MLO"])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_every_stored_variant(case: Case) -> None:
    checked = 0
    for variant, answer in case.answers.items():
        kind, region, *rest = variant.split("_")
        pitch = float(rest[-1][1:])
        image, mask = case.image, case.mask(region) if not region.startswith("multi") else case.mask("mask")
        if kind == "unit":
            image = (image - image.min()) / np.ptp(image)
        elif kind == "zscore":
            image = standardised(image, mask)
        if rest[0].startswith("scale"):
            image, mask = scaled(image, mask, float(rest[0][5:]))
        if "multi" in variant:
            spacing, side = (64, 32) if "64x32" in variant else (128, 63)
            mask = case.mask("er31") if "er31" in variant else mask
            side += 1 - side % 2
            parts = [window(image, centre, side) for centre in window_centres(mask, spacing, side)]
            found = [features(part, np.ones(part.shape, bool), pitch, case.names) for part in parts]
            values = np.mean([list(row.values()) for row in found], axis=0)
        else:
            values = np.array(list(features(image, mask, pitch, case.names).values()))
        for name, value, expected in zip(case.names, values, answer, strict=True):
            exact = kind == "raw" or name not in ON_BIN_BORDERS
            tolerance = {"rel": 1e-8 if exact else 1e-3, "abs": 1e-12 if name == "iavg" else 0}
            assert value == pytest.approx(expected, **tolerance), (variant, name)
        checked += 1
    assert checked == len(case.answers) >= 13


def test_windows_one_by_one(case: Case) -> None:
    for side, spacing, key in ((33, 64, "multi32"), (63, 128, "multi63")):
        mask = case.mask("er31" if key == "multi63" else "mask")
        centres = window_centres(mask, spacing, side)
        np.testing.assert_array_equal(centres, case.stored[f"{key}_centres_xy"])
        if f"{key}_features" in case.stored:
            for centre, expected in zip(centres, case.stored[f"{key}_features"], strict=True):
                part = window(case.image, centre, side)
                found = features(part, np.ones(part.shape, bool), 0.4, case.names)
                assert list(found.values()) == pytest.approx(expected.tolist(), rel=1e-8)


def test_both_definitions_of_cooccurrence(case: Case) -> None:
    mask = case.mask("mask")
    older = features(case.image, mask, 0.4, COOCCURRENCE_NAMES, cooccurrence="2020")
    assert list(older.values()) == pytest.approx(case.stored["glcm_v2020"].tolist(), rel=1e-8)
    own = cooccurrence_features(case.image, mask, Cooccurrence(levels=32, distance=2))
    assert list(own.values()) == pytest.approx(case.stored["glcm_d2_n32"].tolist(), rel=1e-8)


def test_run_lengths_at_32_levels_and_broken_at_gaps(case: Case) -> None:
    mask = case.mask("mask")
    fewer = run_length_features(case.image, mask, levels=32)
    assert list(fewer.values()) == pytest.approx(case.stored["glrl_n32"].tolist(), rel=1e-8)
    broken = features(case.image, mask, 0.4, RUN_NAMES, joined_runs=False)
    assert list(broken.values()) == pytest.approx(case.stored["glrl_split_runs"].tolist(), rel=1e-8)


def test_the_steps_of_fdim_and_the_variant_without_antialiasing(case: Case) -> None:
    surface = surface_areas(case.image, case.mask("mask"), 0.4)
    np.testing.assert_allclose(surface.pixel_mm, case.stored["fdim_eps"])
    np.testing.assert_allclose(surface.differences, case.stored["fdim_absdiff_sum"], rtol=1e-10)
    np.testing.assert_array_equal(surface.counts, case.stored["fdim_mask_count"])
    np.testing.assert_allclose(surface.areas, case.stored["fdim_area"], rtol=1e-10)
    plain = features(case.image, case.mask("mask"), 0.4, "fdim", antialias=False)["fdim"]
    assert plain == pytest.approx(float(case.stored["fdim_no_antialias"]), rel=1e-8)


def test_regions(case: Case) -> None:
    np.testing.assert_array_equal(inner_breast(case.mask("mask")), case.mask("er31"))
    if "sq_mask_packed" in case.stored:
        np.testing.assert_array_equal(largest_square(case.mask("er31")), case.mask("sq"))


def test_counts_of_pairs_and_runs() -> None:
    case = Case(0)
    mask = case.mask("mask")
    inside = case.image[mask]
    slope = 128 / np.ptp(inside)
    levels = np.clip(np.floor(slope * case.image + 1 - slope * inside.min()), 1, 128).astype(np.intp) - 1
    np.testing.assert_array_equal(cooccurrence_counts(levels, mask, Cooccurrence()), case.stored["glcm_counts"])
    slope = 255 / np.ptp(inside)
    levels = np.clip(np.floor(slope * inside + 1 - slope * inside.min() + 0.5), 1, 256).astype(np.intp)
    for number, (level, length) in enumerate(runs_of(levels, mask), 1):
        expected = case.stored[f"glrl_counts_{number}"]
        np.testing.assert_array_equal(_table(level, length, *expected.shape), expected)


def test_the_tiny_pictures() -> None:
    with np.load(GOLDEN / "tiny_runs.npz") as tiny:
        for name, levels in (("demo", tiny["demo_levels"]), ("rand", tiny["rand_levels0"] + 1)):
            mask = tiny[f"{name}_mask"].astype(bool)
            for number, (level, length) in enumerate(runs_of(levels[mask], mask), 1):
                key = f"{name}_runs_masked_{number}" if name == "demo" else f"{name}_runs_{number}"
                np.testing.assert_array_equal(_table(level, length, *tiny[key].shape), tiny[key])
        whole = np.ones(tiny["demo_levels"].shape, bool)
        for number, (level, length) in enumerate(runs_of(tiny["demo_levels"].ravel(), whole), 1):
            key = f"demo_runs_full_{number}"
            np.testing.assert_array_equal(_table(level, length, *tiny[key].shape), tiny[key])
        counts = cooccurrence_counts(
            tiny["rand_levels0"].astype(np.intp), tiny["rand_mask"].astype(bool), Cooccurrence(levels=6)
        )
        np.testing.assert_array_equal(np.moveaxis(counts, 0, -1), tiny["rand_glcm"])


def _table(level: np.ndarray, length: np.ndarray, levels: int, longest: int) -> np.ndarray:
    counts = np.zeros((levels, longest), np.int64)
    np.add.at(counts, (level.astype(np.int64) - 1, length - 1), 1)
    return counts


@settings(max_examples=40, deadline=None)
@given(
    npst.arrays(np.int64, (9, 7), elements=st.integers(1, 4)),
    npst.arrays(np.bool_, (9, 7)),
    st.booleans(),
)
def test_runs_are_those_of_a_plain_loop(levels: np.ndarray, mask: np.ndarray, joined: bool) -> None:
    mask[0, 0] = True
    steps = ((0, 1), (-1, 1), (1, 0), (1, 1))
    for (level, length), (down, across) in zip(runs_of(levels[mask], mask, joined), steps, strict=True):
        expected = []
        for first in np.ndindex(9, 7):
            row, column = first
            if 0 <= row - down < 9 and 0 <= column - across < 7:
                continue
            line = []
            while 0 <= row < 9 and 0 <= column < 7:
                line.append(int(levels[row, column]) if mask[row, column] else 0)
                row, column = row + down, column + across
            if joined:
                line = [value for value in line if value]
            start = 0
            for place in range(1, len(line) + 1):
                if place == len(line) or line[place] != line[start]:
                    if line[start]:
                        expected.append((line[start], place - start))
                    start = place
        assert sorted(zip(level.tolist(), length.tolist(), strict=True)) == sorted(expected)


def test_grey_levels_may_be_shifted_and_stretched() -> None:
    """Shape, texture and density do not change when 2 x + 100 is looked at instead of x."""
    case = Case(2)
    mask = case.mask("mask")
    one, other = (features(picture, mask, 0.4) for picture in (case.image, 2 * case.image + 100))
    for name in ("ient", "iba1", "iba2", "iske", "ikur", *COOCCURRENCE_NAMES, *RUN_NAMES, "pd"):
        assert other[name] == pytest.approx(one[name], rel=1e-9), name
    for name in ("iran", "istd", "sgra", "slap", "swas", "stev"):
        assert other[name] == pytest.approx(2 * one[name], rel=1e-9), name


def test_what_lies_far_outside_the_mask_does_not_count() -> None:
    case = Case(0)
    mask = np.zeros(SHAPE, bool)
    mask[140:170, 40:70] = True
    changed = case.image.copy()
    changed[:, 215:] = 0
    for name, value in features(case.image, mask, None).items():
        assert features(changed, mask, None)[name] == value, name


def test_names_and_sets() -> None:
    case = Case(0)
    mask = case.mask("mask")
    assert len(FEATURES_34) == 34
    assert FEATURES_34[:32] == FEATURES_32
    assert tuple(features(case.image, mask, 0.4)) == FEATURES_34
    assert tuple(features(case.image, mask)) == FEATURES_32
    assert tuple(features(case.image, mask, 0.4, ("pd", "imin"))) == ("pd", "imin")
    assert features(case.image, mask, (0.4, 0.4), "pd") == features(case.image, mask, 0.4, "pd")


def test_the_transformer_gives_the_same() -> None:
    case = Case(0)
    views = [(case.image, case.mask("mask"), 0.4), (case.image, case.mask("er31"), 0.4)]
    table = OpenBreastFeatures().fit_transform(views)
    assert table.shape == (2, 34)
    assert table[1].tolist() == list(features(*views[1]).values())
    assert tuple(OpenBreastFeatures("32").get_feature_names_out()) == FEATURES_32
    with pytest.raises(MammoError, match="view 1: the mask"):
        OpenBreastFeatures().transform([views[0], (case.image, np.zeros(SHAPE), 0.4)])


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"mask": np.zeros((20, 20))}, "mask_empty", "20x20 is empty"),
        ({"mask": np.ones((20, 19))}, "mask_wrong", "20x19, the picture 20x20"),
        ({"image": np.full((20, 20), 7)}, "constant_pixels", "400 pixels inside the mask are 7, so iske, ikur, cene"),
        ({"image": np.ones((20, 20, 3))}, "pixels_wrong", r"\(20, 20, 3\)"),
        ({"image": np.full((20, 20), np.nan)}, "pixels_wrong", "not finite"),
        ({"names": "imode"}, "feature_unknown", "'imode'"),
        ({"spacing_mm": None, "names": "34"}, "spacing_unknown", "fdim and pd need the size"),
        ({"spacing_mm": 0.0}, "spacing_unknown", "0.0 mm"),
        ({"cooccurrence": "2019"}, "cooccurrence_unknown", "'2019'"),
    ],
)
def test_bad_input_is_one_clear_line(change: dict, code: str, says: str) -> None:
    image = np.random.default_rng(0).integers(0, 4096, (20, 20))
    asked = {"image": image, "mask": np.ones((20, 20), bool), "spacing_mm": 0.4} | change
    with pytest.raises(MammoError, match=says) as caught:
        features(**asked)
    assert caught.value.code == code


def test_constant_pixels_still_have_a_mean() -> None:
    found = features(np.full((9, 9), 7), np.ones((9, 9), bool), names=("iavg", "iran"))
    assert found == {"iavg": 7.0, "iran": 0.0}

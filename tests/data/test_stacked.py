"""Deep stacked transformations: what is drawn, what becomes of a picture, and masks that move along."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mammo_tf.data import (
    Augmentation,
    Deformation,
    StackedTransformations,
    WholeImages,
    big_aug,
    inference_stream,
)
from mammo_tf.data.band_gains import BandGains
from mammo_tf.data.intensity_changes import Gamma
from mammo_tf.errors import MammoError
from mammo_tf.fields import convert, to_json
from mammo_tf.imaging.stacking import blurred, sharpened
from mammo_tf.records import Records

NEUTRAL = {
    "sharpness_first": 1.0, "sharpness_second": 1.0, "sharpness": 0.0, "blur": 0.0, "noise": 0.0,
    "stacked_noise_seed": 0.0, "brightness": 0.0, "contrast": 1.0, "perturbation_scale": 1.0, "perturbation_shift": 0.0,
}  # fmt: skip


def test_a_stack_of_the_published_formulae(golden: Path) -> None:
    """The reference stack, with its own field of noise put in by hand: behind the first three, in front of the rest."""
    with np.load(golden / "baselines" / "bigaug.npz") as file:
        answers = dict(file)
    image = answers["image_x4095"] / 4095
    change = StackedTransformations()
    first = {"sharpness_first": 0.5, "sharpness_second": 1.0, "sharpness": 10.0, "blur": 0.7}
    rest = {"brightness": 0.05, "contrast": 0.8, "perturbation_scale": 1.05, "perturbation_shift": -0.03}
    generator = np.random.default_rng(11)
    quiet = np.rint(image * 65535).astype(np.uint16)
    noise = generator.standard_normal(image.shape)
    found = change.apply(quiet, **{**NEUTRAL, **first, **rest, "noise": 0.05, "stacked_noise_seed": 11.0}) / 65535

    def expected(field: np.ndarray) -> np.ndarray:
        values = blurred(sharpened(image, 0.5, 1.0, 10.0), 0.7) + 0.05 * field
        return np.clip(np.clip(values + 0.05, 0, 1) ** 0.8 * 1.05 - 0.03, 0, 1)

    np.testing.assert_allclose(expected(answers["noise/field"]), answers["stack/intensity"], atol=1e-5)
    np.testing.assert_allclose(found, expected(noise), atol=1e-3)


def test_what_is_not_applied_changes_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 65536, (9, 7)).astype(np.uint16)
    never = StackedTransformations(probability=0.0), Deformation(probability=0.0)
    drawn = [one.draw(np.random.default_rng(1), 4) for one in never]
    for number in range(4):
        values = [{name: column[number] for name, column in one.items()} for one in drawn]
        np.testing.assert_array_equal(never[0].apply(picture, **values[0]), picture)
        assert never[1].apply(picture, **values[1]) is picture


def test_numbers_are_drawn_from_their_ranges_half_of_the_time() -> None:
    change, deformation = StackedTransformations(), Deformation()
    drawn = change.draw(np.random.default_rng(0), 4000) | deformation.draw(np.random.default_rng(1), 4000)
    assert tuple(drawn) == (*change.columns, *deformation.columns)
    ranges = {
        "sharpness": (10, 30, 0), "blur": (0.25, 1.5, 0), "noise": (0.01, 0.1, 0), "brightness": (-0.1, 0.1, 0),
        "contrast": (0.5, 4.5, 1), "perturbation_scale": (0.9, 1.1, 1), "perturbation_shift": (-0.1, 0.1, 0),
        "turn": (-20, 20, 0), "scale": (0.4, 1.6, 1), "elastic_strength": (0, 1000, 0),
    }  # fmt: skip
    for name, (low, high, neutral) in ranges.items():
        moved = drawn[name][drawn[name] != neutral]
        assert 0.45 < len(moved) / 4000 < 0.55, name
        assert low <= moved.min() < low + 0.05 * (high - low), name
        assert high - 0.05 * (high - low) < moved.max() <= high, name
    np.testing.assert_array_equal(drawn["perturbation_scale"] == 1, drawn["perturbation_shift"] == 0)


def test_masks_move_with_their_pictures(records: Records) -> None:
    """What is brighter than a level is the mask here, so that it must stay so."""
    positions = records.positions("train")[:3]
    augmentation = replace(big_aug(), intensity=(), interpolation="nearest", deformation=Deformation(probability=1.0))
    plan = WholeImages(positions, np.zeros(len(positions), np.int64), records.size, augmentation, seed=2)
    first, again = (
        next(iter(inference_stream(records, plan, 3, masks=lambda at: records.picture(at) > 30_000))) for _ in range(2)
    )
    level = records.preprocessing.intensity(np.full((1, 1), 30_000 / 65535, np.float32)).max()
    bright = np.asarray(first["image"])[..., 0] > level + 1e-4
    np.testing.assert_array_equal(bright, np.asarray(first["mask"]) > 0)
    assert 0.01 < bright.mean() < 0.9
    still = np.stack([records.picture(at) > 30_000 for at in np.asarray(first["position"])])
    assert (bright != still).any(axis=(1, 2)).all(), "every picture was deformed"
    for name in ("image", "mask"):
        np.testing.assert_array_equal(first[name], again[name])


def test_a_recipe_can_hold_it() -> None:
    wanted = big_aug()
    assert convert(Augmentation, to_json(wanted), "augmentation") == wanted
    assert convert(Augmentation, to_json(Augmentation()), "augmentation") == Augmentation()
    assert wanted.columns == (*StackedTransformations.columns, *Deformation.columns)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StackedTransformations(blur=(1.5, 0.25)), "blur runs from 1.5 to 0.25"),
        (lambda: StackedTransformations(noise=(-0.1, 1.0)), "noise runs from -0.1, below 0"),
        (lambda: StackedTransformations(contrast=(0.5, float("nan"))), "contrast runs from 0.5 to nan"),
        (lambda: StackedTransformations(probability=1.5), "probability is 1.5"),
        (lambda: StackedTransformations(blur=(0.0, 1e9)), "blur runs from 0 to 1e.09, beyond 1000"),
        (lambda: Deformation(smoothing=(1e300, 1e300)), "smoothing runs from 1e.300 to 1e.300, beyond 1000"),
        (lambda: Deformation(scale=(1e-320, 1.0)), "and it is above 0, 0.01 or more"),
        (lambda: Gamma(1e300), "the spread of gamma is 1e.300, not above 0, up to 1000"),
        (lambda: BandGains(1e300), "the spread of band_gains is 1e.300"),
        (lambda: Deformation(scale=(0.0, 1.0)), "scale runs from 0, and it is above 0"),
        (lambda: Deformation(rotation=-5.0), "rotation runs from 5 to -5"),
        (lambda: Deformation(probability=-0.1), "probability is -0.1"),
        (lambda: Augmentation(rotation=-1.0), "rotation is -1, not from 0 to 360"),
        (lambda: Augmentation(shift=5.0), "shift is 5, not from 0 to 1"),
        (lambda: Augmentation(zoom=1.0), "zoom is 1, not from 0 to 0.99"),
        (lambda: Augmentation(shear=float("nan")), "shear is nan"),
        (lambda: Augmentation(shift_pixels=1e300), "shift_pixels is 1e\\+300"),
        (lambda: replace(big_aug(), intensity=(StackedTransformations(),) * 2), "draw a column of the same name"),
    ],
)
def test_refusals(make: object, words: str) -> None:
    with pytest.raises(MammoError, match=words) as raised:
        make()  # type: ignore[operator]
    assert raised.value.code == "augmentation_wrong"

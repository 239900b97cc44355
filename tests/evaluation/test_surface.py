"""Distances between borders against the golden answers, by hand, and by the laws that they keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import surface
from mammo_tf.evaluation.surface import DISTANCES, border, surface_metrics

KEYS = ("tpr", "precision", "dsc", "hd", "hd95", "asd", "asd_reverse", "assd")
REFERENCE = {
    "hd": "hd", "hd95": "hd95_max_of_directed", "asd": "asd_pred_to_true", "asd_reverse": "asd_true_to_pred",
    "assd": "assd_pooled",
}  # fmt: skip
CLOSED = {"asd_reversed": "asd_reverse", "assd_pooled": "assd"} | {name: name for name in KEYS}
Masks = tuple[np.ndarray, np.ndarray]


def golden_cases() -> dict[str, tuple[dict[str, Any], Masks]]:
    folder = Path(__file__).parents[1] / "golden" / "surface"
    listed = json.loads((folder / "values.json").read_text())
    with np.load(folder / "masks.npz") as packed:
        return {
            name: (
                case,
                tuple(
                    np.unpackbits(packed[f"{name}/{which}"], count=int(np.prod(case["shape"])))
                    .reshape(case["shape"])
                    .astype(bool)
                    for which in ("pred", "true")
                ),
            )
            for name, case in listed.items()
        }  # type: ignore[return-value]


CASES = golden_cases()


@pytest.mark.parametrize("dense", [surface.DENSE, 0.0, 1.0], ids=["as it is", "by transform", "by tree"])
def test_every_golden_case(dense: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface, "DENSE", dense)
    compared = 0
    for name, (case, masks) in CASES.items():
        found = surface_metrics(*masks, case["spacing"])
        assert tuple(found) == KEYS
        for key in ("tpr", "precision", "dsc"):
            assert found[key] == pytest.approx(float(case["overlap"][key]), nan_ok=True, abs=1e-12), name
        expected = case["reference_float64"]["conn1"]
        if expected is None:
            assert all(np.isnan(found[key]) for key in DISTANCES), name
            continue
        for key, theirs in REFERENCE.items():
            assert found[key] == pytest.approx(expected[theirs], abs=1e-9), (name, key)
        pooled = surface_metrics(*masks, case["spacing"], pooled=True)
        assert pooled["hd95"] == pytest.approx(expected["hd95_pooled"], abs=1e-9), name
        assert {key: pooled[key] for key in KEYS if key != "hd95"} == {key: found[key] for key in KEYS if key != "hd95"}
        compared += 1
    assert compared == len(CASES) - 3 == 32, "all but those with an empty mask"


def test_closed_forms_and_other_packages() -> None:
    forms = 0
    for name, (case, masks) in CASES.items():
        found = surface_metrics(*masks, case["spacing"])
        pooled = surface_metrics(*masks, case["spacing"], pooled=True)["hd95"]
        for key, value in case["closed_form"].items():
            if key in CLOSED:
                assert found[CLOSED[key]] == pytest.approx(value, abs=1e-9), (name, key)
                forms += 1
        if case["reference_float64"]["conn1"] is None:
            continue
        medpy, monai = case["medpy"], case["monai"]
        ours = [found["hd"], pooled, found["asd"], found["asd_reverse"], found["assd"]]
        theirs = [medpy[f"{key}_conn1"] for key in ("hd", "hd95", "asd", "asd_reversed", "assd")]
        assert ours == pytest.approx(theirs, abs=1e-9), name
        theirs = [monai[key] for key in ("hd", "hd95", "asd", "asd_reversed", "assd_symmetric")]
        assert [found[key] for key in DISTANCES] == pytest.approx(theirs, rel=1e-5), name
    assert forms > 40


def squares(*corners: tuple[int, int], side: int = 4, size: int = 24) -> list[np.ndarray]:
    masks = np.zeros((len(corners), size, size), bool)
    for mask, (row, column) in zip(masks, corners, strict=True):
        mask[row : row + side, column : column + side] = True
    return list(masks)


def test_two_squares_by_hand() -> None:
    prediction, truth = squares((2, 2), (2, 12))
    found = surface_metrics(prediction, truth, (0.5, 0.1))
    # columns 2..5 against 12..15, 0.1 mm apart: from the far side 10 columns, from the near side 7
    assert found["hd"] == pytest.approx(1.0)
    # of 12 border pixels 4 lie 7 columns away, 2 each 8 and 9, 4 lie 10 away
    mean = 0.1 * (4 * 7 + 2 * 8 + 2 * 9 + 4 * 10) / 12
    assert [found[key] for key in ("asd", "asd_reverse", "assd")] == pytest.approx([mean] * 3)
    assert (found["tpr"], found["precision"], found["dsc"]) == (0.0, 0.0, 0.0)


def test_the_border_is_what_the_edge_and_the_cross_say() -> None:
    mask = np.ones((5, 6), bool)
    expected = np.ones((5, 6), bool)
    expected[1:-1, 1:-1] = False
    np.testing.assert_array_equal(border(mask), expected)
    mask[0, 0] = False
    expected[0, 0] = False
    np.testing.assert_array_equal(
        border(mask), expected, err_msg="a corner alone makes no border pixel of its diagonal"
    )
    np.testing.assert_array_equal(border(np.ones((1, 3), bool)), np.ones((1, 3), bool))
    np.testing.assert_array_equal(border(np.ones((3, 3, 3), bool)).sum(), 26)


def test_empty_masks() -> None:
    nothing, something = np.zeros((6, 6), bool), np.zeros((6, 6), bool)
    something[2:4, 2:4] = True
    missed = surface_metrics(nothing, something, (1, 1))
    assert (missed["tpr"], missed["dsc"]) == (0.0, 0.0)
    for pair in ((nothing, something), (something, nothing), (nothing, nothing)):
        assert all(np.isnan(surface_metrics(*pair, (1, 1))[key]) for key in DISTANCES)
    assert np.isnan(surface_metrics(nothing, nothing, (1, 1))["dsc"])


masks_2d = st.tuples(st.integers(0, 10_000), st.sampled_from([0.1, 0.4, 0.8]))


def _masks(drawn: tuple[int, float], shape: tuple[int, ...] = (9, 11)) -> Masks:
    generator = np.random.default_rng(drawn[0])
    prediction, truth = generator.random((2, *shape)) < drawn[1]
    prediction.flat[generator.integers(prediction.size)] = True
    truth.flat[generator.integers(truth.size)] = True
    return prediction, truth


@given(drawn=masks_2d, spacing=st.tuples(st.floats(0.05, 3), st.floats(0.05, 3)), dense=st.sampled_from([0.0, 1.0]))
@settings(max_examples=60, deadline=None)
def test_distances_are_those_of_all_pairs(drawn: tuple[int, float], spacing: tuple[float, float], dense: float) -> None:
    masks = _masks(drawn)
    found, kept = [], surface.DENSE
    try:
        surface.DENSE = dense
        found = list(surface.border_distances(*masks, np.array(spacing)))
    finally:
        surface.DENSE = kept
    points = [np.argwhere(border(mask)) * spacing for mask in masks]
    pairs = cdist(*points)
    np.testing.assert_allclose(found[0], pairs.min(axis=1), atol=1e-12)
    np.testing.assert_allclose(found[1], pairs.min(axis=0), atol=1e-12)


@given(drawn=masks_2d)
@settings(max_examples=40, deadline=None)
def test_what_is_symmetric_and_what_turns_round(drawn: tuple[int, float]) -> None:
    masks = _masks(drawn)
    one, other = surface_metrics(*masks, (0.7, 0.2)), surface_metrics(*masks[::-1], (0.7, 0.2))
    for key in ("dsc", "hd", "hd95", "assd"):
        assert one[key] == pytest.approx(other[key], abs=1e-12)
    assert (one["asd"], one["tpr"]) == pytest.approx((other["asd_reverse"], other["precision"]), abs=1e-12)
    assert one["asd"] <= one["hd"] + 1e-12
    assert one["hd95"] <= one["hd"] + 1e-12
    same = surface_metrics(masks[0], masks[0], (0.7, 0.2))
    assert [same[key] for key in KEYS] == [1, 1, 1, 0, 0, 0, 0, 0]


@given(drawn=masks_2d, rows=st.integers(0, 7), columns=st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_moving_both_masks_changes_nothing(drawn: tuple[int, float], rows: int, columns: int) -> None:
    masks = _masks(drawn)
    here = surface_metrics(*masks, (0.3, 0.9))
    moved = [np.pad(mask, ((rows, 7 - rows), (columns, 7 - columns))) for mask in masks]
    assert surface_metrics(*moved, (0.3, 0.9)) == pytest.approx(here, abs=1e-12)


@given(drawn=masks_2d, factor=st.floats(0.01, 50), volume=st.booleans())
@settings(max_examples=40, deadline=None)
def test_distances_grow_with_the_spacing(drawn: tuple[int, float], factor: float, volume: bool) -> None:
    shape, spacing = ((4, 5, 6), (1.0, 0.3, 0.7)) if volume else ((9, 11), (0.3, 0.7))
    masks = _masks(drawn, shape)
    plain, grown = (surface_metrics(*masks, np.array(spacing) * by) for by in (1, factor))
    for key in DISTANCES:
        assert grown[key] == pytest.approx(plain[key] * factor, rel=1e-9, abs=1e-12)
    for key in ("tpr", "precision", "dsc"):
        assert grown[key] == plain[key]


def test_masks_of_numbers_are_masks_too() -> None:
    prediction, truth = squares((2, 2), (4, 4))
    expected = surface_metrics(prediction, truth, (0.1, 0.1))
    assert surface_metrics(prediction.astype(np.uint8) * 255, truth.astype(np.float32), (0.1, 0.1)) == expected


@pytest.mark.parametrize(
    ("spacing", "code", "words"),
    [
        ((0.1, 0.0), "spacing_wrong", "0.1, 0 is not above 0 mm"),
        ((-0.1, 0.1), "spacing_wrong", "-0.1, 0.1 is not above 0 mm"),
        ((0.1, np.inf), "spacing_wrong", "not above 0 mm"),
        ((0.1,), "spacing_wrong", "has 1 numbers, the masks 2 axes"),
        ((0.1, 0.1, 0.1), "spacing_wrong", "has 3 numbers, the masks 2 axes"),
        (0.1, "spacing_wrong", "has 1 numbers"),
        ("near", "spacing_wrong", "not a row of numbers"),
        (None, "spacing_unknown", "no distances in mm"),
        ((0.1, np.nan), "spacing_unknown", "no distances in mm"),
    ],
)
def test_a_spacing_that_is_none_is_told(spacing: Any, code: str, words: str) -> None:
    with pytest.raises(MammoError, match=words) as told:
        surface_metrics(*squares((2, 2), (4, 4)), spacing)
    assert told.value.code == code
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("prediction", "code", "words"),
    [
        (np.zeros((24, 23), bool), "masks_differ", "24 x 23 pixels, the truth 24 x 24"),
        (np.full((24, 24), 0.3), "", ""),
        (np.linspace(0, 1, 576).reshape(24, 24), "mask_wrong", "the prediction holds 0.0017"),
        (np.arange(576).reshape(24, 24) % 3, "mask_wrong", "holds 1, 2 besides 0"),
        (np.where(np.eye(24) > 0, np.nan, 0), "mask_wrong", "holds nan besides 0"),
        (-np.eye(24), "mask_wrong", "holds -1 besides 0"),
        (np.eye(24).astype(str), "mask_wrong", "not 0 and one other value"),
        (np.zeros(24, bool), "mask_wrong", "24, not an array of 2 or 3 axes"),
        (np.zeros((0, 24), bool), "mask_wrong", "0 x 24"),
    ],
)
def test_what_is_not_a_mask_is_told(prediction: np.ndarray, code: str, words: str) -> None:
    truth = squares((2, 2))[0]
    if not code:  # one value, whatever it is, tells in from out
        assert surface_metrics(prediction, truth, (1, 1))["tpr"] == 1
        return
    with pytest.raises(MammoError, match=words) as told:
        surface_metrics(prediction, truth, (1, 1))
    assert told.value.code == code

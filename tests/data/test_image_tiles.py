"""Tiles of images: where they lie, which are kept, and what an epoch is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.data import NO_AUGMENTATION, TileSampling, WholeImages, inference_stream
from mammo_tf.data.image_tiles import _reaches, tile_matrices
from mammo_tf.data.sampling import TRAIN, VALIDATION, Cases
from mammo_tf.errors import MammoError
from mammo_tf.fields import convert, to_json
from mammo_tf.imaging.warp import map_points
from mammo_tf.recipes.recipe import Sampling
from mammo_tf.records import Records
from mammo_tf.training import Segmentation

SMALL = TileSampling(rows=32, columns=48)


def cases(records: Records) -> dict[str, Cases]:
    found = {}
    for split in (TRAIN, VALIDATION, "test"):
        positions = records.positions(split)
        found[split] = Cases(positions, Segmentation().truth(records.rows.iloc[positions]))
    return found


def test_two_by_two_tiles_by_hand() -> None:
    matrices = tile_matrices((0, 100, 20, 100), (2, 2), (25, 20))
    corners = map_points(matrices[3], np.array([[-0.5, -0.5], [19.5, 24.5]]))
    np.testing.assert_allclose(corners, [[59.5, 49.5], [99.5, 99.5]])
    np.testing.assert_allclose(matrices[:, 0, 0], 2.0)
    np.testing.assert_allclose(map_points(matrices[0], np.array([[-0.5, -0.5]])), [[19.5, -0.5]])


@given(
    st.integers(1, 4), st.integers(1, 4), st.floats(0, 0.6),
    st.tuples(st.floats(0, 50), st.floats(60, 400), st.floats(0, 50), st.floats(60, 400)),
)  # fmt: skip
def test_tiles_cover_the_frame_and_share_what_was_asked(
    rows: int, columns: int, overlap: float, frame: tuple[float, float, float, float]
) -> None:
    size = 16, 24
    matrices = tile_matrices(frame, (rows, columns), size, overlap)
    first = map_points(matrices[0], np.array([-0.5, -0.5])) + 0.5
    last = map_points(matrices[-1], np.array([size[1] - 0.5, size[0] - 0.5])) + 0.5
    np.testing.assert_allclose([*first, *last], [frame[2], frame[0], frame[3], frame[1]], atol=1e-9)
    if columns > 1:
        left, right = (map_points(matrices[at], np.array([[-0.5, 0], [size[1] - 0.5, 0]]))[:, 0] for at in (0, 1))
        side = left[1] - left[0]
        np.testing.assert_allclose(left[1] - right[0], overlap * side, atol=1e-9)


@given(st.integers(0, 39), st.integers(0, 29))
def test_a_finding_of_one_pixel_lies_in_one_tile(row: int, column: int) -> None:
    mask = np.zeros((40, 30), np.bool_)
    mask[row, column] = True
    matrices = tile_matrices((0, 40, 0, 30), (2, 2), (4, 4))
    assert sum(_reaches(mask, matrix, (4, 4)) for matrix in matrices) == 1


def test_an_epoch_is_every_kept_tile_once(records: Records) -> None:
    training, validation = SMALL.plans(records, cases(records), NO_AUGMENTATION, False, 5)
    draws = training.epoch(2, 1)
    pairs = list(zip(draws.positions.tolist(), draws.columns["tile"].tolist(), strict=True))
    assert len(pairs) == len(set(pairs)) == len(training)
    assert set(draws.positions) <= set(records.positions("train"))
    again = training.epoch(2, 1)
    np.testing.assert_array_equal(draws.matrices, again.matrices)
    assert not np.array_equal(draws.positions, training.epoch(3, 1).positions)
    kept = validation.epoch(0)
    assert sorted(set(kept.positions.tolist())) == records.positions("validation").tolist()
    assert set(kept.columns["label"].tolist()) == {0, 1}


def test_balanced_epochs_and_samples(records: Records) -> None:
    sampling = TileSampling(rows=32, columns=32, samples=40)
    training, _ = sampling.plans(records, cases(records), NO_AUGMENTATION, True, 0)
    labels = training.epoch(0).columns["label"]
    assert len(labels) == 40
    assert labels.sum() == 20


def test_a_tile_is_that_piece_of_the_picture(records: Records) -> None:
    one = cases(records)["test"]
    whole = WholeImages(*one, records.size)
    sampling = TileSampling(rows=records.size[0] // 2, columns=records.size[1] // 2, least_breast=0.0)
    plan = sampling.scoring_plan(records, one)
    assert len(plan) == 4 * len(one.positions)
    pictures = np.concatenate([batch["image"] for batch in inference_stream(records, whole, 4)])[..., 0]
    tiles = np.concatenate([batch["image"] for batch in inference_stream(records, plan, 4)])[..., 0]
    frames = records.marks(int(one.positions[0]))
    if frames.stored_size == records.size:
        np.testing.assert_array_equal(tiles[0], pictures[0][: sampling.rows, : sampling.columns])
    assert tiles.shape[1:] == (sampling.rows, sampling.columns)


def test_of_an_image_without_breast_one_tile_is_scored(records: Records) -> None:
    everything = TileSampling(rows=16, columns=16, least_breast=1.0, breast_level=0.99)
    one = cases(records)["test"]
    plan = everything.scoring_plan(records, one)
    assert set(plan.epoch(0).positions) == set(one.positions.tolist())


def test_json_and_refusals(records: Records) -> None:
    assert convert(Sampling, to_json(SMALL), "plan") == SMALL
    for wrong in ({"rows": 0}, {"cut": (0, 2)}, {"samples": 0}):
        with pytest.raises(MammoError, match="1 or more"):
            TileSampling(**wrong)
    with pytest.raises(MammoError, match="fractions"):
        TileSampling(overlap=1.0)
    found = cases(records)
    negative = Cases(*(values[found[TRAIN].labels == 0] for values in found[TRAIN]))
    with pytest.raises(MammoError, match="no finding reaches"):
        SMALL.plans(records, {**found, TRAIN: negative}, NO_AUGMENTATION, False, 0)

"""Tiles of images: where they lie, which are kept, and what an epoch is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mammo_tf.data import NO_AUGMENTATION, TileSampling, WholeImages, inference_stream
from mammo_tf.data.sampling import TRAIN, VALIDATION, Cases
from mammo_tf.errors import MammoError
from mammo_tf.fields import convert, to_json
from mammo_tf.imaging.tiles import Tiling
from mammo_tf.recipes.recipe import Sampling
from mammo_tf.records import Records
from mammo_tf.study import Finding
from mammo_tf.training import Segmentation

SMALL = TileSampling(Tiling(32, 48))


def cases(records: Records) -> dict[str, Cases]:
    found = {}
    for split in (TRAIN, VALIDATION, "test"):
        positions = records.positions(split)
        found[split] = Cases(positions, Segmentation().truth(records.rows.iloc[positions]))
    return found


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
    sampling = TileSampling(Tiling(32, 32), samples=40)
    training, _ = sampling.plans(records, cases(records), NO_AUGMENTATION, True, 0)
    labels = training.epoch(0).columns["label"]
    assert len(labels) == 40
    assert labels.sum() == 20


def test_a_tile_is_that_piece_of_the_picture(records: Records) -> None:
    one = cases(records)["test"]
    whole = WholeImages(one.positions, one.labels, records.size)
    sampling = TileSampling(Tiling(records.size[0] // 2, records.size[1] // 2, least_breast=0.0))
    plan = sampling.scoring_plan(records, one)
    assert len(plan) == 4 * len(one.positions)
    pictures = np.concatenate([batch["image"] for batch in inference_stream(records, whole, 4)])[..., 0]
    tiles = np.concatenate([batch["image"] for batch in inference_stream(records, plan, 4)])[..., 0]
    frames = records.marks(int(one.positions[0]))
    if frames.stored_size == records.size:
        np.testing.assert_array_equal(tiles[0], pictures[0][: sampling.tiling.rows, : sampling.tiling.columns])
    assert tiles.shape[1:] == sampling.tiling.size


def test_of_an_image_without_breast_one_tile_is_scored(records: Records) -> None:
    everything = TileSampling(Tiling(16, 16, least_breast=1.0, breast_level=0.99))
    one = cases(records)["test"]
    plan = everything.scoring_plan(records, one)
    assert set(plan.epoch(0).positions) == set(one.positions.tolist())


def test_json_and_refusals(records: Records) -> None:
    assert convert(Sampling, to_json(SMALL), "plan") == SMALL
    with pytest.raises(MammoError, match="1 or more"):
        TileSampling(samples=0)
    found = cases(records)
    negative = Cases(*(values[found[TRAIN].labels == 0] for values in found[TRAIN][:2]))
    with pytest.raises(MammoError, match="no finding reaches"):
        SMALL.plans(records, {**found, TRAIN: negative}, NO_AUGMENTATION, False, 0)


def test_a_tile_is_positive_by_the_findings_that_are_looked_for(records: Records) -> None:
    def wanted(finding: Finding) -> bool:
        return finding.circle is not None and finding.circle[0] < 55

    positions = records.positions("train")
    found = Cases(positions, Segmentation().truth(records.rows.iloc[positions]), wanted)
    plan, _ = SMALL.plans(records, {TRAIN: found, VALIDATION: found}, NO_AUGMENTATION, False, 0)

    def mask(position: int) -> NDArray[np.bool_]:
        return np.any(records.marks(position).placed(wanted), axis=0)

    labels, seen = [], []
    for batch in inference_stream(records, plan, 4, masks=mask):
        labels += batch["label"].numpy().tolist()
        seen += batch["mask"].numpy().any((1, 2)).astype(int).tolist()
    assert labels == seen
    every, _ = SMALL.plans(records, {TRAIN: Cases(*found[:2]), VALIDATION: found}, NO_AUGMENTATION, False, 0)
    assert 0 < sum(labels) < every.epoch(0).columns["label"].sum()

"""Plans and streams: every picture once, the same for the same seed, last batch kept, weights as the golden ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from mammo_tf.data import (
    NO_AUGMENTATION,
    Augmentation,
    Gamma,
    Patches,
    WholeImages,
    inference_stream,
    patch_sheets,
    steps_per_epoch,
    stream_errors,
    training_stream,
)
from mammo_tf.data.patches import Lesion, Sheet
from mammo_tf.errors import MammoError
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.intensity_steps import Channels, HistogramLookup, HistogramMatch
from mammo_tf.imaging.warp import affine
from mammo_tf.records import Records
from mammo_tf.study import truth

POSITIVES = ("malignant", "high_risk")


def _plan(records: Records, split: str = "train", **arguments: object) -> WholeImages:
    positions = records.positions(split)
    return WholeImages(positions, truth(records.rows.iloc[positions], POSITIVES), records.size, **arguments)


def test_inference_sees_every_picture_once_in_order(records: Records) -> None:
    plan = _plan(records)
    for batch_size in (1, 5, 7, 64):
        batches = list(inference_stream(records, plan, batch_size))
        positions = np.concatenate([batch["position"] for batch in batches])
        assert positions.tolist() == plan.positions.tolist()
        assert sum(float(tf.reduce_sum(batch["weight"])) for batch in batches) == len(plan)


def test_inference_equals_the_numpy_twin(records: Records) -> None:
    batch = next(iter(inference_stream(records, _plan(records), 3)))
    assert batch["image"].shape == (3, 128, 128, 3)
    for number, position in enumerate(batch["position"].numpy()):
        expected = records.preprocessing.intensity(records.picture(position) / np.float32(65535))
        np.testing.assert_allclose(batch["image"][number], expected, atol=1e-4)


CURVE = np.linspace(0, 1, 4096) ** 0.5


@pytest.mark.parametrize(
    "step",
    [HistogramLookup(tuple((4095 * CURVE).tolist()), keep_black=True), HistogramMatch(tuple(CURVE.tolist()))],
    ids=["by_the_domain", "by_the_picture"],
)
def test_matched_pictures_equal_the_numpy_twin(records: Records, step: HistogramLookup | HistogramMatch) -> None:
    steps = Preprocessing(records.preprocessing.geometry_steps, (step, Channels(1)))
    (batch,) = list(inference_stream(records, _plan(records), 16, steps, padded=True))[:1]
    for number, position in enumerate(batch["position"].numpy()[batch["weight"].numpy() > 0]):
        picture = records.picture(position) / np.float32(65535)
        found = batch["image"][number].numpy()
        np.testing.assert_allclose(found, steps.intensity(picture), rtol=0, atol=1e-6)
        assert not found[picture == 0].any()


def test_padding_has_no_weight(records: Records) -> None:
    plan = _plan(records)
    batches = list(inference_stream(records, plan, 16, padded=True))
    assert {len(batch["weight"]) for batch in batches} == {16}
    kept = [batch["position"].numpy()[batch["weight"].numpy() > 0] for batch in batches]
    assert np.concatenate(kept).tolist() == plan.positions.tolist()


def _epochs(stream: tf.data.Dataset, steps: int, epochs: int) -> list[list[dict]]:
    batches = list(stream.take(steps * epochs))
    return [batches[epoch * steps : (epoch + 1) * steps] for epoch in range(epochs)]


def test_training_is_the_same_for_the_same_seed_and_goes_on_where_it_stopped(records: Records) -> None:
    plan = _plan(records, augmentation=Augmentation(), shuffle=True, seed=5)
    steps = steps_per_epoch(plan, 8)
    assert steps == -(-len(plan) // 8)
    whole = _epochs(training_stream(records, plan, 8), steps, 3)
    resumed = _epochs(training_stream(records, plan, 8, first_epoch=1), steps, 2)
    for epoch, again in zip(whole[1:], resumed, strict=True):
        for batch, other in zip(epoch, again, strict=True):
            np.testing.assert_array_equal(batch["image"], other["image"])
            np.testing.assert_array_equal(batch["label"], other["label"])
    assert [len(batch["label"]) for batch in whole[0]] == [8] * steps
    for epoch in whole:
        seen = [position for batch in epoch for position in batch["position"].numpy()]
        assert sorted(seen[: len(plan)]) == plan.positions.tolist()
    assert not np.array_equal(whole[0][0]["image"], whole[1][0]["image"])


def test_no_two_stages_see_the_same_order_or_the_same_warps(records: Records) -> None:
    sheets = patch_sheets(records, records.positions("train"), {"malignant": 1})
    plans = [
        _plan(records, augmentation=Augmentation(intensity=(Gamma(),)), shuffle=True, seed=5),
        Patches(sheets, (32, 32), records.size, augmentation=Augmentation(), seed=5),
    ]
    for plan in plans:
        drawn = [plan.epoch(epoch, stage) for stage in range(3) for epoch in range(2)]
        assert len({tuple(one.positions.tolist()) for one in drawn}) == 6
        assert len({one.matrices.tobytes() for one in drawn}) == 6
        again = plan.epoch(1, 2)
        np.testing.assert_array_equal(again.matrices, drawn[5].matrices)
    first, second = (next(iter(training_stream(records, plans[0], 8, stage=stage))) for stage in (0, 1))
    assert first["position"].numpy().tolist() != second["position"].numpy().tolist()


def test_an_epoch_sees_every_image_once() -> None:
    plan = WholeImages(np.arange(50, 80), np.arange(30) % 2, (4, 4), shuffle=True)
    assert sorted(plan.epoch(3).positions) == list(range(50, 80))
    assert plan.epoch(3).positions.tolist() == plan.epoch(3).positions.tolist()


@given(positives=st.integers(1, 20), negatives=st.integers(1, 60), seed=st.integers(0, 3))
def test_balanced_sampling(positives: int, negatives: int, seed: int) -> None:
    labels = np.array([1] * positives + [0] * negatives)
    plan = WholeImages(np.arange(len(labels)), labels, (4, 4), shuffle=True, balanced=True, seed=seed)
    draws = plan.epoch(0)
    assert len(draws.columns["label"]) == len(labels)
    assert abs(int(draws.columns["label"].sum()) * 2 - len(labels)) <= 1
    times = np.bincount(draws.positions[draws.columns["label"] == 1])
    times = times[times > 0]
    assert times.max() - min(times.min(), times.max()) <= 1
    assert (labels[draws.positions] == draws.columns["label"]).all()


def test_gamma_is_drawn_by_the_plan_and_applied_to_grey_values(records: Records) -> None:
    """Black and white stay, what lies between is raised to the drawn power; without it nothing else is drawn."""
    plain = _plan(records, augmentation=Augmentation(), shuffle=True, seed=5)
    changed = replace(plain, augmentation=Augmentation(intensity=(Gamma(1.0),)))
    before, after = plain.epoch(0), changed.epoch(0)
    np.testing.assert_array_equal(before.positions, after.positions)
    np.testing.assert_array_equal(before.matrices, after.matrices)
    gammas = after.columns["gamma"]
    assert 0.5 <= gammas.min() < 0.8 < 1.25 < gammas.max() <= 2.0
    one, other = (next(iter(training_stream(records, plan, len(plan)))) for plan in (plain, changed))
    np.testing.assert_array_equal(other["gamma"], gammas)
    levels = records.preprocessing.intensity_steps[0].factor * 65535
    for picture, darker, gamma in zip(one["image"].numpy(), other["image"].numpy(), gammas, strict=True):
        mean = picture.min()  # black lies in every picture
        np.testing.assert_allclose((darker - mean) / levels, ((picture - mean) / levels) ** gamma, atol=1e-4)


def test_two_changes_that_draw_the_same_column_are_refused() -> None:
    with pytest.raises(MammoError, match="draw a column of the same name: gamma, gamma"):
        Augmentation(intensity=(Gamma(0.2), Gamma(0.5)))


def test_masks_are_warped_as_the_picture_is(records: Records) -> None:
    turning = Augmentation(rotation=30, shift=0.05, zoom=0.1, vertical_flip=True)
    plan = _plan(records, augmentation=turning, shuffle=True, seed=2)
    drawn = plan.epoch(0)

    def masks(position: int) -> np.ndarray:
        return records.image(position).finding_masks.any(axis=0)

    batch = next(iter(training_stream(records, plan, len(plan), masks=masks)))
    assert batch["mask"].shape == (len(plan), 128, 128)
    for number, (position, matrix) in enumerate(zip(drawn.positions, drawn.matrices, strict=True)):
        expected = affine(masks(int(position)), matrix, fill=0, size=records.size)
        np.testing.assert_array_equal(batch["mask"][number].numpy() > 0, expected)
        if expected.any():
            grey = batch["image"][number].numpy()[..., 0]
            assert grey[expected].mean() > grey[~expected].mean()


def test_a_last_batch_is_filled_with_further_draws(records: Records) -> None:
    """Of the same epoch's plan, warped anew; also where the plan is smaller than a batch."""
    plan = _plan(records, augmentation=Augmentation(), shuffle=True, seed=5)
    count = len(plan)
    batches = _epochs(training_stream(records, plan, count - 1, stage=1), steps_per_epoch(plan, count - 1), 2)
    for epoch, (first, second) in enumerate(batches):
        drawn = plan.epoch(epoch, 1).positions.tolist()
        seen = [*first["position"].numpy(), *second["position"].numpy()]
        assert seen[:count] == drawn
        assert len(seen) == 2 * (count - 1)
        assert len(set(seen[count:])) == count - 2
        again = seen[count:].index(seen[0]) if seen[0] in seen[count:] else None
        if again is not None:
            assert not np.array_equal(first["image"][0], second["image"][again + 1])
        assert second["weight"].numpy().min() == 1
    wide = next(iter(training_stream(records, plan, 2 * count + 3)))
    assert np.bincount(wide["position"].numpy())[plan.positions].min() >= 2
    assert steps_per_epoch(plan, 2 * count + 3) == 1


def test_patches_hold_their_findings(records: Records) -> None:
    sheets = patch_sheets(records, records.positions("train"), {"malignant": 1})
    plan = Patches(sheets, (32, 32), records.size, augmentation=NO_AUGMENTATION, shuffle=False)
    draws = plan.epoch(0)
    assert len(draws.columns["label"]) == len(plan)
    assert set(draws.columns["label"].tolist()) == {0, 1}
    for position, matrix, label in zip(draws.positions, draws.matrices, draws.columns["label"], strict=True):
        x, y = matrix[:, 2].astype(int)
        assert 0 <= x <= 96
        assert 0 <= y <= 96
        masks = records.image(int(position)).finding_masks
        centre = [int(np.mean(axis)) for axis in np.nonzero(masks.any(axis=0))] if len(masks) else None
        inside = centre is not None and y <= centre[0] < y + 32 and x <= centre[1] < x + 32
        assert inside == bool(label)
    first = next(iter(inference_stream(records, plan, 4)))["image"]
    x, y = draws.matrices[0][:, 2].astype(int)
    expected = records.picture(int(draws.positions[0]))[y : y + 32, x : x + 32] / np.float32(65535)
    np.testing.assert_allclose(first[0], records.preprocessing.intensity(expected), atol=0.01)


def test_a_rotated_patch_holds_its_finding_where_the_mask_says(records: Records) -> None:
    """What the network sees is, pixel by pixel, the prepared picture at the place that the matrix tells."""
    sheets = patch_sheets(records, records.positions("train"), {"malignant": 1})
    turning = Augmentation(rotation=30, shift=0.05, zoom=0.1, vertical_flip=True)
    plan = Patches(sheets, (48, 48), records.size, augmentation=turning, seed=1, jitter=0.1)
    draws = plan.epoch(0)
    batches = list(inference_stream(records, plan, 16))
    seen = np.concatenate([batch["image"] for batch in batches])[..., 0]
    assert np.concatenate([batch["label"] for batch in batches]).tolist() == draws.columns["label"].tolist()
    angles = np.degrees(np.arctan2(draws.matrices[:, 1, 0], draws.matrices[:, 0, 0])) % 180
    assert np.ptp(angles) > 20
    ys, xs = np.mgrid[4:44, 4:44]
    findings = 0
    drawn = zip(draws.positions, draws.matrices, draws.columns["label"], strict=True)
    for patch, (position, matrix, label) in zip(seen, drawn, strict=True):
        x, y = np.tensordot(matrix, np.stack([xs, ys, np.ones_like(xs)]), 1)
        image = records.image(int(position))
        inside = (x >= 0) & (y >= 0) & (x <= records.size[1] - 1) & (y <= records.size[0] - 1)
        picture = records.preprocessing.intensity(image.picture / np.float32(65535))[..., 0]
        expected = map_coordinates(picture, [y[inside], x[inside]], order=1)
        assert np.abs(patch[4:44, 4:44][inside] - expected).mean() < 0.5  # of 255; OpenCV counts in 1/32 pixel
        if label:
            rows, columns = np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)
            mask = image.finding_masks.any(axis=0)[rows, columns]
            values = patch[4:44, 4:44][inside]
            assert mask.sum() > 100, "a disc of radius 12 of 150 rows lies in the patch"
            assert values[mask].mean() > values[~mask].mean() + 0.15 * 255
            findings += 1
    assert findings == int(draws.columns["label"].sum()) > 5


def test_bad_plans_are_told(records: Records) -> None:
    with pytest.raises(MammoError, match="holds no picture"):
        training_stream(records, WholeImages(np.array([], int), np.array([], int), (4, 4)), 2)
    with pytest.raises(MammoError, match="no picture has a finding"):
        patch_sheets(records, records.positions("train"), {"benign": 1})
    with pytest.raises(MammoError, match="200x200 do not fit into 128x128"):
        Patches([], (200, 200), (128, 128))


def test_a_damaged_record_is_told_in_its_own_words(records: Records, tmp_path: Path) -> None:
    from mammo_tf.records import open_records

    for path in records.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    copy = open_records(tmp_path)
    shard = tmp_path / copy.shards[0]
    content = bytearray(shard.read_bytes())
    content[copy.locations[int(copy.positions("train")[0])].offset + 99] ^= 1
    shard.write_bytes(content)
    with pytest.raises(MammoError, match=r"part-00000-of-00003.tfrecord: example \d+ is damaged"), stream_errors():
        list(inference_stream(copy, _plan(copy), 4))


@given(seed=st.integers(0, 20), patch=st.sampled_from([16, 40, 64]))
def test_no_background_patch_holds_the_centre_of_a_finding(seed: int, patch: int) -> None:
    generator = np.random.default_rng(seed)
    points = np.column_stack([generator.uniform(0, 80, 50), generator.uniform(0, 96, 50)]).round()
    x, y = points[0]
    sheet = Sheet(0, (Lesion((x - 3, y - 3, x + 3, y + 3), 1),), points)
    plan = Patches([sheet], (patch, patch), (96, 80), augmentation=NO_AUGMENTATION, seed=seed)
    draws = plan.epoch(seed)
    assert len(draws.columns["label"]) == len(plan)
    corners = draws.matrices[:, :, 2][draws.columns["label"] == 0]
    assert not ((corners <= (x, y)) & ((x, y) < corners + patch)).all(axis=1).any()

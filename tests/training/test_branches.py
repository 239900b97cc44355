"""A network with branches in training: one loss over all of them, exact validation, statistics of an epoch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from mammo_tf.data import DomainSampling, TileSampling, WholeImages, inference_stream, steps_per_epoch, training_stream
from mammo_tf.data.augmentation import NO_AUGMENTATION
from mammo_tf.data.domains import DUAL_BRANCHES
from mammo_tf.data.plans import Plan
from mammo_tf.data.sampling import Cases
from mammo_tf.errors import MammoError
from mammo_tf.imaging.tiles import Tiling
from mammo_tf.models import MultiBatchNormalization, MultiLayerNormalization, SmallUNet, UNet, rebuild
from mammo_tf.models.answers import answering
from mammo_tf.models.drifting import drifting
from mammo_tf.records import Records
from mammo_tf.training import Material, Segmentation, Stage, fit_stage
from mammo_tf.training.callbacks import BranchStatistics
from mammo_tf.training.losses import dice_loss
from mammo_tf.training.tasks import Scoring

sys.path.insert(0, str(Path(__file__).parent))
from branched import Branched  # noqa: E402 - it lies next to this file

TASK = Segmentation()
STAGE = Stage("one", ("all",), 3e-3, 2, monitor="val_loss", stop_patience=0, rate_patience=0)


def make_material(records: Records, task: Segmentation = TASK, batch_size: int = 12) -> Material:
    cases = {}
    for split in ("train", "validation"):
        positions = records.positions(split)[:8]
        cases[split] = Cases(positions, task.truth(records.rows.iloc[positions]))
    sampling = DomainSampling(plan=TileSampling(Tiling(32, 32)))
    plans = sampling.plans(records, cases, NO_AUGMENTATION, False, 1)
    return Material(records, records.preprocessing, *plans, batch_size, task=task)


def make_model(channels: int = 3) -> keras.Model:
    keras.utils.set_random_seed(1)
    return Branched().build((32, 32, channels))


@pytest.fixture(scope="module")
def trained(records: Records, tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, list[dict]]:
    return fit_stage(make_model(), STAGE, make_material(records), tmp_path_factory.mktemp("branches"))


def test_every_branch_is_trained_and_the_loss_is_their_sum(trained: tuple, records: Records) -> None:
    model, history = trained
    assert history[1]["loss"] < history[0]["loss"]
    assert -3 <= history[1]["val_loss"] < 0
    before = make_model()
    for name in ("gamma", "beta"):
        moved, began = (np.asarray(getattr(one.get_layer("norm"), name)) for one in (model, before))
        assert (moved != began).any(axis=1).all(), f"{name} of every branch"
    material = make_material(records)
    stream = inference_stream(records, material.validation, 64, masks=TASK.masks(records))
    found = TASK.validate(model, stream, material.validation.epoch(0))
    parts = list(stream)
    image, mask, branch = (np.concatenate([part[name] for part in parts]) for name in ("image", "mask", "branch"))
    given = model.predict([image, branch], verbose=0)[..., 0]
    expected = 0.0
    for one in range(3):
        both = [np.stack([1 - part, part], axis=-1) for part in (mask[branch == one], given[branch == one])]
        expected += float(dice_loss(*both))
    assert found["val_loss"] == pytest.approx(expected, abs=1e-4)


def test_statistics_are_those_of_the_last_epoch(trained: tuple, records: Records) -> None:
    model, history = trained
    length = -(-len(make_material(records).training) // 12) * 12
    for name in ("norm", "picture"):
        np.testing.assert_array_equal(model.get_layer(name).counts, np.full(3, length / 3))
    assert len(history) == 2


def test_statistics_of_the_last_batch_are_those_of_its_pictures(records: Records, tmp_path: Path) -> None:
    """Computed a second way: the last batch is put together from the plan, and goes through one layer by itself."""
    stage = replace(STAGE, epochs=1, statistics="last_batch")
    material = make_material(records, batch_size=9)
    model, _ = fit_stage(make_model(), stage, material, tmp_path)
    steps = steps_per_epoch(material.training, 9)
    stream = training_stream(records, material.training, 9, records.preprocessing, 0, 0, TASK.masks(records))
    *_, last = stream.take(steps)
    alone = model.get_layer("picture")
    found = np.asarray(alone.sums), np.asarray(alone.counts)
    alone.reset_statistics()
    alone(last["image"] / 255, last["branch"], training=True)
    np.testing.assert_array_equal(found[1], np.asarray(alone.counts))
    np.testing.assert_array_equal(found[1], np.bincount(last["branch"], minlength=3))
    np.testing.assert_allclose(found[0], np.asarray(alone.sums), rtol=1e-5)


def test_a_branch_without_an_example_keeps_the_batch_before() -> None:
    layer, callback = MultiLayerNormalization(3, name="norm"), BranchStatistics(last_batch=True)
    pictures, branch = keras.Input((2, 4)), keras.Input((), dtype="int32")
    model = keras.Model([pictures, branch], layer(pictures, branch))
    callback.set_model(model)
    batches = [np.random.default_rng(seed).normal(size=(2, 2, 4)).astype(np.float32) for seed in range(3)]
    callback.on_epoch_begin(0)
    for number, (batch, branches) in enumerate(zip(batches, ([0, 0], [1, 1], [0, 0]), strict=True)):
        callback.on_train_batch_begin(number)
        model([batch, np.array(branches)], training=True)
        callback.on_train_batch_end(number)
    found = np.asarray(layer.statistics())
    for place, batch in ((0, batches[2]), (1, batches[1])):
        expected = np.mean([[one.mean(), one.std()] for one in batch], axis=0)
        np.testing.assert_allclose(found[place], expected, rtol=1e-5)
    assert np.isnan(found[2]).all(), "never seen"
    callback.on_epoch_begin(1)
    assert np.isnan(np.asarray(layer.statistics())).all()


def test_a_network_with_branches_is_rebuilt_and_saved(trained: tuple, tmp_path: Path) -> None:
    model, _ = trained
    picture = [np.random.default_rng(0).random((3, 32, 32, 3)).astype(np.float32) * 255, np.arange(3)]
    expected = model.predict(picture, verbose=0)
    np.testing.assert_allclose(rebuild(model, dtype="float32").predict(picture, verbose=0), expected, atol=1e-6)
    TASK.check_network(model, "the network")
    assert not np.allclose(expected[0], model.predict([picture[0], np.array([1, 1, 1])], verbose=0)[0])


def test_pictures_drawn_without_a_branch_are_refused(records: Records, tmp_path: Path) -> None:
    positions = records.positions("train")[:4]
    plan = WholeImages(positions, TASK.truth(records.rows.iloc[positions]), records.size)
    batch = next(iter(training_stream(records, plan, 2, masks=TASK.masks(records))))
    with pytest.raises(MammoError, match="3 branches, and pictures are drawn without one") as raised:
        TASK.pair(batch, make_model(), False)
    assert raised.value.code == "branch_missing"


def test_a_loss_that_is_not_finite_names_its_images(records: Records, tmp_path: Path) -> None:
    material = make_material(records)
    model = make_model()
    kernel, bias = model.get_layer("encoder").get_weights()
    model.get_layer("encoder").set_weights([kernel * np.nan, bias])
    with pytest.raises(MammoError, match=r"epoch 1, batch 1, of the images p\d+_") as raised:
        fit_stage(model, STAGE, material, tmp_path)
    assert raised.value.code == "loss_not_finite"
    drawn = material.training.epoch(0).positions[:12]
    shown = raised.value.sentence.partition("of the images ")[2].partition(" and ")[0].split(", ")
    assert set(shown) <= {str(name) for name in records.rows["image_id"].iloc[drawn]}


def dual_plans(records: Records) -> tuple[Plan, Plan]:
    """Plans of dual normalisation, batches of eight: four of training, few of validation."""
    cases = {}
    for split, count in (("train", 4), ("validation", 1)):
        positions = records.positions(split)[:count]
        cases[split] = Cases(positions, TASK.truth(records.rows.iloc[positions]))
    sampling = DomainSampling(TileSampling(Tiling(32, 32), samples=16), DUAL_BRANCHES, run=8)
    return sampling.plans(records, cases, NO_AUGMENTATION, False, 1)


def test_dual_normalisation_sees_its_domains_in_turn(records: Records) -> None:
    training, _ = dual_plans(records)
    np.testing.assert_array_equal(training.epoch(0).columns["branch"], np.repeat([0, 1, 0, 1], 8))


@pytest.mark.long
def test_the_statistics_of_both_domains_move(records: Records, tmp_path: Path) -> None:
    model = UNet(width=2, levels=2, branches=2).build((32, 32, 3))
    material = Material(records, records.preprocessing, *dual_plans(records), 8, task=TASK)
    trained, history = fit_stage(model, Stage("one", ("all",), 1e-3, 1, monitor="val_loss"), material, tmp_path)
    assert np.isfinite(history[0]["val_loss"])
    norms = [layer for layer in trained.layers if isinstance(layer, MultiBatchNormalization)]
    assert len(norms) == 6
    for layer in norms:
        np.testing.assert_array_equal(np.asarray(layer.counts), [16, 16])
        mean = np.asarray(layer.moving_mean)
        assert np.abs(mean[0] - mean[1]).max() > 1e-4


DRIFTS = Segmentation(metric="dual_normalization", choice="piece", answer="larger", drift=True)


def test_statistics_drift_over_a_measured_split(records: Records) -> None:
    """As published: what is called of a picture hangs on those before it; the model itself stays as it is."""
    keras.utils.set_random_seed(2)
    model = SmallUNet(2, 2, "batch", 2, own_statistics=True).build((128, 128, 3))
    positions = records.positions("test")[:4]
    (whole,) = inference_stream(records, WholeImages(positions, np.zeros(4, np.int64), records.size), 4)
    pictures = whole["image"].numpy()
    model([np.concatenate([pictures, 255 - pictures]), np.repeat([0, 1], 4)], training=True)
    before = [np.asarray(weight) for weight in model.weights]
    each = {}
    for name, task in (("drift", DRIFTS), ("still", replace(DRIFTS, drift=False))):
        each[name] = task.results(model, records, positions, Scoring(records.preprocessing, 2), None)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(np.asarray(weight), value)
    distances = {name: table[["distance_0", "distance_1"]].to_numpy() for name, table in each.items()}
    network = drifting(answering(rebuild(model), "larger"))
    expected = np.concatenate([network.predict_on_batch(pictures[at : at + 2])[1] for at in (0, 2)])
    np.testing.assert_allclose(distances["drift"], expected, rtol=1e-5)
    assert np.ptp(expected[:2], axis=0).max() == 0 < np.abs(expected[2] - expected[0]).min(), "a choice a batch"
    assert np.abs(distances["still"] - expected).min() > 0
    again = DRIFTS.results(model, records, positions, Scoring(records.preprocessing, 2), None)
    np.testing.assert_allclose(again[["distance_0", "distance_1"]], distances["drift"], rtol=1e-6)


def test_what_drifts_is_not_served() -> None:
    model = SmallUNet(2, 2, "batch", 2).build((32, 32, 1))
    with pytest.raises(MammoError, match="what is served remembers none") as raised:
        DRIFTS.serving_network(model)
    assert raised.value.code == "drift_unserved"
    with pytest.raises(MammoError, match="task.drift goes with task.metric dual_normalization, not with 'cosine'"):
        Segmentation(drift=True)


def test_drift_is_of_one_device(records: Records) -> None:
    model = SmallUNet(2, 2, "batch", 2).build((128, 128, 3))
    scoring = Scoring(records.preprocessing, 2, padded=True)
    with pytest.raises(MammoError, match="each would drift by itself") as raised:
        DRIFTS.results(model, records, records.positions("test")[:2], scoring, None)
    assert raised.value.code == "drift_impossible"


TWO_DEVICES = """
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from mammo_tf.models import MultiBatchNormalization
values = np.random.default_rng(0).normal(3, 2, (8, 32, 32, 3)).astype(np.float32)
branch = np.array([0, 1, 0, 0, 2, 1, 1, 1])  # branch 2 on one device alone
alone = MultiBatchNormalization(3)
expected = np.asarray(alone(values, branch, training=True))
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    shared = MultiBatchNormalization(3, synchronized=True)
    shared.build(values.shape)
def half(context):
    own = slice(4 * context.replica_id_in_sync_group, 4 * context.replica_id_in_sync_group + 4)
    return values[own], branch[own]
given = strategy.experimental_distribute_values_from_function(lambda context: tf.constant(half(context)[0]))
given_branch = strategy.experimental_distribute_values_from_function(lambda context: tf.constant(half(context)[1]))
run = tf.function(lambda *taken: strategy.run(lambda one, other: shared(one, other, training=True), taken))
found = np.concatenate([np.asarray(part) for part in strategy.experimental_local_results(run(given, given_branch))])
np.testing.assert_allclose(found, expected, atol=1e-5)
for name in ("moving_mean", "moving_variance"):
    np.testing.assert_allclose(getattr(shared, name).numpy(), getattr(alone, name).numpy(), rtol=1e-3)
np.testing.assert_allclose(shared.counts.numpy() * 2, alone.counts.numpy())
"""


@pytest.mark.long
def test_two_devices_normalise_a_branch_as_one_does() -> None:
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr

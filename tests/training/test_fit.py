"""Training made true: rates in force, frozen means frozen, resume exact, devices equal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mammo_tf.data import NO_AUGMENTATION, Augmentation, WholeImages
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import auc
from mammo_tf.models import end2end, named_layers
from mammo_tf.records import Records
from mammo_tf.study import truth
from mammo_tf.training import Computation, Material, Stage, fit_stage, predict_probabilities, prepare_stage, write_log
from mammo_tf.training.callbacks import FiniteLoss
from mammo_tf.training.checkpoints import read_state, restore_variables, save_state

sys.path.insert(0, str(Path(__file__).parents[1]))
from stump import STUMP  # noqa: E402 - it lies above this file

CLOCKS = ("waiting", "seconds")
CONFIG_2 = ("block_1", "block_2", "output")


def make_material(records: Records, augmentation: Augmentation = NO_AUGMENTATION, **arguments: Any) -> Material:
    plans = {}
    for split in ("train", "validation"):
        positions = records.positions(split)
        labels = truth(records.rows.iloc[positions], ("malignant",))
        train = split == "train"
        plans[split] = WholeImages(
            positions, labels, records.size, augmentation if train else NO_AUGMENTATION, shuffle=train, seed=3
        )
    settings = {"batch_size": 8, **arguments}
    return Material(records, records.preprocessing, plans["train"], plans["validation"], **settings)


def make_model(dropout: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(0)
    return end2end(STUMP, input_shape=(128, 128, 3), width=1 / 32, dropout=dropout)


def _stage(**settings: Any) -> Stage:
    return Stage(**{"name": "one", "trainable": CONFIG_2, "rate": 1e-2, "epochs": 2, **settings})


def _weights(model: keras.Model) -> dict[str, list[np.ndarray]]:
    return {
        path: layer.get_weights()
        for path, layer in named_layers(model)
        if layer.weights and not isinstance(layer, keras.Model)
    }


def test_what_a_stage_freezes_stays_to_the_bit(records: Records, tmp_path: Path) -> None:
    """Config 1 trains block 2 and the output: backbone and block 1 with its batch statistics do not move."""
    model = make_model()
    before = _weights(model)
    trained, _ = fit_stage(model, _stage(trainable=("block_2", "output")), make_material(records), tmp_path)
    for path, weights in _weights(trained).items():
        moving = path in ("conv2d_2", "batch_normalization_2", "dense_1")
        for old, new in zip(before[path], weights, strict=True):
            assert np.array_equal(old, new) != moving, path
    assert all(np.array_equal(a, b) for a, b in zip(before["conv2d_2"], _weights(model)["conv2d_2"], strict=True))


def test_all_moves_when_all_is_trainable(records: Records, tmp_path: Path) -> None:
    trained, _ = fit_stage(make_model(), _stage(trainable=("all",)), make_material(records), tmp_path)
    before = _weights(make_model())
    assert not any(np.array_equal(before[path][0], weights[0]) for path, weights in _weights(trained).items())


def test_batch_norm_can_be_kept(records: Records, tmp_path: Path) -> None:
    stage = _stage(trainable=("all",), batch_norm=False)
    before, after = (
        _weights(make_model()),
        _weights(fit_stage(make_model(), stage, make_material(records), tmp_path)[0]),
    )
    for name in ("batch_normalization_1", "batch_normalization_2"):
        assert all(np.array_equal(old, new) for old, new in zip(before[name], after[name], strict=True))
    assert not np.array_equal(before["conv2d_1"][0], after["conv2d_1"][0])


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_is_active_at_the_stage_rate_in_the_compiled_step(rate: float) -> None:
    """Also for a model that was imported with rate 0."""
    model = prepare_stage(make_model(dropout=0.0), _stage(dropout=rate))
    seen = keras.Model(model.input, model.get_layer("dropout_1").output)

    @tf.function
    def step(pictures: Any) -> Any:
        return seen(pictures, training=True)

    pictures = np.random.default_rng(0).normal(0, 40, (4, 128, 128, 3)).astype(np.float32)
    kept = keras.Model(model.input, model.get_layer("activation_1").output)(pictures, training=True).numpy() > 0
    dropped = step(pictures).numpy()[kept] == 0
    assert dropped.mean() == pytest.approx(rate, abs=0.05)


def test_decay_is_felt_in_the_loss_and_by_the_weights(records: Records, tmp_path: Path) -> None:
    material, kernels = make_material(records), ("conv2d_1", "conv2d_2", "dense_1")
    squares = sum(float(np.square(_weights(make_model())[name][0]).sum()) for name in kernels)
    losses, sizes = {}, {}
    for decay in (0.0, 1e-4, 0.5):
        stage = _stage(rate=1e-9 if decay < 0.1 else 1e-2, epochs=1, weight_decay=decay)
        trained, history = fit_stage(make_model(), stage, material, tmp_path / str(decay))
        losses[decay] = history[0]["val_loss"]
        sizes[decay] = sum(float(np.square(_weights(trained)[name][0]).sum()) for name in kernels)
        assert history[0]["penalty"] == pytest.approx(decay * sizes[decay], rel=1e-3)
    assert losses[1e-4] - losses[0.0] == pytest.approx(1e-4 * squares, rel=1e-3)
    assert sizes[0.5] < 0.9 * sizes[0.0]


def test_decoupled_decay_spares_biases_and_batch_norm() -> None:
    stage = _stage(rate=0.1, weight_decay=0.01, decay="decoupled")
    model = prepare_stage(make_model(), stage)
    before = _weights(model)
    gradients = [np.zeros(variable.shape, np.float32) for variable in model.trainable_variables]
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    after = _weights(model)
    np.testing.assert_allclose(after["conv2d_1"][0], before["conv2d_1"][0] * (1 - 0.1 * 0.01), rtol=1e-5)
    np.testing.assert_array_equal(after["batch_normalization_1"][0], before["batch_normalization_1"][0])
    assert float(sum(model.losses)) == 0.0


def test_the_best_epoch_is_kept(records: Records, tmp_path: Path) -> None:
    stage = _stage(rate=0.05, epochs=5, stop_patience=0, monitor="val_loss", keep="val_auc")
    trained, history = fit_stage(make_model(), stage, make_material(records), tmp_path)
    assert list((tmp_path / "tensorboard").rglob("events.out.tfevents.*"))
    plan = make_material(records).validation
    probabilities = predict_probabilities(trained, records, plan, 5)
    assert len(history) == 5
    best = max(row["val_auc"] for row in history)
    assert auc(plan.labels, probabilities[:, 1]) == pytest.approx(best, abs=1e-9)


def test_patience_ends_the_stage_and_lowers_the_rate(records: Records, tmp_path: Path) -> None:
    stage = _stage(rate=0.3, epochs=30, rate_patience=1, stop_patience=3, rate_factor=0.5, rate_floor=0.2)
    _, history = fit_stage(make_model(), stage, make_material(records), tmp_path)
    assert len(history) < 30
    best = int(np.argmin([row["val_loss"] for row in history]))
    assert len(history) == best + 4
    rates = [row["rate"] for row in history]
    assert rates[0] == pytest.approx(0.3)
    assert rates[-1] == pytest.approx(0.2)


class _StopError(Exception):
    pass


def _interrupt(after: int) -> Any:
    def told(history: list) -> None:
        if len(history) == after:
            raise _StopError

    return told


def test_a_resumed_stage_ends_where_an_uninterrupted_one_ends(records: Records, tmp_path: Path) -> None:
    """Dropout, augmentation, Adam's moments, both patiences: stopped after epochs 1 and 3."""
    stage = _stage(epochs=5, rate=2e-3, dropout=0.4, rate_patience=1, stop_patience=4, trainable=("all",))
    material = make_material(records, Augmentation())
    whole, expected = fit_stage(make_model(), stage, material, tmp_path / "whole")
    for after in (1, 3):
        with pytest.raises(_StopError):
            fit_stage(make_model(), stage, material, tmp_path / "stopped", on_epoch=_interrupt(after))
    resumed, history = fit_stage(make_model(), stage, material, tmp_path / "stopped")
    for row, other in zip(expected, history, strict=True):
        assert {key: value for key, value in row.items() if key not in CLOCKS} == pytest.approx(
            {key: value for key, value in other.items() if key not in CLOCKS}, abs=1e-6
        )
    for weights, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(weights, other, atol=1e-6)
    finished, again = fit_stage(make_model(), stage, material, tmp_path / "stopped")
    assert again == history
    np.testing.assert_array_equal(finished.get_weights()[0], resumed.get_weights()[0])


def test_a_card_that_fails_is_told_and_the_stage_goes_on_later(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second epoch; afterwards the stage ends where an undisturbed one ends."""
    stage = _stage(trainable=("all",), rate=2e-3)
    whole, _ = fit_stage(make_model(), stage, make_material(records), tmp_path / "whole")
    seen = []

    def failing(self: keras.callbacks.Callback, epoch: int, logs: Any = None) -> None:
        seen.append(epoch)
        if epoch == 1:
            raise tf.errors.InternalError(
                None, None, "Graph execution error:\n\nCUDA error: unspecified launch failure"
            )

    with monkeypatch.context() as patched:
        patched.setattr(FiniteLoss, "on_epoch_begin", failing)
        with pytest.raises(MammoError) as caught:
            fit_stage(make_model(), stage, make_material(records), tmp_path / "failed")
    assert caught.value.code == "device_lost" and "unspecified launch failure" in caught.value.sentence
    assert seen == [0, 1]
    resumed, _ = fit_stage(make_model(), stage, make_material(records), tmp_path / "failed")
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


KILLED = """
import json, os, sys
sys.path[:0] = [{tests!r}, {root!r}]
import test_fit
from mammo_tf.data import Augmentation
from mammo_tf.records import open_records
from mammo_tf.training import fit_stage
stage = test_fit._stage(epochs=4, rate=2e-3, dropout=0.4, trainable=("all",))
material = test_fit.make_material(open_records({records!r}), Augmentation())
model, history = fit_stage(test_fit.make_model(), stage, material, {folder!r})
json.dump([row["val_loss"] for row in history], open({folder!r} + "/done.json", "w"))
"""


@pytest.mark.long
def test_a_killed_process_resumes(records: Records, tmp_path: Path) -> None:
    def start(folder: Path) -> subprocess.Popen:
        here = Path(__file__)
        code = KILLED.format(
            tests=str(here.parent), root=str(here.parents[2]), records=str(records.folder), folder=str(folder)
        )
        return subprocess.Popen([sys.executable, "-c", code])

    assert start(tmp_path / "whole").wait() == 0
    process = start(tmp_path / "killed")
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "state.npz").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "done.json").exists()
    assert start(tmp_path / "killed").wait() == 0
    curves = [json.loads((tmp_path / name / "done.json").read_text()) for name in ("whole", "killed")]
    np.testing.assert_allclose(curves[0], curves[1], atol=1e-6)


def test_mixed_precision_and_weights_in_the_batch(records: Records, tmp_path: Path) -> None:
    material = make_material(records, batch_weights=True)
    computation = Computation("mixed_bfloat16")
    model, history = fit_stage(make_model(), _stage(epochs=1), material, tmp_path, computation=computation)
    assert model.get_layer("conv2d_1").compute_dtype == "bfloat16"
    assert np.isfinite(history[0]["val_loss"])
    write_log(history, tmp_path / "log.csv")
    assert (tmp_path / "log.csv").read_text().startswith("stage,epoch,")


def test_bad_input_is_told(records: Records, tmp_path: Path) -> None:
    material = make_material(records)
    with pytest.raises(MammoError, match="no part 'blok_2'. Did you mean 'block_2'"):
        fit_stage(make_model(), _stage(trainable=("blok_2",)), material, tmp_path)
    with pytest.raises(MammoError, match="watches val_dice, which a classification does not give"):
        fit_stage(make_model(), _stage(monitor="val_dice"), material, tmp_path)
    with pytest.raises(MammoError, match="dropout lies from 0 to below 1"):
        _stage(dropout=1.0)
    fit_stage(make_model(), _stage(epochs=1), material, tmp_path)
    with pytest.raises(MammoError, match="is of another model"):
        fit_stage(end2end(STUMP, input_shape=(128, 128, 3), width=1 / 16), _stage(epochs=1), material, tmp_path)
    whole = (tmp_path / "state.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (b"nothing", b"", whole[: len(whole) // 2], whole[:-1], bytes(flipped)):
        (tmp_path / "state.npz").write_bytes(content)
        with pytest.raises(MammoError, match="state.npz cannot be read"):
            fit_stage(make_model(), _stage(epochs=1), material, tmp_path)


def test_no_change_of_a_byte_is_a_traceback(tmp_path: Path) -> None:
    """What reads a file of arrays gives what was written, or says that the file is damaged."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / "state.npz"
    save_state(path, model, [], {"epoch": 0})
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 0x55
        path.write_bytes(bytes(changed))
        try:
            restore_variables(path, model)
            read_state(path)
        except MammoError as error:
            assert error.code in ("checkpoint_damaged", "checkpoint_differs")
            refused += 1
    assert refused > 50


def test_half_precision_scales_its_loss(records: Records, tmp_path: Path) -> None:
    model = prepare_stage(make_model(), _stage(), computation=Computation("mixed_float16"))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    stage = _stage(epochs=2, rate_patience=1)
    computation = Computation("mixed_float16")
    _, history = fit_stage(make_model(), stage, make_material(records), tmp_path, computation=computation)
    assert history[0]["rate"] == pytest.approx(1e-2)
    assert all(np.isfinite(row["loss"]) for row in history)

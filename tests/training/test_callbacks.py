"""`StagedUnfreezing` in anyone's own fit; how long a step waits for its batch."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mammo_tf.errors import MammoError
from mammo_tf.training import Stage, StagedUnfreezing, save_model
from mammo_tf.training.callbacks import Waiting, apply_in_place
from mammo_tf.training.checkpoints import BestWeights

GENERATOR = np.random.default_rng(0)
PICTURES = GENERATOR.normal(0, 30, (12, 32, 32, 3)).astype(np.float32)
TRUTH = keras.utils.to_categorical(np.arange(12) % 2)
STAGES = (
    Stage("head", ("output",), 1e-2, 2, dropout=0.2, weight_decay=0.0, rate_patience=0, stop_patience=0),
    Stage("all", ("all",), 1e-3, 2, dropout=0.5, weight_decay=0.5, rate_patience=0, stop_patience=0),
)


def _model(dropout: float = 0.1) -> keras.Model:
    """A network of few layers with all that a stage changes: `fit` traces it anew for every stage."""
    keras.utils.set_random_seed(1)
    pictures = keras.Input((32, 32, 3))
    tensor = keras.layers.Conv2D(4, 5, 4, activation="relu", name="block1_conv1")(pictures)
    tensor = keras.layers.BatchNormalization()(tensor)
    tensor = keras.layers.Dropout(dropout, name="dropout_1")(tensor)
    tensor = keras.layers.Conv2D(4, 3, kernel_regularizer=keras.regularizers.L2(1e-3), name="conv2d_1")(tensor)
    tensor = keras.layers.GlobalAveragePooling2D()(tensor)
    tensor = keras.layers.Dropout(dropout, name="dropout_2")(tensor)
    decay = keras.regularizers.L2(1e-3)
    scores = keras.layers.Dense(2, "softmax", kernel_regularizer=decay, name="dense_1")(tensor)
    model = keras.Model(pictures, scores)
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    return model


class _Watch(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.weights = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        names = [weight.path for weight in self.model.weights]
        now = self.model.get_weights()
        moved = {name for name, old, new in zip(names, self.weights, now, strict=True) if not np.array_equal(old, new)}
        dropout = self.model.get_layer("dropout_2").rate
        rate = float(self.model.optimizer.learning_rate.numpy())
        self.seen.append({"moved": moved, "dropout": dropout, "rate": rate, "loss": logs["loss"]})


def _fit(model: keras.Model, callback: StagedUnfreezing, epochs: int, *others: Any) -> _Watch:
    watch = _Watch()
    model.fit(
        PICTURES, TRUTH, batch_size=6, epochs=epochs, verbose=0, validation_data=(PICTURES, TRUTH),
        callbacks=[*others, watch, callback],
    )  # fmt: skip
    return watch


def test_each_stage_is_in_force_from_its_first_step() -> None:
    watch = _fit(_model(), StagedUnfreezing(STAGES), 9)
    assert [row["rate"] for row in watch.seen] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3])
    assert [row["dropout"] for row in watch.seen] == [0.2, 0.2, 0.5, 0.5]
    assert all(name.startswith("dense_1/") for row in watch.seen[:2] for name in row["moved"])
    assert any("block1_conv1" in name for name in watch.seen[2]["moved"])
    assert any("moving_mean" in name for name in watch.seen[2]["moved"])
    assert watch.seen[2]["loss"] > watch.seen[1]["loss"] + 1, "a decay of 0.5 must be felt in the loss"


def test_an_early_stop_becomes_the_next_stage() -> None:
    stopping = keras.callbacks.EarlyStopping("loss", patience=1, mode="max", start_from_epoch=0)
    watch = _fit(_model(), StagedUnfreezing([*STAGES, STAGES[1]], others=[stopping]), 9, stopping)
    assert len(watch.seen) <= 6
    assert sorted({round(row["rate"], 6) for row in watch.seen}) == [1e-3, 1e-2]


def test_own_patience_restores_the_best_weights() -> None:
    """A huge rate makes things worse: the stage ends two epochs after its best one, with that one's weights."""
    losses: list[float] = []
    recorder = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["val_loss"]))
    model = _model()
    _fit(model, StagedUnfreezing([Stage("one", ("all",), 0.5, 15, stop_patience=2, rate_patience=0)]), 20, recorder)
    best = int(np.argmin(losses))
    assert len(losses) == min(15, best + 3)
    assert model.evaluate(PICTURES, TRUTH, batch_size=6, verbose=0)[0] == pytest.approx(losses[best], rel=1e-4)


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(MammoError, match="needs a stage"):
        StagedUnfreezing([])
    with pytest.raises(MammoError, match="made with rate 0"):
        _fit(_model(dropout=0.0), StagedUnfreezing(STAGES), 4)
    with pytest.raises(MammoError, match="the logs hold no val_loss"):
        _model().fit(PICTURES, TRUTH, epochs=4, verbose=0, callbacks=[StagedUnfreezing(STAGES)])


def test_a_loss_of_ones_own_goes_on() -> None:
    def my_loss(truth: Any, given: Any) -> Any:
        return keras.ops.mean(keras.ops.square(truth - given), axis=-1)

    model = _model()
    model.compile("sgd", my_loss, metrics=[lambda truth, given: keras.ops.mean(given)], jit_compile=False)
    watch = _fit(model, StagedUnfreezing(STAGES), 9)
    assert len(watch.seen) == 4


def test_loss_scaling_clipping_and_averages_go_on_from_stage_to_stage() -> None:
    model = _model()
    adam = keras.optimizers.Adam(1.0, clipnorm=0.5, use_ema=True, ema_momentum=0.9)
    model.compile(keras.optimizers.LossScaleOptimizer(adam, initial_scale=64.0), "categorical_crossentropy")
    apply_in_place(model, STAGES[0])
    renewed = model.optimizer
    assert isinstance(renewed, keras.optimizers.LossScaleOptimizer)
    assert renewed.initial_scale == 64.0
    inner = renewed.inner_optimizer
    assert (inner.clipnorm, inner.use_ema, inner.ema_momentum) == (0.5, True, 0.9)
    assert float(inner.learning_rate.numpy()) == pytest.approx(STAGES[0].rate)
    model.compile(keras.optimizers.SGD(1.0, clipvalue=0.25, gradient_accumulation_steps=2), "categorical_crossentropy")
    apply_in_place(model, STAGES[1])
    assert (model.optimizer.clipvalue, model.optimizer.gradient_accumulation_steps) == (0.25, 2)


def test_a_first_figure_that_is_no_number_ends_the_stage() -> None:
    """Keras' patiences, and ours, would hold every later one against it."""
    callback = StagedUnfreezing([replace(STAGES[0], epochs=9)])
    model = _model()
    callback.set_model(model)
    callback.on_train_begin()
    with pytest.raises(MammoError, match="the first val_loss of the stage is nan"):
        callback.on_epoch_end(0, {"val_loss": float("nan")})
    callback.on_epoch_end(0, {"val_loss": 0.7})
    callback.on_epoch_end(1, {"val_loss": float("nan")})
    assert callback.best == 0.7


def test_patience_watches_one_figure_and_weights_are_kept_by_another() -> None:
    callback = StagedUnfreezing([replace(STAGES[0], epochs=9, stop_patience=2, keep="val_auc")])
    model = _model()
    callback.set_model(model)
    callback.on_train_begin()
    kept = []
    for number, (loss, area) in enumerate(((0.7, 0.5), (0.6, 0.9), (0.65, 0.7), (0.66, 0.8))):
        model.get_layer("dense_1").bias.assign([number, 0])
        model.stop_training = False
        callback.on_epoch_end(number, {"val_loss": loss, "val_auc": area})
        kept.append(model.stop_training)
    assert kept == [False, False, False, True]
    assert model.get_layer("dense_1").bias.numpy()[0] == 1


@pytest.mark.parametrize("first", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(("monitor", "mode"), [("val_loss", "min"), ("val_auc", "max")])
def test_only_finite_figures_and_weights_are_best(first: float, monitor: str, mode: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    best = BestWeights(tmp_path / "best.npz", monitor, mode)
    best.set_model(model)
    with pytest.raises(MammoError, match=f"the first {monitor}"):
        best.on_epoch_end(0, {monitor: first})
    best.on_epoch_end(0, {monitor: 0.7})
    best.on_epoch_end(1, {monitor: float("nan")})
    assert best.best == 0.7
    model.layers[0].kernel.assign([[np.inf]])
    with pytest.raises(MammoError, match="weights are not finite after epoch 3"):
        best.on_epoch_end(2, {monitor: 0.7})
    best.restore(model)
    assert model.layers[0].kernel.numpy().tolist() == [[1.0]]
    model.layers[0].kernel.assign([[np.nan]])
    with pytest.raises(MammoError, match="weights are not finite"):
        save_model(tmp_path / "model.keras", model)
    assert not (tmp_path / "model.keras").exists()


def test_an_average_is_not_kept_silently() -> None:
    """Keras' optimiser would keep one that nothing here looks at."""
    with pytest.raises(MammoError) as caught:
        StagedUnfreezing([*STAGES, Stage("averaged", ("all",), 0.5, 2, average=0.9)])
    assert caught.value.code == "stage_unfit"
    assert "averaged" in caught.value.sentence


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.0, 0.0, 0.5), (0.1, 0.6, 1.0)])
def test_a_slow_input_is_seen_and_a_quick_one_is_not_blamed(seconds: float, least: float, most: float) -> None:
    def slow(truth: np.ndarray) -> np.ndarray:
        time.sleep(seconds)
        return truth

    class Steps(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            time.sleep(0.02)  # of the step, before Keras asks for the batch

    model, waiting = _model(), Waiting()
    truth = TRUTH.astype(np.float32)
    stream = tf.data.Dataset.from_tensor_slices((PICTURES, truth)).repeat().batch(2)
    stream = stream.map(lambda x, y: (x, tf.ensure_shape(tf.numpy_function(slow, [y], tf.float32), (2, 2)))).prefetch(1)
    history = model.fit(
        waiting.watched(stream), epochs=3, steps_per_epoch=5, callbacks=[waiting, Steps()], verbose=0
    ).history["waiting"]
    assert len(history) == 3
    assert least <= np.median(history) <= most
    assert not len(waiting.arrivals) > 2, "what was prefetched beyond the last step"

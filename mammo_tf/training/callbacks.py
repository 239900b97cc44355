"""Callbacks: validation without approximations, progress with an estimate, staged unfreezing in anyone's own fit."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from mammo_tf.errors import MammoError
from mammo_tf.models.groups import set_trainable
from mammo_tf.models.rebuild import DROPOUTS, named_layers
from mammo_tf.training.checkpoints import check_first
from mammo_tf.training.devices import check_scaling, replicas
from mammo_tf.training.stages import Stage, better_when, make_optimizer

Logs = dict[str, Any] | None
SHOWN = 8  # images named in a message
KEPT = (  # of an optimiser, from stage to stage
    "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency",
    "gradient_accumulation_steps",
)  # fmt: skip


class Validation(keras.callbacks.Callback):
    """Puts a task's exact figures of validation into the logs at the end of each epoch; stands first.

    Args:
        validate: gives `val_loss` and the task's other figures for a model.
    """

    def __init__(self, validate: Callable[[keras.Model], dict[str, float]]) -> None:
        super().__init__()
        self.validate = validate

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        values = self.validate(self.model)
        if logs is not None:
            logs.update(values)


class FiniteLoss(keras.callbacks.Callback):
    """Ends the training at the first batch whose loss is not finite, and names its images.

    Args:
        stage: its name.
        images: gives the names of the images of a batch of an epoch, both counted from 0.

    Raises:
        MammoError: `loss_not_finite`.
    """

    def __init__(self, stage: str, images: Callable[[int, int], Sequence[str]]) -> None:
        super().__init__()
        self.stage, self.images = stage, images

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if np.isfinite((logs or {}).get("loss", 0.0)):
            return
        names = list(dict.fromkeys(self.images(self.epoch, batch)))
        more = f" and {len(names) - SHOWN} others" if len(names) > SHOWN else ""
        sentence = (
            f"the loss of stage {self.stage!r} is not finite in epoch {self.epoch + 1}, batch {batch + 1}, "
            f"of the images {', '.join(names[:SHOWN])}{more}"
        )
        raise MammoError("loss_not_finite", sentence, "Lower the learning rate, or look at these images")


class Waiting(keras.callbacks.Callback):
    """The share of an epoch's steps that went by before their batch was there, as `waiting` in the logs.

    0 where the input keeps ahead of the network; 0.3 says that a faster input would save three tenths of the time.
    It stands first, so that what other callbacks do before a step is not taken for a wait.

    Args:
        batches: of the stream that a step takes.
    """

    def __init__(self, batches: int = 1) -> None:
        super().__init__()
        self.batches = batches
        self.arrivals: deque[float] = deque()  # of batches whose step has not ended

    def watched(self, stream: tf.data.Dataset) -> tf.data.Dataset:
        """The stream, whose batches tell when they have come."""

        def note() -> np.ndarray:
            self.arrived()
            return np.zeros((), np.int64)

        def passed_on(*batch: Any) -> Any:
            with tf.control_dependencies([tf.numpy_function(note, [], tf.int64)]):
                return tf.nest.map_structure(tf.identity, batch)

        return stream.map(passed_on)

    def arrived(self) -> None:
        """Tells that a batch has come."""
        self.arrivals.append(time.perf_counter())

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.started = self.waited = 0.0

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self.begun = time.perf_counter()
        self.started = self.started or self.begun

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        last = [self.arrivals.popleft() for _ in range(self.batches)][-1]
        self.waited += max(last - self.begun, 0.0)
        self.ended = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["waiting"] = round(self.waited / (self.ended - self.started), 4)


class WarmUp(keras.callbacks.Callback):
    """The learning rate rises in equal steps to that of the stage; as far as that the plateau does not lower it.

    Args:
        rate: of the stage.
        steps: batches until it is reached.
    """

    def __init__(self, rate: float, steps: int) -> None:
        super().__init__()
        self.rate, self.steps = rate, steps

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        done = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        if done < self.steps:
            self.model.optimizer.learning_rate = self.rate * (done + 1) / self.steps


class Averages(keras.callbacks.Callback):
    """Changes trained weights for their moving averages, or back, at the end of each epoch.

    One stands in front of what validates and keeps the weights, another behind it. Statistics of batch normalisations
    are moving averages themselves and stay.
    """

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        with self.model.distribute_strategy.scope():
            for weight, average in zip(
                optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
            ):
                values = np.array(keras.ops.convert_to_numpy(weight))
                weight.assign(keras.ops.convert_to_numpy(average))
                average.assign(values)


class BranchStatistics(keras.callbacks.Callback):
    """Layers that add up statistics by branch (`sums`, `counts`, `reset_statistics`) begin anew with every epoch.

    Args:
        last_batch: they begin anew with every batch too, so that a branch has those of the last batch of the epoch
            that holds an example of it.
    """

    def __init__(self, last_batch: bool = False) -> None:
        super().__init__()
        self.last_batch = last_batch

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        layers = [layer for _, layer in named_layers(self.model) if hasattr(layer, "reset_statistics")]
        self.layers = [layer for layer in layers if layer.branches > 1]
        self._reset()

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        if self.last_batch:
            self.before = [_arrays(layer) for layer in self.layers]
            self._reset()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self.last_batch:
            return
        for layer, before in zip(self.layers, self.before, strict=True):
            sums, counts = _arrays(layer)
            missing = counts == 0
            if missing.any():
                sums[missing], counts[missing] = before[0][missing], before[1][missing]
                layer.sums.assign(sums)
                layer.counts.assign(counts)

    def _reset(self) -> None:
        for layer in self.layers:
            layer.reset_statistics()


def _arrays(layer: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Copies of its sums and counts by branch."""
    return np.array(keras.ops.convert_to_numpy(layer.sums)), np.array(keras.ops.convert_to_numpy(layer.counts))


class Progress(keras.callbacks.Callback):
    """One bar for a stage, with the time left and the last figures; silent when the output is piped."""

    def __init__(self, what: str, epochs: int, steps: int, figures: Sequence[str] = ("val_loss",)) -> None:
        super().__init__()
        self.what, self.epochs, self.steps, self.figures, self.first = what, epochs, steps, tuple(figures), True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.first:
            self.first = False
            self.bar = tqdm(
                desc=self.what, total=self.epochs * self.steps, initial=epoch * self.steps, unit="step",
                file=sys.stderr, disable=None, leave=False, dynamic_ncols=True,
            )  # fmt: skip

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self.bar.update(1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        named = [(name, (logs or {}).get(name)) for name in ("loss", *self.figures)]
        shown = {name: f"{value:.3f}" for name, value in named if value is not None}
        self.bar.set_postfix({"epoch": str(epoch + 1), **shown})

    def on_train_end(self, logs: Logs = None) -> None:
        if not self.first:
            self.bar.close()


class StagedUnfreezing(keras.callbacks.Callback):
    """Runs several stages inside one `fit`: an early stop, or the end of a stage's epochs, becomes the next stage.

    Stands last in the list of callbacks. Each stage starts from the best weights of the one before, with what it names
    trainable, its own dropout rate, L2 factor and learning rate, and a new optimiser that keeps loss scaling, clipping
    and averages of the one before. The train function is rebuilt, so all of this is in force from the next step on.
    The model must be compiled; its loss and metrics are kept. Our own runner makes one fit a stage instead.

    Args:
        stages: in order. `fit` needs `epochs` of their sum or more. `stop_patience` and `rate_patience` are kept here.
        others: callbacks of the same `fit` that count epochs (EarlyStopping, ReduceLROnPlateau); they start again with
            each stage.

    Raises:
        MammoError: `stages_missing`; `stage_unfit` for a stage with an average; `dropout_fixed` if a stage wants
            dropout where a layer was made with rate 0, which cannot be changed in a living model; `monitor_missing`,
            `monitor_not_finite`, `precision_unsafe`.
    """

    def __init__(self, stages: Sequence[Stage], others: Sequence[keras.callbacks.Callback] = ()) -> None:
        super().__init__()
        if not stages:
            raise MammoError("stages_missing", "staged unfreezing needs a stage")
        averaged = next((stage.name for stage in stages if stage.average is not None), None)
        if averaged is not None:
            sentence = f"stage {averaged!r} keeps an average of its weights, which one fit of several stages does not"
            raise MammoError("stage_unfit", sentence, "Leave average out, or train by fit_stage or a recipe")
        self.stages, self.others = tuple(stages), tuple(others)

    def on_train_begin(self, logs: Logs = None) -> None:
        self._begin(0)

    def _begin(self, number: int) -> None:
        self.number, self.stage, self.epochs = number, self.stages[number], 0
        self.best: float | None = None
        self.kept: float | None = None
        self.best_weights: list[NDArray[Any]] | None = None
        self.wait = self.rate_wait = 0
        apply_in_place(self.model, self.stage)
        for other in self.others:
            other.on_train_begin()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epochs += 1
        monitor = self.stage.monitor
        for watched in (monitor, self.stage.kept):
            if watched not in (logs or {}):
                raise MammoError("monitor_missing", f"the logs hold no {watched}", "Give fit its validation_data")
        value = float((logs or {})[monitor]) * (1 if better_when(monitor) == "min" else -1)
        if self.best is None:
            check_first(monitor, value)
        if self.best is None or value < self.best:
            self.best, self.wait, self.rate_wait = value, 0, 0
        else:
            self.wait += 1
            self.rate_wait += 1
        self._keep(logs or {})
        if self.stage.rate_patience and self.rate_wait >= self.stage.rate_patience:
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            if rate > self.stage.rate_floor:
                self.model.optimizer.learning_rate = max(rate * self.stage.rate_factor, self.stage.rate_floor)
            self.rate_wait = 0
        patient = not self.stage.stop_patience or self.wait < self.stage.stop_patience
        if patient and self.epochs < self.stage.epochs and not self.model.stop_training:
            return
        self.model.set_weights(self.best_weights)
        last = self.number + 1 == len(self.stages)
        self.model.stop_training = last
        if not last:
            self._begin(self.number + 1)

    def _keep(self, logs: dict[str, Any]) -> None:
        """The weights of the epoch that is best by the figure that the stage keeps them for."""
        value = float(logs[self.stage.kept]) * (1 if better_when(self.stage.kept) == "min" else -1)
        if self.kept is None:
            check_first(self.stage.kept, value)
        if self.kept is None or value < self.kept:
            self.kept, self.best_weights = value, self.model.get_weights()


def apply_in_place(model: keras.Model, stage: Stage) -> None:
    """Makes a stage's settings those of a living, compiled model: new optimiser, new train function.

    Raises:
        MammoError: `part_unknown`, `dropout_fixed`.
    """
    set_trainable(model, stage.trainable, stage.batch_norm)
    for path, layer in named_layers(model):
        if stage.dropout is not None and isinstance(layer, DROPOUTS):
            if stage.dropout > 0 and not hasattr(layer, "seed_generator"):
                raise MammoError(
                    "dropout_fixed",
                    f"the dropout layer {path} was made with rate 0 and cannot be given another",
                    "Start from models.rebuild(model, dropout=...)",
                )
            layer.rate = stage.dropout
        if stage.weight_decay is not None and getattr(layer, "kernel_regularizer", None) is not None:
            layer.kernel_regularizer = keras.regularizers.L2(stage.weight_decay if stage.decay == "l2" else 0.0)
            kernel = getattr(layer, "direction", layer.kernel)  # of a weight normalisation, the weight itself
            kernel.regularizer = layer.kernel_regularizer
    if not getattr(model, "compiled", False):
        raise MammoError("not_compiled", f"the model {model.name} is not compiled", "Call compile before fit")
    model.optimizer = _renewed(model, stage)
    model.optimizer.build(model.trainable_variables)
    model.make_train_function(force=True)


def _renewed(model: keras.Model, stage: Stage) -> keras.optimizers.Optimizer:
    """A new optimiser for a stage, with what the one before did to gradients and weights whatever its kind."""
    old = model.optimizer
    if not isinstance(old, keras.optimizers.LossScaleOptimizer):
        return make_optimizer(stage, **{name: getattr(old, name) for name in KEPT})
    check_scaling(replicas(model.distribute_strategy))
    new = make_optimizer(stage, **{name: getattr(old.inner_optimizer, name) for name in KEPT})
    return keras.optimizers.LossScaleOptimizer(new, old.initial_scale, old.dynamic_growth_steps)

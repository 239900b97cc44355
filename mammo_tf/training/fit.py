"""One fit a stage, resumable to the bit, ending in the best weights."""

from __future__ import annotations

import csv
import io
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import tensorflow as tf

from mammo_tf.data import draws_of_batch, inference_stream, steps_per_epoch, stream_errors
from mammo_tf.errors import MammoError
from mammo_tf.files import digest, half_folder, write_text
from mammo_tf.models import rebuild
from mammo_tf.training.cached_body import CachedBody
from mammo_tf.training.callbacks import Averages, BranchStatistics, FiniteLoss, Progress, Validation, Waiting, WarmUp
from mammo_tf.training.checkpoints import (
    BestWeights,
    check_first,
    read_state,
    restore_counters,
    restore_variables,
    save_state,
)
from mammo_tf.training.cluster import Beats, OfFirst, check_same, is_first, over_machines, share_of
from mammo_tf.training.computation import Computation
from mammo_tf.training.device_errors import device_errors
from mammo_tf.training.devices import check_shared, replicas
from mammo_tf.training.material import Material
from mammo_tf.training.stages import Stage, better_when, prepare_stage
from mammo_tf.training.step_fit import joint_fit

STATE, BEST = "state.npz", "best.npz"
LOG = logging.getLogger("mammo_tf")
History = list[dict[str, Any]]


def fit_stage(
    model: keras.Model,
    stage: Stage,
    material: Material,
    folder: str | Path,
    strategy: tf.distribute.Strategy | None = None,
    computation: Computation = Computation(),  # noqa: B008 - frozen
    on_epoch: Callable[[History], None] | None = None,
    number: int = 0,
) -> tuple[keras.Model, History]:
    """Trains one stage and gives the model with the weights of its best epoch, and the stage's curve.

    Called again with the same folder after a kill it continues after the last whole epoch and ends where an
    uninterrupted run ends: weights, optimiser, dropout seeds, counters of the callbacks and the order of the pictures
    are those of that epoch. A finished stage is only read.

    Args:
        model: where the stage starts; left as it is.
        stage: rates and patiences; they are truly in force, see `prepare_stage`.
        material: pictures.
        folder: for the stage's checkpoint, its best weights and its TensorBoard log.
        strategy: devices; by default the current strategy.
        computation: how a step is computed.
        on_epoch: told the curve so far after each epoch, once it is on disk.
        number: of the stage, counted through a recipe: with seed and epoch it decides order and augmentation.

    Returns:
        The model (compiled, float32 or mixed as asked) and one row an epoch: `stage`, `epoch`, `loss`, the task's
        running metrics, `val_loss` and the task's other figures of validation, `penalty` (the weight
        penalty at the end of the epoch, which `val_loss` holds and `loss` held on its way), `rate`, `waiting` (the
        share of the time of its steps in which their batch was not there yet), `seconds`.

    Raises:
        MammoError: `part_unknown`, `nothing_to_train`, `stream_failed`, `checkpoint_differs`, `checkpoint_damaged`,
            `monitor_missing`, `monitor_unknown`, `monitor_not_finite`, `loss_not_finite`, `weights_not_finite`,
            `worker_differs`; those of `check_shared` and of `Feeders.stream`.
    """
    folder = Path(folder)
    for watched in (stage.monitor, stage.kept):
        if watched not in material.task.monitors:
            known = ", ".join(material.task.monitors)
            sentence = f"stage {stage.name!r} watches {watched}, which a {material.task.kind} does not give"
            raise MammoError("monitor_unknown", sentence, f"Watch one of {known}")
    strategy = strategy or tf.distribute.get_strategy()
    devices = replicas(strategy)
    check_shared(material.batch_size, computation, devices, stage.clip_norm is not None, stage.average is not None)
    with strategy.scope():
        synchronized = True if devices > 1 else None
        prepared = prepare_stage(model, stage, synchronized, computation, material.task)
    if is_first(strategy):
        return _resumed(prepared, stage, number, material, folder, strategy, on_epoch, computation.cache_features)
    with TemporaryDirectory() as own:  # the other machines of several leave nothing, and go on from what the first left
        _copy_checkpoint(folder, Path(own))
        return _resumed(prepared, stage, number, material, Path(own), strategy, None, False)


def _copy_checkpoint(folder: Path, own: Path) -> None:
    for path in filter(Path.is_file, (folder / STATE, folder / BEST)):
        shutil.copy(path, own)


def _resumed(
    prepared: keras.Model,
    stage: Stage,
    number: int,
    material: Material,
    folder: Path,
    strategy: tf.distribute.Strategy,
    on_epoch: Callable[[History], None] | None,
    cached: bool,
) -> tuple[keras.Model, History]:
    """The stage from where its folder stands to its end."""
    if over_machines(strategy):
        stands = digest(folder / STATE) if (folder / STATE).is_file() else ""
        check_same(strategy, {"checkpoint": stands})
    best = BestWeights(folder / BEST, stage.kept, better_when(stage.kept))
    state: dict[str, Any] = {"epoch": -1, "history": [], "finished": False, "counters": []}
    if (folder / STATE).is_file():
        state = read_state(folder / STATE)
        restore_variables(folder / STATE, prepared)
    if not state["finished"] and state["epoch"] + 1 < stage.epochs:
        _run(prepared, stage, number, material, folder, strategy, best, state, on_epoch, cached)
        state = read_state(folder / STATE)
    best.restore(prepared)
    return prepared, list(state["history"])


def _run(
    model: keras.Model,
    stage: Stage,
    number: int,
    material: Material,
    folder: Path,
    strategy: tf.distribute.Strategy,
    best: BestWeights,
    state: dict[str, Any],
    on_epoch: Callable[[History], None] | None,
    cached: bool,
) -> None:
    first = int(state["epoch"]) + 1
    steps = steps_per_epoch(material.training, material.batch_size)
    if not len(material.training) or not steps:
        raise MammoError("nothing_to_train", f"stage {stage.name!r} has no picture to train on", "Look at the split")
    share = share_of(strategy)
    asked = material.stream(first, number, share)
    batches = asked.finished(asked.cut()) if material.feeders is None else material.feeders.stream(asked)
    stream = batches.map(lambda batch: material.task.pair(batch, model, material.batch_weights))
    waiting = Waiting(share.devices)
    stream = waiting.watched(stream)
    averages = [Averages()] if stage.average is not None else []
    callbacks = [
        waiting,
        *averages,
        _validation(material, strategy, model),
        FiniteLoss(stage.name, partial(_image_names, material, number)),
        BranchStatistics(stage.statistics == "last_batch"),
        *_patience(stage),
        *([WarmUp(stage.rate, stage.warm_up)] if stage.warm_up else []),
        best,
        *averages,
        keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False),
        Progress(stage.name, stage.epochs, steps, (*material.task.monitors, "penalty")),
    ]
    callbacks.append(_Keeper(folder / STATE, stage, callbacks, state, on_epoch))
    with stream_errors(), half_folder(folder / "features") as room:
        body = _cached(model, material, Path(room)) if cached else None
        if body is not None:
            with device_errors(material.batch_size):
                body.fit(model, number, waiting, callbacks, stage.epochs, first, steps)
        elif over_machines(strategy):
            joint_fit(model, stream, strategy, [*callbacks, Beats()], stage.epochs, first, steps)
        else:
            with device_errors(material.batch_size):
                model.fit(
                    stream, epochs=stage.epochs, initial_epoch=first, steps_per_epoch=steps, callbacks=callbacks,
                    shuffle=False, verbose=0,
                )  # fmt: skip


def _cached(model: keras.Model, material: Material, room: Path) -> CachedBody | None:
    """The network in two, or None, with a word, where the features of its body cannot be kept."""
    try:
        return CachedBody(model, material, room)
    except MammoError as error:
        if error.code != "body_uncached":
            raise
        LOG.info("no features are kept: %s", error.sentence)
        return None


def _image_names(material: Material, stage: int, epoch: int, batch: int) -> list[str]:
    """The images of one batch of training."""
    positions = draws_of_batch(material.training, material.batch_size, batch, epoch, stage).positions
    return [str(name) for name in material.records.rows["image_id"].iloc[positions]]


def _validation(material: Material, strategy: tf.distribute.Strategy, model: keras.Model) -> keras.callbacks.Callback:
    """The stream of validation pictures is built once and run at the end of each epoch, by the first machine alone."""
    together = over_machines(strategy)
    devices = 1 if together else replicas(strategy)
    stream = inference_stream(
        material.records, material.validation, material.batch_size, material.preprocessing, padded=devices > 1,
        masks=material.task.masks(material.records),
    )  # fmt: skip
    draws = material.validation.epoch(0)

    def validate(model: keras.Model) -> dict[str, float]:
        penalty = float(sum(float(loss) for loss in model.losses))
        return material.task.validate(model, stream, draws) | {"penalty": penalty}

    if not together:
        return Validation(validate)
    copy = rebuild(model, synchronized=False) if is_first(strategy) else None
    return OfFirst(strategy, copy, validate)


def _patience(stage: Stage) -> list[keras.callbacks.Callback]:
    mode = better_when(stage.monitor)
    callbacks: list[keras.callbacks.Callback] = []
    if stage.rate_patience:
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                stage.monitor, stage.rate_factor, stage.rate_patience, mode=mode, min_delta=0.0, min_lr=stage.rate_floor
            )
        )
    if stage.stop_patience:
        callbacks.append(keras.callbacks.EarlyStopping(stage.monitor, patience=stage.stop_patience, mode=mode))
    return callbacks


class _Keeper(keras.callbacks.Callback):
    """Writes everything that the next epoch needs; stands last, so that all counters are those of this epoch."""

    def __init__(
        self,
        path: Path,
        stage: Stage,
        callbacks: Sequence[keras.callbacks.Callback],
        state: dict[str, Any],
        on_epoch: Callable[[History], None] | None,
    ) -> None:
        super().__init__()
        self.path, self.stage, self.others, self.state, self.told = path, stage, list(callbacks), state, on_epoch

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.state["counters"]:
            restore_counters(self.others, self.state["counters"])

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items() if name != "learning_rate"}
        if not self.state["history"]:
            check_first(self.stage.monitor, values[self.stage.monitor])
        clocks = {"waiting": values.pop("waiting"), "seconds": self._seconds()}
        row = {"stage": self.stage.name, "epoch": epoch + 1, **values, "rate": self.rate, **clocks}
        history = [*self.state["history"], row]
        finished = bool(self.model.stop_training)  # a stage whose epochs are used up goes on where it is given more
        self.state = {"epoch": epoch, "history": history, "finished": finished}
        save_state(self.path, self.model, self.others, self.state)
        if self.told is not None:
            self.told(history)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if batch == 0:
            self.rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def _seconds(self) -> float:
        return round(time.perf_counter() - self.started, 3)


def write_log(history: History, path: str | Path) -> None:
    """Writes the curves of all stages as `log.csv`; a column that a stage does not have is empty."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())

"""Exact resume: everything that an epoch hands to the next one, in one file without pickle."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.files import DAMAGED, atomic_path
from mammo_tf.json_text import parsed_json


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch in a file, written whole or not at all.

    A figure that is not finite is never the best; if the first one is not, the stage ends there, as Keras' patiences
    would hold every later one against it.

    Args:
        path: `.npz` file.
        monitor: key of the logs.
        mode: "min" or "max".

    Raises:
        MammoError: `monitor_missing`, `monitor_not_finite`, `weights_not_finite`.
    """

    def __init__(self, path: Path, monitor: str, mode: str) -> None:
        super().__init__()
        self.path, self.monitor, self.sign = path, monitor, 1.0 if mode == "min" else -1.0
        self.best: float | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.monitor not in (logs or {}):
            remedy = "Monitor val_loss, or validate on both classes"
            raise MammoError("monitor_missing", f"validation gives no {self.monitor}", remedy)
        value = float((logs or {})[self.monitor])
        weights = self.model.get_weights()
        check_finite(weights, f"after epoch {epoch + 1}")
        if self.best is None:
            check_first(self.monitor, value)
        if self.best is None or self.sign * value < self.sign * self.best:
            self.best = value
            _write_arrays(self.path, {str(number): array for number, array in enumerate(weights)})

    def restore(self, model: keras.Model) -> None:
        """Gives the best weights to a model.

        Raises:
            MammoError: `checkpoint_damaged`.
        """
        with _arrays_of(self.path, f"Remove the folder {self.path.parent}, and the stage starts again") as arrays:
            model.set_weights([arrays[str(number)] for number in range(len(arrays))])


def check_finite(
    weights: Iterable[np.ndarray], when: str, remedy: str = "Lower the learning rate, or train in float32"
) -> None:
    """Refuses weights that are not finite: a network with one gives nothing, or not-a-number, for ever.

    Raises:
        MammoError: `weights_not_finite`.
    """
    if not all(np.isfinite(array).all() for array in weights if array.dtype.kind == "f"):
        raise MammoError("weights_not_finite", f"weights are not finite {when}", remedy)


def check_first(monitor: str, value: float) -> None:
    """Refuses a first figure that no later one could be compared with.

    Raises:
        MammoError: `monitor_not_finite`.
    """
    if not math.isfinite(value):
        remedy = "Lower the learning rate, train in float32, or monitor another figure"
        raise MammoError("monitor_not_finite", f"the first {monitor} of the stage is {value}", remedy)


COUNTERS = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    BestWeights: ("best",),
}
KEY = "state"


def save_state(
    path: Path, model: keras.Model, callbacks: list[keras.callbacks.Callback], state: Mapping[str, Any]
) -> None:
    """Writes weights, dropout seeds, optimiser slots, callback counters and `state` (JSON values), whole or not."""
    arrays = {f"model/{number}": value for number, value in enumerate(_arrays(_variables(model)))}
    arrays |= {f"optimizer/{number}": value for number, value in enumerate(_arrays(model.optimizer.variables))}
    text = json.dumps({"counters": _counters(callbacks), **state})
    arrays[KEY] = np.frombuffer(text.encode(), np.uint8)
    _write_arrays(path, arrays)


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with atomic_path(path) as beside, beside.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_state(path: Path) -> dict[str, Any]:
    """The `state` that `save_state` was given, with `counters`.

    Raises:
        MammoError: `checkpoint_damaged`.
    """
    with _arrays_of(path) as arrays:
        return dict(parsed_json(arrays[KEY].tobytes().decode()))


def restore_variables(path: Path, model: keras.Model) -> None:
    """Puts weights, dropout seeds and optimiser slots back.

    Raises:
        MammoError: `checkpoint_differs` if the file is of another model, `checkpoint_damaged`.
    """
    groups = (("model", _variables(model)), ("optimizer", model.optimizer.variables))
    with _arrays_of(path) as arrays:
        wanted = {f"{prefix}/{number}": one for prefix, variables in groups for number, one in enumerate(variables)}
        shapes = {name: tuple(variable.shape) for name, variable in wanted.items()}
        if {name: array.shape for name, array in arrays.items() if name != KEY} != shapes:
            raise MammoError("checkpoint_differs", f"{path} is of another model", "Name another run folder")
        for name, variable in wanted.items():
            variable.assign(arrays[name])


@contextmanager
def _arrays_of(path: Path, remedy: str = "Remove it, and the stage starts again") -> Iterator[dict[str, np.ndarray]]:
    """All arrays of a file, and a clear line where they, or what the body makes of them, are not what was written.

    Raises:
        MammoError: `checkpoint_damaged`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        yield arrays
    except DAMAGED as error:
        raise MammoError("checkpoint_damaged", f"{path} cannot be read: {error}", remedy) from error


def restore_counters(callbacks: list[keras.callbacks.Callback], counters: list[dict[str, Any]]) -> None:
    """Puts the counters of Keras' own callbacks back; call it when training has begun, as that resets them."""
    counted = [callback for callback in callbacks if type(callback) in COUNTERS]
    for callback, values in zip(counted, counters, strict=True):
        for name, value in values.items():
            setattr(callback, name, value)


def _counters(callbacks: list[keras.callbacks.Callback]) -> list[dict[str, Any]]:
    rows = []
    for callback in callbacks:
        if type(callback) in COUNTERS:
            values = {name: getattr(callback, name) for name in COUNTERS[type(callback)]}
            rows.append({name: _plain(value) for name, value in values.items()})
    return rows


def _plain(value: Any) -> int | float | None:
    return value if value is None or isinstance(value, int) else float(value)


def _variables(model: keras.Model) -> list[Any]:
    """Weights and the states of the random seeds of dropout layers; the metrics' own states are left out."""
    counting = {id(variable) for metric in model.metrics for variable in metric.variables}
    slots = {id(variable) for variable in model.optimizer.variables}
    return [variable for variable in model.variables if id(variable) not in counting | slots]


def _arrays(variables: list[Any]) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]

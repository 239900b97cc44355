"""A training loop of our own, step by step, for what Keras' `fit` does not do; the same callbacks at the same moments.

Keras' own `fit` cannot run under `MultiWorkerMirroredStrategy`: it looks for shapes in a value of several replicas, and
takes the mean of a scalar over an axis. Everything else of Keras can: `train_step` under `strategy.run` scales the
loss, adds gradients up over all machines and updates every copy. So `joint_fit` is `fit` with that one step, and
nothing private.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf


def step_fit(
    model: keras.Model,
    trained: keras.Model,
    batches: Callable[[int], Iterator[Any]],
    step: Callable[[Any], dict[str, Any]],
    callbacks: Sequence[keras.callbacks.Callback],
    epochs: int,
    first: int,
    steps: int,
) -> None:
    """Trains as `keras.Model.fit` does.

    Args:
        model: what callbacks see, and what one of them ends by `stop_training`.
        trained: whose metrics an epoch begins anew; `model`, or a part of it.
        batches: gives an epoch, counted from 0, its batches.
        step: trains on one of them; gives the epoch's metrics so far.
        callbacks: in their order.
        epochs: number of the last one, counted from 1.
        first: epoch to begin with, counted from 0.
        steps: batches of an epoch.
    """
    listeners = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs, steps=steps, verbose=0)
    logs: dict[str, float] = {}
    model.stop_training = False
    listeners.on_train_begin()
    for epoch in range(first, epochs):
        trained.reset_metrics()
        listeners.on_epoch_begin(epoch)
        given = batches(epoch)
        for number in range(steps):
            listeners.on_train_batch_begin(number)
            logs = {name: float(value) for name, value in step(next(given)).items()}
            listeners.on_train_batch_end(number, logs)
        listeners.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    listeners.on_train_end(logs)


def joint_fit(
    model: keras.Model,
    stream: tf.data.Dataset,
    strategy: tf.distribute.Strategy,
    callbacks: Sequence[keras.callbacks.Callback],
    epochs: int,
    first: int,
    steps: int,
) -> None:
    """Trains on all machines of a strategy; all of them must call it.

    Args:
        model: built and compiled under `strategy`.
        stream: this machine's batches, one for each of its devices, without an end.
        strategy: of the machines.
        callbacks: those of this machine. What one of them decides (a rate, an end) all must decide alike.
        epochs, first, steps: as for `step_fit`.
    """
    batches = iter(strategy.distribute_datasets_from_function(lambda context: stream))

    @tf.function
    def step(batch: Any) -> dict[str, Any]:
        logs = strategy.run(model.train_step, (batch,))
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}

    step_fit(model, model, lambda epoch: batches, step, callbacks, epochs, first, steps)

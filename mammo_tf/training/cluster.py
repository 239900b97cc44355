"""Several machines: who belongs to the cluster, and what the first of them tells the others."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mammo_tf.data.shares import Share
from mammo_tf.errors import MammoError
from mammo_tf.launcher import ALONE, HEARTBEAT, LOST, cluster_of_environment, launched

SPOKEN = 16384  # bytes that the first machine can say at once
OF_PEERS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def in_cluster() -> bool:
    """Whether this process is one of several machines: `TF_CONFIG` says so, and a launcher watches it.

    A process that nobody watches would wait for its peers for ever; commands other than `run` train by themselves.
    """
    return launched(os.environ) and cluster_of_environment(os.environ) is not None


def cluster_strategy() -> tf.distribute.Strategy:
    """The strategy of all machines of `TF_CONFIG`; blocks until they are all there.

    It must be made before TensorFlow does anything else in the process. Gradients travel in a ring over gRPC, which
    works on every network; NCCL is for GPUs alone.
    """
    beat()
    ring = tf.distribute.experimental.CollectiveCommunication.RING
    gpus = tf.config.list_physical_devices("GPU")
    how = tf.distribute.experimental.CommunicationOptions(implementation=None if gpus else ring)
    strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=how)
    beat()
    return strategy


def over_machines(strategy: tf.distribute.Strategy) -> bool:
    """Whether the strategy is one of several machines."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_first(strategy: tf.distribute.Strategy | None = None) -> bool:
    """Whether this machine claims, validates, logs, keeps and exports; of one machine alone it does."""
    strategy = strategy or tf.distribute.get_strategy()
    return not over_machines(strategy) or strategy.cluster_resolver.task_id == 0


def share_of(strategy: tf.distribute.Strategy) -> Share:
    """This machine's part of every batch."""
    if not over_machines(strategy):
        return Share()
    machines = len(strategy.cluster_resolver.cluster_spec().as_dict()["worker"])
    return Share(strategy.cluster_resolver.task_id, machines, strategy.num_replicas_in_sync // machines)


def told_by_first(strategy: tf.distribute.Strategy, thing: Any) -> Any:
    """What the first machine gave, on every machine; all must call it, and wait for each other here.

    Args:
        strategy: of the machines.
        thing: made of JSON values; of other machines than the first it is not looked at.

    Raises:
        MammoError: `message_long`.
    """
    beat()
    spoken = np.zeros(SPOKEN, np.int32)
    if is_first(strategy):
        text = np.frombuffer(json.dumps(thing).encode(), np.uint8)
        if len(text) >= SPOKEN:
            raise MammoError("message_long", f"{len(text)} bytes are more than the first machine can say at once")
        spoken[: len(text)] = text
    heard = _adder(strategy)(tf.constant(spoken)).numpy().astype(np.uint8)
    beat()
    return json.loads(bytes(heard[heard > 0]).decode())


@cache
def _adder(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    """Of a vector of each machine the sum over all of them, one device of each counting."""

    def one(spoken: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        own = spoken if context.replica_id_in_sync_group == 0 else spoken * 0
        return context.all_reduce(tf.distribute.ReduceOp.SUM, own)

    @tf.function
    def added(spoken: tf.Tensor) -> tf.Tensor:
        return strategy.experimental_local_results(strategy.run(one, (spoken,)))[0]

    return added


def check_same(strategy: tf.distribute.Strategy, own: dict[str, str]) -> None:
    """Refuses to train where this machine would train something else than the first.

    Args:
        strategy: of the machines.
        own: what decides the result here, by what it is: the recipe, the data, the version of the package.

    Raises:
        MammoError: `worker_differs`.
    """
    first = told_by_first(strategy, own)
    for what, value in own.items():
        if first.get(what) != value:
            number = strategy.cluster_resolver.task_id
            sentence = f"worker {number} has another {what} than worker 0 ({value[:12]}, not {first.get(what)!s:.12})"
            raise MammoError("worker_differs", sentence, "Start all workers with the same command, files and image")


@contextmanager
def losses_told() -> Iterator[None]:
    """Ends the process with the code `LOST` where another machine of the cluster has gone; its launcher begins anew."""
    try:
        yield
    except OF_PEERS as error:
        if not in_cluster():
            raise
        told = (error.message or "").splitlines() or [""]
        sys.stderr.write(f"another machine was lost: {told[0][:200]}\n")
        sys.stderr.flush()
        os._exit(LOST)  # TensorFlow's own threads wait for the peer at a regular end


def beat() -> None:
    """Tells the launcher, which may be waiting, that this process is getting on."""
    path = os.environ.get(HEARTBEAT)
    if path:
        Path(path).write_text(str(time.time()))


def wait_no_more() -> None:
    """Tells the launcher that training is over: what the first machine measures takes as long as it takes."""
    path = os.environ.get(HEARTBEAT)
    if path:
        Path(path).write_text(ALONE)


class Beats(keras.callbacks.Callback):
    """Tells the launcher of every batch."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        beat()


class OfFirst(keras.callbacks.Callback):
    """Figures of validation, made by the first machine and told to all, so that all decide alike.

    Args:
        strategy: of the machines.
        copy: what is validated, a network for one device, which gets the weights; None on other machines.
        validate: gives the figures of a model.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        copy: keras.Model | None,
        validate: Callable[[keras.Model], dict[str, float]],
    ) -> None:
        super().__init__()
        self.strategy, self.copy, self.validate = strategy, copy, validate

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values: dict[str, float] = {}
        if self.copy is not None:
            self.copy.set_weights(self.model.get_weights())
            values = self.validate(self.copy)
        heard = told_by_first(self.strategy, values)
        if logs is not None:
            logs.update(heard)

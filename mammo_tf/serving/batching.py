"""Calls that come at the same time, put together: the network sees their pictures at once.

The first caller of a batch leads it: it waits for others up to the timeout, and on while all slots are taken, then runs
the batch, and hands everyone the rows that are theirs. Where a batch fails, each call of it is run alone: one bad
picture is refused to the caller who sent it. A call of more rows than a batch holds is run in parts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.serving.refusals import Code, RequestError

Arrays = list[NDArray[Any]]
Work = Callable[[Arrays], Arrays]
FULL = "The batch scheduling queue to which this task was submitted is full"


@dataclass(frozen=True)
class BatchSettings:
    """As TensorFlow Serving's `BatchingParameters`.

    Attributes:
        largest: rows of a batch, `max_batch_size`.
        timeout_s: how long a batch waits for further calls, `batch_timeout_micros`.
        threads: batches that run at once, `num_batch_threads`.
        waiting: batches that may wait, `max_enqueued_batches`; more are refused.
    """

    largest: int = 8
    timeout_s: float = 0.0
    threads: int = 1
    waiting: int = 100


@dataclass
class _Call:
    inputs: Arrays
    rows: int
    done: threading.Event = field(default_factory=threading.Event)
    outputs: Arrays = field(default_factory=list)
    error: BaseException | None = None

    def run(self, work: Work) -> None:
        try:
            self.outputs = work(self.inputs)
        except BaseException as error:
            self.error = error

    def result(self) -> Arrays:
        self.done.wait()
        if self.error is not None:
            raise self.error
        return self.outputs


@dataclass
class _Batch:
    calls: list[_Call] = field(default_factory=list)
    full: threading.Event = field(default_factory=threading.Event)

    @property
    def rows(self) -> int:
        return sum(call.rows for call in self.calls)


class Batcher:
    """Puts calls together; one for all models of a server."""

    def __init__(self, settings: BatchSettings, count: Callable[[int], None] = lambda rows: None) -> None:
        """Prepares.

        Args:
            settings: how large batches may be.
            count: is told the rows of each batch that ran.
        """
        self.settings = settings
        self._count = count
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(settings.threads)
        self._open: dict[Hashable, _Batch] = {}
        self._waiting = 0

    def run(self, key: Hashable, inputs: Arrays, work: Work) -> Arrays:
        """Runs a call, with others of the same key.

        Args:
            key: equal for calls whose inputs may be joined along their first axis.
            inputs: arrays of one length.
            work: inputs to outputs, of which each has as many rows as the inputs.

        Raises:
            RequestError: `UNAVAILABLE` where too many batches wait; what `work` raises of these inputs.
        """
        rows, largest = len(inputs[0]), self.settings.largest
        if rows > largest:
            starts = range(0, rows, largest)
            parts = [self.run(key, [one[start : start + largest] for one in inputs], work) for start in starts]
            return [np.concatenate(part) for part in zip(*parts, strict=True)]
        call = _Call(inputs, rows)
        batch, leads = self._joined(key, call)
        if leads:
            batch.full.wait(self.settings.timeout_s)
            with self._slots:
                self._close(key, batch)
                self._run(batch, work)
        return call.result()

    def alone(self, inputs: Arrays, work: Work) -> Arrays:
        """Runs a call that cannot be joined with others, in its turn."""
        with self._slots:
            return work(inputs)

    def _joined(self, key: Hashable, call: _Call) -> tuple[_Batch, bool]:
        """The batch that a call is part of, and whether the caller leads it."""
        with self._lock:
            batch = self._open.get(key)
            leads = batch is None or batch.rows + call.rows > self.settings.largest
            if batch is None or leads:
                if self._waiting >= self.settings.waiting:
                    raise RequestError(Code.UNAVAILABLE, FULL)
                if batch is not None:
                    batch.full.set()
                self._waiting += 1
                batch = self._open[key] = _Batch()
            batch.calls.append(call)
            if batch.rows == self.settings.largest:
                batch.full.set()
            return batch, leads

    def _close(self, key: Hashable, batch: _Batch) -> None:
        """From now on nobody joins it."""
        with self._lock:
            self._waiting -= 1
            if self._open.get(key) is batch:
                del self._open[key]

    def _run(self, batch: _Batch, work: Work) -> None:
        self._count(batch.rows)
        try:
            if len(batch.calls) == 1 or not _run_together(batch.calls, work):
                for call in batch.calls:
                    call.run(work)
        finally:
            for call in batch.calls:
                call.done.set()


def _run_together(calls: Sequence[_Call], work: Work) -> bool:
    """Runs calls as one; False where that fails, or where an output has not one row for each of the input."""
    joined = [np.concatenate(parts) for parts in zip(*(call.inputs for call in calls), strict=True)]
    try:
        outputs = work(joined)
    except Exception:  # each call is run alone, and hears then what is wrong with it
        return False
    if any(one.ndim == 0 or len(one) != len(joined[0]) for one in outputs):
        return False
    start = 0
    for call in calls:
        call.outputs = [one[start : start + call.rows] for one in outputs]
        start += call.rows
    return True

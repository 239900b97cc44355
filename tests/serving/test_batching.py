"""Calls put together, and taken apart again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mammo_tf.serving.batching import Batcher, BatchSettings
from mammo_tf.serving.refusals import Code, RequestError, wrong


class Doubling:
    """Work that waits until it may begin, and notes how many rows it saw."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.may_begin = threading.Event()
        self.may_begin.set()

    def __call__(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        self.may_begin.wait(10)
        self.rows.append(len(inputs[0]))
        if (inputs[0] < 0).any():
            raise wrong("below 0")
        return [2 * inputs[0], inputs[0].sum(axis=1)]


def row(value: float) -> list[np.ndarray]:
    return [np.array([[value, value]])]


def held_up(batcher: Batcher, work: Doubling, pool: ThreadPoolExecutor) -> None:
    """Takes the only slot: what is asked from now on waits, and may be joined."""
    work.may_begin.clear()
    pool.submit(batcher.run, "first", row(0), work)
    while batcher._slots._value != 0:
        time.sleep(0.001)


def waiting(batcher: Batcher, calls: int) -> None:
    while sum(len(batch.calls) for batch in list(batcher._open.values())) < calls:
        time.sleep(0.001)


def test_calls_that_wait_are_run_together_and_each_gets_its_own() -> None:
    counted: list[int] = []
    batcher, work = Batcher(BatchSettings(largest=8), counted.append), Doubling()
    with ThreadPoolExecutor(8) as pool:
        held_up(batcher, work, pool)
        asked = [pool.submit(batcher.run, "key", row(number), work) for number in range(5)]
        waiting(batcher, 5)
        work.may_begin.set()
        for number, answer in enumerate(asked):
            doubled, total = answer.result(10)
            np.testing.assert_array_equal(doubled, [[2 * number, 2 * number]])
            np.testing.assert_array_equal(total, [2 * number])
    assert work.rows == counted == [1, 5]


def test_other_keys_and_more_than_a_batch_holds_are_run_apart() -> None:
    batcher, work = Batcher(BatchSettings(largest=2)), Doubling()
    with ThreadPoolExecutor(8) as pool:
        held_up(batcher, work, pool)
        asked = [pool.submit(batcher.run, key, row(1), work) for key in ("a", "b")]
        waiting(batcher, 2)
        work.may_begin.set()
        assert [len(one.result(10)[0]) for one in asked] == [1, 1]
    assert work.rows == [1, 1, 1]
    work.rows.clear()
    doubled, total = batcher.run("key", [np.arange(10.0).reshape(5, 2)], work)
    np.testing.assert_array_equal(doubled, 2 * np.arange(10.0).reshape(5, 2))
    assert work.rows == [2, 2, 1]
    assert total.shape == (5,)
    assert batcher.run("key", [np.zeros((0, 2))], work)[0].shape == (0, 2)


def test_one_bad_call_spoils_no_other() -> None:
    batcher, work = Batcher(BatchSettings(largest=8)), Doubling()
    with ThreadPoolExecutor(8) as pool:
        held_up(batcher, work, pool)
        asked = [pool.submit(batcher.run, "key", row(value), work) for value in (1, -1, 3)]
        waiting(batcher, 3)
        work.may_begin.set()
        assert asked[0].result(10)[1][0] == 2
        assert asked[2].result(10)[1][0] == 6
        with pytest.raises(RequestError, match="below 0"):
            asked[1].result(10)
    assert work.rows == [1, 3, 1, 1, 1]


def test_outputs_that_are_no_rows_are_computed_for_each_alone() -> None:
    batcher = Batcher(BatchSettings(largest=8))
    hold = Doubling()
    with ThreadPoolExecutor(8) as pool:
        held_up(batcher, hold, pool)
        asked = [pool.submit(batcher.run, "key", row(value), lambda inputs: [inputs[0].sum()]) for value in (1, 2)]
        waiting(batcher, 2)
        hold.may_begin.set()
        assert [one.result(10)[0] for one in asked] == [2, 4]


def test_a_batch_waits_for_others_and_no_longer_than_it_may() -> None:
    work = Doubling()
    patient = Batcher(BatchSettings(largest=2, timeout_s=30))
    with ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        for answer in [pool.submit(patient.run, "key", row(1), work) for _ in range(2)]:
            answer.result(20)
        assert time.monotonic() - began < 15
    assert work.rows == [2]
    began = time.monotonic()
    Batcher(BatchSettings(largest=2, timeout_s=0.05)).run("key", row(1), work)
    assert 0.04 < time.monotonic() - began < 15


def test_too_many_waiting_batches_are_refused() -> None:
    batcher, work = Batcher(BatchSettings(largest=1, waiting=2)), Doubling()
    with ThreadPoolExecutor(8) as pool:
        held_up(batcher, work, pool)
        asked = [pool.submit(batcher.run, key, row(1), work) for key in ("a", "b")]
        waiting(batcher, 2)
        with pytest.raises(RequestError, match="queue .* is full") as caught:
            batcher.run("c", row(1), work)
        assert caught.value.code == Code.UNAVAILABLE
        work.may_begin.set()
        for one in asked:
            one.result(10)
    assert len(batcher.run("c", row(1), work)[0]) == 1

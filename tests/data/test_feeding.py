"""Batches made elsewhere: those of the stream to the bit, whoever makes them, and a line where nobody does."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mammo_tf.data import stream_errors
from mammo_tf.data.feeding import Feeder, Feeders, Wish, _ReadAhead
from mammo_tf.data.streams import StageStream
from mammo_tf.errors import MammoError
from mammo_tf.records import Records

sys.path.insert(0, str(Path(__file__).parent))
from feeder_process import FeederProcess, asked_of  # noqa: E402 - it lies next to this file

ABOUT = {"recipe": "0123456789abcdef", "version of mammo_tf": "1"}


def _addresses(count: int) -> tuple[str, ...]:
    """Of this machine, with two ports each that are free now."""
    found: list[int] = []
    while len(found) < count:
        with closing(socket.socket()) as one, closing(socket.socket()) as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            if all(abs(port - other) > 1 for other in found):
                found.append(port)
    return tuple(f"127.0.0.1:{port}" for port in found)


@pytest.fixture(scope="module")
def feeders(records: Records) -> Iterator[FeederProcess]:
    process = FeederProcess(records)
    yield process
    process.end()


def _batches(stream: tf.data.Dataset, count: int) -> list[dict[str, np.ndarray]]:
    return [{name: values.numpy() for name, values in batch.items()} for batch in islice(stream, count)]


def _assert_same(found: list[dict[str, np.ndarray]], expected: list[dict[str, np.ndarray]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
            assert one[name].dtype == other[name].dtype


@pytest.mark.parametrize(("count", "epochs"), [(1, (0, 10**6)), (2, (0, 1, 0)), (5, (1,))])
def test_feeders_give_the_batches_of_the_stream(
    records: Records, feeders: FeederProcess, count: int, epochs: tuple[int, ...]
) -> None:
    """Two epochs of four batches; five feeders are more than an epoch has batches. From later epochs too, and again."""
    addresses = _addresses(count)
    for address in addresses:
        feeders.feed(address, ABOUT, "bright")
    for first in epochs:
        one = asked_of(records, "bright", stage=1, first_epoch=first)
        expected = _batches(one.finished(one.cut()), 9)
        _assert_same(_batches(Feeders(addresses, ABOUT).stream(one), 9), expected)


def test_every_machine_gets_its_own_part(records: Records, feeders: FeederProcess) -> None:
    addresses = _addresses(1)
    feeders.feed(*addresses, ABOUT)
    streams = [asked_of(records, share=(number, 2, 2)) for number in range(2)]
    found = [_batches(Feeders(addresses, ABOUT).stream(one), 10) for one in streams]
    for batches, one in zip(found, streams, strict=True):
        assert {len(batch["label"]) for batch in batches} == {2}
        _assert_same(batches, _batches(one.finished(one.cut()), 10))
    alone = asked_of(records)
    whole = [batch["position"].tolist() for batch in _batches(alone.finished(alone.cut()), 5)]
    both = [[batch["position"].tolist() for batch in batches] for batches in found]
    assert whole == [sum((*both[0][2 * n : 2 * n + 2], *both[1][2 * n : 2 * n + 2]), []) for n in range(5)]


def test_parts_of_a_stream_are_every_nth_batch(records: Records) -> None:
    asked = asked_of(records, first_epoch=1)
    whole = [batch["position"].numpy().tolist() for batch in islice(asked.cut(), 9)]
    for parts in (2, 3, 7):
        for part in range(parts):
            numbers = [n for n in range(9) if (n + asked.first_batch) % parts == part]
            found = [batch["position"].numpy().tolist() for batch in islice(asked.cut(part, parts), len(numbers))]
            assert found == [whole[number] for number in numbers]


@pytest.fixture(scope="module")
def fed(records: Records, feeders: FeederProcess) -> tuple[tuple[str, ...], StageStream]:
    """One feeder's address, and what it offers."""
    addresses = _addresses(1)
    feeders.feed(*addresses, ABOUT)
    return addresses, asked_of(records)


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"recipe": "fedcba9876543210"}, r"has another recipe than this run \(0123456789ab, not fedcba987654\)"),
        ({"version of mammo_tf": "2"}, r"has another version of mammo_tf than this run \(1, not 2\)"),
        ({"digest of data": "00"}, r"has another digest of data than this run \(None, not 00\)"),
    ],
)
def test_a_feeder_of_something_else_is_refused(fed: Any, about: dict[str, str], told: str) -> None:
    addresses, asked = fed
    with pytest.raises(MammoError, match=told):
        Feeders(addresses, ABOUT | about).stream(asked)


def test_nobody_there(records: Records) -> None:
    (address,) = _addresses(1)
    with pytest.raises(MammoError, match=f"the feeder {address} does not answer"):
        Feeders((address,), ABOUT, beginning=0.5).stream(asked_of(records))


@contextmanager
def _deaf() -> Iterator[str]:
    """The address of a port that takes what comes and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=100)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_somebody_else_listens_there(records: Records) -> None:
    with _deaf() as address, pytest.raises(MammoError, match=f"the feeder {address} has given nothing for"):
        Feeders((address,), ABOUT, beginning=1.0).stream(asked_of(records))


def test_a_feeder_that_is_not_there_yet_is_waited_for(records: Records, feeders: FeederProcess) -> None:
    addresses, asked = _addresses(1), asked_of(records)
    found: list[tf.data.Dataset] = []
    waits = Thread(target=lambda: found.append(Feeders(addresses, ABOUT).stream(asked)))
    waits.start()
    feeders.feed(*addresses, ABOUT)
    waits.join(30)
    _assert_same(_batches(found[0], 2), _batches(asked.finished(asked.cut()), 2))


def test_a_service_that_is_no_feeder(records: Records, monkeypatch: pytest.MonkeyPatch, feeders: FeederProcess) -> None:
    (address,) = _addresses(1)
    feeders.feed(address, ABOUT)
    monkeypatch.setattr("mammo_tf.data.feeding.ABOUT", "something that it does not have")
    with pytest.raises(MammoError, match="has not made ready within 1 s"):
        Feeders((address,), ABOUT, deadline=1.0).stream(asked_of(records))


def test_a_feeder_that_begins_anew_is_noticed(fed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it gives then is the first batch, and the training is further on."""
    addresses, asked = fed
    stream = Feeders(addresses, ABOUT).stream(asked)
    monkeypatch.setattr(StageStream, "first_batch", 3)
    late = Feeders(addresses, ABOUT).stream(asked)
    assert len(_batches(stream, 2)) == 2
    with pytest.raises(MammoError, match="gives batch 0 for 3: it was begun anew"), stream_errors():
        next(iter(late))


def test_what_a_feeder_cannot_read_is_told_in_a_line(records: Records, feeders: FeederProcess) -> None:
    addresses = _addresses(1)
    feeders.feed(*addresses, ABOUT, "damaged")
    stream = Feeders(addresses, ABOUT).stream(asked_of(records, "damaged"))
    with pytest.raises(MammoError, match=r"^picture \d+ is damaged\. Prepare it again$"), stream_errors():
        next(iter(stream))


def _nothing(wish: Wish) -> StageStream:
    raise MammoError("stage_unknown", "nothing is offered")


def test_addresses_leave_room_for_two_ports() -> None:
    with pytest.raises(MammoError, match="a:5001 is taken: a feeder has the port of its address and the next one"):
        Feeders(("a:5000", "a:5001"))
    with pytest.raises(MammoError, match="leaves no port for its worker"):
        Feeders(("a:65535",))
    with pytest.raises(MammoError, match="'a' is not an address"):
        Feeder("a", ABOUT, _nothing)
    assert Feeders(("a:5000", "b:5000", "a:5002")).addresses


def test_a_port_that_is_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with _deaf() as address, pytest.raises(MammoError, match="something listens at port"):
        Feeder(address, ABOUT, _nothing)
    monkeypatch.setattr("mammo_tf.data.feeding.answers", lambda address: False)
    with _deaf() as address, pytest.raises(MammoError, match="cannot be listened at"):
        Feeder(address, ABOUT, _nothing)


ANEW = "a feeder was begun anew while it was needed. Run again: it goes on after the last whole epoch"
FAILED = "TensorFlow's data service failed: Expected 1 of 2. Run again: it goes on after the last whole epoch"


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("{{function_node a}} Unknown iteration client id 3. Caused by a dispatcher restart. [Op:B] name:", ANEW),
        ("{{function_node b_device_/job:c}} Expected 1 of 2. [Op:A]", FAILED),
        ("MammoError: picture 3 is damaged. Mend it\nTraceback", "picture 3 is damaged. Mend it"),
    ],
)
def test_what_the_service_says_is_one_line(message: str, says: str) -> None:
    def made() -> tf.data.Dataset:
        raise tf.errors.UnknownError(None, None, message)

    with pytest.raises(MammoError) as told:
        _ReadAhead(made).next(lambda waited: None)
    assert str(told.value) == says

"""Batches that other processes make, of this machine or others, over tf.data's service; to the bit those of the stream.

tf.data's service runs a pipeline in processes of its own, and ours calls functions in Python, which only the process
that made them can run. So a feeder makes its pipelines itself, once they are asked for, and registers them with a
dispatcher in the same process; who trains takes them by name. What it asks with is a dataset too, of one element: it
calls the one function whose number the feeder has told. Each feeder has a service to itself and makes every n-th batch,
and the batches are taken in turn: their order, and what they show, are those of one process.

The service's own client waits for ever for a process that has died, and counts its elements from 0 again for one that
was begun anew. Here whoever is next is asked whether it lives, and every batch says which one it is.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import count
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from typing import Any

import tensorflow as tf

from mammo_tf.data.shares import Share
from mammo_tf.data.streams import RAISED, StageStream
from mammo_tf.errors import MammoError
from mammo_tf.launcher import address_parts, answers

BEGINNING, PATIENCE, DEADLINE = 60.0, 10.0, 600.0  # seconds: of silence before and after the beginning; without a batch
POLL, LOOK = 0.2, 2.0  # seconds
AHEAD = 2  # batches that wait to be taken
ABOUT, TOKEN = "about", "token"
START_ANEW = "Start it, then the run again, which goes on after the last whole epoch"
AGAIN = "Run again: it goes on after the last whole epoch"
FRAME = re.compile(r"\{\{.*?\}\} |\[Op:.*")  # of TensorFlow around what it says
LOG = logging.getLogger("mammo_tf")
service = tf.data.experimental.service


@dataclass(frozen=True)
class Wish:
    """Which batches of a recipe a feeder is asked for.

    Attributes:
        stage: counted through the recipe.
        first_epoch: from which epoch of it on.
        number, machines, devices: as of `Share`.
        part, parts: every `parts`-th batch, as of `StageStream.cut`.
    """

    stage: int
    first_epoch: int
    number: int = 0
    machines: int = 1
    devices: int = 1
    part: int = 0
    parts: int = 1

    @property
    def share(self) -> Share:
        """The machine's part of every batch."""
        return Share(self.number, self.machines, self.devices)

    @property
    def text(self) -> str:
        """The wish as JSON, by which its batches are called too."""
        return json.dumps(asdict(self), sort_keys=True)


class Feeder:
    """A process that makes batches for others: a dispatcher of tf.data's service and a worker for it.

    They listen on all of the machine's networks, in plain gRPC, to anybody: docs/security.md. It ends with its process,
    and not before: TensorFlow's destructor keeps Python's lock while it waits for threads that need it.

    Args:
        address: `host:port` as others reach it; the worker takes the port behind.
        about: what decides the batches, by what it is.
        stream_of: gives what is asked for.

    Raises:
        MammoError: `address_wrong`, `address_taken`.
    """

    def __init__(self, address: str, about: Mapping[str, str], stream_of: Callable[[Wish], StageStream]) -> None:
        check_addresses((address,))
        host, port = address_parts(address)
        for one in (port, port + 1):
            if answers(f"127.0.0.1:{one}"):
                raise MammoError("address_taken", f"something listens at port {one} already", "Take another port")
        try:
            self._dispatcher = service.DispatchServer(service.DispatcherConfig(port=port))
            inside = self._dispatcher.target.partition("://")[2]
            self._worker = service.WorkerServer(
                service.WorkerConfig(dispatcher_address=inside, worker_address=f"{host}:{port + 1}", port=port + 1)
            )
        except (RuntimeError, tf.errors.OpError) as error:
            sentence = f"ports {port} and {port + 1} cannot be listened at ({error!s:.100})"
            raise MammoError("address_taken", sentence, "Take another port, above 1024") from error
        self._stream_of, self._change = stream_of, Lock()
        self._offered: dict[str, tf.data.Dataset] = {}  # the service does not keep a dataset's functions in Python
        self._graph = tf.Graph()  # it keeps the function that others call by the number of its operation
        with self._graph.as_default():
            called = tf.numpy_function(self._offer, [tf.constant("")], tf.string)
        told = {**about, TOKEN: tf.compat.as_text(called.op.get_attr("token"))}
        self._register(ABOUT, tf.data.Dataset.from_tensors(json.dumps(told)))

    def _offer(self, text: bytes) -> bytes:
        """Registers what a wish asks for, once."""
        wish = Wish(**json.loads(text))
        with self._change:
            if wish.text not in self._offered:
                asked = self._stream_of(wish)
                first = asked.first_batch + (wish.part - asked.first_batch) % wish.parts
                numbers = tf.data.Dataset.counter(first, wish.parts, dtype=tf.int64)
                offered = tf.data.Dataset.zip((numbers, asked.cut(wish.part, wish.parts)))
                self._register(wish.text, offered)
                self._offered[wish.text] = offered
        return text

    def _register(self, name: str, dataset: tf.data.Dataset) -> None:
        service.register_dataset(self._dispatcher.target, dataset, compression=None, dataset_id=name)

    def wait(self) -> None:
        """Waits until the process is told to end."""
        Event().wait()  # the dispatcher's own waiting heeds no signal


@dataclass(frozen=True)
class Feeders:
    """Who makes the batches of a training.

    Attributes:
        addresses: `host:port` of every feeder.
        about: what must be the same there as here, by what it is.
        beginning: seconds to wait for a feeder that was not started yet.
        patience: seconds for which one may be silent later on.
        deadline: seconds to wait for one that lives, and has not made ready yet or gives no batch.
    """

    addresses: tuple[str, ...]
    about: Mapping[str, str] = field(default_factory=dict)
    beginning: float = BEGINNING
    patience: float = PATIENCE
    deadline: float = DEADLINE

    def __post_init__(self) -> None:
        check_addresses(self.addresses)

    def check(self) -> tuple[str, ...]:
        """Refuses feeders that would make other batches than this process.

        Returns:
            By which function each is asked.

        Raises:
            MammoError: `feeder_lost`, `feeder_differs`.
        """
        told = [self._told(address) for address in self.addresses]
        for address, found in zip(self.addresses, told, strict=True):
            for what, value in self.about.items():
                if found.get(what) != value:
                    own = f"({found.get(what)!s:.12}, not {value[:12]})"
                    raise MammoError(
                        "feeder_differs", f"the feeder {address} has another {what} than this run {own}",
                        "Start all feeders and the run with the same recipe, options, files and package",
                    )  # fmt: skip
        return tuple(found[TOKEN] for found in told)

    def _told(self, address: str) -> dict[str, str]:
        """What a feeder says about itself, once it has begun."""
        _wait_for(address, self.beginning)
        until = time.monotonic() + self.deadline
        while True:
            about = _ReadAhead(lambda: _asked(address, ABOUT, tf.TensorSpec((), tf.string)))
            try:
                return json.loads(about.next(partial(self._look, address, self.beginning)).numpy())
            except MammoError as error:
                if not isinstance(error.__cause__, tf.errors.NotFoundError):
                    raise
                if time.monotonic() > until:
                    sentence = f"the feeder {address} has not made ready within {self.deadline:.0f} s"
                    raise MammoError("feeder_lost", sentence, "Look at its messages") from error
            finally:
                about.end()
            time.sleep(LOOK)

    def stream(self, asked: StageStream) -> tf.data.Dataset:
        """The stream of a stage, as `training_stream` gives it.

        Raises:
            MammoError: those of `check`; while running `feeder_lost`, `feeder_restarted`, `feeder_failed`.
        """
        parts, share = len(self.addresses), asked.share
        wishes = [
            Wish(asked.stage, asked.first_epoch, share.number, share.machines, share.devices, part, parts).text
            for part in range(parts)
        ]
        for address, token, wish in zip(self.addresses, self.check(), wishes, strict=True):
            self._wish(address, token, wish)
        return asked.finished(self._cut(asked, wishes))

    def _wish(self, address: str, token: str, wish: str) -> None:
        """Has a feeder offer what is wished."""
        text = tf.TensorSpec((), tf.string)

        def called() -> tf.data.Dataset:
            asking = tf.data.Dataset.from_tensors(wish).map(
                lambda one: tf.ensure_shape(tf.raw_ops.PyFunc(input=[one], token=token, Tout=[tf.string])[0], ())
            )
            name = f"{token}: {wish}"
            service.register_dataset(f"grpc://{address}", asking, compression=None, dataset_id=name)
            return _asked(address, name, text)

        answer = _ReadAhead(called)
        try:
            answer.next(partial(self._look, address, self.deadline))
        finally:
            answer.end()

    def _cut(self, asked: StageStream, wishes: Sequence[str]) -> tf.data.Dataset:
        spec = asked.cut().element_spec
        both, first_batch, parts = (tf.TensorSpec((), tf.int64), spec), asked.first_batch, len(wishes)

        def in_turn() -> tf.data.Dataset:
            given = [_asked(address, wish, both) for address, wish in zip(self.addresses, wishes, strict=True)]
            order = tf.data.Dataset.counter(first_batch, dtype=tf.int64).map(lambda number: number % parts)
            return given[0] if parts == 1 else tf.data.Dataset.choose_from_datasets(given, order)

        def taken() -> Iterator[Any]:
            whole = _ReadAhead(in_turn)
            try:
                for number in count(first_batch):
                    address = self.addresses[number % parts]
                    found, batch = whole.next(partial(self._look, address, self.deadline))
                    if int(found) != number:
                        sentence = f"the feeder {address} gives batch {int(found)} for {number}: it was begun anew"
                        raise MammoError("feeder_restarted", sentence, AGAIN)
                    yield batch
            finally:
                whole.end()

        return tf.data.Dataset.from_generator(taken, output_signature=spec)

    def _look(self, address: str, limit: float, waited: float) -> None:
        """Whether it is worth waiting longer."""
        if waited > limit:
            sentence = f"the feeder {address} has given nothing for {waited:.0f} s"
            raise MammoError("feeder_lost", sentence, START_ANEW)
        _wait_for(address, self.patience)


class _ReadAhead:
    """A dataset that a thread makes and reads ahead: nothing ends TensorFlow's waiting for what does not come."""

    def __init__(self, made: Callable[[], tf.data.Dataset]) -> None:
        self._found: Queue[Any] = Queue(AHEAD)
        self._ended = Event()
        Thread(target=self._read, args=(made,), daemon=True).start()

    def _read(self, made: Callable[[], tf.data.Dataset]) -> None:
        try:
            for one in made():
                self._put(one)
                if self._ended.is_set():
                    return
        except Exception as error:  # raised again where the batch is asked for
            self._put(error)

    def _put(self, one: Any) -> None:
        while not self._ended.is_set():
            try:
                self._found.put(one, timeout=POLL)
                return
            except Full:
                continue

    def next(self, look: Callable[[float], None]) -> Any:
        """The next element; while none comes, `look` is given the seconds that have passed, and may raise."""
        began = looked = time.monotonic()
        while True:
            try:
                found = self._found.get(timeout=POLL)
            except Empty:
                if time.monotonic() - looked > LOOK:
                    look(time.monotonic() - began)
                    looked = time.monotonic()
                continue
            if isinstance(found, Exception):
                raise _said(found) from found
            return found

    def end(self) -> None:
        self._ended.set()


def _said(error: Exception) -> MammoError:
    """What was raised in a feeder or by the service's client, in a line."""
    text = str(getattr(error, "message", error))
    found = RAISED.search(text)
    if found or isinstance(error, MammoError):
        return MammoError("feeder_failed", found.group(1) if found else str(error))
    if "dispatcher restart" in text:
        return MammoError("feeder_restarted", "a feeder was begun anew while it was needed", AGAIN)
    plain = FRAME.sub("", (text.splitlines() or [""])[0])
    return MammoError("feeder_failed", f"TensorFlow's data service failed: {plain[:300].strip().rstrip('.')}", AGAIN)


def check_addresses(addresses: Sequence[str]) -> None:
    """Refuses what are not addresses of feeders, each of which takes two ports.

    Raises:
        MammoError: `address_wrong`.
    """
    taken: set[tuple[str, int]] = set()
    for address in addresses:
        host, port = address_parts(address)
        if port == 65535:
            raise MammoError("address_wrong", f"{address} leaves no port for its worker", "Take a lower one")
        own = {(host, port), (host, port + 1)}
        if own & taken:
            sentence = f"{address} is taken: a feeder has the port of its address and the next one"
            raise MammoError("address_wrong", sentence, "Leave a port between feeders of one machine")
        taken |= own


def _asked(address: str, name: str, spec: Any) -> tf.data.Dataset:
    policy = service.ShardingPolicy.OFF
    return service.from_dataset_id(policy, f"grpc://{address}", name, element_spec=spec)


def _wait_for(address: str, patience: float) -> None:
    until = time.monotonic() + patience
    if not answers(address):
        LOG.info("waits for the feeder %s", address)
    while not answers(address):
        if time.monotonic() > until:
            raise MammoError("feeder_lost", f"the feeder {address} does not answer", START_ANEW)
        time.sleep(POLL)

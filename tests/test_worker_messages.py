"""A message comes as it was sent, however large, and its end is told."""

from __future__ import annotations

import pickle
import socket
import struct
import threading
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.worker_messages import received


def pair() -> tuple[Connection, Connection]:
    one, other = socket.socketpair()
    return Connection(one.detach()), Connection(other.detach())


def heard(messages: list[Any]) -> list[Any]:
    near, far = pair()
    with near, far:
        sender = threading.Thread(target=lambda: [far.send(message) for message in messages])
        sender.start()
        found = [received(near) for _ in messages]
        sender.join()
    return found


@given(st.lists(st.none() | st.integers() | st.text() | st.binary(max_size=100_000), max_size=5))
@settings(max_examples=30, deadline=None)
def test_messages_come_as_they_were_sent(messages: list[Any]) -> None:
    assert heard(messages) == messages


def test_a_picture_comes_whole_and_can_be_written_to() -> None:
    picture = np.random.default_rng(0).integers(0, 65536, (1500, 1000), dtype=np.uint16)
    ((word, found),) = heard([("done", picture)])
    assert word == "done"
    assert found.flags.writeable
    np.testing.assert_array_equal(found, picture)


def test_a_message_beyond_2_gib_has_a_longer_length() -> None:
    one, other = socket.socketpair()
    words = pickle.dumps("word")
    with other, Connection(one.detach()) as near:
        other.sendall(struct.pack("!iQ", -1, len(words)) + words)
        assert received(near) == "word"


@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack("!i", 100) + b"half"])
def test_an_end_is_told_wherever_it_comes(sent: bytes) -> None:
    one, other = socket.socketpair()
    with other:
        other.sendall(sent)
    with Connection(one.detach()) as near, pytest.raises(EOFError):
        received(near)

"""Ctrl-C that is never lost: not while libraries load, where it would be swallowed, or crash what is half loaded.

While TensorFlow is imported, a KeyboardInterrupt raised at the wrong moment is dropped (the command goes on and ends
with 0), or ends the process by a segmentation fault: of 16 interrupts sent in the last second of that import, 5 were
dropped and 1 crashed. So they wait until the libraries are there.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def held() -> Iterator[None]:
    """Keeps Ctrl-C until the end of the block. A process that ignores it (in the background of a shell) still does."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    pressed = False

    def note(*_: Any) -> None:
        nonlocal pressed
        pressed = True

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def noticed() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt as ever; one that somebody swallowed is raised at the end of the block."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    pressed = False

    def note(*_: Any) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield
        if pressed:
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)

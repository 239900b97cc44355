"""Ctrl-C and SIGTERM, never lost: not while libraries load, where they would be swallowed, or crash what is half there.

While TensorFlow is imported, a KeyboardInterrupt raised at the wrong moment is dropped (the command continues and ends
with 0), or ends the process by a segmentation fault: of 16 interrupts sent in the last second of that import, 5 were
dropped and 1 crashed. So they wait until the libraries are there.

Nor may it be lost in a destructor or in a callback of the garbage collector (JAX, which Keras may load, has one):
Python reports what is raised there and continues. Of 14 interrupts of a training one was lost so. It is sent again. One
of 16 others came out as an AssertionError, since it had struck TensorFlow's own bookkeeping: whatever error follows
Ctrl-C is taken for it.

SIGTERM (`docker stop`, a batch system whose time is up) does what Ctrl-C does, so that halves of files are removed and
the last line says how to go on; services, which end well by it, take it over.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

AGAIN_S = 0.05  # long enough for the callback that dropped it to be over
STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _handled(handler: Callable[..., None]) -> Iterator[None]:
    """Gives the signals that stop a command to a handler, but for those that the process ignores.

    A process in the background of a shell ignores Ctrl-C, and still does. Threads other than the first have no signals.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {one: signal.getsignal(one) for one in STOPS}
        before = {one: known for one, known in before.items() if known not in (signal.SIG_IGN, None)}
    for one in before:
        signal.signal(one, handler)
    try:
        yield
    finally:
        for one, known in before.items():
            signal.signal(one, known)


@contextmanager
def held() -> Iterator[None]:
    """Keeps Ctrl-C and SIGTERM until the end of the block."""
    pressed: list[int] = []
    try:
        with _handled(lambda number, _: pressed.append(number)):
            yield
    finally:
        if pressed:
            signal.raise_signal(pressed[0])


@contextmanager
def noticed() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt; one dropped where nothing can be raised is sent again at once.

    One that somebody swallowed, or turned into another error, is raised at the end of the block.
    """
    presses: list[int] = []
    within = True

    def note(number: int, _: Any) -> None:
        presses.append(number)
        raise KeyboardInterrupt

    report = sys.unraisablehook

    def send_again(dropped: sys.UnraisableHookArgs) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            report(dropped)
            return
        later = threading.Timer(AGAIN_S, press_unless_over, (len(presses),))
        later.daemon = True
        later.start()

    def press_unless_over(known: int) -> None:
        if within and len(presses) == known:
            os.kill(os.getpid(), presses[-1])

    sys.unraisablehook = send_again
    try:
        with _handled(note):
            yield
    except Exception as error:
        if presses:
            raise KeyboardInterrupt from error
        raise
    else:
        if presses:
            raise KeyboardInterrupt
    finally:
        within = False
        sys.unraisablehook = report

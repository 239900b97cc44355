"""Ctrl-C that is never lost: not while libraries load, where it would be swallowed, or crash what is half loaded.

While TensorFlow is imported, a KeyboardInterrupt raised at the wrong moment is dropped (the command continues and ends
with 0), or ends the process by a segmentation fault: of 16 interrupts sent in the last second of that import, 5 were
dropped and 1 crashed. So they wait until the libraries are there.

Nor may it be lost in a destructor or in a callback of the garbage collector (JAX, which Keras may load, has one):
Python reports what is raised there and continues. Of 14 interrupts of a training one was lost so. It is sent again. One
of 16 others came out as an AssertionError, since it had struck TensorFlow's own bookkeeping: whatever error follows
Ctrl-C is taken for it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

AGAIN_S = 0.05  # long enough for the callback that dropped it to be over


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
    """Ctrl-C raises KeyboardInterrupt as ever; one that was dropped where nothing can be raised is sent again at once.

    One that somebody swallowed, or turned into another error, is raised at the end of the block.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    presses = 0
    within = True

    def note(*_: Any) -> None:
        nonlocal presses
        presses += 1
        raise KeyboardInterrupt

    report = sys.unraisablehook

    def send_again(dropped: sys.UnraisableHookArgs) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            report(dropped)
            return
        later = threading.Timer(AGAIN_S, press_unless_over, (presses,))
        later.daemon = True
        later.start()

    def press_unless_over(known: int) -> None:
        if within and presses == known:
            os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, note)
    sys.unraisablehook = send_again
    try:
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
        signal.signal(signal.SIGINT, before)

"""Work that really hangs, crashes and floods memory, for the test of `guard`; imported by its workers."""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mammo_tf.errors import MammoError


def work(item: str) -> Any:
    match item.split():
        case ["hang"]:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
            ctypes.PyDLL(None).sleep(60)  # inside foreign code that keeps the interpreter's lock
        case ["crash"]:
            ctypes.string_at(0)  # a segmentation fault
        case ["abort"]:
            os.abort()
        case ["flood"]:
            return float(np.ones(1 << 40).sum())
        case ["grow"]:
            held = [np.zeros(64 << 20, np.uint8) for _ in range(100)]
            return len(held)
        case ["malloc"]:  # foreign code that writes through what malloc gave without looking
            memory = ctypes.CDLL(None).malloc
            memory.restype, memory.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
            return ctypes.memset(memory(1 << 40), 1, 1 << 20)
        case ["once", path]:
            if not Path(path).exists():
                Path(path).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return "second time"
        case ["sleep", seconds]:
            time.sleep(float(seconds))
        case ["bug"]:
            raise KeyError("a bug")
        case ["refuse"]:
            raise MammoError("refused", "it is refused", "Take another")
        case ["opencv"]:
            raise RuntimeError("(-4:Insufficient memory) Failed to allocate")
        case ["compute"]:
            whole, own = time.process_time(), time.thread_time()
            matrix, picture = np.ones((800, 800), np.float32), np.ones((1500, 1500), np.float32)
            for _ in range(10):
                matrix = matrix @ matrix / 800
                picture = cv2.GaussianBlur(picture, (0, 0), 3)
            return time.process_time() - whole, time.thread_time() - own
        case ["place"]:
            return str(Path.cwd()), os.environ.get("GUARD_TEST", "")
    return item, os.getpid()


class Troubled:
    """A function of a module, but for the files named in `trouble`, to which something of `work` happens."""

    def __init__(self, module: str, name: str, trouble: dict[str, str]) -> None:
        self.module, self.name, self.trouble = module, name, trouble
        self.function = getattr(importlib.import_module(module), name)

    def __reduce__(self) -> tuple[Any, ...]:
        return Troubled, (self.module, self.name, self.trouble)

    def __call__(self, item: Any, *arguments: Any, **settings: Any) -> Any:
        for file, what in self.trouble.items():
            if file in str(item):
                work(what)
        return self.function(item, *arguments, **settings)


def read_measured(path: str) -> tuple[str, float, int]:
    """Reads a file; the code of its refusal, seconds, and bytes by which the process has grown beyond its peak."""
    from mammo_tf import reading

    before, began, code = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), ""
    try:
        reading.read(path)
    except MammoError as error:
        code = error.code
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return code, time.monotonic() - began, grown * 1024

"""Work on files in worker processes, so that a file whose decoder hangs, crashes or floods memory costs itself alone.

Decoders are foreign code. What a file declares is checked before they run (`stored.check_pixels`, `pictures`), but a
check sees no fault of theirs: on the files of `golden/dicom/hostile` others were killed by signals, hung, or grew by
5 GB. A worker has a limit of address space and, for each file, an alarm clock of the operating system, which ends it
inside foreign code too, and even if its parent is gone.

`each_file` is what every command calls that looks at many files; `study.Reject.of` turns what it says of a file that
cannot be used into a row of `rejects.csv`.

Workers are fresh interpreters: neither a script without `if __name__ == "__main__"` nor threads of TensorFlow disturb
them, and Ctrl-C in a terminal does not reach them. They are kept for the next call.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, suppress
from itertools import count
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mammo_tf.errors import MammoError, said, trace
from mammo_tf.progress import track
from mammo_tf.worker_messages import received

Item = TypeVar("Item")
Result = TypeVar("Result")
KEPT = 4  # idle workers; each holds about 115 MB
AHEAD = 4  # items of each worker that may be done before their turn
TRIES = 2  # a crash may be the machine's fault, such as too little memory for all workers at once
UNFORESEEN = "unforeseen"
TOLD = 500  # characters of the message of a fault that nobody foresaw
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Limits(NamedTuple):
    """What one file may take: seconds, and bytes of address space, the interpreter's own 0.6 GB included.

    A PNG of 100 million pixels, the most that is read, takes 1.8 GB of it with the geometry half, and 5 seconds.
    """

    seconds: float = 120.0
    memory_bytes: int = 6 << 30


LIMITS = Limits()
LOG = logging.getLogger("mammo_tf")


class _Job(NamedTuple):
    """The work, and the surroundings of whoever asks for it."""

    work: Callable[[Any], Any]
    limits: Limits
    folder: str
    paths: list[str]
    environment: dict[str, str]


def each_file(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    what: str,
    unit: str = "image",
    limits: Limits | None = None,
) -> Generator[tuple[Item, Result | MammoError]]:
    """What `work` gives for each file, or why it gives nothing, in order, with a progress bar.

    A file costs itself alone, whatever happens to it: a refusal of `work`, a fault that nobody foresaw, a decoder that
    hangs, crashes or floods memory.

    Args:
        work: as for `guarded`; it raises `MammoError` where it refuses a file.
        items: one for each file.
        workers: how many processes, at most one for each file.
        what: two or three words before the progress bar.
        unit: singular name of an item.
        limits: for each item; by default `LIMITS`.

    Yields:
        Each item with its result, or with a `MammoError` as `guarded` gives it. The trace of a fault that nobody
        foresaw goes to the log of the package.

    Raises:
        MammoError: `worker_failed` if a process cannot be started.
    """
    crew = max(1, min(workers, len(items)))
    LOG.info("%s: %d files in %d processes", what, len(items), crew)
    with closing(guarded(work, items, crew, limits or LIMITS)) as outcomes:
        for item, found in zip(items, track(outcomes, what, len(items), unit), strict=True):
            if isinstance(found, MammoError) and found.code == UNFORESEEN:
                LOG.info("a fault that nobody foresaw:\n%s", "".join(getattr(found, "__notes__", ())))
            yield item, found


def guarded(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int = 1, limits: Limits = LIMITS
) -> Generator[Result | MammoError]:
    """What `work` gives for each item, in order, from worker processes.

    Args:
        work: a function of a module, or a `functools.partial` of one; what it takes and gives can be pickled.
        items: one for each file; taken as they are needed.
        workers: how many processes.
        limits: for each item.

    Yields:
        The result, or in its place a `MammoError`: the one that `work` raised; `unforeseen` for any other exception,
        with the trace as a note; `decoder_hangs` after `limits.seconds`, `too_large` where memory does not suffice,
        `decoder_crashed` if the process died over it, and once more when it was tried again.

    Raises:
        MammoError: `worker_failed` if a process cannot be started.
    """
    crew = _Crew(_Job(work, limits, str(Path.cwd()), list(sys.path), dict(os.environ)), workers)
    todo = iter(items)
    answers: dict[int, Any] = {}
    handed, more = 0, True
    try:
        for turn in count():
            while turn not in answers:
                while more and crew.has_room() and handed < turn + AHEAD * workers:
                    try:
                        crew.give(handed, next(todo))
                        handed += 1
                    except StopIteration:
                        more = False
                if turn == handed:
                    return
                answers |= crew.hear()
            yield answers.pop(turn)
    finally:
        crew.dismiss()


class _Worker:
    """One process, the line to it, and what it works on."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        code = f"import sys; sys.path[:] = {sys.path!r}; from mammo_tf.guard import serve"
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"{code}; serve({theirs.fileno()})"],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True, env=os.environ | ONE_THREAD,
            )  # fmt: skip
        self.line = Connection(ours.detach())
        self.ready = False
        self.item: tuple[int, Any] | None = None
        self.tries = 0

    def give(self, number: int, item: Any, tries: int) -> None:
        self.item, self.tries = (number, item), tries
        with suppress(OSError):  # it died while it was idle: `hear` finds out
            self.line.send(item)

    def end(self) -> int:
        """Ends the process if it still runs, and gives its exit code: minus the signal that ended it."""
        self.process.kill()
        self.line.close()
        return self.process.wait()


_idle: list[_Worker] = []
os.register_at_fork(after_in_child=_idle.clear)


def start_workers(number: int) -> None:
    """Lets workers start while something else is done; `guarded` finds them."""
    while len(_idle) < min(number, KEPT):
        _idle.append(_Worker())


class _Crew:
    """The workers of one call of `guarded`."""

    def __init__(self, job: _Job, size: int) -> None:
        self.job, self.size = job, size
        self.workers: list[_Worker] = []

    def has_room(self) -> bool:
        return len(self.workers) < self.size or any(worker.item is None for worker in self.workers)

    def give(self, number: int, item: Any, tries: int = 1) -> None:
        free = next((worker for worker in self.workers if worker.item is None), None)
        (free or self._hire()).give(number, item, tries)

    def _hire(self) -> _Worker:
        while _idle:
            worker = _idle.pop()
            if worker.process.poll() is None:
                break
            worker.end()  # it died while it was idle, which is not the next file's fault
        else:
            worker = _Worker()
        self.workers.append(worker)
        with suppress(OSError):
            worker.line.send(self.job)
        return worker

    def hear(self) -> dict[int, Any]:
        """Waits until a worker has something to say; results by the number of their item."""
        said: dict[int, Any] = {}
        busy = {worker.line: worker for worker in self.workers if worker.item is not None}
        for line in wait(list(busy)):
            worker = busy[line]  # type: ignore[index]  # wait gives back the lines that it was given
            assert worker.item is not None
            try:
                word, result = received(worker.line)
            except (EOFError, OSError):
                said |= self._died(worker)
                continue
            if word == "ready":
                worker.ready = True
            else:
                said[worker.item[0]] = result
                worker.item = None
        return said

    def _died(self, worker: _Worker) -> dict[int, MammoError]:
        assert worker.item is not None
        self.workers.remove(worker)
        code, (number, item) = worker.end(), worker.item
        if not worker.ready:
            raise MammoError("worker_failed", f"a process that reads files cannot be started (exit code {code})")
        if code == -signal.SIGALRM:
            seconds = self.job.limits.seconds
            return {number: MammoError("decoder_hangs", f"reading it takes longer than {seconds:g} seconds")}
        if worker.tries < TRIES:
            self.give(number, item, worker.tries + 1)
            return {}
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return {number: MammoError("decoder_crashed", f"the process that reads it died ({how})")}

    def dismiss(self) -> None:
        """Keeps idle workers for the next call and ends the others."""
        for worker in self.workers:
            if worker.item is None and len(_idle) < KEPT:
                _idle.append(worker)
            else:
                worker.end()


def serve(descriptor: int) -> None:
    """What a worker does: works on items that come down the line until it is closed."""
    import cv2

    cv2.setNumThreads(1)
    line = Connection(descriptor)
    line.send(("ready", None))
    job: _Job | None = None
    with suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            message = line.recv()
            if isinstance(message, _Job):
                job = message
                _settle(job)
            else:
                assert job is not None
                line.send(("done", _worked(job, message)))


def _settle(job: _Job) -> None:
    os.chdir(job.folder)
    sys.path[:] = job.paths
    os.environ.clear()
    os.environ.update(job.environment | ONE_THREAD)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = job.limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def _worked(job: _Job, item: Any) -> Any:
    signal.setitimer(signal.ITIMER_REAL, job.limits.seconds)  # nobody handles SIGALRM: the system ends the process
    try:
        return job.work(item)
    except MammoError as error:
        return error
    except MemoryError:
        return _too_large(job)
    except Exception as error:  # noqa: BLE001 - one file's fault must not end the work on all
        return _too_large(job) if "Insufficient memory" in str(error) else _unforeseen(error)  # OpenCV's word for it
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _too_large(job: _Job) -> MammoError:
    return MammoError("too_large", f"reading it takes more than {job.limits.memory_bytes / 2**30:g} GiB")


def _unforeseen(error: Exception) -> MammoError:
    """A fault that nobody foresaw in one line: its type and the beginning of its message; the trace is a note."""
    told = MammoError(UNFORESEEN, f"{type(error).__name__}: {said(error)[:TOLD]}", "Run it with -v for the trace")
    told.add_note(trace(error))
    return told

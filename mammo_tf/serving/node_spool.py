"""Where a node keeps what it has taken and not yet answered: on disk, for its owner's eyes, whatever happens to it.

    incoming/<exam>/<object>.dcm    taken, acknowledged, waiting until the exam is complete
    working/<exam>/<object>.dcm     being scored
    outgoing/<exam>/<result>.dcm    to be sent; `sent_<peer>` next to them once a peer has all of them
    failed/<exam>/<object>.dcm      could not be scored for a reason that nobody foresaw; tried again later

Names are keyed hashes. A file has its name only when the disk has its bytes, and its folder's entry too; folders go on
by rename. So a node that is killed at any moment finds everything that it acknowledged.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from pydicom.dataset import Dataset

from mammo_tf.errors import MammoError
from mammo_tf.files import disk_errors, sync
from mammo_tf.serving.dicom_exams import write_objects

PARTS = INCOMING, WORKING, OUTGOING, FAILED = ("incoming", "working", "outgoing", "failed")
NEW = "new"  # what has no name yet; emptied at every start
LOG = "log"
RESERVE_BYTES = 256 << 20  # left free, so that results can be written
SENT = "sent_"


class Spool:
    """The folder. Methods may be called from several threads."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder, or opens one that a node has left; the caller has locked it.

        Raises:
            MammoError: `spool_open_to_others` where the folder belongs to another user; those of `files.disk_errors`.
        """
        self.folder = folder
        self._lock = threading.Lock()
        self._arrived: dict[str, float] = {}
        with disk_errors(folder):
            for part in (folder, *(folder / name for name in (*PARTS, NEW, LOG))):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
                if part.stat().st_uid != os.geteuid():
                    sentence = f"{part} belongs to another user, who could read what the node takes"
                    raise MammoError("spool_open_to_others", sentence, "Name another folder with --spool")
                part.chmod(0o700)
            self._recover()

    def _recover(self) -> None:
        """Takes up what a killed node left."""
        for exam in sorted((self.folder / INCOMING).iterdir()):
            self._arrived[exam.name] = time.monotonic()
        for part in (WORKING, FAILED):
            self._take_back(part)
        shutil.rmtree(self.folder / NEW)
        (self.folder / NEW).mkdir(mode=0o700)

    def _take_back(self, part: str) -> None:
        """Lets exams of a part wait once more, with what has come for them meanwhile."""
        for exam in sorted((self.folder / part).iterdir()):
            with self._lock:
                target = self.folder / INCOMING / exam.name
                target.mkdir(mode=0o700, exist_ok=True)
                for file in exam.iterdir():
                    if not (target / file.name).exists():  # sent again meanwhile: the newer one counts
                        file.rename(target / file.name)
                sync(target)
                sync(target.parent)
                shutil.rmtree(exam)
                self._arrived[exam.name] = time.monotonic()

    def try_again(self) -> None:
        """Lets the exams that could not be scored wait once more."""
        self._take_back(FAILED)

    def put(self, exam: str, name: str, data: bytes) -> None:
        """Keeps an object; when this returns, the disk has it.

        Raises:
            OSError: what the disk says; `ENOSPC` also where less than `RESERVE_BYTES` would be left.
        """
        if shutil.disk_usage(self.folder).free < RESERVE_BYTES + len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        handle, beside = tempfile.mkstemp(dir=self.folder / NEW)  # 0600
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            with self._lock:
                folder = self.folder / INCOMING / exam
                if not folder.exists():
                    folder.mkdir(mode=0o700)
                    sync(folder.parent)
                Path(beside).rename(folder / name)
                sync(folder)
                self._arrived[exam] = time.monotonic()
        finally:
            Path(beside).unlink(missing_ok=True)

    def complete(self, quiet_s: float, views: int | None) -> list[str]:
        """Exams for which nothing came for so many seconds, or that have as many objects as are expected."""
        now = time.monotonic()
        with self._lock:
            return [
                exam
                for exam, last in sorted(self._arrived.items(), key=lambda pair: pair[1])
                if now - last >= quiet_s or (views is not None and self._count(exam) >= views)
            ]

    def _count(self, exam: str) -> int:
        return len(list((self.folder / INCOMING / exam).iterdir()))

    def take(self, exam: str) -> list[Path]:
        """The objects of an exam, to be scored; what comes for it from now on waits for the next time."""
        with self._lock:
            working = self.folder / WORKING / exam
            (self.folder / INCOMING / exam).rename(working)
            del self._arrived[exam]
        return sorted(working.iterdir())

    def finish(self, exam: str, objects: Mapping[str, Dataset]) -> None:
        """Puts results in the way out, where there are any, and forgets the exam's images."""
        if objects:
            beside = Path(tempfile.mkdtemp(dir=self.folder / NEW))
            write_objects(beside / exam, dict(objects))
            target = self.folder / OUTGOING / f"{exam}_{time.time_ns():x}"
            (beside / exam).rename(target)
            sync(target.parent)
            beside.rmdir()
        shutil.rmtree(self.folder / WORKING / exam)

    def set_aside(self, exam: str) -> None:
        """Keeps an exam that cannot be scored now, until `try_again` or the next start."""
        target = self.folder / FAILED / exam
        shutil.rmtree(target, ignore_errors=True)
        (self.folder / WORKING / exam).rename(target)

    def outgoing(self) -> list[Path]:
        """Folders of results, the oldest first."""
        return sorted((self.folder / OUTGOING).iterdir(), key=lambda path: path.name.rpartition("_")[2])

    def mark_sent(self, results: Path, peer: str) -> None:
        """Remembers that a peer has all of them."""
        (results / f"{SENT}{peer}").touch(mode=0o600)
        sync(results)

    def is_sent(self, results: Path, peer: str) -> bool:
        """Whether a peer has all of them."""
        return (results / f"{SENT}{peer}").exists()

    def forget(self, results: Path) -> None:
        """Removes results that everybody has."""
        shutil.rmtree(results)

    def waiting(self) -> dict[str, int]:
        """How many exams lie in each part."""
        return {part: len(list((self.folder / part).iterdir())) for part in PARTS}

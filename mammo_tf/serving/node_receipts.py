"""What a node did, a line each, without anybody's name: exams are keyed hashes."""

from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mammo_tf.files import escaped
from mammo_tf.study import Reject

RECEIPTS, REJECTS = "receipts.csv", "rejects.csv"
COLUMNS = ("time", "event", "exam", "objects", "peer", "detail")


class Receipts:
    """`receipts.csv` and `rejects.csv` of a node. A line is on disk before its method returns; a full disk costs lines,
    not the node."""

    def __init__(self, folder: Path) -> None:
        """Opens the two tables in a folder, or begins them."""
        self._folder = folder
        self._lock = threading.Lock()
        self.lost = 0

    def note(self, event: str, exam: str = "", objects: int = 0, peer: str = "", detail: str = "") -> None:
        """Adds a receipt.

        Args:
            event: started, received, refused, scored, unusable, failed, delivered, partly_delivered, not_delivered,
                stopped.
            exam: keyed hash.
            objects: how many it is about.
            peer: AE title.
            detail: a word or a code.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._add(RECEIPTS, COLUMNS, [(now, event, exam, str(objects), peer, detail)])

    def reject(self, rejects: Iterable[Reject]) -> None:
        """Adds rejects; their paths are keyed hashes of objects."""
        self._add(REJECTS, Reject._fields, [tuple(one) for one in rejects])

    def _add(self, name: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        path = self._folder / name
        stream = io.StringIO(newline="")
        with self._lock:
            try:
                handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    heading = [] if os.fstat(handle).st_size else [columns]
                    csv.writer(stream, lineterminator="\n").writerows([*heading, *rows])
                    os.write(handle, escaped(stream.getvalue()).encode())
                    os.fsync(handle)
                finally:
                    os.close(handle)
            except OSError:
                self.lost += len(rows)

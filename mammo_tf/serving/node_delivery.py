"""Results on their way out of a node: sent again and again, waiting longer each time, until everybody has them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from mammo_tf.serving.node_peers import NotTakenError, Receiver
from mammo_tf.serving.node_receipts import Receipts
from mammo_tf.serving.node_spool import Spool

LONGEST_WAIT_S = 600.0


class Delivery(threading.Thread):
    """Sends what lies in the way out to every receiver, until all of them have it."""

    def __init__(self, spool: Spool, receipts: Receipts, receivers: Sequence[Receiver], first_wait_s: float) -> None:
        """The thread; `stop` ends it between two exams.

        Args:
            spool, receipts: of the node.
            receivers: who gets the results.
            first_wait_s: until the second try; doubled each time, up to `LONGEST_WAIT_S`.
        """
        super().__init__(name="delivery", daemon=True)
        self._spool, self._receipts, self._receivers = spool, receipts, receivers
        self._first_wait = first_wait_s
        self._due: dict[tuple[str, str], tuple[float, float]] = {}
        self._stopped = threading.Event()
        self.news = threading.Event()

    def stop(self) -> None:
        """Asks the thread to end."""
        self._stopped.set()
        self.news.set()

    def run(self) -> None:
        """Looks for results until it is stopped."""
        while not self._stopped.is_set():
            self.news.clear()
            try:
                for results in self._spool.outgoing():
                    self._deliver(results)
            except OSError as error:  # the disk: it may be better at the next look
                self._receipts.note("not_delivered", detail=type(error).__name__)
            self.news.wait(min(1.0, self._first_wait))

    def _deliver(self, results: Path) -> None:
        for receiver in self._receivers:
            place = results.name, receiver.key
            due, wait = self._due.get(place, (0.0, self._first_wait))
            if self._stopped.is_set() or self._spool.is_sent(results, receiver.key) or time.monotonic() < due:
                continue
            try:
                self._send(results, receiver)
            except Exception as error:  # noqa: BLE001 - libraries raise nearly anything where a connection ends
                detail = error.args[0] if isinstance(error, NotTakenError) else type(error).__name__
                self._receipts.note("not_delivered", _exam(results), peer=receiver.title, detail=str(detail))
                self._due[place] = (time.monotonic() + wait, min(2 * wait, LONGEST_WAIT_S))
        if all(self._spool.is_sent(results, receiver.key) for receiver in self._receivers):
            for receiver in self._receivers:
                self._due.pop((results.name, receiver.key), None)
            self._spool.forget(results)

    def _send(self, results: Path, receiver: Receiver) -> None:
        files = sorted(results.glob("*.dcm"), key=lambda path: (path.name != "report.dcm", path.name))
        sent = receiver.send(files)
        if not sent:
            raise NotTakenError("takes none of the objects")
        missing = len(files) - sent
        detail = f"{missing} of a kind that the peer does not take" if missing else ""
        event = "partly_delivered" if missing else "delivered"
        self._spool.mark_sent(results, receiver.key)
        self._receipts.note(event, _exam(results), sent, receiver.title, detail)


def _exam(results: Path) -> str:
    return results.name.rpartition("_")[0]

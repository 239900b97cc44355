"""Who receives the results of a node, and how they are sent: again and again, waiting longer each time."""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from mammo_tf.errors import MammoError
from mammo_tf.serving.node_receipts import Receipts
from mammo_tf.serving.node_spool import Spool

AE_TITLE = re.compile(r"[!-\[\]-~][ -\[\]-~]{0,15}")  # no backslash, no control character, not only blanks
LONGEST_WAIT_S = 600.0
TOOK = (0x0000, 0xB000, 0xB006, 0xB007)  # success, and success with a warning


@dataclass(frozen=True)
class Peer:
    """An application entity that takes results."""

    title: str
    host: str
    port: int

    @classmethod
    def parsed(cls, text: str) -> Peer:
        """`AE@host:port`.

        Raises:
            MammoError: `peer_wrong`.
        """
        title, at, address = text.rpartition("@")
        host, colon, port = address.rpartition(":")
        number = int(port) if port.isdecimal() else 0
        if not at or not colon or not host or not 0 < number < 65536:
            raise MammoError("peer_wrong", f"{text!r} is not AE@host:port", "Such as --to PACS@10.0.0.7:104")
        return cls(checked_title(title), host.strip("[]"), number)

    @property
    def key(self) -> str:
        """What tells it from others in a file name."""
        return hashlib.sha256(f"{self.title}@{self.host}:{self.port}".encode()).hexdigest()[:16]


def checked_title(title: str) -> str:
    """An AE title without blanks around it; `ae_title_wrong` for what cannot be one."""
    title = title.strip()
    if not AE_TITLE.fullmatch(title):
        sentence = f"{title!r} is not an AE title: 1 to 16 ASCII characters, no backslash"
        raise MammoError("ae_title_wrong", sentence, "Use the title that the archive knows")
    return title


@dataclass(frozen=True)
class Tls:
    """Certificate, its key, and who is trusted, as PEM files."""

    certificate: Path
    key: Path
    authority: Path

    def server(self) -> ssl.SSLContext:
        """For callers: each has to show a certificate of the authority."""
        return self._context(ssl.Purpose.CLIENT_AUTH)

    def client(self) -> ssl.SSLContext:
        """For peers: their certificate has to be of the authority and name their host."""
        return self._context(ssl.Purpose.SERVER_AUTH)

    def _context(self, purpose: ssl.Purpose) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(purpose, cafile=str(self.authority))
            context.load_cert_chain(str(self.certificate), str(self.key))
        except (OSError, ssl.SSLError) as error:
            sentence = f"certificate, key or authority cannot be used: {type(error).__name__}"
            raise MammoError("certificate_wrong", sentence, "Give PEM files that belong together") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        return context


class Delivery(threading.Thread):
    """Sends what lies in the way out to every peer, until all of them have it."""

    def __init__(
        self,
        spool: Spool,
        receipts: Receipts,
        peers: tuple[Peer, ...],
        title: str,
        tls: Tls | None,
        first_wait_s: float,
    ) -> None:
        """The thread; `stop` ends it between two objects.

        Args:
            spool, receipts: of the node.
            peers: who receives.
            title: of the node.
            tls: how peers are spoken to; None for plain text.
            first_wait_s: until the second try; doubled each time, up to `LONGEST_WAIT_S`.
        """
        super().__init__(name="delivery", daemon=True)
        self._spool, self._receipts, self._peers, self._title = spool, receipts, peers, title
        self._context = None if tls is None else tls.client()
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
            for results in self._spool.outgoing():
                self._deliver(results)
            self.news.wait(min(1.0, self._first_wait))

    def _deliver(self, results: Path) -> None:
        for peer in self._peers:
            due, wait = self._due.get((results.name, peer.key), (0.0, self._first_wait))
            if self._stopped.is_set() or self._spool.is_sent(results, peer.key) or time.monotonic() < due:
                continue
            try:
                self._send(results, peer)
            except Exception as error:  # noqa: BLE001 - pynetdicom raises nearly anything where an association ends
                detail = error.args[0] if isinstance(error, NotTakenError) else type(error).__name__
                self._receipts.note("not_delivered", _exam(results), peer=peer.title, detail=str(detail))
                later = min(2 * wait, LONGEST_WAIT_S)
                self._due[results.name, peer.key] = (time.monotonic() + wait, later)
        if all(self._spool.is_sent(results, peer.key) for peer in self._peers):
            for peer in self._peers:
                self._due.pop((results.name, peer.key), None)
            self._spool.forget(results)

    def _send(self, results: Path, peer: Peer) -> None:
        files = sorted(results.glob("*.dcm"), key=lambda path: (path.name != "report.dcm", path.name))
        classes = [str(pydicom.dcmread(file, specific_tags=["SOPClassUID"]).SOPClassUID) for file in files]
        entity = AE(self._title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
        entity.connection_timeout = 15
        for one in dict.fromkeys(classes):
            entity.add_requested_context(one, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        tls = None if self._context is None else (self._context, peer.host)
        link = entity.associate(peer.host, peer.port, ae_title=peer.title, tls_args=tls)
        if not link.is_established:
            raise NotTakenError("no association")
        try:
            accepted = {str(context.abstract_syntax) for context in link.accepted_contexts}
            sent = 0
            for file, one in zip(files, classes, strict=True):
                if one in accepted:
                    answer = link.send_c_store(file)
                    status = answer.Status if "Status" in answer else None
                    if status not in TOOK:
                        raise NotTakenError("no answer" if status is None else f"status 0x{status:04X}")
                    sent += 1
        finally:
            link.release()
        if not sent:
            raise NotTakenError("takes none of the objects")
        missing = len(files) - sent
        detail = f"{missing} of a kind that the peer does not take" if missing else ""
        event = "partly_delivered" if missing else "delivered"
        self._spool.mark_sent(results, peer.key)
        self._receipts.note(event, _exam(results), sent, peer.title, detail)


class NotTakenError(Exception):
    """A peer did not take the results; the argument says why, in a word."""


def _exam(results: Path) -> str:
    return results.name.rpartition("_")[0]

"""Who receives the results of a node, and how they are sent: by an association for each exam."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from mammo_tf.errors import MammoError

AE_TITLE = re.compile(r"[!-\[\]-~][ -\[\]-~]{0,15}")  # no backslash, no control character, not only blanks
_ADDRESS = re.compile(r"(?:(?P<host>[^\s:\[\]/]+)|\[(?P<six>[0-9a-fA-F:.%]+)\]):(?P<port>[0-9]{1,5})")
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
        found = _ADDRESS.fullmatch(address)
        if not at or found is None or not 0 < int(found["port"]) < 65536:
            raise MammoError("peer_wrong", f"{text!r} is not AE@host:port", "Such as --to PACS@10.0.0.7:104")
        return cls(checked_title(title), found["host"] or found["six"], int(found["port"]))

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
        # Python 3.13 also asks for key identifiers (RFC 5280), which authorities of hospitals leave out; 3.12 does not.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


class NotTakenError(Exception):
    """A receiver did not take the results now; the argument says why, in a word."""


class Receiver(Protocol):
    """Takes results, by whatever road."""

    @property
    def title(self) -> str:
        """Its name in receipts."""

    @property
    def key(self) -> str:
        """What tells it from others in a file name."""

    def send(self, files: Sequence[Path]) -> int:
        """Sends objects; gives how many were taken, which is less where some are of a kind that is never taken.

        Raises:
            NotTakenError: where it is to be tried again.
        """


@dataclass(frozen=True)
class Associations:
    """A peer, as a node speaks to it.

    Attributes:
        peer: who.
        own_title: of the node.
        context: for TLS; None for plain text.
    """

    peer: Peer
    own_title: str
    context: ssl.SSLContext | None = None

    @property
    def title(self) -> str:
        """See `Receiver`."""
        return self.peer.title

    @property
    def key(self) -> str:
        """See `Receiver`."""
        return self.peer.key

    def send(self, files: Sequence[Path]) -> int:
        """See `Receiver`."""
        classes = [str(pydicom.dcmread(file, specific_tags=["SOPClassUID"]).SOPClassUID) for file in files]
        entity = AE(self.own_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
        entity.connection_timeout = 15
        for one in dict.fromkeys(classes):
            entity.add_requested_context(one, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        tls = None if self.context is None else (self.context, self.peer.host)
        link = entity.associate(self.peer.host, self.peer.port, ae_title=self.peer.title, tls_args=tls)
        if not link.is_established:
            raise NotTakenError("no association")
        try:
            accepted = {str(context.abstract_syntax) for context in link.accepted_contexts}
            taken = [file for file, one in zip(files, classes, strict=True) if one in accepted]
            for file in taken:
                answer = link.send_c_store(file)
                status = answer.Status if "Status" in answer else None
                if status not in TOOK:
                    raise NotTakenError("no answer" if status is None else f"status 0x{status:04X}")
        finally:
            link.release()
        return len(taken)

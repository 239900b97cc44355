"""An archive's DICOMweb service: its address, who asks, and results by STOW-RS. Studies come by `fetch`."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pydicom
from dicomweb_client.session_utils import create_session
from dicomweb_client.web import DICOMwebClient

from mammo_tf.errors import MammoError
from mammo_tf.serving.node_peers import NotTakenError, Peer

TOKEN = "MAMMO_TF_DICOMWEB_TOKEN"
NOT_SUPPORTED = 0x0122  # failure reason: the service does not take objects of this class
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class WebPeer:
    """A DICOMweb service. `MAMMO_TF_DICOMWEB_TOKEN` is sent as bearer token, if it is set."""

    url: str

    @classmethod
    def parsed(cls, text: str) -> WebPeer:
        """`https://host/path`, the address in front of `/studies`; `http` to this machine alone.

        Raises:
            MammoError: `peer_wrong`, also for a password in the address, where others see it.
        """
        remedy = "Such as https://archive/dicom-web"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            sentence = "an address of a DICOMweb service has a host, and a port up to 65535"
            raise MammoError("peer_wrong", sentence, remedy) from None
        if not parts.hostname or port == 0 or parts.query or parts.fragment:
            raise MammoError("peer_wrong", "an address of a DICOMweb service has a host, and no query", remedy)
        if parts.scheme not in ("http", "https"):
            raise MammoError("peer_wrong", "an address of a DICOMweb service begins with https://", remedy)
        if parts.username or parts.password:
            raise MammoError("peer_wrong", f"{parts.hostname}: the address holds a password", f"Set {TOKEN} instead")
        if parts.scheme != "https" and not _is_here(parts.hostname):
            sentence = f"{parts.hostname}: http would send names, pictures and the token in the clear"
            raise MammoError("peer_wrong", sentence, "Use https; http is for this machine, where a proxy may stand")
        return cls(parts.geturl().rstrip("/"))  # the scheme in small letters, as dicomweb-client wants it

    @property
    def title(self) -> str:
        """Its host."""
        return urlsplit(self.url).hostname or ""

    @property
    def key(self) -> str:
        """What tells it from others in a file name."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def client(self) -> DICOMwebClient:
        """Asks it, once, and nobody else: where the service points to another address, that is an error."""
        token = os.environ.get(TOKEN)
        session = create_session()
        session.max_redirects = 0
        headers = {"Authorization": f"Bearer {token}"} if token else None
        client = DICOMwebClient(self.url, session, headers=headers, timeout=TIMEOUT_S)
        client.set_http_retry_params(retry=False)  # the node tries again, and waits longer
        return client

    def send(self, files: Sequence[Path]) -> int:
        """See `node_peers.Receiver`: all objects of an exam in one request."""
        try:
            answer = self.client().store_instances([pydicom.dcmread(file) for file in files])
        except Exception as error:  # noqa: BLE001 - requests, dicomweb-client and a broken answer raise nearly anything
            response = getattr(error, "response", None)
            told = type(error).__name__ if response is None else f"HTTP {response.status_code}"
            raise NotTakenError(told) from error
        reasons = [int(item.get("FailureReason", 0)) for item in answer.get("FailedSOPSequence") or []]
        for reason in reasons:
            if reason != NOT_SUPPORTED:
                raise NotTakenError(f"failure 0x{reason:04X}")
        return len(files) - len(reasons)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parsed_peer(text: str) -> Peer | WebPeer:
    """`AE@host:port`, or the address of a DICOMweb service; errors as their `parsed`."""
    return WebPeer.parsed(text) if text.lower().startswith(("http://", "https://")) else Peer.parsed(text)

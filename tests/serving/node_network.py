"""The other ends of a node's associations: who sends exams, who receives results."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

RESULTS = (ComprehensiveSRStorage, SegmentationStorage, SecondaryCaptureImageStorage)


class Archive:
    """Takes results, as a PACS would."""

    def __init__(self, port: int = 0, kinds: tuple[str, ...] = RESULTS, refusals: int = 0, tls: Any = None) -> None:
        self.objects: list[Dataset] = []
        self.refusals = refusals
        self._lock = threading.Lock()
        entity = AE("ARCHIVE")
        for kind in (Verification, *kinds):
            entity.add_supported_context(kind, ExplicitVRLittleEndian)
        self.server = entity.start_server(("127.0.0.1", port), False, tls, [(evt.EVT_C_STORE, self._take)])
        self.port = self.server.server_address[1]

    def _take(self, event: Any) -> int:
        with self._lock:
            if self.refusals:
                self.refusals -= 1
                return 0xA700
            found = event.dataset
            found.file_meta = event.file_meta
            self.objects.append(found)
        return 0x0000

    def of(self, modality: str) -> list[Dataset]:
        """Objects of a modality."""
        with self._lock:
            return [one for one in self.objects if one.Modality == modality]

    def close(self) -> None:
        """Ends it."""
        self.server.shutdown()


@contextmanager
def archive(*arguments: Any, **more: Any) -> Iterator[Archive]:
    """An archive as long as the body runs."""
    found = Archive(*arguments, **more)
    try:
        yield found
    finally:
        found.close()


def send(port: int, files: list[Path], caller: str = "MODALITY", called: str = "MAMMO", tls: Any = None) -> list[int]:
    """Status of each object, sent as it lies there; empty where the node takes no association."""
    entity = AE(caller)
    headers = [pydicom.dcmread(path, force=True) for path in files]
    for header in headers:
        entity.add_requested_context(header.file_meta.MediaStorageSOPClassUID, header.file_meta.TransferSyntaxUID)
    link = entity.associate("127.0.0.1", port, ae_title=called, tls_args=tls)
    if not link.is_established:
        return []
    try:
        return [link.send_c_store(header).get("Status", -1) for header in headers]
    finally:
        link.release()


def echo(port: int, caller: str = "MODALITY", called: str = "MAMMO") -> int | None:
    """Status of a C-ECHO; None where the node takes no association."""
    entity = AE(caller)
    entity.add_requested_context(Verification)
    link = entity.associate("127.0.0.1", port, ae_title=called)
    if not link.is_established:
        return None
    try:
        return int(link.send_c_echo().Status)
    finally:
        link.release()


def wait_for(told: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What a question gives once it gives something true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = told()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not so after {seconds:g} seconds")


def left_in(spool: Path) -> list[Path]:
    """Objects that wait in a spool; `os.walk` passes over folders that go on meanwhile."""
    return [Path(folder) / name for folder, _, names in os.walk(spool) for name in names if name.endswith(".dcm")]


def is_empty(spool: Path) -> bool:
    """Whether nothing waits in a spool, at three looks: an object that goes on may be passed over by one."""
    for _ in range(3):
        if left_in(spool):
            return False
        time.sleep(0.05)
    return True


class WebArchive:
    """A DICOMweb service that keeps the parts of what is posted to it, and answers as it is told."""

    def __init__(self, answers: list[tuple[int, list[int]]]) -> None:
        """Args: status and failure reasons of each request, the last for all further ones."""
        self.posted: list[tuple[str, str, int]] = []
        archive_ = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
                body = self.rfile.read(int(self.headers["Content-Length"]))
                archive_.posted.append((self.path, self.headers.get("Authorization", ""), body.count(b"DICM")))
                status, reasons = answers[min(len(archive_.posted), len(answers)) - 1]
                failed = [{"00081197": {"vr": "US", "Value": [reason]}} for reason in reasons]
                answer = json.dumps({"00081198": {"vr": "SQ", "Value": failed}} if failed else {}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/dicom+json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/dicom-web"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()

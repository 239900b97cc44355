"""A node of an archive's network: takes exams, scores them, and sends the results on (`mammo-tf node`)."""

from __future__ import annotations

import io
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import (
    BreastTomosynthesisImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made when it is imported

from mammo_tf.claims import locked
from mammo_tf.errors import MammoError, trace
from mammo_tf.guard import start_workers
from mammo_tf.reading.dicom_file import CODE_STREAMS, EXPLICIT, IMPLICIT, RLE
from mammo_tf.reading.identity import keyed_hash
from mammo_tf.serving.dicom_exams import Making, by_study, exam_objects
from mammo_tf.serving.dicom_results import ModelFacts
from mammo_tf.serving.exam_scores import score_exam
from mammo_tf.serving.node_delivery import Delivery
from mammo_tf.serving.node_peers import Associations, Peer, Receiver, Tls
from mammo_tf.serving.node_receipts import Receipts
from mammo_tf.serving.node_spool import LOG as LOG_FOLDER
from mammo_tf.serving.node_spool import Spool
from mammo_tf.serving.node_web import WebPeer
from mammo_tf.serving.scorer import Scorer
from mammo_tf.study import Reject

TAKEN = (
    DigitalMammographyXRayImageStorageForPresentation, DigitalMammographyXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage, CTImageStorage, SecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage, MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)  # fmt: skip
SYNTAXES = [EXPLICIT, IMPLICIT, RLE, *CODE_STREAMS]
STORED, OUT_OF_RESOURCES, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
LOOK_S = 0.2
TRY_AGAIN_S = 600.0  # an exam that could not be scored: the disk was full, say
LOG = logging.getLogger("mammo_tf")


@dataclass(frozen=True)
class NodeSettings:
    """How a node runs.

    Attributes:
        title: its AE title; callers have to name it.
        callers: AE titles that it listens to, and no other.
        peers: who receives the results.
        spool: its folder (`node_spool`); receipts and rejects lie in its `log`.
        host, port: where it listens; port 0 for any free one.
        quiet_s: an exam is complete when nothing came for so long,
        views: or when it has as many objects; None where that is not known.
        captures: whether secondary captures are sent too.
        tls: certificates; None for plain text.
        tls_delivery: whether peers are spoken to by TLS too.
        first_wait_s: until a delivery is tried again for the first time.
        workers: processes that read and prepare.
        associations: how many callers at once.
    """

    title: str
    callers: tuple[str, ...]
    peers: tuple[Peer | WebPeer, ...]
    spool: Path
    host: str = "127.0.0.1"
    port: int = 11112
    quiet_s: float = 60.0
    views: int | None = None
    captures: bool = False
    tls: Tls | None = None
    tls_delivery: bool = False
    first_wait_s: float = 5.0
    workers: int = 2
    associations: int = 4


class Node:
    """A node that listens from `run` on until `stop`."""

    def __init__(self, scorer: Scorer, settings: NodeSettings) -> None:
        """Keeps model and settings; nothing is opened yet."""
        self.settings = settings
        self._scorer = scorer
        self._making = Making(ModelFacts.of(scorer), scorer.preprocessing.projection, settings.captures)
        self._stopped = threading.Event()
        self.port = settings.port

    def stop(self, *_: Any) -> None:
        """Ends `run` after the exam that is being scored; what waits is taken up at the next start."""
        self._stopped.set()

    def run(self, listening: Callable[[int], object] = lambda _: None) -> None:
        """Takes, scores and sends.

        Args:
            listening: is called with the port once callers are heard.

        Raises:
            MammoError: `folder_busy` where another node has the spool, `port_taken`; those of `Spool` and `Tls`.
        """
        quieten()
        settings = self.settings
        settings.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(settings.spool / ".lock", settings.spool):
            self._spool = Spool(settings.spool)
            self._receipts = Receipts(settings.spool / LOG_FOLDER)
            delivery = Delivery(self._spool, self._receipts, self._receivers(), settings.first_wait_s)
            start_workers(settings.workers)
            server = self._listen()
            try:
                waiting = ", ".join(f"{number} {part}" for part, number in self._spool.waiting().items() if number)
                self._receipts.note("started", detail=waiting or "spool empty")
                delivery.start()
                listening(self.port)
                again = time.monotonic() + TRY_AGAIN_S
                while not self._stopped.wait(LOOK_S):
                    if time.monotonic() >= again:
                        self._spool.try_again()
                        again = time.monotonic() + TRY_AGAIN_S
                    for exam in self._spool.complete(settings.quiet_s, settings.views):
                        if not self._stopped.is_set():
                            self._score(exam)
                            delivery.news.set()
            finally:
                server.shutdown()
                delivery.stop()
                delivery.join(timeout=5)
                self._receipts.note("stopped")

    def _receivers(self) -> list[Receiver]:
        settings = self.settings
        context = settings.tls.client() if settings.tls is not None and settings.tls_delivery else None
        return [
            one if isinstance(one, WebPeer) else Associations(one, settings.title, context) for one in settings.peers
        ]

    def _listen(self) -> Any:
        settings = self.settings
        entity = AE(settings.title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(settings.callers)
        entity.maximum_associations = settings.associations
        entity.add_supported_context(Verification)
        for storage in TAKEN:
            entity.add_supported_context(storage, SYNTAXES)
        tls = None if settings.tls is None else settings.tls.server()
        handlers = [(evt.EVT_C_STORE, self._stored)]
        try:
            server = entity.start_server((settings.host, settings.port), False, tls, handlers)  # type: ignore[arg-type]
        except OSError as error:
            sentence = f"{settings.host}:{settings.port} cannot be listened at: {os.strerror(error.errno or 0)}"
            raise MammoError("port_taken", sentence, "Name another --port or --bind") from None
        assert server is not None
        self.port = int(server.server_address[1])
        return server

    def _stored(self, event: Any) -> int:
        """Answers a C-STORE: success when, and only when, the disk has the object."""
        caller = str(event.assoc.requestor.ae_title).strip()
        name = keyed_hash("image", str(event.request.AffectedSOPInstanceUID))
        try:
            data = event.encoded_dataset()
            study = _study_of(data)
        except Exception as error:  # noqa: BLE001 - what a caller sends must not end the node
            reason = f"what was sent is not a data set that names its study ({type(error).__name__})"
            self._receipts.reject([Reject(name, "not_understood", reason, "Send it again")])
            self._receipts.note("refused", objects=1, peer=caller, detail="not_understood")
            return NOT_UNDERSTOOD
        exam = keyed_hash("exam", study)
        try:
            self._spool.put(exam, f"{name}.dcm", data)
        except OSError as error:
            self._receipts.note("refused", exam, 1, caller, os.strerror(error.errno or 0))
            return OUT_OF_RESOURCES
        self._receipts.note("received", exam, 1, caller)
        return STORED

    def _score(self, exam: str) -> None:
        """Scores an exam and puts its results in the way out; what goes wrong costs this exam alone."""
        files = self._spool.take(exam)
        try:
            results, rejects = score_exam(self._scorer, files, self.settings.workers)
            usable = by_study(results, rejects)
            objects: dict[str, Any] = {}
            for study, images in usable.items():
                try:
                    objects = exam_objects(study, images, self._making)
                except MammoError as error:
                    rejects += [Reject.of(one.candidate.place, error, one.candidate.file) for one in images]
            self._receipts.reject(_hashed(rejects))
            self._spool.finish(exam, objects)
        except Exception as error:  # noqa: BLE001 - the node lives on
            LOG.info("an exam could not be scored:\n%s", trace(error))
            self._receipts.note("failed", exam, len(files), detail=type(error).__name__)
            self._spool.set_aside(exam)
            return
        event = "scored" if objects else "unusable"
        self._receipts.note(event, exam, len(files), detail=f"{len(rejects)} rejected" if rejects else "")


def quieten() -> None:
    """No library of this process shows what it thinks of a header: that may repeat a name."""
    warnings.simplefilter("ignore")
    for name in ("pynetdicom", "pydicom", "highdicom", "dicomweb_client", "urllib3"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        logger.setLevel(logging.CRITICAL)


def _study_of(data: bytes) -> str:
    header = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
    study = str(header.StudyInstanceUID).strip()
    if not study:
        raise ValueError("no study")
    return study


def _hashed(rejects: list[Reject]) -> list[Reject]:
    """Rejects whose paths are the names of objects alone, which are keyed hashes."""
    return [one._replace(path=Path(one.path).stem) for one in rejects]

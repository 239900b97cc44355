"""Studies from an archive's DICOMweb service (QIDO-RS, WADO-RS) to a folder, which everything else reads."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dicomweb_client.web import DICOMwebClient

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_folder, disk_errors
from mammo_tf.reading.identity import keyed_hash
from mammo_tf.serving.node_web import TOKEN, WebPeer

AS_STORED = (("application/dicom", "*"),)  # the transfer syntax that the archive has
UID = re.compile(r"[0-9.]{1,64}")
Say = Callable[[str], object]


def fetch(service: WebPeer, studies: Sequence[str], folder: str | Path, say: Say = lambda line: None) -> int:
    """Writes a folder for each study, which its owner alone may read; one that is there already is not asked for.

    A study is there whole or not at all: its objects are compared with those that the archive lists. Folders and files
    are called by keyed hashes of their identifiers; what they hold is what the archive sent.

    Args:
        service: of the archive.
        studies: Study Instance UIDs.
        folder: where the folders go; made.
        say: is told a line for each study.

    Returns:
        Number of objects that were written.

    Raises:
        MammoError: `uid_wrong`; `study_missing` where the archive has none of it, `study_incomplete` where it sends
            other objects than it lists, `archive_away`, `archive_refuses`; those of `files.disk_errors`.
    """
    for study in studies:
        if UID.fullmatch(study) is None:
            raise MammoError(
                "uid_wrong", f"{study!r} is not a Study Instance UID", "It has digits and dots, at most 64"
            )
    client, written = service.client(), 0
    for number, study in enumerate(dict.fromkeys(studies), 1):
        place = Path(folder) / keyed_hash("exam", study)
        if place.is_dir():
            say(f"study {number}: in {place} already")
            continue
        count = _one(client, service.title, study, place)
        written += count
        say(f"study {number}: {count} object{'' if count == 1 else 's'} in {place}")
    return written


def _one(client: DICOMwebClient, host: str, study: str, place: Path) -> int:
    with _answers(host):
        listed = _listed(client, study)
    if not listed:
        raise MammoError(
            "study_missing", f"{host} has no object of the study", "Look at the UID, and at who may see it"
        )
    came: set[str] = set()
    with atomic_folder(place) as beside:
        beside.chmod(0o700)
        with _answers(host):
            for one in client.iter_study(study, media_types=AS_STORED):
                uid = str(one.SOPInstanceUID)
                with disk_errors(beside):
                    handle = os.open(beside / f"{keyed_hash('image', uid)}.dcm", os.O_WRONLY | os.O_CREAT, 0o600)
                    with os.fdopen(handle, "wb") as stream:
                        one.save_as(stream, enforce_file_format=True)
                came.add(uid)
        if came != listed:
            sentence = f"{host} lists {len(listed)} objects of the study and sent {len(came & listed)} of them"
            raise MammoError("study_incomplete", sentence, "Give the same command again")
    place.chmod(0o700)
    return len(came)


def _listed(client: DICOMwebClient, study: str) -> set[str]:
    """SOP Instance UIDs of a study, asked for until an answer tells of none that is new: a service may tell few at a
    time, and one that does not know `offset` tells the same for ever."""
    found: set[str] = set()
    while True:
        page = client.search_for_instances(study, offset=len(found) or None)
        new = {_uid(one) for one in page} - found
        if not new:
            return found
        found |= new


def _uid(listed: object) -> str:
    """SOP Instance UID of an object as QIDO-RS lists it."""
    element = listed.get("00080018", {}) if isinstance(listed, dict) else {}
    return str((element.get("Value") or [""])[0])


@contextmanager
def _answers(host: str) -> Iterator[None]:
    """Tells of what a service does not answer, or answers wrongly, in a line without identifiers."""
    try:
        yield
    except (MammoError, KeyboardInterrupt):
        raise
    except OSError as error:  # those of requests are such, too
        response = getattr(error, "response", None)
        if response is None:
            remedy = "Look whether the service runs, and give the same command again"
            raise MammoError(
                "archive_away", f"{host} did not answer to the end ({type(error).__name__})", remedy
            ) from None
        status = response.status_code
        if status == 404:
            remedy = "Look at the UID and at the address, which ends in front of /studies"
            raise MammoError("study_missing", f"{host} answers HTTP 404: it has no such study", remedy) from None
        remedy = f"{TOKEN} holds a bearer token" if status in (401, 403) else "Ask whoever keeps the archive"
        raise MammoError("archive_refuses", f"{host} answers HTTP {status}", remedy) from None
    except Exception as error:  # noqa: BLE001 - dicomweb-client and pydicom raise nearly anything for a broken answer
        sentence = f"{host} sent what is not an answer of DICOMweb ({type(error).__name__})"
        raise MammoError("archive_refuses", sentence, "Ask whoever keeps the archive") from None

"""Studies from an archive's DICOMweb service (QIDO-RS, WADO-RS) to a folder, which everything else reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from dicomweb_client.web import DICOMwebClient

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_folder, disk_errors
from mammo_tf.reading.identity import keyed_hash
from mammo_tf.serving.node_web import WebPeer
from mammo_tf.serving.studies import INSTANCE, answers, checked, listed

AS_STORED = (("application/dicom", "*"),)  # the transfer syntax that the archive has
OF_ONE_STUDY = ("study_missing", "study_incomplete")  # others are asked for all the same
Say = Callable[[str], object]


def fetch(service: WebPeer, studies: Sequence[str], folder: str | Path, say: Say = lambda line: None) -> int:
    """Writes a folder for each study, which its owner alone may read; one that is there already is not asked for.

    A study is there whole or not at all: its objects are compared with those that the archive lists. Folders and files
    are called by keyed hashes of their identifiers; what they hold is what the archive sent. A study that the archive
    does not give keeps no others back: they are fetched, then it is told.

    Args:
        service: of the archive.
        studies: Study Instance UIDs.
        folder: where the folders go; made.
        say: is told a line for each study.

    Returns:
        Number of objects that were written.

    Raises:
        MammoError: `uid_wrong`; `study_missing` where the archive has none of it, `study_incomplete` where it sends
            other objects than it lists, `studies_missing` for some of several, `archive_away`, `archive_refuses`;
            those of `files.disk_errors`.
    """
    wanted = list(dict.fromkeys(map(checked, studies)))
    client, written, failed = service.client(), 0, []
    for number, study in enumerate(wanted, 1):
        place = Path(folder) / keyed_hash("exam", study)
        if place.is_dir():
            say(f"study {number}: in {place} already")
            continue
        try:
            count = _one(client, service.title, study, place)
        except MammoError as error:
            if error.code not in OF_ONE_STUDY or len(wanted) == 1:
                raise
            failed.append(number)
            say(f"study {number}: {error.sentence}")
            continue
        written += count
        say(f"study {number}: {count} object{'' if count == 1 else 's'} in {place}")
    if failed:
        sentence = f"{len(failed)} of {len(wanted)} studies were not fetched, the first of them study {failed[0]}"
        raise MammoError("studies_missing", sentence, "Give the same command again: it asks for these alone")
    return written


def _one(client: DICOMwebClient, host: str, study: str, place: Path) -> int:
    with answers(host):
        told = listed(lambda offset: client.search_for_instances(study, offset=offset), INSTANCE).keys()
    if not told:
        raise MammoError(
            "study_missing", f"{host} has no object of the study", "Look at the UID, and at who may see it"
        )
    came: set[str] = set()
    with atomic_folder(place) as beside:
        beside.chmod(0o700)
        with answers(host):
            for one in client.iter_study(study, media_types=AS_STORED):
                uid = str(one.SOPInstanceUID)
                with disk_errors(beside):
                    handle = os.open(beside / f"{keyed_hash('image', uid)}.dcm", os.O_WRONLY | os.O_CREAT, 0o600)
                    with os.fdopen(handle, "wb") as stream:
                        one.save_as(stream, enforce_file_format=True)
                came.add(uid)
        if came != told:
            sentence = f"{host} lists {len(told)} objects of the study and sent {len(came & told)} of them"
            raise MammoError("study_incomplete", sentence, "Give the same command again")
    place.chmod(0o700)
    return len(came)

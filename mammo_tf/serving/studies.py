"""Which studies a DICOMweb service has (QIDO-RS): those of a modality and of some days; no name in what is said."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.serving.node_web import TOKEN, WebPeer

STUDY, INSTANCE, DATE, MODALITIES = "0020000D", "00080018", "00080020", "00080061"
UID = re.compile(r"(?=.{1,64}$)[0-9]+(\.[0-9]+)*")
Listed = Mapping[str, Mapping[str, Any]]  # what QIDO-RS tells of one study or object


@dataclass(frozen=True)
class Search:
    """Studies to look for.

    Attributes:
        modality: one that is in the study, such as MG.
        begin: first day, None for no bound.
        end: last day, that day included, None for no bound.
    """

    modality: str = "MG"
    begin: datetime.date | None = None
    end: datetime.date | None = None

    def __post_init__(self) -> None:
        if self.begin and self.end and self.end < self.begin:
            raise MammoError("option_wrong", f"{self.end} is before {self.begin}", "Give the earlier day first")
        if not re.fullmatch("[A-Z0-9_ ]{1,16}", self.modality):
            sentence = f"{self.modality!r} is not a modality"
            raise MammoError("option_wrong", sentence, "Give its code in the standard, such as MG")

    @property
    def filters(self) -> dict[str, str]:
        """As QIDO-RS asks for them."""
        days = "-".join(self._days)
        return {"ModalitiesInStudy": self.modality} | ({} if days == "-" else {"StudyDate": days})

    def holds(self, one: Listed) -> bool:
        """Whether what a service tells of a study is what was asked for; services may pass over what they do not know.

        A study whose modalities are not told counts by its day alone; one without a day is not of any.
        """
        modalities, begin, end = values(one, MODALITIES), *self._days
        if modalities and self.modality not in modalities:
            return False
        day = "".join(values(one, DATE)).replace(".", "")  # 2024.03.01 is how it was written before 1993
        return not (begin or end) or (len(day) == 8 and begin <= day <= (end or day))

    @property
    def _days(self) -> tuple[str, str]:
        """First and last day as DICOM writes them, empty where there is no bound."""
        first, last = (f"{day:%Y%m%d}" if day else "" for day in (self.begin, self.end))
        return first, last


def search(service: WebPeer, wanted: Search) -> tuple[list[str], int]:
    """Study Instance UIDs of an archive's studies, and how many others it told of that were not asked for.

    Raises:
        MammoError: `archive_away`, `archive_refuses`.
    """
    client, fields = service.client(), ["StudyDate", "ModalitiesInStudy"]

    def page(offset: int | None) -> Sequence[Listed]:
        return client.search_for_studies(offset=offset, fields=fields, search_filters=wanted.filters)

    with answers(service.title):
        told = listed(page, STUDY)
        uids = [uid for uid, one in told.items() if wanted.holds(one)]
    if not all(UID.fullmatch(uid) for uid in uids):
        sentence = f"{service.title} tells of a study without a Study Instance UID"
        raise MammoError("archive_refuses", sentence, "Ask whoever keeps the archive")
    return uids, len(told) - len(uids)


def listed(page: Callable[[int | None], Sequence[Listed]], key: str) -> dict[str, Listed]:
    """What a service lists, by the UID in the element `key`; asked until an answer tells of none that is new.

    A service may tell few at a time, and one that does not know `offset` tells the same for ever.
    """
    found: dict[str, Listed] = {}
    while True:
        new = {"".join(values(one, key)[:1]): one for one in page(len(found) or None)}
        if not new.keys() - found.keys():
            return found
        found = new | found


def values(one: Listed, key: str) -> list[str]:
    """Of an element in DICOM's JSON; none where it is not told."""
    element = one.get(key, {}) if isinstance(one, Mapping) else {}
    return [str(value) for value in element.get("Value") or []]


def read_uids(path: str | Path) -> list[str]:
    """Study Instance UIDs of a text file, one a line; lines that are empty or begin with `#` do not count.

    Raises:
        MammoError: `uid_wrong` with the line; `file_missing`, `not_text`.
    """
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise MammoError("not_text", f"{path} is not a text file", "Give one UID a line") from None
    except OSError as error:
        raise MammoError("file_missing", f"{path}: {error.strerror}", "Name a file that can be read") from None
    found = []
    for number, line in enumerate(lines, 1):
        uid = line.strip()
        if uid and not uid.startswith("#"):
            found.append(checked(uid, f"{path}, line {number}"))
    if not found:
        raise MammoError("uid_wrong", f"{path} holds no Study Instance UID", "Give one a line")
    return found


def checked(uid: str, place: str = "a word that was given") -> str:
    """The UID, if it is one; what is not may be a name, and is not told.

    Raises:
        MammoError: `uid_wrong`.
    """
    if UID.fullmatch(uid) is None:
        sentence = f"{place} is not a Study Instance UID"
        raise MammoError("uid_wrong", sentence, "It is numbers with dots between, at most 64 characters")
    return uid


@contextmanager
def answers(host: str) -> Iterator[None]:
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
            raise MammoError("study_missing", f"{host} answers HTTP 404: nothing is there", remedy) from None
        remedy = f"{TOKEN} holds a bearer token" if status in (401, 403) else "Ask whoever keeps the archive"
        raise MammoError("archive_refuses", f"{host} answers HTTP {status}", remedy) from None
    except Exception as error:  # noqa: BLE001 - dicomweb-client and pydicom raise nearly anything for a broken answer
        sentence = f"{host} sent what is not an answer of DICOMweb ({type(error).__name__})"
        raise MammoError("archive_refuses", sentence, "Ask whoever keeps the archive") from None

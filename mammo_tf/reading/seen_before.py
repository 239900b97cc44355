"""What was seen of an archive's files, kept next to its manifest, so that listing it again reads only what is new.

An answer is taken again if the file's length and its times of change are the same, the table says the same of it, and
the package, its decoders, the data root and the key of the identifiers are those of before; else the file is read. So a
manifest made with what is kept is, byte for byte, the one that is made without.

Identifiers are kept as keyed hashes, as in the manifest. Who is whose is weighed by the words of the archive, which are
kept nowhere: of each patient one header is opened again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO, Self, get_type_hints

import mammo_tf
from mammo_tf.errors import MammoError
from mammo_tf.fields import convert, to_json
from mammo_tf.files import atomic_path, disk_errors, text_digest
from mammo_tf.guard import each_file
from mammo_tf.json_text import parsed_json
from mammo_tf.reading.dicom_file import open_dicom, refusals
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.folder_volumes import Asked, Seen
from mammo_tf.reading.identity import key_fingerprint, keyed_hash

SEEN = "seen.jsonl"
FORMAT = 1
# A file that changed so shortly before it was looked at may change again within a tick of the file system's clock.
YOUNG_S = 2.0
DECODERS = ("numpy", "opencv-python-headless", "pydicom")
# What another look may answer otherwise.
PASSING = ("decoder_crashed", "decoder_hangs", "file_missing", "too_large", "unforeseen", "unreadable", "worker_failed")

LOG = logging.getLogger("mammo_tf")

Answer = Seen | MammoError
Stamps = list[list[Any]]


class SeenBefore:
    """The answers of earlier lists of one data root.

    A line holds a place, the file's stamps, what was asked, and the answer. Lines stay in files: of those that are kept
    memory holds where each begins, and new ones wait in a file without a name until they are written.
    """

    def __init__(self, path: Path | None, root: Path) -> None:
        """Finds what is kept at `path`, where that is of this root, key and package; `path` None keeps nothing."""
        self.path, self.root = path, root
        self._open = ExitStack()
        self._before: BinaryIO | None = None
        self._kept: dict[str, int] = {}
        self._head = {"format": FORMAT, "made_by": made_by(), "root": str(root.resolve()), "key": ""}
        if path is not None:
            with disk_errors(tempfile.gettempdir()):
                self._new = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
            self._head["key"] = key_fingerprint()
            with suppress(OSError):  # what cannot be read is read again from the files
                self._before = self._open.enter_context(path.open("rb"))
                self._kept = _places(self._before, self._head)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def each(
        self, look: Callable[[Asked], Seen], items: Sequence[Asked], workers: int, what: str, unit: str
    ) -> Generator[tuple[Asked, Answer]]:
        """As `guard.each_file` of `look`, but for what was seen before; the series of slices are hashed."""
        if self.path is None:
            yield from each_file(look, items, workers, what, unit)
            return
        places = [self._place(asked) for asked in items]
        known = [self._known(asked, place) for asked, place in zip(items, places, strict=True)]
        patients = self._patients(zip(items, known, strict=True), workers)
        unknown = [asked for asked, answer in zip(items, known, strict=True) if answer is None]
        LOG.info("%s: %d of %d are as they were seen before", what, len(items) - len(unknown), len(items))
        began_ns = time.time_ns()
        stamps = iter([_stamps(asked) for asked in unknown])
        answers = each_file(look, unknown, workers, what, unit)
        for asked, place, answer in zip(items, places, known, strict=True):
            if answer is None:
                _, answer = next(answers)
                if isinstance(answer, Seen) and answer.slice_of:
                    answer = answer._replace(slice_of=keyed_hash("series", answer.slice_of))
                self._keep(asked, place, next(stamps), answer, began_ns)
            else:
                self._put(self._kept_line(place))
                if isinstance(answer, Seen):
                    told = asked.told.get("patient_id")
                    answer = answer._replace(patient=told or patients.get(answer.facts.patient_id, ""))
            yield asked, answer

    def write(self) -> None:
        """Keeps what was seen, in place of what was kept before."""
        if self.path is None:
            return
        with disk_errors(tempfile.gettempdir()):
            self._new.seek(0)  # what is buffered is written first
        with atomic_path(self.path) as beside, beside.open("wb") as stream:
            stream.write(_line(self._head))
            shutil.copyfileobj(self._new, stream)

    def _put(self, line: bytes) -> None:
        with disk_errors(tempfile.gettempdir()):
            self._new.write(line)

    def _place(self, asked: Asked) -> str:
        place = asked.path.relative_to(self.root).as_posix()
        return f"{place}//{asked.slices[0].name}" if asked.slices else place

    def _kept_line(self, place: str) -> bytes:
        assert self._before is not None  # else no place is kept
        self._before.seek(self._kept[place])
        return self._before.readline()

    def _known(self, asked: Asked, place: str) -> Answer | None:
        if place not in self._kept:
            return None
        try:
            stamps, said, answer = json.loads(self._kept_line(place).partition(b"\t")[2])
        except (ValueError, TypeError, RecursionError):
            return None
        return _answer(answer, asked.path) if stamps == _stamps(asked) and said == _asked(asked) else None

    def _keep(self, asked: Asked, place: str, stamps: Stamps | None, answer: Answer, began_ns: int) -> None:
        if stamps is None or (isinstance(answer, MammoError) and answer.code in PASSING):
            return
        latest = max(max(changed, moved) for _, _, changed, moved in stamps)
        if latest > began_ns - YOUNG_S * 1e9 or _stamps(asked) != stamps:
            return
        self._put(_line(place)[:-1] + b"\t" + _line([stamps, _asked(asked), _written(answer)]))

    def _patients(self, known: Iterable[tuple[Asked, Answer | None]], workers: int) -> dict[str, str]:
        """The archive's words for patients, by their hash, each from one header."""
        first: dict[str, Path] = {}
        for asked, answer in known:
            if isinstance(answer, Seen) and answer.facts.patient_id and not asked.told.get("patient_id"):
                first.setdefault(answer.facts.patient_id, asked.slices[0] if asked.slices else asked.path)
        outcomes = each_file(patient_of, list(first.values()), workers, "reading patients", "patient")
        found = ((hashed, word) for hashed, (_, word) in zip(first, outcomes, strict=True))
        return {hashed: "" if isinstance(word, MammoError) else word for hashed, word in found}


def patient_of(path: Path) -> str:
    """Patient ID as the header has it, for weighing; never written."""
    with refusals(path), open_dicom(path) as file:
        return file.header.text("PatientID")


@cache
def made_by() -> str:
    """What decides an answer next to the file: this package's version and its code that reads, and the decoders'."""
    sums = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        sums.update(path.read_bytes())
    decoders = ", ".join(f"{name} {metadata.version(name)}" for name in DECODERS)
    return f"mammo_tf {mammo_tf.__version__} ({sums.hexdigest()[:16]}), {decoders}"


def _stamps(asked: Asked) -> Stamps | None:
    """Name, length and times of change of a file, of a volume those of all files of its folder; None if one is gone."""
    try:
        paths = [path for path in asked.path.iterdir() if path.is_file()] if asked.slices else [asked.path]
        found = [(path.name, path.stat()) for path in sorted(paths)]
    except OSError:
        return None
    return [[name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns] for name, facts in found]


def _asked(asked: Asked) -> str:
    """What was asked about a file, but for its path, as a short digest."""
    slices = [path.name for path in asked.slices]
    rest = {name: value for name, value in asked._asdict().items() if name not in ("path", "told", "slices")}
    return text_digest(json.dumps([sorted(asked.told.items()), slices, rest], default=str))[:16]


def _written(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, MammoError):
        return {"refused": [answer.code, answer.sentence, answer.remedy]}
    facts = {name: value for name, value in to_json(answer.facts).items() if name != "path"}
    unless = None if answer.unless is None else [answer.unless.code, answer.unless.sentence, answer.unless.remedy]
    rest = {name: to_json(value) for name, value in answer._asdict().items() if name not in ("facts", "patient")}
    return rest | {"facts": facts, "unless": unless}


def _answer(written: Mapping[str, Any], path: Path) -> Answer | None:
    """The answer that was written; None where it is of another form."""
    try:
        if "refused" in written:
            return MammoError(*written["refused"])
        facts = {name: _value(Facts, name, value) for name, value in written["facts"].items()}
        rest = {name: _value(Seen, name, value) for name, value in written.items() if name not in ("facts", "unless")}
        unless = None if written["unless"] is None else MammoError(*written["unless"])
        return Seen(facts=Facts(path=path, **facts), patient="", unless=unless, **rest)
    except (MammoError, LookupError, TypeError):
        return None


def _value(kind: type, name: str, value: Any) -> Any:
    """What `to_json` made of a field, back: its own kind, but for tuples and what is built of more."""
    if isinstance(value, list):
        return (
            convert(_hints(kind)[name], value, name) if any(isinstance(one, dict) for one in value) else _tuple(value)
        )
    return convert(_hints(kind)[name], value, name) if isinstance(value, dict) else value


def _tuple(value: list[Any]) -> tuple[Any, ...]:
    return tuple(_tuple(one) if isinstance(one, list) else one for one in value)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _places(stream: BinaryIO, head: Mapping[str, Any]) -> dict[str, int]:
    """Where the line of each place begins; nothing where they are of another root, key, package or form, or damaged."""
    try:
        first = next(stream)
        if parsed_json(first.decode()) != head:
            return {}
        found, begins = {}, len(first)
        for line in stream:
            found[json.loads(line.partition(b"\t")[0])] = begins
            begins += len(line)
        return found
    except (OSError, ValueError, TypeError, RecursionError, StopIteration):
        return {}

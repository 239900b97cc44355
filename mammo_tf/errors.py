"""The one exception that bad input raises, and the trace of any other one, which tells nobody's name."""

from __future__ import annotations

import errno
import traceback
from pathlib import PurePath

# Where an exception has passed through one of these, its message may repeat what a header says.
HEADER_PACKAGES = ("pydicom", "highdicom", "pynetdicom", "dicomweb_client")
HEADER_PLACES = ("mammo_tf/reading/", "mammo_tf/serving/dicom_", "mammo_tf/serving/node")
WITHHELD = "its message may name somebody, and is left out"

# What a disk answers about a path that a user named, and what to do about it. Any other answer is a fault of ours.
DISK_ANSWERS = {
    errno.EACCES: "Mend its permissions, or name another place",
    errno.EPERM: "Mend its permissions, or name another place",
    errno.EROFS: "Name a place that can be written",
    errno.ENOENT: "Name one that is there",
    errno.ENOTDIR: "A file is where a folder should be: name another place",
    errno.EISDIR: "Name a file in it",
    errno.EEXIST: "Name another place",
    errno.ENAMETOOLONG: "Give a shorter name",
    errno.ELOOP: "Its links lead in a circle: name the file itself",
    errno.ENOSPC: "Free some space, run again",
    errno.EDQUOT: "Free some space, run again",
    errno.EIO: "Look at the disk or the share, run again",
    errno.ESTALE: "Look at the share, run again",
    errno.ENOTCONN: "Look at the share, run again",
    errno.ENXIO: "Name a file",
    errno.EMFILE: "Allow more open files (ulimit -n), run again",
}


class MammoError(Exception):
    """Bad input, told in one line: what is wrong and where, and what to do about it.

    Args:
        code: short stable name of the kind of error, lower case with underscores (`column_missing`).
        sentence: what is wrong and where, without a final full stop.
        remedy: what to do about it; may be empty.

    The command line prints it as one line and exits with 2. Names, birth dates and free text read from a
    file never enter a sentence.
    """

    def __init__(self, code: str, sentence: str, remedy: str = "") -> None:
        self.code = code
        self.sentence = " ".join(sentence.split())
        self.remedy = " ".join(remedy.split())
        super().__init__(code, sentence, remedy)

    def __str__(self) -> str:
        return f"{self.sentence}. {self.remedy}" if self.remedy else self.sentence


def disk_answer(error: OSError) -> MammoError | None:
    """What a disk answered about a path, in one line; None where the error tells no path, or is no such answer."""
    if error.errno not in DISK_ANSWERS or not isinstance(error.filename, str | bytes | PurePath):
        return None
    place = error.filename.decode(errors="backslashreplace") if isinstance(error.filename, bytes) else error.filename
    return MammoError("disk", f"{place} cannot be read or written: {error.strerror}", DISK_ANSWERS[error.errno])


def trace(error: BaseException) -> str:
    """The trace of an error and of those before it, as Python prints it, but for messages that may name somebody.

    Of an exception that is not a `MammoError` and that has passed through code that reads headers, only its type and
    where it was raised are told.
    """
    before = error.__cause__ if error.__suppress_context__ else error.__context__
    lines = [] if before is None else [trace(before), "\nWhich led to:\n\n"]
    lines += ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    return "".join([*lines, f"{type(error).__name__}: {said(error)}\n"])


def said(error: BaseException) -> str:
    """The message of an error in one line; `WITHHELD` in its place where it may name somebody."""
    if isinstance(error, MammoError):
        return str(error)
    places = [PurePath(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    told = [place.as_posix() for place in places]
    private = any(part in HEADER_PACKAGES for place in places for part in place.parts)
    if private or any(part in place for place in told for part in HEADER_PLACES):
        return WITHHELD
    return " ".join(str(error).split())

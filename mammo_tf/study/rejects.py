"""Files that cannot be used, each with its reason."""

from __future__ import annotations

import csv
import io
from collections.abc import Container, Iterable
from pathlib import Path
from typing import NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_path, escaped
from mammo_tf.study.refusals import override_of


class Reject(NamedTuple):
    """A file that was seen and cannot be used.

    Attributes:
        path: as the table of images would write it.
        code: short and stable.
        reason: in words.
        remedy: what to do about it; may be empty.
    """

    path: str
    code: str
    reason: str
    remedy: str = ""

    @classmethod
    def of(cls, place: str, error: MammoError, file: str | Path = "") -> Reject:
        """The reject of a file that an error was raised about.

        Args:
            place: the reject's path.
            error: tells code, reason and remedy.
            file: where the file lies; left out of the reason, which stands next to the path.
        """
        reason = error.sentence
        if str(file):
            reason = " ".join(reason.removeprefix(f"{file}").lstrip(": ").replace(f"{file}", "").split())
        return cls(place, error.code, reason, error.remedy)

    @property
    def sentence(self) -> str:
        """The reject in one line, without its code."""
        return f"{self.path}: {self.reason}" + (f". {self.remedy}" if self.remedy else "")


def write_rejects(rejects: Iterable[Reject], path: str | Path, options: Container[str] | None = None) -> int:
    r"""Writes `rejects.csv` (UTF-8, `Reject` and its override, sorted by path) and returns how many there are.

    Bytes of file names that are no UTF-8 are written as `\xfc`.

    Args:
        rejects: of files.
        path: of the table.
        options: as for `override_of`.
    """
    rejects = list(rejects)
    text = rejects_text(rejects, options)
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="")
    return len(rejects)


def rejects_text(rejects: Iterable[Reject], options: Container[str] | None = None) -> str:
    """What `write_rejects` writes."""
    rows = [[*map(escaped, reject), override_of(reject.code, options)] for reject in sorted(rejects)]
    is_broken = any("\r" in text for row in rows for text in row)  # unquoted it would end its row
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL if is_broken else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerows([[*Reject._fields, "override"], *rows])
    return stream.getvalue()

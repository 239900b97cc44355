"""What `mammo-tf features` notes next to its table, so that a killed command continues where it was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_path, disk_errors
from mammo_tf.guard import UNFORESEEN
from mammo_tf.json_text import parsed_json
from mammo_tf.study import Reject, resolve_path

JOURNAL_FORMAT = 4  # 1 did not tell which file a line is of, 2 did not tell remedies, 3 no warnings
RETRIED = ("file_missing", UNFORESEEN)  # after a kill: it may have come back, or go well this time


class ViewFeatures(NamedTuple):
    """Features of one picture by name, whether a pectoral muscle was taken off (None where none was sought), and what
    was doubtful when the picture was read."""

    values: dict[str, float]
    muscle: bool | None
    warnings: tuple[str, ...] = ()


def file_stamp(row: Mapping[str, Any], root: str | Path) -> list[str | int] | None:
    """What tells whether a row's picture is the same file, or folder of slices: resolved path, bytes, time of change;
    None if it is gone."""
    try:
        path = resolve_path(str(row["path"]), root)
        facts = [one.stat() for one in ([path, *path.iterdir()] if path.is_dir() else [path])]
        return [str(path.resolve()), sum(one.st_size for one in facts), max(one.st_mtime_ns for one in facts)]
    except (OSError, ValueError, MammoError):
        return None


class Journal:
    """Results as they come: a line with the request, then a line for each row; a damaged or cut off one is left out.

    A row's line holds the stamp that its picture had when the work began, so a picture that changed while it was read
    is not taken for the one that was read.
    """

    def __init__(
        self,
        path: Path,
        asked: Mapping[str, Any],
        stamps: Sequence[list[str | int] | None],
        columns: Sequence[str],
    ) -> None:
        self.path = path
        self.stamps = stamps
        self.columns = columns
        self.known: dict[int, ViewFeatures | Reject] = {}
        head = json.dumps({"journal": JOURNAL_FORMAT, **asked})
        with disk_errors(path):
            lines = path.read_bytes().splitlines() if path.is_file() else []
            if lines[:1] == [head.encode()]:
                for line in lines[1:]:
                    self._take(line)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as beside:  # begins again, with what was known and without damaged lines
                beside.write_text("\n".join([head, *map(self._line, self.known)]) + "\n", encoding="utf-8")

    def _take(self, line: bytes) -> None:
        """Takes over what a line says of a picture that is the same file still; of a damaged line nothing."""
        try:
            number, stamp, muscle, values, warnings, reject = parsed_json(line.decode())
        except (ValueError, TypeError):
            return
        if type(number) is not int or not 0 <= number < len(self.stamps):
            return
        if stamp is None or stamp != self.stamps[number]:  # gone, or another file
            return
        if reject is None and _are_features(values, self.columns) and muscle in (None, True, False):
            if _are_words(warnings):
                self.known[number] = ViewFeatures(values, muscle, tuple(warnings))
        elif _is_reject(reject) and reject[1] not in RETRIED:
            self.known[number] = Reject(*reject)

    def _line(self, number: int) -> str:
        outcome = self.known[number]
        if isinstance(outcome, Reject):
            return json.dumps([number, self.stamps[number], None, None, None, outcome])
        return json.dumps([number, self.stamps[number], outcome.muscle, outcome.values, outcome.warnings, None])

    def note(self, number: int, outcome: ViewFeatures | Reject) -> None:
        self.known[number] = outcome
        with disk_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(self._line(number) + "\n")


def _are_features(values: Any, columns: Sequence[str]) -> bool:
    """Whether a line's values are those that are asked for, all of them finite."""
    if not isinstance(values, dict) or set(values) != set(columns):
        return False
    return all(type(value) in (int, float) and math.isfinite(value) for value in values.values())


def _is_reject(fields: Any) -> bool:
    """Whether fields of a line make a `Reject`."""
    return _are_words(fields) and len(fields) == len(Reject._fields)


def _are_words(fields: Any) -> bool:
    return isinstance(fields, list) and all(isinstance(field, str) for field in fields)

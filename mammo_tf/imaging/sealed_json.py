"""Frozen values as JSON files that tell what they are and carry their own digest, so that a change is noticed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mammo_tf.errors import MammoError
from mammo_tf.fields import Wording, from_json, to_json
from mammo_tf.files import read_json, text_digest, write_json

SAID = ("format", "what", "sha256")  # keys of the file that are not attributes
Value = TypeVar("Value")


@dataclass(frozen=True)
class Seal:
    """What the files of one kind of value say of themselves, and what is said of a wrong one.

    Attributes:
        what: stands in the file; tells it from files of other kinds.
        holds: completes "does not hold ...".
        code: of every error about the file.
        make: remedy where it is another file.
        again: remedy where it was changed.
        version: of the format.
    """

    what: str
    holds: str
    code: str
    make: str
    again: str
    version: int = 1

    def save(self, path: str | Path, value: Any) -> None:
        """Writes a frozen dataclass; whole or not there."""
        body = {"format": self.version, "what": self.what, **to_json(value)}
        write_json(Path(path), {**body, "sha256": _digest(body)})

    def load(self, path: str | Path, kind: type[Value]) -> Value:
        """What `save` wrote, of the class `kind`.

        Raises:
            MammoError: `file_missing`, `json_broken`; `code` for another file and for one that was changed; those of
                the class, with the path.
        """
        stored = read_json(Path(path))
        if not isinstance(stored, dict) or stored.get("format") != self.version or stored.get("what") != self.what:
            raise MammoError(self.code, f"{path} does not hold {self.holds}", self.make)
        wording = Wording("the file", "key", f"{path}: ", *[self.code] * 3)
        try:
            found = from_json(kind, {name: value for name, value in stored.items() if name not in SAID}, "", wording)
        except MammoError as error:
            told = error.sentence if error.sentence.startswith(f"{path}: ") else f"{path}: {error.sentence}"
            raise MammoError(error.code, told, error.remedy) from None
        if stored.get("sha256") != _digest(stored):
            raise MammoError(self.code, f"{path} is not what was written", self.again)
        return found


def _digest(stored: Mapping[str, Any]) -> str:
    """SHA-256 of the file's keys and values."""
    return text_digest(json.dumps({key: value for key, value in stored.items() if key != "sha256"}, sort_keys=True))

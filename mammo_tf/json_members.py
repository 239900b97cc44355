"""JSON objects with lists that grow with an archive, read and written an element at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_path
from mammo_tf.json_text import raw_json

PIECE = 1 << 18  # characters that are read at once
BLANK = " \t\n\r"
GOES_ON = ("", *".eE")  # behind what was read of a number, where the rest of it is not read yet
TOGETHER = 64  # elements that are written at once


def write_members(path: str | Path, members: Iterable[tuple[str, Any]]) -> None:
    """Writes what `files.write_json` writes of a dictionary, member after member; whole or not there.

    Args:
        path: of the file.
        members: names and values in order, taken as they are written; an iterator becomes a list, and is not held.
    """
    encode = json.JSONEncoder(indent=2, allow_nan=False).encode
    with atomic_path(path) as beside, beside.open("w", encoding="ascii") as stream:
        before = "{"
        for name, value in members:
            stream.write(f"{before}\n  {json.dumps(name)}: ")
            if isinstance(value, Iterator):
                _write_list(stream, encode, value)
            else:
                stream.write(encode(value).replace("\n", "\n  "))
            before = ","
        stream.write("{}\n" if before == "{" else "\n}\n")


def _write_list(stream: TextIO, encode: Callable[[Any], str], elements: Iterator[Any]) -> None:
    before = "["
    while some := list(islice(elements, TOGETHER)):
        stream.write(before)
        stream.write(encode(some)[1:-2].replace("\n", "\n  "))  # without its brackets
        before = ","
    stream.write("[]" if before == "[" else "\n  ]")


def read_members(path: str | Path, without: Collection[str]) -> Any:
    """What `files.read_json` reads, without some members; all of the file is looked at.

    Args:
        path: of the file.
        without: names of members that are left out.

    Raises:
        MammoError: `file_missing`, or `json_broken`.
    """
    path = Path(path)
    if not path.is_file():
        raise MammoError("file_missing", f"{path} is not there")
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            text = _Text(stream)
            if text.following() != "{":
                return text.last()
            found: dict[str, Any] = {}
            for name in text.names():
                if name in without:
                    text.skip()
                else:
                    found[name] = text.value()
            text.end()
            return found
    except ValueError as error:
        raise MammoError("json_broken", f"{path} is not readable JSON: {error}") from error


def member(path: str | Path, name: str) -> Any:
    """A member of the object in a file; what lies behind it is not read.

    Raises:
        KeyError: where there is none.
        ValueError: of what is no JSON object.
    """
    with Path(path).open(encoding="utf-8", newline="") as stream:
        text = _Text(stream)
        for found in text.names():
            if found == name:
                return text.value()
            text.skip()
    raise KeyError(name)


def elements(path: str | Path, name: str) -> Iterator[Any]:
    """The elements of a list that is a member of the object in a file; what lies behind it is not read.

    Raises:
        KeyError: where there is none.
        ValueError: of what is no JSON object, and where the member is no list.
    """
    with Path(path).open(encoding="utf-8", newline="") as stream:
        text = _Text(stream)
        for found in text.names():
            if found == name:
                yield from text.elements()
                return
            text.skip()
    raise KeyError(name)


class _Text:
    """The text of a file from where it has been read to, a piece of it at a time."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.held, self.at, self.ended = stream, "", 0, False

    def _more(self) -> None:
        piece = self.stream.read(max(PIECE, len(self.held) - self.at))
        self.held, self.at, self.ended = self.held[self.at :] + piece, 0, not piece

    def following(self) -> str:
        """The next character that is not blank, which stays; "" at the end."""
        while True:
            while self.at < len(self.held) and self.held[self.at] in BLANK:
                self.at += 1
            if self.at < len(self.held) or self.ended:
                return self.held[self.at : self.at + 1]
            self._more()

    def _take(self, allowed: str) -> str:
        found = self.following()
        if not found or found not in allowed:
            raise ValueError(f"{found!r} where one of {allowed!r} is due")
        self.at += 1
        return found

    def value(self) -> Any:
        """The next value, whole."""
        self.following()
        while True:
            try:
                value, end = raw_json(self.held, self.at)
            except ValueError:
                if self.ended:
                    raise
            else:
                if self.ended or self.held[end : end + 1] not in GOES_ON:
                    self.at = end
                    return value
            self._more()

    def names(self) -> Iterator[str]:
        """The names of an object's members; whoever takes one reads its value before the next."""
        self._take("{")
        if self.following() == "}":
            self._take("}")
            return
        while True:
            name = self.value()
            if not isinstance(name, str):
                raise ValueError(f"{name!r} where a name is due")
            self._take(":")
            yield name
            if self._take(",}") == "}":
                return

    def elements(self) -> Iterator[Any]:
        """The elements of a list."""
        self._take("[")
        if self.following() == "]":
            self._take("]")
            return
        while True:
            yield self.value()
            if self._take(",]") == "]":
                return

    def skip(self) -> None:
        """Reads the next value, of a list an element at a time, and forgets it."""
        if self.following() == "[":
            for _ in self.elements():
                pass
        else:
            self.value()

    def last(self) -> Any:
        """The only value of a file."""
        value = self.value()
        self.end()
        return value

    def end(self) -> None:
        if self.following():
            raise ValueError("something stands behind the value")

"""What the commands share: loading TensorFlow, reading options, printing, and telling the front door of a command."""

from __future__ import annotations

import argparse
import importlib
import logging
import math
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mammo_tf.cli.interrupts import held
from mammo_tf.errors import MammoError
from mammo_tf.files import escaped

BAD_INPUT = 2
MOST, MOST_THINGS, MOST_PROCESSES = 2**63 - 1, 10_000_000, 1024  # what numbers of the command line may be


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> None:  # type: ignore[override]  # argparse says NoReturn: exit ends the program
        self.exit(BAD_INPUT, f"mammo-tf: {message}. See {self.prog} --help\n")


class Commands:
    """The commands of the front door, each with the parser of its options."""

    def __init__(self, top: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
        """Makes room for commands in the parser of the program; every one understands the options of `common`."""
        self._made = top.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
        self._common = common
        self.parsers: dict[str, argparse.ArgumentParser] = {}

    def add(
        self, name: str, about: str, function: Callable[[argparse.Namespace], Any], resumable: bool = False
    ) -> argparse.ArgumentParser:
        """A command; gives the parser to add its options to.

        Args:
            name: as it is typed.
            about: what it does, a line of the help.
            function: does it; what it returns is the exit code, None stands for 0.
            resumable: whether the same command, given again, continues where it was stopped.
        """
        made: argparse.ArgumentParser = self._made.add_parser(
            name, help=about, description=f"{about[:1].upper()}{about[1:]}.", parents=[self._common]
        )
        made.set_defaults(function=function, resumable=resumable)
        self.parsers[name] = made
        return made


@contextmanager
def tensorflow_loaded() -> Iterator[None]:
    """TensorFlow, and the rooms imported in the block, without the notices that it writes before it can be told not to.

    Ctrl-C waits until they are loaded.
    """
    with held():
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        sys.stderr.flush()
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            importlib.import_module("tensorflow")
            importlib.import_module("keras")
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def print_all(lines: Iterable[str]) -> None:
    for line in lines:
        print(printable(line))


def printable(line: str) -> str:
    r"""The line with control characters as `\x1b` and the bytes of a name that is no UTF-8 as `\xfc`: file names go
    to the screen, and a terminal obeys what it is shown."""
    hidden = (one for one in set(escaped(line)) if unicodedata.category(one) == "Cc" and one not in "\n\t")
    return escaped(line).translate({ord(one): one.encode("unicode_escape").decode() for one in hidden})


def counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def parsed_pairs(text: str, what: str) -> dict[str, str]:
    pairs = [part.split("=", 1) for part in text.split(",") if part]
    if any(len(pair) != 2 for pair in pairs):
        raise MammoError("option_wrong", f"{what} {text!r} is not NAME=VALUE,...")
    names = [name.strip() for name, _ in pairs]
    if len(set(names)) < len(names):
        raise MammoError("option_wrong", f"{what} {text!r} names one of its columns twice", "Leave one of them out")
    return {name.strip(): value.strip() for name, value in pairs}


def columns_of(texts: Sequence[str], files: int) -> list[dict[str, str]]:
    """The columns of every file: one `--columns` is of all of them, several are of one each, in order.

    Args:
        texts: what stands behind `--columns`, as often as it was given.
        files: how many there are.
    """
    if len(texts) > 1 and len(texts) != files:
        sentence = f"--columns is given {len(texts)} times for {files} {'file' if files == 1 else 'files'}"
        raise MammoError("option_wrong", sentence, "Give it once for all, or once for each file in their order")
    found = [parsed_pairs(text, "--columns") for text in texts] or [{}]
    return found if len(found) == files else found * files


def settings(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Name and value of every `--set KEY=VALUE`."""
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise MammoError("option_wrong", f"--set {text!r} is not KEY=VALUE")
        pairs.append((name.strip(), value.strip()))
    return pairs


def numbers(text: str, separator: str, count: int, what: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.lower().split(separator))
    except ValueError:
        values = ()
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise MammoError("option_wrong", f"{what} {text!r} is not {count} numbers joined by {separator!r}")
    return values


def whole_number(text: str) -> int:
    """A number of things, from 1 on and small enough to come to an end; argparse turns the error into one line."""
    return _whole(text, 1, MOST_THINGS)


def process_number(text: str) -> int:
    """A number of processes."""
    return _whole(text, 1, MOST_PROCESSES)


def version_number(text: str) -> int:
    """The number of a version, which may be a date or a time."""
    return _whole(text, 1, MOST)


def seed_number(text: str) -> int:
    """A whole number from 0 on."""
    return _whole(text, 0, MOST)


def _whole(text: str, low: int, high: int) -> int:
    short = text.isdecimal() and len(text.lstrip("0")) <= len(str(MOST))  # Python refuses very long ones by itself
    number = int(text) if short else -1
    if text.isdecimal() and not (short and number <= high):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is more than {high}")
    if number < low:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from {low} on")
    return number

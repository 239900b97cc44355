"""The front door: finds the command, runs it, and tells what is wrong in one line.

Each family of commands has a file next to this one, with its options next to its functions. Rooms are imported by the
command that needs them.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from itertools import pairwise
from typing import Any

import mammo_tf
from mammo_tf.cli import (
    adapting,
    data,
    experiments,
    feeding,
    installation,
    measuring,
    nodes,
    patients,
    searching,
    services,
    serving,
    training,
)  # fmt: skip
from mammo_tf.cli.interrupts import noticed
from mammo_tf.cli.shared import BAD_INPUT, Commands, Parser, printable
from mammo_tf.errors import MammoError, disk_answer, trace
from mammo_tf.fields import nearest

INTERRUPTED = 130
FAMILIES = (
    data,
    training,
    feeding,
    searching,
    serving,
    services,
    nodes,
    adapting,
    measuring,
    patients,
    experiments,
    installation,
)
LOG = logging.getLogger("mammo_tf")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(version())
        parser.exit()


def version() -> str:
    """`mammo-tf 0.2.0 (Keras 3.x, TensorFlow 2.x, Python 3.x)`; loads none of them."""
    found = []
    for name, package in (("Keras", "keras"), ("TensorFlow", "tensorflow")):
        try:
            found.append(f"{name} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return f"mammo-tf {mammo_tf.__version__} ({', '.join(found)}, Python {platform.python_version()})"


def _doors() -> tuple[argparse.ArgumentParser, Commands]:
    top = Parser(
        prog="mammo-tf",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=26),
        description="Take a mammography model to a new hospital, machine or modality, and prove that it works there.",
        epilog="A first look: mammo-tf demo -o demo. Options of a command: mammo-tf COMMAND --help.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="versions of mammo-tf, Keras, TensorFlow and Python")
    common = argparse.ArgumentParser(add_help=False)
    for one, default in ((top, False), (common, argparse.SUPPRESS)):  # both `mammo-tf -v run` and `mammo-tf run -v`
        told = "tell more on standard error, with a trace of errors"
        one.add_argument("-v", "--verbose", action="store_true", default=default, help=told)
    commands = Commands(top, common)
    for family in FAMILIES:
        family.add(commands)
    return top, commands


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; imports no heavy library."""
    return _doors()[0]


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command; an unknown command or option ends the program with the nearest one."""
    top, commands = _doors()
    place = next((number for number, word in enumerate(arguments) if not word.startswith("-")), None)
    if place is not None:
        name, words = arguments[place], arguments[place + 1 :]
        if name not in commands.parsers:
            _end(f"there is no command {name!r}", nearest(name, commands.parsers), "See mammo-tf --help")
        options = list(commands.parsers[name]._option_string_actions)
        known = [option for option in options if option.startswith("--")]
        for word in words[: words.index("--")] if "--" in words else words:
            option = word.partition("=")[0]
            if option.startswith("--") and not any(one.startswith(option) for one in known):
                _end(f"{name} has no option {option}", nearest(option, known), f"See mammo-tf {name} --help")
        for before, word in pairwise(arguments[place:]):
            option, sign, value = word.partition("=")
            if word == "" or (option in known and sign and not value):
                where = option or (before if before in options else "a word")
                _end(
                    f"{name}: {where} is empty",
                    "",
                    "Give a value, or leave it out: is a variable of the shell not set?",
                )
    return top.parse_args(arguments)


def _end(sentence: str, near: str, otherwise: str) -> None:
    print(f"mammo-tf: {sentence}. {near or otherwise}", file=sys.stderr)
    raise SystemExit(BAD_INPUT)


def _log_to_standard_error() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("mammo-tf: %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    return handler


def _refused(told: MammoError, error: Exception, verbose: bool) -> int:
    if verbose:
        print(printable(trace(error)), end="", file=sys.stderr)
    print(printable(f"mammo-tf: {told}"), file=sys.stderr)
    return BAD_INPUT


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code.

    Returns:
        0; 2 for bad input, with one line on standard error; 130 on Ctrl-C and SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the screen's encoding lacks are escaped
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parsed(words)
    options.words = words
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # else the first process has all of a GPU's memory
    handler = _log_to_standard_error() if options.verbose else None
    try:
        LOG.info(version())
        with noticed():
            code = options.function(options)
            sys.stdout.flush()
    except MammoError as error:
        return _refused(error, error, options.verbose)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        answer = disk_answer(error)
        if answer is None:
            raise
        return _refused(answer, error, options.verbose)
    except KeyboardInterrupt:
        again = "run the same command again to resume" if options.resumable else "the same command starts over"
        print(f"mammo-tf: stopped; {again}", file=sys.stderr)
        return INTERRUPTED
    finally:
        if handler is not None:
            LOG.removeHandler(handler)
            LOG.setLevel(logging.NOTSET)
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())

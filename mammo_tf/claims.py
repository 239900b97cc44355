"""Folders that are one request's, and that one process at a time works in."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from mammo_tf.errors import MammoError
from mammo_tf.files import disk_errors, read_json, remove_halves, write_json

LOCK = ".lock"
LOG = logging.getLogger("mammo_tf")
_held: set[Path] = set()  # locks of this process


class Kind(NamedTuple):
    """What a folder may hold, for `claim`.

    Attributes:
        file: name of the JSON file that says what was asked.
        noun: what a folder of something else lacks: "run", "records".
        other: what a folder of another request holds: "another run".
        code: of the error for it.
        remedy: for it.
        elsewhere: the remedy for a folder of something else.
        damaged: the remedy where the file is damaged and what lies beside it cannot be made anew.
        beside: names that may lie in the folder before.
    """

    file: str
    noun: str
    other: str
    code: str
    remedy: str = "Name another folder or remove this one"
    elsewhere: str = "Name another folder with -o"
    damaged: str = "Remove this folder, or name another with -o"
    beside: tuple[str, ...] = ()


@contextmanager
def claim(
    folder: str | Path,
    kind: Kind,
    asked: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
    make_room: Callable[[], bool] = lambda: False,
    begin_anew: Callable[[], bool] = lambda: False,
    read: Callable[[Path], Any] | None = None,
) -> Iterator[bool]:
    """Makes a folder that of one request, or finds that it is already, and locks it as long as the body runs.

    Args:
        folder: new, empty, or of the same request.
        kind: what it is to hold.
        asked: JSON values that decide what the folder will hold, written to `kind.file`.
        more: further values of that file, which are the body's to change.
        make_room: is called where another request is found; whether that one may be replaced, and if so its files are
            removed by then.
        begin_anew: is called where `kind.file` is lost or damaged and something else lies there; whether all of that
            can be made again by this request, and if so it is removed by then.
        read: reads `kind.file` as `read_json` does, which is the default, but for values that are not asked for.

    Yields:
        Whether the folder was claimed by the same request before.

    Raises:
        MammoError: `kind.code` naming what differs, `folder_exists` where the folder holds something else,
            `json_broken` where the file is damaged, `not_a_file`, `folder_busy`; those of `disk_errors`.
    """
    folder = Path(folder)
    path = folder / kind.file
    wanted = json.loads(json.dumps(asked))
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, folder):
        if path.exists() and not path.is_file():
            raise MammoError("not_a_file", f"{path} is there and is no file", kind.elsewhere)
        found = _said(path, wanted, read or read_json)
        again = found is not None and all(key in found and found[key] == wanted[key] for key in wanted)
        if found is None and any(_is_foreign(item.name, kind) for item in folder.iterdir()) and not begin_anew():
            if path.is_file():
                sentence = f"{path} is damaged, and {folder} holds more than can be made again"
                raise MammoError("json_broken", sentence, kind.damaged)
            raise MammoError("folder_exists", f"{folder} is not empty and holds no {kind.noun}", kind.elsewhere)
        if found is not None and not again and not make_room():
            differs = _difference(found, wanted).removeprefix("asked.").removeprefix("recipe.")
            told = f" ({differs} differs)" if differs else ""
            raise MammoError(kind.code, f"{folder} holds {kind.other}{told}", kind.remedy)
        LOG.info("%s: %s", folder, "continues with what is there" if again else "begins")
        remove_halves(folder)
        if not again:
            write_json(path, wanted | dict(more or {}))
        yield again


def _said(path: Path, wanted: Mapping[str, Any], read: Callable[[Path], Any]) -> dict[str, Any] | None:
    """What the file of a claim says; None where it is lost or damaged."""
    try:
        found = read(path)
    except MammoError:
        return None
    return found if isinstance(found, dict) and (found or not wanted) else None


def _is_foreign(name: str, kind: Kind) -> bool:
    """Whether a name in a folder that nobody claimed is of something else; a killed claim leaves half a file."""
    return name not in (LOCK, kind.file, *kind.beside) and not name.startswith(f".{Path(kind.file).stem}.")


def _difference(found: Any, wanted: Any) -> str:
    """The first place where two JSON values differ, as names joined by dots; "" where they differ as a whole."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key, value in wanted.items():
            if key not in found or found[key] != value:
                return f"{key}.{_difference(found.get(key), value)}".strip(".")
    return ""


@contextmanager
def locked(path: str | Path, what: str | Path) -> Iterator[None]:
    """Holds a lock file while the body runs, so that one process at a time writes `what`.

    The operating system releases the lock of a process that dies. Within a process the same lock may be taken again.
    Where the file system has no locks, or the file may not be written, the body runs without one.

    Args:
        path: the lock file; removed at the end.
        what: folder or file, for the message.

    Raises:
        MammoError: `folder_busy`, with the number of the process that holds it.
    """
    path = Path(path).resolve()
    descriptor = None if path in _held else _take_lock(path, what)
    if descriptor is None:
        yield
        return
    _held.add(path)
    try:
        yield
    finally:
        _held.discard(path)
        with suppress(OSError):
            path.unlink()  # while it is held: who waits for it finds out, and makes a new one
        os.close(descriptor)


def _take_lock(path: Path, what: str | Path) -> int | None:
    """The open, locked file; None where there are no locks."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # the body tells what the disk has against it
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
                return descriptor
        except BlockingIOError:
            process = os.read(descriptor, 20).decode(errors="replace")
            os.close(descriptor)
            by = f"another mammo-tf (process {process})" if process else "another mammo-tf"
            remedy = "Wait for it, or name another folder"
            raise MammoError("folder_busy", f"{what} is being written by {by}", remedy) from None
        except FileNotFoundError:
            pass  # removed between the two looks at it
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return None
        os.close(descriptor)  # its last holder removed it meanwhile

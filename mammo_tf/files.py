"""Files and folders that are whole or not there (written, then renamed), digests, JSON."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import struct
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.json_text import parsed_json

HALF = ".half-"
DAMAGED = (  # what readers of NumPy's and Keras' archives raise for files that lost their end or were changed
    OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, OverflowError, MemoryError,
    SyntaxError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
LOG = logging.getLogger("mammo_tf")
NAME_BYTES = 100  # of what a recipe calls something that becomes a folder: others stand around it


def is_folder_name(text: str) -> bool:
    """Whether a text can be the name of one folder, in the folder where it should be, and stand in a line."""
    plain = text.isprintable() and text == text.strip() and not set(text) & set("/\\")
    return plain and text not in ("", ".", "..") and len(text.encode()) <= NAME_BYTES


@contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Turns what a disk may answer while `path` is written into one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MammoError("disk_full", f"no space left to write {path}", "Free some space, run again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            sentence = f"{path} cannot be written: {error.strerror}"
            raise MammoError("read_only", sentence, "Choose another folder") from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            sentence = f"{path}: a file is where a folder should be"
            raise MammoError("not_a_folder", sentence, "Choose another folder") from error
        if error.errno in (errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP):
            raise MammoError("not_a_file", f"{path}: {error.strerror}", "Choose another name") from error
        if error.errno == errno.ENOENT and not Path(path).parent.exists():  # /proc, or a share that went away
            raise MammoError("read_only", f"the folder of {path} cannot be made", "Choose another folder") from error
        raise


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A path next to `path` to write a file to; renamed to `path` at the end, removed if the body fails.

    Folders on the way are made. The file is on disk before it gets its name, and the name when this returns.
    """
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _half(lambda: tempfile.mkstemp(path.suffix, f".{path.stem}{HALF}", path.parent)) as beside:
            yield beside
            sync(beside)
            beside.chmod(0o666 & ~_umask())
            beside.replace(path)
            sync(path.parent)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A folder next to `path` to fill; renamed to `path` at the end, removed if the body fails.

    All that it holds is on disk before it gets its name, and the name when this returns.

    Raises:
        MammoError: `folder_exists` if `path` is there already and is not an empty folder.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise MammoError("folder_exists", f"{path} exists already", "Name another folder or remove it")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _half(lambda: _folder_beside(path)) as beside:
            yield beside
            beside.chmod(0o777 & ~_umask())
            for inside in (beside, *beside.rglob("*")):
                sync(inside)
            beside.replace(path)
            sync(path.parent)


@contextmanager
def half_folder(path: str | Path) -> Iterator[Path]:
    """A folder next to `path`, made, and removed at the end; that of a killed process by `remove_halves`."""
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _half(lambda: _folder_beside(path)) as beside:
            yield beside


def _folder_beside(path: Path) -> tuple[int, str]:
    name = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}{HALF}")
    return os.open(name, os.O_RDONLY), name


@contextmanager
def _half(make: Callable[[], tuple[int, str]]) -> Iterator[Path]:
    """What `make` opens and names, removed at the end where it still has that name.

    It is locked as long as the body runs, so that who looks for what the dead have left lets it be.
    """
    while True:
        handle, name = make()
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if Path(name).exists():
            break
        os.close(handle)  # who looked for halves was quicker
    try:
        yield Path(name)
    finally:
        os.close(handle)
        _remove(Path(name))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_halves(folder: str | Path, of: str = "**/.*") -> None:
    """Removes what killed processes left of `atomic_path` and `atomic_folder`: below a folder, or in it `of` a name."""
    for path in list(Path(folder).glob(f"{of}{HALF}*")):
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        except OSError:  # its writer lives, or the file system has no locks
            continue
        finally:
            os.close(handle)


def sync(path: str | Path) -> None:
    """Waits until the disk has a file's content, or the names in a folder: a power cut loses neither.

    Raises:
        OSError: what the disk says; not that of a file system that knows no such thing for folders.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def digest(path: str | Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def text_digest(text: str) -> str:
    """SHA-256 of a text in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def escaped(text: str) -> str:
    r"""The text with bytes of file names that are no UTF-8 as `\xfc`, so that it can be written."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text; the file is whole or not there."""
    with atomic_path(path) as beside:
        beside.write_text(escaped(text), encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Writes JSON with an indent of two, infinities and not-a-number refused; whole or not there."""
    with atomic_path(path) as beside, beside.open("w", encoding="ascii") as stream:
        pieces = json.JSONEncoder(indent=2, allow_nan=False).iterencode(value)
        stream.writelines(pieces)  # joined, those of a long list would take more memory than the list
        stream.write("\n")


def read_json(path: str | Path) -> Any:
    """Reads JSON.

    Raises:
        MammoError: `file_missing`, or `json_broken` with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise MammoError("file_missing", f"{path} is not there")
    try:
        return parsed_json(path.read_bytes().decode())
    except ValueError as error:
        raise MammoError("json_broken", f"{path} is not readable JSON: {error}") from error


def source_revision() -> str:
    """The git revision that this package is run from, with a `+` behind it if files were changed; "" if unknown."""
    folder = Path(__file__).parents[1]
    if not (folder / ".git").exists():
        return ""
    git = ["git", "-C", str(folder)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")

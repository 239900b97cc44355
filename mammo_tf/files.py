"""Files that are whole or not there: write beside and rename, digests, JSON."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError


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
        if error.errno in (errno.EISDIR, errno.ENAMETOOLONG):
            raise MammoError("not_a_file", f"{path}: {error.strerror}", "Choose another name") from error
        raise


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write a file to; renamed to `path` at the end, removed if the body fails.

    Folders on the way are made. The file is on disk before it gets its name.
    """
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
        os.close(handle)
        beside = Path(name)
        try:
            yield beside
            with beside.open("rb+") as stream:
                os.fsync(stream.fileno())
            beside.chmod(0o666 & ~_umask())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A folder beside `path` to fill; renamed to `path` at the end, removed if the body fails.

    Raises:
        MammoError: `folder_exists` if `path` is there already and is not an empty folder.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise MammoError("folder_exists", f"{path} exists already", "Name another folder or remove it")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            yield beside
            beside.chmod(0o777 & ~_umask())
            beside.replace(path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


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


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text; the file is whole or not there."""
    with atomic_path(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Writes JSON with an indent of two, infinities and not-a-number refused; whole or not there."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Reads JSON.

    Raises:
        MammoError: `file_missing`, or `json_broken` with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise MammoError("file_missing", f"{path} is not there")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
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

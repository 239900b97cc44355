"""The files that records are made from, folders of slices among them, and whether they still are what they were."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.files import digest, text_digest
from mammo_tf.study import findings_from_json, resolve_path

Stamp = list[Any]  # bytes, time of change in ns, SHA-256; JSON keeps it
Stamps = dict[str, Stamp | None]  # by path relative to the data root; None for a file that is not there


def stamps_of(row: Mapping[str, Any], root: str | Path) -> Stamps:
    """Stamps of the files of a row: its picture, and mask pictures of its findings; reads them once."""
    return {place: _stamp(place, root) for place in _places(row)}


def changed(stamps: Mapping[str, Stamp | None], root: str | Path) -> list[str]:
    """Which files are no longer what their stamps say.

    A file of the same length and time of change is taken for the same; at another time its content decides.
    """
    return [place for place, stamp in stamps.items() if _has_changed(place, stamp, root)]


def _places(row: Mapping[str, Any]) -> list[str]:
    try:
        masks = [finding.mask for finding in findings_from_json(str(row.get("findings") or ""))]
    except MammoError:  # told where the row is prepared
        masks = []
    return list(dict.fromkeys([str(row["path"]), *(mask for mask in masks if mask is not None)]))


def _stamp(place: str, root: str | Path) -> Stamp | None:
    path = _file(place, root)
    facts = _size_and_time(path)
    if path is None or facts is None:
        return None
    try:
        return [*facts, _digest(path, *facts)]
    except OSError:
        return None


@lru_cache(maxsize=4)
def _digest(path: Path, size: int, changed_ns: int) -> str:
    """SHA-256 of a file, or of the names and contents of a folder; once for all pictures that a volume becomes."""
    if path.is_file():
        return digest(path)
    return text_digest("\n".join(f"{digest(one)} {one.name}" for one in _slices(path)))


def _slices(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))


def _has_changed(place: str, stamp: Stamp | None, root: str | Path) -> bool:
    facts = _size_and_time(_file(place, root))
    if stamp is None or facts is None or facts[0] != stamp[0]:
        return stamp is not None or facts is not None
    return facts[1] != stamp[1] and _stamp(place, root) != [*facts, stamp[2]]


def _file(place: str, root: str | Path) -> Path | None:
    try:
        path = resolve_path(place, root)
        return path if path.is_file() or path.is_dir() else None
    except (OSError, ValueError, MammoError):
        return None


def _size_and_time(path: Path | None) -> tuple[int, int] | None:
    """Bytes and time of change in ns; of a folder the sum and the latest of its files and itself."""
    try:
        if path is None:
            return None
        facts = [one.stat() for one in (_slices(path) if path.is_dir() else [path])]
        folder = [path.stat().st_mtime_ns] if path.is_dir() else []
        return sum(one.st_size for one in facts), max([*folder, *(one.st_mtime_ns for one in facts)])
    except OSError:
        return None

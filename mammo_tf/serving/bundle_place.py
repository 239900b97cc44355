"""Where bundles lie: `root/name/<version>/`, each version written beside the others and renamed."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.files import disk_errors, text_digest

FORMAT = 2
EXTRA = Path("assets.extra")  # next to the graph; TensorFlow Serving looks at its warm-up requests alone
DESCRIPTION = EXTRA / "bundle.json"
METADATA = "metadata"  # the signature that tells the card
SEAL = "sha256"
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")


class Place:
    """Where a version is written; `folder` is next to the others first, and the version's own in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


@contextmanager
def next_version(parent: Path) -> Iterator[Place]:
    """A hidden folder to fill, renamed to the next free version; removed if the body fails.

    Args:
        parent: folder of the name; made where it is not there.

    Raises:
        MammoError: `disk_full`, `read_only`.
    """
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=parent, prefix=".exporting."))
        try:
            place = Place(beside)
            yield place
            beside.chmod(parent.stat().st_mode & 0o777)
            number = max(versions(parent), default=0) + 1
            while True:
                place.folder = parent / str(number)
                try:
                    beside.rename(place.folder)
                    return
                except OSError as error:  # another export took the number in between
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                        raise
                    number += 1
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def versions(parent: Path) -> list[int]:
    """The versions of a bundle, in order."""
    return sorted(int(path.name) for path in parent.iterdir() if path.name.isascii() and path.name.isdigit())


def sealed(description: Mapping[str, Any]) -> dict[str, Any]:
    """A description with the digest of what it says, since `bundle.json` cannot hold the digest of itself."""
    return {**description, SEAL: _digest(description)}


def is_sealed(description: Mapping[str, Any]) -> bool:
    """Whether a description says what was written; one without the signature `metadata` had none, and is believed."""
    told = description.get(SEAL)
    if told is None:
        return METADATA not in description.get("signatures", {})
    return bool(told == _digest({key: value for key, value in description.items() if key != SEAL}))


def _digest(description: Mapping[str, Any]) -> str:
    return text_digest(json.dumps(description, sort_keys=True))


def check_name(name: str) -> None:
    """Refuses what is not a name for a model.

    Raises:
        MammoError: `name_wrong`.
    """
    if not name or set(name) - LETTERS or name[0] == ".":
        raise MammoError("name_wrong", f"{name!r} is not a name for a model", "Take letters, digits, _ and -")

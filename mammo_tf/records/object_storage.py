"""Records and manifests in object storage (`s3://...`): sent to it, and fetched from it into a folder of this machine.

Records are read by offset, and folders are claimed by locks, so both stay local; what has an address is copied, whole
or not at all: `index.json` goes last in either direction, and what was stopped goes on. Anything that fsspec has a
protocol for may be an address.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mammo_tf.claims import LOCK, locked
from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_path, digest, disk_errors, text_digest
from mammo_tf.json_members import elements
from mammo_tf.progress import track
from mammo_tf.records.index import INDEX, index_head

REJECTS = "rejects.csv"
PIECE = 1 << 20  # bytes
AGAIN = "Give the same command again: what has arrived is kept"


def is_address(place: str | Path) -> bool:
    """Whether a place is one of object storage, not of this machine."""
    return "://" in str(place)


def place_of(address: str) -> Path:
    """The folder of this machine that belongs to an address: in `MAMMO_TF_CACHE`, by default `~/.cache/mammo_tf`."""
    cache = os.environ.get("MAMMO_TF_CACHE") or Path.home() / ".cache" / "mammo_tf"
    return Path(cache) / text_digest(address.rstrip("/"))[:24]


def local(place: str) -> str:
    """Records or a manifest as a path of this machine; what has an address is fetched.

    Raises:
        MammoError: those of `fetched` and `fetched_file`.
    """
    if not is_address(place):
        return place
    return str(fetched_file(place) if place.endswith(".csv") else fetched(place))


def fetched_file(address: str) -> Path:
    """A file of object storage, copied to this machine each time, as it may have changed.

    Raises:
        MammoError: `extra_missing`, `file_missing`, `storage_failed`, `disk_full`, `read_only`.
    """
    system, place = _system(address)
    path = place_of(address) / place.rpartition("/")[2]
    with _told(address):
        if not system.isfile(place):
            raise MammoError("file_missing", f"{address} is not there")
        _fetch(system, place, path)
    return path


def fetched(address: str) -> Path:
    """A folder of this machine with the records at an address, each shard checked by its SHA-256 when it arrives.

    Args:
        address: of records that `send` left.

    Raises:
        MammoError: `extra_missing`, `records_missing`, `record_damaged` where a shard is not what the index says,
            `folder_busy` while another process fetches the same, `storage_failed`, `disk_full`, `read_only`.
    """
    system, place = _system(address)
    with _told(address):
        if not system.isfile(f"{place}/{INDEX}"):
            raise MammoError(
                "records_missing", f"{address} holds no prepared images", "Send them by mammo-tf prepare -o"
            )
        content = system.cat_file(f"{place}/{INDEX}")
    own = place_of(address)
    if _holds(own, content):  # they were prepared here
        return own
    folder = own.with_name(f"{own.name}-{hashlib.sha256(content).hexdigest()[:24]}")
    if _holds(folder, content):
        return folder
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, folder), _told(address):
        for shard in track(_shards(content, address), "fetching", unit="shard"):
            path = folder / shard["name"]
            if path.is_file() and digest(path) == shard["sha256"]:
                continue
            _fetch(system, f"{place}/{shard['name']}", path, shard["sha256"])
        if system.isfile(f"{place}/{REJECTS}"):
            _fetch(system, f"{place}/{REJECTS}", folder / REJECTS)
        with atomic_path(folder / INDEX) as beside:
            beside.write_bytes(content)
    return folder


def send(folder: str | Path, address: str) -> None:
    """Copies finished records to an address; `index.json` last, so that they are whole or not there.

    Shards that are there already, from a copy that was stopped, are read back and sent again where they differ.

    Args:
        folder: that `prepare` has finished.
        address: where nothing lies, or a part of the same records.

    Raises:
        MammoError: `extra_missing`, `other_records` if other records lie there, `record_damaged` where a shard of the
            folder is not what its index says, `storage_failed`.
    """
    folder = Path(folder)
    system, place = _system(address)
    ours = index_head(folder / INDEX)["digest"]
    with _told(address):
        if system.isfile(f"{place}/{INDEX}"):
            there = json.loads(system.cat_file(f"{place}/{INDEX}"))
            if not isinstance(there, dict) or there.get("digest") != ours:
                raise MammoError("other_records", f"{address} holds other records", "Name another address")
        for shard in track(elements(folder / INDEX, "shards"), "sending", unit="shard"):
            path, target = folder / shard["name"], f"{place}/{shard['name']}"
            if digest(path) != shard["sha256"]:
                raise MammoError("record_damaged", f"{path} is not what was written", "Run the same prepare again")
            if not (system.isfile(target) and _digest_there(system, target, shard["bytes"]) == shard["sha256"]):
                system.put_file(str(path), target)
        for name in (REJECTS, INDEX):
            system.put_file(str(folder / name), f"{place}/{name}")


def _holds(folder: Path, content: bytes) -> bool:
    path = folder / INDEX
    return path.is_file() and path.read_bytes() == content


def _shards(content: bytes, address: str) -> list[dict[str, Any]]:
    try:
        shards = [{key: shard[key] for key in ("name", "sha256")} for shard in json.loads(content)["shards"]]
    except (ValueError, KeyError, TypeError) as error:
        raise MammoError("record_damaged", f"the index at {address} is not one of records") from error
    if any(not isinstance(one["name"], str) or Path(one["name"]).name != one["name"] for one in shards):
        raise MammoError("record_damaged", f"the index at {address} names files elsewhere")
    return shards


def _fetch(system: Any, place: str, path: Path, sha256: str | None = None) -> None:
    with atomic_path(path) as beside:
        with system.open(place, "rb") as source, beside.open("wb") as target:
            shutil.copyfileobj(source, target, PIECE)
        if sha256 is not None and digest(beside) != sha256:
            raise MammoError("record_damaged", f"{place} is not what was written", "Send the records again")


def _digest_there(system: Any, place: str, size: int) -> str:
    if system.size(place) != size:
        return ""
    with system.open(place, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _system(address: str) -> tuple[Any, str]:
    """What fsspec has for a protocol, and the place in it."""
    try:
        from fsspec.core import url_to_fs

        system, place = url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        sentence = f"what reads {address.partition('://')[0]}://... is not installed ({error})"
        raise MammoError("extra_missing", sentence, "pip install 'mammo_tf[remote]'") from error
    except ValueError as error:
        raise MammoError("address_wrong", f"{address}: {error}") from error
    return system, place.rstrip("/")


@contextmanager
def _told(address: str) -> Iterator[None]:
    """Whatever a store or the way to it says, in one line."""
    try:
        yield
    except MammoError:
        raise
    except Exception as error:  # each store has errors of its own
        words = " ".join(f"{error}".split()) or type(error).__name__
        raise MammoError("storage_failed", f"{address}: {words}", AGAIN) from error

"""Shards while records are made: which are whole, and which have to be made (again)."""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.files import atomic_path, digest, read_json, write_json
from mammo_tf.json_members import elements, member
from mammo_tf.progress import track
from mammo_tf.records.example import PreparedImage, encode
from mammo_tf.records.index import INDEX, RECORD_FOOTER_BYTES, RECORD_HEADER_BYTES, ListedDigest
from mammo_tf.records.sources import Stamps, changed
from mammo_tf.records.tiles import cut_tiles
from mammo_tf.study import Reject

Part = dict[str, Any]  # what `<shard>.json` says
KEYS = {"bytes": int, "sha256": str, "examples": list, "rejects": list, "files": dict}  # of a part

EXAMPLE = {"location": list, "mean": float, "picture": str}  # of an example
REJECT = (3, 4)  # columns of a reject, in lists of earlier versions and now


class Made(NamedTuple):
    """What became of a row: its prepared image or why there is none, and the stamps of its files before."""

    outcome: PreparedImage | Reject
    files: Stamps


def is_finished(folder: Path) -> bool:
    """Whether an index says that the records are finished."""
    try:
        return bool(member(folder / INDEX, "complete"))
    except (KeyError, ValueError):
        return False


def whole_shards(folder: Path, names: Sequence[str], root: str | Path) -> set[str]:
    """The shards of the same request that need no work: bytes as they were written, from files as they are.

    A shard that is lost, cut or changed is left out, and so is one with a reject whose file has changed since. While
    records are made, so is one with an image whose file has changed. One part is held at a time.

    Args:
        folder: of the records, claimed.
        names: of all its shards.
        root: data root.

    Raises:
        MammoError: `files_changed` where finished records hold an image whose file has changed, or is gone.
    """
    if not is_finished(folder):
        parts: Iterator[tuple[str, Part]] = parts_beside(folder, names)
    elif _is_sound(folder, names, root):
        parts = zip(names, elements(folder / INDEX, "shards"), strict=True)
    else:
        return set()
    checked = track(parts, "verifying", len(names), unit="shard")
    return {name for name, part in checked if _is_whole(folder / f"{name}.tfrecord", part, root)}


def _is_whole(path: Path, part: Part, root: str | Path) -> bool:
    if not path.is_file() or path.stat().st_size != part["bytes"] or digest(path) != part["sha256"]:
        return False
    return not changed(part["files"], root)


def _is_sound(folder: Path, names: Sequence[str], root: str | Path) -> bool:
    """Whether the index of finished records lists what was written; errors as `whole_shards`."""
    listed, differs = ListedDigest(), False
    try:
        for number, (_, part) in enumerate(listed_parts(folder, names)):
            if not _is_part(part):
                return False
            for example in part["examples"]:
                listed.add({**example, "location": [number, *example["location"]]})
            differs = differs or bool(changed(_used(part), root))
        if member(folder / INDEX, "listed") != listed.hexdigest():
            return False
    except (KeyError, TypeError, ValueError, IndexError):
        return False
    if differs:
        _refuse_changed(folder, names, root)
    return True


def _used(part: Part) -> Stamps:
    """The stamps of all files but the refused ones."""
    refused = {reject[0] for reject in part["rejects"]} - {example["row"]["path"] for example in part["examples"]}
    return {place: stamp for place, stamp in part["files"].items() if place not in refused}


def _refuse_changed(folder: Path, names: Sequence[str], root: str | Path) -> None:
    """Counts the files that differ; of a file of several shards the last counts."""
    used: Stamps = {}
    for _, part in listed_parts(folder, names):
        used |= _used(part)
    differ = changed(used, root)
    if differ:
        sentence = f"{len(differ)} of {len(used)} files are not those that {folder} was prepared from"
        remedy = "Put them back, name another folder, or remove this one"
        raise MammoError("files_changed", f"{sentence}, first {differ[0]}", remedy)


def listed_parts(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, Part]]:
    """What each shard's JSON file said, from the index of finished records, with the shard's name, one at a time.

    Raises:
        KeyError, TypeError, ValueError, IndexError: where the index is damaged.
    """
    examples = elements(folder / INDEX, "examples")
    following = next(examples, None)
    for number, (name, shard) in enumerate(zip(names, elements(folder / INDEX, "shards"), strict=True)):
        part: Part = {**{key: shard[key] for key in KEYS if key != "examples"}, "examples": []}
        while following is not None and following["location"][0] == number:
            part["examples"].append({**following, "location": following["location"][1:]})
            following = next(examples, None)
        yield name, part
    if following is not None:
        raise ValueError("an example of no shard")


def parts_beside(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, Part]]:
    """What the shards' JSON files say, with the shard's name, one at a time.

    One that is not there yet, or damaged, is left out, and its shard made again.
    """
    for name in names:
        with suppress(MammoError):
            part = read_json(folder / f"{name}.json")
            if _is_part(part):
                yield name, part


def _is_part(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and all(isinstance(part.get(key), kind) for key, kind in KEYS.items())
        and all(map(_is_example, part["examples"]))
        and all(map(_is_reject, part["rejects"]))
    )


def _is_example(example: Any) -> bool:
    if not isinstance(example, dict) or not isinstance(example.get("row"), dict):
        return False
    told = all(isinstance(example.get(key), kind) for key, kind in EXAMPLE.items())
    told &= isinstance(example.get("warnings", []), list | tuple) and isinstance(example.get("tiles", []), list)
    return told and isinstance(example["row"].get("path"), str)


def _is_reject(reject: Any) -> bool:
    return isinstance(reject, list) and len(reject) in REJECT and all(isinstance(cell, str) for cell in reject)


def write_shard(path: Path, images: Iterable[Made], tile: int | None = None) -> Part:
    """Writes `<path>.tfrecord`, then `<path>.json` that says the shard is done and is gone once the index is whole.

    Args:
        path: of the shard, without its ending.
        images: what is written, in order.
        tile: rows and columns of a tile, where pictures are stored in tiles.
    """
    import tensorflow as tf

    examples: list[dict[str, Any]] = []
    rejects: list[list[str]] = []
    files: Stamps = {}
    offset = 0

    def put(payload: bytes) -> list[int]:
        nonlocal offset
        writer.write(payload)
        place = [offset + RECORD_HEADER_BYTES, len(payload), zlib.crc32(payload)]
        offset += RECORD_HEADER_BYTES + len(payload) + RECORD_FOOTER_BYTES
        return place

    with atomic_path(path.with_suffix(".tfrecord")) as beside:
        try:
            with tf.io.TFRecordWriter(str(beside)) as writer:
                for image, stamps in images:
                    files |= stamps
                    if isinstance(image, Reject):
                        rejects.append(list(image))
                        continue
                    example = _example(image, put(encode(image, tiled=tile is not None)))
                    if tile is not None:
                        example["tiles"] = [put(part) for part in cut_tiles(image.picture, tile)]
                    examples.append(example)
        except tf.errors.ResourceExhaustedError as error:
            raise MammoError("disk_full", f"no space left to write {path}", "Free some space, run again") from error
        sha256 = digest(beside)
    part = {"sha256": sha256, "bytes": offset, "examples": examples, "rejects": rejects, "files": files}
    write_json(path.with_suffix(".json"), part)
    return part


def _example(image: PreparedImage, place: list[int]) -> dict[str, Any]:
    """What the index says of an image; `picture` tells equal pictures, "" for one that is all of one grey."""
    plain = image.picture.min() == image.picture.max()
    return {
        "location": place,
        "mean": float(np.mean(image.picture, dtype=np.float64)) / 65535,
        "picture": "" if plain else hashlib.sha256(np.ascontiguousarray(image.picture, "<u2").data).hexdigest()[:32],
        "row": {sys.intern(column): value for column, value in image.row.items()},  # else each has names of its own
        **({"fingerprint": image.fingerprint} if image.fingerprint else {}),
        **({"warnings": image.warnings} if image.warnings else {}),
    }

"""A manifest to records: sharded, checked, resumable, written by several processes."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.files import Kind, atomic_path, claim, digest, read_json, text_digest, write_json
from mammo_tf.guard import each_file
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.reading import doubts
from mammo_tf.records.example import PreparedImage, encode
from mammo_tf.records.index import FORMAT, INDEX
from mammo_tf.records.prepare_image import prepare_image
from mammo_tf.study import Reject, resolve_path, write_rejects

EXAMPLES_PER_SHARD = 64
RECORDS = Kind(INDEX, "records", "images prepared from another manifest or in another way", "other_records")
RECORD_HEADER_BYTES, RECORD_FOOTER_BYTES = 12, 4  # TFRecord: length and its checksum; checksum of the payload


class Prepared(NamedTuple):
    """What `prepare` left: how many images, which files could not be used, and lines about doubtful grey scales."""

    images: int
    rejects: tuple[Reject, ...]
    doubts: tuple[str, ...]


def prepare(
    manifest: pd.DataFrame,
    root: str | Path,
    folder: str | Path,
    preprocessing: Preprocessing,
    workers: int = 1,
    examples_per_shard: int = EXAMPLES_PER_SHARD,
) -> Prepared:
    """Reads every image of the manifest, runs the geometry half and writes records, `index.json` and `rejects.csv`.

    A shard appears by rename when it is whole. Run again after a kill it makes the shards that are missing, and ends
    with the bytes of a run that was never stopped.

    Args:
        manifest: rows as `read_manifest` gives them.
        root: data root of the manifest's paths.
        folder: where the records go; made, or left by the same request earlier.
        preprocessing: must end in one size for every picture.
        workers: processes that read and resize, see `guard`.
        examples_per_shard: images in a shard.

    Raises:
        MammoError: `size_open` if the pictures would differ in size, `other_records` if the folder answers another
            request, `folder_busy` while another process prepares into it, `nothing_usable` if no image can be used,
            `disk_full`, `read_only`.
    """
    folder = Path(folder)
    if preprocessing.size is None:
        raise MammoError("size_open", "the preprocessing leaves pictures of different sizes", "End it in resize or fit")
    rows = [{str(key): value for key, value in row.items()} for row in manifest.to_dict("records")]
    asked = {
        "preprocessing": preprocessing.to_json(),
        "examples_per_shard": examples_per_shard,
        "manifest": text_digest(manifest.to_csv(index=False)),
    }
    unfinished = {"complete": False}
    with claim(folder, RECORDS, {"format": FORMAT, "asked": asked}, unfinished) as again:
        complete = again and bool(read_json(folder / INDEX).get("complete"))
        _tidy(folder, complete)
        if complete:
            before = _already_there(folder)
            if not _came_back(before.rejects, root):
                return before
            write_json(folder / INDEX, {"format": FORMAT, "asked": asked} | unfinished)
        shards = [rows[start : start + examples_per_shard] for start in range(0, len(rows), examples_per_shard)]
        names = [f"part-{number:05d}-of-{len(shards):05d}" for number in range(len(shards))]
        unwritten = [number for number, name in enumerate(names) if not _written(folder / f"{name}.json", root)]
        missing = [row for number in unwritten for row in shards[number]]
        with closing(_prepared_images(missing, root, preprocessing, workers)) as images:
            for number in unwritten:
                _write_shard(folder / names[number], islice(images, len(shards[number])))
        return _finish(folder, names, asked, preprocessing.size)


def _tidy(folder: Path, complete: bool) -> None:
    """Removes halves of shards that a kill left, and of finished records what told which shards are done."""
    for left_behind in [*folder.glob(".part-*"), *(folder.glob("part-*.json") if complete else ())]:
        left_behind.unlink()


def _written(part: Path, root: str | Path) -> bool:
    """Whether a shard is whole, and none of its rejected files has come back since."""
    return part.is_file() and not _came_back([Reject(*reject) for reject in read_json(part)["rejects"]], root)


def _came_back(rejects: Iterable[Reject], root: str | Path) -> bool:
    return any(reject.code == "file_missing" and resolve_path(reject.path, root).is_file() for reject in rejects)


def _already_there(folder: Path) -> Prepared:
    with (folder / "rejects.csv").open(encoding="utf-8", newline="") as stream:
        rejects = tuple(Reject(**row) for row in csv.DictReader(stream))
    return _prepared(read_json(folder / INDEX)["examples"], rejects)


def _prepared(examples: Sequence[Mapping[str, Any]], rejects: tuple[Reject, ...]) -> Prepared:
    return Prepared(len(examples), rejects, tuple(doubts(example.get("warnings", ()) for example in examples)))


def _prepared_images(
    rows: list[dict[str, Any]], root: str | Path, preprocessing: Preprocessing, workers: int
) -> Generator[PreparedImage | Reject]:
    """Prepared images in the order of the rows, from worker processes; a file that cannot be used is a reject."""
    work = partial(prepare_image, root=str(root), preprocessing=preprocessing)
    with closing(each_file(work, rows, workers, "preparing")) as outcomes:
        for row, found in outcomes:
            place = str(row["path"])
            path = resolve_path(place, root)
            yield Reject.of(place, found, path) if isinstance(found, MammoError) else found


def _write_shard(path: Path, images: Iterable[PreparedImage | Reject]) -> None:
    """Writes `<path>.tfrecord`, then `<path>.json` that says the shard is done and is gone once the index is whole."""
    import tensorflow as tf

    examples, rejects, offset = [], [], 0
    with atomic_path(path.with_suffix(".tfrecord")) as beside:
        try:
            with tf.io.TFRecordWriter(str(beside)) as writer:
                for image in images:
                    if isinstance(image, Reject):
                        rejects.append(list(image))
                        continue
                    payload = encode(image)
                    writer.write(payload)
                    location = [offset + RECORD_HEADER_BYTES, len(payload), zlib.crc32(payload)]
                    mean = float(np.mean(image.picture, dtype=np.float64)) / 65535
                    told = {"warnings": image.warnings} if image.warnings else {}
                    examples.append({"location": location, "mean": mean, "row": image.row} | told)
                    offset += RECORD_HEADER_BYTES + len(payload) + RECORD_FOOTER_BYTES
        except tf.errors.ResourceExhaustedError as error:
            raise MammoError("disk_full", f"no space left to write {path}", "Free some space, run again") from error
        sha256 = digest(beside)
    part = {"sha256": sha256, "bytes": offset, "examples": examples, "rejects": rejects}
    write_json(path.with_suffix(".json"), part)


def _finish(folder: Path, names: list[str], asked: Mapping[str, Any], size: tuple[int, int]) -> Prepared:
    parts = [read_json(folder / f"{name}.json") for name in names]
    rejects = [Reject(*reject) for part in parts for reject in part["rejects"]]
    examples = [
        {**example, "location": [number, *example["location"]]}
        for number, part in enumerate(parts)
        for example in part["examples"]
    ]
    write_rejects(rejects, folder / "rejects.csv")
    if not examples:
        first = f"; the first: {rejects[0].sentence}" if rejects else ""
        raise MammoError("nothing_usable", f"none of {len(rejects)} images can be used{first}", "See rejects.csv")
    shards = [
        {
            "name": f"{name}.tfrecord",
            "examples": len(part["examples"]),
            "bytes": part["bytes"],
            "sha256": part["sha256"],
        }
        for name, part in zip(names, parts, strict=True)
    ]
    index = {
        "format": FORMAT, "complete": True, "asked": asked, "size": list(size), "shards": shards,
        "digest": text_digest(json.dumps([asked, shards], sort_keys=True)), "examples": examples,
    }  # fmt: skip
    write_json(folder / INDEX, index)
    for name in names:
        (folder / f"{name}.json").unlink()
    return _prepared(examples, tuple(rejects))

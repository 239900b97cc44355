"""A manifest to records: sharded, checked, resumable, written by several processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.fields import to_json
from mammo_tf.files import LOCK, Kind, claim, read_json, text_digest, write_json
from mammo_tf.guard import each_file
from mammo_tf.imaging.near_copies import copy_lines
from mammo_tf.imaging.off_the_picture import question_lines
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.reading import doubts, images_of
from mammo_tf.records.doubles import same_pictures
from mammo_tf.records.example import PreparedImage
from mammo_tf.records.index import FORMAT, INDEX, TILED, listed_digest
from mammo_tf.records.ledger import LEDGER
from mammo_tf.records.parts import Made, Part, whole_parts, write_shard
from mammo_tf.records.prepare_image import prepare_image
from mammo_tf.records.sources import stamps_of
from mammo_tf.records.tiles import SMALLEST_TILE
from mammo_tf.study import Projection, Reject, check_leakage, rejects_text, resolve_path, write_rejects

EXAMPLES_PER_SHARD = 64
REJECTS = "rejects.csv"
DIGESTED = ("bytes", "sha256")
PARTS = ("part-*-of-*.tfrecord", "part-*-of-*.json", ".part-*")  # shards, what tells that they are done, and halves
TOLD = (REJECTS, LEDGER, "part-*-of-*.json", INDEX)  # one of them lies by every shard of ours
RECORDS = Kind(
    INDEX, "records", "images prepared from another manifest or in another way", "other_records",
    damaged=f"Remove this folder (keep its {LEDGER}), or name another with -o",
)  # fmt: skip


class Work(NamedTuple):
    """What all shards of a request are made from.

    Attributes:
        folder: of the records.
        root: data root.
        preprocessing: its projection and its geometry half.
        workers: processes that read and resize.
        tile: rows and columns of a tile, where pictures are stored in tiles.
    """

    folder: Path
    root: str
    preprocessing: Preprocessing
    workers: int
    tile: int | None


MakeShards = Callable[[Mapping[str, list[dict[str, Any]]], Work], dict[str, Part]]  # of shards' rows, by their names


class Prepared(NamedTuple):
    """What `prepare` left: how many images, which files could not be used, and what is doubtful, a line each."""

    images: int
    rejects: tuple[Reject, ...]
    remarks: tuple[str, ...] = ()


def prepare(
    manifest: pd.DataFrame,
    root: str | Path,
    folder: str | Path,
    preprocessing: Preprocessing,
    workers: int = 1,
    examples_per_shard: int = EXAMPLES_PER_SHARD,
    tile: int | None = None,
    make: MakeShards | None = None,
) -> Prepared:
    """Reads every image of the manifest, runs the geometry half and writes records, `index.json` and `rejects.csv`.

    A shard appears by rename when it is whole. Run again after a kill it makes the shards that are missing, and ends
    with the bytes of a run that was never stopped. Run again on finished records it makes shards that are lost or
    damaged, and those with a refused file that has changed since. Where the index is lost or damaged it makes all
    shards again; the ledger of the test split stays.

    Args:
        manifest: rows as `read_manifest` gives them.
        root: data root of the manifest's paths. It, and what its files hold, belong to the request.
        folder: where the records go; made, or left by the same request earlier.
        preprocessing: must end in one size for every picture. Its projection says which pictures a volume becomes:
            several have the `image_id` of their row, and `frame` tells them apart.
        workers: processes that read and resize, see `guard`.
        examples_per_shard: images in a shard.
        tile: store pictures in tiles of so many rows and columns, so that a patch of a large one is quick to read;
            None stores each whole.
        make: who makes the shards that are missing, by default processes of this machine; what they hold is the same.

    Raises:
        MammoError: `tile_wrong` for a tile below 16 pixels; `size_open` if the pictures would differ in size,
            `folder_missing` for the root, `other_records` if the folder answers another request, `files_changed` if
            finished records hold images whose files have changed since, `folder_busy` while another process prepares
            into it, `nothing_usable` if no image can be used, `disk_full`, `read_only`; those of `check_leakage`.
    """
    folder = Path(folder)
    if preprocessing.size is None:
        raise MammoError("size_open", "the preprocessing leaves pictures of different sizes", "End it in resize or fit")
    if tile is not None and tile < SMALLEST_TILE:
        raise MammoError("tile_wrong", f"tiles of {tile} pixels are too small", f"Give {SMALLEST_TILE} or more")
    if not Path(root).is_dir():
        raise MammoError("folder_missing", f"the data root {root} is not there", "Name it with --root")
    check_leakage(manifest)
    named = [{str(key): value for key, value in row.items()} for row in manifest.to_dict("records")]
    rows = _rows_of_images(named, root, preprocessing, workers)
    asked = {
        "preprocessing": preprocessing.to_json(),
        "examples_per_shard": examples_per_shard,
        "manifest": text_digest(manifest.to_csv(index=False)),
        "root": str(Path(root).resolve()),
        **({} if tile is None else {"tile": tile}),
    }
    form = FORMAT if tile is None else TILED
    shards = [rows[start : start + examples_per_shard] for start in range(0, len(rows), examples_per_shard)]
    names = [f"part-{number:05d}-of-{len(shards):05d}" for number in range(len(shards))]
    unfinished = {"complete": False}
    wanted = {"format": form, "asked": asked}
    with claim(folder, RECORDS, wanted, unfinished, begin_anew=partial(_without_parts, folder)) as again:
        complete = again and bool(read_json(folder / INDEX).get("complete"))
        _tidy(folder, complete)
        parts = whole_parts(folder, names, root) if again else {}
        if not (complete and len(parts) == len(names)):
            if complete:
                for name, part in parts.items():
                    write_json(folder / f"{name}.json", part)
                write_json(folder / INDEX, wanted | unfinished)
            missing = {name: shard for name, shard in zip(names, shards, strict=True) if name not in parts}
            parts |= (make or _made_here)(missing, Work(folder, str(root), preprocessing, workers, tile))
            _finish(folder, {name: parts[name] for name in names}, form, asked, preprocessing)
        _list_rejects(folder, [parts[name] for name in names])
        return _left([parts[name] for name in names])


def _rows_of_images(
    rows: list[dict[str, Any]], root: str | Path, preprocessing: Preprocessing, workers: int
) -> list[dict[str, Any]]:
    """The rows of all pictures: a volume becomes several where its projection makes several, in their order."""
    if preprocessing.projection == Projection():
        return rows
    work = partial(_images_of, root=str(root), projection=preprocessing.projection)
    outcomes = each_file(work, rows, workers, "reading headers")
    return [one for row, found in outcomes for one in ([row] if isinstance(found, MammoError) else found)]


def _images_of(row: dict[str, Any], root: str, projection: Projection) -> list[dict[str, Any]]:
    return images_of(resolve_path(str(row["path"]), root), row, projection)


def _without_parts(folder: Path) -> bool:
    """Removes the shards of a folder without an index, if nothing lies there but what `prepare` makes."""
    own = (*PARTS, *TOLD, LOCK, f".{LEDGER}.lock", *(f".{Path(name).stem}.*" for name in (INDEX, REJECTS, LEDGER)))
    paths = list(folder.iterdir())
    told = any(_is_one_of(path, TOLD) for path in paths)
    if not (told and all(path.is_file() and _is_one_of(path, own) for path in paths)):
        return False
    for path in paths:
        if _is_one_of(path, PARTS):
            path.unlink()
    return True


def _is_one_of(path: Path, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(path.name, pattern) for pattern in patterns)


def _tidy(folder: Path, complete: bool) -> None:
    """Removes halves of shards that a kill left, and of finished records what told which shards are done."""
    for left_behind in [*folder.glob(".part-*"), *(folder.glob("part-*.json") if complete else ())]:
        left_behind.unlink(missing_ok=True)  # a worker that outlived its launcher may have ended its shard just now


def _made_here(missing: Mapping[str, list[dict[str, Any]]], work: Work) -> dict[str, Part]:
    rows = [row for shard in missing.values() for row in shard]
    with closing(prepared_images(rows, work)) as images:
        return {
            name: write_shard(work.folder / name, islice(images, len(shard)), work.tile)
            for name, shard in missing.items()
        }


def prepared_images(rows: list[dict[str, Any]], work: Work) -> Generator[Made]:
    """What becomes of the rows, in order, from worker processes; a file that cannot be used is a reject."""
    of_row = partial(prepare_row, prepared=prepare_image, root=work.root, preprocessing=work.preprocessing)
    with closing(each_file(of_row, rows, work.workers, "preparing")) as outcomes:
        for row, found in outcomes:
            if isinstance(found, MammoError):
                place = str(row["path"])
                yield Made(Reject.of(place, found, Path(work.root) / place), stamps_of(row, work.root))
            else:
                yield found


def prepare_row(
    row: Mapping[str, Any], prepared: Callable[..., PreparedImage | Reject], root: str, preprocessing: Preprocessing
) -> Made:
    """What `prepared` gives for a row, and the stamps that its files had before they were read."""
    stamps = stamps_of(row, root)
    return Made(prepared(row, root=root, preprocessing=preprocessing), stamps)


def _finish(
    folder: Path, parts: Mapping[str, Part], form: int, asked: Mapping[str, Any], preprocessing: Preprocessing
) -> None:
    """Writes `rejects.csv` and the index, then removes what the shards' JSON files said before."""
    rejects = [Reject(*reject) for part in parts.values() for reject in part["rejects"]]
    examples = [
        {**example, "location": [number, *example["location"]]}
        for number, part in enumerate(parts.values())
        for example in part["examples"]
    ]
    write_rejects(rejects, folder / REJECTS)
    if not examples:
        first = f"; the first: {rejects[0].sentence}" if rejects else ""
        raise MammoError("nothing_usable", f"none of {len(rejects)} images can be used{first}", "See rejects.csv")
    shards = [
        {"name": f"{name}.tfrecord", "examples": len(part["examples"])}
        | {key: part[key] for key in ("bytes", "sha256")}
        for name, part in parts.items()
    ]
    content = {key: value for key, value in asked.items() if key != "root"}
    index = {
        "format": form, "complete": True, "asked": asked, "size": list(preprocessing.size or ()),
        "projection": to_json(preprocessing.projection),
        "shards": [
            shard | {"rejects": part["rejects"], "files": part["files"]}
            for shard, part in zip(shards, parts.values(), strict=True)
        ],
        "digest": text_digest(json.dumps([content, shards], sort_keys=True)), "examples": examples,
        "listed": listed_digest(examples),
    }  # fmt: skip
    write_json(folder / INDEX, index)
    for name in parts:
        (folder / f"{name}.json").unlink(missing_ok=True)


def _list_rejects(folder: Path, parts: list[Part]) -> None:
    """Writes `rejects.csv` where it is gone or has been changed."""
    rejects = [Reject(*reject) for part in parts for reject in part["rejects"]]
    path = folder / REJECTS
    if not path.is_file() or path.read_bytes() != rejects_text(rejects).encode():
        write_rejects(rejects, path)


def _left(parts: list[Part]) -> Prepared:
    examples = [example for part in parts for example in part["examples"]]
    rejects = tuple(Reject(*reject) for part in parts for reject in part["rejects"])
    remarks = same_pictures([one["row"] for one in examples], [one["picture"] for one in examples])
    fingerprints = [one.get("fingerprint", "") for one in examples]
    remarks += copy_lines([one["row"] for one in examples], fingerprints, [one["picture"] for one in examples])
    remarks += doubts(example.get("warnings", ()) for example in examples)
    remarks += question_lines(example.get("warnings", ()) for example in examples)
    return Prepared(len(examples), rejects, tuple(remarks))

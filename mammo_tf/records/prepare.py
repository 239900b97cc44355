"""A manifest to records: sharded, checked, resumable, written by several processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mammo_tf.claims import LOCK, Kind, claim
from mammo_tf.errors import MammoError
from mammo_tf.fields import to_json
from mammo_tf.files import read_json, text_digest, write_json
from mammo_tf.guard import each_file
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.json_members import write_members
from mammo_tf.records.example import PreparedImage
from mammo_tf.records.index import FORMAT, INDEX, TILED, ListedDigest, index_head
from mammo_tf.records.ledger import LEDGER
from mammo_tf.records.parts import Made, Part, is_finished, listed_parts, whole_shards, write_shard
from mammo_tf.records.picture_rows import PictureRows, joined, rows_of_pictures
from mammo_tf.records.prepare_image import prepare_image
from mammo_tf.records.sources import stamps_of
from mammo_tf.records.tiles import SMALLEST_TILE
from mammo_tf.records.told import Told
from mammo_tf.study import Reject, check_leakage, rejects_text, table_digest, write_rejects

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


MakeShards = Callable[[Mapping[str, PictureRows], Work], None]  # leaves shards and their JSON files, from their rows


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
    rows = rows_of_pictures(manifest, root, preprocessing.projection, workers)
    asked = {
        "preprocessing": preprocessing.to_json(),
        "examples_per_shard": examples_per_shard,
        "manifest": table_digest(manifest),
        "root": str(Path(root).resolve()),
        **({} if tile is None else {"tile": tile}),
    }
    form = FORMAT if tile is None else TILED
    starts = range(0, len(rows), examples_per_shard)
    shards = {
        f"part-{number:05d}-of-{len(starts):05d}": rows[start : start + examples_per_shard]
        for number, start in enumerate(starts)
    }
    names, unfinished = list(shards), {"complete": False}
    wanted = {"format": form, "asked": asked}
    again_by = partial(_without_parts, folder)
    with claim(folder, RECORDS, wanted, unfinished, begin_anew=again_by, read=index_head) as again:
        finished = again and is_finished(folder)
        _tidy(folder, finished)
        whole = whole_shards(folder, names, root) if again else set()
        if finished and len(whole) == len(names):
            told = _told(folder, listed_parts(folder, names))
        else:
            if whole and finished:
                _take_apart(folder, names, whole)
            if finished:
                write_json(folder / INDEX, wanted | unfinished)
            missing = {name: shard for name, shard in shards.items() if name not in whole}
            (make or _made_here)(missing, Work(folder, str(root), preprocessing, workers, tile))
            told = _finish(folder, names, form, asked, preprocessing)
        _list_rejects(folder, told.rejects)
        return Prepared(told.images, tuple(told.rejects), tuple(told.remarks()))


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


def _take_apart(folder: Path, names: Sequence[str], whole: Collection[str]) -> None:
    """Writes the JSON files of shards that are whole, so that they outlive the index."""
    for name, part in listed_parts(folder, names):
        if name in whole:
            write_json(folder / f"{name}.json", part)


def _made_here(missing: Mapping[str, PictureRows], work: Work) -> None:
    if not missing:
        return
    with closing(prepared_images(joined(list(missing.values())), work)) as images:
        for name, shard in missing.items():
            write_shard(work.folder / name, islice(images, len(shard)), work.tile)


def prepared_images(rows: Sequence[Mapping[str, Any]], work: Work) -> Generator[Made]:
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
    folder: Path, names: Sequence[str], form: int, asked: Mapping[str, Any], preprocessing: Preprocessing
) -> Told:
    """Writes `rejects.csv` and the index, then removes what the shards' JSON files said before."""
    rejects: list[Reject] = []
    shards = []
    for name in names:
        part = read_json(folder / f"{name}.json")
        rejects += [Reject(*reject) for reject in part["rejects"]]
        shards.append(
            {"name": f"{name}.tfrecord", "examples": len(part["examples"])} | {key: part[key] for key in DIGESTED}
        )
    write_rejects(rejects, folder / REJECTS)
    if not any(shard["examples"] for shard in shards):
        first = f"; the first: {rejects[0].sentence}" if rejects else ""
        raise MammoError("nothing_usable", f"none of {len(rejects)} images can be used{first}", "See rejects.csv")
    told = Told(folder)
    write_members(folder / INDEX, _index(folder, shards, {"format": form, "asked": asked}, preprocessing, told))
    for name in names:
        (folder / f"{name}.json").unlink(missing_ok=True)
    return told


def _index(
    folder: Path, shards: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any], preprocessing: Preprocessing,
    told: Told,
) -> Iterator[tuple[str, Any]]:  # fmt: skip
    """Names and values of the index, made from the shards' JSON files as they are written."""
    asked = wanted["asked"]
    content = {key: value for key, value in asked.items() if key != "root"}
    listed = ListedDigest()

    def parts() -> Iterator[tuple[Mapping[str, Any], Part]]:
        return ((shard, read_json((folder / shard["name"]).with_suffix(".json"))) for shard in shards)

    def examples() -> Iterator[dict[str, Any]]:
        for number, (shard, part) in enumerate(parts()):
            told.add(Path(shard["name"]).stem, part)
            for example in part["examples"]:
                placed = {**example, "location": [number, *example["location"]]}
                listed.add(placed)
                yield placed

    yield from {"format": wanted["format"], "complete": True, "asked": asked}.items()
    yield from {"size": list(preprocessing.size or ()), "projection": to_json(preprocessing.projection)}.items()
    yield "shards", ({**shard, "rejects": part["rejects"], "files": part["files"]} for shard, part in parts())
    yield "digest", text_digest(json.dumps([content, shards], sort_keys=True))
    yield "examples", examples()
    yield "listed", listed.hexdigest()


def _told(folder: Path, parts: Iterable[tuple[str, Part]]) -> Told:
    told = Told(folder)
    for name, part in parts:
        told.add(name, part)
    return told


def _list_rejects(folder: Path, rejects: Sequence[Reject]) -> None:
    """Writes `rejects.csv` where it is gone or has been changed."""
    path = folder / REJECTS
    if not path.is_file() or path.read_bytes() != rejects_text(rejects).encode():
        write_rejects(rejects, path)

"""Records on disk and how to read them: `index.json`, shards, digests."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.files import digest, read_json, text_digest
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.json_members import read_members
from mammo_tf.progress import track
from mammo_tf.records.example import Marks, PreparedImage, decode, decode_breast, decode_marks, decode_picture
from mammo_tf.records.tiles import assemble
from mammo_tf.study import make_manifest

INDEX = "index.json"
FORMAT = 2
TILED = 3  # of records in tiles; all else is as in 2
RECORD_HEADER_BYTES, RECORD_FOOTER_BYTES = 12, 4  # TFRecord: length and its checksum; checksum of the payload
READ = (1, 2, 3)  # 1 did not tell root, files and pictures
REMEDY = "Prepare the images again, by the same mammo-tf prepare"


class Location(NamedTuple):
    """Where an example lies: number of its shard, offset and length of its payload in bytes, CRC-32 of the payload."""

    shard: int
    offset: int
    length: int
    crc32: int


@dataclass(frozen=True)
class Records:
    """Prepared images on disk.

    Attributes:
        folder: where they lie.
        rows: the manifest rows of the examples, in order; positions below count these rows.
        preprocessing: what prepared them, and what turns them into network input.
        size: rows and columns of every picture.
        locations: where each example lies.
        means: float64, mean of each picture in [0, 1].
        shards: file names.
        digests: SHA-256 of each shard.
        digest: SHA-256 over everything.
        pictures: of each example what tells equal pictures; "" where that is not known.
        fingerprints: of each example what tells pictures that look the same; "" where that is not known.
        tile: rows and columns of a tile, where pictures are stored in tiles.
        tiles: where the tiles of each example lie, in the order of `tiles.tile_boxes`.
    """

    folder: Path
    rows: pd.DataFrame
    preprocessing: Preprocessing
    size: tuple[int, int]
    locations: tuple[Location, ...]
    means: NDArray[np.float64]
    shards: tuple[str, ...]
    digests: tuple[str, ...]
    digest: str
    pictures: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    tile: int | None = None
    tiles: tuple[tuple[Location, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.locations)

    def payload(self, position: int) -> bytes:
        """The stored bytes of one example, checked against their CRC-32.

        Raises:
            MammoError: `record_damaged`, `file_missing`.
        """
        return self._checked(self.locations[position], position)

    def _checked(self, place: Location, position: int) -> bytes:
        payload = _read(self.folder / self.shards[place.shard], place.length, place.offset)
        if len(payload) != place.length or zlib.crc32(payload) != place.crc32:
            name = self.shards[place.shard]
            raise MammoError("record_damaged", f"{self.folder / name}: example {position} is damaged", REMEDY)
        return payload

    def picture(self, position: int) -> NDArray[np.uint16]:
        """The picture of one example, uint16 `[rows, columns]`."""
        if self.tile is None:
            return decode_picture(self.payload(position))
        return self.region(position, (0, self.size[0], 0, self.size[1]))

    def region(self, position: int, box: tuple[int, int, int, int]) -> NDArray[np.uint16]:
        """A region of a picture, uint16 `[bottom - top, right - left]`; of one in tiles only those it touches are read.

        Args:
            position: of the example.
            box: top, bottom, left, right, inside the picture.
        """
        if self.tile is None:
            return self.picture(position)[box[0] : box[1], box[2] : box[3]]
        places = self.tiles[position]
        return assemble(self.size, self.tile, box, lambda number: self._checked(places[number], position))

    def marks(self, position: int) -> Marks:
        """Everything of one example but its picture."""
        return decode_marks(self.payload(position))

    def breast(self, position: int) -> NDArray[np.bool_]:
        """Where the breast is in a picture, bool `[rows, columns]`.

        Raises:
            MammoError: `breast_missing` where preparation did not look for it; `breast_wrong` where nothing is breast;
                `record_damaged`, `file_missing`.
        """
        mask = decode_breast(self.payload(position))
        if mask is not None and mask.any():
            return mask
        name = f"the image {self.rows['image_id'].iloc[position]} of {self.folder}"
        if mask is None:
            raise MammoError(
                "breast_missing", f"{name} has no breast mask", "Prepare again with preset default or native"
            )
        raise MammoError("breast_wrong", f"the breast mask of {name} is empty", "Leave the image out")

    def image(self, position: int) -> PreparedImage:
        """Everything of one example."""
        return decode(self.payload(position), None if self.tile is None else self.picture(position))

    def part(self, positions: Sequence[int] | NDArray[np.integer[Any]]) -> Records:
        """Some of the examples, in this order, under a digest of their own; nothing is copied.

        Args:
            positions: of the examples.
        """
        chosen = [int(position) for position in positions]
        whole = chosen == list(range(len(self)))
        return replace(
            self,
            rows=self.rows.iloc[chosen].reset_index(drop=True),
            locations=tuple(self.locations[position] for position in chosen),
            means=self.means[chosen],
            pictures=tuple(self.pictures[position] for position in chosen) if self.pictures else (),
            fingerprints=tuple(self.fingerprints[position] for position in chosen) if self.fingerprints else (),
            tiles=tuple(self.tiles[position] for position in chosen) if self.tiles else (),
            digest=self.digest if whole else text_digest(f"{self.digest} {chosen}"),
        )

    def with_rows(self, rows: pd.DataFrame) -> Records:
        """The same examples with other words about them, such as other splits, under a digest of their own.

        What the examples themselves hold (`marks`, `image`) stays as it was stored.

        Args:
            rows: one for each example, in order, `image_id` unchanged.

        Raises:
            MammoError: `rows_wrong`.
        """
        if list(rows["image_id"]) != list(self.rows["image_id"]):
            raise MammoError("rows_wrong", f"the rows are not those of the {len(self)} examples of {self.folder}")
        rows = rows.reset_index(drop=True)
        if rows.equals(self.rows):
            return self
        return replace(self, rows=rows, digest=text_digest(f"{self.digest} {rows.to_csv(index=False)}"))

    def positions(self, split: str) -> NDArray[np.int64]:
        """Positions of the examples of one split."""
        return np.flatnonzero(self.rows["split"] == split).astype(np.int64)


def _read(path: Path, length: int, offset: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise MammoError("file_missing", f"{path} cannot be read: {error.strerror}", REMEDY) from error


def payload_at(path: Path, offset: int) -> bytes:
    """The stored bytes of the example at an offset of a shard, whose CRC-32 is not looked at; errors as `payload`."""
    length, _ = struct.unpack("<QI", _read(path, RECORD_HEADER_BYTES, offset - RECORD_HEADER_BYTES))
    return _read(path, length, offset)


def index_head(path: Path) -> Any:
    """An index without its lists of shards and examples; errors as `read_json`."""
    return read_members(path, ("shards", "examples"))


def open_records(folder: str | Path) -> Records:
    """Opens a folder that `prepare` left.

    Raises:
        MammoError: `records_missing`, `records_unfinished`, `records_format`, `json_broken`, `record_damaged` where the
            index is not one, or a shard is gone or has another length. Every payload is checked against its CRC-32 when
            it is read; `verify` checks all.
    """
    folder = Path(folder)
    if not (folder / INDEX).is_file():
        raise MammoError("records_missing", f"{folder} holds no prepared images", "Make them with mammo-tf prepare")
    try:
        return _opened(folder, read_json(folder / INDEX))
    except MammoError as error:
        raise MammoError(error.code, error.sentence, error.remedy or REMEDY) from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise MammoError("record_damaged", f"{folder / INDEX} is not what was written", REMEDY) from error


def _opened(folder: Path, index: dict[str, Any]) -> Records:
    found = index["format"]
    if found not in READ:
        readable = " and ".join(map(str, READ))
        raise MammoError("records_format", f"{folder} has the format {found}, this reads {readable}", REMEDY)
    if not index["complete"]:
        raise MammoError("records_unfinished", f"{folder} is not finished", "Run the same mammo-tf prepare again")
    for shard in index["shards"]:
        path = folder / shard["name"]
        if not path.is_file() or path.stat().st_size != shard["bytes"]:
            raise MammoError("record_damaged", f"{path} is missing or has another length", REMEDY)
    examples = index["examples"]
    if index.get("listed", listed_digest(examples)) != listed_digest(examples):
        raise MammoError("record_damaged", f"the examples in {folder / INDEX} are not those that were written", REMEDY)
    preprocessing = Preprocessing.from_json(index["asked"]["preprocessing"])
    return Records(
        folder=folder,
        rows=make_manifest(example["row"] for example in examples),
        preprocessing=preprocessing,
        size=(int(index["size"][0]), int(index["size"][1])),
        locations=tuple(Location(*example["location"]) for example in examples),
        means=np.array([example["mean"] for example in examples], np.float64),
        shards=tuple(shard["name"] for shard in index["shards"]),
        digests=tuple(shard["sha256"] for shard in index["shards"]),
        digest=index["digest"],
        pictures=tuple(example.get("picture", "") for example in examples),
        fingerprints=tuple(example.get("fingerprint", "") for example in examples),
        tile=index["asked"]["tile"] if found == TILED else None,
        tiles=tuple(_tiles(example) for example in examples) if found == TILED else (),
    )


def _tiles(example: Mapping[str, Any]) -> tuple[Location, ...]:
    shard = example["location"][0]
    return tuple(Location(shard, *place) for place in example["tiles"])


class ListedDigest:
    """What tells the list of examples in an index from any other: SHA-256 of its JSON, an example at a time."""

    def __init__(self) -> None:
        self._found, self._before = hashlib.sha256(b"["), ""

    def add(self, example: Mapping[str, Any]) -> None:
        """The next example of the list."""
        self._found.update(f"{self._before}{json.dumps(example, sort_keys=True)}".encode())
        self._before = ", "

    def hexdigest(self) -> str:
        """Of the list as far as it was added."""
        whole = self._found.copy()
        whole.update(b"]")
        return whole.hexdigest()


def listed_digest(examples: Iterable[Mapping[str, Any]]) -> str:
    """`ListedDigest` of a list."""
    found = ListedDigest()
    for example in examples:
        found.add(example)
    return found.hexdigest()


def verify(records: Records) -> None:
    """Reads every shard and compares its SHA-256.

    Raises:
        MammoError: `record_damaged` naming the first shard that differs.
    """
    for name, expected in track(list(zip(records.shards, records.digests, strict=True)), "verifying", unit="shard"):
        if digest(records.folder / name) != expected:
            raise MammoError("record_damaged", f"{records.folder / name} is not what was written", REMEDY)

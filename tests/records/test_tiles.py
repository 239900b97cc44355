"""Records in tiles: the same pictures, and a patch costs the tiles that it touches."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.files import read_json, write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.records import Records, open_records, prepare, verify
from mammo_tf.records import index as index_module
from mammo_tf.records.tiles import assemble, cut_tiles, tile_boxes
from mammo_tf.study import read_manifest

LEGACY = Preprocessing.preset("legacy", (128, 128))


@pytest.fixture(scope="module")
def tiled(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("tiled") / "records"
    prepare(read_manifest(films), films.parent, folder, LEGACY, examples_per_shard=64, tile=48)
    return open_records(folder)


@given(st.integers(1, 70), st.integers(1, 70), st.integers(16, 40), st.data())
def test_any_region_is_that_of_the_picture(rows: int, columns: int, tile: int, data: st.DataObject) -> None:
    picture = np.random.default_rng(rows * 71 + columns).integers(0, 3, (rows, columns)).astype(np.uint16)
    picture[: rows // 2] = 7  # some tiles are plain
    tiles = list(cut_tiles(picture, tile))
    assert len(tiles) == len(tile_boxes((rows, columns), tile))
    top = data.draw(st.integers(0, rows - 1))
    left = data.draw(st.integers(0, columns - 1))
    bottom = data.draw(st.integers(top + 1, rows))
    right = data.draw(st.integers(left + 1, columns))
    found = assemble((rows, columns), tile, (top, bottom, left, right), tiles.__getitem__)
    np.testing.assert_array_equal(found, picture[top:bottom, left:right])


def test_a_plain_tile_takes_two_bytes() -> None:
    assert [len(part) for part in cut_tiles(np.full((32, 20), 9, np.uint16), 16)] == [2] * 4


def test_tiles_hold_what_whole_pictures_hold(tiled: Records, records: Records) -> None:
    assert tiled.tile == 48 and records.tile is None
    verify(tiled)
    pd.testing.assert_frame_equal(tiled.rows, records.rows)
    assert tiled.pictures == records.pictures
    for position in (0, 13, len(records) - 1):
        np.testing.assert_array_equal(tiled.picture(position), records.picture(position))
        ours, theirs = tiled.image(position), records.image(position)
        np.testing.assert_array_equal(ours.picture, theirs.picture)
        np.testing.assert_array_equal(ours.finding_masks, theirs.finding_masks)
        np.testing.assert_array_equal(tiled.marks(position).affine, theirs.affine)
        box = (20, 70, 90, 128)
        np.testing.assert_array_equal(tiled.region(position, box), theirs.picture[20:70, 90:128])
        np.testing.assert_array_equal(records.region(position, box), theirs.picture[20:70, 90:128])


def test_a_patch_reads_the_tiles_that_it_touches(tiled: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = index_module._read
    monkeypatch.setattr(index_module, "_read", lambda *place: reads.append(place) or read(*place))
    tiled.region(3, (0, 48, 0, 48))
    assert len(reads) == 1
    tiled.region(3, (47, 49, 47, 49))
    assert len(reads) == 1 + 4


def test_a_damaged_tile_is_told_by_the_patch_that_needs_it(films: Path, tmp_path: Path) -> None:
    prepare(read_manifest(films)[:4], films.parent, tmp_path / "records", LEGACY, tile=64)
    records = open_records(tmp_path / "records")
    place = records.tiles[2][3]
    shard = tmp_path / "records" / records.shards[0]
    content = bytearray(shard.read_bytes())
    content[place.offset + 5] ^= 1
    shard.write_bytes(bytes(content))
    np.testing.assert_array_equal(records.region(2, (0, 64, 0, 64)).shape, (64, 64))
    with pytest.raises(MammoError) as caught:
        records.region(2, (60, 70, 60, 70))
    assert caught.value.code == "record_damaged" and "example 2" in str(caught.value)


def test_a_lost_shard_is_made_again_and_other_tiles_are_another_request(films: Path, tmp_path: Path) -> None:
    manifest = read_manifest(films)[:6]
    folder = tmp_path / "records"
    prepare(manifest, films.parent, folder, LEGACY, examples_per_shard=3, tile=64)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".tfrecord"}
    (folder / sorted(before)[1]).unlink()
    prepare(manifest, films.parent, folder, LEGACY, examples_per_shard=3, tile=64)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".tfrecord"} == before
    for other in (32, None):
        with pytest.raises(MammoError) as caught:
            prepare(manifest, films.parent, folder, LEGACY, examples_per_shard=3, tile=other)
        assert caught.value.code == "other_records"
    with pytest.raises(MammoError) as caught:
        prepare(manifest, films.parent, tmp_path / "small", LEGACY, tile=8)
    assert caught.value.code == "tile_wrong"


def test_an_index_without_its_tiles_is_damaged(films: Path, tmp_path: Path) -> None:
    prepare(read_manifest(films)[:2], films.parent, tmp_path / "records", LEGACY, tile=64)
    index = read_json(tmp_path / "records" / "index.json")
    del index["examples"][1]["tiles"]
    write_json(tmp_path / "records" / "index.json", index)
    with pytest.raises(MammoError) as caught:
        open_records(tmp_path / "records")
    assert caught.value.code == "record_damaged"

"""The same picture in another file: told when records are made, found again when they are opened."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.files import read_json, write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.fingerprint import BREASTS, BYTES
from mammo_tf.imaging.near_copies import NearCopy, bits_of, copies_of_groupings, near_copies
from mammo_tf.records import copies_in_splits, open_records, prepare
from mammo_tf.records.index import listed_digest
from mammo_tf.study import make_manifest

STEPS = Preprocessing.preset("default", (64, 48))


def woman(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:300, :220]
    clouds = sum(cv2.GaussianBlur(rng.normal(size=x.shape), (0, 0), size) * size for size in (3, 6, 12))
    inside = ((y - 150) / 126) ** 2 + (x / 154) ** 2 < 1
    return np.where(inside, 30000 + 20000 * clouds / np.abs(clouds).max(), 0).astype(np.uint16)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four women, and the first one's picture again: smaller, brighter, of 8 bits, turned, as JPEG."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(4):
        cv2.imwrite(str(folder / f"p{number}.png"), woman(number))
    unit = cv2.resize(woman(0).astype(np.float32) / 65535, (150, 210), interpolation=cv2.INTER_AREA) ** 0.8
    again = np.ascontiguousarray(np.rint(unit * 255).astype(np.uint8)[:, ::-1])
    cv2.imwrite(str(folder / "p4.jpg"), again, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return folder


def manifest(*splits: str, patients: str = "01234") -> pd.DataFrame:
    names = ["p0.png", "p1.png", "p2.png", "p3.png", "p4.jpg"]
    rows = [
        {"image_id": f"i{at}", "patient_id": f"w{patients[at]}", "label": "normal", "path": name, "split": split}
        for at, (name, split) in enumerate(zip(names, splits, strict=True))
    ]
    return make_manifest(rows)


SAME = "1 pair of pictures looks the same and "
IN_SPLITS = f"{SAME}stands in different splits, first i0 (train) and i4 (test)"


def test_copies_are_told_when_records_are_made(root: Path, tmp_path: Path) -> None:
    done = prepare(manifest("train", "train", "test", "test", "test"), root, tmp_path / "torn", STEPS)
    assert [line for line in done.remarks if "look" in line] == [IN_SPLITS]
    records = open_records(tmp_path / "torn")
    assert copies_in_splits(records) == IN_SPLITS
    assert copies_in_splits(records.part([1, 2, 3, 4])) == ""
    assert copies_in_splits(records.part([4, 2, 0])).endswith("i4 (test) and i0 (train)")

    whole = prepare(manifest("train", "train", "test", "test", "train"), root, tmp_path / "whole", STEPS)
    assert [line for line in whole.remarks if "look" in line] == [f"{SAME}is of different patients, first i0 and i4"]
    assert copies_in_splits(open_records(tmp_path / "whole")) == ""

    hers = prepare(manifest("", "", "", "", "", patients="01230"), root, tmp_path / "hers", STEPS)
    assert not [line for line in hers.remarks if "look" in line]


def test_fingerprints_do_not_hang_on_the_preprocessing(root: Path, tmp_path: Path) -> None:
    table = manifest("", "", "", "", "")
    for name, steps in (("one", STEPS), ("other", Preprocessing.preset("legacy", (32, 32)))):
        prepare(table, root, tmp_path / name, steps)
    one, other = (open_records(tmp_path / name) for name in ("one", "other"))
    assert one.fingerprints == other.fingerprints
    assert all(len(text) == 2 * BREASTS * BYTES for text in one.fingerprints)


def test_records_of_before_are_opened_and_say_nothing(root: Path, tmp_path: Path) -> None:
    table = manifest("train", "train", "test", "test", "test")
    prepare(table, root, tmp_path / "records", STEPS)
    index = read_json(tmp_path / "records" / "index.json")
    for example in index["examples"]:
        del example["fingerprint"]
    write_json(tmp_path / "records" / "index.json", index | {"listed": listed_digest(index["examples"])})
    assert copies_in_splits(open_records(tmp_path / "records")) == ""
    assert prepare(table, root, tmp_path / "records", STEPS).images == 5


def test_a_kill_changes_no_byte_of_the_index(root: Path, tmp_path: Path) -> None:
    table = manifest("train", "train", "test", "test", "test")
    for name in ("whole", "again"):
        prepare(table, root, tmp_path / name, STEPS, examples_per_shard=2)
    index = tmp_path / "again" / "index.json"
    due = (tmp_path / "whole" / "index.json").read_bytes()
    assert index.read_bytes() == due
    (tmp_path / "again" / "part-00001-of-00003.tfrecord").unlink()
    prepare(table, root, tmp_path / "again", STEPS, examples_per_shard=2)
    assert index.read_bytes() == due
    shutil.rmtree(tmp_path / "again")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "train", "test"])), max_size=8))
def test_every_pair_of_two_groups_is_told_once(rows: list[tuple[str, str]]) -> None:
    prints = {kind: np.random.default_rng(ord(kind)).bytes(BREASTS * BYTES).hex() for kind in "ab"} | {"c": ""}
    found = near_copies([prints[kind] for kind, _ in rows], [split for _, split in rows])
    due = {
        (one, other)
        for one in range(len(rows))
        for other in range(one + 1, len(rows))
        if rows[one][0] == rows[other][0] != "c" and {rows[one][1], rows[other][1]} == {"train", "test"}
    }
    assert {pair[:2] for pair in found} == due
    assert found == [NearCopy(*pair[:2], 0.0) for pair in found]
    equal = near_copies([prints[kind] for kind, _ in rows], [split for _, split in rows], ["equal"] * len(rows))
    assert equal == [], "pictures that are equal are told elsewhere"


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"), st.sampled_from(["", "train", "test"]), st.sampled_from(["", "1", "2", "3"])
        ),
        max_size=12,
    ),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_two_groupings_at_once_are_as_one_after_the_other(
    rows: list[tuple[str, str, str]], told: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    prints = {kind: rng.bytes(BREASTS * BYTES).hex() for kind in "ab"} | {"c": ""}
    prints["d"] = ("ff" if prints["a"][:2] == "00" else "00") + prints["a"][2:]
    pictures = [str(rng.choice(["", "one", "other"])) for _ in rows] if told else []
    kinds, *groupings = zip(*rows, strict=True) if rows else ((), (), ())
    listed = [prints[kind] for kind in kinds]
    bits = bits_of(listed)
    assert copies_of_groupings(bits, groupings, pictures) == [near_copies(listed, one, pictures) for one in groupings]


def test_pictures_without_a_pattern_are_compared_with_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing takes time with the square of the pictures."""
    monkeypatch.setattr("mammo_tf.imaging.near_copies.near_pairs", None)
    assert near_copies(["00" * 128] * 3, ["a", "b", "c"]) == []


def test_thousands_of_equal_pictures_are_not_compared_with_each_other() -> None:
    """What looks like them is found in whatever group it stands."""
    print_ = np.random.default_rng(0).integers(0, 256, 128, dtype=np.uint8).tobytes().hex()
    count = 20_000
    for group in ("0", "1", "stranger"):
        found = near_copies(
            [print_] * (count + 1), [*map(str, range(count)), group], ["equal"] * count + ["another picture"]
        )
        assert found
        assert all(pair.second == count and pair.distance == 0 for pair in found)
        assert len(found) == (2 if group == "stranger" else 1)

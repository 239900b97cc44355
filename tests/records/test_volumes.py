"""Volumes in records: one picture, a slab or a slice each, as the preprocessing says."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.files import read_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.levels import as_uint16
from mammo_tf.imaging.resize import resize
from mammo_tf.reading import collections
from mammo_tf.records import open_records, prepare
from mammo_tf.study import Projection, check_leakage, make_manifest

DBT = Path(__file__).parents[1] / "golden" / "dicom" / "dbt"
LEGACY = Preprocessing.preset("legacy", (32, 24))


@pytest.fixture
def study(tmp_path: Path) -> tuple[pd.DataFrame, Path]:
    """A file, a folder of slices and a picture of one frame."""
    root = tmp_path / "data"
    root.mkdir()
    shutil.copy(DBT / "shuffled_rle.dcm", root / "a.dcm")
    shutil.copytree(DBT / "ct_per_slice", root / "b")
    shutil.copy(DBT / "single_frame.dcm", root / "c.dcm")
    return collections.collect("folder", root)[0], root


@pytest.mark.parametrize(
    ("projection", "parts"),
    [
        (Projection(), [(0, 8)]),
        (Projection("slab", slab_slices=3), [(0, 3), (3, 6), (6, 8)]),
        (Projection("slab", slab_mm=5.0), [(0, 5), (5, 8)]),
        (Projection("slice"), [(at, at + 1) for at in range(8)]),
    ],
)
def test_a_volume_becomes_what_its_projection_says(
    projection: Projection, parts: list[tuple[int, int]], study: tuple[pd.DataFrame, Path], tmp_path: Path
) -> None:
    table, root = study
    prepare(table, root, tmp_path / "records", replace(LEGACY, projection=projection), examples_per_shard=4)
    records = open_records(tmp_path / "records")
    assert records.preprocessing.projection == projection
    assert read_json(records.folder / "index.json")["projection"]["name"] == projection.name
    assert len(records) == 2 * len(parts) + 1
    assert records.rows["image_id"].nunique() == 3
    several = len(parts) > 1
    for position, row in enumerate(records.rows.to_dict("records")):
        frames = np.stack(list(reading.frames(root / str(row["path"]))))
        first = int(row["frame"] or 1) - 1
        assert bool(row["frame"]) == (several and row["path"] != "c.dcm")
        last = dict(parts)[first] if len(frames) > 1 else 1
        due = resize(as_uint16(frames[first:last].max(axis=0)), 32, 24, "cubic")
        np.testing.assert_array_equal(records.picture(position), due)


def test_another_projection_is_another_request(study: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    table, root = study
    prepare(table, root, tmp_path / "records", LEGACY)
    with pytest.raises(MammoError) as caught:
        prepare(table, root, tmp_path / "records", replace(LEGACY, projection=Projection("slice")))
    assert caught.value.code == "other_records"


def test_a_changed_slice_is_a_changed_file(study: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    table, root = study
    prepare(table, root, tmp_path / "records", LEGACY)
    prepare(table, root, tmp_path / "records", LEGACY)
    changed = min((root / "b").iterdir())
    changed.write_bytes(changed.read_bytes()[:-2] + b"\1\1")
    with pytest.raises(MammoError, match="first b") as caught:
        prepare(table, root, tmp_path / "records", LEGACY)
    assert caught.value.code == "files_changed"


def test_a_volume_that_does_not_tell_mm_is_a_reject(tmp_path: Path) -> None:
    shutil.copy(DBT / "sc_multiframe.dcm", tmp_path / "a.dcm")
    table, _ = collections.collect("folder", tmp_path)
    with pytest.raises(MammoError, match="a.dcm: nothing tells the distance of the slices") as caught:
        prepare(table, tmp_path, tmp_path / "records", replace(LEGACY, projection=Projection("slab", slab_mm=4.0)))
    assert caught.value.code == "nothing_usable"


def test_two_series_of_one_folder_are_two_pictures_for_splits() -> None:
    rows = [
        {"image_id": name, "patient_id": name, "path": ".", "series": name, "split": split, "label": "normal"}
        for name, split in (("1", "train"), ("2", "test"))
    ]
    check_leakage(make_manifest(rows))
    with pytest.raises(MammoError):
        check_leakage(make_manifest([row | {"series": "1"} for row in rows]))


def test_a_projection_travels_as_json() -> None:
    slab = replace(LEGACY, projection=Projection("slab", slab_mm=4.0))
    assert Preprocessing.from_json(slab.to_json()) == slab
    assert set(LEGACY.to_json()) == {"geometry", "intensity"}
    assert slab.digest() != LEGACY.digest()
    assert slab.for_graph().projection == slab.projection
    with pytest.raises(MammoError) as caught:
        Preprocessing.from_json({**LEGACY.to_json(), "projection": {"name": "minip"}})
    assert caught.value.code == "projection_wrong"

"""Pictures that a table names: downloads that stopped half-way, and re-packs next to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammo_tf.reading.listed_pictures import looked_at, placed
from mammo_tf.reading.tree import files_of
from mammo_tf.study import Reject


class Told(NamedTuple):
    side: str = "L"
    view: str = "CC"


TABLE = {"a": Told(), "b": Told(), "c": Told(), "d": Told()}


@pytest.fixture
def root(write_dicom: Callable[..., Dataset], tmp_path: Path) -> Path:
    """a and b as DICOM, a cut off; a and b as PNG too, a twice; c as half a PNG; d is not there; e is not named."""
    for name in "ab":
        write_dicom(tmp_path / f"{name}.dcm")
    (tmp_path / "a.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:900])
    for place in ("png/a", "png/b", "png2/a", "png/c", "png/e"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f"{place}.png"), np.full((66, 70), 99, np.uint8))
    (tmp_path / "png/c.png").write_bytes((tmp_path / "png/c.png").read_bytes()[:40])
    (tmp_path / "table.csv").write_text("x\n")
    return tmp_path


def test_a_re_pack_counts_where_the_file_before_it_is_cut_off(root: Path) -> None:
    found = placed(files_of(root), root, {root / "table.csv"}, lambda path: path.stem, TABLE)
    seen = list(looked_at(found, TABLE, root))
    used = {key: place for key, place, _, _ in (one for one in seen if not isinstance(one, Reject))}
    assert used == {"a": "png/a.png", "b": "b.dcm"}
    codes = {one.path: one.code for one in [*found.rejects, *(one for one in seen if isinstance(one, Reject))]}
    assert codes == {
        "a.dcm": "truncated", "png2/a.png": "duplicate", "png/b.png": "duplicate", "png/c.png": codes["png/c.png"],
        "png/e.png": "not_in_table", "table.csv": "table",
    }  # fmt: skip
    assert codes["png/c.png"] not in ("duplicate", "not_in_table")
    assert sorted([*used.values(), *codes]) == sorted(path.relative_to(root).as_posix() for path in files_of(root))

"""The hostile files of golden/dicom through whole commands: each ends as `expected.json` says, within its limits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from mammo_tf import guard
from mammo_tf.cli.main import main
from mammo_tf.guard import Limits, guarded
from mammo_tf.records import open_records
from mammo_tf.study import make_manifest, read_manifest, write_manifest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "serving")]
import dicom_objects as made  # noqa: E402 - it lies above this file
from hostile_work import read_measured  # noqa: E402

HOSTILE = TESTS / "golden" / "dicom" / "hostile"
CASES = json.loads((HOSTILE / "expected.json").read_text())
REFUSED = {name: case["cls"] for name, case in CASES.items() if case["decision"] == "refuse"}
ACCEPTED = sorted(set(CASES) - set(REFUSED))
DOCUMENTS = {"README.md": "not_dicom", "expected.json": "not_dicom"}
DECODED = {"rle_too_much.dcm"}  # refused where pixels are decoded, and not before
TIGHT = Limits(seconds=5.0, memory_bytes=1 << 30)  # of which the interpreter has 0.6 GB


@pytest.fixture(autouse=True)
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that hangs, or floods memory, is told apart from one that is refused in good order."""
    monkeypatch.setattr(guard, "LIMITS", TIGHT)
    monkeypatch.syspath_prepend(str(TESTS))
    monkeypatch.setattr(guard, "_idle", [])  # those of other tests do not know the folder of `hostile_work`


def codes(path: Path) -> dict[str, str]:
    """Codes of a table of rejects by file name; each file stands there once."""
    table = pd.read_csv(path, keep_default_na=False)
    found = {Path(place).name: code for place, code in zip(table["path"], table["code"], strict=True)}
    assert len(found) == len(table)
    return found


def test_manifest_lists_or_refuses_each(tmp_path: Path) -> None:
    assert main(["manifest", "folder", str(HOSTILE), "-o", str(tmp_path)]) == 0
    listed, refused = read_manifest(tmp_path / "manifest.csv")["path"].tolist(), codes(tmp_path / "rejects.csv")
    copies = {name for name, code in refused.items() if code == "duplicate"}  # they show the picture of another
    assert {*listed} | copies == {*ACCEPTED} | DECODED and len(listed) + len(copies) == len(ACCEPTED) + len(DECODED)
    expected = {name: code for name, code in (REFUSED | DOCUMENTS).items() if name not in DECODED}
    assert {name: code for name, code in refused.items() if name not in copies} == expected


def test_prepare_and_predict_take_or_refuse_each(tmp_path: Path) -> None:
    told = {"laterality": "L", "view": "CC", "modality": "FFDM"}
    rows = [{"image_id": name, "patient_id": name, "path": name} | told for name in CASES]
    write_manifest(make_manifest(rows), tmp_path / "manifest.csv")
    arguments = ["prepare", tmp_path / "manifest.csv", "--root", HOSTILE, "-o", tmp_path / "records", "--size", "64x48"]
    assert main([str(argument) for argument in arguments]) == 0
    assert sorted(open_records(tmp_path / "records").rows["path"]) == ACCEPTED
    assert codes(tmp_path / "records" / "rejects.csv") == REFUSED

    model = made.save_classifier(tmp_path / "tiny.keras")
    arguments = ["predict", model, tmp_path / "manifest.csv", "--root", HOSTILE, "-o", tmp_path / "p.csv"]
    assert main([str(argument) for argument in arguments]) == 0
    table = pd.read_csv(tmp_path / "p.csv")
    assert sorted(Path(place).name for place in table["path"]) == ACCEPTED
    assert codes(next(tmp_path.glob("*rejects.csv"))) == REFUSED


def test_none_takes_more_time_or_memory_than_it_may() -> None:
    """Of the whole process, foreign decoders included, over what it has when a sound file has been read."""
    paths = [str(HOSTILE / name) for name in CASES]
    for path, found in zip(paths, guarded(read_measured, paths, 1, TIGHT), strict=True):
        case = CASES[Path(path).name]
        assert isinstance(found, tuple), found
        code, seconds, grown_bytes = found
        assert code == (case["cls"] if case["decision"] == "refuse" else "")
        assert seconds < case["seconds_limit"]
        assert grown_bytes < case["memory_limit_mib"] * 2**20

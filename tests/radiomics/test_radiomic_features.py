"""Features of a manifest: the numbers of `radiomics.features`, a reason for every other file, no work done twice."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.files import write_json
from mammo_tf.imaging.breast import segment
from mammo_tf.imaging.levels import as_uint16
from mammo_tf.imaging.pectoral import pectoral
from mammo_tf.phantom import make_study
from mammo_tf.radiomics import FEATURES_32, FEATURES_34, features
from mammo_tf.radiomics import radiomic_features as module
from mammo_tf.radiomics.radiomic_features import (
    IDENTITY,
    Extraction,
    extract_features,
    stored_extraction,
    view_features,
)
from mammo_tf.radiomics.regions import inner_breast
from mammo_tf.reading import read
from mammo_tf.study import make_manifest, read_manifest


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients of the phantom, eight views; returns the manifest."""
    folder = tmp_path_factory.mktemp("phantom") / "study"
    make_study(folder, 2, ["ffdm_site_1"], seed=4, spacing_mm=0.8, workers=1)
    return folder / "manifest.csv"


def test_the_numbers_of_an_mlo_view(study: Path, tmp_path: Path) -> None:
    table = read_manifest(study)
    done = extract_features(table, study.parent, tmp_path / "f.csv", workers=2)
    assert (len(done.table), done.rejects, done.sought, done.muscles > 0) == (8, (), 4, True)
    written = pd.read_csv(tmp_path / "f.csv", dtype={"pair_id": "str"}, keep_default_na=False)
    assert tuple(written) == (*IDENTITY, *FEATURES_34)
    assert list(written["image_id"]) == list(table["image_id"])
    row = table[table["view"] == "MLO"].iloc[0]
    picture = read(study.parent / row["path"])
    mask = segment(picture.pixels)
    muscle = pectoral(picture.pixels, mask)
    assert muscle is not None
    expected = features(as_uint16(picture.pixels), mask & ~muscle, picture.facts.spacing_mm, "34")
    found = written[written["image_id"] == row["image_id"]].iloc[0]
    for name, value in expected.items():
        assert found[name] == value, name
    assert 4095 < found["imax"] <= 65535
    assert (found["laterality"], found["view"], found["label"]) == (row["laterality"], "MLO", row["label"])
    assert stored_extraction(tmp_path / "f.csv") == Extraction()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.csv", "f.json", "f_rejects.csv"]


def test_the_inner_region_and_the_set_without_spacing(study: Path) -> None:
    row = read_manifest(study).iloc[0]
    pixels = read(study.parent / row["path"]).pixels
    found = view_features(pixels, "CC", None, Extraction("32", "inner"))
    expected = features(as_uint16(pixels), inner_breast(segment(pixels)), None, "32")
    assert found == (expected, None, ())
    assert tuple(found.values) == FEATURES_32


def test_every_other_file_has_a_reason(films: Path, tmp_path: Path) -> None:
    table = read_manifest(films)[:5].copy()
    rows = table.index
    black, even, cut = np.zeros((300, 200), np.uint16), np.zeros((300, 200), np.uint16), tmp_path / "cut.png"
    cv2.ellipse(even, (0, 150), (150, 130), 0, 0, 360, 30000, -1)
    for name, picture in (("black", black), ("even", even)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    cut.write_bytes((films.parent / table["path"].iloc[0]).read_bytes()[:500])
    (tmp_path / table["path"].iloc[4]).write_bytes((films.parent / table["path"].iloc[4]).read_bytes())
    table.loc[rows[:4], "path"] = [f"{name}.png" for name in ("black", "even", "cut", "gone")]
    (tmp_path / "rejects.csv").write_text("path,code,reason\nother.dcm,truncated,it ends\n")
    known, manifest = table.assign(spacing_row_mm=0.4, spacing_column_mm=0.4), tmp_path / "manifest.csv"
    done = extract_features(known, tmp_path, tmp_path / "f.csv", Extraction("34", "inner"), source=manifest)
    assert len(done.table) == 1
    assert done.rejects_path == tmp_path / "f_rejects.csv"
    rejects = pd.read_csv(done.rejects_path).set_index("path")
    codes = {Path(path).stem: code for path, code in rejects["code"].items()}
    assert (tmp_path / "rejects.csv").read_text() == "path,code,reason\nother.dcm,truncated,it ends\n"
    assert codes == {
        "black": "mask_empty", "cut": "truncated", "even": "constant_pixels", "gone": "file_missing"
    }  # fmt: skip
    assert "iske, ikur" in rejects.loc["even.png", "reason"]
    with pytest.raises(MammoError, match=r"none of 5 images gives features.*g_rejects.csv"):
        extract_features(table, tmp_path, tmp_path / "g.csv")
    codes = pd.read_csv(tmp_path / "g_rejects.csv")["code"]
    assert (codes == "spacing_unknown").sum() == 1 + 2  # of the film, and of those whose breast is not looked for
    without = extract_features(table, tmp_path, tmp_path / "h.csv", Extraction("32"))
    assert len(without.table) >= 1


def test_a_size_that_no_pixel_has_is_a_reject_of_its_row(study: Path, tmp_path: Path) -> None:
    table = read_manifest(study)[:7].copy()
    sizes = [1e-9, 0.0001, 1e9, np.inf, -0.1, 0.0]
    table["spacing_row_mm"] = table["spacing_column_mm"] = [*sizes, 0.8]
    done = extract_features(table, study.parent, tmp_path / "f.csv")
    assert list(done.table["image_id"]) == [table["image_id"].iloc[6]]
    assert {reject.code for reject in done.rejects} == {"spacing_wrong"}
    told = {reject.path: reject.reason for reject in done.rejects}
    for size, path in zip(sizes, table["path"], strict=False):
        assert f"a pixel of {size:g} x {size:g} mm" in told[path]
    without = extract_features(table, study.parent, tmp_path / "g.csv", Extraction("32"))  # nothing there is in mm
    assert (len(without.table), without.rejects) == (7, ())


def test_doubts_of_pictures_are_told_at_the_end(tmp_path: Path) -> None:
    rows, shaded = [], np.add.outer(np.arange(120), np.arange(90)) * 15 + 300
    for name, bits in (("a", ""), ("b", ""), ("c", "12"), ("d", "9")):
        half = np.where(np.arange(90) < 60, shaded, 0).astype(np.uint16)
        cv2.imwrite(str(tmp_path / f"{name}.png"), half)
        rows.append({"image_id": name, "patient_id": name, "label": "", "path": f"{name}.png", "stored_bits": bits})
    done = extract_features(make_manifest(rows), tmp_path, tmp_path / "f.csv", Extraction("32"))
    assert [line.split(":")[0] for line in done.doubts] == ["2 pictures of 16 bits hold nothing above 4095"]
    means = done.table.set_index("image_id")["iavg"]
    assert means["c"] == pytest.approx(means["a"] * 65535 / 4095, rel=1e-3)
    assert [reject.code for reject in done.rejects] == ["bad_value"]


def test_a_killed_extraction_goes_on(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, small = read_manifest(study), Extraction("32")
    extract_features(table, study.parent, tmp_path / "whole.csv", small)
    note, noted = module.Journal.note, []

    def stopped(self, number, outcome):  # noqa: ANN001, ANN202 - as note
        noted.append(number)
        if len(noted) == 4:
            raise KeyboardInterrupt
        note(self, number, outcome)

    monkeypatch.setattr(module.Journal, "note", stopped)
    output = tmp_path / "f.csv"
    with pytest.raises(KeyboardInterrupt):
        extract_features(table, study.parent, output, small)
    assert not output.exists()
    part = tmp_path / "f.csv.part"
    part.write_text(part.read_text() + "[7, null, {")
    extract_features(table, study.parent, output, small)
    assert noted == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not part.exists()
    with pytest.raises(KeyboardInterrupt):  # another request begins again
        noted[:] = []
        extract_features(table, study.parent, output, small)
    extract_features(table, study.parent, output, Extraction("32", "inner"))
    assert noted == [0, 1, 2, 3, *range(8)]


@pytest.fixture
def killed(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[int]]:
    """A copy of the study whose extraction was killed at its fourth row; its manifest, and the rows noted: four so far.

    The table is `f.csv` in the folder of the copy.
    """
    copy = tmp_path / "copy"
    shutil.copytree(study.parent, copy)
    note, noted = module.Journal.note, []

    def stopped(self, number, outcome):  # noqa: ANN001, ANN202 - as note
        noted.append(number)
        if len(noted) == 4:
            raise KeyboardInterrupt
        note(self, number, outcome)

    monkeypatch.setattr(module.Journal, "note", stopped)
    with pytest.raises(KeyboardInterrupt):
        extract_features(read_manifest(copy / "manifest.csv"), copy, copy / "f.csv", Extraction("32"))
    return copy / "manifest.csv", noted


def whole(table: pd.DataFrame, root: Path, output: Path) -> bytes:
    """The table of an extraction that was never stopped."""
    extract_features(table, root, output, Extraction("32"))
    return output.read_bytes()


def test_a_picture_that_changed_since_the_kill_is_computed_anew(killed: tuple[Path, list[int]]) -> None:
    manifest, noted = killed
    table, root = read_manifest(manifest), manifest.parent
    (root / table["path"][0]).write_bytes((root / table["path"][6]).read_bytes())  # another one of the same name
    facts = (root / table["path"][1]).stat()
    os.utime(root / table["path"][1], ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    extract_features(table, root, root / "f.csv", Extraction("32"))
    assert noted[4:] == [0, 1, 3, 4, 5, 6, 7]
    assert (root / "f.csv").read_bytes() == whole(table, root, root / "g.csv")


def test_another_root_begins_anew(killed: tuple[Path, list[int]], study: Path) -> None:
    manifest, noted = killed
    table = read_manifest(manifest)
    extract_features(table, study.parent, manifest.with_name("f.csv"), Extraction("32"))
    assert noted[4:] == list(range(8))


def test_a_journal_that_does_not_tell_its_files_is_not_trusted(killed: tuple[Path, list[int]]) -> None:
    manifest, noted = killed
    part = manifest.with_name("f.csv.part")
    head, *lines = part.read_text().splitlines()
    asked = {name: value for name, value in json.loads(head).items() if name != "journal"}
    older = [[number, *found] for number, _, *found in map(json.loads, lines)]
    part.write_text("\n".join(map(json.dumps, [asked, *older])) + "\n")
    extract_features(read_manifest(manifest), manifest.parent, manifest.with_name("f.csv"), Extraction("32"))
    assert noted[4:] == list(range(8))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("features.json", "not_a_csv"),
        ("features", "not_a_csv"),
        ("rejects.csv", "output_taken"),
        ("f_rejects.csv", "output_taken"),
        ("manifest.csv", "output_is_input"),
        ("sub/../manifest.csv", "output_is_input"),
    ],
)
def test_a_table_that_would_destroy_another_file_is_refused_before_the_work(
    study: Path, tmp_path: Path, name: str, code: str
) -> None:
    manifest, told = tmp_path / "manifest.csv", study.read_bytes()
    manifest.write_bytes(told)
    (tmp_path / "sub").mkdir()
    with pytest.raises(MammoError) as caught:
        extract_features(read_manifest(manifest), study.parent, tmp_path / name, Extraction("32"), source=manifest)
    assert caught.value.code == code
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.csv", "sub"]
    assert manifest.read_bytes() == told


def test_damaged_lines_of_a_journal_are_computed_anew(killed: tuple[Path, list[int]]) -> None:
    manifest, noted = killed
    table, root, part = read_manifest(manifest), manifest.parent, manifest.with_name("f.csv.part")
    head, first, second, third = part.read_bytes().splitlines()
    number, stamp, muscle, values, _, _ = json.loads(second)
    names = list(values)
    wrong = [
        5, None, "words", {}, [], [number], [99, stamp, muscle, values, [], None],
        [-7, stamp, muscle, values, [], None], [[1], stamp, muscle, values, [], None],
        [number, stamp, muscle, None, [], None], [number, stamp, muscle, 5, [], None],
        [number, stamp, muscle, dict.fromkeys(names[1:], 1.0), [], None], [number, stamp, "yes", values, [], None],
        [number, stamp, muscle, dict.fromkeys(names, "1"), [], None],
        [number, stamp, muscle, dict.fromkeys(names, float("nan")), [], None],
        [number, stamp, muscle, dict.fromkeys(names, 10**400), [], None],
        [number, stamp, muscle, values, None, None], [number, stamp, muscle, values, [5], None],
        [number, stamp, None, None, None, ["a"]], [number, stamp, None, None, None, 5],
        [number, stamp, None, None, None, [1, 2, 3, 4]],
        [number, stamp, None, None, None, [table["path"][1], "file_missing", "not there", ""]],
        [number, stamp, None, None, None, [table["path"][1], "unforeseen", "OSError: a disk that was away", ""]],
    ]  # fmt: skip
    bytes_ = [second[:60] + b"\xff\xfe" + second[60:], b"\xff\xfe\x00", b"[" * 100_000, b""]
    part.write_bytes(b"\n".join([head, first, *(json.dumps(line).encode() for line in wrong), *bytes_, third]))
    extract_features(table, root, root / "f.csv", Extraction("32"))
    assert noted[4:] == [1, 3, 4, 5, 6, 7]
    assert (root / "f.csv").read_bytes() == whole(table, root, root / "g.csv")


def test_a_journal_that_is_no_text_begins_anew(killed: tuple[Path, list[int]]) -> None:
    manifest, noted = killed
    manifest.with_name("f.csv.part").write_bytes(b"\xff\xfe\x00\n5\n")
    extract_features(read_manifest(manifest), manifest.parent, manifest.with_name("f.csv"), Extraction("32"))
    assert noted[4:] == list(range(8))


def test_settings_that_are_none(tmp_path: Path, study: Path) -> None:
    with pytest.raises(MammoError, match="--set '33' is unknown"):
        Extraction("33")
    with pytest.raises(MammoError, match="--region 'nipple' is unknown"):
        Extraction(region="nipple")
    assert stored_extraction(tmp_path / "f.csv") is None
    write_json(tmp_path / "f.json", {"extraction": {"names": "32", "white": 4095}})
    with pytest.raises(MammoError, match="white at 4095"):
        stored_extraction(tmp_path / "f.csv")
    with pytest.raises(MammoError, match="is a folder"):
        extract_features(read_manifest(study), study.parent, tmp_path)

"""A second list of an archive reads only what is new, and says what a first one would say."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.reading import seen_before
from mammo_tf.reading.collections import collect
from mammo_tf.reading.facts import Facts
from mammo_tf.reading.folder_volumes import Asked, Seen
from mammo_tf.reading.seen_before import SeenBefore
from mammo_tf.study import rejects_text, write_manifest

sys.path.insert(0, str(Path(__file__).parents[1]))
from planted import FILES, copies, traces  # noqa: E402 - it lies above this file

LOOKED_AT_AGAIN = ["deflate_bomb.dcm"]  # too large: a machine with more memory may say otherwise
GOLDEN = Path(__file__).parents[1] / "golden" / "dicom"


@pytest.fixture(autouse=True)
def old_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of these tests are as young as can be."""
    monkeypatch.setattr(seen_before, "YOUNG_S", -60.0)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were looked at, by name: those that go to worker processes to be read whole."""
    found: list[str] = []

    def each_file(work: Callable[..., Any], items: list[Any], *_: Any) -> Any:
        for item in items:
            if isinstance(item, Asked):
                found.append(item.path.name)
            try:
                yield item, work(item)
            except MammoError as error:
                yield item, error

    monkeypatch.setattr(seen_before, "each_file", each_file)
    return found


def written(root: Path, out: Path, kept: Path | None) -> tuple[bytes, str]:
    """What the two tables hold."""
    table, rejects = collect("folder", root, **({} if kept is None else {"seen_before": kept}))
    write_manifest(table, out)
    return out.read_bytes(), rejects_text(rejects)


def archive(root: Path) -> Path:
    """Sound and hostile files, a series of slices, pictures without a header, and a table that names two."""
    shutil.copytree(GOLDEN / "traits", root / "traits")
    shutil.copytree(GOLDEN / "hostile", root / "hostile")
    shutil.copytree(GOLDEN / "dbt" / "ct_per_slice", root / "slices")
    cv2.imwrite(str(root / "a.png"), np.full((80, 70), 9, np.uint8))
    (root / "labels.csv").write_text(
        "path,label,patient_id,laterality,view\na.png,benign,P7,L,CC\ntraits/complete.dcm,,P8,,\n"
    )
    return root


def test_a_grown_archive_is_read_where_it_has_grown(tmp_path: Path, looked: list[str]) -> None:
    root, kept = archive(tmp_path / "root"), tmp_path / "seen.jsonl"
    fresh = written(root, tmp_path / "m.csv", None)
    assert written(root, tmp_path / "m.csv", kept) == fresh
    looked.clear()
    assert written(root, tmp_path / "m.csv", kept) == fresh
    assert looked == LOOKED_AT_AGAIN
    looked.clear()
    shutil.copy(GOLDEN / "codecs" / "rle_dcmtk.dcm", root / "new.dcm")  # new, gone, changed, said otherwise
    (root / "traits" / "complete.dcm").unlink()
    path = root / "traits" / "name_utf8.dcm"
    header = pydicom.dcmread(path)
    header.ImageLaterality = {"L": "R", "R": "L"}[header.ImageLaterality]
    header.save_as(path)
    table = root / "labels.csv"
    table.write_text(table.read_text().replace("a.png,benign,P7,L,CC", "a.png,benign,P7,R,CC"))
    found = written(root, tmp_path / "m.csv", kept)
    assert sorted(looked) == sorted([*LOOKED_AT_AGAIN, "a.png", "name_utf8.dcm", "new.dcm"])
    looked.clear()
    assert found == written(root, tmp_path / "m.csv", None) != fresh
    looked.clear()
    next(iter((root / "slices").iterdir())).unlink()
    found = written(root, tmp_path / "m.csv", kept)
    assert looked == [*LOOKED_AT_AGAIN, "slices"]  # of a volume all slices are looked at again
    looked.clear()
    assert found == written(root, tmp_path / "m.csv", None)


def test_the_same_length_and_time_are_not_enough(tmp_path: Path, looked: list[str]) -> None:
    """A tool that puts the old time back after it has changed a byte."""
    path, kept = tmp_path / "root" / "a.png", tmp_path / "seen.jsonl"
    path.parent.mkdir()
    cv2.imwrite(str(path), np.full((80, 70), 9, np.uint8))
    times = path.stat()
    first = written(path.parent, tmp_path / "m.csv", kept)
    data = bytearray(path.read_bytes())
    data[24] = 77  # a depth that there is not
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert written(path.parent, tmp_path / "m.csv", kept) != first
    assert looked == ["a.png", "a.png"]


@pytest.mark.parametrize("change", ["key", "package", "root", "damage", "young"])
def test_what_was_seen_otherwise_is_not_taken(
    change: str, tmp_path: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, kept = tmp_path / "root", tmp_path / "seen.jsonl"
    root.mkdir()
    shutil.copy(GOLDEN / "traits" / "complete.dcm", root)
    if change == "young":
        monkeypatch.setattr(seen_before, "YOUNG_S", 60.0)
    written(root, tmp_path / "m.csv", kept)
    if change == "key":
        monkeypatch.setenv("MAMMO_TF_KEY", "another")
    if change == "package":
        monkeypatch.setattr(seen_before, "made_by", lambda: "another")
    if change == "root":
        root = root.rename(tmp_path / "moved")
    if change == "damage":
        kept.write_bytes(kept.read_bytes()[:-9])
    assert written(root, tmp_path / "m.csv", kept) == written(root, tmp_path / "m.csv", None)
    assert looked == ["complete.dcm"] * 3


def test_nobodys_name_is_kept(tmp_path: Path) -> None:
    files, kept = copies(tmp_path / "root"), tmp_path / "seen.jsonl"
    table, _ = collect("folder", tmp_path / "root", seen_before=kept)
    headers = [pydicom.dcmread(path, stop_before_pixels=True, force=True) for path in files]
    names = {str(one.get(word, "")) for one in headers for word in ("PatientID", "SeriesInstanceUID", "SOPInstanceUID")}
    assert len(kept.read_text().splitlines()) == len(FILES) + 1
    assert set(table["patient_id"]) - {""} <= set(re.findall(r"[0-9a-f]{20}", kept.read_text()))
    assert traces([kept], (), tuple(names - {""})) == []
    kept.unlink()
    collect("folder", tmp_path / "root", seen_before=kept, keep_identifiers=True)
    assert not kept.exists()


def test_who_is_whose_is_weighed_by_the_archives_own_words(tmp_path: Path, write_dicom: Callable[..., Any]) -> None:
    """Of patients seen before the header is asked again: their identifiers differ from a new one's in `.0` alone."""
    root, kept = tmp_path / "root", tmp_path / "seen.jsonl"
    root.mkdir()
    write_dicom(root / "a.dcm", PatientID="4711")
    before, _ = written(root, tmp_path / "m.csv", kept)
    write_dicom(root / "b.dcm", np.roll(pydicom.dcmread(root / "a.dcm").pixel_array, 1, 0), PatientID="4711.0")
    found = written(root, tmp_path / "m.csv", kept)
    assert b"differs from another's" in found[0] and b"differs" not in before
    assert found == written(root, tmp_path / "m.csv", None)


def test_a_file_of_its_own_kind_in_the_root_is_not_listed(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "traits" / "complete.dcm", tmp_path)
    kept = tmp_path / "seen.jsonl"
    for _ in range(2):
        assert collect("folder", tmp_path, seen_before=kept)[1] == []


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
facts = st.builds(
    Facts, path=st.just(Path("/r/a")), rows=st.integers(1, 9999), columns=st.integers(1, 9999), modality=words,
    spacing_mm=st.none() | st.tuples(numbers, numbers), windows=st.lists(st.tuples(numbers, numbers)).map(tuple),
    padding=st.none() | st.tuples(st.integers(), st.integers()), age=st.none() | numbers,
    implant=st.none() | st.booleans(),
    warnings=st.lists(words).map(tuple), modifiers=st.lists(words).map(tuple), manufacturer=words,
)  # fmt: skip
errors = st.builds(MammoError, words, words, words)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=errors | st.builds(Seen, facts, words, st.just(""), words, st.none() | errors, st.integers(0, 9)))
def test_every_answer_comes_back_as_it_was(answer: Seen | MammoError, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    answer = answer._replace(facts=replace(answer.facts, path=path)) if isinstance(answer, Seen) else answer
    asked = Asked(path, {}, False)
    with SeenBefore(tmp_path / "seen.jsonl", tmp_path) as first:
        first._keep(asked, "a", seen_before._stamps(asked), answer, time.time_ns())
        first.write()
    with SeenBefore(tmp_path / "seen.jsonl", tmp_path) as second:
        again = second._known(asked, "a")
    if isinstance(answer, Seen):
        assert isinstance(again, Seen)
        assert again._replace(unless=None) == answer._replace(unless=None)
        assert said(again.unless) == said(answer.unless)
    else:
        assert isinstance(again, MammoError) or answer.code in seen_before.PASSING
        assert again is None or said(again) == said(answer)


def said(error: MammoError | None) -> tuple[str, ...]:
    return () if error is None else (error.code, error.sentence, error.remedy)


def test_a_full_temporary_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(seen_before.tempfile, "TemporaryFile", Full)
    (tmp_path / "a").touch()
    asked = Asked(tmp_path / "a", {}, False)
    old = time.time_ns() + int(60e9)
    with SeenBefore(tmp_path / "seen.jsonl", tmp_path) as seen, pytest.raises(MammoError) as caught:
        seen._keep(asked, "a", seen_before._stamps(asked), MammoError("not_dicom", "no", ""), old)
    assert caught.value.code == "disk_full"

"""Identifiers leave as keyed hashes, and nothing else that tells who somebody is leaves at all."""

from __future__ import annotations

import json
import logging
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

from mammo_tf import reading
from mammo_tf.errors import MammoError
from mammo_tf.reading import collections, identity
from mammo_tf.reading.data_set import DataSet, Element, Form
from mammo_tf.reading.header_facts import tells_who
from mammo_tf.study import write_manifest, write_rejects

GOLDEN = Path(__file__).parents[1] / "golden" / "dicom"
CANARIES = json.loads((GOLDEN / "canaries.json").read_text())["canaries"]
FILES = sorted({canary["file"] for canary in CANARIES})


def planted(file: str) -> Iterator[bytes]:
    """The strings planted in a file but for its own name: `path` is exempt, and tested below."""
    for canary in CANARIES:
        if canary["file"] == file and canary["element"] != "file name":
            yield canary["string"].encode()
            if "bytes" in canary:
                yield bytes.fromhex(canary["bytes"])


def test_there_are_as_many_canaries_as_the_readme_says() -> None:
    assert (len(CANARIES), len(FILES)) == (121, 21)


@pytest.mark.parametrize("file", FILES)
def test_no_fact_message_log_or_warning_tells_who_it_is(
    file: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    path = GOLDEN / file
    told = []
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        told.append(repr(reading.volume_facts(path)))
        list(reading.frames(path))
        reading.read_stored(path)
        for broken in ("lut7", "window99"):
            with pytest.raises(MammoError) as caught:
                reading.read(path, voi=broken)
            told.append(repr(caught.value))
    told += [str(warning.message) for warning in heard]
    told += [caplog.text, *capfd.readouterr()]
    text = "\n".join(told).encode()
    assert not [string for string in planted(file) if string in text]


def test_no_manifest_or_reject_tells_who_it_is(tmp_path: Path) -> None:
    table, rejects = collections.collect("folder", GOLDEN)
    write_manifest(table.drop(columns="path"), tmp_path / "manifest.csv")
    write_rejects([reject._replace(path="") for reject in rejects], tmp_path / "rejects.csv")
    written = (tmp_path / "manifest.csv").read_bytes() + (tmp_path / "rejects.csv").read_bytes()
    for canary in CANARIES:
        assert canary["string"].encode() not in written
        assert "bytes" not in canary or bytes.fromhex(canary["bytes"]) not in written
    assert set(FILES) <= set(table["path"]) | {reject.path for reject in rejects if reject.code == "duplicate"}


def test_cutting_a_file_anywhere_tells_nothing(tmp_path: Path) -> None:
    file = "codecs/implicit_le.dcm"
    whole = (GOLDEN / file).read_bytes()
    path = tmp_path / "cut.dcm"
    for length in range(140, 1700, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(MammoError) as caught:
            reading.read(path)
        assert not [string for string in planted(file) if string in repr(caught.value).encode()]


def test_hashes_hang_on_key_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMO_TF_KEY", "one")
    first = identity.keyed_hash("patient", "4711")
    assert first == identity.keyed_hash("patient", "4711")
    assert len(first) == identity.DIGITS
    assert first != identity.keyed_hash("exam", "4711")
    assert identity.keyed_hash("patient", "") == ""
    monkeypatch.setenv("MAMMO_TF_KEY", "two")
    assert first != identity.keyed_hash("patient", "4711")


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAMMO_TF_KEY")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    identity._stored_key.cache_clear()
    first = identity.keyed_hash("patient", "4711")
    key = identity.key_path()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in key.parent.iterdir()] == ["key"]
    identity._stored_key.cache_clear()
    assert identity.keyed_hash("patient", "4711") == first


def test_a_key_that_cannot_be_kept_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAMMO_TF_KEY")
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "empty"):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
        if folder.name == "empty":
            identity.key_path().parent.mkdir(parents=True)
            identity.key_path().write_text("\n")
        with pytest.raises(MammoError) as caught:
            identity.keyed_hash("patient", "4711")
        assert caught.value.code == "key_unusable"


IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SOPInstanceUID")


def test_kept_identifiers_are_the_archives_own_and_nothing_else_is_kept(tmp_path: Path) -> None:
    """All planted strings but those in the identifiers stay inside."""
    table, rejects = collections.collect("folder", GOLDEN / "traits", keep_identifiers=True)
    hashed, _ = collections.collect("folder", GOLDEN / "traits")
    assert hashed["path"].tolist() == table["path"].tolist()
    write_manifest(table.drop(columns="path"), tmp_path / "manifest.csv")
    write_rejects([reject._replace(path="") for reject in rejects], tmp_path / "rejects.csv")
    written = (tmp_path / "manifest.csv").read_bytes() + (tmp_path / "rejects.csv").read_bytes()
    mine = {canary["string"] for canary in CANARIES if canary["element"] in IDENTIFIERS}
    for canary in CANARIES:
        if canary["string"] not in mine:
            assert canary["string"].encode() not in written, canary
    for row, other in zip(table.to_dict("records"), hashed.to_dict("records"), strict=True):
        header = pydicom.dcmread(GOLDEN / "traits" / row["path"], force=True)
        assert row["exam_id"] == header.get("StudyInstanceUID", "")
        assert row["image_id"] == header.SOPInstanceUID
        assert other["patient_id"] == identity.keyed_hash(
            "patient", header.get("PatientID", "") or ""
        ) or not header.get("PatientID")
        assert row["patient_id"] in (header.get("PatientID"), other["patient_id"], row["exam_id"])


@pytest.mark.parametrize(
    ("name", "birth", "identifier", "tells"),
    [
        ("Doe^Jane", "19600512", "4711", False),
        ("Doe^Jane", "19600512", "DOE-4711", True),
        ("Doe^Jane", "19600512", "A19600512", True),
        ("Doe^Jane", "19600512", "1960-05-12/2", True),
        ("Doe^Jane", "", "x_jane", True),
        ("Li^Bo", "", "BOL-17-LIMA", False),
        ("山田^太郎", "", "山田17", True),
        ("", "", "4711", False),
    ],
)
def test_an_identifier_that_tells_who_it_is_is_hashed_nevertheless(
    name: str, birth: str, identifier: str, tells: bool
) -> None:
    elements = {
        0x00100010: Element("PN", name.encode()),
        0x00100030: Element("DA", birth.encode()),
    }
    assert tells_who(DataSet(elements, Form(implicit=False)), identifier) is tells


def test_tables_of_labels_keep_theirs_too(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 20), 9, np.uint8))
    (tmp_path / "labels.csv").write_text("path,patient_id,exam_id,pair_id\na.png,P1,E1,C1\n")
    kept, _ = collections.collect("folder", tmp_path, keep_identifiers=True)
    assert kept[["image_id", "patient_id", "exam_id", "pair_id"]].values.tolist() == [["a.png", "P1", "E1", "C1"]]
    hashed, _ = collections.collect("folder", tmp_path)
    assert not hashed[["image_id", "patient_id", "exam_id", "pair_id"]].isin(["a.png", "P1", "E1", "C1"]).any(axis=None)

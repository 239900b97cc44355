"""Whole commands on files with planted identities: none turns up in any byte of what is written, printed or logged.

The long ones walk the rest of the road: run, report, release, node.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pydicom
import pytest

from mammo_tf.cli.main import main
from mammo_tf.records import open_records
from mammo_tf.study import read_manifest, write_manifest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "serving")]
import dicom_objects as made  # noqa: E402 - it lies above this file
from planted import FILES, GOLDEN, copies, planted, traces, unfolded  # noqa: E402
from stump import STUMP  # noqa: E402

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
UNSEEN = ("traits/CANARY-FILE-SHARED^Doe.dcm", "codecs/deflated.dcm")  # a name of a file, and a bare deflated stream
MISPLACED = "Canary^Misplaced"  # as many letters as a number written as text may have
PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The planted files, and a table of labels."""
    folder = tmp_path / "archive"
    paths = copies(folder)
    lines = [f"{path.name},{('normal', 'malignant')[number % 2]}" for number, path in enumerate(paths)]
    (folder / "labels.csv").write_text("path,label\n" + "\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def uids() -> tuple[str, ...]:
    """What names studies, series and images in the planted files."""
    headers = [pydicom.dcmread(GOLDEN / file, stop_before_pixels=True, force=True) for file in FILES]
    return tuple(sorted({str(header.get(keyword, "")) for header in headers for keyword in UIDS} - {""}))


class Heard:
    """What commands print and log; `all` has it as texts."""

    def __init__(self, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        self.capfd, self.caplog, self.all = capfd, caplog, []
        caplog.set_level(logging.DEBUG)

    def says(self, *arguments: object, code: int = 0) -> str:
        """What a command with `-v` prints."""
        found = main(["-v", *map(str, arguments)])
        said = "".join(self.capfd.readouterr())
        self.all += [said, self.caplog.text]
        self.caplog.clear()
        assert found == code, said
        return said


@pytest.fixture
def heard(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Heard:
    return Heard(capfd, caplog)


def test_the_search_finds_what_is_hidden(tmp_path: Path) -> None:
    """In the planted files themselves, in an archive within an archive, in another encoding, in base64."""
    import base64
    import gzip
    import zipfile

    for path in copies(tmp_path / "files"):
        plain = FILES[int(path.stem)]
        assert bool(traces([path])) == (plain not in UNSEEN), plain
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as outer:
        outer.writestr("b.bin", b"x" + gzip.compress("y19130321y Ada".encode("utf-16-le")))
    (tmp_path / "page.html").write_bytes(b"<img src='" + base64.b64encode(b"-" * 30 + "Łącka-Canary".encode()) + b"'>")
    (tmp_path / "19130321.png").write_bytes(b"")
    (tmp_path / "sound.json").write_text('{"number": 0.191303219, "digest": "ab1913032100"}')
    for name, number in (("a.keras", 1), ("page.html", 1), ("19130321.png", 1), ("sound.json", 0)):
        assert bool(traces([tmp_path / name])) == number, name
    assert len(list(unfolded((tmp_path / "a.keras").read_bytes()))) == 3
    assert planted(("1.2.3.4.5",)).search(b"uid 1.2.3.4.5")


def test_no_command_from_files_to_scores_tells_who_it_is(
    archive: Path, uids: tuple[str, ...], tmp_path: Path, heard: Heard
) -> None:
    out = tmp_path / "out"
    listed, prepared = out / "manifest.csv", out / "prepared"
    heard.says("manifest", "folder", archive, "-o", out)
    heard.says("inspect", listed, "--root", archive, "--sheet", out / "sheet.png")
    heard.says("prepare", listed, "--root", archive, "-o", prepared, "--size", "64x48")
    heard.says("features", listed, "--root", archive, "-o", out / "features.csv")
    assert len(read_manifest(listed)) == len(open_records(prepared).rows) == 19  # two hold the pixels of a third
    model = made.save_classifier(tmp_path / "tiny.keras")
    heard.says("predict", model, *sorted(archive.glob("*.dcm")), "-o", out / "p.csv", "--sheet", out / "p.png")
    assert len(pd.read_csv(out / "p.csv")) == len(FILES)
    cut = tmp_path / "cut"
    cut.mkdir()
    for path in archive.glob("*.dcm"):
        data = path.read_bytes()
        (cut / path.name).write_bytes(data[: len(data) * 2 // 3])
    heard.says("manifest", "folder", cut, "-o", out / "cut", code=2)
    heard.says("predict", model, *sorted(cut.iterdir()), "-o", out / "cut.csv", code=2)
    assert traces([out], heard.all, uids) == []


def damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A sound file, many times, each time with a name where something else should stand."""
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    numbers = ("WindowCenter", "WindowWidth", "PixelSpacing", "ImagerPixelSpacing", "RescaleSlope", "RescaleIntercept")
    numbers += ("EstimatedRadiographicMagnificationFactor", "NumberOfFrames", "SeriesNumber", "InstanceNumber")
    words = ("PatientAge", "ViewPosition", "ImageLaterality", "PatientOrientation", "PhotometricInterpretation")
    words += ("ImageType", "Modality", "BodyPartExamined", "PresentationIntentType", "ConversionType", "SOPClassUID")
    words += (
        *UIDS,
        "VOILUTFunction",
        "SpecificCharacterSet",
        "PresentationLUTShape",
        "BurnedInAnnotation",
        "StudyDate",
    )
    words += ("StudyTime", "PatientSex", "PaddleDescription", "ContentDate", "Rows", "BitsStored", "ViewCodeSequence")
    folder.mkdir()
    found = []
    for keyword in (*numbers, *words):
        header = pydicom.dcmread(GOLDEN / "traits" / "complete.dcm")
        header.pop(keyword, None)
        header.add_new(keyword, "LO", "PLACEHOLDER-FOR-")
        found.append(folder / f"{len(found):02d}.dcm")
        pydicom.dcmwrite(found[-1], header)
        found[-1].write_bytes(found[-1].read_bytes().replace(b"PLACEHOLDER-FOR-", MISPLACED.encode()))
    syntax = (GOLDEN / "traits" / "complete.dcm").read_bytes()
    found.append(folder / "syntax.dcm")
    found[-1].write_bytes(syntax.replace(b"1.2.840.10008.1.2.1\0", f"{MISPLACED}\0\0\0\0".encode()))
    return found


def test_a_name_where_something_else_should_stand_is_told_nobody(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, out = damaged(tmp_path / "damaged", monkeypatch), tmp_path / "out"
    heard.says("manifest", "folder", files[0].parent, "-o", out)
    model = made.save_classifier(tmp_path / "tiny.keras")
    heard.says("predict", model, *files, "-o", out / "p.csv", "--dicom-out", tmp_path / "objects")
    told = [out, *(tmp_path / "objects").glob("*.csv")]  # the objects themselves name the patient
    assert traces(told, [*heard.all, *(path.name for path in (tmp_path / "objects").rglob("*"))]) == []


@pytest.mark.long
def test_no_run_report_or_release_tells_who_it_is(
    archive: Path, uids: tuple[str, ...], tmp_path: Path, heard: Heard
) -> None:
    out = tmp_path / "out"
    listed, prepared, run = out / "manifest.csv", out / "prepared", out / "run"
    heard.says("manifest", "folder", archive, "-o", out)
    table = read_manifest(listed)  # by folder: the files of each show one picture
    folders = [FILES[int(Path(place).stem)].split("/")[0] for place in table["path"]]
    splits = {"codecs": "train", "dbt": "train", "traits": "validation", "display": "test"}
    write_manifest(table.assign(split=[splits[folder] for folder in folders]), listed)
    heard.says("prepare", listed, "--root", archive, "-o", prepared, "--size", "128x128")
    settings = ("--smoke", "--set", f"network.backbone={STUMP}", "--set", "evaluation.replicates=20")
    heard.says("run", PIPELINES / "whole_image.py", *settings, "--data", prepared, "-o", run)
    heard.says("report", run)
    heard.says("export", run, "--root", out / "saved_models")
    heard.says("predict", out / "saved_models" / "run", listed, "--root", archive, "-o", out / "after.csv")
    heard.says("evaluate", out / "after.csv", "--replicates", 20, "-o", out / "evaluated")
    heard.says("shift", run, listed, "--root", archive, "-o", out / "shift", code=2)  # too few
    assert (run / "report.html").stat().st_size > 10_000
    assert traces([out], heard.all, uids) == []


@contextmanager
def running(spool: Path, model: Path, port: int) -> Iterator[int]:
    """A node that sends to a port of this machine; gives its own."""
    from mammo_tf.serving import open_scorer
    from mammo_tf.serving.node import Node, NodeSettings
    from mammo_tf.serving.node_peers import Peer

    peer = Peer("ARCHIVE", "127.0.0.1", port)
    node = Node(open_scorer(model), NodeSettings("MAMMO", ("MODALITY",), (peer,), spool, port=0, quiet_s=1.0))
    listening = threading.Event()
    thread = threading.Thread(target=node.run, args=(lambda _: listening.set(),))
    thread.start()
    try:
        assert listening.wait(60)
        yield node.port
    finally:
        node.stop()
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.long
def test_a_node_keeps_nobodys_name_when_it_has_answered(
    archive: Path, uids: tuple[str, ...], tmp_path: Path, heard: Heard
) -> None:
    import node_network as network

    logging.getLogger("mammo_tf").setLevel(logging.DEBUG)
    spool, files = tmp_path / "spool", sorted(archive.glob("*.dcm"))
    model = made.save_classifier(tmp_path / "tiny.keras")
    with network.archive() as found, running(spool, model, found.port) as port:
        sent = [status for path in files for status in network.send(port, [path])]
        assert sent.count(0) >= 15  # a node takes what has a study
        network.wait_for(lambda: network.is_empty(spool) and len(found.of("SR")) >= 10, 120)
        assert traces([spool / "log"], [path.name for path in spool.rglob("*")], uids) == []
    assert any(planted().search(str(one.PatientName).encode()) for one in found.of("SR"))  # names have arrived
    heard.all += ["".join(heard.capfd.readouterr()), heard.caplog.text]
    assert (spool / "log" / "receipts.csv").stat().st_size > 1000
    assert traces([spool], heard.all, uids) == []

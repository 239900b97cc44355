"""A node on loopback: what it acknowledges it answers, whatever happens to it, and it tells nobody's name."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pydicom
import pytest

from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.reading.identity import keyed_hash
from mammo_tf.serving import open_scorer
from mammo_tf.serving.dicom_read import read_results
from mammo_tf.serving.node import Node, NodeSettings
from mammo_tf.serving.node_peers import Peer, Tls, checked_title
from mammo_tf.serving.node_spool import Spool
from mammo_tf.serving.node_web import WebPeer, parsed_peer
from mammo_tf.serving.scorer import Scorer

sys.path.insert(0, str(Path(__file__).parent))
import dicom_objects as made  # noqa: E402 - objects that more than one file of tests asks for
from node_network import WebArchive, archive, echo, is_empty, left_in, send, wait_for  # noqa: E402

SECRETS = ("CANARY", "GRETEL", made.BIRTH, "PID")


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return open_scorer(made.save_classifier(tmp_path_factory.mktemp("node") / "tiny.keras"))


@pytest.fixture(scope="module")
def exams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two exams of two views, one positive; and one broken file, whose pixels end too early."""
    folder = tmp_path_factory.mktemp("sent")
    for number, bright in ((1, True), (2, False)):
        for view in ("CC", "MLO"):
            path = folder / f"exam{number}" / f"L{view}.dcm"
            made.write_image(path, f"PID{number}", f"exam{number}", "L", view, seed=number, bright=bright)
    broken = made.write_image(folder / "broken.dcm", "PID1", "exam1", "R", "CC", seed=5)
    broken.PixelData = broken.PixelData[:1000]
    broken.save_as(folder / "broken.dcm")
    return folder


@contextmanager
def running(scorer: Scorer, settings: NodeSettings) -> Iterator[Node]:
    """A node as long as the body runs."""
    node = Node(scorer, settings)
    listening = threading.Event()
    thread = threading.Thread(target=node.run, args=(lambda _: listening.set(),))
    thread.start()
    try:
        assert listening.wait(20)
        yield node
    finally:
        node.stop()
        thread.join(20)
        assert not thread.is_alive()


def settings_of(spool: Path, port: int, **more: Any) -> NodeSettings:
    peer = Peer("ARCHIVE", "127.0.0.1", port)
    plain: dict[str, Any] = {"port": 0, "quiet_s": 0.4, "first_wait_s": 0.2}
    return NodeSettings("MAMMO", ("MODALITY",), (peer,), spool, **(plain | more))


def receipts(spool: Path) -> pd.DataFrame:
    return pd.read_csv(spool / "log" / "receipts.csv", keep_default_na=False)


def test_an_exam_comes_back_as_report_and_segmentation(scorer: Scorer, exams: Path, tmp_path: Path, capfd: Any) -> None:
    spool = tmp_path / "spool"
    files = [*sorted((exams / "exam1").iterdir()), exams / "broken.dcm", *sorted((exams / "exam2").iterdir())]
    with archive() as found, running(scorer, settings_of(spool, found.port)) as node:
        assert echo(node.port) == 0
        assert echo(node.port, caller="STRANGER") is None
        assert echo(node.port, called="OTHER") is None
        assert send(node.port, files, caller="STRANGER") == []
        assert send(node.port, files) == [0] * 5
        wait_for(lambda: len(found.of("SR")) == 2 and is_empty(spool))
        assert send(node.port, files[:1]) == [0]  # it lives on
        wait_for(lambda: len(found.of("SR")) == 3 and is_empty(spool))
    by_study: dict[str, Any] = {}
    for one in found.of("SR")[:2]:
        one.save_as(tmp_path / "report.dcm", enforce_file_format=True)
        by_study[one.StudyInstanceUID] = read_results(tmp_path / "report.dcm")
        assert str(one.PatientName) == made.NAME
    first, second = (pydicom.dcmread(exams / f"exam{number}" / "LCC.dcm").StudyInstanceUID for number in (1, 2))
    assert by_study[first].exam.decision is True
    assert by_study[second].exam.decision is False
    assert [len(by_study[study].images) for study in (first, second)] == [2, 2]
    assert {one.StudyInstanceUID for one in found.of("SEG")} == {first}
    assert set(by_study[first].segmentations) <= {one.SOPInstanceUID for one in found.of("SEG")}
    told = receipts(spool)
    assert list(told["event"]).count("received") == 6
    assert list(told["event"]).count("delivered") == 3
    assert set(told.loc[told["exam"] != "", "exam"]) == {keyed_hash("exam", study) for study in (first, second)}
    rejects = pd.read_csv(spool / "log" / "rejects.csv")
    assert len(rejects) == 1
    assert rejects["path"][0] == keyed_hash("image", pydicom.dcmread(exams / "broken.dcm").SOPInstanceUID)
    logs = "".join(path.read_text() for path in (spool / "log").iterdir()) + "".join(capfd.readouterr())
    assert not any(secret in logs for secret in (*SECRETS, first, second))
    for path in (spool, *(spool / name for name in ("incoming", "outgoing", "log", "new"))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((spool / "log" / "receipts.csv").stat().st_mode) == 0o600


def test_deliveries_are_tried_again_and_a_stopped_node_resumes(scorer: Scorer, exams: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with archive() as away:
        port = away.port
    files = sorted((exams / "exam1").iterdir())
    with running(scorer, settings_of(spool, port, quiet_s=600.0, views=2)) as node:
        assert send(node.port, files) == [0, 0]
        wait_for(lambda: "not_delivered" in set(receipts(spool)["event"]))
        assert send(node.port, sorted((exams / "exam2").iterdir())[:1]) == [0]
    assert len(left_in(spool)) == 4  # a report and two segmentations on the way out, an image of an exam not complete
    working = spool / "working"  # as a node leaves it that is killed while it scores
    for exam in (spool / "incoming").iterdir():
        exam.rename(working / exam.name)
    (spool / "new" / "half").write_bytes(b"never acknowledged")
    with archive(port, refusals=1) as found, running(scorer, settings_of(spool, port)):
        wait_for(lambda: len(found.of("SR")) == 2 and is_empty(spool))
    assert len(found.of("SEG")) == 2
    assert not list((spool / "new").iterdir())
    assert "status 0xA700" in set(receipts(spool)["detail"])


def test_a_peer_without_segmentations_gets_the_reports(scorer: Scorer, exams: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    kinds = (pydicom.uid.ComprehensiveSRStorage,)
    settings = settings_of(spool, 1, views=2)
    with archive(kinds=kinds) as few, archive() as all_kinds:
        peers = tuple(Peer("ARCHIVE", "127.0.0.1", one.port) for one in (few, all_kinds))
        with running(scorer, replace(settings, peers=peers)) as node:
            assert send(node.port, sorted((exams / "exam1").iterdir())) == [0, 0]
            wait_for(lambda: len(all_kinds.objects) == 3 and few.objects and is_empty(spool))
    assert [one.Modality for one in few.objects] == ["SR"]
    assert sorted(one.Modality for one in all_kinds.objects) == ["SEG", "SEG", "SR"]
    events = list(receipts(spool)["event"])
    assert events.count("partly_delivered") == 1
    assert events.count("delivered") == 1


def test_what_the_disk_does_not_have_is_not_acknowledged(
    scorer: Scorer, exams: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    spool = tmp_path / "spool"
    files = sorted((exams / "exam1").iterdir())

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with running(scorer, settings_of(spool, 9, quiet_s=600.0)) as node:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            assert send(node.port, files) == [0xA700, 0xA700]
        assert left_in(spool) == []
        assert list((spool / "new").iterdir()) == []
        with monkeypatch.context() as patched:
            usage = shutil.disk_usage(tmp_path)
            patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
            assert send(node.port, files) == [0xA700, 0xA700]
        assert send(node.port, files) == [0, 0]
        assert len(left_in(spool)) == 2
        nameless = pydicom.dcmread(files[0])
        del nameless.StudyInstanceUID
        nameless.save_as(tmp_path / "nameless.dcm")
        assert send(node.port, [tmp_path / "nameless.dcm"]) == [0xC000]
        with pytest.raises(MammoError) as caught:
            Node(scorer, replace(node.settings, spool=tmp_path / "other", port=node.port)).run()
        assert caught.value.code == "port_taken"
        with pytest.raises(MammoError) as caught:
            Spool(spool / "log" / "receipts.csv")
        assert caught.value.code == "not_a_folder"
    assert len(left_in(spool)) == 2
    assert pd.read_csv(spool / "log" / "rejects.csv")["code"].to_list() == ["not_understood"]


def test_an_exam_that_cannot_be_scored_is_kept_and_tried_again(
    scorer: Scorer, exams: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    spool = tmp_path / "spool"
    monkeypatch.setattr("mammo_tf.serving.node.TRY_AGAIN_S", 0.3)
    with archive() as found, running(scorer, settings_of(spool, found.port, views=2)) as node:
        with monkeypatch.context() as patched:
            patched.setattr("mammo_tf.serving.node.exam_objects", lambda *_: 1 // 0)
            assert send(node.port, sorted((exams / "exam1").iterdir())) == [0, 0]
            wait_for(lambda: "failed" in set(receipts(spool)["event"]))
            assert echo(node.port) == 0
            assert len(left_in(spool)) == 2
        wait_for(lambda: found.of("SR") and is_empty(spool))


def test_what_comes_late_waits_for_the_next_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.put("exam", "a.dcm", b"1")
    spool.put("exam", "b.dcm", b"2")
    assert spool.complete(600.0, None) == []
    assert spool.complete(600.0, 2) == ["exam"]
    assert spool.complete(0.0, None) == ["exam"]
    assert [path.read_bytes() for path in spool.take("exam")] == [b"1", b"2"]
    assert spool.complete(0.0, None) == []
    spool.put("exam", "b.dcm", b"3")
    assert spool.waiting() == {"incoming": 1, "working": 1, "outgoing": 0, "failed": 0}
    again = Spool(tmp_path / "spool")  # killed now: what came last counts
    assert {path.name: path.read_bytes() for path in again.take("exam")} == {"a.dcm": b"1", "b.dcm": b"3"}
    again.finish("exam", {})
    assert again.waiting() == {"incoming": 0, "working": 0, "outgoing": 0, "failed": 0}


def test_results_go_to_a_dicomweb_service(scorer: Scorer, exams: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MAMMO_TF_DICOMWEB_TOKEN", "secret")
    spool = tmp_path / "spool"
    web = WebArchive([(503, []), (202, [0xA700]), (200, [0x0122, 0x0122])])
    try:
        settings = settings_of(spool, 1, views=2)
        with running(scorer, replace(settings, peers=(WebPeer.parsed(web.url + "/"),))) as node:
            assert send(node.port, sorted((exams / "exam1").iterdir())) == [0, 0]
            wait_for(lambda: len(web.posted) == 3 and is_empty(spool))
    finally:
        web.close()
    assert web.posted == [("/dicom-web/studies", "Bearer secret", 3)] * 3
    told = receipts(spool).set_index("event")["detail"]
    assert list(told["not_delivered"]) == ["HTTP 503", "failure 0xA700"]
    assert told["partly_delivered"] == "2 of a kind that the peer does not take"


def test_addresses_are_read_and_passwords_in_them_refused() -> None:
    assert parsed_peer("https://archive/dicom-web/") == WebPeer("https://archive/dicom-web")
    assert parsed_peer("https://archive/dicom-web").title == "archive"
    assert parsed_peer("HTTPS://archive/dicom-web") == WebPeer("https://archive/dicom-web")
    assert parsed_peer("PACS@h:1") == Peer("PACS", "h", 1)
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert parsed_peer(f"http://{host}:8042/dicom-web").title in ("localhost", "127.0.0.1", "::1")
    plain = [f"http://{host}/x" for host in ("archive", "10.0.0.7", "localhost.example", "127.0.0.1.example")]
    for text in ("https://", "https://user:secret@archive/x", "https://archive/x?y=1", *plain):
        with pytest.raises(MammoError) as caught:
            parsed_peer(text)
        assert caught.value.code == "peer_wrong"
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "PACS",
        "PACS@host",
        "PACS@host:0",
        "PACS@host:70000",
        "@host:1",
        "A\\B@h:1",
        "PACS@[::1",
        "PACS@::1:104",
        "PACS@ host:104",
        "PACS@host:１",
        "PACS@host:" + "9" * 5000,
        "PACS@[]:104",
        "PACS@h/x:104",
    ],
)
def test_a_peer_is_a_title_a_host_and_a_port(text: str) -> None:
    with pytest.raises(MammoError):
        Peer.parsed(text)


def test_peers_and_titles_are_read() -> None:
    assert Peer.parsed("MY PACS@10.0.0.7:104") == Peer("MY PACS", "10.0.0.7", 104)
    assert Peer.parsed("A@[::1]:104").host == "::1"
    assert checked_title(" NODE ") == "NODE"
    with pytest.raises(MammoError):
        checked_title("seventeen letters")


def test_bad_options_are_one_line(tmp_path: Path, capsys: Any) -> None:
    def told(*more: str) -> str:
        base = ["node", str(tmp_path / "none.keras"), "--ae-title", "A", "--from", "B", "--spool", str(tmp_path / "s")]
        assert main([*base, *more]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        return lines[0]

    assert "AE@host:port" in told("--to", "PACS")
    assert "all three" in told("--to", "P@h:1", "--key", "k.pem")
    assert "all three" in told("--to", "P@h:1", "--tls-delivery")
    assert "none.keras" in told("--to", "P@h:1")
    with pytest.raises(SystemExit):
        told("--to", "P@h:1", "--port", "70000")
    assert "not a port from 0 to 65535" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, certificates for the node and for others by it, and one by nobody."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")

    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
    for name in ("node", "caller"):
        run("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        run("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    run("req", "-x509", *key, "-keyout", "stranger.key", "-out", "stranger.pem", "-subj", "/CN=stranger", "-days", "2")
    return folder


def test_tls_asks_both_sides_for_a_certificate(scorer: Scorer, exams: Path, certificates: Path, tmp_path: Path) -> None:
    def tls(name: str) -> Tls:
        return Tls(certificates / f"{name}.pem", certificates / f"{name}.key", certificates / "ca.pem")

    files = sorted((exams / "exam1").iterdir())
    spool = tmp_path / "spool"
    with archive(tls=tls("caller").server()) as found:
        settings = settings_of(spool, found.port, tls=tls("node"), tls_delivery=True, views=2)
        with running(scorer, settings) as node:
            assert send(node.port, files) == []  # plain text
            assert send(node.port, files, tls=(tls("stranger").client(), "127.0.0.1")) == []
            assert send(node.port, files, tls=(tls("caller").client(), "127.0.0.1")) == [0, 0]
            wait_for(lambda: len(found.objects) == 3 and is_empty(spool))
    with pytest.raises(MammoError) as caught:
        Tls(certificates / "node.pem", certificates / "caller.key", certificates / "ca.pem").server()
    assert caught.value.code == "certificate_wrong"


@pytest.mark.parametrize("kind", ["ct_per_slice", "sc_per_slice"])
def test_slices_that_come_one_by_one_are_one_volume(kind: str, scorer: Scorer, tmp_path: Path) -> None:
    """Next to a mammogram of the study: two images of the exam, the volume's evidence names all of its slices."""
    spool, study = tmp_path / "spool", "1.2.826.0.1.3680043.8.498.77"
    files = [tmp_path / "sent" / "mammogram.dcm"]
    made.write_image(files[0], "PID7", "exam7", "L", "CC", seed=7)
    for path in sorted((Path(__file__).parents[1] / "golden" / "dicom" / "dbt" / kind).iterdir()):
        files.append(shutil.copy(path, tmp_path / "sent" / path.name))
    slices = set()
    for path in files:
        one = pydicom.dcmread(path)
        one.StudyInstanceUID, one.PatientID, one.PatientName = study, "PID7", made.NAME
        one.save_as(path)
        slices |= {one.SOPInstanceUID} if path != files[0] else set()
    with archive() as found, running(scorer, settings_of(spool, found.port)) as node:
        assert set(send(node.port, files)) == {0}
        wait_for(lambda: len(found.of("SR")) == 1 and is_empty(spool))
    report = found.of("SR")[0]
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    assert len(read_results(tmp_path / "report.dcm").images) == 2
    evidence = {
        item.ReferencedSOPInstanceUID
        for one in report.CurrentRequestedProcedureEvidenceSequence
        for series in one.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert slices <= evidence
    assert not (spool / "log" / "rejects.csv").is_file() or pd.read_csv(spool / "log" / "rejects.csv").empty


def test_slices_of_something_else_are_refused(scorer: Scorer, tmp_path: Path) -> None:
    """CT images that name no breast, in a study without mammograms: taken, never scored, told by one code."""
    spool, files = tmp_path / "spool", []
    for path in sorted((Path(__file__).parents[1] / "golden" / "dicom" / "dbt" / "ct_per_slice").iterdir()):
        one = pydicom.dcmread(path)
        one.Modality, one.BodyPartExamined, one.SeriesDescription = "CT", "CHEST", "Thorax"
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        del one.AnatomicRegionSequence, one.ViewCodeSequence, one.ViewPosition
        files.append(tmp_path / f"{path.name}.dcm")
        one.save_as(files[-1])
    with archive() as found, running(scorer, settings_of(spool, found.port)) as node:
        assert set(send(node.port, files)) == {0}
        wait_for(lambda: is_empty(spool) and "unusable" in set(receipts(spool)["event"]))
    assert not found.objects
    rejects = pd.read_csv(spool / "log" / "rejects.csv")
    assert set(rejects["code"]) == {"wrong_modality"}

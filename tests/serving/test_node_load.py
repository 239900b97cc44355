"""A node as a process of its own: two hundred exams, some files broken, killed again and again; Orthanc and DCMTK."""

from __future__ import annotations

import datetime
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pydicom
import pytest

from mammo_tf.cli.main import main
from mammo_tf.serving.dicom_read import ReadReport, read_results

sys.path.insert(0, str(Path(__file__).parent))
import dicom_objects as made  # noqa: E402 - objects that more than one file of tests asks for
from node_network import Archive, archive, is_empty, send, wait_for  # noqa: E402

pytestmark = pytest.mark.long
EXAMS, KILLS = 200, 4
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@contextmanager
def process(model: Path, spool: Path, port: int, peer: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """`mammo-tf node`, listening; it is told to end with the body, if it still lives."""
    command = [sys.executable, "-m", "mammo_tf", "node", str(model), "--ae-title", "MAMMO", "--from", "MODALITY"]
    command += ["--to", peer, "--spool", str(spool), "--port", str(port), "--quiet", "1", "--retry", "0.5", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert "listens at" in running.stdout.readline(), running.stderr and running.stderr.read()
            yield running
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGTERM)
                assert running.wait(60) == 0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.save_classifier(tmp_path_factory.mktemp("model") / "tiny.keras")


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exams of two views; every tenth file is broken: cut off, without pixels, or of a photometric interpretation that
    there is not."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(EXAMS):
        for place, view in enumerate(("CC", "MLO")):
            path = folder / f"exam{number:03d}" / f"L{view}.dcm"
            made.write_image(path, f"PID{number}", f"exam{number}", "L", view, seed=number, bright=number % 3 == 0)
            count = 2 * number + place
            if count % 10 == 3:
                spoil(path, count // 10 % 3)
    return folder


def spoil(path: Path, way: int) -> None:
    header = pydicom.dcmread(path)
    if way == 0:
        header.PixelData = header.PixelData[:1000]
    elif way == 1:
        del header.PixelData
    else:
        header.PhotometricInterpretation = "CANARYCOLOUR"
    header.save_as(path.with_suffix(".broken"))
    path.unlink()


def test_two_hundred_exams_two_at_once_and_a_killed_node_loses_none(model: Path, sent: Path, tmp_path: Path) -> None:
    port, spool = free_port(), tmp_path / "spool"
    files = [sorted(exam.iterdir()) for exam in sorted(sent.iterdir())]
    acknowledged: list[Path] = []
    lock = threading.Lock()

    def modality(exams: list[list[Path]]) -> None:
        """Sends exam by exam; what is not acknowledged is sent again, as every modality does."""
        for exam in exams:
            left = list(exam)
            while left:
                try:
                    answers = send(port, left)
                except (OSError, RuntimeError, ValueError):
                    answers = []
                with lock:
                    acknowledged.extend(path for path, status in zip(left, answers, strict=False) if status == 0)
                    left = [path for path in left if path not in acknowledged]
                if left:
                    time.sleep(0.3)

    with archive() as found:
        threads = [threading.Thread(target=modality, args=(files[one::2],)) for one in (0, 1)]
        began = time.monotonic()
        for kill in range(KILLS + 1):
            with process(model, spool, port, f"ARCHIVE@127.0.0.1:{found.port}") as node:
                if not kill:
                    for thread in threads:
                        thread.start()
                if kill < KILLS:
                    known = len(acknowledged)
                    wait_for(lambda known=known: len(acknowledged) >= min(known + 60, 2 * EXAMS), 300)
                    time.sleep(0.7 * kill)  # while it takes, scores, or sends
                    node.kill()
                    node.wait()
                    continue
                for thread in threads:
                    thread.join(600)
                wait_for(lambda: is_empty(spool), 600)
        seconds = time.monotonic() - began
    assert len(acknowledged) == len(set(acknowledged)) == 2 * EXAMS
    reports = reports_of(found, tmp_path)
    scored = {uid for report in reports for one in report.images for uid in one.images}
    good = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for exam in files for path in exam
            if path.suffix == ".dcm"}  # fmt: skip
    assert scored == good
    assert len(good) == 2 * EXAMS * 9 // 10
    rejects = pd.read_csv(spool / "log" / "rejects.csv")
    assert rejects["path"].nunique() == 2 * EXAMS // 10
    logs = "".join(path.read_text() for path in (spool / "log").iterdir())
    assert not any(secret in logs for secret in ("CANARY", "GRETEL", made.BIRTH, "PID"))
    print(f"{EXAMS} exams, {KILLS} kills: {seconds:.0f} s, {len(reports)} reports")


def reports_of(found: Archive, folder: Path) -> list[ReadReport]:
    reports = []
    for one in found.of("SR"):
        one.save_as(folder / "report.dcm", enforce_file_format=True)
        reports.append(read_results(folder / "report.dcm"))
    return reports


def test_storescu_of_dcmtk_sends_an_exam(model: Path, sent: Path, tmp_path: Path) -> None:
    if shutil.which("storescu") is None:
        pytest.skip("storescu is not installed; make setup-long does it where there is apt-get")
    files = sorted(str(path) for path in (sent / "exam000").iterdir())
    port = free_port()
    with archive() as found, process(model, tmp_path / "spool", port, f"ARCHIVE@127.0.0.1:{found.port}"):
        base = ["-aec", "MAMMO", "127.0.0.1", str(port)]
        assert subprocess.run(["echoscu", "-aet", "MODALITY", *base], check=False).returncode == 0
        assert subprocess.run(["echoscu", "-aet", "STRANGER", *base], check=False, capture_output=True).returncode != 0
        subprocess.run(["storescu", "-aet", "MODALITY", *base, *files], check=True)
        wait_for(lambda: found.of("SR") and is_empty(tmp_path / "spool"))
    assert len(found.of("SEG")) == 2


@contextmanager
def orthanc(folder: Path) -> Iterator[tuple[int, int, subprocess.Popen[bytes]]]:
    """Orthanc's ports of DICOM and HTTP."""
    program = shutil.which("Orthanc")
    if program is None:
        pytest.skip("Orthanc is not installed; Debian's package orthanc is it, which also starts a service")
    dicom, http = free_port(), free_port()
    settings = {
        "Name": "tests", "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ORTHANC", "DicomPort": dicom, "HttpPort": http, "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False, "DicomCheckCalledAet": True,
        "Plugins": [str(path) for path in [DICOMWEB] if path.is_file()],
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        running = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            wait_for(lambda: reachable(http))
            yield dicom, http, running
        finally:
            running.terminate()
            running.wait(30)


def reachable(http: int) -> bool:
    try:
        return bool(asked(http, "system"))
    except OSError:
        return False


def asked(http: int, path: str, body: object = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{http}/{path}", data=data, timeout=30) as answer:
        return json.loads(answer.read())


def test_orthanc_sends_an_exam_and_gets_its_results(model: Path, sent: Path, tmp_path: Path) -> None:
    port = free_port()
    with orthanc(tmp_path) as (dicom, http, _):
        with process(model, tmp_path / "spool", port, f"ORTHANC@127.0.0.1:{dicom}", "--secondary-capture",
                     "--from", "ORTHANC"):  # fmt: skip
            request = urllib.request.Request(
                f"http://127.0.0.1:{http}/modalities/mammo", method="PUT",
                data=json.dumps({"AET": "MAMMO", "Host": "127.0.0.1", "Port": port}).encode(),
            )  # fmt: skip
            urllib.request.urlopen(request, timeout=30).close()
            assert send(dicom, sorted((sent / "exam000").iterdir()), called="ORTHANC") == [0, 0]
            (study,) = asked(http, "studies")
            asked(http, "modalities/mammo/store", study)
            wait_for(lambda: len(asked(http, "instances")) == 7 and is_empty(tmp_path / "spool"))
        series = asked(http, f"studies/{study}/series")
        assert sorted(one["MainDicomTags"]["Modality"] for one in series) == ["MG", "MG", "OT", "SEG", "SR"]
        (patient,) = asked(http, "patients")
        assert asked(http, f"patients/{patient}")["MainDicomTags"]["PatientName"] == made.NAME
        report = next(one for one in series if one["MainDicomTags"]["Modality"] == "SR")["Instances"][0]
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/instances/{report}/file", timeout=30) as answer:
            (tmp_path / "report.dcm").write_bytes(answer.read())
    assert read_results(tmp_path / "report.dcm").exam.decision is True
    assert not list((tmp_path / "spool" / "outgoing").iterdir())


def test_orthanc_takes_results_by_dicomweb(model: Path, sent: Path, tmp_path: Path) -> None:
    if not DICOMWEB.is_file():
        pytest.skip("Orthanc's DICOMweb is not installed; Debian's package orthanc-dicomweb is it")
    port, spool = free_port(), tmp_path / "spool"
    with (
        orthanc(tmp_path) as (_, http, _),
        process(model, spool, port, f"http://127.0.0.1:{http}/dicom-web", "--secondary-capture"),
    ):
        assert send(port, sorted((sent / "exam000").iterdir())) == [0, 0]
        wait_for(lambda: len(asked(http, "instances")) == 5 and is_empty(spool))
        series = asked(http, "series")
        kinds = [asked(http, f"series/{one}")["MainDicomTags"]["Modality"] for one in series]
        assert sorted(kinds) == ["OT", "SEG", "SR"]
    assert list(pd.read_csv(spool / "log" / "receipts.csv", keep_default_na=False)["event"]).count("delivered") == 1


def test_a_study_is_fetched_from_orthanc(sent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By DICOMweb; the same data set and pixels as were sent to it."""
    if not DICOMWEB.is_file():
        pytest.skip("Orthanc's DICOMweb is not installed; Debian's package orthanc-dicomweb is it")
    files = sorted((sent / "exam000").iterdir())
    study = str(pydicom.dcmread(files[0]).StudyInstanceUID)
    with orthanc(tmp_path) as (dicom, http, _):
        assert send(dicom, files, called="ORTHANC") == [0, 0]
        words = [f"http://127.0.0.1:{http}/dicom-web", "--study", study, "-o", str(tmp_path / "fetched")]
        assert main(["fetch", *words]) == 0, capsys.readouterr().err
        words[2] = "1.2.3"
        assert main(["fetch", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("mammo-tf: 127.0.0.1 ")
        day = datetime.datetime.strptime(str(pydicom.dcmread(files[0]).StudyDate), "%Y%m%d").date()
        for since, count in ((day, 1), (day + datetime.timedelta(1), 0)):
            assert main(["fetch", words[0], "--from", str(since), "--until", str(since), "--count", *words[3:]]) == 0
            assert f"127.0.0.1 has {count} such studies\n" in capsys.readouterr().out
        assert main(["fetch", words[0], "--until", str(day), "--modality", "CT", "--count", *words[3:]]) == 0
        assert "127.0.0.1 has 0 such studies\n" in capsys.readouterr().out
    found = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, (tmp_path / "fetched").rglob("*.dcm"))}
    for path in files:
        one = pydicom.dcmread(path)
        other = found.pop(one.SOPInstanceUID)
        assert all(other[element.tag] == element for element in one)
    assert not found

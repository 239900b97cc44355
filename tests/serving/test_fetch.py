"""Studies from a DICOMweb service to a folder: whole or not at all, private, and without a name in what is said."""

from __future__ import annotations

import json
import stat
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from mammo_tf.cli.main import main
from mammo_tf.study import read_manifest

sys.path.insert(0, str(Path(__file__).parent))
import dicom_objects as made  # noqa: E402 - objects that more than one file of tests asks for

BORDER = b"border of the parts"


class Service:
    """A DICOMweb service of some files; `fault` says what it does wrong."""

    def __init__(self, files: list[Path]) -> None:
        self.files, self.fault, self.asked = files, "", []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
                service.asked.append((self.path, self.headers.get("Authorization", "")))
                if self.path.split("?")[0] == "/dicom-web/studies" and not service.fault.isdigit():
                    self.answer("application/dicom+json", json.dumps(service.told(self.path)).encode())
                    return
                study = self.path.split("?")[0].split("/")[-2 if "instances" in self.path else -1]
                found = [one for one in service.files if pydicom.dcmread(one).StudyInstanceUID == study]
                if service.fault.isdigit() or not found:
                    self.send_response(int(service.fault or 404))
                    self.send_header("Location", "/elsewhere")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif self.path.split("?")[0].endswith("/instances"):
                    uids = [pydicom.dcmread(one).SOPInstanceUID for one in found]
                    listed = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids]
                    offset = int(dict(part.split("=") for part in self.path.split("?")[1].split("&"))["offset"]) \
                        if "offset=" in self.path and service.fault != "no offset" else 0  # fmt: skip
                    told = listed[offset : offset + 1] if service.fault == "pages" else listed[offset:]
                    self.answer("application/dicom+json", json.dumps(told).encode())
                else:
                    sent = found[:-1] if service.fault == "fewer" else found
                    parts = [one.read_bytes() for one in sent]
                    if service.fault == "nonsense":
                        parts[0] = b"nothing of DICOM" * 20
                    head = b"\r\n--" + BORDER + b"\r\nContent-Type: application/dicom\r\n\r\n"
                    body = b"".join(head + part for part in parts) + b"\r\n--" + BORDER + b"--"
                    kind = f'multipart/related; type="application/dicom"; boundary="{BORDER.decode()}"'
                    self.answer(kind, body, cut=service.fault == "cut")

            def answer(self, kind: str, body: bytes, cut: bool = False) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if cut else body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/dicom-web"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self, path: str) -> list[dict[str, Any]]:
        """Studies by QIDO-RS, two at a time; `passes over` looks at no filter, `tells little` gives the UID alone."""
        asked = dict(part.split("=") for part in path.split("?")[1].split("&"))
        first, last = asked.get("StudyDate", "-").split("-")
        found = {}
        for one in map(pydicom.dcmread, self.files):
            right = asked["ModalitiesInStudy"] == one.Modality and first <= one.StudyDate <= (last or one.StudyDate)
            if right or self.fault == "passes over":
                found[str(one.StudyInstanceUID)] = {
                    "0020000D": {"vr": "UI", "Value": [str(one.StudyInstanceUID)]},
                    "00080020": {"vr": "DA", "Value": [one.StudyDate]},
                    "00080061": {"vr": "CS", "Value": [one.Modality]},
                }
        if self.fault == "tells little":
            found = {uid: {"0020000D": {"vr": "UI", "Value": [uid]}} for uid in found}
        if self.fault == "tells null":
            found = {uid: one | {"00080020": None} for uid, one in found.items()}
        offset = int(asked.get("offset", 0))
        return list(found.values())[offset : offset + 2]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    files = []
    for number in (1, 2):
        for view in ("CC", "MLO"):
            files.append(tmp_path / "kept" / f"exam{number}{view}.dcm")
            made.write_image(files[-1], f"PID{number}", f"exam{number}", "L", view, seed=len(files))
    found = Service(files)
    yield found
    found.server.shutdown()
    found.server.server_close()


def studies(service: Service) -> list[str]:
    return sorted({str(pydicom.dcmread(path).StudyInstanceUID) for path in service.files})


def asked(service: Service, folder: Path, *uids: str) -> int:
    return main(["fetch", service.url, *(word for uid in uids for word in ("--study", uid)), "-o", str(folder)])


def test_studies_are_fetched_as_they_are(service: Service, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("MAMMO_TF_DICOMWEB_TOKEN", "secret word")
    folder = tmp_path / "fetched"
    assert asked(service, folder, *studies(service)) == 0
    told = capsys.readouterr().out
    assert told.endswith(f"4 objects fetched to {folder}\n")
    assert {authorization for _, authorization in service.asked} == {"Bearer secret word"}
    found = {pydicom.dcmread(path).SOPInstanceUID: path for path in folder.rglob("*.dcm")}
    for path in service.files:
        one = pydicom.dcmread(path)
        other = pydicom.dcmread(found.pop(one.SOPInstanceUID))
        assert one == other and one.file_meta.TransferSyntaxUID == other.file_meta.TransferSyntaxUID
        np.testing.assert_array_equal(one.pixel_array, other.pixel_array)
    assert not found
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*.dcm")} == {0o600}
    names = told + " ".join(path.as_posix() for path in folder.rglob("*"))
    assert not any(word in names for word in ("PID", "CANARY", "GRETEL", *studies(service)))
    assert main(["manifest", "folder", str(folder), "-o", str(tmp_path / "study")]) == 0
    assert len(read_manifest(tmp_path / "study" / "manifest.csv")) == 4


def test_what_is_there_is_not_fetched_again(service: Service, tmp_path: Path, capsys: Any) -> None:
    first, second = studies(service)
    assert asked(service, tmp_path / "fetched", first) == 0
    before = len(service.asked)
    assert asked(service, tmp_path / "fetched", first, second, first) == 0
    assert capsys.readouterr().out.endswith(f"2 objects fetched to {tmp_path / 'fetched'}\n")
    assert not any(first in path for path, _ in service.asked[before:])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("404", "127.0.0.1 answers HTTP 404: nothing is there"),
        ("401", "127.0.0.1 answers HTTP 401. MAMMO_TF_DICOMWEB_TOKEN holds a bearer token"),
        ("500", "127.0.0.1 answers HTTP 500"),
        ("302", "127.0.0.1 answers HTTP 302"),
        ("fewer", "127.0.0.1 lists 2 objects of the study and sent 1 of them"),
        ("cut", "127.0.0.1 did not answer to the end"),
        ("nonsense", "127.0.0.1 sent what is not an answer of DICOMweb"),
    ],
)
def test_a_study_is_there_whole_or_not_at_all(
    fault: str, said: str, service: Service, tmp_path: Path, capsys: Any
) -> None:
    service.fault = fault
    study = studies(service)[0]
    assert asked(service, tmp_path / "fetched", study) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mammo-tf: {said}")
    assert study not in line and "PID" not in line
    assert not any(path == "/elsewhere" for path, _ in service.asked)
    assert not list((tmp_path / "fetched").rglob("*.dcm")) and not list((tmp_path / "fetched").glob("*"))
    service.fault = ""
    assert asked(service, tmp_path / "fetched", study) == 0


@pytest.mark.parametrize("way", ["pages", "no offset"])
def test_a_listing_comes_to_its_end(way: str, service: Service, tmp_path: Path, capsys: Any) -> None:
    """An object at a time, or all of them however often they are asked for."""
    service.fault = way
    assert asked(service, tmp_path / "fetched", studies(service)[0]) == 0
    assert capsys.readouterr().out.endswith(f"2 objects fetched to {tmp_path / 'fetched'}\n")


def test_bad_words_and_a_service_that_is_not_there(service: Service, tmp_path: Path, capsys: Any) -> None:
    service.server.server_close()
    service.server.shutdown()
    for url, uid, said in (
        (service.url, "1.2", "127.0.0.1 did not answer to the end (ConnectionError)"),
        (service.url, "1.2/series", "a word that was given is not a Study Instance UID"),
        ("https://me:word@archive/dicom-web", "1.2", "archive: the address holds a password"),
        ("http://archive/dicom-web", "1.2", "archive: http would send names"),
        ("archive", "1.2", "an address of a DICOMweb service has a host"),
        ("http://[::1", "1.2", "an address of a DICOMweb service has a host, and a port up to 65535"),
        ("https://archive:99999", "1.2", "an address of a DICOMweb service has a host, and a port up to 65535"),
        ("https://archive:x", "1.2", "an address of a DICOMweb service has a host, and a port up to 65535"),
        ("ftp://archive", "1.2", "an address of a DICOMweb service begins with https://"),
        (service.url.replace("http", "HTTP"), "1.2", "127.0.0.1 did not answer to the end (ConnectionError)"),
        *((service.url, uid, "a word that was given is not a Study Instance UID") for uid in ("..", "1..2", "1.2.")),
    ):
        assert main(["fetch", url, "--study", uid, "-o", str(tmp_path / "fetched")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"mammo-tf: {said}")


@pytest.fixture
def archive(service: Service, tmp_path: Path) -> Service:
    """Five studies of one mammogram each, of the first days of March 2024, and a chest film of the second."""
    service.files = []
    for day in range(1, 7):
        path = tmp_path / "kept" / f"day{day}.dcm"
        made.write_image(path, f"PID{day}", f"day{day}", "L", "CC", seed=day)
        one = pydicom.dcmread(path)
        one.StudyDate, one.Modality = ("20240302", "DX") if day == 6 else (f"2024030{day}", "MG")
        one.save_as(path)
        service.files.append(path)
    return service


@pytest.mark.parametrize(
    ("words", "days"),
    [
        (["--from", "2024-03-02", "--until", "2024-03-04"], [2, 3, 4]),
        (["--from", "2024-03-05"], [5]),
        (["--until", "2024-03-01"], [1]),
        (["--from", "2024-03-01"], [1, 2, 3, 4, 5]),
        (["--from", "2024-03-02", "--until", "2024-03-02", "--modality", "DX"], [6]),
        (["--from", "2024-04-01"], []),
    ],
)
@pytest.mark.parametrize("fault", ["", "passes over"])
def test_studies_are_looked_for_by_their_day(
    fault: str, words: list[str], days: list[int], archive: Service, tmp_path: Path, capsys: Any
) -> None:
    """All pages of the answer, and nothing that was not asked for where a service passes over what it is asked."""
    archive.fault = fault
    folder = tmp_path / "fetched"
    assert main(["fetch", archive.url, *words, "--count", "-o", str(folder)]) == 0
    left = f" (and {6 - len(days)} that were not asked for: they are left)" if fault else ""
    said = capsys.readouterr().out
    assert said == f"127.0.0.1 has {len(days)} such studies{left}\n{len(days)} studies would be fetched\n"
    assert not folder.exists()
    assert main(["fetch", archive.url, *words, "-o", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.endswith(f"{len(days)} objects fetched to {folder}\n") and "20240" not in said
    found = {str(pydicom.dcmread(path).SOPInstanceUID) for path in folder.rglob("*.dcm")}
    assert found == {str(pydicom.dcmread(archive.files[day - 1]).SOPInstanceUID) for day in days}


def test_a_service_that_tells_the_identifier_alone_is_believed(archive: Service, tmp_path: Path, capsys: Any) -> None:
    """Of the modality; a day that is not told is not one of those asked for."""
    archive.fault = "tells little"
    assert main(["fetch", archive.url, "--from", "2024-03-01", "--count", "-o", str(tmp_path / "fetched")]) == 0
    assert capsys.readouterr().out.startswith("127.0.0.1 has 0 such studies (and 5 that were not asked for")


def test_an_answer_that_is_not_in_the_form_of_dicom_is_one_line(archive: Service, tmp_path: Path, capsys: Any) -> None:
    archive.fault = "tells null"
    assert main(["fetch", archive.url, "--from", "2024-03-01", "-o", str(tmp_path / "fetched")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mammo-tf: 127.0.0.1 sent what is not an answer of DICOMweb (AttributeError)")


def test_a_list_of_studies(archive: Service, tmp_path: Path, capsys: Any) -> None:
    uids = [str(pydicom.dcmread(path).StudyInstanceUID) for path in archive.files]
    (tmp_path / "studies.txt").write_text(f"# work list\n{uids[0]}\r\n\n{uids[1]}\n{uids[0]}\n", "utf-8-sig")
    words = ["fetch", archive.url, "--studies", str(tmp_path / "studies.txt"), "-o", str(tmp_path / "fetched")]
    assert main(words) == 0
    assert capsys.readouterr().out.endswith(f"2 objects fetched to {tmp_path / 'fetched'}\n")


def test_a_study_that_is_not_given_keeps_no_others_back(archive: Service, tmp_path: Path, capsys: Any) -> None:
    first, second, third = (str(pydicom.dcmread(path).StudyInstanceUID) for path in archive.files[:3])
    gone = archive.files.pop(1)
    assert asked(archive, tmp_path / "fetched", first, second, third) == 2
    told = capsys.readouterr()
    assert told.err.startswith("mammo-tf: 1 of 3 studies were not fetched, the first of them study 2. Give the same")
    assert "study 2: 127.0.0.1 answers HTTP 404" in told.out and second not in told.out + told.err
    assert len(list((tmp_path / "fetched").rglob("*.dcm"))) == 2
    archive.files.append(gone)
    assert asked(archive, tmp_path / "fetched", first, second, third) == 0
    assert capsys.readouterr().out.endswith(f"1 objects fetched to {tmp_path / 'fetched'}\n")
    archive.fault = "401"
    assert asked(archive, tmp_path / "others", first, second) == 2
    assert capsys.readouterr().err.startswith("mammo-tf: 127.0.0.1 answers HTTP 401")


def test_what_cannot_be_looked_for_is_refused(archive: Service, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "wrong.txt").write_text("1.2.3\nMILLER^ANNA\n")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe1\x00")
    for words, said in (
        ([], "no study is named. Give --study, --studies, or --from and --until"),
        (["--from", "2024-03-02", "--until", "2024-03-01"], "2024-03-01 is before 2024-03-02"),
        (["--from", "2024-03-02", "--modality", "mg"], "'mg' is not a modality"),
        (["--study", "1.2.3", "--modality", "DX"], "--modality is of studies that are looked for, and no day is told"),
        (["--studies", str(tmp_path / "wrong.txt")], f"{tmp_path / 'wrong.txt'}, line 2 is not a Study Instance UID"),
        (["--studies", str(tmp_path / "empty.txt")], f"{tmp_path / 'empty.txt'} holds no Study Instance UID"),
        (["--studies", str(tmp_path / "bytes.txt")], f"{tmp_path / 'bytes.txt'} is not a text file"),
        (["--studies", str(tmp_path / "none.txt")], f"{tmp_path / 'none.txt'}: No such file or directory"),
    ):
        assert main(["fetch", archive.url, *words, "-o", str(tmp_path / "fetched")]) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert said in line and "MILLER" not in line
        assert not (tmp_path / "fetched").exists()
    with pytest.raises(SystemExit):
        main(["fetch", archive.url, "--from", "2024-13-01", "-o", str(tmp_path / "fetched")])
    assert "argument --from: '2024-13-01' is not a day such as 2024-01-31" in capsys.readouterr().err

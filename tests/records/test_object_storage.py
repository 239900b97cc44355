"""Records in object storage arrive whole or not at all, and are those that were sent; against moto's S3 where it is."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.files import digest
from mammo_tf.records import Records, open_records, verify
from mammo_tf.records import object_storage as storage
from mammo_tf.records.object_storage import fetched, fetched_file, is_address, place_of, send

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed here: make test-beam")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """moto's server on a port of its own."""
    pytest.importorskip("moto", reason="moto is not installed here: make test-beam")
    pytest.importorskip("s3fs", reason="s3fs is not installed here: make test-beam")
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.long)])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a place with nothing in it: in memory, or in a bucket of moto's server."""
    monkeypatch.setenv("MAMMO_TF_CACHE", str(tmp_path / "cache"))
    name = uuid.uuid4().hex
    if request.param == "memory":
        return f"memory://{name}/prepared/films"
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("server"))
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "tests")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(name)
    return f"s3://{name}/prepared/films"


def _contents(folder: Path) -> dict[str, str]:
    return {path.name: digest(path) for path in folder.iterdir()}


def _there(address: str) -> tuple[Any, str]:
    system, place = fsspec.core.url_to_fs(address)
    system.invalidate_cache()
    return system, place


@pytest.fixture
def copied(records: Records, tmp_path: Path) -> Path:
    """The records alone: a run of another test may have left its line in the ledger next to them."""
    folder = tmp_path / "copied"
    folder.mkdir()
    for name in (*records.shards, "index.json", "rejects.csv"):
        (folder / name).write_bytes((records.folder / name).read_bytes())
    return folder


def test_what_is_sent_arrives(copied: Path, records: Records, address: str) -> None:
    send(copied, address)
    folder = fetched(address)
    assert _contents(folder) == _contents(copied)
    found = open_records(folder)
    verify(found)
    assert found.digest == records.digest
    np.testing.assert_array_equal(found.picture(5), records.picture(5))


def test_it_is_fetched_once(copied: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    send(copied, address)
    folder = fetched(address)
    monkeypatch.setattr(storage, "_fetch", None)
    assert fetched(f"{address}/") == folder


def test_a_copy_that_was_stopped_goes_on(copied: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending: nothing is there to be opened. Fetching: the shards that have arrived stay."""
    system, place = _there(address)
    names = sorted(path.name for path in copied.glob("*.tfrecord"))
    system.put_file(str(copied / names[0]), f"{place}/{names[0]}")
    system.pipe_file(f"{place}/{names[1]}", b"\0" * (copied / names[1]).stat().st_size)
    with pytest.raises(MammoError, match="holds no prepared images"):
        fetched(address)
    send(copied, address)
    fetch, done = storage._fetch, []

    def stopped(system: Any, place: str, *rest: Any) -> None:
        if len(done) == 2:
            raise ConnectionError("the line is cut")
        done.append(place)
        fetch(system, place, *rest)

    monkeypatch.setattr(storage, "_fetch", stopped)
    with pytest.raises(MammoError, match="the line is cut. Give the same command again") as caught:
        fetched(address)
    assert caught.value.code == "storage_failed"
    (folder,) = (path for path in place_of(address).parent.iterdir())
    assert sorted(path.name for path in folder.iterdir()) == names[:2]
    done.clear()
    assert fetched(address) == folder
    assert len(done) == 2, "the third shard and the rejects"
    assert _contents(folder) == _contents(copied)


def test_a_damaged_shard_does_not_arrive(copied: Path, address: str) -> None:
    send(copied, address)
    system, place = _there(address)
    content = system.cat_file(f"{place}/part-00001-of-00003.tfrecord")
    system.pipe_file(f"{place}/part-00001-of-00003.tfrecord", content[:-1] + b"\1")
    with pytest.raises(MammoError, match="part-00001-of-00003.tfrecord is not what was written"):
        fetched(address)
    for folder in place_of(address).parent.iterdir():
        assert not (folder / "index.json").exists()
        assert not (folder / "part-00001-of-00003.tfrecord").exists()
    send(copied, address)
    verify(open_records(fetched(address)))


def test_other_records_and_other_things_are_refused(copied: Path, address: str) -> None:
    system, place = _there(address)
    system.pipe_file(f"{place}/index.json", b'{"digest": "of others"}')
    with pytest.raises(MammoError, match="holds other records"):
        send(copied, address)
    for content, message in (
        (b"{", "is not one of records"),
        (b'{"shards": [{"name": "../a", "sha256": ""}]}', "names files elsewhere"),
    ):
        system.pipe_file(f"{place}/index.json", content)
        with pytest.raises(MammoError, match=message):
            fetched(address)
    with pytest.raises(MammoError, match="is not there"):
        fetched_file(f"{address}/manifest.csv")
    with pytest.raises(MammoError) as caught:
        fetched("nosuch://bucket/records")
    assert caught.value.code == "address_wrong"


def test_prepare_takes_addresses(films: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest from there, records to there; given again nothing is made or sent anew, and they open as they are."""
    system, place = _there(address)
    system.pipe_file(f"{place}.csv", films.read_bytes())
    words = ["prepare", f"{address}.csv", "--root", str(films.parent), "-o", address]
    for _ in range(2):
        assert main([*words, "--size", "128x128", "--preset", "legacy"]) == 0, capsys.readouterr().err
        assert f"48 images of 128x128 pixels in {address}" in capsys.readouterr().out
    assert fetched(address) == place_of(address)
    assert len(open_records(fetched(address))) == 48
    assert main(["prepare", f"{address}.csv", "-o", address]) == 2
    assert "--root" in capsys.readouterr().err


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    for command in (fetched, fetched_file):
        with pytest.raises(MammoError, match="what reads s3://... is not installed") as caught:
            command("s3://bucket/records")
        assert caught.value.code == "extra_missing"
        assert "pip install 'mammo_tf[remote]'" in caught.value.remedy


@pytest.mark.long
def test_a_bucket_that_is_not_there_is_told(copied: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "tests")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    with pytest.raises(MammoError, match="s3://gone-1/records") as caught:
        send(copied, "s3://gone-1/records")
    assert caught.value.code == "storage_failed"


@pytest.mark.long
def test_a_run_takes_an_address(copied: Path, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    send(copied, address)
    recipe = Path(__file__).parents[1] / "recipes" / "search" / "little.py"
    assert main(["run", str(recipe), "--data", address, "-o", str(tmp_path / "run")]) == 0, capsys.readouterr().err
    assert (tmp_path / "run" / "report.html").is_file()


def test_places_of_this_machine_are_none() -> None:
    assert not is_address(Path("/data/prepared"))
    assert not is_address("C:/data")
    assert is_address("s3://bucket/prepared")

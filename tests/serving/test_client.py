"""A client of a server: the same predictions as `predict`, by both roads; what it says when a server is not well."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.phantom.study import make_study
from mammo_tf.serving import open_bundle
from mammo_tf.serving import remote_scorer as module
from mammo_tf.serving.client import Client, ServedModel, ServedSignature, ServedTensor
from mammo_tf.serving.client_rest import RestRoad
from mammo_tf.serving.predict import predict
from mammo_tf.serving.refusals import Code, RequestError
from mammo_tf.serving.remote_scorer import remote_scorer

ROADS = ("http", "grpc")


@pytest.fixture(scope="module")
def to_server(little_server: Any) -> Callable[..., Client]:
    """A client of the little server by a road."""
    ports = {"http": little_server.rest_port, "grpc": little_server.grpc_port}

    def made(road: str, model: str, **more: Any) -> Client:
        return Client(f"{road}://127.0.0.1:{ports[road]}", model, **more)

    return made


@pytest.fixture(scope="module")
def mixed(film_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two DICOM exams of four views, of PNG films, and of a file that is broken."""
    folder = tmp_path_factory.mktemp("mixed")
    make_study(folder / "made", 2, ["ffdm_site_1"], 5, 1.2, workers=1)
    (folder / "made" / "exams").rename(folder / "in")
    for path in film_files[:3]:
        shutil.copy(path, folder / "in")
    (folder / "in" / "broken.png").write_bytes(film_files[3].read_bytes()[:700])
    return folder / "in"


@pytest.fixture(scope="module")
def here(served: dict[str, Any], mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What `predict` says of them."""
    output = tmp_path_factory.mktemp("here") / "p.csv"
    assert predict(served["bundle"], mixed, output, workers=1).images == 11
    return pd.read_csv(output)


def same(found: pd.DataFrame, right: pd.DataFrame, share: float = 1e-3) -> None:
    """The same table; scores, some of which are near 0, within 1e-5 and within a share of themselves."""
    assert right["score"].std() > 0.03
    assert list(found) == list(right)
    np.testing.assert_allclose(found["score"], right["score"], rtol=share, atol=0)
    np.testing.assert_allclose(found["score"], right["score"], rtol=0, atol=1e-5)
    pd.testing.assert_frame_equal(found.drop(columns="score"), right.drop(columns="score"))


@pytest.mark.parametrize("road", ROADS)
def test_predictions_equal_those_of_predict(
    road: str, to_server: Callable[..., Client], served: dict[str, Any], mixed: Path, here: pd.DataFrame,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """DICOM and PNG; the views of an exam in one batch; the same rejects, and the same word on which network it was."""
    sizes: list[int] = []
    original = Client.predict

    def noted(self: Client, inputs: Any, signature: str = "") -> Any:
        sizes.extend(len(pictures) for name, pictures in inputs.items() if name == "picture")
        return original(self, inputs, signature)

    monkeypatch.setattr(Client, "predict", noted)
    with to_server(road, "tiny") as client:
        scorer = remote_scorer(client, served["bundle"])
        report = predict(scorer, mixed, tmp_path / "p.csv", workers=1, batch_size=4, by_exam=True)
    same(pd.read_csv(tmp_path / "p.csv"), here)
    assert (report.rejects, len(pd.read_csv(report.rejects_path))) == (1, 1)
    assert sorted(sizes) == [1, 1, 1, 4, 4]
    told = json.loads((tmp_path / "p.json").read_text())
    assert told["network"]["identity"] == open_bundle(served["bundle"]).card.identity


def test_pictures_that_the_server_prepares(
    to_server: Callable[..., Client], served: dict[str, Any], mixed: Path, here: pd.DataFrame, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """As PNG files, a request for each; the graph's preprocessing gives nearly the same scores."""
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    for road in ROADS:
        with to_server(road, "tiny") as client:
            scorer = remote_scorer(client, served["bundle"], encoded=True)
            predict(scorer, mixed, tmp_path / "p.csv", workers=1, batch_size=4)
        same(pd.read_csv(tmp_path / "p.csv"), here)


def test_slices_that_are_files_are_one_picture(
    to_server: Callable[..., Client], served: dict[str, Any], golden: Path, tmp_path: Path
) -> None:
    """Tomosynthesis as CT images, one a slice: the score of the volume, as `predict` has it."""
    shutil.copytree(golden / "dicom" / "dbt" / "ct_per_slice", tmp_path / "in" / "series")
    assert predict(served["bundle"], tmp_path / "in", tmp_path / "here.csv", workers=1).images == 1
    with to_server("grpc", "tiny") as client:
        scorer = remote_scorer(client, served["bundle"])
        assert predict(scorer, tmp_path / "in", tmp_path / "there.csv", workers=1, by_exam=True).images == 1
    here, there = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("here", "there"))
    np.testing.assert_allclose(there["score"], here["score"], rtol=0, atol=1e-5)
    pd.testing.assert_frame_equal(there.drop(columns="score"), here.drop(columns="score"))


@pytest.mark.parametrize("road", ROADS)
def test_the_python_client(
    road: str, to_server: Callable[..., Client], served: dict[str, Any], film_files: list[Path]
) -> None:
    with to_server(road, "tiny", version=1) as client:
        answer = client.score_png([path.read_bytes() for path in film_files[:3]])
        np.testing.assert_allclose(answer["score"], served["scores"][:3], atol=1e-5)
        assert answer["heatmap"].dtype == np.float32
        with pytest.raises(MammoError, match="picture 0 of the batch: the PNG ends too early") as caught:
            client.score_png([film_files[0].read_bytes()[:500]])
        assert caught.value.code == "server_refuses"
        for inputs, signature, code in (
            ({"png": np.array([1.0])}, "nope", "signature_unknown"),
            ({"picture": np.zeros((1, 5, 5))}, "serving_float", "inputs_wrong"),
            ({"picture": np.array([[["a"]]], object)}, "serving_float", "inputs_wrong"),
            ({"image": np.zeros((1, 128, 128))}, "serving_float", "inputs_wrong"),
        ):
            with pytest.raises(MammoError) as caught:
                client.predict(inputs, signature)
            assert caught.value.code == code
    with to_server(road, "half", label="stable") as client:
        given = np.array([1.5, np.nan, np.inf], np.float32)
        np.testing.assert_array_equal(client.predict({"x": given[:, None]})["y"], given[:, None] / 2 + 2)
        np.testing.assert_array_equal(client.predict({"x": np.zeros((0, 1), np.float32)})["y"].size, 0)
    with to_server(road, "echo") as client:
        words = np.array([[b"foo", "bär".encode()]], object)
        inputs = {
            name: np.ones((1, 2), name) for name in client.signatures()["serving_default"].inputs if name != "string"
        }
        answer = client.predict({**inputs, "string": words})
        np.testing.assert_array_equal(answer["string_out"], words)
        np.testing.assert_array_equal(answer["raw_bytes"], words)
        assert answer["bool_out"].dtype == bool
        assert answer["int64_out"].dtype == np.int64
        np.testing.assert_array_equal(client.predict({"asked": words[0]}, "card")["told"], [b"{}", b"{}"])
    for model in ({"model": "nope"}, {"model": "half", "version": 9}):
        with to_server(road, **model) as client, pytest.raises(MammoError) as caught:
            client.signatures()
        assert caught.value.code == "model_unknown"


class Moody:
    """A road that says a few things before it answers."""

    def __init__(self, *says: Code) -> None:
        self.says = list(says)
        self.asked = 0

    def signatures(self, model: ServedModel, timeout_s: float) -> dict[str, ServedSignature]:
        self.asked += 1
        if self.says:
            raise RequestError(self.says.pop(0), "busy")
        return {"serving_default": ServedSignature({"x": ServedTensor(np.dtype(np.float32), (-1,))}, {})}

    def close(self) -> None:
        pass


def moody(*says: Code, deadline_s: float = 30) -> tuple[Client, Moody]:
    client, road = Client("http://127.0.0.1:1", "half", deadline_s=deadline_s), Moody(*says)
    client._road = road  # type: ignore[assignment]
    return client, road


def test_only_what_may_get_better_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mammo_tf.serving.client.FIRST_PAUSE_S", 0.001)
    client, road = moody(Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE)
    assert "serving_default" in client.signatures()
    assert road.asked == 4
    for code, expected in (
        (Code.INVALID_ARGUMENT, "server_refuses"), (Code.NOT_FOUND, "model_unknown"),
        (Code.DEADLINE_EXCEEDED, "server_slow"), (Code.INTERNAL, "server_refuses"),
    ):  # fmt: skip
        client, road = moody(code)
        with pytest.raises(MammoError) as caught:
            client.signatures()
        assert (caught.value.code, road.asked) == (expected, 1)
    client, road = moody(*[Code.UNAVAILABLE] * 1000, deadline_s=0.1)
    with pytest.raises(MammoError, match="no server answers at http://127.0.0.1:1: busy"):
        client.signatures()
    assert 3 <= road.asked < 100


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (503, '{"error": "wait"}', Code.UNAVAILABLE), (429, '{"error": "wait"}', Code.RESOURCE_EXHAUSTED),
        (502, "<html>", Code.UNAVAILABLE), (404, '{"error": "no"}', Code.NOT_FOUND), (400, "[]", Code.INVALID_ARGUMENT),
        (504, "", Code.DEADLINE_EXCEEDED), (500, "", Code.INTERNAL), (200, "<html>", Code.OK),
        (401, "", Code.UNAUTHENTICATED), (413, "", Code.UNKNOWN),
    ],
)  # fmt: skip
def test_what_the_status_of_an_answer_means(status: int, text: str, code: Code) -> None:
    road = RestRoad("http://server")
    transport = httpx.MockTransport(lambda request: httpx.Response(status, text=text))
    road._client = httpx.Client(base_url="http://server", transport=transport)
    with pytest.raises(RequestError) as caught:
        road.signatures(ServedModel("half"), 1)
    assert caught.value.code == code
    assert caught.value.sentence


NO_ANSWERS = (
    "{}", '{"metadata": []}', '{"metadata": {"signature_def": {"signature_def": {"a": {}}}}}', "[" * 100_000,
    '{"a": ' * 100_000, '{"metadata": {"signature_def": {"signature_def": {"a": {"inputs": 1, "outputs": 2}}}}}',
    '{"outputs": {}}', '{"outputs": "a"}', '{"outputs": [null]}', '{"outputs": [[1], [2, 3]]}', '{"outputs": null}',
)  # fmt: skip


@pytest.mark.parametrize("text", NO_ANSWERS)
def test_json_of_another_kind_of_server_is_one_line(text: str) -> None:
    road = RestRoad("http://server")
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=text))
    road._client = httpx.Client(base_url="http://server", transport=transport)
    number = ServedTensor(np.dtype("float32"), (1,))
    one = ServedSignature({"x": number}, {"y": number})
    for ask in (
        lambda: road.signatures(ServedModel("half"), 1),
        lambda: road.predict(ServedModel("half"), "a", one, {"x": np.zeros(1, np.float32)}, 1),
    ):
        with pytest.raises(RequestError, match="TensorFlow Serving") as caught:
            ask()
        assert caught.value.code in (Code.UNKNOWN, Code.OK)


def test_an_answer_that_is_not_packed_as_it_says_is_one_line() -> None:
    road = RestRoad("http://server")
    packed = {"headers": {"Content-Encoding": "gzip"}, "stream": httpx.ByteStream(b"{}")}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, **packed))
    road._client = httpx.Client(base_url="http://server", transport=transport)
    with pytest.raises(RequestError, match="not packed as it says"):
        road.signatures(ServedModel("half"), 1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@pytest.mark.parametrize("road", ROADS)
def test_a_server_that_is_away_slow_or_another(road: str, little_server: Any) -> None:
    with Client(f"{road}://127.0.0.1:{free_port()}", "half", deadline_s=0.3) as client:
        with pytest.raises(MammoError) as caught:
            client.signatures()
        assert caught.value.code in ("server_away", "server_slow")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(MammoError) as caught:
        Client(f"{road}://127.0.0.1:{silent.getsockname()[1]}", "half", deadline_s=0.3).signatures()
    assert caught.value.code in ("server_slow", "server_away")
    other = little_server.grpc_port if road == "http" else little_server.rest_port
    with Client(f"{road}://127.0.0.1:{other}", "half", deadline_s=0.5) as client, pytest.raises(MammoError) as caught:
        client.signatures()
    assert caught.value.code in (("server_refuses",) if road == "http" else ("server_away", "server_slow"))
    if road == "http":
        assert "is this its gRPC port?" in caught.value.sentence


@pytest.mark.parametrize("server", ["127.0.0.1:8501", "ftp://host:1", "grpc://host", "http://", "grpc://host:99999"])
def test_addresses(server: str) -> None:
    with pytest.raises(MammoError) as caught:
        Client(server, "half")
    assert caught.value.code == "address_wrong"


@pytest.fixture(scope="module")
def telling(served: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of models that tell the card of `served` (`tiny`), another (`other`), none (`silent`)."""
    from dataclasses import replace

    from mammo_tf.serving.server import ModelServer, ServerSettings
    from mammo_tf.serving.server_config import models_in

    root = tmp_path_factory.mktemp("telling")
    card = open_bundle(served["bundle"]).card
    for name, told in (("tiny", card), ("other", replace(card, identity="another"))):
        text = json.dumps(told.to_json())

        class Telling(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="asked")])
            def card(self, asked: tf.Tensor, text: str = text) -> dict[str, tf.Tensor]:
                return {"card": tf.fill(tf.shape(asked), text)}

            @tf.function(input_signature=[tf.TensorSpec([None, 128, 128], tf.float32, name="picture")])
            def mean(self, picture: tf.Tensor) -> dict[str, tf.Tensor]:
                return {"score": tf.reduce_mean(picture, (1, 2))}

        made = Telling()
        tf.saved_model.save(
            made, str(root / name / "1"), signatures={"metadata": made.card, "serving_float": made.mean}
        )
    tf.saved_model.save(made, str(root / "silent" / "1"), signatures={"serving_float": made.mean})
    settings = ServerSettings(models_in([root]), rest_port=0, grpc_port=0, poll_s=3600)
    with ModelServer(settings) as server:
        yield f"http://127.0.0.1:{server.rest_port}"


def test_the_card_comes_from_the_server_or_is_compared(
    telling: str, to_server: Callable[..., Client], served: dict[str, Any], mixed: Path, tmp_path: Path
) -> None:
    with Client(telling, "tiny") as client:
        assert remote_scorer(client, served["bundle"]).card.identity == remote_scorer(client).card.identity
        predict(remote_scorer(client), mixed, tmp_path / "p.csv", workers=1)
        table = pd.read_csv(tmp_path / "p.csv")
        np.testing.assert_allclose(table["score"], table["grey_mean"], atol=1e-5)
        with pytest.raises(MammoError, match="leave out|has no signature serving_default"):
            remote_scorer(client, encoded=True)
    with (
        Client(telling, "other") as client,
        pytest.raises(MammoError, match="weights or preprocessing differ") as caught,
    ):
        remote_scorer(client, served["bundle"])
    assert caught.value.code == "server_differs"
    with (
        Client(telling, "silent") as client,
        pytest.raises(MammoError, match="does not tell its card. Name the bundle"),
    ):
        remote_scorer(client)
    with to_server("http", "half") as client, pytest.raises(MammoError, match="has no signature serving_float"):
        remote_scorer(client)


def test_a_breast_mask_is_sent_where_the_signature_takes_one() -> None:
    class Seen:
        inputs: dict[str, Any] = {}

        def signatures(self) -> dict[str, ServedSignature]:
            place = ServedTensor(np.dtype(np.float32), (-1, 2, 2))
            return {"serving_float": ServedSignature({"picture": place, "breast": place}, {})}

        def predict(self, inputs: dict[str, Any], signature: str) -> dict[str, Any]:
            self.inputs = inputs
            return {"score": np.zeros(len(inputs["picture"]))}

    seen = Seen()
    masks = np.ones((3, 2, 2), bool)
    assert module._Remote(seen)(np.zeros((3, 2, 2)), masks).score.shape == (3,)  # type: ignore[arg-type]
    np.testing.assert_array_equal(seen.inputs["breast"], masks)
    with pytest.raises(MammoError):
        module._Remote(seen)(np.zeros((3, 2, 2)))  # type: ignore[arg-type]


def test_pictures_are_sent_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    assert [(one.start, one.stop) for one in module._parts([4, 4, 4, 20, 1, 9])] == [(0, 2), (2, 3), (3, 4), (4, 6)]
    assert list(module._parts([])) == []


def test_the_command(
    little_server: Any, served: dict[str, Any], mixed: Path, here: pd.DataFrame, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The name of the model is that of the bundle; what is wrong is told in one line, and nothing is written."""
    address = f"grpc://127.0.0.1:{little_server.grpc_port}"
    output = tmp_path / "p.csv"
    words = [str(mixed), "-o", str(output), "--bundle", str(served["bundle"])]
    assert main(["client", address, *words]) == 0
    assert "11 images in" in capsys.readouterr().out
    same(pd.read_csv(output), here)
    output.unlink()
    for changed, said in (
        ([f"http://127.0.0.1:{free_port()}", *words, "--deadline", "0.2"], "no server answers at http://127.0.0.1"),
        ([address, *words, "--version", "7"], "does not serve tiny version 7"),
        ([address, *words, "--version", "1", "--label", "stable"], "both the version 1 and the label stable"),
        ([address, *words, "--model", "half"], "has no signature serving_float"),
        ([address, *words[:3]], "neither --model nor --bundle is given"),
        ([address, *words, "--root", "x"], "--root belongs to a manifest"),
        (["127.0.0.1:8501", *words], "is not the address of a server. Write http://HOST:8501"),
    ):
        assert main(["client", *changed]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert said in line
    assert not output.exists()

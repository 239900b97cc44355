"""The RESTful API, as TensorFlow Serving describes and tests it.

Of its `model_servers/http_rest_api_handler_test.cc`: UnsupportedApiCalls (all), PredictModelNameVersionErrors (all),
PredictRequestErrors (all), Predict (latest, a version, a label, a signature, columns), Regress, Classify, GetStatus (of
all versions, a version, a label), GetModelMetadata; of `http_rest_api_util_test.cc` the names with reserved characters;
of `tensorflow_model_server_test.py`: testClassifyREST, testRegressREST, testPredictREST, testPredictColumnarREST,
testGetStatusREST; of `get_model_status_impl_test.cc` the unknown model and version. Of the page `api_rest.md`: base64
as scalars, lists and nested, row and column format, named and unnamed outputs, `_bytes`, NaN and Infinity in requests
and answers, error bodies and their status. Besides: wrong types, shapes, names and signatures, an empty batch, gzip,
limits on bytes and pixels, a broken PNG, health, metrics. What JSON becomes a tensor is in `test_rest_json.py`.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from little_models import echoed_row

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def ask(little_server: Any) -> Iterator[Ask]:
    """Sends `GET` without a body, else `POST`."""
    with httpx.Client(base_url=f"http://127.0.0.1:{little_server.rest_port}", timeout=60) as client:

        def send(path: str, body: Any = None, verb: str = "", **more: Any) -> httpx.Response:
            content = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
            return client.request(verb or ("GET" if body is None else "POST"), path, content=content, **more)

        yield send


def fault(response: httpx.Response, status: int) -> str:
    """What an error says, after its form was looked at."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    said = response.json()
    assert list(said) == ["error"]
    return str(said["error"])


def answered(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/foo"), ("POST", "/v1/foo"), ("GET", "/v1/models/debug/model_name"), ("POST", "/v1/models"),
        ("GET", "/v1/models/foo:predict"), ("GET", "/v1/models/foo/version/50:predict"),
        ("POST", "/v1/models/foo/version/50:regress"), ("POST", "/v1/models/foo/versions/HELLO:regress"),
        ("POST", "/v1/models/foo/metadata"), ("POST", "/v1/models/foo/label/some_label:regress"),
        ("POST", "/v1/models/foo/versions/50/labels/some_label:regress"), ("POST", "/v1/models/half:guess"),
        ("POST", "/v1/models/foo/versions/some_label:regress"), ("PUT", "/v1/models/half"),
        ("DELETE", "/v1/models/half:predict"), ("POST", "/v1/models/half"),
    ],
)  # fmt: skip
def test_malformed_requests(ask: Ask, verb: str, path: str) -> None:
    assert fault(ask(path, verb=verb, body=""), 400) == f"Malformed request: {verb} {path}"


def test_requests_beyond_the_api(ask: Ask) -> None:
    assert fault(ask("/statuspage"), 404) == "Malformed request: GET /statuspage"
    assert fault(ask("/v1/models"), 400) == "Missing model name in request."
    for version in (str(2**64 - 1), "9" * 5000):
        assert "Failed to convert version" in fault(ask(f"/v1/models/foo/versions/{version}:regress", "{}"), 400)


def test_models_and_versions_that_are_not_there(ask: Ask) -> None:
    body = {"instances": [1]}
    assert fault(ask("/v1/models/foo:predict", body), 404) == "Servable not found for request: Latest(foo)"
    expected = "Servable not found for request: Specific(foo, 50)"
    assert fault(ask("/v1/models/foo/versions/50:predict", body), 404) == expected
    expected = "Servable not found for request: Specific(half, 99)"
    assert fault(ask("/v1/models/half/versions/99:predict", body), 404) == expected
    assert fault(ask("/v1/models/half99:predict", body), 404) == "Servable not found for request: Latest(half99)"
    assert fault(ask("/v1/models/foo"), 404) == "Could not find any versions of model foo"
    assert fault(ask("/v1/models/half/versions/125"), 404) == "Could not find version 125 of model half"
    assert "Servable not found" in fault(ask("/v1/models/foo/metadata"), 404)
    expected = "Unrecognized servable version label: nonexistent"
    assert fault(ask("/v1/models/half/labels/nonexistent:predict", {"instances": ["x"]}), 400) == expected
    assert fault(ask("/v1/models/half/labels/nonexistent"), 400) == expected


def test_faulty_predict_requests(ask: Ask) -> None:
    path = "/v1/models/half:predict"
    assert "JSON Parse error: The document is empty" in fault(ask(path, ""), 400)
    assert "JSON Parse error: Invalid value" in fault(ask(path, "instances = [1, 2]"), 400)
    assert "not of expected type: float" in fault(ask(path, {"instances": ["x", "y"]}), 400)
    assert "'signature_name' key must be a string value." in fault(ask(path, {"signature_name": 100}), 400)
    expected = 'Serving signature name: "nope" not found in signature def'
    assert fault(ask(path, {"signature_name": "nope", "instances": [1]}), 400) == expected
    assert "Missing 'inputs' or 'instances' key" in fault(ask(path, {}), 400)
    assert "No values in 'instances' array" in fault(ask(path, {"instances": []}), 400)
    assert "does not have named input: z" in fault(ask(path, {"instances": [{"z": 1.0}]}), 400)
    assert "Missing named input: x" in fault(ask(path, {"inputs": {"z": 1.0}}), 400)


def test_predict(ask: Ask) -> None:
    path = "/v1/models/half"
    assert answered(ask(f"{path}:predict", {"instances": [[1.0, 2.0], [3.0, 4.0]]})) == {
        "predictions": [[2.5, 3.0], [3.5, 4.0]]
    }
    body = {"instances": [1.0, 2.0]}
    for place in ("", "/versions/123", "/labels/stable"):
        assert answered(ask(f"{path}{place}:predict", body)) == {"predictions": [2.5, 3.0]}
    assert answered(ask("/V1/Models/half:PREDICT?key=1", body)) == {"predictions": [2.5, 3.0]}
    named = {"signature_name": "serving_default", "instances": [3.0, 4.0]}
    assert answered(ask(f"{path}:predict", named)) == {"predictions": [3.5, 4.0]}
    assert answered(ask(f"{path}:predict", {"inputs": [3.0, 4.0]})) == {"outputs": [3.5, 4.0]}
    assert answered(ask(f"{path}:predict", {"inputs": {"x": 2}})) == {"outputs": 3.0}
    assert answered(ask(f"{path}:predict", {"inputs": []})) == {"outputs": []}
    assert ask(f"{path}:predict", '{"instances": [NaN, -Infinity]}').text == '{"predictions": [NaN, -Infinity]}'
    odd = "/v1/models/an%20odd%2Fname"
    assert answered(ask(f"{odd}/labels/a%3Ab:predict", {"instances": [2]})) == {"predictions": [3.0]}
    assert answered(ask(odd))["model_version_status"][0]["state"] == "AVAILABLE"


def test_predict_with_every_type(ask: Ask) -> None:
    row = echoed_row()
    echoed = {f"{name}_out": value for name, value in row.items()}
    raw = [{"b64": base64.b64encode(str(word).encode()).decode()} for word in row["string"]]  # type: ignore[attr-defined]
    expected = {**echoed, "raw_bytes": raw}
    assert answered(ask("/v1/models/echo:predict", {"instances": [row, row]})) == {"predictions": [expected, expected]}
    columns = {name: [value] for name, value in row.items()}
    outputs = {name: [value] for name, value in expected.items()}
    assert answered(ask("/v1/models/echo:predict", {"inputs": columns})) == {"outputs": outputs}
    coded = {**row, "string": [{"b64": "Zm9v"}, {"b64": "YmFy"}]}
    assert answered(ask("/v1/models/echo:predict", {"instances": [coded]}))["predictions"][0]["string_out"] == [
        "foo",
        "bar",
    ]
    for name, wrong in (("int32", [1.5, 2]), ("bool", [1, 0]), ("float32", ["1", "2"]), ("uint8", [256, 0])):
        assert f"not of expected type: {name.replace('32', '') if name == 'float32' else name}" in fault(
            ask("/v1/models/echo:predict", {"instances": [{**row, name: wrong}]}), 400
        )
    del columns["bool"]
    assert (
        fault(ask("/v1/models/echo:predict", {"inputs": columns}), 400)
        == "Missing named input: bool in 'inputs' object."
    )


def test_what_a_graph_refuses_and_what_rows_cannot_hold(ask: Ask) -> None:
    path = "/v1/models/echo:predict"
    assert fault(ask(path, {"signature_name": "shaky", "instances": [1.0, -1.0]}), 400) == (
        "assertion failed: [a value lies below 0]"
    )
    told = ask(path, {"signature_name": "shaky", "instances": [0.0, 4.0]}).text
    assert told == '{"predictions": [{"inverse": Infinity, "rows": 2}, {"inverse": 0.25, "rows": 2}]}'
    uneven = {"signature_name": "uneven", "instances": [1.0]}
    assert "Tensor name: sum has no shape information" in fault(ask(path, uneven), 400)
    del uneven["instances"]
    assert "tensor type: complex64" in fault(ask(path, {**uneven, "inputs": [1.0]}), 400)
    asked = {"signature_name": "told", "inputs": {}}
    assert fault(ask(path, asked), 400) == "Failed to get input map for signature: told"


def test_classify_and_regress(ask: Ask) -> None:
    path = "/v1/models/half"
    for place in ("", "/versions/123", "/labels/stable"):
        told = ask(f"{path}{place}:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 80.0}]})
        assert answered(told) == {"results": [42.0]}
        told = ask(f"{path}{place}:classify", {"signature_name": "classify_x_to_y", "examples": [{"x": 20.0}]})
        assert answered(told) == {"results": [[["", 12.0]]]}
    shared = {"signature_name": "regress_x_to_y", "context": {"x": 2.0}, "examples": [{}, {}]}
    assert answered(ask(f"{path}:regress", shared)) == {"results": [3.0, 3.0]}
    named = {"signature_name": "classify_x_to_y", "context": {"x": 2.0}, "examples": [{}, {"x": 20.0}]}
    told = answered(ask("/v1/models/labelled:classify", named))  # an example's own feature counts, not the shared one
    assert told == {"results": [[["half", 3.0]], [["half", 12.0]]]}
    word = "signature method_name to be tensorflow/serving/"
    assert f"Expected classification {word}classify" in fault(ask(f"{path}:classify", {"examples": [{"x": 1.0}]}), 400)
    assert f"Expected regression {word}regress" in fault(ask(f"{path}:regress", {"examples": [{"x": 1.0}]}), 400)
    named = {"signature_name": "nope", "examples": [{"x": 1.0}]}
    assert fault(ask(f"{path}:classify", named), 400) == "No signature was found with the name: nope"
    wrong = {"signature_name": "classify_x_to_y", "examples": [{"x": "word"}]}
    assert "x" in fault(ask(f"{path}:classify", wrong), 400)
    assert "list/array" in fault(ask(f"{path}:classify", {"examples": {}}), 400)


def test_status_and_metadata(ask: Ask) -> None:
    told = {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for place in ("", "/versions/123", "/labels/stable"):
        assert answered(ask(f"/v1/models/half{place}")) == {"model_version_status": [told]}
    metadata = answered(ask("/v1/models/half/metadata"))
    assert metadata["model_spec"] == {"name": "half", "signature_name": "", "version": "123"}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {
        "serving_default",
        "classify_x_to_y",
        "regress_x_to_y",
        "regress_x_to_y2",
        "regress_other",
    }
    dimensions = [{"size": "-1", "name": ""}, {"size": "1", "name": ""}]
    assert signatures["serving_default"] == {
        "inputs": {
            "x": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": dimensions, "unknown_rank": False}, "name": "x:0"}
        },
        "outputs": {
            "y": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": dimensions, "unknown_rank": False}, "name": "y:0"}
        },
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    assert answered(ask("/v1/models/half/labels/stable/metadata")) == metadata


def coded(picture: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(picture).decode()}


def test_pictures_of_a_bundle(ask: Ask, served: dict[str, Any], film_files: list[Path]) -> None:
    """More than a batch holds, at once; a broken one is named; a huge one is refused before it is decoded."""
    pictures = [path.read_bytes() for path in film_files]
    rows = answered(ask("/v1/models/tiny:predict", {"instances": [coded(one) for one in pictures]}))["predictions"]
    np.testing.assert_allclose([row["score"] for row in rows], served["scores"], atol=1e-5)
    broken = {"instances": [coded(pictures[0]), coded(pictures[1][:900])]}
    assert "picture 1 of the batch: the PNG ends too early" in fault(ask("/v1/models/tiny:predict", broken), 400)
    _, huge = cv2.imencode(".png", np.zeros((1000, 200), np.uint8))
    said = fault(ask("/v1/models/tiny:predict", {"instances": [coded(pictures[0]), coded(huge.tobytes())]}), 400)
    assert said.startswith("picture 1 of the input 'png' has 1000 x 200 pixels; this server takes 100000 at most")
    small = {"signature_name": "serving_float", "instances": [[[0.5, 0.5]]]}
    assert "has the shape [1, 1, 2]; the model takes [-1, 128, 128]" in fault(
        ask("/v1/models/tiny:predict", small), 400
    )


def test_gzip_and_the_limit_on_bytes(ask: Ask) -> None:
    path, zipped = "/v1/models/half:predict", {"Content-Encoding": "gzip"}
    body = json.dumps({"instances": [2.0]}).encode()
    assert answered(ask(path, gzip.compress(body), headers=zipped)) == {"predictions": [3.0]}
    assert fault(ask(path, body, headers=zipped), 400) == "the body is no gzip data"
    assert "ends too early" in fault(ask(path, gzip.compress(body)[:-12], headers=zipped), 400)
    bomb = gzip.compress(b" " * 2**21)
    for sent, headers in ((b" " * 2**21, {}), (bomb, zipped)):
        assert "more than the 1048576 bytes" in fault(ask(path, sent, headers=headers), 413)
    assert answered(ask(path, body)) == {"predictions": [3.0]}


def test_health_and_metrics(ask: Ask) -> None:
    assert (ask("/healthz").status_code, ask("/healthz").text) == (200, "ok\n")
    ask("/v1/models/half:predict", {"instances": [2.0]})
    ask("/v1/models/made-up:predict", {"instances": [2.0]})
    ask("/v1/models/made-up:predict", "no JSON")
    page = ask("/monitoring/prometheus/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    counted = 'mammo_tf_serving_requests_total{api="REST",method="predict",model_name="half",status="OK"}'
    assert counted in page.text
    assert 'model_name="",status="NOT_FOUND"' in page.text
    assert "made-up" not in page.text
    assert "mammo_tf_serving_batch_rows_count" in page.text


def test_a_fault_that_nobody_foresaw(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr("mammo_tf.serving.inference.Inference.predict", broken)
    assert fault(ask("/v1/models/half:predict", {"instances": [2.0]}), 500) == "ValueError: a fault"
    monkeypatch.undo()
    assert answered(ask("/v1/models/half:predict", {"instances": [2.0]})) == {"predictions": [3.0]}

"""TensorFlow Serving's RESTful API, as an ASGI application.

`GET /v1/models/NAME[/versions/N|/labels/L][/metadata]`, `POST ...:predict`, `:classify`, `:regress`. Besides: the
metrics, and `GET /healthz`, 200 while every model has a version that answers.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from mammo_tf.serving.inference import Inference
from mammo_tf.serving.model_store import Asked, ModelStore
from mammo_tf.serving.refusals import HTTP_STATUS, Code, RequestError, wrong
from mammo_tf.serving.rest_answers import (
    classification_json,
    columns_json,
    error_json,
    metadata_json,
    regression_json,
    rows_json,
    status_json,
)
from mammo_tf.serving.rest_examples import input_of
from mammo_tf.serving.rest_json import JsonRequest
from mammo_tf.serving.saved_model import DEFAULT_SIGNATURE
from mammo_tf.serving.server_metrics import CONTENT_TYPE, ServerMetrics
from mammo_tf.serving.server_status import metadata_of, status_of

VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
ASKING = re.compile(rf"/v1/models/(?P<model>[^/:]+){VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE)
TELLING = re.compile(rf"/v1/models(?:/(?P<model>[^/:]+))?{VERSION}(?:/(?P<method>metadata))?", re.IGNORECASE)
API = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)
LARGEST_VERSION, LONGEST_VERSION = 2**63 - 1, 19  # of its digits
TOO_LARGE = 413
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]


class _TooLargeError(Exception):
    pass


@dataclass(frozen=True)
class RestApi:
    """The answers of a server.

    Attributes:
        store: its models.
        inference: asks them.
        metrics: counts.
        metrics_path: where they are told; None for nowhere.
        max_bytes: of a body, also after it was decompressed.
    """

    store: ModelStore
    inference: Inference
    metrics: ServerMetrics
    metrics_path: str | None
    max_bytes: int

    def application(self) -> Starlette:
        """For an ASGI server."""
        routes = [Route("/healthz", self._health)]
        if self.metrics_path is not None:
            routes.append(Route(self.metrics_path, self._told_metrics))
        routes.append(Route("/{path:path}", self._answer, methods=METHODS))
        return Starlette(routes=routes)

    async def _health(self, request: Request) -> Response:
        waiting = [name for name in self.store.names() if not self.store.is_serving(name)]
        return Response("ok\n" if not waiting else f"no version of {', '.join(waiting)}\n", 503 if waiting else 200)

    async def _told_metrics(self, request: Request) -> Response:
        return Response(self.metrics.page(), media_type=CONTENT_TYPE)

    async def _answer(self, request: Request) -> Response:
        path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1").partition("?")[0]
        try:
            body = await self._body(request)
        except _TooLargeError:
            sentence = f"the request has more than the {self.max_bytes} bytes that this server takes (--max-request-mb)"
            return _response(TOO_LARGE, error_json(wrong(sentence)))
        except ClientDisconnect:
            return _response(HTTP_STATUS[Code.CANCELLED], "")
        except RequestError as error:
            return _response(HTTP_STATUS[error.code], error_json(error))
        return await run_in_threadpool(self._answered, request.method, path, body)

    async def _body(self, request: Request) -> bytes:
        """The body, within the limit."""
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self.max_bytes:
                raise _TooLargeError
            parts.append(part)
        body = b"".join(parts)
        return self._unzipped(body) if request.headers.get("content-encoding", "").lower() == "gzip" else body

    def _unzipped(self, body: bytes) -> bytes:
        reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            plain = reader.decompress(body, self.max_bytes + 1)
        except zlib.error as error:
            raise wrong("the body is no gzip data") from error
        if len(plain) > self.max_bytes:
            raise _TooLargeError
        if not reader.eof:
            raise wrong("the gzip data of the body ends too early")
        return plain

    def _answered(self, verb: str, path: str, body: bytes) -> Response:
        malformed = wrong(f"Malformed request: {verb} {path}")
        if not API.fullmatch(path):
            return _response(404, error_json(malformed))
        found = {"POST": ASKING, "GET": TELLING}.get(verb, ASKING).fullmatch(path)
        try:
            if found is None or verb not in ("GET", "POST"):
                raise malformed
            method = (found["method"] or "status").lower()
            asked = _asked(found)
            with self.metrics.request(asked.model, "REST", method):
                return _response(200, self._methods()[method](asked, body))
        except RequestError as error:
            return _response(HTTP_STATUS[error.code], error_json(error))
        except Exception as error:  # nobody foresaw it; the caller hears of it in the form of every other error
            self.metrics.fault(f"{verb} {path}", error)
            return _response(500, error_json(RequestError(Code.INTERNAL, f"{type(error).__name__}: {error}")))

    def _methods(self) -> dict[str, Callable[[Asked, bytes], str]]:
        return {
            "predict": self._predict,
            "classify": self._classify,
            "regress": self._regress,
            "status": self._status,
            "metadata": self._metadata,
        }

    def _predict(self, asked: Asked, body: bytes) -> str:
        request = JsonRequest.of(body)
        with self.store.held(asked) as held:
            name = request.signature or DEFAULT_SIGNATURE
            if name not in held.model.signatures:
                raise wrong(f'Serving signature name: "{name}" not found in signature def')
            inputs = request.tensors(held.model.signatures[name].inputs)
            outputs = self.inference.predict(held, name, inputs)
        return rows_json(outputs) if request.is_row_format else columns_json(outputs)

    def _classify(self, asked: Asked, body: bytes) -> str:
        request = JsonRequest.of(body)
        given = input_of(request.values)
        with self.store.held(asked) as held:
            return classification_json(self.inference.classify(held, request.signature, given))

    def _regress(self, asked: Asked, body: bytes) -> str:
        request = JsonRequest.of(body)
        given = input_of(request.values)
        with self.store.held(asked) as held:
            return regression_json(self.inference.regress(held, request.signature, given))

    def _status(self, asked: Asked, body: bytes) -> str:
        _check_named(asked)
        response: get_model_status_pb2.GetModelStatusResponse = status_of(self.store, asked)
        return status_json(response)

    def _metadata(self, asked: Asked, body: bytes) -> str:
        _check_named(asked)
        response: get_model_metadata_pb2.GetModelMetadataResponse = metadata_of(self.store, asked)
        return metadata_json(response)


def _check_named(asked: Asked) -> None:
    if not asked.model:
        raise wrong("Missing model name in request.")


def _asked(found: re.Match[str]) -> Asked:
    version = found["version"]
    if version is not None and (len(version) > LONGEST_VERSION or int(version) > LARGEST_VERSION):
        raise wrong(f"Failed to convert version: {version} to numeric.")
    label = None if found["label"] is None else unquote(found["label"])
    return Asked(unquote(found["model"] or ""), None if version is None else int(version), label)


def _response(status: int, text: str) -> Response:
    return Response(text, status, media_type="application/json")

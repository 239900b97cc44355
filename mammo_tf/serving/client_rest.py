"""The REST road to a model server; loads no TensorFlow."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
from numpy.typing import NDArray

from mammo_tf.json_text import parsed_json
from mammo_tf.serving.client import ServedModel, ServedSignature, ServedTensor, Tensors
from mammo_tf.serving.refusals import HTTP_STATUS, Code, RequestError

# What the status of an answer means; of several codes of one status the commonest:
CODES = {
    **{status: code for code, status in reversed(HTTP_STATUS.items())},
    400: Code.INVALID_ARGUMENT, 500: Code.INTERNAL, 502: Code.UNAVAILABLE, 504: Code.DEADLINE_EXCEEDED,
}  # fmt: skip
DTYPES = {
    "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BOOL": "bool", "DT_INT8": "int8",
    "DT_INT16": "int16", "DT_INT32": "int32", "DT_INT64": "int64", "DT_UINT8": "uint8", "DT_UINT16": "uint16",
    "DT_UINT32": "uint32", "DT_UINT64": "uint64", "DT_STRING": "object",
}  # fmt: skip


class RestRoad:
    """A server's RESTful API."""

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=address)

    def signatures(self, model: ServedModel, timeout_s: float) -> Mapping[str, ServedSignature]:
        """What `/metadata` tells; signatures with types that JSON lacks are left out."""
        answer = self._asked("GET", f"{_place(model)}/metadata", None, timeout_s)
        found = {}
        with _understood():
            for name, one in answer["metadata"]["signature_def"]["signature_def"].items():
                if all(told["dtype"] in DTYPES for told in (*one["inputs"].values(), *one["outputs"].values())):
                    found[name] = ServedSignature(_tensors(one["inputs"]), _tensors(one["outputs"]))
        return found

    def predict(
        self, model: ServedModel, name: str, signature: ServedSignature, inputs: Tensors, timeout_s: float
    ) -> Tensors:
        """Asks `:predict` in columns."""
        columns = ", ".join(f"{json.dumps(key)}: {_json(values)}" for key, values in inputs.items())
        body = f'{{"signature_name": {json.dumps(name)}, "inputs": {{{columns}}}}}'
        answer = self._asked("POST", f"{_place(model)}:predict", body, timeout_s)
        with _understood():
            told = answer["outputs"]
            named = told if len(signature.outputs) > 1 else dict.fromkeys(signature.outputs, told)
            return {key: _array(value, signature.outputs[key].dtype) for key, value in named.items()}

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def _asked(self, verb: str, path: str, body: str | None, timeout_s: float) -> Any:
        try:
            response = self._client.request(verb, path, content=body, timeout=timeout_s)
        except httpx.TimeoutException as error:
            raise RequestError(Code.DEADLINE_EXCEEDED, "no answer") from error
        except httpx.ConnectError as error:
            raise RequestError(Code.UNAVAILABLE, str(error)) from error
        except httpx.RemoteProtocolError as error:
            sentence = f"it does not speak HTTP ({error}); is this its gRPC port?"
            raise RequestError(Code.UNKNOWN, sentence) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:  # a connection that was lost is tried again
            raise RequestError(Code.UNAVAILABLE, str(error) or type(error).__name__) from error
        except httpx.DecodingError as error:
            raise RequestError(Code.UNKNOWN, f"its answer is not packed as it says ({error})") from error
        try:
            told = parsed_json(response.text)
        except ValueError:
            told = None
        if response.status_code == 200 and isinstance(told, dict):
            return told
        said = told.get("error") if isinstance(told, dict) else None
        code = CODES.get(response.status_code, Code.UNKNOWN)
        raise RequestError(code, str(said or f"HTTP {response.status_code}, and no word of TensorFlow Serving"))


@contextmanager
def _understood() -> Iterator[None]:
    """What a server of something else answers is JSON too."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RequestError(Code.UNKNOWN, "it answers JSON, but not TensorFlow Serving's") from error


def _place(model: ServedModel) -> str:
    which = "" if model.version is None else f"/versions/{model.version}"
    label = "" if model.label is None else f"/labels/{quote(model.label, safe='')}"
    return f"/v1/models/{quote(model.name, safe='')}{which}{label}"


def _tensors(told: Mapping[str, Any]) -> dict[str, ServedTensor]:
    return {key: ServedTensor(np.dtype(DTYPES[one["dtype"]]), _sizes(one["tensor_shape"])) for key, one in told.items()}


def _sizes(shape: Mapping[str, Any]) -> tuple[int, ...] | None:
    return None if shape.get("unknown_rank") else tuple(int(one["size"]) for one in shape.get("dim", ()))


def _json(values: NDArray[Any]) -> str:
    """An array as JSON, float32 in the nine digits that tell it from its neighbours."""
    if values.dtype == object:
        leaves = [json.dumps({"b64": base64.b64encode(one).decode()}) for one in values.ravel()]
    elif values.dtype == np.float32 and np.isfinite(values).all():
        leaves = [f"{one:.9g}" for one in values.ravel().tolist()]
    else:
        return json.dumps(values.tolist())
    for axis in reversed(range(values.ndim)):
        size, count = values.shape[axis], int(np.prod(values.shape[:axis]))
        leaves = [f"[{', '.join(leaves[start * size : (start + 1) * size])}]" for start in range(count)]
    return leaves[0]


def _array(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind != "O":
        numbers = np.array(value)
        if numbers.dtype.kind not in "biuf":  # null would become a nan
            raise ValueError("no numbers")
        return numbers.astype(dtype)
    found = np.array(value, object)
    flat = [base64.b64decode(one["b64"]) if isinstance(one, dict) else str(one).encode() for one in found.ravel()]
    coded = np.empty(len(flat), object)
    coded[:] = flat
    return coded.reshape(found.shape)

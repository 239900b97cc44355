"""Answers as JSON, by the rules of TensorFlow Serving's `util/json_tensor.cc`.

A decimal has six digits, or as many as tell it from its neighbours, and a point where it is whole. An only output
stands without its name; bytes are `{"b64": "..."}` where the name ends in `_bytes`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from numpy.typing import NDArray
from tensorflow_serving.apis import get_model_metadata_pb2

from mammo_tf.serving.refusals import Code, RequestError, wrong
from mammo_tf.serving.saved_model import Tensors

BYTES = "_bytes"
DIGITS = {np.dtype(np.float64): 17}  # of other decimal types 9


def rows_json(outputs: Tensors) -> str:
    """`{"predictions": [...]}`: a row for each picture, an object of names where there are several outputs.

    Raises:
        RequestError: `INVALID_ARGUMENT` for outputs without rows, or with different numbers of them; for types that
            JSON lacks.
    """
    _check_some(outputs)
    sizes: list[int] = []
    for name, values in outputs.items():
        if values.ndim == 0:
            raise wrong(f"Tensor name: {name} has no shape information ")
        if sizes and len(values) != sizes[0]:
            raise wrong(f"Tensor name: {name} has inconsistent batch size: {len(values)} expecting: {sizes[0]}")
        sizes.append(len(values))
    parts = {name: _parts(name, values) for name, values in outputs.items()}
    if len(parts) == 1:
        (rows,) = parts.values()
    else:
        rows = [_object(dict(zip(parts, row, strict=True))) for row in zip(*parts.values(), strict=True)]
    return f'{{"predictions": {_list(rows)}}}'


def columns_json(outputs: Tensors) -> str:
    """`{"outputs": ...}`: the value of one output, or an object of several; errors as `rows_json`."""
    _check_some(outputs)
    parts = {name: _value(name, values) for name, values in outputs.items()}
    found = next(iter(parts.values())) if len(parts) == 1 else _object(parts)
    return f'{{"outputs": {found}}}'


def classification_json(result: Any) -> str:
    """`{"results": [[[label, score], ...], ...]}` of a `ClassificationResult`."""
    if not result.classifications:
        raise wrong("Cannot convert empty ClassificationResults to JSON")
    rows = []
    for one in result.classifications:
        scores = _decimals(np.array([kind.score for kind in one.classes], np.float32))
        labels = [json.dumps(kind.label) for kind in one.classes]
        rows.append(_list(_list(pair) for pair in zip(labels, scores, strict=True)))
    return f'{{"results": {_list(rows)}}}'


def regression_json(result: Any) -> str:
    """`{"results": [value, ...]}` of a `RegressionResult`."""
    if not result.regressions:
        raise wrong("Cannot convert empty RegressionResults to JSON")
    return f'{{"results": {_list(_decimals(np.array([one.value for one in result.regressions], np.float32)))}}}'


def status_json(response: Any) -> str:
    """Of a `GetModelStatusResponse`."""
    return json_format.MessageToJson(response, always_print_fields_with_no_presence=True, indent=1)


def metadata_json(response: Any) -> str:
    """Of a `GetModelMetadataResponse` with `signature_def`."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    spec, told = (
        json_format.MessageToDict(message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
        for message in (response.model_spec, signatures)
    )
    return json.dumps({"model_spec": spec, "metadata": {"signature_def": told}}, indent=1)


def error_json(error: RequestError) -> str:
    """`{"error": "..."}`."""
    return json.dumps({"error": error.sentence})


def _check_some(outputs: Tensors) -> None:
    if not outputs:
        raise wrong("Cannot convert empty tensor map to JSON")


def _list(parts: Iterable[str]) -> str:
    return f"[{', '.join(parts)}]"


def _object(parts: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{json.dumps(name)}: {part}' for name, part in parts.items())}}}"


def _value(name: str, values: NDArray[Any]) -> str:
    """An array as JSON."""
    leaves: Sequence[str] = _leaves(name, values.ravel())
    for axis in reversed(range(values.ndim)):
        size, count = values.shape[axis], math.prod(values.shape[:axis])
        leaves = [_list(leaves[number * size : (number + 1) * size]) for number in range(count)]
    return leaves[0]


def _parts(name: str, values: NDArray[Any]) -> list[str]:
    """The rows of an array as JSON."""
    if values.ndim == 1:
        return _leaves(name, values)
    return [_value(name, row) for row in values]


def _leaves(name: str, values: NDArray[Any]) -> list[str]:
    """The values of an array of one dimension as JSON."""
    match values.dtype.kind:
        case "b":
            return ["true" if value else "false" for value in values.tolist()]
        case "i" | "u":
            return [str(value) for value in values.tolist()]
        case "O" | "S" if name.endswith(BYTES):
            return [json.dumps({"b64": base64.b64encode(bytes(value)).decode()}) for value in values]
        case "O" | "S":
            return [json.dumps(bytes(value).decode("utf-8", "replace"), ensure_ascii=False) for value in values]
        case "f":
            return _decimals(values)
        case _ if values.dtype == tf.bfloat16.as_numpy_dtype:
            return _decimals(values.astype(np.float32))
        case _:
            named = tf.dtypes.as_dtype(values.dtype).name
            raise RequestError(Code.INVALID_ARGUMENT, f"Failed to write JSON value for tensor type: {named}")


def _decimals(values: NDArray[Any]) -> list[str]:
    """Numbers as JSON: of six digits, and of all where six make another number of the same type."""
    numbers = values.tolist()
    texts = [f"{number:g}" for number in numbers]
    with np.errstate(over="ignore"):  # six digits of the largest number are more than it
        read = np.array([float(text) for text in texts], np.float64).astype(values.dtype)
    digits = DIGITS.get(values.dtype, 9)
    for place in np.flatnonzero(~np.isfinite(values) | (read != values)):
        number = numbers[place]
        if np.isfinite(number):
            texts[place] = f"{number:.{digits}g}"
        else:
            texts[place] = "NaN" if np.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    return [text if set(text) & set(".eIN") else f"{text}.0" for text in texts]

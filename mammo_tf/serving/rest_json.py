"""JSON of TensorFlow Serving's RESTful API to arrays, by the rules of its `util/json_tensor.cc`.

A request has `instances` (a row for each picture) or `inputs` (a column for each input), never both. A value is a
scalar or a list of any depth, as deep everywhere; bytes are `{"b64": "..."}`. `NaN`, `Infinity` and `-Infinity` are
numbers. A whole number is taken for a decimal, a decimal never for a whole one; a decimal is rounded to its type, and
infinite where it is beyond the largest. Names in the object `inputs` that the signature lacks are passed over there, as
TensorFlow Serving does; in `instances` they are refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.serving.json_values import converted, is_bytes, shown
from mammo_tf.serving.refusals import Code, RequestError, wrong
from mammo_tf.serving.saved_model import TensorPlace

Places = Mapping[str, TensorPlace]
DEEPEST = 64  # dimensions of an array
# Python's words for a fault of JSON, and those of the parser that TensorFlow Serving has (RapidJSON):
PARSE_ERRORS = {
    "Expecting value": "Invalid value.",
    "Extra data": "The document root must not be followed by other values.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Expecting ',' delimiter": "Missing a comma or } after an object member, or a comma or ] after an array element.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
}


@dataclass(frozen=True)
class JsonRequest:
    """The body of a request.

    Attributes:
        values: of its object, by key.
        signature: the name of the signature that is asked; empty for the default one.
    """

    values: Mapping[str, Any]
    signature: str

    @classmethod
    def of(cls, body: bytes) -> JsonRequest:
        """Parses a body.

        Raises:
            RequestError: `INVALID_ARGUMENT` for what is not JSON, not an object, or has a `signature_name` that is
                not a string.
        """
        values = _parsed(body)
        if not isinstance(values, dict):
            raise wrong(f"JSON Value: {shown(values)} Is not object")
        signature = values.get("signature_name", "")
        if not isinstance(signature, str):
            reason = "not formatted correctly. 'signature_name' key must be a string value."
            raise wrong(f"JSON Value: {shown(values)} {reason}")
        return cls(values, signature)

    @property
    def is_row_format(self) -> bool:
        """Whether it has `instances`: the answer then has a row for each."""
        return "instances" in self.values

    def tensors(self, places: Places) -> dict[str, NDArray[Any]]:
        """The inputs of a signature.

        Raises:
            RequestError: `INVALID_ARGUMENT` for what the rules above forbid, `UNIMPLEMENTED` for types that JSON lacks.
        """
        if not places:
            raise wrong(f"Failed to get input map for signature: {self.signature or 'DEFAULT'}")
        if not self.is_row_format and "inputs" not in self.values:
            raise wrong("Missing 'inputs' or 'instances' key")
        if self.is_row_format and "inputs" in self.values:
            reason = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist"
            raise wrong(f"JSON Value: {shown(self.values)} {reason}")
        if self.is_row_format:
            return _of_rows(self.values["instances"], places)
        return _of_columns(self.values["inputs"], places)


def _parsed(body: bytes) -> Any:
    if not body:
        raise wrong("JSON Parse error: The document is empty.")
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        reason = "The document is empty." if not body.strip() else PARSE_ERRORS.get(error.msg, error.msg)
        raise wrong(f"JSON Parse error: {reason} at offset: {error.pos}") from error
    except RecursionError as error:
        raise wrong("JSON Parse error: nested too deeply") from error
    except ValueError as error:  # no UTF-8; a number of thousands of digits
        raise wrong(f"JSON Parse error: {error}") from error


def _of_rows(rows: Any, places: Places) -> dict[str, NDArray[Any]]:
    if not isinstance(rows, list):
        raise wrong(f"JSON Value: {shown(rows)} Expecting 'instances' to be an list/array")
    if not rows:
        raise wrong(f"JSON Value: {shown(rows)} No values in 'instances' array")
    named = isinstance(rows[0], dict) and not is_bytes(rows[0])
    if not named and len(places) > 1:
        raise wrong(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    for number, row in enumerate(rows):
        if named != (isinstance(row, dict) and not is_bytes(row)):
            reason = "Expecting object but got list" if named else "Expecting value/list but got object"
            raise wrong(f"{reason} at item {number} of input list")
    if not named:
        (name,) = places
        return {name: _stacked(rows, places[name], "")}
    for number, row in enumerate(rows):
        _check_keys(number, row, places)
    return {name: _stacked([row[name] for row in rows], places[name], f" key: {name}") for name in places}


def _check_keys(number: int, row: Mapping[str, Any], places: Places) -> None:
    unknown = next((name for name in row if name not in places), None)
    if unknown is not None:
        reason = f"JSON object: does not have named input: {unknown}"
        raise wrong(f"Failed to process element: {number} key: {unknown} of 'instances' list. Error: {_code(reason)}")
    if len(row) != len(places):
        keys = f"keys must be equal to: {','.join(places)}"
        raise wrong(f"Failed to process element: {number} of 'instances' list. JSON object: {shown(row)} {keys}")


def _stacked(items: Sequence[Any], place: TensorPlace, key: str) -> NDArray[Any]:
    """The items of a row format as one array; where they do not fit together, the first that does not is told."""
    try:
        return _array(list(items), place.dtype)
    except RequestError as fault:
        first: tuple[int, ...] | None = None
        for number, item in enumerate(items):
            told = f"Failed to process element: {number}{key} of 'instances' list. Error: "
            try:
                shape = _array(item, place.dtype).shape
            except RequestError as error:
                raise RequestError(error.code, told + _code(error.sentence)) from fault
            if first is not None and math.prod(shape) != math.prod(first):
                reason = f"Expecting tensor size: {math.prod(first)} but got: {math.prod(shape)}"
                raise wrong(told + _code(reason)) from fault
            if first is not None and shape != first:
                raise wrong(told + _code(f"Expecting shape {_listed(first)} but got: {_listed(shape)}")) from fault
            first = shape
        raise


def _code(sentence: str) -> str:
    return f"{Code.INVALID_ARGUMENT.name}: {sentence}"


def _listed(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _of_columns(columns: Any, places: Places) -> dict[str, NDArray[Any]]:
    if not isinstance(columns, dict) or is_bytes(columns):
        if len(places) > 1:
            raise wrong(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        (name,) = places
        return {name: _array(columns, places[name].dtype)}
    missing = next((name for name in places if name not in columns), None)
    if missing is not None:
        raise wrong(f"Missing named input: {missing} in 'inputs' object.")
    return {name: _array(columns[name], place.dtype) for name, place in places.items()}


def _array(value: Any, dtype: tf.DType) -> NDArray[Any]:
    """A value of any depth as an array."""
    shape: list[int] = []
    leaves, one = [value], value
    while isinstance(one, list):
        shape.append(len(one))
        if len(shape) > DEEPEST:
            raise wrong(f"Encountered list at unexpected level: {len(shape)} expected < {DEEPEST}")
        if any(not isinstance(item, list) or len(item) != shape[-1] for item in leaves):
            raise _ragged(value, shape[:-1], len(one))
        leaves = list(chain.from_iterable(leaves))
        one = one[0] if one else None
    deeper = next((item for item in leaves if isinstance(item, list)), None)
    if deeper is not None:
        raise wrong(f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}")
    return converted(leaves, dtype).reshape(shape)


def _ragged(value: Any, shape: Sequence[int], expected: int) -> RequestError:
    """The first item that is no list, or one of another size, at a level of a list."""
    items = [value]
    for _ in shape:
        items = list(chain.from_iterable(items))
    level = len(shape)
    first = next(item for item in items if not isinstance(item, list) or len(item) != expected)
    if isinstance(first, list):
        return wrong(f"Encountered list at unexpected size: {len(first)} at level: {level} expected size: {expected}")
    return wrong(
        f"JSON Value: {shown(first)} found at incorrect level: {level + 1} in the JSON DOM. "
        f"Expected at level: {level + 1}"
    )

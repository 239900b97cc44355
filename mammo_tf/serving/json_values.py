"""Values of JSON, without lists, as numbers, bytes and booleans of a type; what is wrong with one, in words."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.serving.refusals import Code, RequestError, wrong

SHOWN = 200  # characters of a value in a message
B64 = "b64"
INT64, UINT64 = range(-(2**63), 2**63), range(2**64)


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def kind_of(value: Any) -> str:
    """What JSON calls a value."""
    match value:
        case None:
            return "Null"
        case bool():
            return "True" if value else "False"
        case dict():
            return "Object"
        case list():
            return "Array"
        case str():
            return "String"
        case _:
            return "Number"


def is_bytes(value: Any) -> bool:
    """Whether a value is `{"b64": "..."}`."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(B64), str)


def bytes_of(value: Any) -> bytes:
    """The bytes of `{"b64": "..."}`, whose padding may be left out."""
    text = "".join(value[B64].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise wrong("Unable to base64 decode") from error


def decimal(value: float) -> float:
    """A number as a float64, which holds every decimal of JSON but not every whole number of hundreds of digits."""
    try:
        return float(value)
    except OverflowError as error:
        raise wrong("JSON Parse error: Number too big to be stored in double.") from error


def converted(leaves: Sequence[Any], dtype: tf.DType) -> NDArray[Any]:
    """Values without lists as an array of a type."""
    kinds = set(map(type, leaves))
    if dtype == tf.string:
        return _strings(leaves)
    if dtype == tf.bool:
        allowed: set[type] = {bool}
    elif dtype.is_integer:
        allowed = {int}
    elif dtype.is_floating:
        allowed = {int, float}
    else:
        raise RequestError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {shown(leaves[:1])} to type: {dtype.name}")
    if kinds - allowed:
        raise _type_error(next(leaf for leaf in leaves if type(leaf) not in allowed), dtype)
    if dtype.is_integer:
        outside = next((leaf for leaf in leaves if not dtype.min <= leaf <= dtype.max), None)
        if outside is not None:
            raise _type_error(outside, dtype)
    if dtype.is_floating:
        with np.errstate(over="ignore"):  # infinity, as TensorFlow Serving has it
            return np.array([decimal(leaf) for leaf in leaves], np.float64).astype(dtype.as_numpy_dtype)
    return np.array(leaves, dtype.as_numpy_dtype)


def _strings(leaves: Sequence[Any]) -> NDArray[Any]:
    found = np.empty(len(leaves), object)
    for number, leaf in enumerate(leaves):
        if isinstance(leaf, dict):
            if not is_bytes(leaf):
                raise wrong(f"JSON Value: {shown(leaf)} not formatted correctly for base64 data")
            found[number] = bytes_of(leaf)
        elif isinstance(leaf, str):
            try:
                found[number] = leaf.encode()
            except UnicodeEncodeError as error:
                raise wrong("JSON Parse error: The surrogate pair in string is invalid.") from error
        else:
            raise _type_error(leaf, tf.string)
    return found


def _type_error(value: Any, dtype: tf.DType) -> RequestError:
    name = {tf.float32: "float", tf.float64: "double"}.get(dtype, dtype.name)
    return wrong(f"JSON Value: {shown(value)} Type: {kind_of(value)} is not of expected type: {name}")

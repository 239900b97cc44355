"""JSON of `:classify` and `:regress`, a list of examples, to `tf.train.Example`, as TensorFlow Serving reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import input_pb2

from mammo_tf.serving.json_values import INT64, UINT64, bytes_of, decimal, is_bytes, kind_of, shown
from mammo_tf.serving.refusals import wrong

NAMES = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def input_of(values: Mapping[str, Any]) -> Any:
    """The examples of a request, with what they share (`context`), as an `Input` proto.

    Args:
        values: of the request's JSON, by key.

    Raises:
        RequestError: `INVALID_ARGUMENT`.
    """
    found = input_pb2.Input()
    examples = found.example_list.examples
    if "context" in values:
        found.example_list_with_context.context.CopyFrom(_example(values["context"]))
        examples = found.example_list_with_context.examples
    if "examples" not in values:
        reason = "When method is classify, key 'examples' is expected and was not found"
        raise wrong(f"JSON Value: {shown(values)} {reason}")
    given = values["examples"]
    if not isinstance(given, list):
        raise wrong(f"JSON Value: {shown(values)} Expecting 'examples' value to be an list/array")
    if not given:
        raise wrong(f"JSON Value: {shown(values)} 'examples' value is an empty array")
    examples.extend(_example(one) for one in given)
    return found


def _example(value: Any) -> Any:
    if not isinstance(value, dict):
        raise wrong(f"Example must be JSON object but got JSON {kind_of(value)}")
    made = example_pb2.Example()
    for name, content in value.items():
        feature = feature_pb2.Feature()
        for one in content if isinstance(content, list) else [content]:
            _add(feature, name, one)
        made.features.feature[name].CopyFrom(feature)
    return made


def _add(feature: Any, name: str, value: Any) -> None:
    if isinstance(value, str):
        _list_of(feature, "bytes_list", name).append(value.encode("utf-8", "surrogatepass"))
    elif is_bytes(value):
        _list_of(feature, "bytes_list", name).append(bytes_of(value))
    elif value is None or isinstance(value, dict | list):
        raise wrong(f"Feature: {name} has element with unexpected JSON type: {kind_of(value)}")
    elif isinstance(value, int) and (isinstance(value, bool) or value in INT64 or value in UINT64):
        whole = _list_of(feature, "int64_list", name)
        if value not in INT64:
            raise wrong(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        whole.append(int(value))
    else:
        _list_of(feature, "float_list", name).append(decimal(value))


def _list_of(feature: Any, kind: str, name: str) -> Any:
    """The values of a feature, which are all of one kind."""
    known = feature.WhichOneof("kind")
    if known not in (None, kind):
        raise wrong(f"Unexpected element type in feature: {name} expecting type: {NAMES[known]}")
    return getattr(feature, kind).value

"""JSON to tensors and back, by the cases of TensorFlow Serving's `util/json_tensor_test.cc`.

Tensors from JSON: SingleUnnamedTensor, MixedInputForFloatTensor, MixedInputForDoubleTensor,
FloatTensorWithPrecisionLoss, FloatTensorThatExceedsMaxReturnsInf, -MinReturnsZero, SingleUnnamedTensorWithSignature,
SingleUnnamedTensorBase64Scalars, SingleUnnamedTensorBase64Lists, SingleNamedTensorBase64, MultipleNamedTensor (with NaN
and Infinity), SingleUnnamedTensorColumnarFormat, MultipleNamedTensorColumnarFormat (with a base64 scalar),
SingleUnnamedTensorErrors (all seven), MultipleNamedTensorErrors (all four); of its handler's test the empty and the
badly formatted document.
JSON from tensors: FromJsonSingleTensor, -SingleScalarTensor, -SingleBytesTensor, -SingleFloatTensorSixDigitPrecision,
-SingleFloatTensorNonFinite, -SingleTensorErrors, -MultipleNamedTensors, -MultipleNamedTensorsErrors,
-SingleZeroBatchTensor, -MultipleZeroBatchTensors, -MultipleZeroBatchTensorsErrors.
Examples: RequestNoContext, RequestWithContextAndSignature, JsonErrors (all nine), JsonFromClassificationResult,
JsonFromRegressionResult, -WithNonFinite, JsonFromResultErrors, StatusError.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.apis import classification_pb2, regression_pb2

from mammo_tf.serving.refusals import Code, RequestError, wrong
from mammo_tf.serving.rest_answers import classification_json, columns_json, error_json, regression_json, rows_json
from mammo_tf.serving.rest_examples import input_of
from mammo_tf.serving.rest_json import JsonRequest
from mammo_tf.serving.saved_model import TensorPlace


def places(**dtypes: Any) -> dict[str, TensorPlace]:
    return {name: TensorPlace(f"{name}:0", dtype, None) for name, dtype in sorted(dtypes.items())}


def tensors(body: str, **dtypes: Any) -> dict[str, np.ndarray]:
    return JsonRequest.of(body.encode()).tensors(places(**dtypes))


@pytest.mark.parametrize(
    ("body", "dtype", "expected"),
    [
        ('{"instances": [[1,2],[3,4],[5,6]]}', tf.int32, [[1, 2], [3, 4], [5, 6]]),
        ('{"instances": [1, 2.0, 3, 4, 5.003, 0.007, 0.0]}', tf.float32, [1, 2, 3, 4, 5.003, 0.007, 0]),
        ('{"instances": [1.0, 2, 3, 4, 0.662, 0, 0.0]}', tf.float64, [1, 2, 3, 4, 0.662, 0, 0]),
        ('{"signature_name": "predict_images", "instances": [[1,2]]}', tf.int32, [[1, 2]]),
        ('{"instances": [{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}]}', tf.string, [b"hello", b"world"]),
        ('{"instances": [[{"b64": "aGVsbG8="}], [{"b64": "d29ybGQ"}]]}', tf.string, [[b"hello"], [b"world"]]),
        ('{"instances": [{"x": [[{"b64": "aGVsbG8="}], [{"b64": "d29ybGQ="}]]}]}', tf.string,
         [[[b"hello"], [b"world"]]]),
        ('{"instances": [[true], [false]]}', tf.bool, [[True], [False]]),
        ('{"instances": [NaN, Infinity, -Infinity]}', tf.float32, [np.nan, np.inf, -np.inf]),
        ('{"instances": [18446744073709551615]}', tf.uint64, [2**64 - 1]),
        ('{"instances": [1435774380, 1435774380.0]}', tf.float32, [1435774336, 1435774336]),
        (f'{{"instances": [{sys.float_info.max}, -{sys.float_info.max}]}}', tf.float32, [np.inf, -np.inf]),
        (f'{{"instances": [{sys.float_info.min}, -{sys.float_info.min}]}}', tf.float32, [0.0, -0.0]),
        ('{"inputs": {"x": [[[1,2],[3,4],[5,6]]]}}', tf.int32, [[[1, 2], [3, 4], [5, 6]]]),
        ('{"inputs": [[[1,2],[3,4],[5,6]]]}', tf.int32, [[[1, 2], [3, 4], [5, 6]]]),
        ('{"inputs": {"b64": "aGVsbG8="}}', tf.string, b"hello"),
        ('{"inputs": []}', tf.float32, []),
        ('{"inputs": [[], []]}', tf.float32, [[], []]),
        ('{"inputs": {"x": 4, "not asked": 5}}', tf.int64, 4),
    ],
)  # fmt: skip
def test_tensors_from_json(body: str, dtype: Any, expected: Any) -> None:
    (values,) = tensors(body, x=dtype).values()
    right = np.array(expected, object if dtype == tf.string else dtype.as_numpy_dtype)
    assert values.shape == right.shape
    assert values.dtype == right.dtype
    np.testing.assert_array_equal(values, right)


def test_several_named_tensors_in_rows_and_columns() -> None:
    found = tensors(
        """{"instances": [
        {"int": [[1,2],[3,4],[5,6]], "str": ["foo", "bar"], "float": [1.0, NaN], "dbl": [NaN]},
        {"int": [[7,8],[9,0],[1,2]], "str": ["baz", "bat"], "float": [2.0, Infinity], "dbl": [2.0]}]}""",
        int=tf.int32, str=tf.string, float=tf.float32, dbl=tf.float64,
    )  # fmt: skip
    assert found["int"].tolist() == [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 0], [1, 2]]]
    assert found["str"].tolist() == [[b"foo", b"bar"], [b"baz", b"bat"]]
    np.testing.assert_array_equal(found["float"], np.array([[1, np.nan], [2, np.inf]], np.float32))
    np.testing.assert_array_equal(found["dbl"], [[np.nan], [2]])
    found = tensors(
        '{"inputs": {"int": [[1,2]], "str": ["foo", "bar"], "bin": {"b64": "aGVsbG8="}}}',
        int=tf.int32, str=tf.string, bin=tf.string,
    )  # fmt: skip
    assert found["int"].shape == (1, 2)
    assert found["str"].tolist() == [b"foo", b"bar"]
    assert found["bin"].item() == b"hello"


@pytest.mark.parametrize(
    ("body", "dtype", "said"),
    [
        ("", tf.int32, "JSON Parse error: The document is empty"),
        ("instances = [1, 2]", tf.int32, "JSON Parse error: Invalid value. at offset: 0"),
        ('{"instances": [1, 2}', tf.int32, "JSON Parse error: Missing a comma"),
        ('{"instances": [1]} x', tf.int32, "must not be followed by other values"),
        (f'{{"instances": {"[" * 100_000}', tf.int32, "JSON Parse error: nested too deeply"),
        ("[1]", tf.int32, "Is not object"),
        ("{}", tf.int32, "Missing 'inputs' or 'instances' key"),
        ('{"instances": 1}', tf.int32, "to be an list/array"),
        ('{"instances": []}', tf.int32, "No values in 'instances' array"),
        ('{"signature_name": 5, "instances": [[1,2],[3,4],[5,6,7]]}', tf.int32, "must be a string value"),
        ('{"instances": [[1,2],[3,4]], "inputs": [[1,2]]}', tf.int32, "Not formatted correctly"),
        ('{"instances": [[1,2],[3,4],[5,6,7]]}', tf.int32, "element: 2 of 'instances' list. Error: INVALID_ARGUMENT: "
         "Expecting tensor size: 2 but got: 3"),
        ('{"instances": [[1,2],[3,4],[[5,6]]]}', tf.int32, "Expecting shape [2] but got: [1,2]"),
        ('{"instances": [1, [1]]}', tf.int32, "Expecting shape [] but got: [1]"),
        ('{"instances": [[1,2],["a", "b"]]}', tf.int32, 'JSON Value: "a" Type: String is not of expected type: int32'),
        ('{"instances": [1, 1.0]}', tf.int32, "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ('{"instances": [1, 2147483648]}', tf.int32, "not of expected type: int32"),
        ('{"instances": [true]}', tf.float32, "Type: True is not of expected type: float"),
        ('{"instances": [null]}', tf.float32, "Type: Null is not of expected type: float"),
        ('{"instances": [1]}', tf.bool, "not of expected type: bool"),
        ('{"instances": [1]}', tf.string, "Type: Number is not of expected type: string"),
        ('{"instances": [{"b64": "aGVsbG8="}]}', tf.float32, "Type: Object is not of expected type: float"),
        ('{"instances": [{"b64": "*"}]}', tf.string, "Unable to base64 decode"),
        ('{"inputs": [{"b64": "aGVsbG8=", "more": 1}]}', tf.string, "not formatted correctly for base64 data"),
        (f'{{"instances": [1{"0" * 400}]}}', tf.float32, "Number too big to be stored in double"),
        ('{"inputs": [[1,2],[3]]}', tf.int32, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ('{"inputs": [1,[2]]}', tf.int32, "Encountered list at unexpected level: 1"),
        ('{"inputs": [[1],2]}', tf.int32, "JSON Value: 2 found at incorrect level: 2"),
        ('{"inputs": {"y": 1}}', tf.int32, "Missing named input: x in 'inputs' object"),
        ('{"instances": [{"y": 1}]}', tf.int32, "JSON object: does not have named input: y"),
        ('{"instances": [{}]}', tf.int32, "keys must be equal to: x"),
    ],
)  # fmt: skip
def test_faults_of_json(body: str, dtype: Any, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        tensors(body, x=dtype)
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert said in caught.value.sentence
    assert len(caught.value.sentence) < 500


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"instances": [{"int": [[1,2]], "str": ["foo"]}, {"int": [[[1,2]]], "str": ["baz"]}]}',
         "element: 1 key: int of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [1,2] but got: [1,1,2]"),
        ('{"instances": [{"int": [[1,2],[3,4]], "str": ["foo"]}, {"int": [[7,8]], "str": ["baz"]}]}',
         "Expecting tensor size: 4 but got: 2"),
        ('{"instances": [{"int": [1], "str": ["foo"]}, [1, 20, 30]]}', "Expecting object but got list at item 1"),
        ('{"instances": [[1], {"int": [1], "str": ["foo"]}]}', "is a plain list, but expecting list of objects"),
        ('{"inputs": [1]}', "inputs is a plain value/list, but expecting an object"),
    ],
)  # fmt: skip
def test_faults_of_several_named_tensors(body: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        tensors(body, int=tf.int32, str=tf.string)
    assert said in caught.value.sentence


def test_a_list_mixed_with_an_object_and_a_type_that_json_lacks() -> None:
    with pytest.raises(RequestError, match="Expecting value/list but got object at item 1"):
        tensors('{"instances": [["baz", "bar"], {"x": ["baz", "bat"]}]}', x=tf.string)
    with pytest.raises(RequestError, match="to type: complex64") as caught:
        tensors('{"instances": [1]}', x=tf.complex64)
    assert caught.value.code == Code.UNIMPLEMENTED
    with pytest.raises(RequestError, match="Failed to get input map for signature: DEFAULT"):
        tensors('{"inputs": {}}')


def test_rows_and_columns_of_json() -> None:
    whole = np.array([[[1, 2], [3, 4]], [[7, 8], [9, 0]]], np.int32)
    assert json.loads(rows_json({"x": whole})) == {"predictions": whole.tolist()}
    assert json.loads(columns_json({"x": whole})) == {"outputs": whole.tolist()}
    assert json.loads(rows_json({"x": np.arange(1, 6)})) == {"predictions": [1, 2, 3, 4, 5]}
    assert json.loads(columns_json({"x": np.array(2.5)})) == {"outputs": 2.5}
    words = np.array([[b"hello", b"world"], [b"tf", b"serving"]], object)
    coded = [[{"b64": "aGVsbG8="}, {"b64": "d29ybGQ="}], [{"b64": "dGY="}, {"b64": "c2VydmluZw=="}]]
    assert json.loads(rows_json({"str_bytes": words})) == {"predictions": coded}
    several = {"double": np.array([8.0, 9.0]), "flags": np.array([[True], [False]]), "str": words, "str_bytes": words}
    rows = [
        {"double": 8.0, "flags": [True], "str": ["hello", "world"], "str_bytes": coded[0]},
        {"double": 9.0, "flags": [False], "str": ["tf", "serving"], "str_bytes": coded[1]},
    ]
    assert json.loads(rows_json(several)) == {"predictions": rows}
    columns = json.loads(columns_json(several))["outputs"]
    assert columns["str"] == [["hello", "world"], ["tf", "serving"]]
    assert columns["str_bytes"] == coded


def test_decimals_have_six_digits_or_as_many_as_they_need() -> None:
    values = np.array([[9000000, 999999, 0.5], [0.0003, 0.00003, 555557.5]], np.float32)
    assert rows_json({"x": values}) == '{"predictions": [[9e+06, 999999.0, 0.5], [0.0003, 3e-05, 555557.5]]}'
    odd = np.array([np.nan, np.inf, 3, -np.inf], np.float32)
    assert rows_json({"x": odd}) == '{"predictions": [NaN, Infinity, 3.0, -Infinity]}'
    for dtype in (np.float16, np.float32, np.float64):
        numbers = np.random.default_rng(1).normal(size=2000).astype(dtype) * dtype(100)
        numbers[:2] = np.finfo(dtype).max, np.finfo(dtype).tiny
        back = np.array(json.loads(rows_json({"x": numbers}))["predictions"]).astype(dtype)
        np.testing.assert_array_equal(back, numbers)


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({}, "empty tensor map"),
        ({"x": np.zeros(2, np.complex64)}, "tensor type: complex64"),
        ({"x": np.array(1)}, "no shape information"),
        ({"x": np.zeros((2, 3)), "y": np.zeros((1, 3))}, "inconsistent batch size: 1 expecting: 2"),
        ({"x": np.zeros((0, 2)), "y": np.zeros((1, 2))}, "inconsistent batch size"),
    ],
)
def test_outputs_that_are_no_rows(outputs: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        rows_json(outputs)


def test_no_row() -> None:
    assert json.loads(rows_json({"x": np.zeros((0, 2))})) == {"predictions": []}
    assert json.loads(rows_json({"x": np.zeros((0, 1, 2)), "y": np.zeros((0, 3, 4))})) == {"predictions": []}
    assert json.loads(columns_json({"x": np.zeros((2, 0, 3))})) == {"outputs": [[], []]}


def test_examples() -> None:
    plain = input_of(
        json.loads('{"examples": [{"names": ["foo", "bar"], "ratings": [8.0, 9.0], "age": 20}, {"names": "baz"}]}')
    )
    first, second = plain.example_list.examples
    assert list(first.features.feature["names"].bytes_list.value) == [b"foo", b"bar"]
    assert list(first.features.feature["ratings"].float_list.value) == [8, 9]
    assert list(first.features.feature["age"].int64_list.value) == [20]
    assert list(second.features.feature) == ["names"]
    shared = input_of(
        json.loads(
            '{"context": {"query": "pizza"}, "examples": [{"names": ["baz", {"b64": "aGVsbG8="}], '
            '"mix": [1, true, false], "ratings": [NaN, -Infinity]}]}'
        )
    )
    (one,) = shared.example_list_with_context.examples
    assert shared.example_list_with_context.context.features.feature["query"].bytes_list.value[0] == b"pizza"
    assert list(one.features.feature["names"].bytes_list.value) == [b"baz", b"hello"]
    assert list(one.features.feature["mix"].int64_list.value) == [1, 1, 0]
    assert one.features.feature["ratings"].float_list.value[1] == -np.inf
    huge = input_of({"examples": [{"x": [sys.float_info.max, 2**70]}]}).example_list.examples[0]
    assert list(huge.features.feature["x"].float_list.value) == [np.inf, 2**70]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"context": [{"names": ["foo"]}]}', "Example must be JSON object but got JSON Array"),
        ('{"examples": {"names": ["foo"]}}', "list/array"),
        ('{"examples": [[{"names": ["foo"]}]]}', "Example must be JSON object"),
        ('{"examples": []}', "is an empty array"),
        ("{}", "key 'examples' is expected and was not found"),
        ('{"examples": [{"names": [10, null]}]}', "names has element with unexpected JSON type: Null"),
        ('{"examples": [{"names": [10, 10.0]}]}', "feature: names expecting type: int64"),
        ('{"examples": [{"names": [10, {"test": 10}]}]}', "names has element with unexpected JSON type: Object"),
        ('{"examples": [{"names": [[10], 20]}]}', "names has element with unexpected JSON type: Array"),
        ('{"examples": [{"names": [20, 18446744073709551603]}]}', "Only int64_t is supported"),
    ],
)
def test_faults_of_examples(body: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        input_of(json.loads(body))


def test_results_and_errors_as_json() -> None:
    result = classification_pb2.ClassificationResult()
    classes = result.classifications.add().classes
    for label, score in (("car", 0.2), ("bike", 0.7)):
        classes.add(label=label, score=score)
    assert classification_json(result) == '{"results": [[["car", 0.2], ["bike", 0.7]]]}'
    numbers = regression_pb2.RegressionResult()
    for value in (0.2, np.inf, 1.0, -np.inf, np.nan):
        numbers.regressions.add(value=value)
    assert regression_json(numbers) == '{"results": [0.2, Infinity, 1.0, -Infinity, NaN]}'
    for convert, empty in ((classification_json, classification_pb2.ClassificationResult()),
                           (regression_json, regression_pb2.RegressionResult())):  # fmt: skip
        with pytest.raises(RequestError, match="Cannot convert empty"):
            convert(empty)
    assert json.loads(error_json(wrong('Bad key: "key"'))) == {"error": 'Bad key: "key"'}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just({"b64": "aGVsbG8="}),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(("x", "y", "b64")), inner, max_size=3),
    max_leaves=12,
)


def test_bytes_alone_are_no_row_of_two_inputs() -> None:
    """They are an object to JSON, and a value to the server."""
    with pytest.raises(RequestError, match="instances is a plain list, but expecting list of objects"):
        tensors('{"instances": [{"b64": "aGVsbG8="}]}', x=tf.string, y=tf.string)


@given(
    st.dictionaries(st.sampled_from(("instances", "inputs", "signature_name", "examples", "context")), JSON_VALUES),
    st.sampled_from((tf.float32, tf.float64, tf.int32, tf.uint64, tf.bool, tf.string, tf.half, tf.complex64)),
    st.booleans(),
)
def test_whatever_is_asked_is_taken_or_refused(values: dict[str, Any], dtype: Any, two: bool) -> None:
    """Never another error; what is taken has the type that the signature tells."""
    with contextlib.suppress(RequestError):
        request = JsonRequest.of(json.dumps(values).encode())
        for found in request.tensors(places(x=dtype, y=dtype) if two else places(x=dtype)).values():
            assert found.dtype == (object if dtype == tf.string else dtype.as_numpy_dtype)
    with contextlib.suppress(RequestError):
        input_of(values)


def test_very_deep_lists() -> None:
    with pytest.raises(RequestError, match="unexpected level"):
        tensors(f'{{"inputs": {"[" * 500}1{"]" * 500}}}', x=tf.int32)

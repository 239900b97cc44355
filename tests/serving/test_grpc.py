"""The gRPC services, as TensorFlow Serving tests them.

Of its `servables/tensorflow/predict_impl_test.cc`: MissingOrEmptyModelSpec, EmptyInputList,
InputTensorsDontMatchModelSpecInputs, OutputFiltersDontMatchModelSpecOutputs, InputTensorsHaveWrongType,
ModelMissingSignatures, PredictionSuccess, PredictionWithNamedRegressionSignature, -ClassificationSignature; of
`multi_inference_test.cc` all; of `tensorflow_model_server_test.py`: testGetModelStatus, testClassify, testRegress,
testMultiInference, testPredictSavedModel; of `get_model_status_impl_test.cc` and `get_model_metadata_impl_test.cc` all
but the override; the faults of `model_service_impl.cc`. Besides: labels, every type, messages of several megabytes, a
tensor that says it is larger than it is, callers at once, health.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from little_models import echoed_arrays
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.fixture(scope="module")
def channel(little_server: Any) -> Iterator[grpc.Channel]:
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{little_server.grpc_port}", options) as made:
        yield made


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def models(channel: grpc.Channel) -> Any:
    return model_service_pb2_grpc.ModelServiceStub(channel)


def request(model: str = "half", signature: str = "", **inputs: Any) -> Any:
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name, asked.model_spec.signature_name = model, signature
    for name, values in inputs.items():
        asked.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return asked


def refused(call: Any, asked: Any, code: grpc.StatusCode) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call(asked, timeout=60)
    assert caught.value.code() == code, caught.value.details()
    return str(caught.value.details())


def with_example(made: Any, signature: str, x: float = 2.0) -> Any:
    made.model_spec.name, made.model_spec.signature_name = "half", signature
    made.input.example_list.examples.add().features.feature["x"].float_list.value.append(x)
    return made


def test_predict(stub: Any) -> None:
    x = np.array([2.0], np.float32)
    answer = stub.Predict(request(x=x))
    assert list(answer.outputs["y"].float_val) == [3.0]
    assert [one.size for one in answer.outputs["y"].tensor_shape.dim] == [1]
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half", 123, "serving_default")
    scalar = stub.Predict(request(x=np.float32(2)))
    assert list(scalar.outputs["y"].float_val) == [3.0]
    assert scalar.outputs["y"].HasField("tensor_shape")
    assert not scalar.outputs["y"].tensor_shape.dim
    labelled = request(x=x)
    labelled.model_spec.version_label = "stable"
    assert stub.Predict(labelled).model_spec.version.value == 123
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(80.0)
    for signature, output in (("regress_x_to_y", "outputs"), ("classify_x_to_y", "scores")):
        answer = stub.Predict(request(signature=signature, inputs=[example.SerializeToString()]))
        assert list(answer.outputs[output].float_val) == [42.0]


def test_faulty_predict_requests(stub: Any) -> None:
    x = np.array([2.0], np.float32)
    assert refused(stub.Predict, predict_pb2.PredictRequest(), INVALID) == "Missing ModelSpec"
    assert refused(stub.Predict, request(model="", x=x), INVALID) == "ModelSpec has no name specified."
    assert (
        refused(stub.Predict, request(model="test", x=x), NOT_FOUND) == "Servable not found for request: Latest(test)"
    )
    old = request(x=x)
    old.model_spec.version.value = 5
    assert refused(stub.Predict, old, NOT_FOUND) == "Servable not found for request: Specific(half, 5)"
    old.model_spec.version_label = "nope"
    assert "Unrecognized servable version label: nope" in refused(stub.Predict, old, INVALID)
    said = refused(stub.Predict, request(), INVALID)
    assert said == (
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}."
    )
    said = refused(stub.Predict, request(key=["any_key"]), INVALID)
    assert said == "input tensor alias not found in signature: key. Inputs expected to be in the set {x}."
    assert "float32 but string" in refused(stub.Predict, request(x=["any_key"]), INVALID)
    said = refused(stub.Predict, request(signature="nope", x=x), grpc.StatusCode.FAILED_PRECONDITION)
    assert said == 'Serving signature key "nope" not found.'
    assert "a value lies below 0" in refused(stub.Predict, request("echo", "shaky", x=-x), INVALID)


def test_the_output_filter(stub: Any) -> None:
    asked = request("echo", "uneven", x=np.array([2.0], np.float32))
    assert set(stub.Predict(asked).outputs) == {"sum", "twice", "wave"}
    asked.output_filter.append("twice")
    assert set(stub.Predict(asked).outputs) == {"twice"}
    asked.output_filter.append("twice")
    assert refused(stub.Predict, asked, INVALID) == "duplicate output tensor alias: twice"
    asked.output_filter[1] = "nope"
    assert "output tensor alias not found in signature: nope" in refused(stub.Predict, asked, INVALID)


def test_every_type_there_and_back(stub: Any) -> None:
    inputs = echoed_arrays(3)
    answer = stub.Predict(request("echo", **inputs))
    for name, values in inputs.items():
        back = tf.make_ndarray(answer.outputs[f"{name}_out"])
        assert back.dtype == values.dtype
        np.testing.assert_array_equal(back, values)
    assert stub.Predict(request("echo", "told")).outputs["card"].string_val[0] == b"{}"


def test_large_messages_and_tensors_that_lie(stub: Any) -> None:
    values = np.arange(200_000, dtype=np.float32)[None]
    answer = stub.Predict(request(x=values))
    np.testing.assert_allclose(list(answer.outputs["y"].float_val), values[0] / 2 + 2)
    refused(stub.Predict, request(x=np.zeros(300_000, np.float32)), grpc.StatusCode.RESOURCE_EXHAUSTED)
    lying = request(x=np.zeros(1, np.float32))
    lying.inputs["x"].Clear()
    lying.inputs["x"].dtype = 1
    lying.inputs["x"].float_val.append(1)
    lying.inputs["x"].tensor_shape.dim.add(size=10**12)
    assert "takes more than 1048576 bytes" in refused(stub.Predict, lying, INVALID)
    lying.inputs["x"].tensor_shape.dim[0].size = -3
    assert refused(stub.Predict, lying, INVALID) == "tensor parsing error: x"
    lying.inputs["x"].tensor_shape.dim[0].size = 2
    lying.inputs["x"].tensor_content = b"abc"
    assert "tensor parsing error: x" in refused(stub.Predict, lying, INVALID)
    lying.inputs["x"].dtype = 999
    assert "tensor parsing error: x" in refused(stub.Predict, lying, INVALID)


def test_classify_and_regress(stub: Any) -> None:
    answer = stub.Classify(with_example(classification_pb2.ClassificationRequest(), "classify_x_to_y"))
    ((only,),) = [one.classes for one in answer.result.classifications]
    assert (only.label, only.score) == ("", 3.0)
    assert (answer.model_spec.signature_name, answer.model_spec.version.value) == ("classify_x_to_y", 123)
    answer = stub.Regress(with_example(regression_pb2.RegressionRequest(), "regress_x_to_y"))
    assert [one.value for one in answer.result.regressions] == [3.0]
    empty = classification_pb2.ClassificationRequest()
    empty.model_spec.name, empty.model_spec.signature_name = "half", "classify_x_to_y"
    assert refused(stub.Classify, empty, INVALID) == "Input is empty."
    wrong = with_example(regression_pb2.RegressionRequest(), "classify_x_to_y")
    assert "Was: tensorflow/serving/classify" in refused(stub.Regress, wrong, INVALID)
    wrong = with_example(classification_pb2.ClassificationRequest(), "nope")
    assert refused(stub.Classify, wrong, INVALID) == "No signature was found with the name: nope"


def multi(*tasks: tuple[str, str, str]) -> Any:
    asked = inference_pb2.MultiInferenceRequest()
    for model, signature, method in tasks:
        task = asked.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = model, signature
    asked.input.example_list.examples.add().features.feature["x"].float_list.value.append(2.0)
    return asked


def test_multi_inference(stub: Any) -> None:
    regress, classify = ("half", "regress_x_to_y", "regress"), ("half", "classify_x_to_y", "classify")
    first, second = stub.MultiInference(multi(regress, classify)).results
    assert first.regression_result.regressions[0].value == 3.0
    assert second.classification_result.classifications[0].classes[0].score == 3.0
    assert (second.model_spec.signature_name, second.model_spec.version.value) == ("classify_x_to_y", 123)
    call = stub.MultiInference
    assert "Duplicate evaluation of signature" in refused(call, multi(regress, regress), INVALID)
    assert "same model name" in refused(call, multi(regress, ("echo", "x", "classify")), INVALID)
    refused(call, multi(("half", "serving_default", "predict")), grpc.StatusCode.UNIMPLEMENTED)
    assert "Requested signature not found" in refused(call, multi(("half", "nope", "regress")), INVALID)
    other = multi(regress, ("half", "regress_other", "regress"))
    assert "Input tensor must be the same for all Signatures" in refused(call, other, INVALID)
    empty = multi(regress)
    empty.input.Clear()
    assert refused(call, empty, INVALID) == "Input is empty."
    assert refused(call, inference_pb2.MultiInferenceRequest(), INVALID) == "ModelSpec has no name specified."


def test_status_and_metadata(stub: Any, models: Any) -> None:
    asked = get_model_status_pb2.GetModelStatusRequest()
    assert refused(models.GetModelStatus, asked, INVALID) == "Missing ModelSpec"
    asked.model_spec.name = "half"
    (told,) = models.GetModelStatus(asked).model_version_status
    assert (told.version, told.state, told.status.error_code, told.status.error_message) == (123, 30, 0, "")
    asked.model_spec.version.value = 125
    assert refused(models.GetModelStatus, asked, NOT_FOUND) == "Could not find version 125 of model half"
    asked.model_spec.name = "nonexistent_model"
    refused(models.GetModelStatus, asked, NOT_FOUND)
    asking = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asking.model_spec.name = "half"
    answer = stub.GetModelMetadata(asking)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["x"].name == "x:0"
    assert answer.model_spec.version.value == 123
    asking.model_spec.name = "test"
    refused(stub.GetModelMetadata, asking, NOT_FOUND)
    asking.ClearField("model_spec")
    assert refused(stub.GetModelMetadata, asking, INVALID) == "Missing ModelSpec"
    asking.model_spec.name = ""
    assert refused(stub.GetModelMetadata, asking, INVALID) == "ModelSpec has no name specified."
    asking.metadata_field[0] = "colour"
    assert "Metadata field colour is not supported" in refused(stub.GetModelMetadata, asking, INVALID)
    del asking.metadata_field[:]
    assert "at least one metadata_field" in refused(stub.GetModelMetadata, asking, INVALID)


def test_a_configuration_that_is_refused_changes_nothing(models: Any, stub: Any, tmp_path: Path) -> None:
    call, asked = models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()
    assert "Only ModelConfigList is currently supported" in refused(call, asked, INVALID)
    one = asked.config.model_config_list.config.add(name="half", base_path=str(tmp_path))
    refused(call, asked, INVALID)
    one.model_platform = "caffe"
    assert "platform" in refused(call, asked, INVALID)
    asked.config.model_config_list.config.add(name="half", base_path=str(tmp_path))
    refused(call, asked, INVALID)
    assert list(stub.Predict(request(x=np.float32(2))).outputs["y"].float_val) == [3.0]


def test_callers_at_once_get_their_own_answers(stub: Any, film_files: list[Path], served: dict[str, Any]) -> None:
    """Every fifth sends a broken picture, which spoils it for nobody else."""
    pictures = [path.read_bytes() for path in film_files]

    def one(number: int) -> float | str:
        sent = pictures[number][:500] if number % 5 == 4 else pictures[number]
        asked = request("tiny", png=[sent])
        asked.output_filter.append("score")
        try:
            return float(stub.Predict(asked, timeout=120).outputs["score"].float_val[0])
        except grpc.RpcError as error:
            return str(error.details())

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(len(pictures))))
    for number, answer in enumerate(answers):
        if number % 5 == 4:
            assert "picture 0 of the batch: the PNG ends too early" in str(answer)
        else:
            assert abs(float(answer) - served["scores"][number]) < 1e-5


def test_a_fault_that_nobody_foresaw(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr("mammo_tf.serving.inference.Inference.predict", broken)
    assert refused(stub.Predict, request(x=np.float32(2)), grpc.StatusCode.INTERNAL) == "ValueError: a fault"


def test_health(channel: grpc.Channel) -> None:
    check = health_pb2_grpc.HealthStub(channel).Check
    for service in ("", "tensorflow.serving.PredictionService"):
        assert check(health_pb2.HealthCheckRequest(service=service)).status == health_pb2.HealthCheckResponse.SERVING

"""TensorFlow Serving's gRPC services, `PredictionService` and `ModelService`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from mammo_tf.errors import MammoError
from mammo_tf.serving.inference import Inference
from mammo_tf.serving.model_store import Asked, Held, ModelStore
from mammo_tf.serving.refusals import LONGEST, Code, RequestError, wrong
from mammo_tf.serving.saved_model import CLASSIFY, DEFAULT_SIGNATURE, REGRESS
from mammo_tf.serving.server_config import models_of
from mammo_tf.serving.server_metrics import ServerMetrics
from mammo_tf.serving.server_status import SIGNATURES, metadata_of, status_of
from mammo_tf.serving.tensor_protos import array_of, proto_of

STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


class _Service:
    """What both services share: counting, and errors as gRPC has them."""

    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics

    @contextmanager
    def _counted(self, context: Any, model: str, method: str) -> Iterator[None]:
        try:
            with self._metrics.request(model, "gRPC", method):
                yield
        except RequestError as error:
            context.abort(STATUS_CODES[error.code], error.sentence)
        except Exception as error:  # nobody foresaw it
            self._metrics.fault(method, error)
            context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"[:LONGEST])


class PredictionService(_Service, prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers of the models."""

    def __init__(self, store: ModelStore, inference: Inference, metrics: ServerMetrics, max_bytes: int) -> None:
        super().__init__(metrics)
        self._store, self._inference, self._max_bytes = store, inference, max_bytes

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802  # names of TensorFlow Serving's interface
        spec = request.model_spec
        with self._counted(context, spec.name, "Predict"):
            _check_spec(request)
            with self._store.held(asked_of(spec)) as held:
                inputs = {name: array_of(name, one, self._max_bytes) for name, one in request.inputs.items()}
                outputs = self._inference.predict(held, spec.signature_name, inputs, list(request.output_filter))
                response = predict_pb2.PredictResponse(model_spec=_spec_of(held, spec))
            for name, values in outputs.items():
                response.outputs[name].CopyFrom(proto_of(values))
            return response

    def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        spec = request.model_spec
        with self._counted(context, spec.name, "Classify"):
            _check_spec(request)
            with self._store.held(asked_of(spec)) as held:
                result = self._inference.classify(held, spec.signature_name, request.input)
                return classification_pb2.ClassificationResponse(model_spec=_spec_of(held, spec), result=result)

    def Regress(self, request: Any, context: Any) -> Any:  # noqa: N802
        spec = request.model_spec
        with self._counted(context, spec.name, "Regress"):
            _check_spec(request)
            with self._store.held(asked_of(spec)) as held:
                result = self._inference.regress(held, spec.signature_name, request.input)
                return regression_pb2.RegressionResponse(model_spec=_spec_of(held, spec), result=result)

    def MultiInference(self, request: Any, context: Any) -> Any:  # noqa: N802
        first = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        with self._counted(context, first.name, "MultiInference"), self._store.held(asked_of(first)) as held:
            _check_tasks(request.tasks, held)
            return inference_pb2.MultiInferenceResponse(
                results=[self._inferred(held, task, request.input) for task in request.tasks]
            )

    def _inferred(self, held: Held, task: Any, given: Any) -> Any:
        result = inference_pb2.InferenceResult(model_spec=_spec_of(held, task.model_spec))
        name = task.model_spec.signature_name
        if task.method_name == CLASSIFY:
            result.classification_result.CopyFrom(self._inference.classify(held, name, given))
        else:
            result.regression_result.CopyFrom(self._inference.regress(held, name, given))
        return result

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._counted(context, request.model_spec.name, "GetModelMetadata"):
            _check_spec(request)
            if not request.metadata_field:
                raise wrong("GetModelMetadataRequest must specify at least one metadata_field")
            for name in request.metadata_field:
                if name != SIGNATURES:
                    raise wrong(f"Metadata field {name} is not supported")
            return metadata_of(self._store, asked_of(request.model_spec))


class ModelService(_Service, model_service_pb2_grpc.ModelServiceServicer):
    """What models there are."""

    def __init__(self, store: ModelStore, metrics: ServerMetrics) -> None:
        super().__init__(metrics)
        self._store = store

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._counted(context, request.model_spec.name, "GetModelStatus"):
            _check_spec(request)
            response: get_model_status_pb2.GetModelStatusResponse = status_of(self._store, asked_of(request.model_spec))
            return response

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802
        with self._counted(context, "", "HandleReloadConfigRequest"):
            if request.config.WhichOneof("config") != "model_config_list":
                raise wrong(
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                    "Only ModelConfigList is currently supported"
                )
            try:
                self._store.configure(models_of(request.config))
            except MammoError as error:
                code = Code.FAILED_PRECONDITION if error.code.startswith("model_broken") else Code.INVALID_ARGUMENT
                raise RequestError(code, str(error)) from error
            return model_management_pb2.ReloadConfigResponse()


def asked_of(spec: Any) -> Asked:
    """The version that a `ModelSpec` asks for."""
    version = spec.version.value if spec.HasField("version") else None
    return Asked(spec.name, version, spec.version_label if spec.HasField("version_label") else None)


def _check_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise wrong("Missing ModelSpec")


def _spec_of(held: Held, asked: Any) -> Any:
    """The `ModelSpec` of an answer: which version gave it."""
    spec = model_pb2.ModelSpec(name=held.name, signature_name=asked.signature_name or DEFAULT_SIGNATURE)
    spec.version.value = held.version
    return spec


def _check_tasks(tasks: Any, held: Held) -> None:
    """As TensorFlow Serving's `multi_inference.cc`: one model, one input, every signature once."""
    seen: set[str] = set()
    places: set[str] = set()
    for task in tasks:
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if not task.model_spec.name:
            raise wrong("Found ModelSpec with an empty model name.")
        if task.model_spec.name != held.name:
            raise wrong("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        if name in seen:
            raise wrong(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        if name not in held.model.signatures:
            raise wrong(f"Requested signature not found in model graph: {name}")
        if task.method_name not in (CLASSIFY, REGRESS):
            raise RequestError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        places |= {place.name for place in held.model.signatures[name].inputs.values()}
        if len(places) > 1:
            raise wrong("Input tensor must be the same for all Signatures.")

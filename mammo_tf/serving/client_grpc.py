"""The gRPC road to a model server; the published protos load TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from mammo_tf.serving.client import ServedModel, ServedSignature, ServedTensor, Tensors
from mammo_tf.serving.refusals import Code, RequestError
from mammo_tf.serving.saved_model import INITIAL, Signature, TensorPlace

UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
TOO_LARGE = "larger than max"  # gRPC's own word; that will not get better


class GrpcRoad:
    """A server's `PredictionService`."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, UNLIMITED)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def signatures(self, model: ServedModel, timeout_s: float) -> Mapping[str, ServedSignature]:
        """What `GetModelMetadata` tells."""
        fields = ["signature_def"]
        asked = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=_spec(model), metadata_field=fields)
        told = get_model_metadata_pb2.SignatureDefMap()
        self._answer(self._stub.GetModelMetadata, asked, timeout_s).metadata["signature_def"].Unpack(told)
        known = {name: Signature.of(one) for name, one in told.signature_def.items() if name != INITIAL}
        return {name: ServedSignature(_tensors(one.inputs), _tensors(one.outputs)) for name, one in known.items()}

    def predict(
        self, model: ServedModel, name: str, signature: ServedSignature, inputs: Tensors, timeout_s: float
    ) -> Tensors:
        """Asks `Predict`."""
        asked = predict_pb2.PredictRequest(model_spec=_spec(model, name))
        for key, values in inputs.items():
            asked.inputs[key].CopyFrom(tf.make_tensor_proto(values))
        told = self._answer(self._stub.Predict, asked, timeout_s)
        return {key: np.asarray(tf.make_ndarray(one)) for key, one in told.outputs.items()}

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def _answer(self, call: grpc.UnaryUnaryMultiCallable, asked: object, timeout_s: float) -> Any:
        try:
            return call(asked, timeout=timeout_s)
        except grpc.RpcError as error:
            code, said = Code(error.code().value[0]), error.details() or ""
            if code == Code.RESOURCE_EXHAUSTED and TOO_LARGE in said:
                code = Code.OUT_OF_RANGE
            raise RequestError(code, said) from error


def _spec(model: ServedModel, signature: str = "") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=model.name, signature_name=signature)
    if model.version is not None:
        spec.version.value = model.version
    if model.label is not None:
        spec.version_label = model.label
    return spec


def _tensors(places: Mapping[str, TensorPlace]) -> dict[str, ServedTensor]:
    return {key: ServedTensor(np.dtype(one.dtype.as_numpy_dtype), one.shape) for key, one in places.items()}

"""What a server tells of its models, as the protos of TensorFlow Serving."""

from __future__ import annotations

from typing import Any

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from mammo_tf.serving.model_store import Asked, ModelStore
from mammo_tf.serving.refusals import Code

SIGNATURES = "signature_def"


def status_of(store: ModelStore, asked: Asked) -> Any:
    """A `GetModelStatusResponse`; errors as `ModelStore.statuses`."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for one in store.statuses(asked):
        told = response.model_version_status.add(version=one.version, state=one.state.value)
        told.status.error_code = Code.OK if one.error is None else one.error.code
        told.status.error_message = "" if one.error is None else one.error.sentence
    return response


def metadata_of(store: ModelStore, asked: Asked) -> Any:
    """A `GetModelMetadataResponse` with the signatures; errors as `ModelStore.held`."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    signatures = get_model_metadata_pb2.SignatureDefMap()
    with store.held(asked) as held:
        response.model_spec.name = held.name
        response.model_spec.version.value = held.version
        for name, definition in held.model.definitions.items():
            signatures.signature_def[name].CopyFrom(definition)
    response.metadata[SIGNATURES].Pack(signatures)
    return response

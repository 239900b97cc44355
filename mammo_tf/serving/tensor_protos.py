"""Tensors on the wire (`TensorProto`) and in memory (NumPy)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2

from mammo_tf.serving.refusals import wrong

# Where values of a type stand, as TensorFlow Serving writes them (`Tensor::AsProtoField`):
FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
}


def array_of(name: str, tensor: Any, most_bytes: int) -> NDArray[Any]:
    """The values of a `TensorProto`; strings as bytes in an array of objects.

    Args:
        name: of the input, for messages.
        tensor: which may leave out repetitions of its last value.
        most_bytes: of the values, so that a few bytes on the wire do not fill the memory.

    Raises:
        RequestError: `INVALID_ARGUMENT`.
    """
    sizes = [dimension.size for dimension in tensor.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
        raise wrong(f"tensor parsing error: {name}")
    try:
        dtype = tf.dtypes.as_dtype(tensor.dtype)
        if math.prod(sizes) * dtype.size > most_bytes:
            raise wrong(f"tensor parsing error: {name}: its shape {sizes} takes more than {most_bytes} bytes")
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise wrong(f"tensor parsing error: {name}") from error


def proto_of(values: NDArray[Any]) -> Any:
    """A `TensorProto` of values, in the field of their type."""
    dtype = tf.string if values.dtype.kind in "OS" else tf.dtypes.as_dtype(values.dtype)
    if dtype == tf.string:
        tensor = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
        tensor.string_val.extend(bytes(one) for one in values.ravel())
    elif dtype in FIELDS:
        tensor = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
        getattr(tensor, FIELDS[dtype]).extend(values.ravel().tolist())
    else:
        return tf.make_tensor_proto(values)
    for size in np.shape(values):
        tensor.tensor_shape.dim.add(size=size)
    if not tensor.HasField("tensor_shape"):
        tensor.tensor_shape.SetInParent()
    return tensor

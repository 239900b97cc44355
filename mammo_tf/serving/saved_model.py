"""A SavedModel as TensorFlow Serving runs it: one session, tensors fed and fetched by their names.

A session, and not the functions of `tf.saved_model.load`: signatures of models of TensorFlow 1 and 2 are then the same,
what was not asked for is not computed, and what a graph refuses comes with the code that TensorFlow Serving hands on.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import config_pb2

from mammo_tf.errors import MammoError
from mammo_tf.serving.refusals import Code, RequestError, wrong

v1 = tf.compat.v1
TAG = "serve"
PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))
DEFAULT_SIGNATURE = "serving_default"
INITIAL = "__saved_model_init_op"  # told among the signatures, and has no tensors
Tensors = Mapping[str, NDArray[Any]]
# What TensorFlow puts around the sentence of an operation:
AROUND = re.compile(r"\A(Graph execution error:\s*)?(Detected at node.*?\n)?(Node: .*?\n)?|\n\t \[\[.*\Z", re.DOTALL)


@dataclass(frozen=True)
class TensorPlace:
    """A tensor that a signature takes or gives.

    Attributes:
        name: in the graph, `x:0`.
        dtype: of its values.
        shape: -1 where a dimension is open; None where even their number is.
    """

    name: str
    dtype: tf.DType
    shape: tuple[int, ...] | None

    @classmethod
    def of(cls, told: Any) -> TensorPlace:
        """Of a `TensorInfo`."""
        shape = None if told.tensor_shape.unknown_rank else tuple(one.size for one in told.tensor_shape.dim)
        return cls(told.name, tf.dtypes.as_dtype(told.dtype), shape)

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether values of a shape are of its shape."""
        own = self.shape
        return own is None or (
            len(own) == len(shape) and all(told in (-1, size) for told, size in zip(own, shape, strict=True))
        )

    @property
    def is_batched(self) -> bool:
        """Whether its first dimension is open: it counts pictures."""
        return bool(self.shape) and self.shape[0] == -1  # type: ignore[index]  # bool() rules None out


@dataclass(frozen=True)
class Signature:
    """What may be asked of a model, by names that a client knows."""

    method: str
    inputs: Mapping[str, TensorPlace]
    outputs: Mapping[str, TensorPlace]

    @classmethod
    def of(cls, told: Any) -> Signature:
        """Of a `SignatureDef`."""
        inputs, outputs = (
            {name: TensorPlace.of(side[name]) for name in sorted(side)} for side in (told.inputs, told.outputs)
        )
        return cls(told.method_name, inputs, outputs)

    @property
    def is_batched(self) -> bool:
        """Whether several calls may be put together to one."""
        places = [*self.inputs.values(), *self.outputs.values()]
        return bool(self.inputs) and all(place.is_batched for place in places)


class SavedModel:
    """A SavedModel in memory; may be asked by several threads at once.

    Attributes:
        signatures: by their names.
        definitions: the same as `SignatureDef` protos, by their names.
        exact_shapes: whether inputs of other shapes than the signatures tell are refused. TensorFlow Serving leaves
            that to the graph; a network that takes any size would give a score to a picture of the wrong one.
    """

    def __init__(self, folder: str | Path, exact_shapes: bool = False) -> None:
        """Loads a model.

        Args:
            folder: holds `saved_model.pb`.
            exact_shapes: as above.

        Raises:
            MammoError: `model_broken`.
        """
        self.exact_shapes = exact_shapes
        graph = tf.Graph()
        settings = v1.ConfigProto(allow_soft_placement=True)
        settings.gpu_options.allow_growth = True
        self._session = v1.Session(graph=graph, config=settings)
        try:
            with graph.as_default():
                loaded = v1.saved_model.load(self._session, [TAG], str(folder))
        except Exception as error:  # whatever a damaged file makes the loader raise
            self._session.close()
            said = " ".join(str(error).split())[:200]
            raise MammoError("model_broken", f"{folder} cannot be loaded: {said}", "Copy or export it again") from error
        self.definitions: dict[str, Any] = dict(loaded.signature_def)
        asked = {name: told for name, told in self.definitions.items() if name != INITIAL}
        self.signatures = {name: Signature.of(told) for name, told in asked.items()}
        self._prepared: dict[tuple[tuple[str, ...], tuple[str, ...]], Any] = {}
        self._lock = threading.Lock()

    def run(self, fed: Sequence[str], values: Sequence[NDArray[Any]], wanted: Sequence[str]) -> list[NDArray[Any]]:
        """Computes tensors of the graph from others.

        Args:
            fed: names of tensors in the graph.
            values: theirs, one array each.
            wanted: names of the tensors to compute.

        Returns:
            One array for each wanted one.

        Raises:
            RequestError: with the code and the sentence of the operation that failed.
        """
        try:
            return [np.asarray(one) for one in self._callable(tuple(fed), tuple(wanted))(*values)]
        except tf.errors.OpError as error:
            raise RequestError(Code(error.error_code), AROUND.sub("", error.message).strip()) from error
        except (ValueError, TypeError) as error:  # values that do not become a tensor
            raise wrong(" ".join(str(error).split())) from error

    def _callable(self, fed: tuple[str, ...], wanted: tuple[str, ...]) -> Any:
        """Prepared once.

        `Session.make_callable` would compare the shapes of what is fed with those that the graph told when it was
        built, which TensorFlow Serving does not: its own model `half_plus_two` says `[-1, 1]` and is asked with `[2]`.
        """
        with self._lock:
            if (fed, wanted) not in self._prepared:
                options = config_pb2.CallableOptions(feed=fed, fetch=wanted)
                self._prepared[fed, wanted] = self._session._make_callable_from_options(options)
            return self._prepared[fed, wanted]

    def close(self) -> None:
        """Frees what it holds; nobody may be asking it."""
        self._prepared.clear()
        self._session.close()

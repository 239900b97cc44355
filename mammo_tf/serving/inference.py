"""What a server computes for a request, whichever road it came by: predict, classify, regress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow_serving.apis import classification_pb2, regression_pb2

from mammo_tf.serving.batching import Batcher
from mammo_tf.serving.model_store import Held
from mammo_tf.serving.png_head import check_pixels
from mammo_tf.serving.refusals import Code, RequestError, wrong
from mammo_tf.serving.saved_model import CLASSIFY, DEFAULT_SIGNATURE, PREDICT, REGRESS, Signature, Tensors

INPUTS, OUTPUTS, CLASSES, SCORES = "inputs", "outputs", "classes", "scores"  # names that TensorFlow Serving fixed


@dataclass(frozen=True)
class Inference:
    """Runs signatures of models.

    Attributes:
        batcher: puts calls together.
        max_pixels: of a PNG picture.
    """

    batcher: Batcher
    max_pixels: int

    def predict(self, held: Held, name: str, inputs: Tensors, wanted: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
        """The outputs of a signature.

        Args:
            held: the model.
            name: of the signature; empty for the default one.
            inputs: every one of the signature.
            wanted: outputs to give; by default all.

        Raises:
            RequestError: `FAILED_PRECONDITION` for an unknown signature; `INVALID_ARGUMENT` for other inputs than the
                signature has, other types, pictures of too many pixels, unknown outputs; what the graph refuses.
        """
        name = name or DEFAULT_SIGNATURE
        signature = held.model.signatures.get(name)
        if signature is None:
            raise RequestError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        if signature.method not in (PREDICT, CLASSIFY, REGRESS):
            methods = ", ".join((PREDICT, CLASSIFY, REGRESS))
            sentence = f"Expected prediction signature method_name to be one of {{{methods}}}. Was: {signature.method}"
            raise RequestError(Code.INTERNAL, sentence)
        _check_inputs(signature, inputs, held.model.exact_shapes)
        for key, values in inputs.items():
            if values.dtype.kind in "OS":
                check_pixels(key, values, self.max_pixels)
        chosen = _chosen(signature, wanted)
        fed = [place.name for place in signature.inputs.values()]
        fetched = [signature.outputs[key].name for key in chosen]
        arrays = [np.asarray(inputs[key]) for key in signature.inputs]

        def work(values: list[NDArray[Any]]) -> list[NDArray[Any]]:
            return held.model.run(fed, values, fetched)

        sizes = {len(one) if one.ndim else -1 for one in arrays}
        if signature.is_batched and len(sizes) == 1 and -1 not in sizes:
            shapes = tuple((one.dtype.str, one.shape[1:]) for one in arrays)
            found = self.batcher.run((id(held.model), name, tuple(chosen), shapes), arrays, work)
        else:
            found = self.batcher.alone(arrays, work)
        return dict(zip(chosen, found, strict=True))

    def classify(self, held: Held, name: str, given: Any) -> Any:
        """A `ClassificationResult` of the examples of an `Input`.

        Raises:
            RequestError: as TensorFlow Serving's `classifier.cc`.
        """
        signature = _method_signature(held, name, CLASSIFY, "classification")
        place = _example_place(signature, "classification")
        if not 1 <= len(signature.outputs) <= 2:
            raise wrong(f"Expected one or two output Tensors, found {len(signature.outputs)}")
        outputs = [key for key in (CLASSES, SCORES) if key in signature.outputs]
        if not outputs:
            reason = f'outputs to contain at least one of "{CLASSES}" or "{SCORES}".'
            raise RequestError(Code.FAILED_PRECONDITION, f"Expected classification signature {reason}")
        examples = serialized_examples(given)
        found = dict(zip(outputs, self._run(held, place, examples, signature, outputs), strict=True))
        for key, kind in ((CLASSES, "OS"), (SCORES, "f")):
            if key in found:
                _check_classes(key, found[key], kind, len(examples))
        count = next(iter(found.values())).shape[1]
        if any(values.shape[1] != count for values in found.values()):
            sizes = " vs. ".join(str(values.shape[1]) for values in found.values())
            raise wrong(f"Tensors class and score should match in dim_size(1). Got {sizes}")
        result = classification_pb2.ClassificationResult()
        for row in range(len(examples)):
            classes = result.classifications.add().classes
            for column in range(count):
                one = classes.add()
                if CLASSES in found:
                    one.label = bytes(found[CLASSES][row, column]).decode("utf-8", "replace")
                if SCORES in found:
                    one.score = float(found[SCORES][row, column])
        return result

    def regress(self, held: Held, name: str, given: Any) -> Any:
        """A `RegressionResult` of the examples of an `Input`.

        Raises:
            RequestError: as TensorFlow Serving's `regressor.cc`.
        """
        signature = _method_signature(held, name, REGRESS, "regression")
        place = _example_place(signature, "regression")
        if len(signature.outputs) != 1:
            raise wrong("Expected one output Tensor.")
        if OUTPUTS not in signature.outputs:
            raise RequestError(Code.FAILED_PRECONDITION, "No regression outputs found in SignatureDef")
        examples = serialized_examples(given)
        (values,) = self._run(held, place, examples, signature, [OUTPUTS])
        if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):
            shapes = "either [batch_size] or [batch_size, 1]"
            raise wrong(f"Expected output Tensor shape to be {shapes} but got {list(values.shape)}")
        if len(values) != len(examples):
            raise wrong(f"Input batch size did not match output batch size: {len(examples)} vs. {len(values)}")
        if values.dtype != np.float32:
            raise wrong(f"Expected output Tensor of DT_FLOAT.  Got: {_type_name(values)}")
        regressions = [regression_pb2.Regression(value=float(value)) for value in values.ravel()]
        return regression_pb2.RegressionResult(regressions=regressions)

    def _run(
        self, held: Held, place: str, examples: NDArray[Any], signature: Signature, outputs: Sequence[str]
    ) -> list[NDArray[Any]]:
        fetched = [signature.outputs[key].name for key in outputs]
        return self.batcher.alone([examples], lambda values: held.model.run([place], values, fetched))


def serialized_examples(given: Any) -> NDArray[Any]:
    """The examples of an `Input` proto, as bytes, each with what they share in front.

    Raises:
        RequestError: `INVALID_ARGUMENT` where there is none.
    """
    context = b""
    examples = given.example_list.examples
    if given.WhichOneof("kind") == "example_list_with_context":
        context = given.example_list_with_context.context.SerializeToString()
        examples = given.example_list_with_context.examples
    if not examples:
        raise wrong("Input is empty.")
    found = np.empty(len(examples), object)
    found[:] = [context + one.SerializeToString() for one in examples]
    return found


def _check_inputs(signature: Signature, inputs: Tensors, exact_shapes: bool) -> None:
    expected, given = set(signature.inputs), set(inputs)
    if len(expected) != len(given):
        extra, missing = (_set(one) for one in (given - expected, expected - given))
        raise wrong(
            f"input size does not match signature: {len(given)}!={len(expected)} len({_set(given)}) != "
            f"len({_set(expected)}). Sent extra: {extra}. Missing but required: {missing}."
        )
    unknown = min(given - expected, default=None)
    if unknown is not None:
        raise wrong(
            f"input tensor alias not found in signature: {unknown}. Inputs expected to be in the set {_set(expected)}."
        )
    for name, place in signature.inputs.items():
        values = inputs[name]
        dtype = tf.string if values.dtype.kind in "OS" else tf.dtypes.as_dtype(values.dtype)
        if dtype != place.dtype:
            raise wrong(f"Expects the input {name} to be {place.dtype.name} but {dtype.name} is provided")
        if exact_shapes and not place.takes(values.shape):
            taken = f"the model takes {list(place.shape or ())}, -1 for any number"
            raise wrong(f"the input {name} has the shape {list(values.shape)}; {taken}")


def _chosen(signature: Signature, wanted: Sequence[str]) -> list[str]:
    for number, name in enumerate(wanted):
        if name not in signature.outputs:
            expected = f"Outputs expected to be in the set {_set(signature.outputs)}."
            raise wrong(f"output tensor alias not found in signature: {name} {expected}")
        if name in wanted[:number]:
            raise wrong(f"duplicate output tensor alias: {name}")
    return list(wanted) or list(signature.outputs)


def _method_signature(held: Held, name: str, method: str, word: str) -> Signature:
    name = name or DEFAULT_SIGNATURE
    signature = held.model.signatures.get(name)
    if signature is None:
        raise wrong(f"No signature was found with the name: {name}")
    if signature.method != method:
        raise wrong(f"Expected {word} signature method_name to be {method}. Was: {signature.method}")
    return signature


def _example_place(signature: Signature, word: str) -> str:
    if len(signature.inputs) != 1:
        raise wrong("Expected one input Tensor.")
    if INPUTS not in signature.inputs:
        raise RequestError(Code.FAILED_PRECONDITION, f"No {word} inputs found in SignatureDef")
    return signature.inputs[INPUTS].name


def _check_classes(name: str, values: NDArray[Any], kind: str, examples: int) -> None:
    if values.ndim != 2:
        raise wrong(f"Expected Tensor shape: [batch_size num_classes] but got {list(values.shape)}")
    if values.dtype.kind not in kind or (name == SCORES and values.dtype != np.float32):
        expected = "DT_FLOAT" if name == SCORES else "DT_STRING"
        raise wrong(f"Expected {name} Tensor of {expected}. Got: {_type_name(values)}")
    if len(values) != examples:
        raise wrong(f"Expected {name} output batch size of {examples}. Got: {len(values)}")


def _type_name(values: NDArray[Any]) -> str:
    dtype = tf.string if values.dtype.kind in "OS" else tf.dtypes.as_dtype(values.dtype)
    return {tf.float32: "DT_FLOAT", tf.float64: "DT_DOUBLE"}.get(dtype, f"DT_{dtype.name.upper()}")


def _set(names: Mapping[str, Any] | set[str]) -> str:
    return f"{{{','.join(sorted(names))}}}"

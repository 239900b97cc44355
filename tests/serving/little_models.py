"""Little SavedModels for a server: TensorFlow Serving's own example, and one that echoes every type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

ECHOED = ("bool", "float32", "float64", "int32", "int64", "uint8", "uint16", "string")


def half_plus_two(folder: Path, added: float = 2.0, labelled: bool = False) -> Path:
    """`y = x / 2 + 2`, with the signatures that TensorFlow Serving's test model `half_plus_two` has.

    Args:
        folder: of the version; written.
        added: instead of 2.
        labelled: `classify_x_to_y` gives classes, too.
    """
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        half, plus = v1.get_variable("half", initializer=0.5), v1.get_variable("plus", initializer=float(added))
        examples = v1.placeholder(tf.string, name="tf_example")
        x = tf.identity(v1.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"], name="x")
        y = tf.add(half * x, plus, name="y")
        names = tf.fill(tf.shape(y), "half")
        session.run(v1.global_variables_initializer())

        def signature(inputs: dict, outputs: dict, method: str) -> object:
            told = [
                {key: v1.saved_model.build_tensor_info(one) for key, one in side.items()} for side in (inputs, outputs)
            ]
            return v1.saved_model.build_signature_def(*told, f"tensorflow/serving/{method}")

        scores = {"scores": y, "classes": names} if labelled else {"scores": y}
        signatures = {
            "serving_default": signature({"x": x}, {"y": y}, "predict"),
            "classify_x_to_y": signature({"inputs": examples}, scores, "classify"),
            "regress_x_to_y": signature({"inputs": examples}, {"outputs": y}, "regress"),
            "regress_x_to_y2": signature({"inputs": examples}, {"outputs": y}, "regress"),
            "regress_other": signature({"inputs": x}, {"outputs": y}, "regress"),
        }
        for one in signatures.values():  # as the example tells it, though it takes any shape
            for side in (one.inputs, one.outputs):
                for key, info in side.items():
                    if key in ("x", "y", "scores", "outputs"):
                        info.tensor_shape.CopyFrom(tf.TensorShape([None, 1]).as_proto())
        folder.parent.mkdir(parents=True, exist_ok=True)
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()
    return folder


class _Echo(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 2], getattr(tf, name), name=name) for name in ECHOED])
    def echo(self, *values: tf.Tensor) -> dict[str, tf.Tensor]:
        named = {f"{name}_out": value for name, value in zip(ECHOED, values, strict=True)}
        return {**named, "raw_bytes": values[-1]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def shaky(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Refuses what is below 0; divides by what is 0."""
        good = tf.debugging.Assert(tf.reduce_all(tf.math.is_nan(x) | (x >= 0)), ["a value lies below 0"])
        with tf.control_dependencies([good]):
            return {"inverse": 1 / x, "rows": tf.repeat(tf.size(x), tf.size(x))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def uneven(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Outputs that are no rows: a scalar, one of another length, one of a type that JSON lacks."""
        return {"sum": tf.reduce_sum(x), "twice": tf.concat([x, x], 0), "wave": tf.complex(x, x)}

    @tf.function(input_signature=[])
    def told(self) -> dict[str, tf.Tensor]:
        """Takes nothing, which REST cannot ask."""
        return {"card": tf.constant("{}")}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="asked")])
    def card(self, asked: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"told": tf.fill(tf.shape(asked), "{}")}


def echo(folder: Path) -> Path:
    """A model of several signatures: `serving_default` echoes inputs of all types, others answer oddly."""
    module = _Echo()
    signatures = {
        "serving_default": module.echo,
        "shaky": module.shaky,
        "uneven": module.uneven,
        "told": module.told,
        "card": module.card,
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def echoed_row() -> dict[str, object]:
    """What `echo` may be asked, one row."""
    return {
        "bool": [True, False], "float32": [1.5, 2], "float64": [0.1, 3], "int32": [1, -2], "int64": [2**40, 0],
        "uint8": [0, 255], "uint16": [65535, 0], "string": ["foo", "bär"],
    }  # fmt: skip


def echoed_arrays(rows: int) -> dict[str, np.ndarray]:
    """The same as arrays."""
    row = echoed_row()
    arrays = {name: np.array([row[name]] * rows, name) for name in ECHOED[:-1]}
    return {**arrays, "string": np.array([[one.encode() for one in ("foo", "bär")]] * rows, object)}

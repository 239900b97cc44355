"""Run in an environment with Keras on JAX and without TensorFlow: a `.keras` file to ONNX by jax2onnx, and its answers.

second_road.py MODEL.keras INPUTS.npy OUTPUTS.npz: writes what Keras on JAX says, and ONNX Runtime of the twin.
"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import onnx
import onnxruntime

import mammo_tf.models  # noqa: F401 - its layers are registered


def over_two_axes(graph: onnx.GraphProto) -> None:
    """Max pooling over rows and columns in the place of one over four axes, which no runtime has.

    jax2onnx 0.17 writes Keras' pooling of `[batch, rows, columns, channels]` as MaxPool of 1 x k x k x 1 between
    Unsqueeze and Squeeze. The same pooling is put there as Transpose, MaxPool of k x k, Transpose.
    """
    made_by = {output: node for node in graph.node for output in node.output}
    taken_by = {name: node for node in graph.node for name in node.input}
    for pool in [node for node in graph.node if node.op_type == "MaxPool" and len(_ints(node, "kernel_shape")) == 4]:
        around, first, last = [pool], pool, pool
        while made_by[first.input[0]].op_type == "Unsqueeze":
            first = made_by[first.input[0]]
            around.append(first)
        while taken_by[last.output[0]].op_type == "Squeeze":
            last = taken_by[last.output[0]]
            around.append(last)
        assert first is not pool
        assert last is not pool
        kernel, strides = (_ints(pool, name)[1:3] for name in ("kernel_shape", "strides"))
        pads = _ints(pool, "pads") or [0] * 8
        names = first.input[0], f"{pool.name}_in", f"{pool.name}_out", last.output[0]
        inner = [
            onnx.helper.make_node("Transpose", [names[0]], [names[1]], perm=[0, 3, 1, 2]),
            onnx.helper.make_node(
                "MaxPool", [names[1]], [names[2]], kernel_shape=kernel, strides=strides, pads=pads[1:3] + pads[5:7]
            ),
            onnx.helper.make_node("Transpose", [names[2]], [names[3]], perm=[0, 2, 3, 1]),
        ]
        place = list(graph.node).index(first)
        for node in around:
            graph.node.remove(node)
        for number, node in enumerate(inner):
            graph.node.insert(place + number, node)


def _ints(node: onnx.NodeProto, name: str) -> list[int]:
    return next((list(one.ints) for one in node.attribute if one.name == name), [])


def main(model_path: str, inputs: str, outputs: str) -> None:
    assert "tensorflow" not in sys.modules
    model = keras.saving.load_model(model_path, compile=False)
    values = np.load(inputs)
    by_keras = np.asarray(model(values))
    twin = Path(outputs).with_suffix(".onnx")
    model.export(str(twin), format="onnx", verbose=False)
    graph = onnx.load(twin)
    over_two_axes(graph.graph)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    said = session.run(None, {session.get_inputs()[0].name: values})[0]
    np.savez(outputs, jax=by_keras, twin=said)


if __name__ == "__main__":
    main(*sys.argv[1:])

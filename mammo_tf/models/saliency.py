"""Where a classifier looked: class activation maps from pooling and dense weights."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from mammo_tf.errors import MammoError
from mammo_tf.models.rebuild import rebuild


def activation_map_model(model: keras.Model, column: int = 1) -> keras.Model:
    """Pictures to the class activation map of one class, `[batch, map rows, map columns]`, weights shared.

    The map is the last feature map weighted by the dense layer's weights for class `column` minus the mean of the
    other classes: with softmax only the difference of logits counts. Its mean plus the difference of the biases is
    the difference of logits. Source: Zhou et al., CVPR 2016.

    Raises:
        MammoError: `no_activation_map` if the model does not end in global average pooling (dropout) dense.
    """
    pools = [layer for layer in model.layers if isinstance(layer, layers.GlobalAveragePooling2D)]
    head = model.layers[-1]
    if len(pools) != 1 or not isinstance(head, layers.Dense) or head.kernel.shape[0] != pools[0].input.shape[-1]:
        raise MammoError("no_activation_map", f"{model.name} has no global average pooling with a dense layer behind")
    features = pools[0].input
    weights = np.asarray(keras.ops.convert_to_numpy(head.kernel), np.float32)
    others = np.delete(weights, column, axis=1).mean(axis=1)
    linear = layers.Conv2D(1, 1, use_bias=False, dtype="float32", name="class_activation_map")
    activation = linear(features)
    linear.set_weights([(weights[:, column] - others)[None, None, :, None]])
    return keras.Model(model.inputs[0], activation, name="activation_map")


def activation_maps(model: keras.Model, pictures: np.ndarray, column: int = 1, finer: int = 4) -> np.ndarray:
    """Class activation maps of some pictures, sampled `finer` times as densely as the network's last feature map.

    The picture is shifted by fractions of the network's stride to both sides and the maps are interleaved ("shift and
    stitch"), so that a small picture does not end in a map of two by one points. Costs `finer` squared forward passes.

    Args:
        model: a classifier that `activation_map_model` takes.
        pictures: float32 `[images, rows, columns, channels]`; edges are repeated where a shift needs more.
        column: the class.
        finer: samples for each stride along an axis.

    Returns:
        float32 `[images, ceil(rows / step), ceil(columns / step)]`, step = stride / finer: point (i, j) is the evidence
        around pixel ((i + 0.5) step, (j + 0.5) step), so that a map stretched over its picture lies right.
    """
    maps = activation_map_model(model, column)
    probe = 1024
    stride = probe // int(rebuild(maps, input_shape=(probe, probe, pictures.shape[3])).output.shape[1])
    rows, columns = (-(-size // stride) * stride for size in pictures.shape[1:3])
    larger = rebuild(maps, input_shape=(rows, columns, pictures.shape[3]))
    if tuple(larger.output.shape[1:3]) != (rows // stride, columns // stride):
        sentence = f"the map of {model.name} does not lie evenly over its pictures"
        raise MammoError("no_activation_map", sentence, "Pad its convolutions, so that a map covers the picture")
    step = stride / finer
    below, right = rows - pictures.shape[1] + stride, columns - pictures.shape[2] + stride
    padded = np.pad(pictures, ((0, 0), (stride, below), (stride, right), (0, 0)), mode="edge")
    stitched = np.zeros((len(pictures), rows // stride * finer, columns // stride * finer), np.float32)
    shifts = [stride + round((number - (finer - 1) / 2) * step) for number in range(finer)]
    for number, top in enumerate(shifts):
        for other, left in enumerate(shifts):
            part = padded[:, top : top + rows, left : left + columns]
            stitched[:, number::finer, other::finer] = larger.predict(part, batch_size=1, verbose=0)[..., 0]
    return stitched[:, : -(-pictures.shape[1] * finer // stride), : -(-pictures.shape[2] * finer // stride)]

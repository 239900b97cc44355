"""Where a classifier looked: class activation maps from pooling and dense weights."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from mammo_tf.errors import MammoError


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

    The picture is shifted by fractions of the network's stride and the maps are interleaved ("shift and stitch"), so
    that a small picture does not end in a map of two by one points. Costs `finer` squared forward passes.

    Args:
        model: a classifier that `activation_map_model` takes.
        pictures: float32 `[images, rows, columns, channels]`.
        column: the class.
        finer: shifts along each axis.

    Returns:
        float32 `[images, finer x map rows, finer x map columns]`; point (0, 0) is the one of the unshifted picture.
    """
    maps = activation_map_model(model, column)
    rows, columns = pictures.shape[1:3]
    map_rows, map_columns = maps.output.shape[1:3]
    steps = (rows // map_rows // finer or 1, columns // map_columns // finer or 1)
    stitched = np.zeros((len(pictures), map_rows * finer, map_columns * finer), np.float32)
    for down in range(finer):
        for right in range(finer):
            top, left = down * steps[0], right * steps[1]
            padded = np.pad(pictures, ((0, 0), (0, top), (0, left), (0, 0)), mode="edge")[:, top:, left:]
            stitched[:, down::finer, right::finer] = maps.predict(padded, verbose=0)[..., 0]
    return stitched

"""Which one map a network for pixels answers with: that of the finding, or how it stands against the background's."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from mammo_tf.models.networks import described, description_of

LAST, LARGER = "last", "larger"
ANSWERS = (LAST, LARGER)
BELOW_HALF = float(np.nextafter(np.float32(0.5), np.float32(0)))


def share_of_larger(outputs: Any) -> Any:
    """b / (a + b) of the maps a of the background and b of the finding, float32 `[batch, rows, columns]`.

    At least one half where b is larger, below it elsewhere, equal ones included, so that at the threshold 0.5 a pixel
    belongs to a finding where argmax(a, b) says so (subnormal numbers count as 0). Of a softmax it is b. Source: the
    published test of dual normalisation (Zhou et al., CVPR 2022), which ends in a sigmoid for each class and takes the
    argmax.

    Args:
        outputs: `[batch, rows, columns, 2]`, in [0, 1].
    """
    outputs = ops.cast(outputs, "float32")
    background, finding = outputs[..., 0], outputs[..., 1]
    both = background + finding
    share = finding / ops.where(both == 0, 1.0, both)
    return ops.where(finding <= background, ops.minimum(share, BELOW_HALF), ops.where(share < 0.5, 0.5, share))


@keras.saving.register_keras_serializable("mammo_tf")
class ShareOfLarger(layers.Layer):
    """`share_of_larger` as a map `[batch, rows, columns, 1]`."""

    def call(self, outputs: Any) -> Any:
        return share_of_larger(outputs)[..., None]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], 1)


def answering(model: keras.Model, answer: str) -> keras.Model:
    """The network with one map of each pixel, its answer, behind it; weights and layers are shared.

    Args:
        model: for pixels, of one output.
        answer: "last", the model as it is, whose last map is the answer; or "larger", `share_of_larger` of its two.
    """
    if answer == LAST:
        return model
    output = ShareOfLarger(dtype="float32", name="share_of_larger")(model.outputs[0])
    return described(keras.Model(model.inputs, output, name=f"{model.name}_answering"), description_of(model))

"""Normalisation that keeps domains apart: shared weights around it, a gain and a shift for each branch.

Source: Wang et al., *MLN-net: A multi-source medical image segmentation method for clustered microcalcifications using
multiple layer normalization*, section 3.2; answers in `tests/golden/dual_norm`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

EPSILON = 1e-5


@keras.saving.register_keras_serializable("mammo_tf")
class MultiLayerNormalization(layers.Layer):
    """Layer normalisation over the last axis with a gain and a shift for each branch.

    Each example names its branch, so one pass takes a batch of mixed branches. Of every example in training the mean
    and the standard deviation (biased) of all that it normalises are added up by branch, see `statistics`; the sums are
    weights that are not trained, so they are saved and resumed. Of several devices sums and counts are means over them,
    so that what is made of both is that of all examples.

    Args:
        branches: how many; with one the layer is a layer normalisation and takes no branch.
        epsilon: added to the variance.

    Call: `layer(tensor, branch)`, tensor `[batch, ..., features]`, branch whole numbers `[batch]`.
    """

    def __init__(self, branches: int = 1, epsilon: float = EPSILON, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if branches < 1:
            raise ValueError(f"a normalisation has one branch or more, not {branches}")
        self.branches, self.epsilon = branches, epsilon

    def build(self, input_shape: Any, *_: Any) -> None:
        shape = (self.branches, int(input_shape[-1]))
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        if self.branches > 1:
            settings = {"initializer": "zeros", "trainable": False, "dtype": "float32", "autocast": False}
            self.sums = self.add_weight(name="sums", shape=(self.branches, 2), aggregation="mean", **settings)
            self.counts = self.add_weight(name="counts", shape=(self.branches,), aggregation="mean", **settings)
        self.built = True

    def call(self, tensor: Any, branch: Any = None, training: bool = False) -> Any:
        values = ops.cast(tensor, "float32")
        mean = ops.mean(values, axis=-1, keepdims=True)
        centred = values - mean
        scaled = centred * ops.rsqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + self.epsilon)
        if self.branches == 1:
            gain, shift = self.gamma[0], self.beta[0]
        else:
            branch = ops.cast(branch, "int32")
            gain, shift = (of_branch(weight, branch, len(values.shape)) for weight in (self.gamma, self.beta))
            if training:
                shares = ops.transpose(ops.one_hot(branch, self.branches, dtype="float32"))
                self.sums.assign_add(ops.matmul(shares, element_statistics(values)))
                self.counts.assign_add(ops.sum(shares, axis=1))
        gain, shift = ops.cast(gain, "float32"), ops.cast(shift, "float32")
        return ops.cast(scaled * gain + shift, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        return input_shape

    def reset_statistics(self) -> None:
        """Begins to add up anew, as at the start of an epoch."""
        if self.branches > 1:
            self.sums.assign(ops.zeros_like(self.sums))
            self.counts.assign(ops.zeros_like(self.counts))

    def statistics(self) -> Any:
        """Mean and standard deviation by branch, averaged over the examples since the last reset, `[branches, 2]`.

        A branch without an example has none: not a number.
        """
        return ops.divide(self.sums, ops.cast(self.counts, "float32")[:, None])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "branches": self.branches, "epsilon": self.epsilon}


def of_branch(weight: Any, branch: Any, rank: int) -> Any:
    """A weight `[branches, features]` for each example, shaped `[batch, 1, ..., features]` of the given rank."""
    chosen = ops.take(weight, branch, axis=0)
    return ops.reshape(chosen, (-1, *[1] * (rank - 2), int(weight.shape[-1])))


def element_statistics(values: Any) -> Any:
    """Mean and biased standard deviation over everything of each example, `[batch, 2]`; equations 10 and 11."""
    while len(values.shape) > 3:  # sums in steps keep their digits
        values = ops.reshape(values, (-1, int(values.shape[1]) * int(values.shape[2]), *values.shape[3:]))
    mean = ops.mean(ops.mean(values, axis=-1), axis=-1)
    second = ops.mean(ops.mean(ops.square(values - mean[:, None, None]), axis=-1), axis=-1)
    return ops.stack([mean, ops.sqrt(second)], axis=-1)

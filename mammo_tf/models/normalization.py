"""Normalisation that keeps domains apart: shared weights around it, a gain and a shift for each branch.

Sources: Wang et al., *MLN-net: A multi-source medical image segmentation method for clustered microcalcifications using
multiple layer normalization*, section 3.2; Zhou et al., *Generalizable Cross-modality Medical Image Segmentation via
Style Augmentation and Dual Normalization*; answers in `tests/golden/dual_norm` and `tests/golden/baselines`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import layers, ops

EPSILON, MOMENTUM = 1e-5, 0.9
ELEMENT, TOKEN, CHANNEL = "element", "token", "channel"  # what an input is reduced to, see `input_statistics`
REDUCTIONS = (ELEMENT, TOKEN)  # of a layer normalisation


@keras.saving.register_keras_serializable("mammo_tf")
class MultiLayerNormalization(layers.Layer):
    """Layer normalisation over the last axis with a gain and a shift for each branch.

    Each example names its branch, so one pass takes a batch of mixed branches. Of every example in training mean and
    standard deviation (biased) of what it normalises are added up by branch, see `statistics`; the sums are weights
    that are not trained, so they are saved and resumed. Of several devices sums and counts are means over them, so that
    what is made of both is that of all examples.

    Args:
        branches: how many; with one the layer is a layer normalisation and takes no branch.
        epsilon: added to the variance.
        reduction: mean and deviation over everything of an example ("element"), or the means over its tokens of what
            each is normalised by ("token").

    Call: `layer(tensor, branch)`, tensor `[batch, ..., features]`, branch whole numbers `[batch]`.
    """

    def __init__(self, branches: int = 1, epsilon: float = EPSILON, reduction: str = ELEMENT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if reduction not in REDUCTIONS:
            raise ValueError(f"the reduction of a layer normalisation is one of {REDUCTIONS}, not {reduction!r}")
        self.branches, self.epsilon, self.reduction = _checked(branches), epsilon, reduction

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
                self.sums.assign_add(ops.matmul(shares, input_statistics(values, self.reduction)))
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
        own = {"branches": self.branches, "epsilon": self.epsilon}
        said = {} if self.reduction == ELEMENT else {"reduction": self.reduction}  # digests of older files stay
        return {**super().get_config(), **own, **said}


@keras.saving.register_keras_serializable("mammo_tf")
class MultiBatchNormalization(layers.Layer):
    """Batch normalisation with statistics, a gain and a shift for each branch: with two, dual normalisation.

    Each example names its branch. In training the examples of a branch are normalised among themselves, and the moving
    statistics of a branch change where the batch has an example of it: new = momentum x old + (1 - momentum) x batch,
    with the variance of n - 1 (of the pictures of one device). A layer that is not trained keeps its statistics and
    uses them.

    Args:
        branches: how many.
        momentum: of the moving statistics.
        epsilon: added to the variance.
        own_statistics: at inference every example is normalised by its own mean and variance in place of the moving
            ones, which then serve the choice of a branch alone; dual normalisation as published, with batches of one.
        synchronized: batch statistics over all devices (TensorFlow alone).

    Call: `layer(tensor, branch)`, tensor `[batch, ..., features]`, branch whole numbers `[batch]`.
    """

    reduction: ClassVar[str] = CHANNEL

    def __init__(
        self,
        branches: int,
        momentum: float = MOMENTUM,
        epsilon: float = EPSILON,
        own_statistics: bool = False,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.branches, self.momentum, self.epsilon = _checked(branches), momentum, epsilon
        self.own_statistics, self.synchronized = own_statistics, synchronized

    def build(self, input_shape: Any, *_: Any) -> None:
        shape = (self.branches, int(input_shape[-1]))
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", autocast=False)
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", autocast=False)
        settings = {"trainable": False, "dtype": at_least_single(self.compute_dtype), "autocast": False}
        settings["aggregation"] = "mean"
        self.moving_mean = self.add_weight(name="moving_mean", shape=shape, initializer="zeros", **settings)
        self.moving_variance = self.add_weight(name="moving_variance", shape=shape, initializer="ones", **settings)
        self.counts = self.add_weight(name="counts", shape=(self.branches,), initializer="zeros", **settings)
        self.built = True

    def call(self, tensor: Any, branch: Any, training: bool = False) -> Any:
        values, branch = ops.cast(tensor, at_least_single(tensor.dtype)), ops.cast(branch, "int32")
        rank = len(values.shape)
        if training and self.trainable:
            mean, variance = (of_branch(part, branch, rank) for part in self._of_batch(values, branch))
        elif self.own_statistics:
            mean, variance = (_for_places(part, rank) for part in _channel_moments(values))
        else:
            mean, variance = (of_branch(part, branch, rank) for part in (self.moving_mean, self.moving_variance))
        gain, shift = (of_branch(weight, branch, rank) for weight in (self.gamma, self.beta))
        gain = gain * ops.rsqrt(variance + self.epsilon)
        return ops.cast((values - mean) * gain + shift, self.compute_dtype)

    def _of_batch(self, values: Any, branch: Any) -> tuple[Any, Any]:
        """Mean and biased variance of each branch, `[branches, features]` each; moves the moving ones."""
        means, variances = _channel_moments(values)
        shares = ops.one_hot(branch, self.branches, dtype=values.dtype)
        share = self._mean(shares)[:, None]
        whole = ops.maximum(share, 1e-12)  # a branch without an example is divided by this, and not looked at
        mean = self._mean(shares[..., None] * means[:, None]) / whole
        spread = variances[:, None] + ops.square(means[:, None] - mean[None])
        variance = self._mean(shares[..., None] * spread) / whole
        pixels = ops.cast(ops.size(values[..., 0]), values.dtype) * share
        unbiased = variance * pixels / ops.maximum(pixels - 1.0, 1.0)
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, unbiased)):
            moved = self.momentum * moving + (1.0 - self.momentum) * ops.stop_gradient(now)
            moving.assign(ops.where(share > 0, moved, ops.convert_to_tensor(moving)))
        self.counts.assign_add(ops.sum(shares, axis=0))
        return mean, variance

    def _mean(self, values: Any) -> Any:
        """Over the examples, of all devices where that is asked for."""
        return ops.moments(values, axes=[0], synchronized=self.synchronized)[0]

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        return input_shape

    def statistics(self) -> Any:
        """The moving mean and variance by branch, `[branches, 2, features]`; a branch without an example has none."""
        seen = ops.convert_to_tensor(self.counts)[:, None, None] > 0
        return ops.where(seen, ops.stack([self.moving_mean, self.moving_variance], axis=1), float("nan"))

    def get_config(self) -> dict[str, Any]:
        own = ("branches", "momentum", "epsilon", "own_statistics", "synchronized")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


MULTIPLE = (MultiLayerNormalization, MultiBatchNormalization)  # that may have branches


def at_least_single(dtype: Any) -> str:
    """The dtype that statistics are taken in: float64 where that is asked for, else float32, of half precision too."""
    return str(keras.backend.result_type(dtype, "float32"))


def _checked(branches: int) -> int:
    if branches < 1:
        raise ValueError(f"a normalisation has one branch or more, not {branches}")
    return branches


def of_branch(weight: Any, branch: Any, rank: int) -> Any:
    """A weight `[branches, features]` for each example, shaped `[batch, 1, ..., features]` of the given rank."""
    return _for_places(ops.take(weight, branch, axis=0), rank)


def _for_places(values: Any, rank: int) -> Any:
    """`[batch, features]` as `[batch, 1, ..., features]`."""
    return ops.reshape(values, (-1, *[1] * (rank - 2), int(values.shape[-1])))


def input_statistics(values: Any, reduction: str) -> Any:
    """What the input of a normalisation is reduced to, for each example, float32, or float64 of such values.

    Args:
        values: `[batch, ..., features]`.
        reduction: "element", `element_statistics`, `[batch, 2]`; "token", `token_statistics`, `[batch, 2]`; or
            "channel", means of the features, then their biased variances, over the places of the example,
            `[batch, 2 x features]`.
    """
    values = ops.cast(values, at_least_single(values.dtype))
    if reduction == ELEMENT:
        return element_statistics(values)
    if reduction == TOKEN:
        return token_statistics(values)
    return ops.concatenate(_channel_moments(values), axis=-1)


def _channel_moments(values: Any) -> tuple[Any, Any]:
    """Mean and biased variance of each feature over the places of each example, `[batch, features]` each."""
    mean = _over_places(values)
    return mean, _over_places(ops.square(values - _for_places(mean, len(values.shape))))


def _over_places(values: Any) -> Any:
    while len(values.shape) > 2:  # sums in steps keep their digits
        values = ops.mean(values, axis=1)
    return values


def element_statistics(values: Any) -> Any:
    """Mean and biased standard deviation over everything of each example, `[batch, 2]`; equations 10 and 11."""
    while len(values.shape) > 3:  # sums in steps keep their digits
        values = ops.reshape(values, (-1, int(values.shape[1]) * int(values.shape[2]), *values.shape[3:]))
    mean = ops.mean(ops.mean(values, axis=-1), axis=-1)
    second = ops.mean(ops.mean(ops.square(values - mean[:, None, None]), axis=-1), axis=-1)
    return ops.stack([mean, ops.sqrt(second)], axis=-1)


def token_statistics(values: Any) -> Any:
    """Means over the places of each example of their own mean and biased standard deviation, `[batch, 2]`.

    These are what a layer normalisation divides by. Of pictures of any size they are two numbers, like
    `element_statistics`, whose mean is the same and whose deviation counts what tells places apart, too.
    """
    mean = ops.mean(values, axis=-1, keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(values - mean), axis=-1, keepdims=True))
    return _over_places(ops.concatenate([mean, deviation], axis=-1))

"""A network with branches as one that asks all of them: masks of every branch, and how far each one's domain is."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.models.branches import TINY, check_trained
from mammo_tf.models.networks import branches_of
from mammo_tf.models.normalization import MultiLayerNormalization, element_statistics

GRAPH_METRICS = ("cosine", "euclidean", "literal")
PLUS = "+"  # behind a metric: with the corrective mean of the picture
NONE = "none"  # no choice: what the branches say is added up
BRANCH_METRICS = (*GRAPH_METRICS, *(f"{metric}{PLUS}" for metric in GRAPH_METRICS[:2]), NONE)


@keras.saving.register_keras_serializable("mammo_tf")
class PictureMean(layers.Layer):
    """Hands pictures on, and adds up their corrective means by branch in training; see `corrective_means`.

    Args:
        branches: how many.
    """

    def __init__(self, branches: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.branches = branches

    def build(self, *_: Any) -> None:
        settings = {"initializer": "zeros", "trainable": False, "dtype": "float32", "autocast": False}
        self.sums = self.add_weight(name="sums", shape=(self.branches,), aggregation="mean", **settings)
        self.counts = self.add_weight(name="counts", shape=(self.branches,), aggregation="mean", **settings)
        self.built = True

    def call(self, pictures: Any, branch: Any, training: bool = False) -> Any:
        if training:
            shares = ops.one_hot(ops.cast(branch, "int32"), self.branches, dtype="float32")
            self.sums.assign_add(ops.matmul(corrective_means(pictures)[None], shares)[0])
            self.counts.assign_add(ops.sum(shares, axis=0))
        return pictures

    def compute_output_shape(self, input_shape: Any, *_: Any) -> Any:
        return input_shape

    def reset_statistics(self) -> None:
        """Begins to add up anew."""
        self.sums.assign(ops.zeros_like(self.sums))
        self.counts.assign(ops.zeros_like(self.counts))

    def statistics(self) -> Any:
        """The mean by branch since the last reset, `[branches]`."""
        return ops.divide(self.sums, ops.cast(self.counts, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "branches": self.branches}


def corrective_means(pictures: Any) -> Any:
    """Mean of the pixels above each picture's minimum, `[batch]`; see `branches.corrective_mean`."""
    values = ops.cast(pictures, "float32")
    values = ops.reshape(values, (-1, int(values.shape[1]), int(values.shape[2]) * int(values.shape[3])))
    least = ops.min(values, axis=(1, 2), keepdims=True)
    above = ops.cast(values > least, "float32")
    total, count = (ops.sum(ops.sum(part, axis=2), axis=1) for part in (values * above, above))
    return ops.where(count > 0, total / ops.maximum(count, 1.0), least[:, 0, 0])


@keras.saving.register_keras_serializable("mammo_tf")
class EveryBranch(layers.Layer):
    """Each picture once for each branch, one behind the other, and the branches.

    Args:
        branches: how many.
    """

    def __init__(self, branches: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.branches = branches

    def call(self, pictures: Any) -> tuple[Any, Any]:
        repeated = ops.repeat(pictures, self.branches, axis=0)
        return repeated, ops.tile(ops.arange(self.branches, dtype="int32"), [ops.shape(pictures)[0]])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (None, *input_shape[1:]), (None,)

    def compute_output_spec(self, pictures: Any) -> Any:
        return keras.KerasTensor((None, *pictures.shape[1:]), pictures.dtype), keras.KerasTensor((None,), "int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "branches": self.branches}


@keras.saving.register_keras_serializable("mammo_tf")
class InputStatistics(layers.Layer):
    """Mean and standard deviation over everything of each example, `[batch, 2]`."""

    def call(self, tensor: Any) -> Any:
        return element_statistics(ops.cast(tensor, "float32"))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], 2)


@keras.saving.register_keras_serializable("mammo_tf")
class BranchDistance(layers.Layer):
    """Distance of each picture to the domain of each branch, float64 `[batch, branches]`; `branches.branch_distances`.

    Args:
        branches, layer_count, entries: shape of the domain's statistics.
        metric: one of `GRAPH_METRICS`.
    """

    def __init__(self, branches: int, layer_count: int, entries: int, metric: str = "cosine", **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.branches, self.layer_count, self.entries, self.metric = branches, layer_count, entries, metric

    def build(self, *_: Any) -> None:
        shape = (self.branches, self.layer_count, self.entries)
        self.domain = self.add_weight(name="domain", shape=shape, initializer="zeros", trainable=False)
        self.built = True

    def call(self, statistics: Any) -> Any:
        shape = (-1, self.branches, self.layer_count, self.entries)
        target = ops.cast(ops.reshape(statistics, shape), "float64")
        domain = ops.cast(self.domain, "float64")[None]
        if self.metric == "euclidean":
            return ops.sum(ops.sqrt(ops.sum(ops.square(domain - target), axis=-1)), axis=-1)
        one, other = (
            part / ops.maximum(ops.sqrt(ops.sum(ops.square(part), axis=-1, keepdims=True)), TINY)
            for part in (domain, target)
        )
        distance = ops.sum(ops.square(one - other), axis=-1) / 2
        return ops.sum(distance if self.metric == "cosine" else 1.0 - distance, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (None, self.branches)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("branches", "layer_count", "entries", "metric")}
        return {**super().get_config(), **own}


def domain_statistics(model: keras.Model, plus: bool = False) -> NDArray[np.float64]:
    """What the normalisations of each branch were given in training, float64 `[branches, layers, 2]`.

    Args:
        model: with branches.
        plus: a third entry, the corrective mean of the pictures.
    """
    found = [keras.ops.convert_to_numpy(layer.statistics()) for layer in _norms(model)]
    if plus:
        means = keras.ops.convert_to_numpy(_picture_mean(model).statistics())
        found = [np.concatenate([one, means[:, None]], axis=1) for one in found]
    return np.stack(found, axis=1).astype(np.float64)


def with_statistics(model: keras.Model) -> keras.Model:
    """`[picture, branch]` to the model's output and the statistics of its normalisations, `[batch, layers, 2]`."""
    parts = []
    for number, layer in enumerate(_norms(model)):
        tensor = layer._inbound_nodes[0].input_tensors[0]
        parts.append(layers.Reshape((1, 2))(InputStatistics(name=f"statistics_{number}")(tensor)))
    joined = layers.Concatenate(axis=1, name="statistics")(parts)
    return keras.Model(model.inputs, [model.outputs[0], joined], name=f"{model.name}_statistics")


def asking_every_branch(model: keras.Model, metric: str = "cosine") -> keras.Model:
    """The network that takes a picture alone and asks every branch.

    Args:
        model: with branches; weights are shared with it.
        metric: one of `BRANCH_METRICS`; behind "+" the corrective mean of the picture counts too. "none" does not
            choose.

    Returns:
        Pictures to probabilities of the last class by branch, float32 `[batch, branches, rows, columns]`, and distances
        float64 `[batch, branches]`. With "none" to one map, `[batch, rows, columns, 1]`: half the sum over branches, at
        most 1, so that one half is reached where the sum is 1 (the rows "-R" of the paper).

    Raises:
        MammoError: `metric_unknown`, `branch_untrained`.
    """
    if metric not in BRANCH_METRICS:
        known = ", ".join(BRANCH_METRICS)
        raise MammoError("metric_unknown", f"no metric of branches {metric!r}", f"Choose one of {known}")
    branches, shape = branches_of(model), tuple(model.inputs[0].shape[1:])
    picture = keras.Input(shape, name="image")
    given = EveryBranch(branches, name="every_branch")(picture)
    rows, columns, classes = model.outputs[0].shape[1:]
    inner = with_statistics(model)
    probabilities, statistics = inner(list(given))
    masks = layers.Reshape((rows, columns, classes), name="probabilities")(probabilities)[..., -1]
    masks = ops.reshape(masks, (-1, branches, rows, columns))
    if metric == NONE:
        halved = ops.minimum(ops.sum(masks, axis=1) / 2.0, 1.0)[..., None]
        return keras.Model(picture, halved, name=f"{model.name}_added_up")
    plus = metric.endswith(PLUS)
    domain = domain_statistics(model, plus)
    check_trained(domain)
    if plus:
        means = _Corrective(name="corrective")(given[0])
        means = ops.repeat(ops.reshape(means, (-1, 1, 1)), domain.shape[1], axis=1)
        statistics = ops.concatenate([statistics, means], axis=-1)
    distance = BranchDistance(branches, domain.shape[1], domain.shape[2], metric.removesuffix(PLUS), name="distance")
    distances = distance(statistics)
    distance.domain.assign(domain)
    return keras.Model(picture, [masks, distances], name=f"{model.name}_asked")


@keras.saving.register_keras_serializable("mammo_tf")
class _Corrective(layers.Layer):
    def call(self, pictures: Any) -> Any:
        return corrective_means(pictures)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0],)


def _norms(model: keras.Model) -> list[MultiLayerNormalization]:
    return [layer for layer in model.layers if isinstance(layer, MultiLayerNormalization) and layer.branches > 1]


def _picture_mean(model: keras.Model) -> PictureMean:
    return next(layer for layer in model.layers if isinstance(layer, PictureMean))

"""A network with branches as one that asks all of them: masks of every branch, and how far each one's domain is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.models.branches import SHIFT, TINY, check_trained
from mammo_tf.models.networks import branches_of
from mammo_tf.models.normalization import (
    CHANNEL,
    ELEMENT,
    MULTIPLE,
    MultiBatchNormalization,
    MultiLayerNormalization,
    input_statistics,
)

DUAL = "dual_normalization"
SEPARATE = ("cosine_separate", "euclidean_separate", DUAL)  # mean and deviation each a vector of its own
GRAPH_METRICS = ("cosine", "euclidean", "literal", *SEPARATE)
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
    """What the input of a normalisation is reduced to, for each example; see `normalization.input_statistics`.

    Args:
        reduction: as there.
    """

    def __init__(self, reduction: str = ELEMENT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reduction = reduction

    def call(self, tensor: Any) -> Any:
        return input_statistics(tensor, self.reduction)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], 2 * input_shape[-1] if self.reduction == CHANNEL else 2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}


@keras.saving.register_keras_serializable("mammo_tf")
class BranchDistance(layers.Layer):
    """Distance of each picture to the domain of each branch, float64 `[batch, branches]`; `branches.branch_distances`.

    Args:
        branches: how many.
        sizes: entries of each vector of statistics; the distances of the vectors are added up.
        metric: one of `GRAPH_METRICS`.
    """

    def __init__(self, branches: int, sizes: Sequence[int], metric: str = "cosine", **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.branches, self.sizes, self.metric = branches, tuple(sizes), metric

    def build(self, *_: Any) -> None:
        shape = (self.branches, sum(self.sizes))
        self.domain = self.add_weight(name="domain", shape=shape, initializer="zeros", trainable=False)
        self.built = True

    def call(self, statistics: Any) -> Any:
        """Statistics `[batch x branches, entries]`, branches innermost."""
        target = ops.cast(ops.reshape(statistics, (-1, self.branches, sum(self.sizes))), "float64")
        domain = ops.cast(self.domain, "float64")[None]
        edges = np.cumsum(self.sizes)[:-1].tolist()
        pairs = zip(*(ops.split(part, edges, axis=-1) for part in (domain, target)), strict=True)
        return ops.sum(ops.stack([self._of_vector(*pair) for pair in pairs]), axis=0)

    def _of_vector(self, domain: Any, target: Any) -> Any:
        if self.metric in ("euclidean", "euclidean_separate", DUAL):
            shift = SHIFT if self.metric == DUAL else 0.0
            return ops.sqrt(ops.sum(ops.square(domain - target + shift), axis=-1))
        one, other = (
            part / ops.maximum(ops.sqrt(ops.sum(ops.square(part), axis=-1, keepdims=True)), TINY)
            for part in (domain, target)
        )
        distance = ops.sum(ops.square(one - other), axis=-1) / 2
        return 1.0 - distance if self.metric == "literal" else distance

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (None, self.branches)

    def get_config(self) -> dict[str, Any]:
        own = {"branches": self.branches, "sizes": list(self.sizes), "metric": self.metric}
        return {**super().get_config(), **own}


def domain_statistics(model: keras.Model, plus: bool = False) -> list[NDArray[np.float64]]:
    """What the normalisations of each branch were given in training, a list over layers as `branch_distances` takes it.

    Of a layer normalisation these are mean and standard deviation by its reduction, float64 `[branches, 2]`; of a batch
    normalisation mean and variance of each feature, `[branches, 2, features]`.

    Args:
        model: with branches.
        plus: the corrective mean of the pictures behind the others, `[branches, entries + 1]`.
    """
    found = [keras.ops.convert_to_numpy(layer.statistics()).astype(np.float64) for layer in _norms(model)]
    if not plus:
        return found
    means = keras.ops.convert_to_numpy(_picture_mean(model).statistics()).astype(np.float64)[:, None]
    return [np.concatenate([one.reshape(len(one), -1), means], axis=1) for one in found]


def with_statistics(model: keras.Model) -> keras.Model:
    """`[picture, branch]` to the model's output and the statistics of each normalisation's input, `[batch, entries]`.

    Entries are those of `domain_statistics`, one behind the other.
    """
    statistics = []
    for number, layer in enumerate(_norms(model)):
        tensor = layer._inbound_nodes[0].input_tensors[0]
        statistics.append(InputStatistics(layer.reduction, name=f"statistics_{number}")(tensor))
    return keras.Model(model.inputs, [model.outputs[0], *statistics], name=f"{model.name}_statistics")


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
    probabilities, *statistics = inner(list(given))
    masks = layers.Reshape((rows, columns, classes), name="probabilities")(probabilities)[..., -1]
    masks = ops.reshape(masks, (-1, branches, rows, columns))
    if metric == NONE:
        halved = ops.minimum(ops.sum(masks, axis=1) / 2.0, 1.0)[..., None]
        return keras.Model(picture, halved, name=f"{model.name}_added_up")
    plus = metric.endswith(PLUS)
    domain = domain_statistics(model, plus)
    flat = np.concatenate([one.reshape(branches, -1) for one in domain], axis=1)
    check_trained(flat)
    if plus:
        means = ops.reshape(_Corrective(name="corrective")(given[0]), (-1, 1))
        statistics = [entries for one in statistics for entries in (one, means)]
    joint = [int(np.prod(one.shape[1:])) for one in domain]
    sizes = [size // 2 for size in joint for _ in range(2)] if metric in SEPARATE else joint
    distance = BranchDistance(branches, sizes, metric.removesuffix(PLUS), name="distance")
    distances = distance(layers.Concatenate(name="statistics")(statistics))
    distance.domain.assign(flat)
    return keras.Model(picture, [masks, distances], name=f"{model.name}_asked")


@keras.saving.register_keras_serializable("mammo_tf")
class _Corrective(layers.Layer):
    def call(self, pictures: Any) -> Any:
        return corrective_means(pictures)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0],)


def _norms(model: keras.Model) -> list[MultiLayerNormalization | MultiBatchNormalization]:
    return [layer for layer in model.layers if isinstance(layer, MULTIPLE) and layer.branches > 1]


def _picture_mean(model: keras.Model) -> PictureMean:
    return next(layer for layer in model.layers if isinstance(layer, PictureMean))

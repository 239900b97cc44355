"""Dual normalisation at test time as published: statistics that move with every batch, and are never restored.

Source: Zhou et al., *Generalizable Cross-modality Medical Image Segmentation via Style Augmentation and Dual
Normalization*, CVPR 2022, and its public code; answers in `tests/golden/dual_norm` and `tests/golden/baselines`.
`branch_network` asks each picture for itself instead, and changes nothing.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from mammo_tf.errors import MammoError
from mammo_tf.models.branch_network import DUAL, BranchDistance, domain_statistics
from mammo_tf.models.branches import check_trained
from mammo_tf.models.networks import branches_of
from mammo_tf.models.normalization import MULTIPLE, MultiBatchNormalization
from mammo_tf.models.rebuild import DROPOUTS


def drifting(model: keras.Model) -> keras.Model:
    """The network that takes batches of pictures, asks every branch in training mode, and remembers them.

    A batch is normalised in each branch by its own statistics. These enter the branch's moving ones (a tenth, at the
    momentum of 0.9), and the distance of a branch is between its moving statistics now and those before the first
    batch. So what is said of a picture hangs on those beside it in its batch and on all batches before.

    Args:
        model: with branches of batch normalisation. It is the one that drifts: hand over a copy (`models.rebuild`).

    Returns:
        Pictures to probabilities of the last class by branch, float32 `[batch, branches, rows, columns]`, and distances
        float64 `[batch, branches]`, the same for all pictures of a batch.

    Raises:
        MammoError: `drift_impossible`, `branch_untrained`.
    """
    norms = [layer for layer in model.layers if isinstance(layer, MULTIPLE)]
    if not norms or branches_of(model) == 1 or not all(isinstance(one, MultiBatchNormalization) for one in norms):
        sentence = f"{model.name} has no batch normalisation with branches, whose statistics could drift"
        raise MammoError("drift_impossible", sentence, "Set task.drift to false")
    if any(isinstance(layer, DROPOUTS) and layer.rate for layer in model.layers):
        sentence = f"{model.name} has dropout, which would draw in the training mode in which statistics drift"
        raise MammoError("drift_impossible", sentence, "Set task.drift to false, or take a network without dropout")
    picture = keras.Input(tuple(model.inputs[0].shape[1:]), name="image")
    return keras.Model(picture, list(_Drifting(model, name="drifting")(picture)), name=f"{model.name}_drifting")


class _Drifting(layers.Layer):
    """See `drifting`; lives in memory alone."""

    def __init__(self, model: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model, self.branches = model, branches_of(model)
        self.norms = [layer for layer in model.layers if isinstance(layer, MultiBatchNormalization)]
        for layer in self.norms:
            layer.trainable = True  # one that is not keeps its statistics
        domain = domain_statistics(model)
        flat = np.concatenate([one.reshape(self.branches, -1) for one in domain], axis=1)
        check_trained(flat)
        sizes = [one.shape[-1] for one in domain for _ in range(2)]
        self.distance = BranchDistance(self.branches, sizes, DUAL, name="distance")
        self.distance.build((None, flat.shape[1]))
        self.distance.domain.assign(flat)

    def call(self, pictures: Any) -> tuple[Any, Any]:
        count = ops.shape(pictures)[0]
        branch = ops.tile(ops.arange(self.branches, dtype="int32"), [count])
        outputs = self.model([ops.repeat(pictures, self.branches, axis=0), branch], training=True)
        masks = ops.reshape(outputs[..., -1], (-1, self.branches, *outputs.shape[1:3]))
        moved = [ops.reshape(layer.statistics(), (self.branches, -1)) for layer in self.norms]
        distance = self.distance(ops.concatenate(moved, axis=1))
        return masks, ops.repeat(distance, count, axis=0)

    def compute_output_spec(self, pictures: Any) -> tuple[Any, Any]:
        rows, columns = self.model.outputs[0].shape[1:3]
        masks = keras.KerasTensor((pictures.shape[0], self.branches, rows, columns), "float32")
        return masks, keras.KerasTensor((pictures.shape[0], self.branches), "float64")

"""Stages whose body is frozen: its features of a picture are computed once, and the rest is trained on them.

Where nothing changes a picture from epoch to epoch, what the frozen layers make of it does not change either. A stage
that trains the layers behind them costs those layers alone, from its second epoch on. The numbers are those of the
whole network, up to rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mammo_tf.data import WholeImages, draws_of_epoch, inference_stream
from mammo_tf.data.augmentation import NO_AUGMENTATION
from mammo_tf.errors import MammoError
from mammo_tf.files import disk_errors
from mammo_tf.models import named_layers
from mammo_tf.training.callbacks import Waiting
from mammo_tf.training.material import Material
from mammo_tf.training.step_fit import step_fit

TRIED = 2  # pictures on which body and rest are held against the whole
SAME = 1e-5
LOG = logging.getLogger("mammo_tf")


class CachedBody:
    """A network in two: the frozen layers up to one tensor, and what is trained behind it.

    Args:
        model: prepared for its stage.
        material: what it is trained on.
        folder: for the features, a file as large as they are; the caller removes it.

    Raises:
        MammoError: `body_uncached`, with the reason.
    """

    def __init__(self, model: keras.Model, material: Material, folder: Path) -> None:
        if material.training.augmentation != NO_AUGMENTATION or material.training.cuts:
            raise MammoError("body_uncached", "the pictures of a stage are not the same in every epoch")
        if material.task.masks(material.records) is not None or material.preprocessing.needs_breast:
            raise MammoError("body_uncached", "the stage needs more of a picture than its features")
        self.material = material
        self.body, self.rest = _in_two(model)
        shape = self.body.outputs[0].shape[1:]
        self.known = np.zeros(len(material.records.rows), bool)
        self.path = folder / "features.npy"
        with disk_errors(self.path):  # only what is written takes room
            self.features = np.lib.format.open_memmap(self.path, "w+", np.float32, (len(self.known), *shape))
        self.rest.compile(
            optimizer=model.optimizer, loss=model.loss,
            weighted_metrics=material.task.compiled(model).weighted_metrics, jit_compile=model.jit_compile,
        )  # fmt: skip

    def need(self, positions: np.ndarray) -> None:
        """Computes the features of pictures that were not asked for before."""
        new = np.setdiff1d(positions, np.flatnonzero(self.known))
        if not len(new):
            return
        records, plan = self.material.records, self.material.training
        once = WholeImages(new, np.zeros(len(new), np.int64), plan.size, NO_AUGMENTATION, shuffle=False)
        for batch in inference_stream(records, once, self.material.batch_size, self.material.preprocessing):
            self.features[batch["position"].numpy()] = self.body(batch["image"], training=False).numpy()
        self.known[new] = True

    def batches(self, epoch: int, stage: int, waiting: Waiting) -> Iterator[tuple[Any, Any, Any]]:
        """What `training_stream` shows in an epoch, as features, classes and weights."""
        size = self.material.batch_size
        draws = draws_of_epoch(self.material.training, size, epoch, stage)
        self.need(draws.positions)
        for start in range(0, len(draws.positions), size):
            part = slice(start, start + size)
            columns = {name: tf.constant(values[part]) for name, values in draws.columns.items()}
            batch = columns | {"image": tf.constant(self.features[draws.positions[part]]), "weight": tf.ones(size)}
            paired = self.material.task.pair(batch, self.rest, self.material.batch_weights)
            waiting.arrived()
            yield paired

    def fit(
        self, model: keras.Model, stage: int, waiting: Waiting, callbacks: Sequence[keras.callbacks.Callback],
        epochs: int, first: int, steps: int,
    ) -> None:  # fmt: skip
        """Trains the rest; callbacks see the whole network. Arguments as for `step_fit`, `stage` counted from 0."""
        LOG.info("features of the frozen %d of %d layers are kept", len(self.body.layers), len(model.layers))
        step = tf.function(self.rest.train_step, jit_compile=model.jit_compile)
        step_fit(
            model, self.rest, lambda epoch: self.batches(epoch, stage, waiting), step, callbacks, epochs, first, steps
        )


def _in_two(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The longest frozen beginning of a network that ends in one tensor, and what lies behind it.

    Raises:
        MammoError: `body_uncached` where there is none.
    """
    frozen = []
    for layer in model.layers:
        if not _is_frozen(layer):
            break
        frozen.append(layer)
    for layer in reversed(frozen[1:]):
        try:
            body = keras.Model(model.input, layer.output)
            rest = keras.Model(layer.output, model.output)
        except (ValueError, AttributeError):  # not all that comes behind hangs on it alone
            continue
        if body.weights and _are_the_whole(body, rest, model):
            return body, rest
    raise MammoError("body_uncached", "no frozen beginning of the network ends in one tensor")


def _is_frozen(layer: keras.layers.Layer) -> bool:
    """Whether a layer does the same for the same input, and is left by it as it was."""
    parts = [part for _, part in named_layers(layer)] if isinstance(layer, keras.Model) else [layer]
    moving = any(part.trainable and part.non_trainable_variables for part in parts)  # batch statistics, dropout seeds
    return not layer.trainable_weights and not moving


def _are_the_whole(body: keras.Model, rest: keras.Model, model: keras.Model) -> bool:
    shape = [TRIED, *(size or 1 for size in model.inputs[0].shape[1:])]
    pictures = np.random.default_rng(0).normal(0.0, 1.0, shape).astype(np.float32)
    before = [np.array(one) for one in body.non_trainable_weights]
    once, again = (np.asarray(body(pictures, training=training)) for training in (True, False))
    moved = any(
        not np.array_equal(one, np.array(two)) for one, two in zip(before, body.non_trainable_weights, strict=True)
    )
    ours, whole = np.asarray(rest(again, training=False)), np.asarray(model(pictures, training=False))
    return not moved and np.array_equal(once, again) and bool(np.allclose(ours, whole, atol=SAME))

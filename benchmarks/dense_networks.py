"""A small network that tells dense breasts, and how it is trained; for `real_sites.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

import keras
import numpy as np
from dense_sites import SIZE
from numpy.typing import NDArray

from mammo_tf.data.band_gains import BandGains
from mammo_tf.data.domains import Look, SourceLooks
from mammo_tf.imaging.levels import WHITE

BATCH, RATE = 16, 1e-3
LOOKS, GAINS = SourceLooks((Look((0.3, 0.5), mirrored=True),)), BandGains(spread=1.0)
Grey = NDArray[np.uint16]
Change = Callable[[Grey, NDArray[np.bool_], np.random.Generator], Grey]


def network() -> keras.Model:
    """A small network of 98,000 parameters: picture `[rows, columns, 1]` in [0, 1] to a logit."""
    values = image = keras.Input((*SIZE, 1))
    for filters in (16, 32, 64, 128):
        strides = 2 if filters == 16 else 1
        values = keras.layers.Conv2D(filters, 3, strides, "same", use_bias=False)(values)
        values = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(values))
        if filters < 128:
            values = keras.layers.MaxPooling2D()(values)
    return keras.Model(image, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(values)))


def along_curves(pictures: Grey, breasts: NDArray[np.bool_], generator: np.random.Generator) -> Grey:
    """Each picture along a curve of its own."""
    found = LOOKS.draw(generator, len(pictures))
    drawn = zip(pictures, found["curve"], found["inverted"], strict=True)
    return np.stack([LOOKS.apply(picture, curve=curve, inverted=inverted) for picture, curve, inverted in drawn])


def with_gains(pictures: Grey, breasts: NDArray[np.bool_], generator: np.random.Generator) -> Grey:
    """Each picture with gains of its own in each band."""
    seeds = GAINS.draw(generator, len(pictures))["band_gains_seed"]
    drawn = zip(pictures, breasts, seeds, strict=True)
    return np.stack([GAINS.apply(picture, breast, band_gains_seed=seed) for picture, breast, seed in drawn])


CHANGES: dict[str, tuple[Change, ...]] = {
    "plain": (),
    "curves": (along_curves,),
    "gains": (with_gains,),
    "augmented": (along_curves, with_gains),
}


def changed(
    pictures: NDArray[np.float32],
    breasts: NDArray[np.bool_],
    changes: Sequence[Change],
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """A copy of pictures in [0, 1], behind one change of grey values after the other."""
    if not changes:
        return pictures.copy()
    grey = np.rint(pictures * WHITE).astype(np.uint16)
    for change in changes:
        grey = change(grey, breasts, generator)
    return grey.astype(np.float32) / np.float32(WHITE)


def fitted(
    model: keras.Model,
    pictures: NDArray[np.float32],
    breasts: NDArray[np.bool_],
    labels: NDArray[np.float32],
    seed: int,
    epochs: int,
    changes: Sequence[Change],
) -> keras.Model:
    """The model after its last epoch of pictures changed anew each time, then mirrored by chance."""
    generator = np.random.default_rng(seed)
    model.compile(keras.optimizers.Adam(RATE), keras.losses.BinaryCrossentropy(from_logits=True))
    for _ in range(epochs):
        seen = changed(pictures, breasts, changes, generator)
        mirrored = generator.uniform(size=len(seen)) < 0.5
        seen[mirrored] = seen[mirrored, :, ::-1]
        model.fit(seen[..., None], labels, BATCH, 1, verbose=0)
    return model


class Learner:
    """One compiled network that learns anew from given weights, as often as it is asked: traced once, not each time."""

    def __init__(self) -> None:
        self.model = network()
        self.model.compile(keras.optimizers.Adam(), keras.losses.BinaryCrossentropy(from_logits=True))
        self.model.optimizer.build(self.model.trainable_variables)

    def learn(
        self,
        weights: Sequence[NDArray[np.float32]],
        rate: float,
        pictures: NDArray[np.float32],
        labels: NDArray[np.float32],
        seed: int,
        steps: int,
    ) -> keras.Model:
        """The network after its last step, of a full batch each, one shuffling of the pictures after the other."""
        generator = np.random.default_rng(seed)
        passes = ceil(steps * BATCH / len(labels))
        order = np.concatenate([generator.permutation(len(labels)) for _ in range(passes)])[: steps * BATCH]
        seen, mirrored = pictures[order], generator.uniform(size=len(order)) < 0.5
        seen[mirrored] = seen[mirrored, :, ::-1]
        self.model.set_weights(weights)
        for variable in self.model.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        self.model.optimizer.learning_rate = rate
        self.model.fit(seen[..., None], labels[order], BATCH, 1, verbose=0, shuffle=False)
        return self.model


def scored(model: keras.Model, pictures: NDArray[np.float32]) -> NDArray[np.float64]:
    """One logit a picture."""
    return np.asarray(model.predict(pictures[..., None], 64, verbose=0), np.float64)[:, 0]

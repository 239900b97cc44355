"""The pictures that a bundle is tried on before it may be shipped, and made-up ones, which show nobody."""

from __future__ import annotations

import os
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.guard import each_file
from mammo_tf.imaging.levels import as_uint16
from mammo_tf.serving.parts import Made
from mammo_tf.serving.predict_inputs import pictures_of
from mammo_tf.serving.predict_picture import prepare_both
from mammo_tf.serving.signatures import FLOAT_SIGNATURE, PNG_SIGNATURE

PICTURES = 8
LOOKED_AT = 32  # pictures of validation, of which those are taken whose scores spread
GREY = (0.25, 0.95)  # of the brightest pixel of a made-up breast


class Samples(NamedTuple):
    """Pictures as each signature takes them.

    Attributes:
        pictures: float32 `[n, rows, columns]` in [0, 1], after `geometry`.
        breasts: bool `[n, rows, columns]`, where the preprocessing `needs_breast`; else None.
        png: the encoded pictures; empty for a bundle without `serving_default`.
        made_up: whether they are.
    """

    pictures: NDArray[np.float32]
    breasts: NDArray[np.bool_] | None
    png: tuple[bytes, ...]
    made_up: bool

    @property
    def inputs(self) -> dict[str, NDArray[np.generic]]:
        """Of `serving_float`, by name."""
        return {"picture": self.pictures} | ({} if self.breasts is None else {"breast": self.breasts})


def samples_of(made: Made) -> Samples:
    """Validation pictures whose scores lie at even ranks from the lowest to the highest; where there are none, made up.

    A model of patches or tiles gets made-up ones.
    """
    if made.card.patch is not None or made.card.tiling is not None:
        return made_up(made)
    number = len(made.validation)
    places = np.unique(np.linspace(0, max(number - 1, 0), min(LOOKED_AT, number)).astype(int))
    work = partial(prepare_both, preprocessing=made.preprocessing)
    workers = min(4, os.cpu_count() or 1)
    chosen = [made.validation[place] for place in places]
    pictures = pictures_of(chosen, made.preprocessing.projection, workers)
    read = [item for _, item in each_file(work, pictures, workers, "samples") if not isinstance(item, MammoError)]
    if not read:
        return made_up(made)
    inputs = [(one.picture, one.breast_mask) for one, _ in read]
    scores = [float(_score(made, picture, breast)) for picture, breast in inputs]
    ranks = np.unique(np.linspace(0, len(read) - 1, min(PICTURES, len(read))).round().astype(int))
    taken = np.argsort(scores, kind="stable")[ranks]
    breasts = [np.asarray(inputs[place][1]) for place in taken] if made.preprocessing.needs_breast else None
    png = tuple(read[place][1] for place in taken) if PNG_SIGNATURE in made.signatures else ()
    shown = np.stack([inputs[place][0] for place in taken]).astype(np.float32)
    return Samples(shown, None if breasts is None else np.stack(breasts), png, made_up=False)


def _score(made: Made, picture: NDArray[np.float32], breast: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    masks = [tf.constant(breast)[None]] if made.preprocessing.needs_breast else []
    return np.asarray(made.signatures[FLOAT_SIGNATURE](tf.constant(picture)[None], *masks)["score"])[0]


def made_up(made: Made, count: int = PICTURES, seed: int = 0) -> Samples:
    """Half ellipses of tissue-like noise, from faint to bright; no picture of anybody.

    Args:
        made: says what size and which signatures.
        count: how many.
        seed: of the noise.
    """
    rows, columns = made.preprocessing.size or (0, 0)
    random = np.random.default_rng(seed)
    pictures = np.zeros((count, rows, columns), np.float32)
    breasts = np.zeros((count, rows, columns), np.bool_)
    for number, brightest in enumerate(np.linspace(*GREY, count)):
        shape = np.zeros((rows, columns), np.uint8)
        axes = (max(int(columns * 0.75), 1), max(int(rows * 0.42), 1))
        cv2.ellipse(shape, (0, rows // 2), axes, 0, 0, 360, 1, -1)
        breasts[number] = shape.astype(np.bool_)
        pictures[number] = _tissue(random, (rows, columns)) * brightest * breasts[number]
    sent = [_as_sent(one, made) for one in pictures] if PNG_SIGNATURE in made.signatures else []
    png = tuple(encoded(one) for one in sent)
    return Samples(pictures, breasts if made.preprocessing.needs_breast else None, png, made_up=True)


def _as_sent(picture: NDArray[np.float32], made: Made) -> NDArray[np.float32]:
    """The picture in the size in which a caller sends it; a model of patches of so many pixels takes no other."""
    pixels = None if made.card.patch is None else made.card.patch.pixels
    if pixels is None:
        return picture
    return np.asarray(cv2.resize(picture, (pixels, pixels), interpolation=cv2.INTER_LINEAR), np.float32)


def _tissue(random: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    """Noise of several sizes in [0.4, 1]."""
    total = np.zeros(size, np.float32)
    for scale in (1, 4, 16):
        small = random.random((max(size[0] // scale, 2), max(size[1] // scale, 2))).astype(np.float32)
        total += scale * cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
    low, high = float(total.min()), float(total.max())
    return np.asarray(0.4 + 0.6 * (total - low) / max(high - low, 1e-6), np.float32)


def encoded(picture: NDArray[np.float32]) -> bytes:
    """A picture in [0, 1] as a 16-bit PNG file."""
    return bytes(cv2.imencode(".png", as_uint16(picture), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())

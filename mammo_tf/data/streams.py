"""Records to batches: one stream for training, one for inference. Both read, warp once, and finish in the graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.data.cutting import IDENTITY, as_cut, check_breasts, cut, cut_breast
from mammo_tf.data.graph_preprocessing import intensity
from mammo_tf.data.plans import Draws, Plan
from mammo_tf.data.shares import ALONE, Share
from mammo_tf.errors import MammoError
from mammo_tf.imaging.intensity_steps import Equalize, HistogramMatch, MaximumScale
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.warp import affine
from mammo_tf.records import Records

RAISED = re.compile(r"MammoError: (.+)")
FILLING = 1 << 20  # further draws of an epoch are those of the epoch so many later
Finish = Callable[[dict[str, Any]], dict[str, Any]]
Masks = Callable[[int], NDArray[np.bool_]]
WHOLE_PICTURE = (Equalize, HistogramMatch, MaximumScale)  # steps that look at more than one pixel at a time


def training_stream(
    records: Records,
    plan: Plan,
    batch_size: int,
    preprocessing: Preprocessing | None = None,
    first_epoch: int = 0,
    stage: int = 0,
    masks: Masks | None = None,
    share: Share = ALONE,
) -> tf.data.Dataset:
    """Batches of one epoch after the other, for ever; the same for the same plan, stage and first epoch.

    Args:
        records: prepared images.
        plan: what an epoch sees.
        batch_size: images in a batch. What the last one of an epoch lacks are further draws of the plan, so that every
            batch is of one size, on one device or several.
        preprocessing: its intensity half is run; by default that of the records. Patches and tiles are cut of pictures
            behind its `whole_steps`.
        first_epoch: where to resume after a pause.
        stage: number of the stage, counted through a recipe.
        masks: place in the records to what is to be found there, bool `[rows, columns]` of the prepared picture.
        share: of several machines, which must divide `batch_size` evenly: this one's part of every batch.

    Returns:
        Dictionaries `image` float32 `[batch, rows, columns, channels]`; the plan's columns, each `[batch]` (`label`
        int64, class numbers); with `masks` `mask` float32 `[batch, rows, columns]`, 0 or 1, warped as the picture is,
        to the nearest pixel; of whole pictures, where the preprocessing `needs_breast`, `breast` bool `[batch, rows,
        columns]`, warped likewise, False beyond the picture; `weight` float32 `[batch]`, 1; `position` int64 `[batch]`.

    Raises:
        MammoError: `nothing_to_train` for an empty plan; `breast_missing` where the preprocessing needs the breast and
            the records were prepared without looking for it; `record_damaged` and `breast_wrong` (empty) while running.
    """
    steps = preprocessing or records.preprocessing
    whole = StageStream(records, plan, batch_size, steps, first_epoch, stage, masks, share)
    return whole.finished(whole.cut())


@dataclass(frozen=True)
class StageStream:
    """What `training_stream` is asked, and its two halves, of which the first may run elsewhere (`data.feeding`).

    Attributes:
        records, plan, batch_size, preprocessing, first_epoch, stage, masks, share: as for `training_stream`.
    """

    records: Records
    plan: Plan
    batch_size: int
    preprocessing: Preprocessing
    first_epoch: int = 0
    stage: int = 0
    masks: Masks | None = None
    share: Share = ALONE

    def __post_init__(self) -> None:
        if not len(self.plan):
            raise MammoError(
                "nothing_to_train", "the plan of an epoch holds no picture", "Look at the split and the labels"
            )

    @property
    def batches_per_epoch(self) -> int:
        """Batches of an epoch: of several machines one a step for each of this one's devices."""
        return steps_per_epoch(self.plan, self.batch_size) * self.share.devices

    @property
    def first_batch(self) -> int:
        """The number of the first batch, counted from the stage's beginning."""
        return self.first_epoch * self.batches_per_epoch

    def cut(self, part: int = 0, parts: int = 1) -> tf.data.Dataset:
        """The first half: pictures read, warped and batched, as they are stored.

        Args:
            part, parts: which of the batches: those whose number leaves `part` when it is divided by `parts`.

        Returns:
            Dictionaries as of `training_stream`, without `weight`, `image` uint16 `[batch, rows, columns]`.
        """
        images = steps_per_epoch(self.plan, self.batch_size) * self.batch_size
        own, batches = self.share.batch_size(self.batch_size), self.batches_per_epoch
        names = tuple(self.plan.columns)
        kinds = (tf.int64, tf.float64, *(tf.as_dtype(kind) for kind in self.plan.columns.values()))
        load = _loading(self.records, self.plan, self.preprocessing, self.masks)

        def drawn(number: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
            draws = self.share.of(_filled(self.plan, int(number), self.stage, images), self.batch_size)
            asked = np.repeat((int(number) * batches + np.arange(batches)) % parts == part, own)
            return draws.positions[asked], draws.matrices[asked], *(draws.columns[name][asked] for name in names)

        def one_epoch(number: Any) -> tf.data.Dataset:
            positions, matrices, *columns = tf.numpy_function(drawn, [number], kinds, stateful=False)
            pieces = _pieces(positions, matrices, dict(zip(names, columns, strict=True)))
            return pieces.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(own)

        return tf.data.Dataset.counter(self.first_epoch, dtype=tf.int64).flat_map(one_epoch)

    def finished(self, cut: tf.data.Dataset) -> tf.data.Dataset:
        """The second half, in the graph: from what `cut` gives to batches as of `training_stream`."""
        return cut.map(_finishing(self.records, self.plan, self.preprocessing)).prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(plan: Plan, batch_size: int) -> int:
    """Batches that `training_stream` gives for one epoch."""
    return -(-len(plan) // batch_size)


def draws_of_epoch(plan: Plan, batch_size: int, epoch: int, stage: int = 0) -> Draws:
    """What `training_stream` shows in an epoch, counted from 0, whole batches."""
    return _filled(plan, epoch, stage, steps_per_epoch(plan, batch_size) * batch_size)


def draws_of_batch(plan: Plan, batch_size: int, batch: int, epoch: int, stage: int = 0) -> Draws:
    """What `training_stream` shows in one batch of an epoch, counted from 0."""
    draws = draws_of_epoch(plan, batch_size, epoch, stage)
    part = slice(batch * batch_size, (batch + 1) * batch_size)
    columns = {name: values[part] for name, values in draws.columns.items()}
    return Draws(draws.positions[part], draws.matrices[part], columns)


def _filled(plan: Plan, epoch: int, stage: int, images: int) -> Draws:
    """The draws of an epoch, and further ones, of epochs that no training reaches, up to so many images."""
    rounds = [plan.epoch(epoch + number * FILLING, stage) for number in range(-(-images // len(plan)))]
    columns = {name: np.concatenate([one.columns[name] for one in rounds])[:images] for name in rounds[0].columns}
    positions, matrices = (np.concatenate(parts)[:images] for parts in zip(*(one[:2] for one in rounds), strict=True))
    return Draws(positions, matrices, columns)


def inference_stream(
    records: Records,
    plan: Plan,
    batch_size: int,
    preprocessing: Preprocessing | None = None,
    padded: bool = False,
    masks: Masks | None = None,
) -> tf.data.Dataset:
    """Every picture of the plan once, in its order.

    Args:
        records, plan, batch_size, preprocessing, masks: as for `training_stream`; the plan's first epoch is taken.
        padded: fill the last batch with black pictures of weight 0, so that several devices can share it.

    Returns:
        Dictionaries as `training_stream` gives them; for padding `weight` is 0, `position` -1, columns are 0.
    """
    draws = plan.epoch(0)
    positions, matrices, columns = draws.positions, draws.matrices, dict(draws.columns)
    if padded and len(positions) % batch_size:
        missing = batch_size - len(positions) % batch_size
        positions = np.concatenate([positions, np.full(missing, -1)])
        matrices = np.concatenate([matrices, np.repeat(IDENTITY[None], missing, axis=0)])
        columns = {name: np.concatenate([values, np.zeros(missing, values.dtype)]) for name, values in columns.items()}
    pieces = _pieces(positions, matrices, columns)
    steps = preprocessing or records.preprocessing
    loaded = pieces.map(_loading(records, plan, steps, masks), num_parallel_calls=tf.data.AUTOTUNE)
    return loaded.batch(batch_size).map(_finishing(records, plan, steps)).prefetch(tf.data.AUTOTUNE)


@contextmanager
def stream_errors() -> Iterator[None]:
    """Hands on what a stream's reader says (`record_damaged`) as itself, not as TensorFlow's wrapping of it.

    Raises:
        MammoError: `stream_failed`, with the sentence of the error that was raised inside the stream.
    """
    try:
        yield
    except tf.errors.OpError as error:
        found = RAISED.search(error.message or "")
        if found is None:
            raise
        raise MammoError("stream_failed", found.group(1)) from error


def _pieces(positions: Any, matrices: Any, columns: Mapping[str, Any]) -> tf.data.Dataset:
    place = {"position": tf.ensure_shape(positions, [None]), "matrix": tf.ensure_shape(matrices, [None, 2, 3])}
    named = {name: tf.ensure_shape(values, [None]) for name, values in columns.items()}
    return tf.data.Dataset.from_tensor_slices((place, named))


def _loading(
    records: Records, plan: Plan, preprocessing: Preprocessing, masks: Masks | None
) -> Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]:
    """Place, map and columns of a piece to the piece, read and warped."""
    cv2.setNumThreads(1)  # one thread a picture: the stream runs several pictures at once
    size, augmentation = plan.size, plan.augmentation
    check_breasts(records, preprocessing.needs_breast or augmentation.needs_breast)
    records, steps = as_cut(records, plan, preprocessing)
    level = augmentation.fill if isinstance(augmentation.fill, str) else augmentation.fill * 65535
    changes = augmentation.columns

    @cache  # a number a picture, and one reading more of each
    def maximum(position: int) -> int:
        return int(records.picture(position).max())

    def piece(position: NDArray[np.int64], matrix: NDArray[np.float64], *drawn: Any) -> NDArray[np.uint16]:
        if position < 0:
            return np.zeros(size, np.uint16)
        picture = cut(records, int(position), matrix, size, augmentation.interpolation, level)
        breast = cut_breast(records, int(position), matrix, size) if augmentation.needs_breast else None
        whole = maximum(int(position)) if augmentation.needs_maximum else None
        return augmentation.change(picture, dict(zip(changes, drawn, strict=True)), breast, whole)

    def mask_piece(position: NDArray[np.int64], matrix: NDArray[np.float64], *drawn: Any) -> NDArray[np.float32]:
        if position < 0 or masks is None:
            return np.zeros(size, np.float32)
        mask = affine(masks(int(position)), matrix, fill=0, size=size).astype(np.float32)
        return augmentation.deform(mask, dict(zip(changes, drawn, strict=True)), "nearest")

    def breast_piece(position: NDArray[np.int64], matrix: NDArray[np.float64], *drawn: Any) -> NDArray[np.bool_]:
        if position < 0:
            return np.zeros(size, np.bool_)
        mask = cut_breast(records, int(position), matrix, size)
        return augmentation.deform(mask, dict(zip(changes, drawn, strict=True)), "nearest")

    def loaded(place: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
        position, matrix = place["position"], place["matrix"]
        drawn = [columns[name] for name in changes]
        picture = tf.numpy_function(piece, [position, matrix, *drawn], tf.uint16, stateful=False)
        found = {"image": tf.ensure_shape(picture, size), **columns, "position": position}
        if masks is not None:
            mask = tf.numpy_function(mask_piece, [position, matrix, *drawn], tf.float32, stateful=False)
            found["mask"] = tf.ensure_shape(mask, size)
        if steps.needs_breast:
            breast = tf.numpy_function(breast_piece, [position, matrix, *drawn], tf.bool, stateful=False)
            found["breast"] = tf.ensure_shape(breast, size)
        return found

    return loaded


def _finishing(records: Records, plan: Plan, preprocessing: Preprocessing) -> Finish:
    """From batches of pieces as they are stored to those of `training_stream`, in the graph."""
    _, steps = as_cut(records, plan, preprocessing)
    as_input = _as_input(steps)

    def finished(batch: dict[str, Any]) -> dict[str, Any]:
        images = tf.ensure_shape(as_input(batch["image"], batch.get("breast")), [None, *plan.size, steps.channels])
        return batch | {"image": images, "weight": tf.cast(batch["position"] >= 0, tf.float32)}

    return finished


def _as_input(steps: Preprocessing) -> Any:
    """uint16 `[batch, rows, columns]` to float32 `[batch, rows, columns, channels]`: the intensity half in the graph.

    The function takes the breasts too, or None. Where every step looks at one pixel at a time, the half is a table of
    65536 values, itself made in the graph, so that the result is the same to the bit; XLA looks up and repeats channels
    in one pass over the batch.
    """
    if steps.needs_breast or any(isinstance(step, WHOLE_PICTURE) for step in steps.intensity_steps):
        return lambda pictures, breasts: intensity(steps, tf.cast(pictures, tf.float32) / 65535.0, breasts)
    levels = tf.range(65536)[None, None]
    table = intensity(steps, tf.cast(levels, tf.float32) / 65535.0)[0, 0, :, 0]

    @tf.function(jit_compile=True)
    def looked_up(pictures: Any, _: None) -> Any:
        return tf.repeat(tf.gather(table, tf.cast(pictures, tf.int32))[..., None], steps.channels, axis=-1)

    return looked_up

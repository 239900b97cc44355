"""One patch of an image at a time: on its finding, else anywhere in the breast. A plan for patch models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.augmentation import NO_AUGMENTATION, Augmentation
from mammo_tf.data.breast_pixels import BreastPixels
from mammo_tf.data.plans import Draws, cycled, generator_of, plan_columns

SCORED = 1 << 40  # among the first numbers of a seed; no epoch is so high


class PatchSource(NamedTuple):
    """An image to cut patches from.

    Attributes:
        position: its place in the records.
        label: class number.
        key: what its random numbers depend on besides the seed, 0 to 2^64 - 1; of the image, not of its place.
        centres: float64 `[n, 2]`, (x, y) of its findings in prepared pixels.
        breast: where a patch may be centred if there is no finding.
        extent: rows and columns of a patch, in prepared pixels.
        frame: what of the prepared picture is the stored one: top, bottom, left, right.
    """

    position: int
    label: int
    key: int
    centres: NDArray[np.float64]
    breast: BreastPixels
    extent: tuple[float, float]
    frame: tuple[float, float, float, float]


def patch_matrix(source: PatchSource, size: tuple[int, int], generator: np.random.Generator) -> NDArray[np.float64]:
    """A drawn patch as a map of (x, y, 1) of the network's picture to (x, y) of the prepared one, float64 `[2, 3]`.

    With findings the centre is that of one of them, else a random pixel of the breast. The corner lies between pixels,
    so that a patch of twice the network's size is the mean of two by two pixels; a patch that would leave the image is
    shifted inside.
    """
    if len(source.centres):
        centre = source.centres[generator.integers(len(source.centres))]
    else:
        centre = np.array(source.breast.pixel(int(generator.integers(len(source.breast)))), np.float64)
    rows, columns = source.extent
    top, bottom, left, right = source.frame
    x = np.clip(np.floor(centre[0] + 0.5 - columns / 2), left, max(right - columns, left))
    y = np.clip(np.floor(centre[1] + 0.5 - rows / 2), top, max(bottom - rows, top))
    across, down = columns / size[1], rows / size[0]
    return np.array([[across, 0.0, x + across / 2 - 0.5], [0.0, down, y + down / 2 - 0.5]])


def after(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine map that applies `inner` first, then `outer`; float64 `[2, 3]` each."""
    return np.hstack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2:] + outer[:, 2:]])


@dataclass(frozen=True)
class ImagePatches:
    """Patches for training: an epoch is a number of samples.

    A patch and its warp follow from seed, stage, epoch, the image, and how often the image came in this epoch: neither
    the order nor which other images there are changes them.

    Attributes:
        sources: the images.
        size: rows and columns of what the network sees.
        samples: patches of an epoch; None for as many as there are images.
        augmentation: the warp about the patch's middle, and changes of grey values.
        balanced: classes in equal parts, else every image as often as the others, to within one.
        seed: with stage and epoch it decides everything.
    """

    cuts: ClassVar[bool] = True
    sources: Sequence[PatchSource]
    size: tuple[int, int]
    samples: int | None = None
    augmentation: Augmentation = NO_AUGMENTATION
    balanced: bool = False
    seed: int = 0

    @property
    def columns(self) -> dict[str, type[np.generic]]:
        """Name and dtype of each of the columns of `Draws`."""
        return plan_columns(self.augmentation)

    def __len__(self) -> int:
        return (self.samples or len(self.sources)) if self.sources else 0

    def epoch(self, number: int, stage: int = 0) -> Draws:
        """Draws of one epoch; see `Plan`."""
        chosen = self._chosen(generator_of(self.seed, number, stage))
        seen: dict[int, int] = {}
        matrices, changes = [], []
        for at in chosen:
            source = self.sources[at]
            times = seen[at] = seen.get(at, -1) + 1
            generator = np.random.default_rng((self.seed, number, stage, times, source.key))
            patch = patch_matrix(source, self.size, generator)
            matrices.append(after(patch, self.augmentation.matrix(generator, self.size)))
            changes.append(self.augmentation.draw(generator, 1))
        columns = {name: np.concatenate([one[name] for one in changes]) for name in self.augmentation.columns}
        return _draws([self.sources[at] for at in chosen], matrices, columns)

    def _chosen(self, generator: np.random.Generator) -> list[int]:
        labels = np.array([source.label for source in self.sources])
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)] if self.balanced else []
        groups = groups or [np.arange(len(labels))]
        shares = np.array_split(np.arange(len(self)), len(groups))
        taken = [cycled(group, len(share), generator) for group, share in zip(groups, shares, strict=True)]
        return [int(at) for at in generator.permutation(np.concatenate(taken))]


@dataclass(frozen=True)
class ScoredPatches:
    """Patches to be scored: so many of each image, in the order of the images, without augmentation.

    A patch follows from its number, which is the column `patch_seed`, and the image.

    Attributes:
        sources: the images.
        size: rows and columns of what the network sees.
        draws: patches of an image; the first has `patch_seed` 0.
    """

    cuts: ClassVar[bool] = True
    sources: Sequence[PatchSource]
    size: tuple[int, int]
    draws: int = 1
    augmentation: Augmentation = NO_AUGMENTATION

    @property
    def columns(self) -> dict[str, type[np.generic]]:
        """Name and dtype of each of the columns of `Draws`."""
        return {**plan_columns(self.augmentation), "patch_seed": np.int64}

    def __len__(self) -> int:
        return len(self.sources) * self.draws

    def epoch(self, number: int, stage: int = 0) -> Draws:
        """The same draws in every epoch; see `Plan`."""
        drawn = list(self._drawn())
        matrices = [
            patch_matrix(source, self.size, np.random.default_rng((SCORED, seed, source.key))) for source, seed in drawn
        ]
        seeds = np.array([seed for _, seed in drawn], np.int64)
        return _draws([source for source, _ in drawn], matrices, {"patch_seed": seeds})

    def _drawn(self) -> Iterator[tuple[PatchSource, int]]:
        for source in self.sources:
            for seed in range(self.draws):
                yield source, seed


def _draws(
    sources: Sequence[PatchSource], matrices: list[NDArray[np.float64]], columns: dict[str, NDArray[np.generic]]
) -> Draws:
    return Draws(
        np.array([source.position for source in sources], np.int64),
        np.reshape(matrices, (-1, 2, 3)),
        {"label": np.array([source.label for source in sources], np.int64), **columns},
    )

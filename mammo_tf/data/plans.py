"""Plans: which piece of which picture an epoch sees, as one affine map each. Pure functions of a seed and an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.warp import INTERPOLATIONS, random_affine

BALANCES = ("none", "batch_weights", "balanced_sampling")


class Draws(NamedTuple):
    """What one epoch sees, in order.

    Attributes:
        positions: int64 `[n]`, places in the records.
        matrices: float64 `[n, 2, 3]`, map (x, y, 1) of the network's picture to (x, y) of the prepared one.
        labels: int64 `[n]`, class numbers.
    """

    positions: NDArray[np.int64]
    matrices: NDArray[np.float64]
    labels: NDArray[np.int64]


class Plan(Protocol):
    """What streams ask of a plan."""

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def classes(self) -> int: ...

    @property
    def augmentation(self) -> Augmentation: ...

    def epoch(self, number: int) -> Draws: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the one warp that an image goes through; the defaults are Table 7 of the thesis.

    Attributes:
        rotation: degrees, uniform in plus and minus this.
        shift: fraction of height and of width.
        zoom: uniform in 1 plus and minus this, each axis for itself.
        shear: radians.
        horizontal_flip, vertical_flip: with probability one half.
        interpolation: "linear", or "nearest" as the public code had it; linear interpolation can halve the contrast of
            specks one pixel wide, nearest keeps it.
        fill: what lies beyond a picture's edge, "nearest" (the edge's pixel) or a number in [0, 1].
    """

    rotation: float = 10.0
    shift: float = 0.05
    zoom: float = 0.1
    shear: float = 0.0
    horizontal_flip: bool = True
    vertical_flip: bool = False
    interpolation: str = "linear"
    fill: str | float = 0.0

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise MammoError("augmentation_wrong", f"interpolation {self.interpolation!r} is not one of {known}")
        if self.fill != "nearest" and not (isinstance(self.fill, float | int) and 0 <= self.fill <= 1):
            raise MammoError("augmentation_wrong", f"fill {self.fill!r} is neither 'nearest' nor a number in [0, 1]")

    def matrix(self, generator: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
        """A drawn map of pictures of this size, float64 `[2, 3]`."""
        draw = random_affine(
            generator, self.rotation, self.shift, self.zoom, self.shear, self.horizontal_flip, self.vertical_flip
        )
        return draw.matrix(*size)


NO_AUGMENTATION = Augmentation(0.0, 0.0, 0.0, 0.0, horizontal_flip=False)


@dataclass(frozen=True)
class WholeImages:
    """Every image once an epoch (or balanced), whole.

    Attributes:
        positions: int64 `[n]`, places in the records.
        labels: int64 `[n]`, 0 or 1.
        size: rows and columns of the prepared pictures.
        augmentation: the warp.
        shuffle: a new order each epoch; without it the order of `positions`, for inference.
        balanced: classes drawn with equal probability, an image of the rarer class several times; as many draws as
            images.
        seed: with the epoch it decides everything.
    """

    positions: NDArray[np.int64]
    labels: NDArray[np.int64]
    size: tuple[int, int]
    augmentation: Augmentation = NO_AUGMENTATION
    shuffle: bool = False
    balanced: bool = False
    seed: int = 0
    classes: int = 2

    def __len__(self) -> int:
        return len(self.positions)

    def epoch(self, number: int) -> Draws:
        generator = np.random.default_rng((self.seed, number))
        chosen = np.arange(len(self.positions))
        if self.balanced:
            groups = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
            shares = np.array_split(chosen, len(groups))
            chosen = np.concatenate(
                [_cycled(group, len(share), generator) for group, share in zip(groups, shares, strict=True)]
            )
        if self.shuffle:
            chosen = generator.permutation(chosen)
        matrices = [self.augmentation.matrix(generator, self.size) for _ in chosen]
        return Draws(self.positions[chosen], np.reshape(matrices, (-1, 2, 3)), self.labels[chosen])


def _cycled(items: NDArray[np.int64], length: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """`length` items, each as often as the others to within one, in random order."""
    rounds = -(-length // len(items))
    return np.concatenate([generator.permutation(items) for _ in range(rounds)])[:length]


class Lesion(NamedTuple):
    """A finding to cut patches from: box in prepared pixels (x0, y0, x1, y1), and its class number."""

    box: tuple[float, float, float, float]
    label: int


class Sheet(NamedTuple):
    """One picture to cut patches from: its place in the records, its findings, points (x, y) `[n, 2]` in the breast."""

    position: int
    lesions: tuple[Lesion, ...]
    breast_points: NDArray[np.float64]


@dataclass(frozen=True)
class Patches:
    """Patches of findings and of background, drawn anew each epoch.

    A lesion patch is centred on a finding, moved by up to `jitter` of the patch; a background patch is centred on a
    random point of the breast whose patch holds no finding's centre. Patches that would leave the picture are shifted
    inside before they are augmented.

    Attributes:
        sheets: the pictures.
        size: rows and columns of a patch, in prepared pixels.
        picture_size: rows and columns of the prepared pictures.
        classes: number of classes, background (0) included.
        lesion_patches: from each picture that has a finding.
        background_patches: from each picture.
        jitter: fraction of the patch.
        augmentation: the warp, about the centre of the patch.
        shuffle, seed: as for `WholeImages`.
    """

    sheets: Sequence[Sheet]
    size: tuple[int, int]
    picture_size: tuple[int, int]
    classes: int = 3
    lesion_patches: int = 6
    background_patches: int = 3
    jitter: float = 0.25
    augmentation: Augmentation = field(default_factory=Augmentation)
    shuffle: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size[0] > self.picture_size[0] or self.size[1] > self.picture_size[1]:
            raise MammoError(
                "patch_too_large",
                f"patches of {self.size[0]}x{self.size[1]} do not fit into {self.picture_size[0]}x"
                f"{self.picture_size[1]} pixels",
                "Make the patches smaller or prepare larger pictures",
            )

    def __len__(self) -> int:
        findings = sum(bool(sheet.lesions) for sheet in self.sheets)
        backgrounds = sum(len(self._clear_points(sheet)) > 0 for sheet in self.sheets)
        return findings * self.lesion_patches + backgrounds * self.background_patches

    def epoch(self, number: int) -> Draws:
        generator = np.random.default_rng((self.seed, number))
        positions, matrices, labels = [], [], []
        for sheet in self.sheets:
            for centre, label in self._centres(sheet, generator):
                positions.append(sheet.position)
                labels.append(label)
                matrices.append(self._matrix(centre, generator))
        draws = Draws(np.array(positions, np.int64), np.reshape(matrices, (-1, 2, 3)), np.array(labels, np.int64))
        if not self.shuffle:
            return draws
        order = generator.permutation(len(positions))
        return Draws(draws.positions[order], draws.matrices[order], draws.labels[order])

    def _centres(self, sheet: Sheet, generator: np.random.Generator) -> list[tuple[NDArray[np.float64], int]]:
        centres = []
        extent = np.array(self.size[::-1], np.float64)
        for _ in range(self.lesion_patches if sheet.lesions else 0):
            lesion = sheet.lesions[generator.integers(len(sheet.lesions))]
            middle = np.array([lesion.box[0] + lesion.box[2], lesion.box[1] + lesion.box[3]]) / 2
            centres.append((middle + generator.uniform(-self.jitter, self.jitter, 2) * extent, lesion.label))
        clear = self._clear_points(sheet)
        for _ in range(self.background_patches if len(clear) else 0):
            centres.append((clear[generator.integers(len(clear))], 0))
        return centres

    def _clear_points(self, sheet: Sheet) -> NDArray[np.float64]:
        """Points of the breast whose patch, shifted inside the picture, holds no finding's centre."""
        boxes = np.reshape([lesion.box for lesion in sheet.lesions], (-1, 4))
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        corners = self._corner(np.reshape(sheet.breast_points, (-1, 2)))[:, None]
        inside = (middles >= corners) & (middles < corners + np.array(self.size[::-1]))
        return sheet.breast_points[~inside.all(axis=2).any(axis=1)]

    def _corner(self, centre: NDArray[np.float64]) -> NDArray[np.float64]:
        """Top left (x, y) of the patch about a centre `[..., 2]`, shifted inside the picture."""
        extent = np.array(self.size[::-1], np.float64)
        room = np.array(self.picture_size[::-1], np.float64) - extent
        return np.clip(np.rint(centre - extent / 2), 0, room)

    def _matrix(self, centre: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
        matrix = self.augmentation.matrix(generator, self.size)
        matrix[:, 2] += self._corner(centre)
        return matrix

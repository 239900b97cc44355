"""Plans: which piece of which picture an epoch sees, one affine map each. Pure functions of seed, stage and epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.augmentation import NO_AUGMENTATION, Augmentation

BALANCES = ("none", "batch_weights", "balanced_sampling")


class Draws(NamedTuple):
    """What one epoch sees, in order.

    Attributes:
        positions: int64 `[n]`, places in the records.
        matrices: float64 `[n, 2, 3]`, map (x, y, 1) of the network's picture to (x, y) of the prepared one.
        columns: named arrays `[n]` of what else was drawn or is known: `label` (int64, class numbers), `gamma`, ...
    """

    positions: NDArray[np.int64]
    matrices: NDArray[np.float64]
    columns: Mapping[str, NDArray[Any]]


class Plan(Protocol):
    """What streams ask of a plan."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of what the network sees."""

    @property
    def cuts(self) -> bool:
        """Whether the network sees patches or tiles, which are cut of pictures behind `Preprocessing.whole_steps`."""

    @property
    def augmentation(self) -> Augmentation: ...

    @property
    def columns(self) -> Mapping[str, type[np.generic]]:
        """Name and dtype of each of the columns of `Draws`."""

    def epoch(self, number: int, stage: int = 0) -> Draws:
        """What an epoch of a stage sees; stages are counted through all phases of a recipe."""

    def __len__(self) -> int: ...


def generator_of(seed: int, epoch: int, stage: int) -> np.random.Generator:
    """Random numbers of one epoch of one stage; no two stages of a recipe see the same order or the same warps."""
    return np.random.default_rng((seed, epoch, stage))


def plan_columns(augmentation: Augmentation) -> dict[str, type[np.generic]]:
    """Columns of a plan that draws labels and this augmentation."""
    return {"label": np.int64} | dict.fromkeys(augmentation.columns, np.float64)


@dataclass(frozen=True)
class WholeImages:
    """Every image once an epoch (or balanced), whole.

    Attributes:
        positions: int64 `[n]`, places in the records.
        labels: int64 `[n]`, class numbers.
        size: rows and columns of the prepared pictures.
        augmentation: the warp.
        shuffle: a new order each epoch; without it the order of `positions`, for inference.
        balanced: classes drawn with equal probability, an image of the rarer class several times; as many draws as
            images.
        seed: with stage and epoch it decides everything.
    """

    cuts: ClassVar[bool] = False
    positions: NDArray[np.int64]
    labels: NDArray[np.int64]
    size: tuple[int, int]
    augmentation: Augmentation = NO_AUGMENTATION
    shuffle: bool = False
    balanced: bool = False
    seed: int = 0

    @property
    def columns(self) -> dict[str, type[np.generic]]:
        """Name and dtype of each of the columns of `Draws`."""
        return plan_columns(self.augmentation)

    def __len__(self) -> int:
        return len(self.positions)

    def epoch(self, number: int, stage: int = 0) -> Draws:
        """Draws of one epoch; see `Plan`."""
        generator = generator_of(self.seed, number, stage)
        chosen = np.arange(len(self.positions))
        if self.balanced:
            groups = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
            shares = np.array_split(chosen, len(groups))
            chosen = np.concatenate(
                [cycled(group, len(share), generator) for group, share in zip(groups, shares, strict=True)]
            )
        if self.shuffle:
            chosen = generator.permutation(chosen)
        matrices = [self.augmentation.matrix(generator, self.size) for _ in chosen]
        columns = {"label": self.labels[chosen]} | self.augmentation.draw(generator, len(chosen))
        return Draws(self.positions[chosen], np.reshape(matrices, (-1, 2, 3)), columns)


def cycled(items: NDArray[np.int64], length: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """`length` items, each as often as the others to within one, in random order."""
    rounds = -(-length // len(items))
    return np.concatenate([generator.permutation(items) for _ in range(rounds)])[:length]

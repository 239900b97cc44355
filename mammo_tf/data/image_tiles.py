"""Images cut into tiles (`imaging.tiles`), as a plan: how networks see all of a picture that is too large for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.augmentation import NO_AUGMENTATION, Augmentation
from mammo_tf.data.image_patches import after
from mammo_tf.data.patch_sources import breast_of, frame_of, image_key
from mammo_tf.data.plans import Draws, Plan, cycled, generator_of, plan_columns
from mammo_tf.data.sampling import MOST_SAMPLES, SAMPLINGS, TRAIN, VALIDATION, Cases, PlanMaker
from mammo_tf.errors import MammoError
from mammo_tf.imaging.tiles import Tiling, placed_tiles
from mammo_tf.progress import track
from mammo_tf.records import Records


class Tile(NamedTuple):
    """A tile of an image.

    Attributes:
        position: of the image, in the records.
        key: what its random numbers depend on besides a seed.
        number: counted along the rows of tiles, from 0.
        matrix: float64 `[2, 3]`, maps (x, y, 1) of the tile as the network sees it to (x, y) of the prepared picture.
        positive: 1 if a finding that is looked for reaches into it, else 0.
    """

    position: int
    key: int
    number: int
    matrix: NDArray[np.float64]
    positive: int


@dataclass(frozen=True)
class ImageTiles:
    """Tiles for training: each once an epoch, or so many samples.

    Attributes:
        tiles: all that are kept.
        size: rows and columns of what the network sees.
        samples: tiles of an epoch; None for as many as there are.
        augmentation: the warp about the tile's middle, and changes of grey values.
        balanced: tiles with and without a finding in equal parts.
        seed: with stage and epoch it decides everything.
    """

    cuts: ClassVar[bool] = True
    tiles: Sequence[Tile]
    size: tuple[int, int]
    samples: int | None = None
    augmentation: Augmentation = NO_AUGMENTATION
    balanced: bool = False
    seed: int = 0

    @property
    def columns(self) -> dict[str, type[np.generic]]:
        """Name and dtype of each of the columns of `Draws`; `label` is the tile's own."""
        return {**plan_columns(self.augmentation), "tile": np.int64}

    def __len__(self) -> int:
        return (self.samples or len(self.tiles)) if self.tiles else 0

    def epoch(self, number: int, stage: int = 0) -> Draws:
        """Draws of one epoch; see `Plan`. What happens to a tile does not depend on the other tiles."""
        seen: dict[int, int] = {}
        chosen, matrices, changes = self._chosen(generator_of(self.seed, number, stage)), [], []
        for at in chosen:
            tile = self.tiles[at]
            times = seen[at] = seen.get(at, -1) + 1
            generator = np.random.default_rng((self.seed, number, stage, times, tile.number, tile.key))
            matrices.append(after(tile.matrix, self.augmentation.matrix(generator, self.size)))
            changes.append(self.augmentation.draw(generator, 1))
        columns = {name: np.concatenate([one[name] for one in changes]) for name in self.augmentation.columns}
        return _draws([self.tiles[at] for at in chosen], matrices, columns)

    def _chosen(self, generator: np.random.Generator) -> list[int]:
        positive = np.array([tile.positive for tile in self.tiles])
        groups = [np.flatnonzero(positive == value) for value in np.unique(positive)] if self.balanced else []
        groups = groups or [np.arange(len(positive))]
        shares = np.array_split(np.arange(len(self)), len(groups))
        taken = [cycled(group, len(share), generator) for group, share in zip(groups, shares, strict=True)]
        return [int(at) for at in generator.permutation(np.concatenate(taken))]


@dataclass(frozen=True)
class ScoredTiles:
    """Tiles to be scored: those of an image one behind the other, without augmentation; see `ImageTiles`."""

    cuts: ClassVar[bool] = True
    tiles: Sequence[Tile]
    size: tuple[int, int]
    augmentation: Augmentation = NO_AUGMENTATION

    @property
    def columns(self) -> dict[str, type[np.generic]]:
        """Name and dtype of each of the columns of `Draws`."""
        return {**plan_columns(self.augmentation), "tile": np.int64}

    def __len__(self) -> int:
        return len(self.tiles)

    def epoch(self, number: int, stage: int = 0) -> Draws:
        """The same draws in every epoch; see `Plan`."""
        return _draws(self.tiles, [tile.matrix for tile in self.tiles], {})


def _draws(
    tiles: Sequence[Tile], matrices: Sequence[NDArray[np.float64]], columns: Mapping[str, NDArray[np.generic]]
) -> Draws:
    named = {"label": [tile.positive for tile in tiles], "tile": [tile.number for tile in tiles]}
    return Draws(
        np.array([tile.position for tile in tiles], np.int64),
        np.reshape(matrices, (-1, 2, 3)),
        {name: np.array(values, np.int64) for name, values in named.items()} | dict(columns),
    )


@SAMPLINGS.register
@dataclass(frozen=True)
class TileSampling:
    """Every image cut into tiles, background left out.

    Attributes:
        tiling: how.
        samples: tiles of an epoch; None for all that are kept, once each.
        class_count: None, the task's own classes.
    """

    kind: ClassVar[str] = "image_tiles"
    class_count: ClassVar[None] = None
    tiling: Tiling = Tiling()
    samples: int | None = None

    def __post_init__(self) -> None:
        if self.samples is not None and not 1 <= self.samples <= MOST_SAMPLES:
            sentence = f"plan.samples is {self.samples}, and it is 1 or more, up to {MOST_SAMPLES}"
            raise MammoError("recipe_wrong", sentence)

    def size(self, prepared: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of what the network sees."""
        return self.tiling.size

    def small(self) -> Self:
        """Few small tiles."""
        return replace(self, tiling=replace(self.tiling, rows=64, columns=64), samples=16)

    def plans(
        self, records: Records, cases: Mapping[str, Cases], augmentation: Augmentation, balanced: bool, seed: int
    ) -> tuple[Plan, Plan]:
        """See `PlanMaker`.

        Raises:
            MammoError: `no_findings` where no finding reaches into a tile of training.
        """
        training, validation = (list(self._tiles(records, cases[split])) for split in (TRAIN, VALIDATION))
        if not any(tile.positive for tile in training):
            raise MammoError(
                "no_findings", f"no finding reaches into any of the {len(training)} tiles of training",
                "Fill the column findings of positive images",
            )  # fmt: skip
        size = self.tiling.size
        return ImageTiles(training, size, self.samples, augmentation, balanced, seed), ScoredTiles(validation, size)

    def scored(self) -> PlanMaker:
        """The same."""
        return self

    def blind(self) -> PlanMaker:
        """The same: tiles that are scored do not hang on findings."""
        return self

    def scoring_plan(self, records: Records, cases: Cases) -> Plan:
        """The tiles of every image; which are left out does not depend on its findings."""
        return ScoredTiles(list(self._tiles(records, cases, blind=True)), self.tiling.size)

    def _tiles(self, records: Records, cases: Cases, blind: bool = False) -> Iterator[Tile]:
        for position in track(cases.positions.tolist(), "tiles"):
            marks = records.marks(position)
            breast = breast_of(records, position, marks, self.tiling.breast_level)
            finding = None if blind else np.any(marks.placed(cases.wanted), axis=0)
            for tile in placed_tiles(frame_of(marks), breast, self.tiling, finding):
                yield Tile(position, image_key(marks.row), tile.number, tile.matrix, int(tile.positive))

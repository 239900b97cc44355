"""An image cut into tiles, each resampled to one size: how networks see all of a picture that is too large for them.

Two by two tiles at 512x512 pixels, background left out, are those of Wang et al., *MLN-net: A multi-source medical
image segmentation method for clustered microcalcifications using multiple layer normalization*, section 4.1.
"""

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
from mammo_tf.data.sampling import SAMPLINGS, TRAIN, VALIDATION, Cases, PlanMaker
from mammo_tf.errors import MammoError
from mammo_tf.imaging.warp import affine
from mammo_tf.progress import track
from mammo_tf.records import Records


class Tile(NamedTuple):
    """A tile of an image.

    Attributes:
        position: of the image, in the records.
        key: what its random numbers depend on besides a seed.
        number: counted along the rows of tiles, from 0.
        matrix: float64 `[2, 3]`, maps (x, y, 1) of the tile as the network sees it to (x, y) of the prepared picture.
        positive: 1 if a finding reaches into it, else 0.
        breast: share of its pixels that are breast.
    """

    position: int
    key: int
    number: int
    matrix: NDArray[np.float64]
    positive: int
    breast: float


def tile_matrices(
    frame: tuple[float, float, float, float], cut: tuple[int, int], size: tuple[int, int], overlap: float = 0.0
) -> NDArray[np.float64]:
    """The maps of the tiles of a frame, float64 `[tiles, 2, 3]`, row by row.

    Args:
        frame: top, bottom, left, right of what is cut, in pixels of the picture.
        cut: rows and columns of tiles.
        size: rows and columns of a tile as the network sees it.
        overlap: what neighbours share, as a fraction of a tile's side, 0 to below 1.
    """
    starts, sides = [], []
    for low, high, count in ((frame[0], frame[1], cut[0]), (frame[2], frame[3], cut[1])):
        side = (high - low) / (count - (count - 1) * overlap)
        starts.append([low + number * side * (1 - overlap) for number in range(count)])
        sides.append(side)
    down, across = sides[0] / size[0], sides[1] / size[1]
    return np.array(
        [
            [[across, 0.0, left + across / 2 - 0.5], [0.0, down, top + down / 2 - 0.5]]
            for top in starts[0]
            for left in starts[1]
        ]
    )


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
        rows, columns: of a tile as the network sees it.
        cut: rows and columns of tiles of an image.
        overlap: what neighbouring tiles share, as a fraction of a tile's side; masks are blended there.
        least_breast: share of a tile that is breast at least, or the tile is left out, unless a finding reaches into
            it. Of an image nothing of which is left the tile with the most breast is scored.
        breast_level: share of white above which a pixel is breast; None for the breast that was found in preparation.
        samples: tiles of an epoch; None for all that are kept, once each.
        class_count: None, the task's own classes.
    """

    kind: ClassVar[str] = "image_tiles"
    class_count: ClassVar[None] = None
    rows: int = 512
    columns: int = 512
    cut: tuple[int, int] = (2, 2)
    overlap: float = 0.0
    least_breast: float = 0.01
    breast_level: float | None = None
    samples: int | None = None

    def __post_init__(self) -> None:
        if min(self.rows, self.columns, *self.cut, 1 if self.samples is None else self.samples) < 1:
            raise MammoError("recipe_wrong", "rows, columns, cut and samples of tiles are 1 or more")
        if not (0 <= self.overlap < 1 and 0 <= self.least_breast <= 1):
            raise MammoError("recipe_wrong", "overlap and least_breast of tiles are fractions from 0 to below 1")

    def size(self, prepared: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of what the network sees."""
        return self.rows, self.columns

    def small(self) -> Self:
        """Few small tiles."""
        return replace(self, rows=64, columns=64, samples=16)

    def plans(
        self, records: Records, cases: Mapping[str, Cases], augmentation: Augmentation, balanced: bool, seed: int
    ) -> tuple[Plan, Plan]:
        """See `PlanMaker`.

        Raises:
            MammoError: `no_findings` where no finding reaches into a tile of training.
        """
        training = list(self._tiles(records, cases[TRAIN], keep_one=False))
        validation = list(self._tiles(records, cases[VALIDATION], keep_one=True))
        if not any(tile.positive for tile in training):
            raise MammoError(
                "no_findings", f"no finding reaches into any of the {len(training)} tiles of training",
                "Fill the column findings of positive images",
            )  # fmt: skip
        size = self.rows, self.columns
        return ImageTiles(training, size, self.samples, augmentation, balanced, seed), ScoredTiles(validation, size)

    def scored(self) -> PlanMaker:
        """The same."""
        return self

    def scoring_plan(self, records: Records, cases: Cases) -> Plan:
        """The tiles of every image."""
        return ScoredTiles(list(self._tiles(records, cases, keep_one=True)), (self.rows, self.columns))

    def _tiles(self, records: Records, cases: Cases, keep_one: bool) -> Iterator[Tile]:
        size = self.rows, self.columns
        for position in track(cases.positions.tolist(), "tiles"):
            marks = records.marks(position)
            breast = breast_of(records, position, marks, self.breast_level)
            finding = np.any(marks.finding_masks, axis=0) if len(marks.finding_masks) else np.zeros_like(breast)
            found = []
            for number, matrix in enumerate(tile_matrices(frame_of(marks), self.cut, size, self.overlap)):
                share = float(affine(breast, matrix, fill=0, size=size).mean())
                positive = int(_reaches(finding, matrix, size))
                found.append(Tile(position, image_key(marks.row), number, matrix, positive, share))
            kept = [tile for tile in found if tile.positive or tile.breast >= self.least_breast]
            yield from kept or ([max(found, key=lambda tile: tile.breast)] if keep_one else [])


def _reaches(mask: NDArray[np.bool_], matrix: NDArray[np.float64], size: tuple[int, int]) -> bool:
    """Whether a pixel of a mask lies in a tile, however coarsely the tile is seen."""
    (across, _, left), (_, down, top) = matrix
    edges = [round(edge + 0.5) for edge in (top - down / 2, top + (size[0] - 0.5) * down)]
    sides = [round(edge + 0.5) for edge in (left - across / 2, left + (size[1] - 0.5) * across)]
    return bool(mask[max(edges[0], 0) : max(edges[1], 0), max(sides[0], 0) : max(sides[1], 0)].any())

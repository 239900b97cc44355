"""Patches of findings and of background: a plan that cuts pieces out of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.augmentation import Augmentation
from mammo_tf.data.plans import Draws, generator_of, plan_columns
from mammo_tf.errors import MammoError


class Lesion(NamedTuple):
    """A finding to cut patches from: box in prepared pixels (x0, y0, x1, y1), and its class number."""

    box: tuple[float, float, float, float]
    label: int


class Sheet(NamedTuple):
    """One picture to cut patches from.

    Attributes:
        position: its place in the records.
        lesions: its findings of a class.
        breast_points: points (x, y) `[n, 2]` in the breast; none where something may lie anywhere, so that no patch of
            the picture is background.
        others: boxes (x0, y0, x1, y1) of findings of no class, which are not background either.
    """

    position: int
    lesions: tuple[Lesion, ...]
    breast_points: NDArray[np.float64]
    others: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True)
class Patches:
    """Patches of findings and of background, drawn again each epoch.

    A lesion patch is centred on a finding, moved by up to `jitter` of the patch; a background patch is centred on a
    random point of the breast, such that its overlap with the box of any finding stays within `background_overlap`.
    Overlap is the area that both share, over the smaller of the two: what the published sampler limits, there by the
    finding's outline, to 0.35 (Shen et al. 2019, "Deep learning to improve breast cancer detection on screening
    mammography", `sample_patches`). Patches that would leave the picture are shifted
    inside before they are augmented.

    Attributes:
        sheets: the pictures.
        size: rows and columns of a patch, in prepared pixels.
        picture_size: rows and columns of the prepared pictures.
        lesion_patches: from each picture that has a finding.
        background_patches: from each picture.
        jitter: fraction of the patch.
        background_overlap: 0 for background that touches no finding, up to 1 for no limit.
        augmentation: the warp, about the centre of the patch.
        shuffle, seed: as for `WholeImages`.
    """

    cuts: ClassVar[bool] = True
    sheets: Sequence[Sheet]
    size: tuple[int, int]
    picture_size: tuple[int, int]
    lesion_patches: int = 6
    background_patches: int = 3
    jitter: float = 0.25
    augmentation: Augmentation = field(default_factory=Augmentation)
    shuffle: bool = True
    seed: int = 0
    background_overlap: float = 0.0

    def __post_init__(self) -> None:
        if self.size[0] > self.picture_size[0] or self.size[1] > self.picture_size[1]:
            raise MammoError(
                "patch_too_large",
                f"patches of {self.size[0]}x{self.size[1]} do not fit into {self.picture_size[0]}x"
                f"{self.picture_size[1]} pixels",
                "Make the patches smaller or prepare larger pictures",
            )

    @property
    def columns(self) -> dict[str, type[np.generic]]:
        """Name and dtype of each of the columns of `Draws`."""
        return plan_columns(self.augmentation)

    def __len__(self) -> int:
        findings = sum(bool(sheet.lesions) for sheet in self.sheets)
        backgrounds = sum(len(self._clear_points(sheet)) > 0 for sheet in self.sheets)
        return findings * self.lesion_patches + backgrounds * self.background_patches

    @property
    def has_background(self) -> bool:
        """Whether any picture has room for a patch of background."""
        return any(len(self._clear_points(sheet)) for sheet in self.sheets)

    def epoch(self, number: int, stage: int = 0) -> Draws:
        """Draws of one epoch; see `Plan`."""
        generator = generator_of(self.seed, number, stage)
        positions, matrices, labels = [], [], []
        for sheet in self.sheets:
            for centre, label in self._centres(sheet, generator):
                positions.append(sheet.position)
                labels.append(label)
                matrices.append(self._matrix(centre, generator))
        order = generator.permutation(len(positions)) if self.shuffle else np.arange(len(positions))
        columns = {"label": np.array(labels, np.int64)[order]} | self.augmentation.draw(generator, len(order))
        return Draws(np.array(positions, np.int64)[order], np.reshape(matrices, (-1, 2, 3))[order], columns)

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
        """Points of the breast whose patch, shifted inside the picture, shares no more than allowed with a finding."""
        boxes = np.reshape([*(lesion.box for lesion in sheet.lesions), *sheet.others], (-1, 4))
        extent = np.array(self.size[::-1], np.float64)
        corners = self._corner(np.reshape(sheet.breast_points, (-1, 2)))[:, None]
        shared = np.minimum(boxes[:, 2:], corners + extent) - np.maximum(boxes[:, :2], corners)
        areas = np.minimum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), extent.prod())
        overlaps = np.clip(shared, 0, None).prod(axis=2) / areas
        return sheet.breast_points[(overlaps <= self.background_overlap).all(axis=1)]

    def _corner(self, centre: NDArray[np.float64]) -> NDArray[np.float64]:
        """Top left (x, y) of the patch about a centre `[..., 2]`, shifted inside the picture."""
        extent = np.array(self.size[::-1], np.float64)
        room = np.array(self.picture_size[::-1], np.float64) - extent
        return np.clip(np.rint(centre - extent / 2), 0, room)

    def _matrix(self, centre: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
        matrix = self.augmentation.matrix(generator, self.size)
        matrix[:, 2] += self._corner(centre)
        return matrix

"""What a recipe says of its plans: frozen descriptions told apart by `kind`, each of which makes the plans of a phase.

A method that samples in its own way writes its description in a file of its own and registers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.augmentation import NO_AUGMENTATION, Augmentation
from mammo_tf.data.image_patches import ImagePatches, PatchSource, ScoredPatches
from mammo_tf.data.patch_sources import PatchGeometry, patch_sources
from mammo_tf.data.patches import Patches
from mammo_tf.data.plans import Plan, WholeImages
from mammo_tf.data.sheets import patch_sheets
from mammo_tf.errors import MammoError
from mammo_tf.fields import Kinds
from mammo_tf.records import Records
from mammo_tf.records.example import any_finding
from mammo_tf.study import Finding

TRAIN, VALIDATION = "train", "validation"
SAMPLINGS = Kinds()


class Cases(NamedTuple):
    """Labelled pictures of one split.

    Attributes:
        positions: places in the records, int64 `[n]`.
        labels: class numbers, int64 `[n]`.
        wanted: whether a finding is one that the task looks for.
    """

    positions: NDArray[np.int64]
    labels: NDArray[np.int64]
    wanted: Callable[[Finding], bool] = any_finding


class PlanMaker(Protocol):
    """What every description can do.

    Attributes:
        kind: tells it from others in JSON.
        class_count: number of classes of its labels; None where the task's own are taken.
    """

    kind: ClassVar[str]

    @property
    def class_count(self) -> int | None: ...

    def size(self, prepared: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of what the network sees, where prepared pictures have `prepared`."""

    def small(self) -> Self:
        """The same for a smoke run."""

    def plans(
        self, records: Records, cases: Mapping[str, Cases], augmentation: Augmentation, balanced: bool, seed: int
    ) -> tuple[Plan, Plan]:
        """Plans of training and validation.

        Args:
            records: prepared images.
            cases: of the splits `train` and `validation`.
            augmentation: of training.
            balanced: draw classes with equal probability.
            seed: with stage and epoch it decides order and augmentation.
        """

    def scored(self) -> PlanMaker:
        """The description by which a network is measured that was trained by this one last."""

    def blind(self) -> PlanMaker:
        """The description that looks at no finding, as for pictures of which nothing is known; asked of what `scored`
        gives."""

    def scoring_plan(self, records: Records, cases: Cases) -> Plan:
        """What is scored of the pictures of a split, in order; asked of what `scored` gives."""


Sampling = Annotated[PlanMaker, SAMPLINGS]
MOST_PIXELS, MOST_CLASSES, MOST_PATCHES = 65_536, 10_000, 10_000
MOST_SAMPLES = 10_000_000  # of an epoch


def _check_samples(samples: int | None, draws: int = 1) -> None:
    if (samples or 1) > MOST_SAMPLES or draws > MOST_PATCHES:
        sentence = f"an epoch has at most {MOST_SAMPLES} samples, and an image {MOST_PATCHES} draws"
        raise MammoError("recipe_wrong", sentence)


@SAMPLINGS.register
@dataclass(frozen=True)
class WholeImageSampling:
    """Every labelled picture once an epoch, whole."""

    kind: ClassVar[str] = "whole_images"

    @property
    def class_count(self) -> int | None:
        """None: the task's own classes."""
        return None

    def size(self, prepared: tuple[int, int]) -> tuple[int, int]:
        """That of the prepared pictures."""
        return prepared

    def small(self) -> Self:
        """The same."""
        return self

    def plans(
        self, records: Records, cases: Mapping[str, Cases], augmentation: Augmentation, balanced: bool, seed: int
    ) -> tuple[Plan, Plan]:
        """See `PlanMaker`."""
        train, validation = cases[TRAIN], cases[VALIDATION]
        return (
            WholeImages(*train[:2], records.size, augmentation, shuffle=True, balanced=balanced, seed=seed),
            WholeImages(*validation[:2], records.size, seed=seed),
        )

    def scored(self) -> PlanMaker:
        """The same."""
        return self

    def blind(self) -> PlanMaker:
        """The same."""
        return self

    def scoring_plan(self, records: Records, cases: Cases) -> Plan:
        """Every picture, whole."""
        return WholeImages(*cases[:2], records.size)


@SAMPLINGS.register
@dataclass(frozen=True)
class PatchSampling:
    """Patches of findings and of background, see `data.Patches`.

    Attributes:
        classes: class number of a finding's label, or of `kind/label`; background is 0.
        rows, columns: of a patch, in prepared pixels.
        lesion_patches, background_patches, jitter, background_overlap: see `data.Patches`.
    """

    kind: ClassVar[str] = "patches"
    classes: dict[str, int] = field(default_factory=lambda: {"benign": 1, "high_risk": 2, "malignant": 2})
    rows: int = 224
    columns: int = 224
    lesion_patches: int = 6
    background_patches: int = 3
    jitter: float = 0.25
    background_overlap: float = 0.0

    def __post_init__(self) -> None:
        if not self.classes or min(self.classes.values()) < 1:
            raise MammoError("recipe_wrong", "classes of patches are numbered from 1 on; background is 0")
        if max(self.classes.values()) > MOST_CLASSES:
            raise MammoError("recipe_wrong", f"classes of patches are numbered up to {MOST_CLASSES}")
        if not (min(self.rows, self.columns) >= 1 and max(self.rows, self.columns) <= MOST_PIXELS):
            size = f"{self.rows}x{self.columns}"
            raise MammoError("recipe_wrong", f"patches have 1 pixel or more each way, up to {MOST_PIXELS}, not {size}")
        counts = (self.lesion_patches, self.background_patches)
        if not (min(counts) >= 0 and max(counts) <= MOST_PATCHES):
            raise MammoError(
                "recipe_wrong", f"lesion_patches and background_patches are 0 or more, up to {MOST_PATCHES}"
            )
        if not 0 <= self.jitter <= 1000:
            raise MammoError("recipe_wrong", f"jitter of patches is 0 or more, up to 1000, not {self.jitter:g}")
        if not 0 <= self.background_overlap <= 1:
            value = f"{self.background_overlap:g}"
            raise MammoError("recipe_wrong", f"background_overlap of patches lies between 0 and 1, not at {value}")

    @property
    def class_count(self) -> int:
        """Number of classes, background included."""
        return max(self.classes.values()) + 1

    def size(self, prepared: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of what the network sees."""
        return self.rows, self.columns

    def small(self) -> Self:
        """Few small patches."""
        return replace(self, rows=32, columns=32, lesion_patches=1, background_patches=1)

    def plans(
        self, records: Records, cases: Mapping[str, Cases], augmentation: Augmentation, balanced: bool, seed: int
    ) -> tuple[Plan, Plan]:
        """See `PlanMaker`.

        Raises:
            MammoError: `no_background` where no picture of a split has room for it; those of `patch_sheets`.

        Patches are balanced by how many are cut from a picture, so `balanced` changes nothing.
        """

        def plan(split: str, augmentation: Augmentation, shuffle: bool) -> Patches:
            sheets = patch_sheets(records, cases[split].positions, self.classes, seed)
            made = Patches(
                sheets, (self.rows, self.columns), records.size, self.lesion_patches, self.background_patches,
                self.jitter, augmentation, shuffle, seed, self.background_overlap,
            )  # fmt: skip
            if self.background_patches and not made.has_background:
                raise MammoError(
                    "no_background",
                    f"no picture of split {split} has room for background of {self.rows}x{self.columns} pixels",
                    "List normal pictures too, make patches smaller, or let them share more with findings "
                    "(background_overlap)",
                )
            return made

        return plan(TRAIN, augmentation, True), plan(VALIDATION, NO_AUGMENTATION, False)

    def scored(self) -> PlanMaker:
        """Whole pictures: a patch classifier of several classes is measured as the network that grows out of it."""
        return WholeImageSampling()

    def blind(self) -> PlanMaker:
        """That of what is scored."""
        return self.scored().blind()

    def scoring_plan(self, records: Records, cases: Cases) -> Plan:
        """Every picture, whole."""
        return self.scored().scoring_plan(records, cases)


@SAMPLINGS.register
@dataclass(frozen=True)
class ImagePatchSampling:
    """One patch of an image at a time, of the image's own class: on its finding, else anywhere in the breast.

    The patch model of the paper from mammograms to tomosynthesis is trained and measured so: patches of 1024 pixels
    seen at 512, an epoch of 40,000 samples, three draws of each test image.

    Attributes:
        rows, columns: of what the network sees.
        pixels: side of a patch in pixels of the stored image; or
        mm: its side in mm, by each image's spacing.
        samples: patches of an epoch; None for as many as there are images.
        draws: patches of each image that is scored; told apart by `patch_seed` in predictions.
        breast_level: share of white above which a pixel is breast; None for the breast that was found in preparation.
        leave_out: leave positive images without a placed finding out of training; else they are refused.
        anywhere: findings are not looked at: every patch lies anywhere in the breast, as in pictures of which nothing
            is known.
    """

    kind: ClassVar[str] = "image_patches"
    rows: int = 512
    columns: int = 512
    pixels: int | None = 1024
    mm: float | None = None
    samples: int | None = None
    draws: int = 1
    breast_level: float | None = None
    leave_out: bool = False
    anywhere: bool = False

    def __post_init__(self) -> None:
        if (self.pixels is None) == (self.mm is None):
            raise MammoError("recipe_wrong", "a patch has one size, plan.pixels or plan.mm; set the other to null")
        numbers = (self.rows, self.columns, self.draws, self.pixels, self.mm, self.samples)
        if min(number for number in numbers if number is not None) <= 0:
            raise MammoError("recipe_wrong", "sizes, samples and draws of patches are above 0")
        _check_samples(self.samples, self.draws)
        if self.breast_level is not None and not 0 <= self.breast_level < 1:
            raise MammoError("recipe_wrong", f"plan.breast_level is {self.breast_level:g}, not from 0 to below 1")

    @property
    def class_count(self) -> int | None:
        """None: the task's own classes."""
        return None

    def size(self, prepared: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of what the network sees."""
        return self.rows, self.columns

    def small(self) -> Self:
        """Few small patches."""
        return replace(self, rows=32, columns=32, pixels=32, mm=None, samples=16, draws=1, leave_out=True)

    def plans(
        self, records: Records, cases: Mapping[str, Cases], augmentation: Augmentation, balanced: bool, seed: int
    ) -> tuple[Plan, Plan]:
        """See `PlanMaker`; errors as `patch_sources`, and `class_missing` where nothing of a class is left to train on.

        Validation takes the first draw of each image.
        """
        train, validation = (self._sources(records, cases[split]) for split in (TRAIN, VALIDATION))
        for split, sources in ((TRAIN, train), (VALIDATION, validation)):
            if len({source.label for source in sources}) < 2:
                raise MammoError(
                    "class_missing", f"split {split} has patches of one class alone", "Look at labels and findings"
                )
        return (
            ImagePatches(train, (self.rows, self.columns), self.samples, augmentation, balanced, seed),
            ScoredPatches(validation, (self.rows, self.columns)),
        )

    def scored(self) -> PlanMaker:
        """The same."""
        return self

    def blind(self) -> PlanMaker:
        """Patches that lie anywhere."""
        return replace(self, anywhere=True)

    def scoring_plan(self, records: Records, cases: Cases) -> Plan:
        """`draws` patches of every image."""
        return ScoredPatches(self._sources(records, cases), (self.rows, self.columns), self.draws)

    def _sources(self, records: Records, cases: Cases) -> list[PatchSource]:
        geometry = PatchGeometry(self.pixels, self.mm, self.breast_level, self.leave_out, self.anywhere)
        return patch_sources(records, cases.positions, cases.labels, geometry, cases.wanted)

"""Other looks of the pictures of one source, as domains of their own: Bezier curves and grey inversion.

The same looks serve as plain augmentation (`SourceLooks`, a change of grey values) and as branches of a network that
keeps normalisation apart for each domain (`DomainSampling`, around any other description of how an epoch samples).
Sources: Wang et al., *MLN-net: A multi-source medical image segmentation method for clustered microcalcifications using
multiple layer normalization*, section 3.1; Zhou et al., *Generalizable Cross-modality Medical Image Segmentation via
Style Augmentation and Dual Normalization*; `tests/golden/bezier`, `tests/golden/baselines`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.augmentation import Augmentation
from mammo_tf.data.intensity_changes import CHANGES
from mammo_tf.data.plans import Draws, Plan
from mammo_tf.data.sampling import SAMPLINGS, Cases, PlanMaker, Sampling, WholeImageSampling
from mammo_tf.errors import MammoError
from mammo_tf.imaging.bezier import lut, mean_choice, symmetric_points
from mammo_tf.imaging.levels import WHITE
from mammo_tf.records import Records

BRANCH = "branch"
DOMAINS = 1 << 41  # among the first numbers of a seed; no epoch is so high
DECIMALS = 3  # of a drawn curve: so many tables are kept at hand, not one for every picture


@dataclass(frozen=True)
class Look:
    """One way in which a picture may look: along a curve, then inverted or not.

    Attributes:
        curve: a of the control points (a, 1 - a) and (1 - a, a), drawn uniformly between two numbers; 0.5 leaves grey
            values as they are, below it dark ones become brighter, above it darker.
        mirrored: with probability one half 1 - a takes the place of a.
        inverted: f becomes T - f, T the maximum of the picture.
        keep_black: what is black stays black when it is inverted.
    """

    curve: tuple[float, float] = (0.5, 0.5)
    mirrored: bool = False
    inverted: bool = False
    keep_black: bool = False

    def __post_init__(self) -> None:
        low, high = self.curve
        if not 0 <= low <= high <= 1:
            raise MammoError("augmentation_wrong", f"the curve of a look runs from {low:g} to {high:g}, not in 0 to 1")


ORIGINAL, INVERTED = Look(), Look(inverted=True)


def curves(*a: float) -> tuple[Look, ...]:
    """Pairs of looks along the curves of each a and of 1 - a."""
    return tuple(Look((value, value)) for one in a for value in (one, round(1.0 - one, 12)))


PAPER_BRANCHES = ((ORIGINAL,), curves(0.3), (INVERTED,))  # the source, similar to it, dissimilar to it


def falling(looks: tuple[Look, ...]) -> tuple[Look, ...]:
    """Each look inverted, its black background kept: along the same curve read backwards."""
    return tuple(replace(look, inverted=True, keep_black=True) for look in looks)


RISING = (ORIGINAL, *curves(0.3))
DUAL_BRANCHES = (RISING, falling(RISING))  # of dual normalisation: similar to the source, and dissimilar
DUAL_PAIR = ((ORIGINAL,), falling((ORIGINAL,)))  # the same as its public code has it


def mean_pairs(count: int) -> tuple[tuple[Look, ...], ...]:
    """The paper's branches with `count` pairs of curves, a_n = 0.5 n / count (Figure 8, *Mean*)."""
    return (ORIGINAL,), curves(*mean_choice(count)), (INVERTED,)


def random_pairs(count: int) -> tuple[tuple[Look, ...], ...]:
    """The paper's branches with `count` pairs of curves whose a is drawn for every picture (Figure 8, *Random*).

    The range 0 to 0.5 is cut into `count` equal parts, one a pair.
    """
    edges = np.linspace(0.0, 0.5, count + 1)
    looks = tuple(Look((float(low), float(high)), mirrored=True) for low, high in zip(edges, edges[1:], strict=False))
    if not looks:
        raise MammoError("augmentation_wrong", f"{count} pairs of curves were asked for", "Ask for 1 or more")
    return (ORIGINAL,), looks, (INVERTED,)


@CHANGES.register
@dataclass(frozen=True)
class SourceLooks:
    """Each picture in one of several looks, drawn with equal probability: domains as plain augmentation.

    Attributes:
        looks: to draw from.
    """

    kind: ClassVar[str] = "source_looks"
    needs_maximum: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("curve", "inverted")  # `inverted` is 2 where black stays black
    looks: tuple[Look, ...] = tuple(look for branch in PAPER_BRANCHES for look in branch)

    def __post_init__(self) -> None:
        if not self.looks:
            raise MammoError("augmentation_wrong", "source_looks has no look to draw from")

    def draw(self, generator: np.random.Generator, count: int) -> dict[str, NDArray[np.float64]]:
        """Columns of `count` draws, float64 `[count]` each: `curve`, a to three decimals, and `inverted`, 0 to 2."""
        chosen = generator.integers(0, len(self.looks), count)
        shares, coins = generator.uniform(size=count), generator.uniform(size=count) < 0.5
        low, high = np.array([look.curve for look in self.looks])[chosen].T
        a = low + shares * (high - low)
        turned = np.array([look.mirrored for look in self.looks])[chosen] & coins
        kinds = np.array([look.inverted * (1 + look.keep_black) for look in self.looks], np.float64)
        return {"curve": np.round(np.where(turned, 1 - a, a), DECIMALS), "inverted": kinds[chosen]}

    def apply(self, picture: NDArray[np.uint16], maximum: int | None = None, **drawn: float) -> NDArray[np.uint16]:
        """A picture along the curve `drawn["curve"]`, then inverted if `drawn["inverted"]` is not 0.

        Args:
            picture: uint16 `[rows, columns]`, a whole picture or a piece of one.
            maximum: of the whole picture before the curve, so that all its pieces are inverted alike; a piece that is
                inverted about its own brightest pixel tells by its grey whether it holds a bright speck. What is
                brighter becomes black. None where the picture is whole.
            drawn: `curve` and `inverted`.
        """
        table = None if drawn["curve"] == 0.5 else _table(float(drawn["curve"]))
        looked = picture if table is None else table[picture]
        if not drawn["inverted"]:
            return looked
        top = np.uint16(picture.max() if maximum is None else maximum)
        top = top if table is None else table[top]
        turned = top - np.minimum(looked, top)
        return np.where(looked == 0, looked, turned) if drawn["inverted"] == 2 else turned


@lru_cache(maxsize=64)
def _table(a: float) -> NDArray[np.uint16]:
    return np.rint(lut(symmetric_points(a), WHITE + 1) * WHITE).astype(np.uint16)


@dataclass(frozen=True)
class DomainPlan:
    """Every draw of another plan once for each branch, one behind the other, in a look of that branch.

    Attributes:
        plan: what is seen; its own changes of grey values come first.
        branches: looks of each; `branch` counts them from 0.
        seed: with stage and epoch it decides the looks.
        run: pictures of one branch in a row: 1 mixes the branches within a batch; the size of a batch gives batches of
            one branch each, in turn, an optimiser's step each, as dual normalisation is trained.
    """

    plan: Plan
    branches: tuple[tuple[Look, ...], ...]
    seed: int = 0
    run: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of what the network sees."""
        return self.plan.size

    @property
    def cuts(self) -> bool:
        """See `Plan`."""
        return self.plan.cuts

    @property
    def augmentation(self) -> Augmentation:
        """That of the plan, with the looks behind."""
        return replace(self.plan.augmentation, intensity=(*self.plan.augmentation.intensity, SourceLooks()))

    @property
    def columns(self) -> dict[str, type[np.generic]]:
        """Name and dtype of each of the columns of `Draws`."""
        return {**self.plan.columns, **dict.fromkeys(SourceLooks.columns, np.float64), BRANCH: np.int64}

    def __len__(self) -> int:
        return len(self.plan) * len(self.branches)

    def epoch(self, number: int, stage: int = 0) -> Draws:
        """Draws of one epoch; see `Plan`."""
        draws, count = self.plan.epoch(number, stage), len(self.plan)
        generator = np.random.default_rng((self.seed, DOMAINS, number, stage))
        looks = [SourceLooks(looks).draw(generator, count) for looks in self.branches]
        runs = [np.arange(start, min(start + self.run, count)) for start in range(0, count, self.run)]
        pairs = [(np.full(len(places), branch), places) for places in runs for branch in range(len(looks))]
        branch, place = (np.concatenate(parts).astype(np.int64) for parts in zip(*pairs, strict=True))
        drawn = {name: np.stack([one[name] for one in looks])[branch, place] for name in SourceLooks.columns}
        columns = {name: values[place] for name, values in draws.columns.items()}
        return Draws(draws.positions[place], draws.matrices[place], {**columns, **drawn, BRANCH: branch})


@SAMPLINGS.register
@dataclass(frozen=True)
class DomainSampling:
    """Pictures as another description samples them, each in a look of every branch.

    Training and validation see the branches alike, so that the loss is the same sum in both. A network is measured on
    the pictures as they are.

    Attributes:
        plan: how an epoch samples; a batch counts its pictures in every branch.
        branches: looks of each.
        run: see `DomainPlan`.
    """

    kind: ClassVar[str] = "domains"
    plan: Sampling = field(default_factory=WholeImageSampling)
    branches: tuple[tuple[Look, ...], ...] = PAPER_BRANCHES
    run: int = 1

    def __post_init__(self) -> None:
        if not self.branches or not all(self.branches):
            raise MammoError("recipe_wrong", "plan.branches has a branch, and every branch has a look")
        if self.run < 1:
            raise MammoError("recipe_wrong", f"plan.run is {self.run}, and it is 1 or more")

    @property
    def class_count(self) -> int | None:
        """That of the plan."""
        return self.plan.class_count

    def size(self, prepared: tuple[int, int]) -> tuple[int, int]:
        """That of the plan."""
        return self.plan.size(prepared)

    def small(self) -> Self:
        """The same around a small plan."""
        return replace(self, plan=self.plan.small(), run=min(self.run, 2))

    def plans(
        self, records: Records, cases: Mapping[str, Cases], augmentation: Augmentation, balanced: bool, seed: int
    ) -> tuple[Plan, Plan]:
        """See `PlanMaker`."""
        training, validation = self.plan.plans(records, cases, augmentation, balanced, seed)
        return DomainPlan(training, self.branches, seed, self.run), DomainPlan(validation, self.branches, seed)

    def scored(self) -> PlanMaker:
        """That of the plan: pictures as they are."""
        return self.plan.scored()

    def blind(self) -> PlanMaker:
        """That of the plan."""
        return self.plan.blind()

    def scoring_plan(self, records: Records, cases: Cases) -> Plan:
        """That of the plan."""
        return self.plan.scoring_plan(records, cases)

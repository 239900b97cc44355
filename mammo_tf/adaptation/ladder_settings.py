"""How the rungs that train do so, and how the ladder chooses: all that a user may set."""

from __future__ import annotations

from dataclasses import dataclass, field

from mammo_tf.adaptation.ladder_choice import NOT_BELOW, RULES
from mammo_tf.data import Augmentation
from mammo_tf.errors import MammoError
from mammo_tf.recipes.recipe import Training
from mammo_tf.training import Stage

TABLE_7 = Augmentation(rotation=10, shift=0.05, zoom=0.1, horizontal_flip=True)


def _first() -> Stage:
    return Stage("first", ("output",), rate=2e-4, epochs=50, weight_decay=1e-4, dropout=0.2)


def _second() -> Stage:
    return Stage("second", ("all",), rate=2e-5, epochs=30, weight_decay=1.5e-3, dropout=0.5)


@dataclass(frozen=True)
class LadderSettings:
    """What may be set.

    Attributes:
        training: batch, augmentation, precision and seed of every rung that trains.
        first: stage that trains part of a network; each rung names the part itself.
        second: stage that trains everything, in staged unfreezing behind the first and in the rung `everything` and
            SpotTune alone. Rates and epochs as in Table 6 of the thesis, but that its second rate of 2e-7 moves nothing
            in 30 epochs of a small site: 2e-5.
        samples: patches or tiles of an epoch, for models that look at these.
        draws: patches by which each image is scored.
        rule: which rungs hold against the best: those that are "not_below" it, or "not_inferior" to it, see
            `ladder_choice.choose`; the second wants a margin and more patients.
        margin: how far a rung may be below the best and still be chosen, in units of the measure.
        tolerance: how far sensitivity and specificity may be from the intended point.
        least_positives: labelled positive cases of validation below which the choice is cross-validated.
        folds: of that cross-validation, over patients.
        patients: unlabelled patients that statistics are taken from, at most.
        replicates: of the bootstrap.

    Raises:
        MammoError: `ladder_wrong`.
    """

    training: Training = field(default_factory=lambda: Training(batch_size=16, augmentation=TABLE_7))
    first: Stage = field(default_factory=_first)
    second: Stage = field(default_factory=_second)
    samples: int = 4000
    draws: int = 3
    rule: str = NOT_BELOW
    margin: float = 0.0
    tolerance: float = 0.05
    least_positives: int = 60
    folds: int = 5
    patients: int = 200
    replicates: int = 2000

    def __post_init__(self) -> None:
        rules = (
            (self.rule in RULES, f"rule is one of {', '.join(RULES)}, not {self.rule!r}"),
            (self.margin >= 0, f"margin is 0 or more, not {self.margin:g}"),
            (0 < self.tolerance < 1, f"tolerance lies between 0 and 1, not at {self.tolerance:g}"),
            (self.least_positives >= 0, f"least_positives is 0 or more, not {self.least_positives}"),
            (self.folds >= 3, f"folds is 3 or more (one is left out, one stops the training), not {self.folds}"),
            (min(self.samples, self.draws, self.patients, self.replicates) >= 1, "a count is 1 or more"),
        )
        for right, rule in rules:
            if not right:
                raise MammoError("ladder_wrong", rule, "Fix the setting")

"""Learning rates that follow the steps of a stage, whatever validation says."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import keras
from keras import ops

from mammo_tf.errors import MammoError

HEIGHTS = ("triangular", "triangular2", "exponential")
COUNTS = ("cycles", "steps")


@dataclass(frozen=True)
class CyclicRate:
    """The rate rises from the stage's `rate` in a line, falls back in a line, and begins again.

    Source: Smith, *Cyclical Learning Rates for Training Neural Networks*, WACV 2017; answers of tensorflow-addons,
    which had a class for each height, in `tests/golden/addons`.

    Attributes:
        highest: rate at the top of the first cycle; of later ones, see `height`.
        half_cycle: steps from the lowest rate to the highest.
        height: what becomes of the height of the cycles: "triangular", it stays; "triangular2", each is half as high as
            the one before; "exponential", it is multiplied by `factor` to the power of what is counted.
        factor: of "exponential".
        counted: "cycles" (from 1), or "steps" (from 0), by which the height falls within a cycle, too.
    """

    kind: ClassVar[str] = "cyclic"
    highest: float
    half_cycle: float
    height: str = "triangular"
    factor: float = 1.0
    counted: str = "cycles"

    def __post_init__(self) -> None:
        rules = (
            (0 < self.highest < math.inf, "highest is above 0"),
            (0 < self.half_cycle < math.inf, "half_cycle is above 0"),
            (self.height in HEIGHTS, f"height is one of {', '.join(HEIGHTS)}"),
            (0 < self.factor <= 1, "factor lies above 0, to 1"),
            (self.counted in COUNTS, f"counted is one of {', '.join(COUNTS)}"),
        )
        for right, rule in rules:
            if not right:
                raise MammoError("stage_wrong", f"schedule: {rule}, got {self}")

    def of(self, lowest: float) -> keras.optimizers.schedules.LearningRateSchedule:
        """The schedule for Keras, from the lowest rate on."""
        return Cyclic(lowest, **asdict(self))


@keras.saving.register_keras_serializable("mammo_tf")
class Cyclic(keras.optimizers.schedules.LearningRateSchedule):
    """`CyclicRate` as Keras wants it: from the number of steps done to the rate of the next."""

    def __init__(self, lowest: float, **settings: Any) -> None:
        self.lowest, self.rate = lowest, CyclicRate(**settings)

    def __call__(self, step: Any) -> Any:
        rate, step = self.rate, ops.cast(step, "float32")
        cycle = ops.floor(1.0 + step / (2.0 * rate.half_cycle))
        share = ops.maximum(0.0, 1.0 - ops.abs(step / rate.half_cycle - 2.0 * cycle + 1.0))
        number = cycle if rate.counted == "cycles" else step
        base, power = {
            "triangular": (1.0, 0.0),
            "triangular2": (0.5, number - 1.0),
            "exponential": (rate.factor, number),
        }[rate.height]
        return self.lowest + (rate.highest - self.lowest) * share * ops.power(base, power)

    def get_config(self) -> dict[str, Any]:
        return {"lowest": self.lowest, **asdict(self.rate)}

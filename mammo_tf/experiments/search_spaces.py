"""Search spaces that recipes share: Tables 6 and 7 of the thesis around their values, and the ladder's rungs."""

from __future__ import annotations

from mammo_tf.adaptation.ladder_settings import LadderSettings
from mammo_tf.adaptation.rungs import FITTED
from mammo_tf.recipes.search import Number, OneOf, Space, When
from mammo_tf.recipes.search.space import Dimension

RUNG = "phases.0.stages"  # of a recipe: what is trained, in which order
TABLE_7: dict[str, Dimension] = {
    "training.augmentation.rotation": Number(0.0, 20.0),
    "training.augmentation.shift": Number(0.0, 0.1),
    "training.augmentation.zoom": Number(0.0, 0.2),
    "training.augmentation.horizontal_flip": OneOf((True, False)),
}


def fine_tuning() -> Space:
    """Two stages: parts, rates, decays and dropout of Table 6 and the augmentation of Table 7, around their values."""
    parts = (("output",), ("block_2", "output"), ("block_1", "block_2", "output"))
    return Space(
        {
            "stages.stage_1.trainable": OneOf(parts, ("output", "configuration 1", "configuration 2")),
            "stages.stage_1.rate": Number(2e-5, 2e-3, log=True),
            "stages.stage_1.weight_decay": Number(1e-5, 1e-2, log=True),
            "stages.stage_1.dropout": Number(0.0, 0.6),
            "stages.stage_2.rate": Number(2e-7, 2e-4, log=True),
            "stages.stage_2.weight_decay": Number(1e-5, 1e-2, log=True),
            "stages.stage_2.dropout": Number(0.0, 0.6),
            **TABLE_7,
        }
    )


def rungs(settings: LadderSettings | None = None) -> Space:
    """Which part of a network is fitted: the ladder's rungs that keep it as it is, each at rates of its own.

    SpotTune makes another network of it and has a recipe of its own.

    Args:
        settings: of the rungs' stages; None takes the ladder's own.
    """
    own = settings or LadderSettings()
    stages = {rung.name: rung.stages(own) for rung in FITTED if not rung.spottune}
    having = {
        stage: tuple(name for name, listed in stages.items() if stage in {one.name for one in listed})
        for stage in ("first", "second")
    }
    return Space(
        {
            RUNG: OneOf(tuple(stages.values()), tuple(stages)),
            "stages.first.rate": Number(2e-5, 2e-3, log=True, when=When(RUNG, having["first"])),
            "stages.second.rate": Number(2e-7, 2e-4, log=True, when=When(RUNG, having["second"])),
            **TABLE_7,
        }
    )

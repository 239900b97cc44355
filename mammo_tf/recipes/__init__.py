"""The description of an experiment, and the runner that strings the rooms together."""

from mammo_tf.recipes.recipe import (
    Evaluation,
    Network,
    PatchTraining,
    Preparation,
    Recipe,
    Training,
    load_recipe,
    smoke,
)
from mammo_tf.recipes.runner import RunResult, run

__all__ = [
    "Evaluation",
    "Network",
    "PatchTraining",
    "Preparation",
    "Recipe",
    "RunResult",
    "Training",
    "load_recipe",
    "run",
    "smoke",
]

"""The description of an experiment, and the runner that strings the rooms together."""

from mammo_tf.recipes.recipe import (
    Evaluation,
    Phase,
    Preparation,
    Recipe,
    Training,
    load_recipe,
)
from mammo_tf.recipes.runner import RunResult, Trained, measure, run, train
from mammo_tf.recipes.smoke_recipe import smoke

__all__ = [
    "Evaluation",
    "Phase",
    "Preparation",
    "Recipe",
    "RunResult",
    "Trained",
    "Training",
    "load_recipe",
    "measure",
    "run",
    "smoke",
    "train",
]

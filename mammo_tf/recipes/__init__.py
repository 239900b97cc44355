"""The description of an experiment, and the runner that strings the rooms together.

Names are looked up when they are asked for, so that modules here that need no TensorFlow (`evaluating`,
`predict_picture`, `radiomic_features`, `patient_model`) can be imported without loading it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
MODULES = {"RunResult": "runner", "run": "runner"}  # the others: recipe


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES.get(name, 'recipe')}"), name)

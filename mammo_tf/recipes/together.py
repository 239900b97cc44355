"""What several machines agree on before they train a recipe together."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from mammo_tf import __version__
from mammo_tf.errors import MammoError
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.records import Records
from mammo_tf.training import make_strategy
from mammo_tf.training.cluster import check_same, over_machines


def check_together(recipe: Recipe, data: str | Path | Records, asked: dict[str, str]) -> None:
    """Refuses what several machines cannot train together, or would not train alike; of one machine nothing.

    Raises:
        MammoError: `records_wanted`, `balance_unsafe`, `worker_differs`.
    """
    strategy = make_strategy()
    if not over_machines(strategy):
        return
    check_records(data, "Several machines train on records")
    if recipe.training.class_balance == "batch_weights":
        sentence = "batch_weights on several machines would weigh each machine's part of a batch by itself"
        raise MammoError("balance_unsafe", sentence, "Take balanced_sampling, or one machine")
    devices = str(len(strategy.extended.worker_devices))
    check_same(strategy, {"number of devices": devices, **agreed(recipe, asked)})


def check_records(data: str | Path | Records, why: str) -> None:
    """Refuses data that are not records.

    Raises:
        MammoError: `records_wanted`.
    """
    if not isinstance(data, Records) and not (Path(data) / "index.json").is_file():
        raise MammoError("records_wanted", f"{data} is not records", f"{why}: prepare first")


def agreed(recipe: Recipe, asked: dict[str, str]) -> dict[str, str]:
    """What decides the batches of a training, and is the same wherever a part of it runs.

    Args:
        recipe: what is run.
        asked: digests, as `runner.begun_with` has them.
    """
    digests = {f"digest of {name}": value for name, value in asked.items()}
    return {"version of mammo_tf": __version__, "recipe": recipe_digest(recipe), **digests}


def recipe_digest(recipe: Recipe) -> str:
    """What tells a recipe from another one: SHA-256 of its JSON."""
    return sha256(json.dumps(recipe.to_json(), sort_keys=True).encode()).hexdigest()

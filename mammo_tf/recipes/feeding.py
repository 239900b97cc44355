"""A recipe's batches, made here for a training that runs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mammo_tf.data.feeding import Feeder
from mammo_tf.data.shares import Share
from mammo_tf.errors import MammoError
from mammo_tf.recipes.inputs import network_input, open_data
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.start import check_channels
from mammo_tf.recipes.together import agreed, check_records
from mammo_tf.recipes.trainer import material_of
from mammo_tf.training import ModelFile
from mammo_tf.training.devices import check_shared

FED = "Feeders make batches of records"
Say = Callable[[str], None]


def feed(
    recipe: Recipe,
    data: str | Path,
    origin: ModelFile | None,
    asked: dict[str, str],
    addresses: Sequence[str],
    number: int,
    machines: int = 1,
    devices: int = 1,
    say: Say = lambda line: None,
) -> Feeder:
    """Makes the batches of a recipe for whoever trains it; they are made as they are asked for.

    Args:
        recipe: what is trained there.
        data: a folder of records, the same as there.
        origin, asked: as `runner.begun_with` gives them.
        addresses, number: as of `data.feeding.Feeder`.
        machines: that train together.
        devices: of each of several machines; a single one shares its batches out itself.
        say: is told in a line what happens.

    Raises:
        MammoError: `records_wanted`, `nothing_to_train`, those of `check_shared`, `Feeder`, and the rooms on the way.
    """
    check_records(data, FED)
    if not recipe.phases:
        raise MammoError("nothing_to_train", f"the recipe {recipe.name} trains nothing", "It needs no feeder")
    for phase in recipe.phases:
        batch_size = phase.batch_size or recipe.training.batch_size
        check_shared(batch_size, recipe.training.computation, machines * devices)
    feeder = Feeder(addresses, number)
    records, geometry = open_data(data, Path(data), origin, recipe, 1, say)
    steps = network_input(recipe, records, origin, geometry)
    if origin is not None:
        check_channels(origin, steps)
    stages = 0
    for phase in recipe.phases:
        material = material_of(recipe, phase, records, steps)
        for stage in phase.stages:
            for machine in range(machines):
                share = Share(machine, machines, devices if machines > 1 else 1)
                for first in range(stage.epochs):
                    feeder.offer(material.stream(first, stages, share))
            stages += 1
    feeder.tell(agreed(recipe, asked))
    return feeder

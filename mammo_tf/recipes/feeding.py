"""A recipe's batches, made here for a training that runs elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mammo_tf.data.feeding import Feeder, Wish, check_addresses
from mammo_tf.data.streams import StageStream
from mammo_tf.errors import MammoError
from mammo_tf.recipes.inputs import network_input, open_data
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.start import check_channels
from mammo_tf.recipes.together import agreed, check_records
from mammo_tf.recipes.trainer import material_of
from mammo_tf.training import ModelFile

FED = "Feeders make batches of records"
Say = Callable[[str], None]


def feed(
    recipe: Recipe,
    data: str | Path,
    address: str,
    origin: ModelFile | None,
    asked: dict[str, str],
    say: Say = lambda line: None,
) -> Feeder:
    """Makes the batches of a recipe for whoever trains it, as they are asked for.

    Args:
        recipe: what is trained there.
        data: a folder of records, the same as there.
        address: as of `data.feeding.Feeder`.
        origin, asked: as `runner.begun_with` gives them.
        say: is told in a line what happens.

    Raises:
        MammoError: `records_wanted`, `nothing_to_train`; those of `Feeder`, and of the rooms on the way.
    """
    check_addresses((address,))
    check_records(data, FED)
    if not recipe.phases:
        raise MammoError("nothing_to_train", f"the recipe {recipe.name} trains nothing", "It needs no feeder")
    records, geometry = open_data(data, Path(data), origin, recipe, 1, say)
    steps = network_input(recipe, records, origin, geometry)
    if origin is not None:
        check_channels(origin, steps)
    phases = [(material_of(recipe, phase, records, steps), phase.stages) for phase in recipe.phases]
    materials = [material for material, stages in phases for _ in stages]

    def stream_of(wish: Wish) -> StageStream:
        return materials[wish.stage].stream(wish.first_epoch, wish.stage, wish.share)

    return Feeder(address, agreed(recipe, asked), stream_of)

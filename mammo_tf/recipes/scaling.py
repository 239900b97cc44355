"""Batches that grow with the number of devices, and the rates that go with them."""

from __future__ import annotations

from dataclasses import replace

from mammo_tf.errors import MammoError
from mammo_tf.recipes.recipe import Phase, Recipe
from mammo_tf.training.stages import Stage

RULES = {"linear": 1.0, "square_root": 0.5}  # power of the growth that a rate is multiplied by


def with_batches_of(recipe: Recipe, devices: int, rule: str) -> Recipe:
    """The recipe with its batch on each of so many devices, in place of shared out to them.

    Rates and the top of their schedules are multiplied by the number of devices ("linear": Goyal et al., *Accurate,
    Large Minibatch SGD*, 2017, section 2.1) or by its square root ("square_root": Krizhevsky, *One weird trick*, 2014,
    section 5). Warm-ups stay as they are: they count batches, and Goyal et al. take five epochs of them (section 2.2).

    Args:
        recipe: written for one device.
        devices: that share a batch, 1 or more.
        rule: of `RULES`.

    Raises:
        MammoError: `value_unknown` for another rule.
    """
    if rule not in RULES:
        raise MammoError("value_unknown", f"there is no scaling {rule!r}", f"Known are {', '.join(RULES)}")
    factor = devices ** RULES[rule]

    def stage(one: Stage) -> Stage:
        schedule = one.schedule and replace(one.schedule, highest=one.schedule.highest * factor)
        return replace(one, rate=one.rate * factor, schedule=schedule)

    def phase(one: Phase) -> Phase:
        size = None if one.batch_size is None else one.batch_size * devices
        return replace(one, stages=tuple(map(stage, one.stages)), batch_size=size)

    training = replace(recipe.training, batch_size=recipe.training.batch_size * devices)
    return replace(recipe, phases=tuple(map(phase, recipe.phases)), training=training)

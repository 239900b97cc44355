"""The command that makes batches for a training elsewhere: `feed`."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from mammo_tf.cli.shared import Commands, counted, process_number, seed_number, tensorflow_loaded, whole_number
from mammo_tf.cli.training import addresses, asked_recipe, recipe_options


def add(commands: Commands) -> None:
    """Tells the front door of this command."""
    _options(commands.add("feed", "makes the batches of a run elsewhere, over tf.data's service", feed, resumable=True))


def _options(one: ArgumentParser) -> None:
    recipe_options(one)
    one.add_argument("--data", required=True, metavar="DIR", help="records, the same as those of the run")
    one.add_argument(
        "--feeders", type=addresses, required=True, metavar="HOST:PORT,...",
        help="all feeders, as the run reaches them; each takes its port and the next one",
    )  # fmt: skip
    one.add_argument("--feeder", type=seed_number, default=0, metavar="N", help="which of them this is, from 0 (0)")
    one.add_argument(
        "--machines", type=process_number, default=1, metavar="N", help="that train together, as of --workers-file (1)"
    )
    one.add_argument("--devices", type=whole_number, default=1, metavar="N", help="of each of several machines (1)")


def feed(options: Namespace) -> None:
    """Makes batches until it is told to end."""
    with tensorflow_loaded():
        from mammo_tf.recipes.feeding import feed as fed
        from mammo_tf.recipes.runner import begun_with
        from mammo_tf.records.object_storage import local

    recipe = asked_recipe(options)
    data = local(str(options.data))
    origin, asked = begun_with(recipe, data, options.start)
    feeder = fed(recipe, data, origin, asked, options.feeders, options.feeder, options.machines, options.devices, print)
    place = f"{options.feeders[options.feeder]}, {options.feeder + 1} of {counted(len(options.feeders), 'feeder')}"
    print(f"feeds {recipe.name} at {place}", flush=True)
    try:
        feeder.wait()
    except KeyboardInterrupt:
        os._exit(0)  # threads of the service may be in Python, which must not end under them

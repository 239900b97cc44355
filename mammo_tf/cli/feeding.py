"""The command that makes batches for a training elsewhere: `feed`."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from mammo_tf.cli.shared import Commands, tensorflow_loaded
from mammo_tf.cli.training import asked_recipe, recipe_options


def add(commands: Commands) -> None:
    """Tells the front door of this command."""
    _options(commands.add("feed", "makes the batches of a run elsewhere, over tf.data's service", feed, resumable=True))


def _options(one: ArgumentParser) -> None:
    recipe_options(one)
    one.add_argument("--data", required=True, metavar="DIR", help="records, the same as those of the run")
    one.add_argument(
        "--address", required=True, metavar="HOST:PORT", help="as the run reaches it; takes this port and the next one"
    )


def feed(options: Namespace) -> None:
    """Makes batches until it is told to end."""
    with tensorflow_loaded():
        from mammo_tf.recipes.feeding import feed as fed
        from mammo_tf.recipes.runner import begun_with
        from mammo_tf.records.object_storage import local

    recipe = asked_recipe(options)
    data = local(str(options.data))
    origin, asked = begun_with(recipe, data, options.start)
    feeder = fed(recipe, data, options.address, origin, asked, print)
    print(f"feeds {recipe.name} at {options.address}", flush=True)
    try:
        feeder.wait()
    except KeyboardInterrupt:
        os._exit(0)  # threads of the service may be in Python, which must not end under them

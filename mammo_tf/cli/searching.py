"""The command that searches over a recipe's fields: `tune`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from mammo_tf.cli.shared import (
    Commands,
    print_all,
    process_number,
    seed_number,
    settings,
    tensorflow_loaded,
    whole_number,
)
from mammo_tf.errors import MammoError

METHODS = ("random", "hyperband", "bayesian")


def add(commands: Commands) -> None:
    """Tells the front door of this command."""
    _tune_options(commands.add("tune", "search over a recipe's fields; given twice, both help", tune, resumable=True))


def _tune_options(one: ArgumentParser) -> None:
    one.add_argument("recipe", metavar="RECIPE", help="a file with a search space, or a name of mammo-tf recipes")
    one.add_argument("--data", metavar="DIR|MANIFEST", help="records, or a manifest to prepare")
    one.add_argument("--root", metavar="DIR", help="data root of a manifest (default: the manifest's folder)")
    one.add_argument("--start", metavar="MODEL", help="model to start from: .keras, published .h5, run folder")
    one.add_argument("-o", "--output", metavar="DIR", help="folder of the search (default tuned/<name>)")
    one.add_argument("--space", default="space", metavar="NAME", help="function of the file that gives the space")
    one.add_argument("--method", choices=METHODS, default="random", help="how trials are proposed (random)")
    one.add_argument("--trials", type=whole_number, metavar="N", help="at most (20); hyperband counts by epochs")
    one.add_argument(
        "--factor", type=whole_number, default=3, metavar="N", help="of hyperband: 1 of N is trained on (3)"
    )
    one.add_argument("--seed", type=seed_number, default=0, metavar="S", help="of the proposals (0)")
    one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a field; may be repeated")
    one.add_argument("--variant", default="recipe", help="another recipe of the file, such as as-run")
    one.add_argument("--smoke", action="store_true", help="the same, small, on synthetic data")
    one.add_argument("--workers", type=process_number, default=1, metavar="N", help="processes that prepare a manifest")


def tune(options: Namespace) -> None:
    """Searches, reports, and writes the best trial as a recipe file."""
    with tensorflow_loaded():
        from mammo_tf.recipes.recipe import Recipe
        from mammo_tf.recipes.recipe_file import RecipeFile
        from mammo_tf.recipes.search.best import Origin, searched, write_best
        from mammo_tf.recipes.search.proposals import keras_tuner
        from mammo_tf.recipes.search.result import BEST, REPORT, write_result
        from mammo_tf.recipes.search.search import search_trials
        from mammo_tf.recipes.search.settings import HYPERBAND, TRIALS, Search
        from mammo_tf.recipes.search.space import Space
        from mammo_tf.recipes.smoke_study import smoke_material

        keras_tuner()

    if options.trials and options.method == HYPERBAND:
        sentence = "hyperband counts its trials by the epochs of the recipe"
        raise MammoError("option_wrong", sentence, "Leave --trials out, or set fewer epochs")
    file, changes = RecipeFile(options.recipe), settings(options.set)
    recipe = searched(file.made(options.variant, Recipe, "variant"), changes, options.smoke)
    space = file.made(options.space, Space, "search space")
    trials = 0 if options.method == HYPERBAND else options.trials or TRIALS
    search = Search(options.method, trials, options.seed, options.factor)
    folder = Path(options.output or Path("tuned") / recipe.name)
    data, start = options.data, options.start or recipe.start
    if options.smoke and not data:
        space.check(recipe)
        data, start = smoke_material(recipe, folder.parent / f".{folder.name}-material", start)
    if not data:
        raise MammoError("data_missing", "there are no images to run on", "Name records or a manifest with --data")
    ground, done = search_trials(recipe, space, search, folder, data, start, options.workers, print, options.root)
    found = write_result(ground, search, done)
    origin = Origin(file.path, options.variant, changes, options.smoke)
    best = next(trial for trial in done if trial.name == found["best"])
    print_all([found["answer"], *([found["more"]] if found["more"] else []), *found["notes"]])
    print(f"report: {folder / REPORT}")
    write_best(ground, best, origin, found["answer"], folder / BEST)
    print(f"the best as a recipe: {folder / BEST}")

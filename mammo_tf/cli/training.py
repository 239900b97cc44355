"""Commands about runs and models: `run`, `recipes`, `report`, `import-legacy`."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from mammo_tf.cli.shared import Commands, print_all, process_number, settings, tensorflow_loaded, whole_number
from mammo_tf.errors import MammoError
from mammo_tf.files import write_text
from mammo_tf.launcher import DEADLINE, RESTARTS, asked_cluster, launch, launched

if TYPE_CHECKING:
    from mammo_tf.recipes.recipe import Recipe

WIDTH, INDENT = 100, 26  # of the list of recipes


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    _run_options(
        commands.add("run", "run a recipe into a run folder; run again to resume where it stopped", run, resumable=True)
    )
    _recipes_options(commands.add("recipes", "the package's own recipes, or one of them as a file to change", recipes))
    _report_options(commands.add("report", "the HTML report of a run", report))
    _import_legacy_options(
        commands.add(
            "import-legacy", "a Keras 2 .h5 file of End2End to .keras; nothing in it is executed", import_legacy
        )
    )


def _run_options(one: ArgumentParser) -> None:
    recipe_options(one)
    one.add_argument("--data", metavar="DIR|MANIFEST", help="records, or a manifest to prepare")
    one.add_argument("--root", metavar="DIR", help="data root of a manifest (default: the manifest's folder)")
    one.add_argument("-o", "--output", metavar="RUN", help="run folder (default runs/<name>)")
    one.add_argument("--smoke", action="store_true", help="the same in about twenty seconds on synthetic data")
    one.add_argument("--workers", type=process_number, default=1, metavar="N", help="processes that prepare a manifest")
    one.add_argument("--overwrite", action="store_true", help="remove another recipe's run from the folder")
    one.add_argument(
        "--devices", type=whole_number, metavar="N", help="train on N GPUs, or N parts of the processor (all GPUs)"
    )
    one.add_argument(
        "--scale", choices=("linear", "square_root"), help="the recipe's batch on each device, and rates raised with it"
    )
    one.add_argument("--deterministic", action="store_true", help="the same run twice gives the same bytes")
    one.add_argument(
        "--feeders", type=addresses, default=(), metavar="HOST:PORT,...",
        help="who makes the batches: mammo-tf feed, with the same recipe, records and options",
    )  # fmt: skip
    several = one.add_argument_group("several machines (TF_CONFIG, where it is set, says the first two)")
    several.add_argument("--workers-file", metavar="FILE", help="host:port of each machine, a line each")
    several.add_argument("--worker", type=int, metavar="N", help="which line is this machine, from 0")
    several.add_argument(
        "--deadline", type=float, default=DEADLINE, metavar="SECONDS",
        help="end this machine's part after so long without a step, an epoch's validation included, or a run after "
        "so long without a batch of a feeder (600)",
    )  # fmt: skip
    several.add_argument(
        "--restarts", type=int, default=RESTARTS, metavar="N", help="begin again so often when a machine is lost (3)"
    )


def recipe_options(one: ArgumentParser) -> None:
    """Which recipe, changed how, begun with what."""
    one.add_argument("recipe", metavar="RECIPE", help="a file, or a name that mammo-tf recipes lists")
    one.add_argument("--start", metavar="MODEL", help="model to start from: .keras, published .h5, run folder")
    one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a field; may be repeated")
    one.add_argument("--variant", default="recipe", help="another function of the file, such as as-run")


def asked_recipe(options: Namespace, short: bool = False) -> Recipe:
    """The recipe of `recipe_options`.

    Args:
        options: of the command.
        short: as a smoke run has it.
    """
    from mammo_tf.fields import set_fields
    from mammo_tf.recipes.recipe import load_recipe
    from mammo_tf.recipes.smoke_recipe import smoke

    recipe = load_recipe(options.recipe, options.variant)
    if short:
        recipe = smoke(recipe)
    return set_fields(recipe, [(recipe.path(name), value) for name, value in settings(options.set)])


def addresses(text: str) -> tuple[str, ...]:
    """Addresses joined by commas; argparse turns the error into one line."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise ArgumentTypeError(f"{text!r} names no address")
    return found


def run(options: Namespace) -> int | None:
    """Runs a recipe to its report; of several machines this one's part."""
    if options.feeders and (options.smoke or options.scale):
        sentence = "--feeders make the batches of a recipe as it is, not as --smoke or --scale change it"
        raise MammoError("option_wrong", sentence, "Leave one of them out, or say what it changes with --set")
    cluster = asked_cluster(options.workers_file, options.worker, os.environ)
    if cluster is not None and not launched(os.environ):
        if options.smoke and not options.data:
            raise MammoError("data_missing", "several machines share their records", "Name them with --data")
        if options.devices:
            sentence = "--devices is of one machine; each of several trains on all of its GPUs"
            raise MammoError("option_wrong", sentence, "Hide GPUs with CUDA_VISIBLE_DEVICES")
        command = (sys.executable, "-m", "mammo_tf", *options.words)
        return launch(command, cluster, options.deadline, options.restarts, partial(print, file=sys.stderr, flush=True))
    with tensorflow_loaded():
        from mammo_tf.training.cluster import losses_told

    with losses_told():
        _run(options, first=cluster is None or cluster.number == 0)
    return None


def _run(options: Namespace, first: bool) -> None:
    with tensorflow_loaded():
        from mammo_tf.data.feeding import Feeders
        from mammo_tf.recipes.report import finish_run
        from mammo_tf.recipes.runner import follow
        from mammo_tf.recipes.runner import run as run_recipe
        from mammo_tf.recipes.scaling import with_batches_of
        from mammo_tf.recipes.smoke_study import smoke_material
        from mammo_tf.records.object_storage import local
        from mammo_tf.reporting.lines import number_lines
        from mammo_tf.training import make_strategy, replicas
        from mammo_tf.training.devices import DEVICES, keep_determinism

    if options.deterministic:
        keep_determinism()
    if options.devices:
        os.environ[DEVICES] = str(options.devices)
    devices = replicas(make_strategy())  # of several machines it comes before all else
    recipe = asked_recipe(options, options.smoke)
    if options.scale:
        recipe = with_batches_of(recipe, devices, options.scale)
    folder = Path(options.output or Path("runs") / recipe.name)
    data, start = options.data, options.start or recipe.start
    if options.smoke and not data:
        data, start = smoke_material(recipe, folder.parent / f".{folder.name}-material", start)
    if not data:
        raise MammoError("data_missing", "there are no images to run on", "Name records or a manifest with --data")
    data = local(str(data))
    feeders = Feeders(options.feeders, deadline=options.deadline) if options.feeders else None
    if not first:
        follow(recipe, folder, data, start, feeders)
        return
    result = run_recipe(recipe, folder, data, start, options.workers, options.overwrite, print, options.root, feeders)
    report_path = finish_run(result)
    print_all(number_lines({"test": result.metrics["test"]}))
    if result.comparison:
        print("this model minus the start model:")
        print_all(number_lines({"test": result.comparison["test"]}))
    print(f"report: {report_path}")


def _recipes_options(one: ArgumentParser) -> None:
    one.add_argument("recipe", nargs="?", metavar="NAME", help="which one to write with -o")
    one.add_argument("-o", "--output", metavar="FILE.py", help="where to write it")


def recipes(options: Namespace) -> None:
    """Lists the package's recipes, or writes one of them where it can be changed."""
    from mammo_tf.pipelines import find_recipe, shipped

    if (options.recipe is None) != (options.output is None):
        raise MammoError("option_wrong", "a name and -o go together", "mammo-tf recipes NAME -o FILE.py, or neither")
    if options.recipe is not None:
        source, place = find_recipe(options.recipe), Path(options.output)
        if place.exists():
            raise MammoError("file_exists", f"{place} is there already", "Choose another name")
        write_text(place, source.read_text(encoding="utf-8"))
        print(f"{source.stem} in {place}")
        return
    for one in shipped():
        others = ", ".join(variant for variant in one.variants if variant != "recipe")
        spaces = f"tune --space {', '.join(one.spaces)}" if one.spaces else ""
        for name, told in ((one.name, one.about), ("", f"--variant {others}" if others else ""), ("", spaces)):
            for number, line in enumerate(wrap(told, WIDTH - INDENT)):
                print(f"{'' if number else name:{INDENT}s}{line}")


def _report_options(one: ArgumentParser) -> None:
    one.add_argument("run", metavar="RUN", help="its folder")


def report(options: Namespace) -> None:
    """Writes a run's report."""
    with tensorflow_loaded():
        from mammo_tf.recipes.report import report_run

    print(report_run(options.run))


def _import_legacy_options(one: ArgumentParser) -> None:
    one.add_argument("file", metavar="FILE.h5", help="as Keras 2 wrote it")
    one.add_argument("-o", "--output", required=True, metavar="FILE.keras", help="the model")
    one.add_argument(
        "--mean", type=float, metavar="MEAN",
        help="what its training subtracted on 0 to 255 (DDSM: 52.18, INbreast: 44.33; default: DDSM's)",
    )  # fmt: skip
    one.add_argument("--recipe", metavar="FILE.py", help="its optimiser, schedule and metric as a recipe to be changed")
    one.add_argument("--without-training", action="store_true", help="do not look at what it was trained with")


def import_legacy(options: Namespace) -> None:
    """Converts a Keras 2 file."""
    with tensorflow_loaded():
        from mammo_tf.imaging import Preprocessing
        from mammo_tf.imaging.preprocessing import LEGACY_MEAN
        from mammo_tf.models import read_legacy
        from mammo_tf.recipes.legacy_recipe import recipe_page, settings_of
        from mammo_tf.training import ModelCard, legacy_training, save_model

    if Path(options.output).suffix != ".keras":
        raise MammoError("option_wrong", f"-o {options.output} does not end in .keras")
    _check_recipe_option(options)
    found = read_legacy(options.file)
    training = None if options.without_training or found.training is None else legacy_training(found.training)
    if options.recipe and training is None:
        raise MammoError(
            "training_missing", f"{options.file} does not say what it was trained with", "Leave --recipe out"
        )
    for row in found.table:
        print(f"{row.stored:44s} -> {row.layer + ' ' + row.variable:44s} {'x'.join(map(str, row.shape))}")
    for one in found.replaced:
        print(f"{one.kind} in {', '.join(one.layers)}")
    preprocessing = None
    rows, columns, channels = found.model.inputs[0].shape[1:]
    if rows is not None:
        mean = LEGACY_MEAN if options.mean is None else options.mean
        preprocessing = Preprocessing.preset("legacy", (rows, columns), mean, channels)
    written = f"written by Keras {found.keras_version}"
    card = ModelCard(origin=f"{Path(options.file).name}, {written}", preprocessing=preprocessing)
    save_model(options.output, found.model, card)
    left = f"; left out: {', '.join(found.left_out)}" if found.left_out else ""
    print(f"{len(found.table)} arrays, {found.model.count_params():,} parameters in {options.output}{left}")
    if rows is not None and options.mean is None:
        print(f"{LEGACY_MEAN} is subtracted, the mean of DDSM: name another with --mean (INbreast: 44.33)")
    if training is None:
        return
    print(f"trained with {', '.join(settings_of(training.stage))}; the state of its optimiser is not taken")
    for remark in training.remarks:
        print(f"  {remark}")
    if options.recipe:
        write_text(options.recipe, recipe_page(training, options.file, written, options.recipe, options.output))
        print(f"this training is the recipe {options.recipe}")


def _check_recipe_option(options: Namespace) -> None:
    if not options.recipe:
        return
    if Path(options.recipe).suffix != ".py":
        raise MammoError("option_wrong", f"--recipe {options.recipe} does not end in .py")
    if options.without_training:
        raise MammoError("option_wrong", "--recipe asks for the training that --without-training leaves out")
    if Path(options.recipe).exists():
        raise MammoError("file_exists", f"{options.recipe} is there already", "Name another file for --recipe")

"""What each command calls and prints. A command imports its rooms itself, so that others stay quick."""

from __future__ import annotations

import importlib
import logging
import math
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mammo_tf.cli.interrupts import held
from mammo_tf.errors import MammoError

LARGEST = 20000  # pixels along a side


@contextmanager
def _tensorflow_loaded() -> Iterator[None]:
    """TensorFlow, and the rooms imported in the block, without the notices that it writes before it can be told not to.

    Ctrl-C waits until they are loaded.
    """
    with held():
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        sys.stderr.flush()
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            importlib.import_module("tensorflow")
            importlib.import_module("keras")
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def _print_all(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _parsed_pairs(text: str, what: str) -> dict[str, str]:
    pairs = [part.split("=", 1) for part in text.split(",") if part]
    if any(len(pair) != 2 for pair in pairs):
        raise MammoError("option_wrong", f"{what} {text!r} is not NAME=VALUE,...")
    return {name.strip(): value.strip() for name, value in pairs}


def _numbers(text: str, separator: str, count: int, what: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.lower().split(separator))
    except ValueError:
        values = ()
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise MammoError("option_wrong", f"{what} {text!r} is not {count} numbers joined by {separator!r}")
    return values


def phantom(options: Namespace) -> None:
    """Makes a synthetic study."""
    with held():
        from mammo_tf.phantom import CONSPICUOUS, DEFAULT_CONSPICUITY, make_study

    table = make_study(
        options.output, options.patients, options.site or ["ffdm_site_1"], options.seed, options.spacing,
        pairs=options.pairs, conspicuity=CONSPICUOUS if options.conspicuous else DEFAULT_CONSPICUITY,
        workers=options.workers,
    )  # fmt: skip
    patients = _counted(table["patient_id"].nunique(), "patient")
    print(f"{_counted(len(table), 'image')} of {patients}; {Path(options.output) / 'manifest.csv'}")


def manifest(options: Namespace) -> None:
    """Lists a collection into manifest.csv and rejects.csv."""
    with held():
        from mammo_tf.reading.collections import collect
        from mammo_tf.study import write_manifest, write_rejects

    settings = {"labels": options.labels} if options.labels else {}
    settings |= {"keep_identifiers": True} if options.keep_identifiers else {}
    table, rejects = collect(options.collection, options.root, **settings)
    output = Path(options.output)
    rejected = write_rejects(rejects, output / "rejects.csv")
    if not len(table):
        where = output / "rejects.csv"
        files = _counted(rejected, "file")
        raise MammoError("nothing_usable", f"none of {files} of {options.root} can be used", f"See {where}")
    write_manifest(table, output / "manifest.csv")
    if options.keep_identifiers:
        print(f"identifiers stand in {output / 'manifest.csv'} as the archive has them: keep it as safe as the archive")
    images, files = _counted(len(table), "image"), _counted(rejected, "file")
    print(f"{images} in {output / 'manifest.csv'}, {files} in {output / 'rejects.csv'}")


def inspect(options: Namespace) -> None:
    """Counts a manifest, draws its sheet, refuses leakage."""
    with held():
        from mammo_tf.study import check_leakage, count_table, read_manifest

    table = read_manifest(options.manifest)
    _print_all(count_table(table))
    if options.sheet:
        with held():
            from mammo_tf.reporting.manifest_sheet import manifest_sheet

        manifest_sheet(table, Path(options.root or Path(options.manifest).parent), options.sheet)
        print(f"sheet: {options.sheet}")
    check_leakage(table)


def split(options: Namespace) -> None:
    """Fills the column split."""
    with held():
        from mammo_tf.study import assign_splits, count_table, read_manifest, write_manifest

    fractions = _numbers(options.fractions, ",", 3, "--fractions")
    columns = [column for column in options.stratify.split(",") if column]
    table = assign_splits(read_manifest(options.manifest), fractions, columns, options.pairs, options.seed)
    write_manifest(table, options.output or options.manifest)
    _print_all(count_table(table)[:6])


def prepare(options: Namespace) -> None:
    """Writes records."""
    with _tensorflow_loaded():
        from mammo_tf.imaging import Preprocessing
        from mammo_tf.records import prepare as prepare_records
        from mammo_tf.study import read_manifest

    rows, columns = (int(value) for value in _numbers(options.size, "x", 2, "--size"))
    if f"{rows}x{columns}" != options.size.lower() or not 16 <= min(rows, columns) <= max(rows, columns) <= LARGEST:
        raise MammoError("option_wrong", f"--size {options.size!r} is not ROWSxCOLUMNS, each from 16 to {LARGEST}")
    table = read_manifest(options.manifest)
    root = options.root or Path(options.manifest).parent
    preprocessing = Preprocessing.preset(options.preset, (rows, columns))
    done = prepare_records(table, root, options.output, preprocessing, options.workers)
    rejected = f", {len(done.rejects)} rejected ({Path(options.output) / 'rejects.csv'})" if done.rejects else ""
    print(f"{_counted(done.images, 'image')} of {rows}x{columns} pixels in {options.output}{rejected}")


def run(options: Namespace) -> None:
    """Runs a recipe to its report."""
    with _tensorflow_loaded():
        from mammo_tf.fields import set_fields
        from mammo_tf.recipes.recipe import load_recipe, smoke
        from mammo_tf.recipes.report import finish_run
        from mammo_tf.recipes.runner import run as run_recipe
        from mammo_tf.recipes.smoke import smoke_material
        from mammo_tf.reporting.evaluating import number_lines

    recipe = load_recipe(options.recipe, options.variant)
    if options.smoke:
        recipe = smoke(recipe)
    settings = [setting.partition("=") for setting in options.set]
    recipe = set_fields(recipe, [(recipe.path(name.strip()), value.strip()) for name, _, value in settings])
    folder = Path(options.output or Path("runs") / recipe.name)
    data, start = options.data, options.start or recipe.start
    if options.smoke and not data:
        data, start = smoke_material(recipe, folder.parent / f".{folder.name}-material", start)
    if not data:
        raise MammoError("data_missing", "there are no images to run on", "Name records or a manifest with --data")
    result = run_recipe(recipe, folder, data, start, options.workers, options.overwrite, print, options.root)
    report_path = finish_run(result)
    _print_all(number_lines({"test": result.metrics["test"]}))
    if result.comparison:
        print("this model minus the start model:")
        _print_all(number_lines({"test": result.comparison["test"]}))
    print(f"report: {report_path}")


def evaluate(options: Namespace) -> None:
    """Measures anyone's predictions."""
    with held():
        from mammo_tf.evaluation import OperatingRule, Resampling
        from mammo_tf.reporting.evaluating import evaluate_files, number_lines, subgroup_lines

    found = evaluate_files(
        options.predictions, options.other, _parsed_pairs(options.columns, "--columns"), options.join, options.output,
        Resampling(options.replicates, options.seed, options.interval, options.stratified, options.images_too),
        OperatingRule(options.rule, options.target, options.miss_cost, options.prevalence),
        options.threshold_split, [name for name in options.by.split(",") if name],
        {level: how for level in ("breast", "exam", "patient") if (how := getattr(options, level))},
        options.calibrate, options.validation,
    )  # fmt: skip
    _print_all(number_lines(found.metrics))
    _print_all(subgroup_lines(found.subgroups))
    if found.comparison:
        print(f"{options.other} minus {options.predictions}:")
        _print_all(number_lines(found.comparison))


def ensemble(options: Namespace) -> None:
    """Puts several models' predictions together."""
    with held():
        from mammo_tf.evaluation import ensemble_predictions, read_predictions, write_predictions

    columns = _parsed_pairs(options.columns, "--columns")
    tables = [read_predictions(path, columns) for path in options.predictions]
    if Path(options.output).resolve() in {Path(path).resolve() for path in options.predictions}:
        raise MammoError("not_a_file", f"{options.output} is one of the models' predictions", "Name another file")
    write_predictions(ensemble_predictions(tables, options.rule, options.join), options.output)
    print(f"{len(tables)} models, {len(tables[0])} images, {options.rule}: {options.output}")


def sample_size(options: Namespace) -> None:
    """Says how many patients an interval takes."""
    with held():
        from mammo_tf.evaluation.proportions import patients_in_all, sample_for_auc, sample_for_share

    if options.auc is not None:
        found = sample_for_auc(options.auc, options.width, options.prevalence)
        print(
            f"{found.patients} patients ({found.positives} positive, {found.negatives} negative): an AUC of "
            f"{options.auc:g} gets a 95 % interval {found.width:.3f} wide, one independent score a patient"
        )
    else:
        what, who = ("sensitivity", "positive") if options.sensitivity is not None else ("specificity", "negative")
        share = options.sensitivity if options.sensitivity is not None else options.specificity
        needed = sample_for_share(share, options.width)
        in_all = patients_in_all(needed, options.prevalence if who == "positive" else 1 - options.prevalence)
        print(
            f"{needed} {who} patients, {in_all} in all: a {what} of {share:g} gets a 95 % interval "
            f"no wider than {options.width:g}"
        )


def export(options: Namespace) -> None:
    """Writes a SavedModel."""
    with _tensorflow_loaded():
        from mammo_tf.recipes.start import load_start
        from mammo_tf.serving import export_bundle

    given = Path(options.run)
    name = options.name or (given.resolve().name if given.is_dir() else given.stem)
    print(export_bundle(load_start(given), options.root, name))


def predict(options: Namespace) -> None:
    """Scores pictures."""
    with _tensorflow_loaded():
        from mammo_tf.serving.predict import predict as predict_images

    if options.root and not options.inputs[0].lower().endswith(".csv"):
        raise MammoError("option_wrong", "--root belongs to a manifest, and none was named", "Leave --root out")
    report = predict_images(
        options.model, options.inputs, options.output, options.sheet,
        batch_size=options.batch_size, flips=options.flips or None, root=options.root,
        winograd=not options.no_winograd, prevalence=options.prevalence,
    )  # fmt: skip
    _print_all(report.warnings)
    if report.passed_over:
        print(f"passed over as documents: {', '.join(report.passed_over)}")
    sheets = "".join(f", sheet {path}" for path in report.sheets)
    images, files = _counted(report.images, "image"), _counted(report.rejects, "file")
    print(f"{images} in {report.output}, {files} in {report.rejects_path}{sheets}")


def import_legacy(options: Namespace) -> None:
    """Converts a published Keras 2 file."""
    with _tensorflow_loaded():
        from mammo_tf.imaging import Preprocessing
        from mammo_tf.models import read_legacy
        from mammo_tf.training import ModelCard, save_model

    found = read_legacy(options.file)
    if Path(options.output).suffix != ".keras":
        raise MammoError("option_wrong", f"-o {options.output} does not end in .keras")
    for row in found.table:
        print(f"{row.stored:44s} -> {row.layer + ' ' + row.variable:44s} {'x'.join(map(str, row.shape))}")
    preprocessing = None
    rows, columns, channels = found.model.input.shape[1:]
    if rows is not None:
        preprocessing = Preprocessing.preset("legacy", (rows, columns), options.mean, channels)
    origin = f"{Path(options.file).name}, written by Keras {found.keras_version}"
    save_model(options.output, found.model, ModelCard(origin=origin, preprocessing=preprocessing))
    left = f"; left out: {', '.join(found.left_out)}" if found.left_out else ""
    print(f"{len(found.table)} arrays, {found.model.count_params():,} parameters in {options.output}{left}")


def report(options: Namespace) -> None:
    """Writes a run's report."""
    with _tensorflow_loaded():
        from mammo_tf.recipes.report import report_run

    print(report_run(options.run))


def doctor(_: Namespace) -> None:
    """Says what is there and what to mend."""
    with _tensorflow_loaded():
        from mammo_tf.doctor import findings

    lines, advice = findings()
    _print_all(lines)
    _print_all(f"-> {line}" for line in advice or ["nothing to mend"])


def demo(options: Namespace) -> None:
    """Runs the demonstration."""
    with _tensorflow_loaded():
        from mammo_tf.experiments.demo import LONG, SHORT
        from mammo_tf.experiments.demo import demo as run_demo

    size = LONG if options.long else SHORT
    run_demo(options.output, size, options.workers, options.seed)

"""Commands that measure and match scores: `evaluate`, `ensemble`, `match-scores`, `sample-size`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from mammo_tf.cli.interrupts import held
from mammo_tf.cli.shared import Commands, columns_of, print_all, seed_number, whole_number
from mammo_tf.errors import MammoError


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    _evaluate_options(
        commands.add("evaluate", "anyone's predictions: metrics, and a paired comparison of two files", evaluate)
    )
    _ensemble_options(
        commands.add("ensemble", "predictions of several models of the same images as those of one", ensemble)
    )
    _match_scores_options(
        commands.add(
            "match-scores", "a site's scores on the scale of the site where the threshold was set", match_scores
        )
    )
    _sample_size_options(
        commands.add("sample-size", "how many patients an interval of a wanted width takes", sample_size)
    )


def _evaluate_options(one: ArgumentParser) -> None:
    one.add_argument("predictions", metavar="FILE.csv", help="scores with labels, a row an image")
    one.add_argument("other", nargs="?", metavar="OTHER.csv", help="compared: OTHER minus FILE")
    one.add_argument(
        "--columns", action="append", default=[], metavar="label=...,score=...,patient=...",
        help="names in the files; given twice, in FILE and in OTHER",
    )  # fmt: skip
    one.add_argument("--join", default="image_id", metavar="COLUMN", help="what tells which rows belong together")
    one.add_argument("--replicates", type=whole_number, default=2000, metavar="N", help="bootstrap resamples (2000)")
    one.add_argument("-o", "--output", metavar="DIR", help="write metrics, comparison and figures here")
    one.add_argument("--by", default="", metavar="COLUMN,...", help="subgroups: density, manufacturer, age, any column")
    one.add_argument(
        "--rule", default="g_mean", help="operating point: g_mean, youden, equal_error, sensitivity, specificity, cost"
    )
    one.add_argument("--target", type=float, metavar="SHARE", help="for --rule sensitivity and specificity")
    one.add_argument(
        "--miss-cost", type=float, default=1.0, metavar="C", help="for --rule cost: a miss in false alarms"
    )
    one.add_argument(
        "--prevalence", type=float, metavar="P", help="where the model will work: PPV, NPV, recall rate; --rule cost"
    )
    one.add_argument("--threshold", type=float, metavar="VALUE", help="a given one, at every level, in place of a rule")
    one.add_argument("--calibrate", metavar="METHOD", help="fitted on validation: platt, isotonic, temperature")
    one.add_argument("--validation", metavar="FILE.csv", help="validation predictions of FILE's model, if apart")
    one.add_argument("--threshold-split", default="validation", metavar="SPLIT", help="where it is chosen, never test")
    one.add_argument("--interval", default="percentile", metavar="METHOD", help="bootstrap: percentile or bca")
    one.add_argument("--stratified", action="store_true", help="resample positive and negative patients apart")
    one.add_argument("--images-too", action="store_true", help="the interval that resamples images next to each")
    one.add_argument("--seed", type=seed_number, default=0, metavar="N", help="of the resampling (0)")
    one.add_argument("--breast", default="mean", metavar="HOW", help="views to breast: mean, maximum, noisy_or")
    one.add_argument("--patient", default="maximum", metavar="HOW", help="breasts to patient: mean, maximum, noisy_or")
    one.add_argument("--exam", metavar="HOW", help="breasts to exam, if not as --patient")
    one.add_argument("--pool-exams", action="store_true", help="patients too where they have several exams: over all")


def evaluate(options: Namespace) -> None:
    """Measures anyone's predictions."""
    with held():
        from mammo_tf.evaluation import OperatingRule, Resampling
        from mammo_tf.reporting.evaluating import evaluate_files
        from mammo_tf.reporting.lines import number_lines, subgroup_lines

    columns = columns_of(options.columns, 1 if options.other is None else 2)
    chosen = (options.rule, options.target, options.miss_cost) != ("g_mean", None, 1.0)
    if options.threshold is not None and chosen:
        raise MammoError(
            "option_wrong", "--threshold is given, so no rule chooses one", "Leave --rule and its options out"
        )
    prevalence = options.prevalence if options.rule == "cost" else None
    found = evaluate_files(
        options.predictions, options.other, columns[0], options.join, options.output,
        Resampling(options.replicates, options.seed, options.interval, options.stratified, options.images_too),
        OperatingRule(options.rule, options.target, options.miss_cost, prevalence),
        options.threshold_split, [name for name in options.by.split(",") if name],
        {level: how for level in ("breast", "exam", "patient") if (how := getattr(options, level))},
        options.calibrate, options.validation, columns[-1], options.threshold, options.prevalence, options.pool_exams,
    )  # fmt: skip
    print_all(number_lines(found.metrics))
    print_all(subgroup_lines(found.subgroups))
    if found.comparison:
        print(f"{options.other} minus {options.predictions}:")
        print_all(number_lines(found.comparison))
    print_all(f"note: {note}" for note in found.notes)


def _ensemble_options(one: ArgumentParser) -> None:
    one.add_argument("predictions", nargs="+", metavar="FILE.csv", help="of each model")
    one.add_argument("-o", "--output", required=True, metavar="FILE.csv", help="the predictions of all")
    one.add_argument("--rule", default="mean", help="mean (default), mean_logit, mean_rank, maximum")
    one.add_argument(
        "--columns", action="append", default=[], metavar="label=...,score=...",
        help="names in the files; given several times, in each of them",
    )  # fmt: skip
    one.add_argument("--join", default="image_id", metavar="COLUMN", help="what tells which rows belong together")


def ensemble(options: Namespace) -> None:
    """Puts several models' predictions together."""
    with held():
        from mammo_tf.evaluation import ensemble_predictions, read_predictions, write_predictions

    columns = columns_of(options.columns, len(options.predictions))
    tables = [read_predictions(path, names) for path, names in zip(options.predictions, columns, strict=True)]
    if Path(options.output).resolve() in {Path(path).resolve() for path in options.predictions}:
        raise MammoError("not_a_file", f"{options.output} is one of the models' predictions", "Name another file")
    write_predictions(ensemble_predictions(tables, options.rule, options.join), options.output)
    print(f"{len(tables)} models, {len(tables[0])} images, {options.rule}: {options.output}")


def _match_scores_options(one: ArgumentParser) -> None:
    one.add_argument(
        "theirs", metavar="THEIRS.csv", help="scores of the site where the threshold was set, the reference"
    )
    one.add_argument("ours", metavar="OURS.csv", help="scores of the same model at the new site; no label is needed")
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="matched scores, tables, numbers, figure")
    one.add_argument(
        "--by", default="", metavar="COLUMN,...", help="machines of OURS, matched one by one: manufacturer,software"
    )
    one.add_argument(
        "--columns", action="append", default=[], metavar="label=...,score=...,patient=...",
        help="names in the files; given twice, in THEIRS and in OURS",
    )  # fmt: skip
    one.add_argument("--threshold", type=float, metavar="VALUE", help="the one THEIRS works with, at every level")
    one.add_argument(
        "--rule", default="g_mean", help="chooses it on labels of THEIRS: g_mean, youden, equal_error, ... (evaluate)"
    )
    one.add_argument("--target", type=float, metavar="SHARE", help="for --rule sensitivity and specificity")
    one.add_argument("--replicates", type=whole_number, default=2000, metavar="N", help="bootstrap resamples (2000)")
    one.add_argument("--seed", type=seed_number, default=0, metavar="N", help="of the resampling (0)")
    one.add_argument("--breast", default="mean", metavar="HOW", help="views to breast: mean, maximum, noisy_or")
    one.add_argument("--patient", default="maximum", metavar="HOW", help="breasts to patient: mean, maximum, noisy_or")
    one.add_argument("--exam", metavar="HOW", help="breasts to exam, if not as --patient")
    one.add_argument("--pool-exams", action="store_true", help="patients too where they have several exams: over all")


def match_scores(options: Namespace) -> None:
    """Matches scores of one site to another's."""
    with held():
        from mammo_tf.adaptation.shift_files import matching_warning
        from mammo_tf.evaluation import OperatingRule, Resampling
        from mammo_tf.reporting.matching import match_files

    columns, by = columns_of(options.columns, 2), [name.strip() for name in options.by.split(",") if name.strip()]
    if options.threshold is not None and (options.rule, options.target) != ("g_mean", None):
        raise MammoError(
            "option_wrong", "--threshold is given, so no rule chooses one", "Leave --rule and --target out"
        )
    aggregates = {level: how for level in ("breast", "exam", "patient") if (how := getattr(options, level))}
    told = {"threshold": options.threshold, "aggregates": aggregates, "pool_exams": options.pool_exams}
    print_all(
        match_files(
            options.theirs, options.ours, options.output, by, columns[0], columns[1],
            rule=OperatingRule(options.rule, options.target), resampling=Resampling(options.replicates, options.seed),
            judge=partial(matching_warning, **told), **told,
        )
    )  # fmt: skip
    print(f"written to {options.output}")


def _sample_size_options(one: ArgumentParser) -> None:
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument("--auc", type=float, metavar="A", help="the AUC that is expected")
    what.add_argument("--sensitivity", type=float, metavar="S", help="the sensitivity that is expected")
    what.add_argument("--specificity", type=float, metavar="S", help="the specificity that is expected")
    one.add_argument("--width", type=float, required=True, metavar="W", help="of the 95 %% interval, high minus low")
    one.add_argument("--prevalence", type=float, default=0.5, metavar="P", help="share of positive patients (0.5)")


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

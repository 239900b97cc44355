"""Commands that look at a model at a new site: `shift`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from mammo_tf.cli.interrupts import held
from mammo_tf.cli.shared import Commands, columns_of, print_all, seed_number, whole_number


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    _shift_options(
        commands.add("shift", "which shift a site's scores have: prevalence, acquisition, both or none", shift)
    )


def _shift_options(one: ArgumentParser) -> None:
    one.add_argument("scores", metavar="SCORES.csv", help="scores of the reference; with labels more can be told")
    one.add_argument("site", metavar="SITE.csv", help="scores of the same model at the site; no label is needed")
    one.add_argument("-o", "--output", metavar="DIR", help="write shift.json and a figure here")
    one.add_argument(
        "--columns", action="append", default=[], metavar="label=...,score=...,patient=...",
        help="names in the files; given twice, in SCORES and in SITE",
    )  # fmt: skip
    one.add_argument("--level", metavar="LEVEL", help="compared: image, breast, exam, patient (the coarsest told)")
    one.add_argument("--prevalence", type=float, metavar="P", help="positive patients of SITE, if known from elsewhere")
    one.add_argument("--threshold", type=float, metavar="VALUE", help="the reference's (largest G-mean on its labels)")
    one.add_argument("--replicates", type=whole_number, default=999, metavar="N", help="draws of each test (999)")
    one.add_argument("--seed", type=seed_number, default=0, metavar="N", help="of the draws (0)")
    one.add_argument("--breast", default="mean", metavar="HOW", help="views to breast: mean, maximum, noisy_or")
    one.add_argument("--patient", default="maximum", metavar="HOW", help="breasts to patient: mean, maximum, noisy_or")
    one.add_argument("--exam", metavar="HOW", help="breasts to exam, if not as --patient")
    one.add_argument("--pool-exams", action="store_true", help="patients too where they have several exams: over all")


def shift(options: Namespace) -> None:
    """Says which shift a site has."""
    with held():
        from mammo_tf.adaptation.shift_files import shift_of_files

    columns = columns_of(options.columns, 2)
    print_all(
        shift_of_files(
            options.scores, options.site, options.output, columns[0], columns[1], options.level, options.prevalence,
            options.threshold,
            {level: how for level in ("breast", "exam", "patient") if (how := getattr(options, level))},
            options.replicates, options.seed, options.pool_exams,
        )
    )  # fmt: skip
    if options.output is not None:
        print(f"written to {options.output}")

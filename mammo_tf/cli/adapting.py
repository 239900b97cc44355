"""Commands that take a model to a new site: `harmonise`, `shift`, `adapt`."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mammo_tf.cli.interrupts import held
from mammo_tf.cli.shared import (
    Commands,
    columns_of,
    print_all,
    process_number,
    seed_number,
    settings,
    tensorflow_loaded,
    whole_number,
)
from mammo_tf.errors import MammoError

MODELS = (".keras", ".h5", ".hdf5")

if TYPE_CHECKING:
    from mammo_tf.imaging.harmonising import Harmonising, Machine
    from mammo_tf.records import Records
    from mammo_tf.training import ModelCard


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    _harmonise_options(
        commands.add("harmonise", "curve and contrast by scale that carry a site's pictures to another's", harmonise)
    )
    _shift_options(
        commands.add("shift", "which shift a site has for a model: prevalence, acquisition, both or none", shift)
    )
    _adapt_options(
        commands.add(
            "adapt", "every way to take a model to a new site, and the cheapest that is enough", adapt, resumable=True
        )
    )


def _harmonise_options(one: ArgumentParser) -> None:
    one.add_argument(
        "source", metavar="MODEL|RECORDS",
        help="run folder or .keras, whose card tells the look of its training pictures; or records of that site",
    )  # fmt: skip
    one.add_argument("target", metavar="TARGET", help="records of the new site; labels are not looked at")
    one.add_argument("-o", "--output", required=True, metavar="FILE.json", help="the harmonising")
    one.add_argument(
        "--each-machine", action="store_true",
        help="one of each machine (manufacturer, model_name, software) of the target: FILE_<machine>.json",
    )  # fmt: skip
    one.add_argument("--figure", action="store_true", help="curve, ratios, before and after: FILE.svg and FILE.png")
    one.add_argument(
        "--patients", type=whole_number, default=200, metavar="N", help="of each, at most (default 200, 25 are enough)"
    )
    one.add_argument("--seed", type=seed_number, default=0, metavar="S", help="of their drawing (default 0)")


def harmonise(options: Namespace) -> None:
    """Fits a harmonising on unlabelled training pictures of a site, to the look of a model or of another site."""
    with tensorflow_loaded():
        from mammo_tf.adaptation.harmonising import fit, fit_by_machine
        from mammo_tf.records import open_records

    output = Path(options.output)
    if output.suffix != ".json":
        raise MammoError("option_wrong", f"-o {options.output!r} does not end in .json", "Name a .json file")
    source, target = _known(Path(options.source)), open_records(options.target)
    if options.each_machine:
        by_machine = fit_by_machine(source, target, patients=options.patients, seed=options.seed, say=print)
        found = _named(output, by_machine)
    else:
        found = {output: fit(source, target, patients=options.patients, seed=options.seed)}
    for path, one in found.items():
        print_all(_lines(one))
        if options.figure:
            _draw(one, source, target, path)
    for path, one in found.items():
        one.save(path)
        print_all([f"{path}: {one.target.words} to {one.source.words}"])


def _known(path: Path) -> Records | ModelCard:
    """The card of a model, or records."""
    from mammo_tf.recipes.start import load_start
    from mammo_tf.records import open_records

    if path.suffix.lower() in MODELS or (path / "model.keras").is_file():
        return load_start(path).card
    return open_records(path)


def _named(output: Path, found: dict[Machine, Harmonising]) -> dict[Path, Harmonising]:
    """A path of its own for each machine."""
    named: dict[Path, Harmonising] = {}
    for machine, one in found.items():
        word = re.sub(r"[^A-Za-z0-9.]+", "-", machine.words).strip("-.")
        path = output.with_name(f"{output.stem}_{word}.json")
        number = 1
        while path in named:
            number += 1
            path = output.with_name(f"{output.stem}_{word}_{number}.json")
        named[path] = one
    return named


def _lines(one: Harmonising) -> list[str]:
    from mammo_tf.adaptation.harmonising_notes import notes

    bands = zip(one.scale_words, one.robust_ratios, one.plain_ratios, strict=True)
    return [
        f"source: {one.source.words}",
        f"target: {one.target.words}",
        f"the curve moves pixels of the breast by {one.curve_shift:.3f} on average",
        *(f"contrast below {scale}: times {robust:.2f} (plain {plain:.2f})" for scale, robust, plain in bands),
        *_skin_lines(one),
        *(note.sentence for note in notes(one)),
    ]


def _skin_lines(one: Harmonising) -> list[str]:
    """What is added from the skin inwards, a line a window."""
    if one.periphery is None:
        return []
    return [
        f"along the skin, window {window}: {', '.join(f'{level:+.3f}' for level in added)}"
        for window, added in zip(one.window_words, one.periphery.added, strict=True)
    ]


def _draw(one: Harmonising, source: Records | ModelCard, target: Records, path: Path) -> None:
    from mammo_tf.adaptation.harmonising_examples import example_pictures
    from mammo_tf.records import Records
    from mammo_tf.reporting.harmonising import save_harmonising_figure

    shown = source if isinstance(source, Records) else None
    written = save_harmonising_figure(one, example_pictures(one, shown, target), path)
    print_all([f"figure: {', '.join(map(str, written))}"])


def _shift_options(one: ArgumentParser) -> None:
    one.add_argument(
        "model", metavar="MODEL|SCORES.csv",
        help="run folder or .keras; or scores of the reference, with labels of which more can be told",
    )  # fmt: skip
    one.add_argument(
        "site", metavar="SITE",
        help="with MODEL records or a manifest, with SCORES.csv the model's scores there; no label is needed",
    )  # fmt: skip
    one.add_argument("-o", "--output", metavar="DIR", help="write shift.json and a figure here")
    one.add_argument(
        "--reference", metavar="FILE|RECORDS",
        help="with MODEL: its scores or pictures where it is known to work (what the run left, else its card)",
    )  # fmt: skip
    one.add_argument(
        "--by", default="", metavar="COLUMN,...", help="a verdict for each machine too: manufacturer,software"
    )
    one.add_argument(
        "--columns", action="append", default=[], metavar="label=...,score=...,patient=...",
        help="with SCORES.csv: names in the files; given twice, in SCORES.csv and in SITE",
    )  # fmt: skip
    one.add_argument("--level", metavar="LEVEL", help="compared: image, breast, exam, patient (the coarsest told)")
    one.add_argument("--prevalence", type=float, metavar="P", help="positive patients of SITE, if known from elsewhere")
    one.add_argument("--threshold", type=float, metavar="VALUE", help="the reference's (largest G-mean on its labels)")
    one.add_argument("--replicates", type=whole_number, default=999, metavar="N", help="draws of each test (999)")
    one.add_argument("--seed", type=seed_number, default=0, metavar="N", help="of the draws (0)")
    one.add_argument("--breast", metavar="HOW", help="views to breast: mean, maximum, noisy_or (mean, or as the model)")
    one.add_argument(
        "--patient", metavar="HOW", help="breasts to patient: mean, maximum, noisy_or (maximum, or likewise)"
    )
    one.add_argument("--exam", metavar="HOW", help="breasts to exam, if not as --patient")
    one.add_argument("--pool-exams", action="store_true", help="patients too where they have several exams: over all")
    one.add_argument(
        "--images", type=whole_number, default=400, metavar="N",
        help="with MODEL: pictures of each place whose grey values, contrast and features are looked at (400)",
    )  # fmt: skip
    one.add_argument("--root", metavar="DIR", help="with MODEL: data root of manifests (their folders)")
    one.add_argument(
        "--workers", type=process_number, default=1, metavar="N", help="processes that prepare a manifest (1)"
    )


def shift(options: Namespace) -> None:
    """Says which shift a site has."""
    by = tuple(name.strip() for name in options.by.split(",") if name.strip())
    aggregates = {level: how for level in ("breast", "exam", "patient") if (how := getattr(options, level))}
    given = Path(options.model)
    lines = _shift_by_model if given.is_dir() or given.suffix.lower() in MODELS else _shift_by_scores
    print_all(lines(options, by, aggregates))
    if options.output is not None:
        print(f"written to {options.output}")


def _shift_by_scores(options: Namespace, by: tuple[str, ...], aggregates: dict[str, str]) -> list[str]:
    """The lines of a verdict on two files."""
    with held():
        from mammo_tf.adaptation.shift_files import shift_of_files

    for name in ("reference", "root"):
        if getattr(options, name) is not None:
            sentence = f"--{name} belongs to a model, and {options.model} is not one"
            raise MammoError("option_wrong", sentence, "Leave it out, or name a run folder or a .keras file")
    columns = columns_of(options.columns, 2)
    return shift_of_files(
        options.model, options.site, options.output, columns[0], columns[1], options.level, options.prevalence,
        options.threshold, {"breast": "mean", "patient": "maximum"} | aggregates, options.replicates, options.seed,
        options.pool_exams, by,
    )  # fmt: skip


def _shift_by_model(options: Namespace, by: tuple[str, ...], aggregates: dict[str, str]) -> list[str]:
    """The lines of a verdict by a model."""
    with tensorflow_loaded():
        from mammo_tf.adaptation.shift_model import Asked, shift_of_model

    if options.columns:
        raise MammoError("option_wrong", "--columns is of two files of scores", "Leave it out: a manifest has its own")
    asked = Asked(
        options.level, options.prevalence, options.threshold, aggregates or None, options.replicates, options.seed,
        options.pool_exams, by, options.images,
    )  # fmt: skip
    return shift_of_model(
        options.model, options.site, options.output, options.reference, asked, options.workers, options.root
    )


def _adapt_options(one: ArgumentParser) -> None:
    one.add_argument("model", metavar="MODEL", help="run folder, or .keras")
    one.add_argument("site", metavar="SITE", help="records or manifest of the new site, split")
    one.add_argument("-o", "--output", required=True, metavar="DIR", help="run again there to resume")
    one.add_argument("--root", metavar="DIR", help="data root of the manifest (default: its folder)")
    one.add_argument(
        "--old", metavar="SITE",
        help="records or manifest of the site that the model knows: for its look, its scores, and what it loses",
    )  # fmt: skip
    one.add_argument("--old-root", metavar="DIR", help="data root of the old manifest")
    one.add_argument("--level", metavar="LEVEL", help="compared: image, breast, exam, patient (breast where told)")
    one.add_argument("--rungs", nargs="+", default=[], metavar="RUNG", help="these alone, next to untouched")
    one.add_argument(
        "--label-budget", type=_rising, default=[], metavar="N,N,...",
        help="AUC against so many labelled training patients, such as 10,30,100",
    )  # fmt: skip
    one.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting; may be repeated"
    )
    one.add_argument("--workers", type=process_number, default=1, metavar="N", help="processes that prepare a manifest")


def _rising(text: str) -> list[int]:
    return [whole_number(part) for part in text.split(",")]


def adapt(options: Namespace) -> None:
    """Climbs the ladder and says which rung is enough."""
    with tensorflow_loaded():
        from mammo_tf.adaptation.ladder import adapt as climb
        from mammo_tf.adaptation.ladder_export import export_chosen
        from mammo_tf.adaptation.ladder_settings import LadderSettings
        from mammo_tf.adaptation.ladder_site import Places
        from mammo_tf.fields import set_fields
        from mammo_tf.reporting.ladder import write_ladder_page
        from mammo_tf.reporting.ladder_text import ladder_lines

    chosen = set_fields(LadderSettings(), settings(options.set))
    paths = [None if path is None else Path(path) for path in (options.root, options.old, options.old_root)]
    places = Places(Path(options.model), Path(options.site), *paths)
    folder = Path(options.output)
    content = climb(places, folder, chosen, options.level, options.label_budget, options.rungs, options.workers, print)
    write_ladder_page(content, folder / "report.html")
    print_all(ladder_lines(content))
    print(f"ready to serve: {export_chosen(folder, places, print)}")
    print(f"report: {folder / 'report.html'}")

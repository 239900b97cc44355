"""A network of one phantom machine on pictures of the others: untouched, matched, harmonised, without their labels.

    python benchmarks/harmonising_machines.py -o FOLDER [--source ffdm_site_1] [--seeds 1 2 3] [--patients 5 10 25 60]
        [--workers 2]

For each seed a study of its own: women of the source alone train the demo's network of it; other women are seen by
every machine, some unlabelled, from whom statistics are taken, and some for test. The source itself is among the
targets, its statistics those of other women: harmonising must do no harm there. Steps that are finished are not done
again. Prints AUC of breasts and paired differences, with intervals over patients; writes them as `numbers.json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pandas as pd
from machine_study import SHIPPED, prepared, trained

from mammo_tf.adaptation.harmonising import fit
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.adaptation.site_pictures import training_part
from mammo_tf.evaluation import compare, read_metrics, read_predictions
from mammo_tf.evaluation.number_text import DIFFERENCE, number_text
from mammo_tf.evaluation.numbers import Number
from mammo_tf.experiments.study_recipes import score_site
from mammo_tf.files import read_json, write_json
from mammo_tf.imaging.harmonising import Harmonising, with_harmonising
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.records import open_records

MOST = 100  # unlabelled women whom every machine images
PAIRS = (("matched", "untouched"), ("harmonised", "untouched"), ("harmonised", "matched"))


def one_seed(place: Path, machines: Sequence[str], seed: int, patients: Sequence[int], workers: int) -> None:
    """Trains and scores; leaves `<machine>/<variant>/predictions_test.csv` and `<machine>/notes.json`."""
    folders = prepared(place, machines, seed, workers, MOST)
    model, source = trained(place, folders, seed, machines[0].startswith("film"))
    assert model.preprocessing is not None  # trained here
    recipe = Recipe(name="scored", about="")
    for machine in machines:
        target = open_records(folders[machine])
        steps: dict[str, Callable[[], Sequence[Any]]] = {"untouched": tuple}
        fitted: dict[str, Harmonising] = {}
        for count in (*patients, MOST):
            name = "harmonised" if count == MOST else f"harmonised_{count}"
            path = place / machine / f"{name}.json"
            if not path.is_file():
                some = training_part(target, count, seed)  # the source is known by all of its patients
                fit(source, some).save(path)
            fitted[name] = Harmonising.load(path)
            steps[name] = lambda found=fitted[name]: found.steps  # type: ignore[misc]
        steps["matched"] = lambda found=fitted["harmonised"]: (found.curve,)  # type: ignore[misc]
        said = {name: [note.code for note in notes(found)] for name, found in fitted.items()}
        write_json(place / machine / "notes.json", said)
        for name, ahead in steps.items():
            out = place / machine / name
            if (out / "metrics.json").is_file():
                continue
            keras.utils.clear_session()
            asked = with_harmonising(model.preprocessing, ahead())
            score_site(
                replace(model, card=replace(model.card, preprocessing=asked)), folders[machine], recipe, out, ("test",)
            )


def apart(first: pd.DataFrame, second: pd.DataFrame) -> Number:
    """AUC of breasts, second minus first."""
    return compare(first, second, levels=("breast",))["test"]["breast"]["auc_difference"]


def numbers(folder: Path, machines: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """AUC and paired differences of breasts: `{seed: {machine: {"auc": ..., "differences": ..., "notes": ...}}}`."""
    found: dict[str, Any] = {}
    for seed in seeds:
        place = folder / f"seed_{seed}"
        found[str(seed)] = {}
        for machine in machines:
            variants = sorted(path.parent.name for path in (place / machine).glob("*/metrics.json"))
            tables = {name: read_predictions(place / machine / name / "predictions_test.csv") for name in variants}
            metrics = {name: read_metrics(place / machine / name / "metrics.json") for name in variants}
            pairs = [*PAIRS, *((name, "untouched") for name in variants if name.startswith("harmonised_"))]
            found[str(seed)][machine] = {
                "auc": {name: one["test"]["breast"]["auc"] for name, one in metrics.items()},
                "differences": {f"{one} minus {other}": apart(tables[other], tables[one]) for one, other in pairs},
                "notes": read_json(place / machine / "notes.json"),
            }
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("-o", "--output", required=True)
    arguments.add_argument("--source", choices=SHIPPED, default=SHIPPED[0])
    arguments.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments.add_argument("--patients", type=int, nargs="+", default=[5, 10, 25, 60])
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    folder = Path(options.output)
    machines = [options.source, *(name for name in SHIPPED if name != options.source)]
    for seed in options.seeds:
        one_seed(folder / f"seed_{seed}", machines, seed, options.patients, options.workers)
    found = numbers(folder, machines, options.seeds)
    write_json(folder / "numbers.json", found)
    for seed, each in found.items():
        for machine, one in each.items():
            print(f"seed {seed}, {machine}")
            for name, number in one["auc"].items():
                print(f"  {name:14s} {number_text(number)}")
            for name, number in one["differences"].items():
                print(f"  {name:32s} {number_text(number, DIFFERENCE)}")
            print(f"  said: {', '.join(one['notes']['harmonised'])}")


if __name__ == "__main__":
    main()

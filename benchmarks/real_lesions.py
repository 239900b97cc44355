"""Lesions of real mammograms, segmented by networks of method B: cross-validation by patient within one site.

    python benchmarks/real_lesions.py MANIFEST ROOT -o FOLDER [--folds 3] [--seed 1] [--epochs 12] [--rows unet ...]

Every patient is tested once, by networks that never saw a picture of hers. Every training is a folder, and what is
finished is not computed again. Prints Dice and sensitivity over all test pictures, with intervals over patients.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from mammo_tf.evaluation import Resampling
from mammo_tf.evaluation.number_text import number_text
from mammo_tf.evaluation.segmentations import segmentation_metrics
from mammo_tf.experiments.mln_net.rows import ROWS, Row
from mammo_tf.experiments.mln_net.sizes import PHANTOM, MlnSize
from mammo_tf.experiments.study_recipes import seeded
from mammo_tf.files import write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.runner import run
from mammo_tf.records import prepare
from mammo_tf.study import read_manifest

KEYS = ("unet", "swin_unet", "mln_net")
SIZE = replace(PHANTOM, rows=128, columns=128, cut=(1, 1), tile=128, samples=None)
SHOWN = ("tpr", "precision", "dsc", "missed")
VALIDATION = 0.15  # of the patients that are not tested


def folds(manifest: pd.DataFrame, count: int, seed: int) -> list[pd.DataFrame]:
    """The manifest `count` times, each patient in the test split of one, and a part of the others in validation."""
    patients = np.random.default_rng(seed).permutation(np.unique(manifest["patient_id"]))
    found = []
    for number in range(count):
        tested = set(patients[number::count])
        others = [one for one in patients if one not in tested]
        watched = set(others[: round(VALIDATION * len(others))])
        split = [
            "test" if one in tested else "validation" if one in watched else "train" for one in manifest["patient_id"]
        ]
        found.append(manifest.assign(split=split))
    return found


def recipe_of(row: Row, size: MlnSize) -> Recipe:
    """The row's recipe for any finding."""
    recipe = row.recipe(size)
    return replace(recipe, task=replace(recipe.task, findings=()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rows", nargs="+", choices=[row.key for row in ROWS], default=KEYS)
    options = parser.parse_args()
    size = replace(SIZE, epochs=options.epochs)
    how = Preprocessing.preset("default", (size.rows, size.columns), channels=1, mean=0.0)
    for number, manifest in enumerate(folds(read_manifest(options.manifest), options.folds, options.seed)):
        data = options.output / f"fold_{number}" / "prepared"
        prepare(manifest, options.root, data, how, 2)
        for row in (one for one in ROWS if one.key in options.rows):
            out = options.output / f"fold_{number}" / row.key
            if not (out / "metrics.json").is_file():
                keras.utils.clear_session()
                run(seeded(recipe_of(row, size), options.seed + number), out, data)
    pooled = {}
    for key in options.rows:
        runs = [options.output / f"fold_{number}" / key for number in range(options.folds)]
        table = pd.concat([pd.read_csv(run / "predictions_test.csv", dtype={"patient_id": str}) for run in runs])
        numbers = pooled[key] = segmentation_metrics(table, Resampling(2000))["test"]["image"]
        words = ", ".join(f"{name} {number_text(numbers[name])}" for name in SHOWN)
        print(f"{key}: {words}, over {numbers['tpr']['n']} images")
    write_json(options.output / "pooled.json", pooled)


if __name__ == "__main__":
    main()

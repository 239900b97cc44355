"""Models of several seeds, each on the women of all of them: is a model at home good, or were its women easy?

    python benchmarks/crossed_women.py FOLDER [--seeds 1 2 3] [--machine ffdm_site_1]

FOLDER is what `harmonising_machines.py` left. Prints AUC of breasts of the test women of each seed, a line a model.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from mammo_tf.evaluation.levels import at_level
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.scores import score_splits
from mammo_tf.records import open_records
from mammo_tf.training import load_model


def crossed(folder: Path, seeds: list[int], machine: str) -> np.ndarray:
    """AUC, float64 `[models, women]`."""
    recipe = Recipe(name="scored", about="")
    found = np.zeros((len(seeds), len(seeds)))
    for row, of_model in enumerate(seeds):
        origin = load_model(folder / f"seed_{of_model}" / "model" / "model.keras")
        assert origin.preprocessing is not None  # trained there
        for column, of_women in enumerate(seeds):
            records = open_records(folder / f"seed_{of_women}" / "prepared" / machine)
            steps = replace(records.preprocessing, intensity_steps=origin.preprocessing.intensity_steps)
            table = score_splits(origin.model, records, steps, recipe, folder, ("test",))
            breasts = at_level(table, "breast", recipe.evaluation.aggregates)
            assert breasts is not None
            found[row, column] = roc_auc_score(breasts["label"], breasts["score"])
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments.add_argument("--machine", default="ffdm_site_1")
    options = arguments.parse_args()
    found = crossed(options.folder, options.seeds, options.machine)
    for seed, row in zip(options.seeds, found, strict=True):
        print(f"model {seed}: {'  '.join(f'{value:.3f}' for value in row)}  mean {row.mean():.3f}")
    print(f"women:   {'  '.join(f'{value:.3f}' for value in found.mean(axis=0))}")


if __name__ == "__main__":
    main()
